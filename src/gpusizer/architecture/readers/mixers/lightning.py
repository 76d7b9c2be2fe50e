"""Lightning attention: a state of keys by values for each head that decays at a fixed rate; no convolution."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, norm, row
from gpusizer.architecture.types import LinearAttention, Mixer

GROUP = "linear_attention"


def read_lightning(layer: LayerContext) -> tuple[Mixer, ...]:
    """The lightning attention of one layer; every head has keys and values of its own."""
    hidden, name = layer.hidden, layer.class_words.attention
    heads = layer.needed(*HEADS)
    width = layer.integer("head_dim", low=1) or hidden // heads
    wide = heads * width
    tensors = norm(f"{name}norm", wide) + column(f"{name}qkv_proj", 3 * wide, hidden, GROUP, heads)
    tensors += row(f"{name}out_proj", hidden, wide, GROUP, heads) + column(f"{name}output_gate", wide, hidden, GROUP, heads)
    return (LinearAttention(heads, heads, width, width, tensors, state_dtype="fp32"),)


register_mixer(MixerReader("lightning", lambda layer: layer.mixer == "linear" and layer.class_words.lightning, read_lightning, order=20))
