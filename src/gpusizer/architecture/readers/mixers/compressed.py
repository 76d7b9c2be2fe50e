"""Compressed attention: a raw window, and pooled entries of which a small ratio is searched with an indexer; keys and values are one vector."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, matrix, norm, row, vector
from gpusizer.architecture.types import CompressedAttention, Indexer, Mixer, Split, Tensor

GROUP = "attention"
_CANDIDATES = ("candidate_source_layer_id", "candidate_topk_blocks", "candidate_block_size")  # what is searched first: work, no weights
_INDEXED_UP_TO = 8  # ratios at which single entries are still searched; larger ones are read whole


def _pool(name: str, width: int, ratio: int, overlap: int, hidden: int, group: str, norm_group: str) -> tuple[Tensor, ...]:
    """A compressor: ``ratio`` tokens become one entry; small ratios pool two overlapping halves. It stays out of FP8."""
    wide = width * overlap
    position = Tensor(f"{name}position_bias", (ratio, wide), group, dtype="fp32")
    tensors = matrix(f"{name}kv_proj", wide, hidden, group, dtype="bf16") + matrix(f"{name}gate_proj", wide, hidden, group, dtype="bf16")
    return (position, *tensors, *norm(f"{name}kv_norm", width, group=norm_group))


def _own_entries(layer: LayerContext, name: str, ratio: int, width: int) -> tuple[Indexer | None, tuple[Tensor, ...]]:
    """A compressor in every layer; small ratios have an indexer with a compressor of its own."""
    keys, hidden = layer.keys, layer.hidden
    small = ratio <= _INDEXED_UP_TO
    tensors = _pool(f"{name}compressor.", width, ratio, 2 if small else 1, hidden, GROUP, "norms")
    if not small:
        return None, tensors
    heads, index_width = keys.needed("index_n_heads"), keys.needed("index_head_dim")
    part = f"{name}compressor.indexer."
    tensors += _pool(part, index_width, ratio, 2, hidden, "indexer", "indexer")
    tensors += matrix(f"{part}q_b_proj", heads * index_width, keys.needed("q_lora_rank"), "indexer")
    tensors += matrix(f"{part}scorer.weights_proj", heads, hidden, "indexer", dtype="bf16")
    return Indexer(heads, index_width, keys.integer("index_topk", default=0)), tensors


def _shared_entries(layer: LayerContext, name: str, ratio: int, width: int) -> tuple[Indexer | None, tuple[Tensor, ...]]:
    """Pooled entries and index keys made by few layers for those that follow; some of these pick among them anew. Keys come from the entries."""
    keys, hidden = layer.keys, layer.hidden
    heads, index_width = keys.needed("index_n_heads"), keys.needed("index_head_dim")
    pools, part = "pools" in layer.traits, f"{name}indexer."
    tensors: tuple[Tensor, ...] = ()
    if pools:
        tensors += matrix(f"{name}compressor.wkv", width, hidden, GROUP, dtype="bf16") + norm(f"{name}compressor.norm", width)
        if ratio > 1:  # a single token needs no weighing
            tensors += matrix(f"{name}compressor.wgate", width, hidden, GROUP, dtype="bf16")
        tensors += matrix(f"{part}wk", index_width, width, "indexer", dtype="bf16") + norm(f"{part}k_norm", index_width, group="indexer")
    if "picks" in layer.traits:
        tensors += matrix(f"{part}wq_b", heads * index_width, keys.needed("q_lora_rank"), "indexer")
        tensors += matrix(f"{part}weights_proj", heads, hidden, "indexer", dtype="bf16")
    return Indexer(heads, index_width, keys.integer("index_topk", default=0), caches=pools), tensors


def read_compressed(layer: LayerContext) -> tuple[Mixer, ...]:
    """The compressed attention of one layer."""
    keys, hidden = layer.keys, layer.hidden
    name = layer.class_words.attention
    heads, width = layer.needed(*HEADS), keys.needed("head_dim")
    ratio, window = layer.integer("compress_ratios", default=0), keys.needed("sliding_window")
    word = "" if "mtp" in layer.traits else str(layer.entry("layer_types") or "")
    if word and not ("compressed" in word if ratio else word.startswith(("sliding", "local"))):
        raise keys.refuse("layer_types", word, f"kind of attention with compress_ratios = {ratio}")  # two keys that say different things
    keys.ignore("num_key_value_heads", "compress_rates", *_CANDIDATES)
    q_rank, groups, o_rank = keys.needed("q_lora_rank"), keys.needed("o_groups"), keys.needed("o_lora_rank")
    rope = keys.integer("qk_rope_head_dim", default=0)
    if heads * width % groups:
        raise keys.refuse("o_groups", groups, f"divisor of {heads * width}")
    tensors = vector(f"{name}sinks", heads, GROUP, Split.COLUMN, "fp32")
    tensors += matrix(f"{name}q_a_proj", q_rank, hidden, GROUP) + norm(f"{name}q_a_norm", q_rank)
    tensors += column(f"{name}q_b_proj", heads * width, q_rank, GROUP, heads)
    tensors += matrix(f"{name}kv_proj", width, hidden, GROUP) + norm(f"{name}kv_norm", width)
    tensors += column(f"{name}o_a_proj", groups * o_rank, heads * width // groups, GROUP, groups)
    tensors += row(f"{name}o_b_proj", hidden, groups * o_rank, GROUP, groups)
    shared = keys.has("kv_source_layer_ids")
    indexer, further = (_shared_entries if shared else _own_entries)(layer, name, ratio, width) if ratio else (None, ())
    caches = not shared or "pools" in layer.traits
    return (CompressedAttention(heads, width, rope, window, ratio, tensors + further, indexer, caches, overlaps=not shared),)


register_mixer(MixerReader("compressed", lambda layer: layer.mixer == "compressed" and layer.keys.has("o_groups"), read_compressed, order=20))
