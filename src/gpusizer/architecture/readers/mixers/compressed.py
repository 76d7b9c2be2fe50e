"""Compressed attention: a raw window, and pooled entries of which a small ratio is searched with an indexer; keys and values are one vector."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, matrix, norm, row, vector
from gpusizer.architecture.types import CompressedAttention, Indexer, Mixer, Split, Tensor

GROUP = "attention"
_INDEXED_UP_TO = 8  # ratios at which single entries are still searched; larger ones are read whole


def _pool(name: str, width: int, ratio: int, overlap: int, hidden: int, group: str, norm_group: str) -> tuple[Tensor, ...]:
    """A compressor: ``ratio`` tokens become one entry; small ratios pool two overlapping halves. It stays out of FP8."""
    wide = width * overlap
    position = Tensor(f"{name}position_bias", (ratio, wide), group, dtype="fp32")
    tensors = matrix(f"{name}kv_proj", wide, hidden, group, dtype="bf16") + matrix(f"{name}gate_proj", wide, hidden, group, dtype="bf16")
    return (position, *tensors, *norm(f"{name}kv_norm", width, group=norm_group))


def read_compressed(layer: LayerContext) -> tuple[Mixer, ...]:
    """The compressed attention of one layer."""
    keys, hidden = layer.keys, layer.hidden
    name = layer.class_words.attention
    heads, width = layer.needed(*HEADS), keys.needed("head_dim")
    ratio, window = layer.integer("compress_ratios", default=0), keys.needed("sliding_window")
    keys.ignore("num_key_value_heads", "compress_rates", "layer_types")
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
    indexer = None
    if ratio:
        small = ratio <= _INDEXED_UP_TO
        overlap = 2 if small else 1
        tensors += _pool(f"{name}compressor.", width, ratio, overlap, hidden, GROUP, "norms")
        if small:
            index_heads, index_width = keys.needed("index_n_heads"), keys.needed("index_head_dim")
            part = f"{name}compressor.indexer."
            tensors += _pool(part, index_width, ratio, overlap, hidden, "indexer", "indexer")
            tensors += matrix(f"{part}q_b_proj", index_heads * index_width, q_rank, "indexer")
            tensors += matrix(f"{part}scorer.weights_proj", index_heads, hidden, "indexer", dtype="bf16")
            indexer = Indexer(index_heads, index_width, keys.integer("index_topk", default=0))
    return (CompressedAttention(heads, width, rope, window, ratio, tensors, indexer),)


register_mixer(MixerReader("compressed", lambda layer: layer.mixer == "compressed" and layer.keys.has("o_groups"), read_compressed, order=20))
