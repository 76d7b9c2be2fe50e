"""Constants of SGLang that were fitted to start-up logs; ``scripts/calibrate/sglang.py`` computes them anew from the measured rows.

Each says what it stands for, how many starts it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from gpusizer.engines.base.band import Basis, Spread, band

__all__ = [
    "CONTEXT",
    "DECODE_GRAPHS",
    "FABRIC_COMMUNICATION",
    "GRAPH_SPREAD",
    "LATE_WORKSPACE",
    "OLD_TENSOR_GRAPHS",
    "PCIE_COMMUNICATION",
    "PEAK_SPREAD",
    "PREFILL_GRAPHS",
    "RECIPES",
    "RECIPE_ERROR",
    "ROCM_COMMUNICATION",
    "SHARE_ERROR",
    "TENSOR_GRAPHS",
    "UNIFIED_OTHERS",
    "WEIGHTS_SLACK",
    "WEIGHTS_SLACK_PER_GPU",
]


# Fitted 2026-11-25 to start-up logs of 2024-10 to 2026-10 (0.3 to 0.5.23); n counts source groups. With each group left out: weights within 0.9 %
# (median, n = 11 starts), tokens within 3.3 % (n = 18).

# What a process sees of a card less what is free before weights are loaded, on one GPU: H100, H200, MI300X, n = 4, readings 0.66 to 0.91; cards of
# 24 GB less (0.44 to 0.6 with communicators, n = 1).
CONTEXT = band(0.7, 0.35, 0.3, name="sglang.context", n=4, measured=(0.66, 0.91))
# The same over more than one GPU: joined by NVLink (n = 3, 1.5 to 2.6; vLLM 1.0 to 1.5), by PCIe for each further GPU (n = 2, -0.1 and 0.1), by
# Infinity Fabric (n = 3 starts of one machine, 3.7, 3.8, 7.8).
FABRIC_COMMUNICATION = band(1.4, 0.8, 1.2, name="sglang.communication.fabric", n=3, measured=(1.5, 2.6))
PCIE_COMMUNICATION = band(0.1, 0.1, 0.15, name="sglang.communication.pcie_each", n=2, measured=(-0.1, 0.1))
ROCM_COMMUNICATION = band(3.8, 1.0, 4.2, name="sglang.communication.rocm", n=3, measured=(3.7, 7.8))
# Memory that the system of a unified device holds before the engine starts: GB10, n = 2, 8.7 and 11.7.
UNIFIED_OTHERS = band(10.2, 3.0, 3.0, name="sglang.context.unified", n=2, measured=(8.7, 11.7))
# Loading takes this much more than the tensors: allocator slack, library handles (n = 4, 0.00 to 0.12); for each GPU beyond a pair, channels that are
# made meanwhile (n = 3, 0.08 to 0.38).
WEIGHTS_SLACK = band(0.07, 0.07, 0.15, name="sglang.weights_slack", n=4, measured=(0.0, 0.12))
WEIGHTS_SLACK_PER_GPU = band(0.18, 0.16, 0.2, name="sglang.weights_slack.each", n=3, measured=(0.08, 0.38))
# Small formats that are asked for, not read from a checkpoint: publishers leave some layers at 16 bits (n = 1, 7 % more for a mixture of experts).
RECIPES = frozenset({"int4", "mxfp4", "nvfp4"})
RECIPE_ERROR = 0.08
# Workspaces made between the pools and the capture of graphs: n = 3, 0.22 to 1.12.
LATE_WORKSPACE = band(0.3, 0.2, 0.9, name="sglang.late_workspace", n=3, measured=(0.22, 1.12))
# Captured graphs, for each size and layer: on one GPU (n = 4, 0.20 to 0.54), on several (n = 2, 1.15 and 1.19), on several before 0.5.3 (n = 2, 2.1
# and 5.5), of prefill steps (n = 1, 0.89). [MiB]
DECODE_GRAPHS = 0.27, Basis("sglang.graphs.alone", 4, 0.20, 0.54, "MiB")
TENSOR_GRAPHS = 1.15, Basis("sglang.graphs.joined", 2, 1.15, 1.19, "MiB")
OLD_TENSOR_GRAPHS = 3.4, Basis("sglang.graphs.joined-before-0.5.3", 2, 2.1, 5.5, "MiB")
PREFILL_GRAPHS = 0.89, Basis("sglang.graphs.prefill", 1, 0.89, 0.89, "MiB")
GRAPH_SPREAD = Spread(0.65, 0.65)
# The logs do not say the peak of a prefill step: half to twice, a rule of thumb.
PEAK_SPREAD = Spread(0.5, 1.0)
# Share of memory for weights and cache where the engine chooses it: rules change between the releases that were read.
SHARE_ERROR = 0.006
