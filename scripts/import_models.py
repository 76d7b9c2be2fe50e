#!/usr/bin/env python3
"""Write a catalogue entry from a config.json, or the index of all entries anew.

    scripts/import_models.py CONFIG.json --id my-model --name "My Model 7B" --alias org/My-Model-7B --source "where the file stands"
    scripts/import_models.py --index

An entry keeps the keys that matter for memory and speed; token ids, dropout, initialisation and the like are left out. A long list of modules in
``quantization_config`` becomes patterns that name the same modules. Published figures are added by hand (see any file of facts/models).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parents[1] / "src" / "gpusizer" / "facts" / "models"
sys.path.insert(0, str(MODELS.parents[2]))

from model_index import write_index  # noqa: E402

from gpusizer.architecture.storage.module_patterns import one_spelling  # noqa: E402

# Keys without a meaning for memory or speed: tokens, training, sampling, code references, numerics.
_NOISE = re.compile(
    r"""(?x)^_ | token(_id|_index|izer)(_|s|$) | ^(bo|eo|pad|im|image|video|media|text|mask|vision|sep|eod)_?\w*_(id|index|placeholder)$
    | dropout | drop_tokens | ^(attn|embd|resid|emb|hidden)_p?drop | _pdrop$ | drop_prob | initializer | init_(std|method) | ^auto_map
    | ^transformers_version | ^use_cache$ | ^output_(attentions|hidden_states|router_logits|scores)$ | ^return_dict | ^torchscript$ | ^pruned_heads$
    | ^chunk_size_feed_forward$ | ^(id2label|label2id|finetuning_task|problem_type|task_specific_params|prefix|classifier\w*)$ | loss
    | ^gradient_checkpointing$ | ^(top_k|top_p|typical_p|temperature|repetition_penalty|length_penalty|no_repeat_ngram_size|num_beams|num_beam_groups
        |num_return_sequences|min_length|max_length|do_sample|early_stopping|diversity_penalty|encoder_no_repeat_ngram_size|bad_words_ids
        |suppress_tokens|begin_suppress_tokens|forced_\w+|exponential_decay_length_penalty|remove_invalid_values|decoder_start_token_id|is_decoder
        |add_cross_attention|cross_attention_hidden_size|tie_encoder_decoder|tf_legacy_loss|use_bfloat16)$
    | ^(pretraining_tp|ep_size|seq_aux|aux\w*|onnx_safe|use_flash_attn|use_mamba_kernels|num_logits_to_keep|time_step\w*|use_logn_attn|use_dynamic_ntk
        |rescale_prenorm_residual|residual_in_fp32|fp16|bf16|fp32|z_loss_weight|dataset|fp32_softmax)$
    | _eps(ilon)?$ | ^(mamba_hidden_act|projector_hidden_act)$ | softcap
    | ^(scoring_func|topk_method|norm_topk_prob|routed_scaling_factor|moe_router_(activation_func|scaling_factor|logit_softcapping)|n_group|topk_group
        |rope_scaling|rope_parameters|rope_theta|rope_local_base_freq|compress_rope_theta|query_pre_attn_scalar|hc_sinkhorn_iters
        |layernorm_\w+_(alpha|beta)|swiglu\w*|moe_routed_scaling_factor|moe_renormalize|moe_norm_min|moe_random_routing\w*|moe_apply_router\w*)$"""
)
# Of a rotary section only what changes the rotated width or the length of the tables that engines keep.
_ROTARY = ("partial_rotary_factor", "rope_type", "type", "factor", "original_max_position_embeddings", "mrope_section")


def prune(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that matter, null ones apart: TOML has no null."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if value is None or (isinstance(value, float) and value in (float("inf"), float("-inf"))):
            continue
        if key in ("rope_parameters", "rope_scaling") and isinstance(value, Mapping):
            if rotary := _rotary(value):
                kept[key] = rotary
            continue
        if key == "quantization_config":
            kept[key] = prune_quantization(value)
        elif _NOISE.search(key):
            continue
        elif isinstance(value, Mapping):
            if inner := prune(value):
                kept[key] = inner
        elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            kept[key] = [prune(each) if isinstance(each, Mapping) else each for each in value]
        elif not (isinstance(value, list) and not value):
            kept[key] = value
    return kept


def with_labels(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the number of scores that a classifier gives, in place of their names.

    >>> with_labels({"architectures": ["XForSequenceClassification"], "id2label": {"0": "LABEL_0"}})["num_labels"]
    1
    """
    scores = str(next(iter(config.get("architectures") or ()), "")).endswith("ForSequenceClassification")
    named = {"num_labels": len(config["id2label"])} if scores and isinstance(config.get("id2label"), Mapping) else {}
    return {**named, **{key: value for key, value in config.items() if key != "num_labels" or scores}}


def _rotary(section: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a rotary section, or of one section for each kind of layer."""
    if any(isinstance(each, Mapping) for each in section.values()):
        return {name: _rotary(each) for name, each in section.items() if isinstance(each, Mapping)}
    return {name: section[name] for name in _ROTARY if section.get(name) is not None}


def nulls(config: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths of keys that are null and matter: a null key says "none", an absent one "what the class gives"."""
    found: list[str] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and key in ("text_config", "llm_config", "language_config"):
            found += nulls(value, f"{path}{key}.")
        elif value is None and not _NOISE.search(key) and key not in ("quantization_config", "rope_scaling", "rope_parameters"):
            found.append(path + key)
    return found


def prune_quantization(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block with its long lists as patterns, without observers, producers and other history."""
    kept: dict[str, Any] = {}
    for key, value in block.items():
        if value is None or key in (
            "producer",
            "observer",
            "observer_kwargs",
            "quantization_status",
            "global_compression_ratio",
            "version",
            "dequantize",
        ):
            continue
        if key == "quantized_layers" and isinstance(value, Mapping):
            kept[key] = compact_layers(value)
        elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            kept[key] = compact(value)
        elif key == "dynamic" and isinstance(value, Mapping):  # GPTQ: an empty table behind a pattern has a meaning
            kept[key] = dict(value)
        elif isinstance(value, Mapping):
            if inner := prune_quantization(value):
                kept[key] = inner
        elif value != []:
            kept[key] = value
    return kept


_LAYER = re.compile(r"^(?P<head>.*?(?:layers|blocks|h)\.)(?P<layer>\d+)(?P<tail>.*)$")
_EXPERT = re.compile(r"\.experts\.\d+\.")


def compact(names: list[str]) -> list[str]:
    """Modules of many layers as one expression each, in the one spelling that readers compare; short lists stay as they are.

    >>> compact([f"model.layers.{layer}.mlp.gate" for layer in range(12)])
    ['re:layers\\\\.(?:[0-9]|1[01])\\\\.mlp\\\\.gate(?:\\\\.|$)']
    """
    if len(names) <= 8:
        return list(names)
    tails: dict[tuple[str, str], set[int]] = {}
    rest: list[str] = []
    for name in names:
        match = _LAYER.match(one_spelling(name))
        if match is None or name.startswith("re:") or "*" in match["head"]:
            rest.append(name)
        else:
            tails.setdefault((match["head"], match["tail"]), set()).add(int(match["layer"]))
    families: dict[tuple[str, frozenset[int]], list[str]] = {}
    for (head, tail), numbers in tails.items():
        families.setdefault((head, frozenset(numbers)), []).append(tail)
    out = list(rest)
    for (head, layers), family in families.items():
        ends = sorted(_end(tail) for tail in family)
        joined = ends[0] if len(ends) == 1 else "(?:" + "|".join(ends) + ")"
        out.append(f"re:{re.escape(head)}(?:{_numbers(layers)}){joined}")
    return out if len(out) < len(names) else list(names)


def _end(tail: str) -> str:
    """The rest of a name; what a list names covers the modules inside."""
    stem = tail.removesuffix("*")
    inside = "" if stem and tail != stem else r"(?:\.|$)"
    return re.escape(stem).replace(r"\*", "[^.]*") + inside


def _numbers(numbers: frozenset[int]) -> str:
    """Whole numbers as alternatives, runs inside one ten as a class."""
    pieces: list[str] = []
    tens: dict[int, list[int]] = {}
    for number in sorted(numbers):
        tens.setdefault(number // 10, []).append(number % 10)
    classes: dict[str, list[int]] = {}
    for ten, units in tens.items():
        classes.setdefault(_digits(units), []).append(ten)
    for digits, heads in classes.items():
        if heads == [0]:
            pieces.append(digits)
        elif 0 in heads:
            pieces.extend(
                (digits, _digits([each for each in heads if each and each < 10]) + digits)
                if max(heads) < 10
                else (f"(?:{'|'.join(str(each or '') for each in heads)}){digits}",)
            )
        elif max(heads) < 10:
            pieces.append(_digits(heads) + digits)
        else:
            pieces.append(f"(?:{'|'.join(map(str, heads))}){digits}")
    return "|".join(pieces)


def _digits(digits: list[int]) -> str:
    digits = sorted(digits)
    if len(digits) == 1:
        return str(digits[0])
    runs: list[list[int]] = []
    for digit in digits:
        if runs and runs[-1][-1] == digit - 1:
            runs[-1].append(digit)
        else:
            runs.append([digit])
    return "[" + "".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(map(str, run)) for run in runs) + "]"


def compact_layers(layers: Mapping[str, Any]) -> dict[str, Any]:
    """Modules with an algorithm of their own: the experts of a layer as one, then layers as expressions."""
    by_setting: dict[str, list[str]] = {}
    for name, setting in layers.items():
        by_setting.setdefault(json.dumps(setting, sort_keys=True), []).append(_EXPERT.sub(".experts.0.", name))
    return {name: json.loads(setting) for setting, names in by_setting.items() for name in compact(list(dict.fromkeys(names)))}


def toml(value: Any, path: str = "") -> str:
    """Plain data as TOML: simple values first, then tables."""
    lines: list[str] = []
    tables: list[tuple[str, Any]] = []
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            tables.append((key, entry))
        else:
            lines.append(f"{_key(key)} = {_toml_value(entry)}")
    text = "\n".join(lines) + ("\n" if lines else "")
    for key, entry in tables:
        name = f"{path}.{_key(key)}" if path else _key(key)
        simple = any(not isinstance(each, Mapping) for each in entry.values()) or not entry
        text += ("\n" + f"[{name}]\n" if simple else "") + toml(entry, name)
    return text


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\\" in value and "'" not in value and "\n" not in value:
            return f"'{value}'"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_toml_value(entry)}" for key, entry in value.items() if entry is not None) + "}"
    if isinstance(value, list):
        inner = ", ".join(_toml_value(each) for each in value if each is not None)
        return f"[{inner}]" if len(inner) < 140 else "[\n" + _wrapped([_toml_value(each) for each in value if each is not None]) + "]"
    if isinstance(value, float):
        return repr(value)
    return f"{value:_}" if value >= 10**9 else str(value)


def _wrapped(items: list[str]) -> str:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > 140 and line.strip():
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"


def write_entry(entry: Mapping[str, Any], config: Mapping[str, Any]) -> Path:
    """Write ``facts/models/ID.toml``."""
    path = MODELS / f"{entry['id']}.toml"
    facts = {key: value for key, value in entry.items() if key != "id" and value not in (None, [], ())}
    if null := nulls(config):
        facts["null"] = null
    path.write_text(toml({**facts, "config": prune(config)}), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a catalogue entry from a config.json, or the index of all entries anew.")
    parser.add_argument("config", nargs="?", type=Path, help="a config.json")
    parser.add_argument("--id", help="short id, lower case")
    parser.add_argument("--name", help="name as people write it")
    parser.add_argument("--alias", action="append", default=[], help="another name; may be repeated")
    parser.add_argument("--source", help="where the configuration stands")
    parser.add_argument("--index", action="store_true", help="only write the index anew")
    wish = parser.parse_args()
    if not wish.index:
        if not (wish.config and wish.id and wish.source):
            parser.error("a configuration needs --id and --source")
        entry = {"id": wish.id, "name": wish.name or wish.id, "aliases": wish.alias, "config_source": wish.source}
        print(write_entry(entry, with_labels(json.loads(wish.config.read_text(encoding="utf-8")))))
    print(f"{write_index()} models in the index")


if __name__ == "__main__":
    main()
