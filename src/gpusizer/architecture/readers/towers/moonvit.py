"""MoonViT: Kimi VL and K2.5, with a table of positions by place and a merging projector."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]

_KNOWN = {"mlp_type": ("mlp2",), "norm_type": ("layer_norm", "layernorm"), "mm_projector_type": ("patchmerger",)}


@register_tower("moonvit", "vision", lambda tower: tower.part.has("init_pos_emb_height", "pos_emb_height") and tower.part.has("merge_kernel_size"))
def read(tower: Tower, shelf: Shelf) -> bool:
    """Understood with layer norms, biases and the first projector; a later form that says otherwise is not."""
    part = tower.part
    if any(part.text(key, default=known[0]) not in known for key, known in _KNOWN.items()):
        return False
    width, inner = part.needed("vt_hidden_size", "hidden_size"), part.needed("vt_intermediate_size", "intermediate_size")
    heads = part.needed("vt_num_attention_heads", "num_attention_heads")
    patch, channels = side(part, "patch_size"), part.integer("num_channels", default=3, low=1, high=64)
    encoder = shelf.under("vision_tower")
    encoder.conv("patch_embed.proj", width, channels, patch, patch, bias=True)
    rows, columns = (
        part.needed("init_pos_emb_height", "pos_emb_height", high=1 << 16),
        part.needed("init_pos_emb_width", "pos_emb_width", high=1 << 16),
    )
    encoder.array("patch_embed.pos_emb.weight", rows, columns, width)
    block = encoder.each("encoder.blocks", part.needed("vt_num_hidden_layers", "num_hidden_layers", high=MAX_BLOCKS))
    block.norm("norm0", width)
    block.norm("norm1", width)
    attention(block, width, heads, names=("wq", "wk", "wv", "wo"))
    plain_mlp(block.under("mlp"), width, inner, names=("fc0", "fc1"))
    encoder.norm("encoder.final_layernorm", width)
    kernel = part.integers("merge_kernel_size", low=1, high=64) or (2, 2)
    merged = width * kernel[0] * kernel[-1]
    projector = shelf.under("mm_projector")
    projector.norm("pre_norm", width)
    projector.linear("proj.0", merged, merged, Split.COLUMN, bias=True)
    projector.linear("proj.2", part.integer("text_hidden_size", default=tower.hidden_size, low=1), merged, Split.ROW, bias=True)
    return True
