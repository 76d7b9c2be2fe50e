"""Muse: windowed blocks with layer norms around them, a table of positions, an adapter over a square of patches."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


@register_tower(
    "muse", "vision", lambda tower: tower.part.has("patch_temporal") and tower.part.has("merge_size") and tower.part.has("pos_emb_height")
)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Patches of two moments enter by a matrix."""
    part, whole = tower.part, tower.whole
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch, time = side(part, "patch_size"), part.needed("patch_temporal", high=64)
    encoder = shelf.under("vision_tower")
    encoder.linear("patch_embedder.patch_embedding", width, part.integer("num_channels", default=3, low=1, high=64) * time * patch * patch)
    places = part.needed("pos_emb_height", high=1 << 16) * part.needed("pos_emb_width", high=1 << 16)
    encoder.array("patch_embedder.position_embedding_table.weight", places, width)
    encoder.norm("ln_pre", width)
    encoder.norm("ln_post", width)
    block = encoder.each("layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.norm("norm1", width)
    block.norm("norm2", width)
    attention(block.under("attn"), width, heads, names=("q_proj", "k_proj", "v_proj", "proj"))
    plain_mlp(block.under("mlp"), width, inner)
    between = whole.needed("projector_hidden_size")
    merged = whole.integer("out_hidden_size", default=width * part.needed("merge_size", high=64) ** 2, low=1)
    shelf.linear("vision_adapter.fc1", between, merged, Split.COLUMN, bias=False)
    shelf.linear("vision_adapter.fc2", between, between, Split.ROW, bias=False)
    shelf.linear("vision_projection", tower.hidden_size, between)
    return True
