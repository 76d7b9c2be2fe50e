"""Gated blocks with rotary positions and fused projections, an aligner over a square of patches (DeepSeek-V4.1)."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


@register_tower("downsampled", "vision", lambda tower: tower.part.has("downsample_ratio") and tower.part.has("max_image_tokens"))
def read(tower: Tower, shelf: Shelf) -> bool:
    """RMS norms, biases on attention alone; two layers bring the patches of a square to the width of the language model."""
    part = tower.part
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch = side(part, "patch_size")
    encoder = shelf.under("vision")
    encoder.linear("patch_embed.proj", width, part.integer("num_channels", default=3, low=1, high=64) * patch * patch, bias=True)
    block = encoder.each("blocks", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.linear("attn.wqkv", 3 * width, width, Split.COLUMN, heads, bias=True)
    block.linear("attn.wo", width, width, Split.ROW, heads, bias=True)
    block.linear("mlp.w1", 2 * inner, width, Split.COLUMN)
    block.linear("mlp.w2", width, inner, Split.ROW)
    block.norm("norm1", width, bias=False)
    block.norm("norm2", width, bias=False)
    encoder.norm("norm", width, bias=False)
    merged = width * part.needed("downsample_ratio", high=64) ** 2
    shelf.linear("aligner.w1", tower.hidden_size, merged, bias=True)
    shelf.linear("aligner.w2", tower.hidden_size, tower.hidden_size, bias=True)
    return True
