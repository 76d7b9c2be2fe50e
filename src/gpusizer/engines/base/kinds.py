"""Which kinds of mixers a model has: what engines choose kernels, pages and pools by."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, LinearAttention, StateSpace
from gpusizer.engines.base.weights import once_per_architecture

__all__ = ["Kinds", "kinds_of"]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What decides the engine's choices: which mixers a model has, and whether it reads images."""

    latent: bool
    sparse: bool
    compressed: bool
    states: bool
    windows: bool
    towers: bool
    channel_gates: bool  # a linear mixer whose keys and values have as many heads (KDA)


@once_per_architecture
def kinds_of(architecture: Architecture) -> Kinds:
    """Tally the mixers of a model (remembered)."""
    mixers = [mixer for layer in architecture.layers for mixer in layer.mixers]
    latents = [mixer for mixer in mixers if isinstance(mixer, LatentAttention)]
    return Kinds(
        latent=bool(latents),
        sparse=any(mixer.indexer is not None for mixer in latents),
        compressed=any(isinstance(mixer, CompressedAttention) for mixer in mixers),
        states=any(isinstance(mixer, LinearAttention | StateSpace) for mixer in mixers),
        windows=any(isinstance(mixer, Attention) and (mixer.window or mixer.chunk) for mixer in mixers),
        towers=bool(architecture.towers),
        channel_gates=bool(latents) and any(isinstance(mixer, LinearAttention) for mixer in mixers),
    )
