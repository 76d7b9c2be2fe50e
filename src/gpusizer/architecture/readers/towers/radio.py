"""RADIO: a ViT with several class tokens and registers, one table of positions, scaled residual branches; used by Nemotron omni models."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.readers.towers.projectors import project

__all__ = ["read"]


@register_tower(
    "radio", "vision", lambda tower: tower.part.has("num_registers") and tower.part.has("num_cls_tokens") and tower.part.has("max_img_size")
)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Patches of images and of video enter by a matrix each."""
    part = tower.part
    width, heads = part.needed("hidden_size"), part.needed("num_attention_heads")
    inner = int(width * part.number("mlp_ratio", default=4.0, high=64.0))
    patch, channels = side(part, "patch_size"), part.integer("num_channels", default=3, low=1, high=64)
    encoder = shelf.under("vision_model")
    encoder.array("embeddings.position_embedding", 1, (side(part, "max_img_size") // patch) ** 2, width)
    encoder.array("embeddings.cls_register_token", part.needed("num_cls_tokens", high=4096) + part.needed("num_registers", high=4096, low=0), width)
    encoder.linear("embeddings.patch_projection", width, part.integer("patch_dim", default=channels * patch * patch, low=1))
    encoder.linear("embeddings.video_patch_projection", width, part.integer("video_patch_dim", default=0))
    block = encoder.each("encoder.layer", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    attention(block.under("attention"), width, heads, bias=part.flag("qkv_bias", default=True), names=("q_proj", "k_proj", "v_proj", "o_proj"))
    plain_mlp(block.under("mlp"), width, inner)
    for norm, scale in (("norm1", "layer_scale1.lambda1"), ("norm2", "layer_scale2.lambda1")):
        block.norm(norm, width)
        block.array(scale, width)
    return project(tower, shelf, width)
