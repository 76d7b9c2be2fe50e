"""Cross-attention to image features: its keys and values come from the tower once per image and grow with no token of text."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import GROUP, attention_geometry
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, kv_columns, norm, row, vector
from gpusizer.architecture.types import Attention, Mixer

__all__ = ["read_cross"]


def read_cross(layer: LayerContext) -> tuple[Mixer, ...]:
    """Attention without a cache per token, with gates on both halves of the layer."""
    geometry, hidden, name = attention_geometry(layer), layer.hidden, "cross_attn."
    tensors = column(f"{name}q_proj", geometry.heads * geometry.head_dim, hidden, GROUP, geometry.heads)
    for part in ("k_proj", "v_proj"):
        tensors += kv_columns(name + part, geometry.kv_heads * geometry.head_dim, hidden, GROUP, geometry.kv_heads)
    tensors += row(f"{name}o_proj", hidden, geometry.heads * geometry.head_dim, GROUP, geometry.heads)
    tensors += norm(f"{name}q_norm", geometry.head_dim) + norm(f"{name}k_norm", geometry.head_dim)
    tensors += vector("cross_attn_attn_gate", 1, GROUP) + vector("cross_attn_mlp_gate", 1, GROUP)
    layer.model.notice("cross-attention")
    return (Attention(geometry.heads, geometry.kv_heads, geometry.head_dim, geometry.v_head_dim, tensors, caches=False),)


register_mixer(MixerReader("cross", lambda layer: layer.mixer == "cross", read_cross, order=30))
