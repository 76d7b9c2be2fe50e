"""Attention and a state-space block side by side in one layer: both read the same input and both cache."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import read_attention
from gpusizer.architecture.readers.mixers.state_space import read_state_space
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.types import Mixer

__all__ = ["read_side_by_side"]


def read_side_by_side(layer: LayerContext) -> tuple[Mixer, ...]:
    """The attention, then the state-space block."""
    return read_attention(layer) + read_state_space(layer)


register_mixer(
    MixerReader("side-by-side", lambda layer: layer.mixer == "attention+mamba" and not layer.keys.has("num_mem_blocks"), read_side_by_side, order=30)
)
