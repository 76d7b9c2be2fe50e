"""Constants of SGLang that were fitted to start-up logs; ``scripts/calibrate_sglang.py`` computes them anew from the measured rows.

Each says what it stands for, how many starts it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from gpusizer.engines.vllm_calibration import Band, band

__all__ = [
    "COMMUNICATION",
    "CONTEXT",
    "DECODE_GRAPHS",
    "GRAPH_ERROR",
    "LATE_WORKSPACE",
    "PREFILL_GRAPHS",
    "ROCM_COMMUNICATION",
    "TENSOR_GRAPHS",
    "UNIFIED_OTHERS",
    "WEIGHTS_SLACK",
    "Band",
]

# What a process sees of a card less what is free before weights are loaded, on one GPU.
CONTEXT = band(0.65, 0.15, 0.25)
# The same over more than one GPU.
COMMUNICATION = band(1.0, 0.8, 1.0)
ROCM_COMMUNICATION = band(3.8, 0.8, 4.0)
# Memory that the system of a unified device holds before the engine starts.
UNIFIED_OTHERS = band(8.0, 3.0, 3.0)
# Loading takes this much more than the tensors: allocator slack, library handles.
WEIGHTS_SLACK = band(0.05, 0.05, 0.35)
# Workspaces made between the pools and the capture of graphs.
LATE_WORKSPACE = band(0.4, 0.35, 0.9)
# Captured graphs, for each size and layer. [MiB]
DECODE_GRAPHS = 0.25
TENSOR_GRAPHS = 1.2
PREFILL_GRAPHS = 0.8
GRAPH_ERROR = 0.6
