"""Constants of TensorRT-LLM; few start-up logs are public, so that most are taken from other engines on the same cards and carry wide bands.

``scripts/calibrate/sglang.py`` prints the errors that they leave on the measured rows.
"""

from __future__ import annotations

from gpusizer.engines.base.band import Basis, Spread, band
from gpusizer.units import MiB

__all__ = [
    "COMMUNICATION",
    "COMMUNICATION_EACH",
    "CONTEXT",
    "DECODER_BASIS",
    "DECODER_COPIES",
    "DECODER_SPREAD",
    "ENGINE_WORKSPACE",
    "ENGINE_WORKSPACE_SPREAD",
    "GRAPHS_BASIS",
    "GRAPHS_MIB",
    "GRAPHS_SPREAD",
    "GRAPH_SIZES",
    "LOGIT_BYTES",
    "PAGES_SPREAD",
    "PEAK_FACTOR",
    "PEAK_SPREAD",
    "REDUCTION_BASIS",
    "REDUCTION_BUFFERS",
    "REDUCTION_MESSAGE",
    "REDUCTION_SPREAD",
    "UNIFIED_FREE_BASIS",
    "UNIFIED_FREE_SHARE",
    "WEIGHTS_SLACK",
]

# What the trial run finds in use outside torch, less graphs and the cache that it runs with. Two processes hold a context on the first GPU, whose
# cache all ranks take: the worker, and the one that started it (588 MiB in a log of 0.20). Three owners: six starts of 0.20 on one H100 1.24 to
# 1.38 GiB, a start of 1.2.0rc4 on one H200 (2.5 with graphs and that cache), capacities of 1.2 on H100 (aiconfigurator, two models) 1.24 and 1.73.
# Those on GB300 leave 0.4 and 0.7 GiB more for both processes. A compiled engine: context, plugins, buffers of its runtime (1.0.0rc1 on one
# B200 3.9, 0.16 on eight H100 with communicators 8.6); the first releases one context, as vLLM and SGLang on the same cards (0.51 to 0.65).
CONTEXT = {
    "compiled": band(3.6, 3.0, 1.2, name="tensorrt-llm.context.compiled", n=1, measured=(3.9, 3.9)),
    "compiled-first": band(0.6, 0.15, 3.0, name="tensorrt-llm.context.compiled_first", measured=(0.51, 0.65)),
    "pytorch": band(1.5, 0.3, 0.45, name="tensorrt-llm.context", n=3, measured=(1.24, 1.73)),
    "pytorch-blackwell": band(2.0, 0.35, 0.5, name="tensorrt-llm.context.blackwell", n=2, measured=(1.92, 2.14)),
}
# Communicators of a pair of GPUs, and for each GPU beyond it: 1.0 GiB in a log of 0.20, 0.62 to 0.95 and 0.13 to 0.19 by capacities of 1.2 (vLLM on
# cards that switches join 0.92 to 1.04; SGLang 0.08 to 0.38 for each). A compiled engine: with its buffers for all-reduces, those of vLLM on H100
# before and after its baseline.
COMMUNICATION = {
    "compiled": band(3.0, 2.2, 2.0, name="tensorrt-llm.communication.compiled", n=1, measured=(4.7, 4.7)),
    "pytorch": band(0.85, 0.25, 0.35, name="tensorrt-llm.communication", n=2, measured=(0.62, 1.0)),
}
COMMUNICATION_EACH = band(0.15, 0.08, 0.2, name="tensorrt-llm.communication.each", n=2, measured=(0.13, 0.19))
# Buffers for all-reduces as the source has them: the largest message of one rank since 1.2 (pull request 9145) and before, there of a pair and of
# more ranks, and how often it finds room. Cards that cannot reach each other's memory do without.
REDUCTION_MESSAGE = {"since-1.2": (64 * MiB, 64 * MiB), "before-1.2": (16_000_000, 8_000_000)}
REDUCTION_BUFFERS = 4
REDUCTION_BASIS = Basis("tensorrt-llm.reduction_workspace", 2, 0.8, 1.2, "of the size in the source")
REDUCTION_SPREAD = Spread(0.2, 0.2)
# Loading takes this much more than the tensors: 0.03 GiB in logs of 0.20 (H100, TP 1 and 2), 0.2 in one of 1.1 (GB10).
WEIGHTS_SLACK = band(0.05, 0.05, 0.3, name="tensorrt-llm.weights_slack", n=2, measured=(0.03, 0.2))
# Graphs exist already when the trial runs; sizes that are captured by default, and MiB for each size and layer.
GRAPH_SIZES = 34
GRAPHS_MIB = 0.3
GRAPHS_BASIS = Basis("tensorrt-llm.graphs", 0, 0.09, 0.75, "MiB")
GRAPHS_SPREAD = Spread(0.7, 1.5)
# Share of a unified device that is left free when the pages of a checkpoint have filled the rest (n = 1, GB10, gpt-oss-120b, 2025-12-20: 6.61 GiB of
# 119.70).
UNIFIED_FREE_SHARE = 0.0552
UNIFIED_FREE_BASIS = Basis("tensorrt-llm.unified_free", 1, 0.0552, 0.0552, "of the device")
PAGES_SPREAD = Spread(1.0, 0.03)
# Workspace of a compiled engine for each byte of the widest block's tensors (n = 1, A10, Llama-2-7B, 2023-10-31; error unknown).
ENGINE_WORKSPACE = 1.4
ENGINE_WORKSPACE_SPREAD = Spread(0.35, 0.35)
# Logits of the most requests that a compiled engine's decoder keeps (two logs of 0.16 and 1.0: 1.00 and 1.05 of it).
DECODER_COPIES, LOGIT_BYTES = 3, 4
DECODER_BASIS = Basis("tensorrt-llm.decoder_buffers", 2, 1.0, 1.05, "of the size")
DECODER_SPREAD = Spread(0.1, 0.15)
# What the trial run takes for each byte of the widest block's tensors, in the allocator and in blocks that it cannot give back: logs of two owners
# (Llama-3.1-8B FP8 on one and two H100 1.13 to 1.19, gpt-oss-120b on GB10 1.19, within the allocator), capacities of a third: Llama-3.1-8B in BF16
# 1.2, Qwen3-32B in FP8 blocks 2.2, whose cause was not found; the band reaches both.
PEAK_FACTOR = 1.5
PEAK_SPREAD = Spread(0.35, 0.6)
