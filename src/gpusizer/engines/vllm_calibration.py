"""Constants of vLLM that were fitted to start-up logs; ``scripts/calibrate_memory.py`` computes them anew from the measured rows.

Each says what it stands for, how many configurations it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.units import GiB, MiB

__all__ = [
    "COMMUNICATION",
    "CONTEXT",
    "ENCODED_COPIES",
    "ENCODER_COPIES",
    "EXPERT_COMMUNICATION",
    "GRAPHS",
    "GRAPH_ESTIMATE_SPREAD",
    "GROWTH",
    "HELD_BYTES_PER_TOKEN",
    "HELD_COPIES",
    "HIDDEN_COPIES",
    "PEAK_ABOVE",
    "PEAK_BELOW",
    "ROCM_GRAPHS",
    "ROCM_LIBRARY",
    "SAMPLER_COPIES",
    "WEIGHT_ERROR",
    "Band",
    "band",
]


@dataclass(frozen=True, slots=True)
class Band:
    """A fitted size with the width of its band on each side. [bytes]"""

    bytes: float
    below: float
    above: float


def band(gib: float, below_gib: float, above_gib: float) -> Band:
    """A band given in GiB."""
    return Band(gib * GiB, below_gib * GiB, above_gib * GiB)


# Bands of stored tensors, as shares. A precision stands for what publishers make of it: which layers they leave out differs most for NVFP4.
WEIGHT_ERROR = {"plain": 0.006, "checkpoint": 0.03, "rocm": 0.045, "fp8": 0.012, "int8": 0.012, "int4": 0.04, "mxfp4": 0.04, "nvfp4": 0.12}

# Workspace that ROCm's matrix library takes from the allocator while loading: n = 4 configurations of two models, error 7 MiB.
ROCM_LIBRARY = band(0.072, 0.02, 0.02)

# Growth outside the allocator between the baseline and the end of the profile run, charged to the budget.
GROWTH = {
    "alone-before-0.18": band(0.13, 0.2, 0.25),
    "alone": band(0.26, 0.15, 0.35),
    "switched-before-0.18": band(0.55, 0.3, 0.5),
    "switched": band(2.1, 0.6, 0.4),
    "unswitched": band(0.45, 0.35, 0.6),
    "unswitched-blackwell": band(1.1, 0.4, 0.6),
    "pipeline": band(0.1, 0.1, 0.4),
    "rocm": band(0.5, 0.3, 0.7),
    "unified": band(2.2, 1.2, 1.8),
}

# CUDA context and communicators that exist before the baseline: outside the budget.
CONTEXT = {"cuda": band(0.51, 0.15, 0.15), "rocm": band(0.2, 0.15, 0.3)}
COMMUNICATION = {"switched": band(0.98, 0.4, 0.6), "unswitched": band(0.6, 0.3, 0.6), "rocm": band(0.1, 0.1, 0.5)}
EXPERT_COMMUNICATION = band(0.5, 0.3, 0.3)

# Bytes of one logit at the sampler's peak beside the logit itself: sorting until 0.16 (with large buffers in ROCm builds before 0.13), kernels of its
# own since.
SAMPLER_COPIES = {"sorting": 35.6, "sorting-rocm": 380.0, "fused": 12.0}

# The hidden state beside the sampler, and buffers that grow with the step.
HELD_COPIES = 1.0
HELD_BYTES_PER_TOKEN = 0.12 * GiB / 8192

# Hidden states that live together at the widest point of a decoder layer.
HIDDEN_COPIES = 4.3

# Band of the activation peak, as shares.
PEAK_BELOW, PEAK_ABOVE = 0.2, 0.35

# Vision towers: tensors of the tower's width for each patch of the largest image, and copies of its outputs that stay.
ENCODER_COPIES = 14.0
ENCODED_COPIES = 1.7


@dataclass(frozen=True, slots=True)
class Graphs:
    """Memory of captured graphs: a part for each graph and layer, and what the rest of the model weighs in layers."""

    bytes_per_graph_and_layer: float
    more_layers: float
    below: float
    above: float


GRAPHS = Graphs(0.19 * MiB, 13, 0.5, 1.2)
ROCM_GRAPHS = 3.0  # times as much

# The engine's own estimate of its graphs over what they take by the rule above: from the lowest to the highest twentieth of 71 logs of 0.19 to 0.29
# (median 0.99; far too high for sparse attention).
GRAPH_ESTIMATE_SPREAD = (0.63, 5.9)
