"""Step-3.x: scaled residual blocks, two strided convolutions and one projection."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    part = tower.part
    return part.has("layer_scale_init_value") and part.has("mlp_ratio") and part.has("max_position_embeddings") and part.has("image_size")


@register_tower("step", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Each residual branch has a stored scale; the convolutions halve the sides and double the channels."""
    part = tower.part
    width, heads = part.needed("hidden_size"), part.needed("num_attention_heads")
    inner = int(width * part.number("mlp_ratio", default=4.0, high=64.0))  # the class derives it, whatever ``intermediate_size`` says
    patch = side(part, "patch_size")
    encoder = shelf.under("vision_model")
    encoder.conv("conv1", width, part.integer("num_channels", default=3, low=1, high=64), patch, patch)
    encoder.array("positional_embedding", (side(part, "image_size") // patch) ** 2, width)
    encoder.norm("ln_pre", width)
    block = encoder.each("transformer.resblocks", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    attention(block.under("attn"), width, heads)
    plain_mlp(block.under("mlp"), width, inner, names=("c_fc", "c_proj"))
    for norm, scale in (("ln_1", "ls_1.gamma"), ("ln_2", "ls_2.gamma")):
        block.norm(norm, width)
        block.array(scale, width)
    encoder.conv("vit_downsampler1", 2 * width, width, 3, 3, bias=True)
    encoder.conv("vit_downsampler2", 4 * width, 2 * width, 3, 3, bias=True)
    shelf.linear("vit_large_projector", tower.hidden_size, 4 * width, bias=tower.whole.flag("projector_bias"))
    return True
