"""Which kinds of mixers a model has: what engines choose kernels, pages and pools by."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, LatentAttention, LinearAttention
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
    latents = architecture.mixers_of(LatentAttention)
    return Kinds(
        latent=bool(latents),
        sparse=any(mixer.picks is not None for mixer in latents),
        compressed=bool(architecture.mixers_of(CompressedAttention)),
        states=any(mixer.state is not None for mixer in architecture.mixers),
        windows=any(mixer.seen_tokens for mixer in architecture.mixers),
        towers=bool(architecture.towers),
        channel_gates=bool(latents and architecture.mixers_of(LinearAttention)),
    )
