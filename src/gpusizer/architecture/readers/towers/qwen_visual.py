"""Towers of ``depth`` blocks below ``visual`` with a patch merger: Qwen2-VL to Qwen3.5, and those built from them."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, fused_attention, gated_mlp, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    part = tower.part
    deep = part.has("depth") and part.has("num_heads") and part.has("temporal_patch_size") and part.has("spatial_merge_size")
    return deep and part.has("num_position_embeddings", "embed_dim", "fullatt_block_indexes", "window_size") and not part.has("image_size")


@register_tower("qwen-visual", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Three generations, told apart by their keys: a plain MLP with layer norms; a gated one with RMS norms; learned positions and deep mergers."""
    part = tower.part
    learned = part.integer("num_position_embeddings", high=1 << 24)
    first = part.has("embed_dim")  # here ``hidden_size`` is the width of the language model
    width = part.needed("embed_dim") if first else part.needed("hidden_size")
    out = part.needed("hidden_size") if first else part.integer("out_hidden_size", default=tower.hidden_size, low=1)
    depth, heads = part.needed("depth", high=MAX_BLOCKS), part.needed("num_heads")
    inner = int(width * part.number("mlp_ratio", default=4.0, high=64.0)) if first else part.needed("intermediate_size")
    gated = not first and learned is None
    shelf = shelf.under("visual")
    patch = (
        part.integer("in_channels", "in_chans", default=3, low=1, high=64),
        part.needed("temporal_patch_size", high=64),
        *(side(part, "patch_size"),) * 2,
    )
    shelf.conv("patch_embed.proj", width, *patch, bias=learned is not None)
    if learned is not None:
        shelf.array("pos_embed.weight", learned, width)
    block = shelf.each("blocks", depth)
    block.norm("norm1", width, bias=not gated)
    block.norm("norm2", width, bias=not gated)
    key_heads = part.integer("num_key_value_heads", default=heads, low=1, high=heads)
    fused_attention(block.under("attn"), width, heads, width + 2 * (width // heads) * key_heads, bias=True, out_bias=True)
    if gated:
        gated_mlp(block.under("mlp"), width, inner, bias=True)
    else:
        plain_mlp(block.under("mlp"), width, inner, names=("fc1", "fc2") if first else ("linear_fc1", "linear_fc2"))
    merged = width * part.needed("spatial_merge_size", high=64) ** 2
    if learned is None:
        _merge(shelf.under("merger"), "ln_q", width, merged, out, ("mlp.0", "mlp.2"), bias=not gated)
    else:
        _merge(shelf.under("merger"), "norm", width, merged, out, ("linear_fc1", "linear_fc2"), bias=True)
        deep = len(part.sequence("deepstack_visual_indexes") or ())
        _merge(shelf.each("deepstack_merger_list", deep), "norm", merged, merged, out, ("linear_fc1", "linear_fc2"), bias=True)
    if tower.whole.text("projector") == "linear":  # a further projection after the merger
        shelf.linear("projector", tower.hidden_size, out, bias=True)
    return True


def _merge(shelf: Shelf, norm: str, width: int, merged: int, out: int, names: tuple[str, str], *, bias: bool) -> None:
    shelf.norm(norm, width, bias=bias)
    shelf.linear(names[0], merged, merged, Split.COLUMN, bias=True)
    shelf.linear(names[1], out, merged, Split.ROW, bias=True)
