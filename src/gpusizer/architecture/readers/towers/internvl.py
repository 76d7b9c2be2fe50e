"""InternVL: a ViT with a class token, learned positions and scaled residual branches."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.readers.towers.projectors import project

__all__ = ["read"]


@register_tower("internvl", "vision", lambda tower: tower.part.has("use_absolute_position_embeddings") and tower.part.has("norm_type"))
def read(tower: Tower, shelf: Shelf) -> bool:
    """Norms are layer norms or RMS norms; queries and keys may have one over all heads."""
    part = tower.part
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch, bias = side(part, "patch_size"), part.text("norm_type", default="layer_norm") == "layer_norm"
    encoder = shelf.under("vision_tower")
    encoder.array("embeddings.cls_token", 1, 1, width)
    if part.flag("use_mask_token"):
        encoder.array("embeddings.mask_token", 1, 1, width)
    if part.flag("use_absolute_position_embeddings", default=True):
        encoder.array("embeddings.position_embeddings", 1, (side(part, "image_size") // patch) ** 2 + 1, width)
    encoder.conv("embeddings.patch_embeddings.projection", width, part.integer("num_channels", default=3, low=1, high=64), patch, patch, bias=True)
    block = encoder.each("encoder.layer", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.array("lambda_1", width)
    block.array("lambda_2", width)
    near = block.under("attention")
    attention(near, width, heads, bias=part.flag("attention_bias"), names=("q_proj", "k_proj", "v_proj", "projection_layer"))
    if part.flag("use_qk_norm"):
        near.norm("q_norm", width, bias=False)
        near.norm("k_norm", width, bias=False)
    plain_mlp(block.under("mlp"), width, inner)
    block.norm("layernorm_before", width, bias=bias)
    block.norm("layernorm_after", width, bias=bias)
    if not part.flag("use_mean_pooling", default=True):
        encoder.norm("layernorm", width)
    return project(tower, shelf, width)
