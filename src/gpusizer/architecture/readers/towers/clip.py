"""CLIP and SigLIP encoders, alone or with the projector of a LLaVA-like model."""

from __future__ import annotations

from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.readers.towers.projectors import project

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    return tower.part.text("block") == "clip" and not tower.part.has("img_token_compression_config")


@register_tower("clip", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """What the class implies (a class token, a norm before or after, a pooling head) stands in the data."""
    part = tower.part
    width = part.needed("hidden_size")
    names = [part.text("stored_below", default="vision_tower.vision_model")]
    for name in tower.whole.sequence("encoders") or names:  # a model of stills and video has one encoder for each
        _encoder(part, shelf.under(str(name)), width)
    return project(tower, shelf, width)


def _encoder(part: Keys, encoder: Shelf, width: int) -> None:
    inner, heads = part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch, channels = side(part, "patch_size"), part.integer("num_channels", default=3, low=1, high=64)
    if part.flag("class_token"):
        encoder.array("embeddings.class_embedding", width)
    patches = part.integer("num_patches", low=1, high=1 << 24)
    if patches is None:
        encoder.conv("embeddings.patch_embedding", width, channels, patch, patch, bias=part.flag("patch_bias"))
        patches = (side(part, "image_size") // patch) ** 2
    else:
        encoder.linear("embeddings.patch_embedding", width, channels * patch * patch, bias=part.flag("patch_bias"))
    encoder.array("embeddings.position_embedding.weight", patches + part.flag("class_token"), width)
    if part.flag("norm_before"):
        encoder.norm("pre_layrnorm", width)  # the checkpoints' own spelling
    block = encoder.each("encoder.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.norm("layer_norm1", width)
    block.norm("layer_norm2", width)
    attention(block.under("self_attn"), width, heads)
    plain_mlp(block.under("mlp"), width, inner)
    if part.flag("norm_after"):
        encoder.norm("post_layernorm", width)
    if part.flag("vision_use_head"):
        head = encoder.under("head")
        head.array("probe", 1, 1, width)
        head.array("attention.in_proj_weight", 3 * width, width)
        head.array("attention.in_proj_bias", 3 * width)
        head.linear("attention.out_proj", width, width, bias=True)
        head.norm("layernorm", width)
        plain_mlp(head.under("mlp"), width, inner)
