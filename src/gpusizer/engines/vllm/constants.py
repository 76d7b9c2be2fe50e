"""Constants of vLLM that were fitted to start-up logs; ``scripts/calibrate/memory.py`` computes them anew from the measured rows.

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
    "ENCODER_SPLIT_LEAST",
    "EXPERT_COMMUNICATION",
    "GRAPHS",
    "GRAPH_ESTIMATE",
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


# Bands of stored tensors, as shares. A precision stands for what publishers make of it: which layers they leave out differs most for NVFP4 (n = 6
# checkpoints of publishers other than the one whose list is known: -35, -16, -13, -7, -5, +12 %).
WEIGHT_ERROR = {"plain": 0.006, "checkpoint": 0.03, "rocm": 0.045, "fp8": 0.012, "int8": 0.012, "int4": 0.04, "mxfp4": 0.04, "nvfp4": 0.2}

# Workspace that ROCm's matrix library takes from the allocator while loading: n = 4 configurations of two models, error 7 MiB.
ROCM_LIBRARY = band(0.072, 0.02, 0.02)

# Growth outside the allocator between the baseline and the end of the profile run, charged to the budget: printed by debug logs, else what is missing
# from the budget. Medians by set-up, 2026-11-25; n set-ups and the range of nine tenths behind each.
GROWTH = {
    "alone-before-0.18": band(0.13, 0.2, 0.25),  # n = 16 of 0.10 to 0.16; 0.07 to 0.14 where printed
    "alone": band(0.25, 0.15, 0.35),  # n = 33 of 0.18 to 0.26; 0.24 to 0.46 where printed
    "switched-before-0.18": band(0.27, 0.15, 0.3),  # for each rank, as communicators were made after the baseline; n = 4 of 0.9 to 0.11, 2 to 8 ranks
    "switched": band(2.1, 0.6, 0.4),  # n = 12 of 0.19, H100 at 2 and 4 ranks; 2.06 to 2.21
    "unswitched": band(0.4, 0.35, 0.6),  # n = 7 of 0.12 to 0.25, H200 NVL and RTX 3090; 0.1 to 0.7
    "unswitched-blackwell": band(1.2, 0.5, 1.4),  # n = 9 of 0.20 to 0.26, RTX PRO 6000; 0.95, and 2.5 with sparse attention
    "pipeline": band(0.1, 0.1, 0.4),  # n = 2 of 0.19, H100
    "rocm": band(0.5, 0.3, 0.7),  # n = 13 of 0.13, R9700; 0.39 to 0.79
    "unified": band(2.2, 1.2, 3.4),  # n = 9 of 0.13 to 0.26, GB10; 1.7 to 5.4, and 1 to 3 GiB from one start to the next of the same configuration
}

# CUDA context and communicators that exist before the baseline: outside the budget. H100 with 0.19: context n = 25, communicators n = 11
# (0.92 to 1.04), a second group for experts n = 4 (0.07 to 0.58); other cards follow from starts at 0.95 to 0.98 of the card.
CONTEXT = {"cuda": band(0.51, 0.15, 0.15), "rocm": band(0.2, 0.15, 0.3)}
COMMUNICATION = {"switched": band(0.98, 0.4, 0.6), "unswitched": band(0.6, 0.3, 0.6), "rocm": band(0.1, 0.1, 0.5)}
EXPERT_COMMUNICATION = band(0.5, 0.3, 0.3)

# Bytes of one logit at the sampler's peak beside the logit itself: sorting until 0.16 (n = 5, error 2 %; with large buffers in ROCm builds before
# 0.12, n = 2), kernels of its own since (n = 27 of 0.17 to 0.19, 10.8 to 12.2). For the newer runner since 0.26 no log tells it apart.
# Measured by others for 256 x 131,072 logits: 1.25 GB sorting, 384 MB without (vllm-project/vllm#32558), 40 and 12 bytes a logit.
SAMPLER_COPIES = {"sorting": 35.6, "sorting-rocm": 380.0, "fused": 12.0}

# The hidden state beside the sampler, and buffers that grow with the step (n = 37, error 0.05 GiB).
HELD_COPIES = 1.0
HELD_BYTES_PER_TOKEN = 0.12 * GiB / 8192

# Hidden states that live together at the widest point of a decoder layer (n = 6 where the block is the peak, error 0.03 GiB).
HIDDEN_COPIES = 4.3

# Band of the activation peak, as shares.
PEAK_BELOW, PEAK_ABOVE = 0.2, 0.35

# Vision towers: tensors of the tower's width for each patch of the largest image (n = 6 of one tower, 12.5 to 17.3), and copies of its outputs that
# stay (n = 8 of five towers).
ENCODER_COPIES = 13.5
ENCODED_COPIES = 1.7
# A tower that is split over ranks holds less on each: as much as alone on H200 NVL (n = 3, 2 to 8 ranks), about half on four cards of 24 GB (n = 3).
ENCODER_SPLIT_LEAST = 0.55


@dataclass(frozen=True, slots=True)
class Graphs:
    """Memory of captured graphs: a part for each graph and layer, and what the rest of the model weighs in layers."""

    bytes_per_graph_and_layer: float
    more_layers: float
    below: float
    above: float


# n = 97 of 0.11 to 0.28; half to twice from driver to driver.
GRAPHS = Graphs(0.19 * MiB, 13, 0.5, 1.2)
ROCM_GRAPHS = 3.0  # times as much; n = 13 of one card

# The engine's own estimate of its graphs over what they take by the rule above, and its band (n = 71 logs of 0.19 to 0.29): right for most, far too
# high for sparse attention, where the first capture of a mode holds buffers that all graphs share.
GRAPH_ESTIMATE = {"other": 1.0, "sparse": 3.5}
GRAPH_ESTIMATE_SPREAD = (0.4, 2.3)
