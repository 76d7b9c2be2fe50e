"""InternViT with the checkpoint's own names: fused attention, scaled residual branches, an MLP over a square of patches (``mlp1``)."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, fused_attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


@register_tower(
    "intern-vit", "vision", lambda tower: tower.part.has("qk_normalization") and tower.part.has("qkv_bias") and tower.part.has("norm_type")
)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Norms of queries and keys, where there are any, run over all heads."""
    part = tower.part
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch, bias = side(part, "patch_size"), part.text("norm_type", default="layer_norm") == "layer_norm"
    encoder = shelf.under("vision_model")
    encoder.array("embeddings.class_embedding", 1, 1, width)
    encoder.array("embeddings.position_embedding", 1, (side(part, "image_size") // patch) ** 2 + 1, width)
    encoder.conv("embeddings.patch_embedding", width, part.integer("num_channels", default=3, low=1, high=64), patch, patch, bias=True)
    block = encoder.each("encoder.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    near = block.under("attn")
    fused_attention(near, width, heads, 3 * width, bias=part.flag("qkv_bias"), out_bias=True)
    if part.flag("qk_normalization"):
        near.norm("q_norm", width, bias=False)
        near.norm("k_norm", width, bias=False)
    plain_mlp(block.under("mlp"), width, inner)
    for name, scale in (("norm1", "ls1"), ("norm2", "ls2")):
        block.norm(name, width, bias=bias)
        block.array(scale, width)
    square = width * round(1 / tower.whole.number("downsample_ratio", default=0.5, low=1 / 64, high=1.0)) ** 2
    shelf.norm("mlp1.0", square)
    shelf.linear("mlp1.1", tower.hidden_size, square, Split.COLUMN, bias=True)
    shelf.linear("mlp1.3", tower.hidden_size, tower.hidden_size, Split.ROW, bias=True)
    return True
