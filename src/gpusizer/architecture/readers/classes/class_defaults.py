"""What a library's configuration classes give to absent keys, one line per ``model_type`` in ``class_defaults.jsonl``.

The values are those of transformers 5.23.0 before it derives anything from them. A default counts only where the configuration gives neither the
key nor another name of it; a null counts as given. Sizes, experts, windows and widths of heads taken this way are said:
a trimmed configuration would be read as the class's own model.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS, EXPERT_WIDTHS, SELECTED, SHARED_COUNTS, SHARED_WIDTHS

__all__ = ["class_defaults", "implied_sizes"]

# Names of one quantity: a given one keeps the class's default for any other out.
_SYNONYMS = (
    ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim"),
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
    ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    ("head_dim", "kv_channels", "attention_head_dim"),
    ("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "expansion_ratio", "block_ff_dim"),
    ("vocab_size", "padded_vocab_size"),
    ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
    ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts"),
    ("num_experts_per_tok", "moe_topk", "moe_k", "moe_top_k", "num_experts_per_token"),
    ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
    ("sliding_window_pattern", "_sliding_window_pattern", "layer_types"),
    ("mlp_layer_types", "first_k_dense_replace", "num_dense_layers", "moe_layer_freq", "mlp_only_layers", "moe_layers_enum", "moe_layer_start_index"),
)
# Any of these says which layers are of which kind; then the class's rule for the list does not count.
_PATTERNS = (
    *("layer_types", "layers_block_type", "layer_block_types", "block_types", "hybrid_override_pattern", "hybrid_layer_pattern", "attn_type_list"),
    *("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers", "full_attention_interval", "layer_group_size"),
    *("attn_layer_indices", "full_attn_idxs", "attn_layer_period", "no_rope_layers", "compress_ratios", "block_configs"),
)
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_MAX_LAYERS = 4096
_BY_NAME = {name: group for group in _SYNONYMS for name in group}
_SIZES = frozenset({"hidden_size", "n_embd", "d_model", "num_hidden_layers", "n_layer", "n_layers", "num_layers", "vocab_size"}) | frozenset(
    {"num_attention_heads", "n_head", "n_heads", "num_heads", "intermediate_size", "ffn_dim"}
)

# Sizes that count where a layer shows them: its experts, or this number of key/value heads, this window, this width of a head.
_WHOLE = ("experts", "latent")
_SHOWN = {
    **dict.fromkeys((*EXPERT_COUNTS, *EXPERT_WIDTHS, *SELECTED, *SHARED_COUNTS, *SHARED_WIDTHS), "experts"),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", "swa_num_key_value_heads"), "kv_heads"),
    **dict.fromkeys(("sliding_window", "sliding_window_size", "window_size", "attention_window_size", "attention_chunk_size"), "window"),
    **dict.fromkeys(("head_dim", "kv_channels", "swa_head_dim", "global_head_dim", "d_kv"), "head_dim"),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), "latent"),
}


@cache
def _lines() -> dict[str, str]:
    """The lines by model type, each read as JSON only when it is asked for."""
    text = (Path(__file__).parent / "class_defaults.jsonl").read_text(encoding="utf-8")
    return {line.split('"', 4)[3]: line for line in text.splitlines()}


def class_defaults(model_type: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the keys that a configuration leaves out.

    Parameters
    ----------
    model_type : str or None
        Class of the text model.
    given : mapping
        Keys that the configuration has, null ones too.

    Returns
    -------
    dict
        Empty for a class that is not known.

    Examples
    --------
    >>> found = class_defaults("gpt2", {"n_embd": 1600, "vocab_size": 50257})
    >>> found["n_layer"], "n_embd" in found, class_defaults("never-heard-of", {})
    (12, False, {})
    """
    line = _lines().get(model_type) if model_type is not None else None
    if line is None:
        return {}
    row: dict[str, Any] = json.loads(line)
    del row["model_type"]
    for name, others in (("layer_types", _PATTERNS), ("indexer_types", ("indexer_types", "index_topk_freq", "index_topk_pattern"))):
        rule = row.pop(f"{name}_rule", None)
        if rule is not None and not any(given.get(other) is not None for other in others):
            row[name] = _by_rule(rule, {**row, **given})
    return {key: value for key, value in row.items() if not any(name in given for name in _BY_NAME.get(key, (key,)))}


def _by_rule(rule: list[Any], values: Mapping[str, Any]) -> list[str] | None:
    """A list over the layers: a beginning, a period, and perhaps a word for the last; without a window nothing slides."""
    layers = next((values[name] for name in _LAYERS if isinstance(values.get(name), int)), 0)
    if not 0 < layers <= _MAX_LAYERS:
        return None
    head, period, last = rule
    words = [head[index] if index < len(head) else period[(index - len(head)) % len(period)] for index in range(layers)]
    if last is not None:
        words[-1] = last
    if "sliding_window" in values and values["sliding_window"] is None:
        words = ["full_attention" if word == "sliding_attention" else word for word in words]
    return words


def implied_sizes(defaults: Mapping[str, Any], seen: Mapping[str, Collection[Any]]) -> list[str]:
    """Those keys among defaults that carry the size of a model.

    Parameters
    ----------
    defaults : mapping
        Keys and values that the class supplied.
    seen : mapping
        What the model has: "experts" and "latent" (anything where it has such layers), "kv_heads", "window", "head_dim" (their values).

    Returns
    -------
    list of str
        Sizes, and those of the others that the model shows.

    Examples
    --------
    >>> implied_sizes({"vocab_size": 32000, "sliding_window": 4096, "num_experts": 8, "tie_word_embeddings": False}, {"window": {4096, None}})
    ['sliding_window', 'vocab_size']
    """
    found = _SIZES.intersection(defaults)
    for name, value in defaults.items():
        kind = _SHOWN.get(name)
        if kind is not None and value and (True in seen.get(kind, ()) if kind in _WHOLE else value in seen.get(kind, ())):
            found |= {name}
    return sorted(found)
