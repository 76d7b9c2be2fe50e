"""Pixtral: gated blocks without biases and with rotary positions; used by Mistral 3, Mistral Large 4, LightOn OCR, Pixtral."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, gated_mlp, register_tower, side
from gpusizer.architecture.readers.towers.projectors import project

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    return tower.part.text("model_type") == "pixtral" or tower.part.text("block") == "pixtral"


@register_tower("pixtral", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Patch convolution and RMS norms; the projector is the whole model's."""
    part = tower.part
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch = side(part, "patch_size")
    encoder = shelf.under("vision_tower")
    encoder.conv("patch_conv", width, part.integer("num_channels", default=3, low=1, high=64), patch, patch)
    encoder.norm("ln_pre", width, bias=False)
    block = encoder.each("transformer.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.norm("attention_norm", width, bias=False)
    block.norm("ffn_norm", width, bias=False)
    attention(block.under("attention"), width, heads, bias=False, out_bias=False, names=("q_proj", "k_proj", "v_proj", "o_proj"))
    gated_mlp(block.under("feed_forward"), width, inner)
    return project(tower, shelf, width)
