"""MiniMax VL: a CLIP-like encoder over space and time without stored positions, and two projections, before and after patches are merged."""

from __future__ import annotations

from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


def _merging(part: Keys) -> Keys | None:
    """The keys of merging: in a part of their own, or beside the others."""
    if part.has("img_token_compression_config"):
        return part.section("img_token_compression_config")
    return (
        part
        if part.has("num_hidden_layers") and part.has("temporal_patch_size") and part.has("spatial_merge_size") and part.has("image_size")
        else None
    )


@register_tower("minimax", "vision", lambda tower: tower.whole.has("projector_hidden_size") and _merging(tower.part) is not None)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Rotary positions in three dimensions store nothing."""
    part, merging = tower.part, _merging(tower.part)
    if merging is None:
        return False
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch = side(part, "patch_size")
    encoder = shelf.under("vision_tower.vision_model")
    time = merging.integer("temporal_patch_size", default=2, low=1, high=64)
    encoder.conv("embeddings.patch_embedding", width, part.integer("num_channels", default=3, low=1, high=64), time, patch, patch)
    encoder.norm("pre_layrnorm", width)
    block = encoder.each("encoder.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    attention(block.under("self_attn"), width, heads)
    plain_mlp(block.under("mlp"), width, inner)
    block.norm("layer_norm1", width)
    block.norm("layer_norm2", width)
    between, hidden = tower.whole.needed("projector_hidden_size"), tower.hidden_size
    bias = tower.whole.flag("multimodal_projector_bias", default=True)
    square = merging.integer("spatial_merge_size", default=2, low=1, high=64) ** 2
    for name, columns in (("multi_modal_projector", width), ("patch_merge_mlp", hidden * square)):
        part_shelf = shelf.under(name)
        part_shelf.linear("linear_1", between, columns, Split.COLUMN, bias=bias)
        part_shelf.linear("linear_2", hidden, between, Split.ROW, bias=bias)
    return True
