"""ERNIE VL: plain blocks below ``vision_tower`` and a resampler over space and time."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, fused_attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    moments = tower.part.has("temporal_merge_size") or tower.whole.has("temporal_conv_size")
    return moments and tower.part.has("depth") and tower.part.has("num_heads") and not tower.part.has("temporal_patch_size")


@register_tower("ernie", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Patches enter by a matrix; the resampler joins a square of patches, then two moments, then narrows to the language model."""
    part = tower.part
    width, heads = part.needed("embed_dim", "hidden_size"), part.needed("num_heads")
    inner = part.integer("intermediate_size", low=1) or int(width * part.number("mlp_ratio", default=4.0, high=64.0))
    patch, channels = side(part, "patch_size"), part.integer("in_channels", "in_chans", default=3, low=1, high=64)
    encoder = shelf.under("vision_tower")
    encoder.linear("patch_embed.proj", width, channels * patch * patch)
    block = encoder.each("blocks", part.needed("depth", high=MAX_BLOCKS))
    block.norm("norm1", width)
    block.norm("norm2", width)
    fused_attention(block.under("attn"), width, heads, 3 * width, bias=True, out_bias=True)
    plain_mlp(block.under("mlp"), width, inner)
    encoder.norm("ln", width)
    wide = width * part.integer("spatial_merge_size", default=2, low=1, high=64) ** 2
    moments = part.integer("temporal_merge_size", low=1, high=64) or tower.whole.integer("temporal_conv_size", default=2, low=1, high=64)
    resampler = shelf.under("resampler_model")
    for name, columns in (("spatial_linear", wide), ("temporal_linear", wide * moments)):
        step = resampler.under(name)
        step.linear("fc1", wide, columns, Split.COLUMN, bias=True)
        step.linear("fc2", wide, wide, Split.ROW, bias=True)
        step.norm("ln", wide)
    resampler.linear("mlp", tower.hidden_size, wide, bias=True)
    resampler.norm("after_norm", tower.hidden_size, bias=False)
    return True
