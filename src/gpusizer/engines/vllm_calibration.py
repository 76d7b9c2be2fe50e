"""Constants of vLLM that were fitted to start-up logs; ``scripts/calibrate_memory.py`` computes them anew from the measured rows.

Each says what it stands for, how many configurations it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.units import GiB, MiB

__all__ = ["CONTEXT", "GRAPHS", "NON_TORCH", "SAMPLER", "Band", "band"]


@dataclass(frozen=True, slots=True)
class Band:
    """A fitted size with the width of its band on each side. [bytes]"""

    bytes: float
    below: float
    above: float


def band(gib: float, below_gib: float, above_gib: float) -> Band:
    """A band given in GiB."""
    return Band(gib * GiB, below_gib * GiB, above_gib * GiB)


# Workspace that ROCm's matrix library takes from the allocator while loading: n = 4 configurations of two models, error 7 MiB.
ROCM_LIBRARY = band(0.072, 0.02, 0.02)

# Growth outside the allocator between the baseline and the end of the profile run, charged to the budget.
NON_TORCH = {
    "alone": band(0.26, 0.15, 0.3),
    "tensor": band(2.1, 1.5, 0.4),
    "pipeline": band(0.1, 0.1, 0.4),
}

# CUDA context and communicators that exist before the baseline: outside the budget.
CONTEXT = band(0.51, 0.15, 0.15)
COMMUNICATION = band(0.98, 0.4, 0.5)
EXPERT_COMMUNICATION = band(0.5, 0.3, 0.3)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Bytes of one logit at the sampler's peak, and what does not depend on the model."""

    bytes_per_logit: float
    fixed_bytes: float


SAMPLER = Sampler(14.2, 0.15 * GiB)
SAMPLER_V2 = Sampler(10.0, 0.15 * GiB)
HIDDEN_COPIES = 4.3


@dataclass(frozen=True, slots=True)
class Graphs:
    """Memory of captured graphs: a pool, and a part for each graph and layer."""

    fixed_bytes: float
    bytes_per_graph_and_layer: float
    error: float


GRAPHS = Graphs(0.2 * GiB, 0.21 * MiB, 0.5)
