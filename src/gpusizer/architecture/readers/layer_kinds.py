"""Which kind of mixer and of feed-forward block each layer has, from the many ways in which configurations say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gpusizer.architecture.readers.context import ModelContext
from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS, EXPERT_KEYS, EXPERT_PATTERNS, has_experts
from gpusizer.architecture.readers.keys import MAX_NUMBER, Keys

__all__ = ["block_kinds", "mixer_kinds", "single_blocks", "single_kinds"]

_INDEX = re.compile(r"[0-9]{1,6}")
# Words of configurations for kinds that we know; any other word is kept and refused where no reader claims it.
_MIXERS = {
    "full_attention": "attention",
    "attention": "attention",
    "global_attention": "attention",
    "global": "attention",
    "indexed_attention": "attention",
    "deepseek_sparse_attention": "attention",
    "qwen_sparse_attention": "attention",
    "hybrid_indexed": "attention",
    "sliding_attention": "window",
    "sliding_window_attention": "window",
    "local_attention": "window",
    "local": "window",
    "chunked_attention": "chunk",
    "linear_attention": "linear",
    "mamba": "mamba",
    "mamba2": "mamba",
    "conv": "conv",
    "short_conv": "conv",
    "cross_attention": "cross",
    "hybrid": "attention+mamba",
    "none": "none",
}
_BLOCKS = {"dense": "dense", "sparse": "experts", "moe": "experts", "hash_moe": "experts", "mlp": "dense"}
# One block a layer: a letter or a word says what the whole layer is.
_SINGLE = {"M": ("mamba", "none"), "*": ("attention", "none"), "E": ("none", "experts"), "-": ("none", "dense")}
_SINGLE_WORDS = {"mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*", "moe": "E", "mlp": "-"}


def _words(keys: Keys, name: str, layers: int, known: dict[str, str]) -> list[str] | None:
    found = keys.sequence(name)
    if found is None:
        return None
    if len(found) < layers:
        raise keys.refuse(name, f"{len(found)} entries", f"list of {layers}")
    return [known.get(str(word), str(word)[:40]) for word in found[:layers]]


def single_blocks(model: ModelContext, pattern_key: str = "hybrid_override_pattern", words_key: str = "layers_block_type") -> list[str] | None:
    """Letters of a model whose layers hold one block each, None for other models."""
    pattern = model.keys.text(pattern_key)
    if pattern:
        return list(pattern)
    words = model.keys.sequence(words_key)
    known = all(isinstance(word, str) and word in _SINGLE_WORDS for word in words or ())
    if words and known and ("moe" in words or "mlp" in words or model.class_words.single_block):
        return [_SINGLE_WORDS[word] for word in words]
    return None


def single_kinds(letters: list[str], keys: Keys) -> tuple[list[str], list[str]]:
    """Kinds of mixer and of block for layers of one block each."""
    unknown = [letter for letter in letters if letter not in _SINGLE]
    if unknown:
        raise keys.refuse("hybrid_override_pattern", unknown[0], "M, *, E, -")
    return [_SINGLE[letter][0] for letter in letters], [_SINGLE[letter][1] for letter in letters]


# Once one of these has named the layers, the others say the same in another way.
_MIXER_PATTERNS = (
    "full_attention_interval",
    "layer_group_size",
    "sliding_window_pattern",
    "attn_layer_period",
    "attn_layer_offset",
    "attn_type_list",
    "hybrid_layer_pattern",
    "no_rope_layer_interval",
)


def _binary(one: str, other: str) -> Callable[[Any], str]:
    return lambda flag: one if flag else other


def mixer_kinds(model: ModelContext) -> list[str]:
    """The kind of mixer of every layer."""
    keys, layers = model.keys, model.layers
    keys.ignore(*_MIXER_PATTERNS)
    letters = single_blocks(model)
    if letters is not None:
        if len(letters) < layers:
            raise keys.refuse("hybrid_override_pattern", f"{len(letters)} entries", f"list of {layers}")
        return single_kinds(letters[:layers], keys)[0]
    if keys.has("compress_ratios") and keys.has("o_groups"):
        return ["compressed"] * layers
    for name in ("layer_types", "layers_block_type", "layer_block_types"):
        words = _words(keys, name, layers, _MIXERS)
        if words is not None:
            return words
    for name, kind_of in (("attn_type_list", _binary("attention", "linear")), ("hybrid_layer_pattern", _binary("window", "attention"))):
        flags = keys.integers(name)
        if flags is not None:
            if len(flags) < layers:
                raise keys.refuse(name, f"{len(flags)} entries", f"list of {layers}")
            return [kind_of(flag) for flag in flags[:layers]]
    for read in (_block_types, _periods, _listed, _windows):
        kinds = read(model)
        if kinds is not None:
            return kinds
    usual = model.class_words.mixer
    return [usual] * layers


def _block_types(model: ModelContext) -> list[str] | None:
    """A short list that repeats over the layers."""
    pattern = model.keys.sequence("block_types")
    if not pattern:
        return None
    words = [_MIXERS.get(str(word), str(word)[:40]) for word in pattern]
    return [words[index % len(words)] for index in range(model.layers)]


def _periods(model: ModelContext) -> list[str] | None:
    """Attention in every n-th layer, a state in the others."""
    keys, layers = model.keys, model.layers
    interval = keys.integer("full_attention_interval", "layer_group_size", low=1)
    if interval is not None and model.class_words.mixer == "linear":
        return ["attention" if (index + 1) % interval == 0 else "linear" for index in range(layers)]
    period = keys.integer("attn_layer_period", low=1)
    if period is not None:
        offset = keys.integer("attn_layer_offset", default=0)
        return ["attention" if index % period == offset else "mamba" for index in range(layers)]
    return None


def _listed(model: ModelContext) -> list[str] | None:
    """Indices of the layers that have attention (others have a state), or that have both."""
    attention = model.keys.integers("attn_layer_indices", "full_attn_idxs", "attn_layers")
    if attention is None:
        return None
    other = model.class_words.other_mixer
    chosen = set(attention)
    return ["attention" if index in chosen else other for index in range(model.layers)]


def _windows(model: ModelContext) -> list[str] | None:
    """Sliding windows and chunks where no list names the layers."""
    keys, layers = model.keys, model.layers
    use = keys.optional_flag("use_sliding_window")
    chunk = keys.integer("attention_chunk_size")
    if chunk and not keys.has("sliding_window"):
        rotated = keys.integers("no_rope_layers") or ()
        interval = keys.integer("no_rope_layer_interval", low=1, default=4)
        flags = rotated[:layers] if len(rotated) >= layers else [(index + 1) % interval for index in range(layers)]
        return ["chunk" if flag else "attention" for flag in flags]
    window = keys.integer("sliding_window", "window_size", "sliding_window_size")
    if not window or use is False:
        return None
    pattern = keys.raw("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers")
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return ["window" if pattern[index % len(pattern)] == "L" else "attention" for index in range(layers)]
    if pattern is not None:
        every = Keys({"sliding_window_pattern": pattern}).integer("sliding_window_pattern", low=1, default=1)
        return ["attention" if (index + 1) % every == 0 else "window" for index in range(layers)]
    if use is True and keys.has("max_window_layers"):
        start = keys.integer("max_window_layers", default=0)
        return ["window" if index >= start else "attention" for index in range(layers)]
    if use is True or model.class_words.sliding == "all":
        return ["window"] * layers
    model.notice("window-unclear", window=window)  # kept whole: more memory, never less
    return None


def block_kinds(model: ModelContext) -> list[str]:
    """The kind of feed-forward block of every layer."""
    keys, layers = model.keys, model.layers
    letters = single_blocks(model)
    if letters is not None:
        return single_kinds(letters[:layers], keys)[1]
    if model.class_words.no_feed_forward:
        return ["none"] * layers
    words = _words(keys, "mlp_layer_types", layers, _BLOCKS)
    keys.ignore(*EXPERT_PATTERNS)
    if words is not None and any(word not in ("dense", "none") for word in words):
        return words
    experts = has_experts(model)
    kinds = words or ["dense"] * layers
    if experts and words is None:
        sparse = "dense+experts" if model.class_words.dense_beside_experts else "experts"
        chosen = _sparse_layers(model)
        kinds = [sparse if index in chosen else "dense" for index in range(layers)]
    if all(kind in ("dense", "none") for kind in kinds):
        keys.ignore(*EXPERT_KEYS)
        if experts:
            model.notice("no-expert-layers", keys=model.told("mlp_layer_types", *EXPERT_COUNTS, *EXPERT_PATTERNS))
    return kinds


def _within_layers(model: ModelContext, *names: str, default: int, low: int = 0) -> int:
    """A number that cannot pass that of the layers; one that the class supplies may, in a model cut short."""
    return model.keys.integer(*names, low=low, high=model.layers if model.told(*names) else MAX_NUMBER, default=default)


def _numbers(keys: Keys, listed: str) -> list[int]:
    """Indices that stand in a text, with commas between them."""
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    if not all(_INDEX.fullmatch(part) for part in parts):
        raise keys.refuse("moe_layers_enum", listed, "0,1,2 ...")
    return [int(part) for part in parts]


def _sparse_layers(model: ModelContext) -> set[int]:
    """Indices of the layers that have experts."""
    keys, layers = model.keys, model.layers
    frequency = keys.raw("moe_layer_freq", "moe_layer_frequency")
    if isinstance(frequency, (list, tuple)):
        flags = keys.integers("moe_layer_freq", "moe_layer_frequency") or ()
        if len(flags) < layers:
            raise keys.refuse("moe_layer_freq", f"{len(flags)} entries", f"list of {layers}")
        return {index for index in range(layers) if flags[index]}
    listed = keys.raw("moe_layers_enum", "moe_layers")
    if listed is not None:
        if isinstance(listed, str):
            listed = _numbers(keys, listed)
        return set(Keys({"moe_layers": listed}).integers("moe_layers") or ())
    chosen = set(range(layers))
    names = ("moe_layer_freq", "moe_layer_frequency", "decoder_sparse_step")
    step = _within_layers(model, *names, default=1, low=1) if keys.has(*names) else _within_layers(model, "interleave_moe_layer_step", default=1)
    if step == 0:
        return set()
    if keys.has("decoder_sparse_step", "interleave_moe_layer_step"):
        chosen = {index for index in chosen if (index + 1) % step == 0}
    elif step > 1:
        chosen = {index for index in chosen if index % step == 0}
    period = keys.integer("expert_layer_period", low=1)
    if period is not None:
        offset = keys.integer("expert_layer_offset", default=0, high=period - 1)
        chosen = {index for index in chosen if index % period == offset}
    start = keys.raw("moe_layer_start_index")
    if start is not None:
        first = keys.integer("moe_layer_start_index", default=0)
        last = keys.integer("moe_layer_end_index", default=layers - 1, low=-1)
        interval = keys.integer("moe_layer_interval", default=1, low=1)
        chosen = {index for index in chosen if first <= index <= (last if last >= 0 else layers - 1) and (index + 1) % interval == 0}
    first = _within_layers(model, "first_k_dense_replace", "moe_layer_num_skipped", "num_dense_layers", default=0)
    dense = set(keys.integers("mlp_only_layers") or ())
    return {index for index in chosen if index >= first} - dense
