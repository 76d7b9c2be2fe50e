"""Constants of TensorRT-LLM; few start-up logs are public, so that most are taken from other engines on the same cards and carry wide bands.

``scripts/calibrate/sglang.py`` prints the errors that they leave on the measured rows.
"""

from __future__ import annotations

from gpusizer.engines.base.band import Basis, Spread, band

__all__ = [
    "COMMUNICATION",
    "CONTEXT",
    "ENGINE_WORKSPACE",
    "ENGINE_WORKSPACE_SPREAD",
    "GRAPHS_BASIS",
    "GRAPHS_MIB",
    "GRAPHS_SPREAD",
    "GRAPH_SIZES",
    "PAGES_SPREAD",
    "PEAK_SPREAD",
    "UNIFIED_FREE_BASIS",
    "UNIFIED_FREE_SHARE",
    "UNIFIED_SYSTEM",
    "WEIGHTS_SLACK",
]

# CUDA context and loaded modules of one process, of vLLM and SGLang on the same cards (0.51 to 0.65 GiB); +0.55 GiB on rank 0 of some candidates,
# and 2.5 GiB outside torch in a start of 1.2.0rc4 on one H200 (2025-12-07).
CONTEXT = band(0.6, 0.15, 1.9, name="tensorrt-llm.context", n=2, measured=(0.51, 2.5))
# Communicators and all-reduce workspaces over more than one GPU: those of vLLM on H100 before and after its baseline together.
COMMUNICATION = band(2.0, 1.2, 1.5, name="tensorrt-llm.communication", n=0)
# Loading takes this much more than the tensors.
WEIGHTS_SLACK = band(0.1, 0.1, 0.5, name="tensorrt-llm.weights_slack", n=0)
# Graphs exist already when the trial runs; sizes that are captured by default, and MiB for each size and layer.
GRAPH_SIZES = 34
GRAPHS_MIB = 0.3
GRAPHS_BASIS = Basis("tensorrt-llm.graphs", 0, 0.09, 0.75, "MiB")
GRAPHS_SPREAD = Spread(0.7, 1.5)
# Share of a unified device that is left free when the pages of a checkpoint have filled the rest (n = 1, GB10, gpt-oss-120b, 2025-12-20: 6.61 GiB of
# 119.70), and what its system holds beside.
UNIFIED_FREE_SHARE = 0.0552
UNIFIED_FREE_BASIS = Basis("tensorrt-llm.unified_free", 1, 0.0552, 0.0552, "of the device")
PAGES_SPREAD = Spread(1.0, 0.03)
UNIFIED_SYSTEM = band(6.0, 3.0, 6.0, name="tensorrt-llm.system_memory", n=0)
# Workspace of a compiled engine for each byte of the widest block's tensors (n = 1, A10, Llama-2-7B, 2023-10-31; error unknown).
ENGINE_WORKSPACE = 1.4
ENGINE_WORKSPACE_SPREAD = Spread(0.35, 0.35)
# Peak of the trial run: tensors of the widest block, a rule of thumb.
PEAK_SPREAD = Spread(0.6, 0.6)
