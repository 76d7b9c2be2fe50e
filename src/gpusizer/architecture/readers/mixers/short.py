"""Mixers with a small state of their own: gated short convolutions, and the real-gated linear recurrent unit with its convolution."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.mixers.delta import convolution
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, row, vector
from gpusizer.architecture.types import LinearAttention, Mixer, Split, StateSpace, Tensor

__all__ = ["SHORT_KEYS", "read_recurrent", "read_short_convolution"]

GROUP = "linear_attention"
_CACHED = ("conv_L_cache", "conv_cache_len", "conv_kernel_size")
SHORT_KEYS = (*_CACHED, "conv_bias", "conv1d_width")


def read_short_convolution(layer: LayerContext) -> tuple[Mixer, ...]:
    """A convolution of a few columns between two gates; the columns are all that it remembers."""
    keys, hidden = layer.keys, layer.hidden
    kernel, bias = keys.needed(*_CACHED, high=1 << 16), keys.flag("conv_bias")
    name = "conv."
    tensors = column(f"{name}in_proj", 3 * hidden, hidden, GROUP, bias=bias) + convolution(f"{name}conv", hidden, kernel, bias=bias)
    tensors += row(f"{name}out_proj", hidden, hidden, GROUP, bias=bias)
    return (LinearAttention(0, 0, 0, 0, tensors, hidden, kernel),)


def read_recurrent(layer: LayerContext) -> tuple[Mixer, ...]:
    """A recurrent unit of ``lru_width`` channels with block-diagonal gates, kept in F32, behind a convolution."""
    keys, hidden = layer.keys, layer.hidden
    width, kernel = keys.integer("lru_width", default=hidden, low=1), keys.integer("conv1d_width", default=4, low=1, high=1 << 16)
    heads = layer.needed(*HEADS)
    block, name = width // heads, "temporal_block."
    tensors = column(f"{name}linear_y", width, hidden, GROUP, bias=True) + column(f"{name}linear_x", width, hidden, GROUP, bias=True)
    tensors += row(f"{name}linear_out", hidden, width, GROUP, bias=True) + convolution(f"{name}conv_1d", width, kernel, bias=True)
    tensors += vector(f"{name}rg_lru.recurrent_param", width, GROUP, Split.COLUMN)
    for gate in ("input_gate", "recurrent_gate"):
        tensors += (Tensor(f"{name}rg_lru.{gate}_weight", (heads, block, block), GROUP, Split.COLUMN, heads),)
        tensors += (Tensor(f"{name}rg_lru.{gate}_bias", (heads, block), GROUP, Split.COLUMN, heads),)
    return (StateSpace(width, 1, kernel, tensors, state_dtype="fp32"),)


register_mixer(MixerReader("short-convolution", lambda layer: layer.mixer == "conv" and layer.keys.has(*_CACHED), read_short_convolution, order=30))
register_mixer(MixerReader("recurrent", lambda layer: layer.mixer == "recurrent", read_recurrent, order=30))
