"""A decoder beside an encoder: a layer attends to the text before, then to what the encoder made of the input."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import GROUP, attention_geometry, read_attention
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, kv_columns, row
from gpusizer.architecture.types import CrossAttention, Mixer

__all__ = ["read_listening"]


def read_listening(layer: LayerContext) -> tuple[Mixer, ...]:
    """Attention with a cache that grows, and attention to so many positions of the encoder."""
    geometry, hidden, name = attention_geometry(layer), layer.hidden, "encoder_attn."
    width = geometry.heads * geometry.head_dim
    tensors = column(f"{name}q_proj", width, hidden, GROUP, geometry.heads, bias=True)
    tensors += kv_columns(f"{name}k_proj", width, hidden, GROUP, geometry.heads)
    tensors += kv_columns(f"{name}v_proj", width, hidden, GROUP, geometry.heads, bias=True)
    tensors += row(f"{name}out_proj", hidden, width, GROUP, geometry.heads, bias=True)
    rows = layer.keys.needed("max_source_positions", high=1 << 20)
    return (*read_attention(layer), CrossAttention(geometry.heads, geometry.head_dim, rows, tensors))


register_mixer(MixerReader("listening", lambda layer: layer.mixer == "attention+cross", read_listening, order=30))
