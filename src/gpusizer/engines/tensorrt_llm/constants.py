"""Constants of TensorRT-LLM; few start-up logs are public, so that most are taken from other engines on the same cards and carry wide bands.

``scripts/calibrate/sglang.py`` prints the errors that they leave on the measured rows.
"""

from __future__ import annotations

from gpusizer.engines.vllm.constants import Band, band

__all__ = [
    "COMMUNICATION",
    "CONTEXT",
    "ENGINE_WORKSPACE",
    "ENGINE_WORKSPACE_ERROR",
    "GRAPHS_MIB",
    "GRAPH_SIZES",
    "UNIFIED_FREE_SHARE",
    "UNIFIED_SYSTEM",
    "WEIGHTS_SLACK",
    "Band",
]

# CUDA context and loaded modules of one process, of vLLM and SGLang on the same cards (0.51 to 0.65 GiB); +0.55 GiB on rank 0 of some candidates,
# and 2.5 GiB outside torch in a start of 1.2.0rc4 on one H200 (2025-12-07).
CONTEXT = band(0.6, 0.15, 1.9)
# Communicators and all-reduce workspaces over more than one GPU: those of vLLM on H100 before and after its baseline together.
COMMUNICATION = band(2.0, 1.2, 1.5)
# Loading takes this much more than the tensors.
WEIGHTS_SLACK = band(0.1, 0.1, 0.5)
# Graphs exist already when the trial runs; sizes that are captured by default, and MiB for each size and layer.
GRAPH_SIZES = 34
GRAPHS_MIB = 0.3
# Share of a unified device that is left free when the pages of a checkpoint have filled the rest (n = 1, GB10, gpt-oss-120b, 2025-12-20: 6.61 GiB of
# 119.70), and what its system holds beside.
UNIFIED_FREE_SHARE = 0.0552
UNIFIED_SYSTEM = band(6.0, 3.0, 6.0)
# Workspace of a compiled engine for each byte of the widest block's tensors (n = 1, A10, Llama-2-7B, 2023-10-31; error unknown).
ENGINE_WORKSPACE = 1.4
ENGINE_WORKSPACE_ERROR = 0.35
