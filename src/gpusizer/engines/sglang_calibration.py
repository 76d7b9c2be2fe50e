"""Constants of SGLang that were fitted to start-up logs; ``scripts/calibrate_sglang.py`` computes them anew from the measured rows.

Each says what it stands for, how many starts it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from gpusizer.engines.vllm_calibration import Band, band

__all__ = [
    "CONTEXT",
    "DECODE_GRAPHS",
    "FABRIC_COMMUNICATION",
    "GRAPH_ERROR",
    "LATE_WORKSPACE",
    "OLD_TENSOR_GRAPHS",
    "PCIE_COMMUNICATION",
    "PREFILL_GRAPHS",
    "ROCM_COMMUNICATION",
    "TENSOR_GRAPHS",
    "UNIFIED_OTHERS",
    "WEIGHTS_SLACK",
    "WEIGHTS_SLACK_PER_GPU",
    "Band",
    "band",
    "times",
]


def times(base: Band, each: Band, count: int) -> Band:
    """A size with a part for each of some things."""
    return Band(base.bytes + count * each.bytes, base.below + count * each.below, base.above + count * each.above)


# What a process sees of a card less what is free before weights are loaded, on one GPU.
CONTEXT = band(0.65, 0.15, 0.25)
# The same over more than one GPU: joined by NVLink; by PCIe for each further GPU; by Infinity Fabric.
FABRIC_COMMUNICATION = band(1.2, 0.5, 0.8)
PCIE_COMMUNICATION = band(0.1, 0.1, 0.1)
ROCM_COMMUNICATION = band(3.8, 0.8, 4.0)
# Memory that the system of a unified device holds before the engine starts.
UNIFIED_OTHERS = band(10.2, 2.5, 3.0)
# Loading takes this much more than the tensors: allocator slack, library handles; for each further GPU, channels that are made meanwhile.
WEIGHTS_SLACK = band(0.05, 0.05, 0.15)
WEIGHTS_SLACK_PER_GPU = band(0.12, 0.12, 0.18)
# Workspaces made between the pools and the capture of graphs.
LATE_WORKSPACE = band(0.4, 0.35, 0.9)
# Captured graphs, for each size and layer: on one GPU, on several, on several before 0.5.3, of prefill steps. [MiB]
DECODE_GRAPHS = 0.3
TENSOR_GRAPHS = 1.2
OLD_TENSOR_GRAPHS = 3.0
PREFILL_GRAPHS = 0.8
GRAPH_ERROR = 0.6
