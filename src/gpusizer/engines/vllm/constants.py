"""Constants of vLLM that were fitted to start-up logs; ``scripts/calibrate/memory.py`` computes them anew from the measured rows.

Each says what it stands for, how many configurations it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.engines.base.band import Band, band
from gpusizer.engines.base.constants import HIDDEN_COPIES
from gpusizer.units import GiB, MiB

__all__ = [
    "COMMUNICATION",
    "CONTEXT",
    "ENCODED_COPIES",
    "ENCODER_COPIES",
    "ENCODER_CUT_COPIES",
    "EXPERT_COMMUNICATION",
    "GRAPHS",
    "GRAPH_BLOCKS",
    "GRAPH_ESTIMATE",
    "GRAPH_ESTIMATE_SPREAD",
    "GRAPH_TIMES",
    "GROWTH",
    "HCCL_BUFFERS",
    "HCCL_BUFFER_MIB",
    "HCCL_GROUPS",
    "HELD_BYTES_PER_TOKEN",
    "HELD_COPIES",
    "HIDDEN_COPIES",
    "HOST_IMAGE_COPIES",
    "PEAK_ABOVE",
    "PEAK_BELOW",
    "ROCM_LIBRARY",
    "SAMPLER_COPIES",
    "Band",
    "band",
]


# Workspace that ROCm's matrix library takes from the allocator while loading: n = 4 configurations of two models, error 7 MiB.
ROCM_LIBRARY = band(0.072, 0.02, 0.02, name="vllm.library.rocm", n=4)

# Growth outside the allocator between the baseline and the end of the profile run, charged to the budget: printed by debug logs, else what is missing
# from the budget. Medians by set-up, 2026-11-25; n set-ups and the range of nine tenths behind each.
GROWTH = {
    "alone-before-0.18": band(0.13, 0.2, 0.25, name="vllm.growth.alone-before-0.18", n=16, measured=(0.07, 0.14)),  # of 0.10 to 0.16
    "alone": band(0.25, 0.15, 0.35, name="vllm.growth.alone", n=33, measured=(0.24, 0.46)),  # of 0.18 to 0.26
    # For each rank, as communicators were made after the baseline; of 0.9 to 0.11, 2 to 8 ranks.
    "switched-before-0.18": band(0.27, 0.15, 0.3, name="vllm.growth.switched-before-0.18", n=4),
    "switched": band(2.1, 0.6, 0.4, name="vllm.growth.switched", n=12, measured=(2.06, 2.21)),  # of 0.19, H100 at 2 and 4 ranks
    "unswitched": band(0.4, 0.35, 0.6, name="vllm.growth.unswitched", n=7, measured=(0.1, 0.7)),  # of 0.12 to 0.25, H200 NVL and RTX 3090
    # Medians of ten owners of 0.19 to 0.30, most of whom run builds of their own: seven -1.2 to 0.8, RTX PRO 6000 of one repository and two starts on
    # RTX 5090 4.8 to 5.3 (an arena of its own of 2.2 GiB and more is printed by one build).
    "unswitched-blackwell": band(1.0, 0.9, 3.8, name="vllm.growth.unswitched-blackwell", n=10, measured=(0.0, 4.9)),
    "pipeline": band(0.1, 0.1, 0.4, name="vllm.growth.pipeline", n=2),  # of 0.19, H100
    "rocm": band(0.5, 0.3, 0.7, name="vllm.growth.rocm", n=13, measured=(0.39, 0.79)),  # of 0.13, R9700
    # MI300X of 0.11 to 0.18; cards that are joined by links have more for each rank before 0.18, as others have (4 and 8 ranks).
    "rocm-linked": band(1.1, 0.5, 0.6, name="vllm.growth.rocm-linked", n=8, measured=(0.66, 1.2)),
    "rocm-linked-before-0.18": band(0.4, 0.25, 0.3, name="vllm.growth.rocm-linked-before-0.18", n=3, measured=(0.37, 0.46)),
    # Free memory is what the host has available, so that all that starts beside the engine counts; 1 to 3 GiB from one start to the next of the same
    # configuration (eleven boots of one: 2.34 to 3.41). GB10 of 0.13 to 0.26, medians of five owners: 1.7, 1.9, 2.1, 2.5, 3.3.
    "unified": band(2.2, 1.2, 3.4, name="vllm.growth.unified", n=5, measured=(1.7, 5.4)),
    # NPUs before 0.15: all that is used of the device is charged, context included (910B4, 910B, 310P); since then what grows after a first look.
    "ascend-before-0.15": band(1.0, 0.3, 0.9, name="vllm.growth.ascend-before-0.15", n=3, measured=(0.9, 1.7)),
    "ascend": band(0.2, 0.15, 0.7, name="vllm.growth.ascend", n=1, measured=(0.13, 0.13)),
}

# CUDA context and communicators that exist before the baseline: outside the budget. H100 with 0.19: context n = 25, communicators n = 11
# (0.92 to 1.04), a second group for experts n = 4 (0.07 to 0.58); other cards follow from starts at 0.95 to 0.98 of the card.
CONTEXT = {
    "cuda": band(0.51, 0.15, 0.15, name="vllm.context.cuda", n=25),
    "rocm": band(0.2, 0.15, 0.3, name="vllm.context.rocm"),
    "ascend": band(0.41, 0.2, 0.3, name="vllm.context.ascend", n=1),  # 0.18 on an A3 die (vllm-project/vllm-ascend pull 8289)
    "ascend-before-0.15": band(0.0, 0.0, 0.0),  # charged to the budget
}
COMMUNICATION = {
    "switched": band(0.98, 0.4, 0.6, name="vllm.communication.switched", n=11, measured=(0.92, 1.04)),
    "unswitched": band(0.6, 0.3, 0.6, name="vllm.communication.unswitched"),
    "rocm": band(0.1, 0.1, 0.5, name="vllm.communication.rocm"),
}
EXPERT_COMMUNICATION = band(0.5, 0.3, 0.3, name="vllm.communication.experts", n=4, measured=(0.07, 0.58))

# HCCL keeps two buffers of this size for each communicator, one for tensor-parallel ranks and one for all; another where experts are shared out
# (HCCL_BUFFSIZE, default 200 MB; vllm-project/vllm-ascend@182b75ea8: vllm_ascend/utils.py, get_hccl_config_for_pg_options).
HCCL_BUFFERS, HCCL_BUFFER_MIB, HCCL_GROUPS = 2, 200, 2

# Bytes of one logit at the sampler's peak beside the logit itself: sorting until 0.16 (n = 5, error 2 %; on ROCm as well, n = 3 starts of 0.11 on
# MI300X), kernels of its own since (n = 27 of 0.17 to 0.19, 10.8 to 12.2). For the newer runner since 0.26 no log tells it apart.
# Measured by others for 256 x 131,072 logits: 1.25 GB sorting, 384 MB without (vllm-project/vllm#32558), 40 and 12 bytes a logit.
# The profile run on NPUs stops at the logits (vllm-project/vllm-ascend@182b75ea8: vllm_ascend/worker/model_runner_v1.py, _dummy_sampler_run).
SAMPLER_COPIES = {"sorting": 35.6, "fused": 12.0, "none": 0.0}

# The hidden state beside the sampler, and buffers that grow with the step (n = 37, error 0.05 GiB).
HELD_COPIES = 1.0
HELD_BYTES_PER_TOKEN = 0.12 * GiB / 8192

# Band of the activation peak, as shares.
PEAK_BELOW, PEAK_ABOVE = 0.2, 0.35

# Vision towers: tensors of the tower's width that live together for each patch of the largest image. Every rank holds the patches, the hidden state
# and its norm; what attention makes of them is cut (vllm/model_executor/models/qwen3_vl.py and qwen2_5_vl.py of 0.20).
# n = 4 owners on one rank 9.7 to 16, 6 on two ranks 6.6 to 11.3, 2 on four ranks 5.1 and 5.7.
ENCODER_COPIES, ENCODER_CUT_COPIES = 3.3, 10.2
# Copies of the outputs that stay (n = 8 of five towers).
ENCODED_COPIES = 1.7
# Copies in FP32 of profiled images that the host makes, which count where its memory is the device's; beside the growth of such starts 1.5 with one
# image (n = 4 starts of two owners), 3 with four (n = 2).
HOST_IMAGE_COPIES = 2.2


@dataclass(frozen=True, slots=True)
class Graphs:
    """Memory of captured graphs: a part for each graph and layer; band as shares, and what a first graph took beyond it."""

    bytes_per_graph_and_layer: float
    below: float
    above: float
    first_bytes: float


# Partial results of split attention counted apart, n = 24 owners of 0.9 to 0.28, each one voice: median error 20 % (24 % with each left out). From
# driver to driver 0.5 to 1.5 times; a first graph of 0.25 to 0.45 GiB on two machines, below 0.06 on seven.
GRAPHS = Graphs(0.17 * MiB, 0.5, 1.0, 0.25 * GiB)

# Times as much: before 0.17 (n = 7 owners); on A100 under the drivers of their time (n = 3 owners of 0.11 and 0.12, and a log of 0.19 under driver
# 535); on ROCm (n = 3 owners before 0.17, one since).
GRAPH_TIMES = {"cuda": 1.0, "cuda-before-0.17": 1.35, "old-driver": 5.2, "rocm": 6.2, "rocm-before-0.17": 5.0}

# What a block weighs in a graph, in layers of attention and feed-forward: by how many kernels it launches. Owners: attention and feed-forward 15,
# latent attention 6 (5 of them sparse), states 5, experts 10, of which with biases 3.
GRAPH_BLOCKS = {"attention": 0.5, "feed-forward": 0.5, "experts": 0.6, "latent": 1.7, "sparse": 1.6, "state": 1.0, "biased-experts": 1.8}

# The engine's own estimate of its graphs over what they take by the rule above, and its band (n = 71 logs of 0.19 to 0.29): right for most, far too
# high for sparse attention before 0.25, where the first capture of a mode holds buffers that all graphs share (three owners: 2.5, 2.9, 3.6).
GRAPH_ESTIMATE = {"other": 1.0, "sparse": 3.0}
GRAPH_ESTIMATE_SPREAD = (0.4, 2.3)
