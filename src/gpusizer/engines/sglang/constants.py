"""Constants of SGLang that were fitted to start-up logs; ``scripts/calibrate/sglang.py`` computes them anew from the measured rows.

Each says what it stands for, how many starts it was fitted to, and the error that is left. Nothing here depends on a model.
"""

from __future__ import annotations

from gpusizer.engines.base.band import Basis, Spread, band

__all__ = [
    "CONTEXT",
    "DECODE_GRAPHS",
    "FABRIC_COMMUNICATION",
    "GRAPH_POOL",
    "GRAPH_SPREAD",
    "LATE_WORKSPACE",
    "PCIE_COMMUNICATION",
    "PEAK_SPREAD",
    "PREFILL_GRAPHS",
    "RECIPES",
    "RECIPE_ERROR",
    "ROCM_COMMUNICATION",
    "SHARE_ERROR",
    "WEIGHTS_SLACK",
    "WEIGHTS_SLACK_EACH",
]


# Fitted 2026-11-27 to start-up logs of 2024-10 to 2026-10 (0.3 to 0.5.23); n counts owners.

# What a process sees of a card less what is free before weights are loaded, on one GPU, by the memory of the card: with stacked memory (H100, A100,
# MI300X), readings 0.64 to 0.71; graphics cards less (L40S, 5070 Ti alone; L4, 4090 four together, links included), one old 3090 more; Ascend
# whatever the number of devices (910B and 910C, 2 to 32 of them).
CONTEXT = {
    "stacked": band(0.7, 0.15, 0.3, name="sglang.context", n=5, measured=(0.64, 0.71)),
    "graphics": band(0.42, 0.15, 0.4, name="sglang.context.graphics", n=5, measured=(0.39, 0.92)),
    "npu": band(0.45, 0.3, 0.2, name="sglang.context.npu", n=3, measured=(0.15, 0.56)),
}
# The same over more than one GPU: joined by a switch (eight H100, H20, H200), by PCIe for each further GPU (L4, 4090, PRO 6000), by Infinity Fabric
# (four starts of two owners).
FABRIC_COMMUNICATION = band(1.2, 0.4, 1.2, name="sglang.communication.fabric", n=4, measured=(0.93, 1.64))
PCIE_COMMUNICATION = band(0.06, 0.06, 0.15, name="sglang.communication.pcie_each", n=5, measured=(0.0, 0.17))
ROCM_COMMUNICATION = band(3.8, 1.0, 4.2, name="sglang.communication.rocm", n=2, measured=(3.0, 7.8))
# Loading takes this much more than the tensors: allocator slack, library handles; for each GPU of a stage beyond a pair, channels that are made
# meanwhile (L4 and 4090 four together, MI355X eight, Ascend 8 and 16) and, for routed experts, what rearranging them leaves (H100 four, L20,
# PRO 6000, MI355X, H200 and B200 eight, Ascend 16 and 32).
WEIGHTS_SLACK = band(0.07, 0.07, 0.15, name="sglang.weights_slack", n=9, measured=(0.0, 0.14))
WEIGHTS_SLACK_EACH = {
    "dense": band(0.05, 0.05, 0.15, name="sglang.weights_slack.each", n=4, measured=(0.01, 0.08)),
    "experts": band(0.17, 0.15, 0.2, name="sglang.weights_slack.each_of_experts", n=6, measured=(0.09, 0.38)),
}
# Small formats that are asked for, not read from a checkpoint: publishers leave some layers at 16 bits (n = 1, 7 % more for a mixture of experts).
RECIPES = frozenset({"int4", "mxfp4", "nvfp4"})
RECIPE_ERROR = 0.08
# Workspaces made between the pools and the capture of graphs: n = 3, 0.22 to 1.12.
LATE_WORKSPACE = band(0.3, 0.2, 0.9, name="sglang.late_workspace", n=3, measured=(0.22, 1.12))
# Captured graphs, for each size and layer: of decoding on one GPU (five starts, 0.06 to 0.33 beside the pool), on several (L4, a 24 GB card, H100,
# PRO 6000; 3.6 on eight H100 and 2.1 on eight B200 before 0.5.3), on Ascend; of prefill steps. [MiB]
DECODE_GRAPHS = {
    "alone": (0.18, Basis("sglang.graphs.alone", 3, 0.03, 0.3, "MiB")),
    "joined": (1.1, Basis("sglang.graphs.joined", 5, 0.6, 5.5, "MiB")),
    "npu": (2.7, Basis("sglang.graphs.npu", 2, 2.7, 4.4, "MiB")),
}
PREFILL_GRAPHS = 0.78, Basis("sglang.graphs.prefill", 2, 0.67, 0.89, "MiB")
GRAPH_SPREAD = Spread(0.65, 1.0)
# The pool that graphs share, and what is made with the first of them; on Ascend the buffers that experts are exchanged through come with it where
# they are (one owner, 6.7 to 8.5; their size is set by an environment variable). [MiB]
GRAPH_POOL = {"cuda": 60.0, "npu": 250.0, "npu-exchange": 7900.0}
# The logs do not say the peak of a prefill step: half to twice, a rule of thumb.
PEAK_SPREAD = Spread(0.5, 1.0)
# Share of memory for weights and cache where the engine chooses it: rules change between the releases that were read.
SHARE_ERROR = 0.006
