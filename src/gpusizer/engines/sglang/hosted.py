"""Routed experts in host memory, where KTransformers' kernels compute them: ``--kt-weight-path`` and what goes with it.

The first ``--kt-num-gpu-experts`` experts of each layer stay on the GPUs, cut as ever. The host holds the others once, whatever the ranks, in the
format of ``--kt-method``. Prompts of ``--kt-gpu-prefill-token-threshold`` tokens and more are computed on the GPUs, one layer's experts at a time.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import StorageFormat, plain_format
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Item, Section
from gpusizer.engines.base.weights import Cut, routed_block, weight_table
from gpusizer.formulas.memory.constants import set_aside_bytes
from gpusizer.formulas.memory.host import hosted_experts_bytes

__all__ = ["HostedExperts", "hosted_experts", "hosted_lines", "hosting_problem", "kept_experts", "layerwise_prefill"]

SOURCES = (
    "sgl-project/sglang: python/sglang/srt/layers/moe/kt_ep_wrapper.py, KTEPWrapperMethod",
    "kvcache-ai/ktransformers: kt-kernel/README.md and doc/en/kt-kernel/Native-Precision-Tutorial.md",
)
_PREFILL = (
    "kvcache-ai/ktransformers: doc/en/kt-kernel/MiniMax-M2.1-Tutorial.md: layer by layer, about 3.6 GB more",
    "kvcache-ai/ktransformers: doc/en/kt-kernel/Kimi-K2-Thinking-Native.md: 9 GB more",
)
_USUAL = "AMXINT4"  # python/sglang/srt/server_args.py, kt_method
GGUF = "LLAMAFILE"  # the method that reads a GGUF file, of which a start does not say what it holds
_SIZES = 0.5  # how much smaller or larger another recipe is: Q2_K to Q6_K
_USUAL_GGUF = "q4_k_m"  # that of kt-kernel/README.md
_INT4, _INT8 = (StorageFormat(f"kt_int{bits}", bits, 1, 0, scale_bits=32) for bits in (4, 8))  # a scale in FP32 for each row
_FORMATS = {"AMXINT4": _INT4, "MOE_INT4": _INT4, "AMXINT8": _INT8, "MOE_INT8": _INT8, "BF16": plain_format("bf16"), "AMXBF16": plain_format("bf16")}


class HostedExperts(NamedTuple):
    """Routed experts in host memory, all ranks together.

    Parameters
    ----------
    stored_bytes : int
        All routed experts in the format of the host. [bytes]
    share : float
        Of them that lie there.
    size : float
        Bytes of one there over those that the checkpoint gives it.
    layers : int
        Layers whose experts they are.
    moved_from_tokens : float
        Tokens of a step from which a GPU computes them, layer by layer. [tokens]
    assumed : bool
        What their file holds is taken for granted.
    """

    stored_bytes: int
    share: float
    size: float
    layers: int
    moved_from_tokens: float
    assumed: bool


def kept_experts(start: Start) -> int | None:
    """Routed experts of a layer that stay on the GPUs; None where no expert leaves them. [experts]"""
    experts = most_experts(start.architecture)
    if not _asked(start) or not experts:
        return None
    ratio = start.flag("kt_gpu_experts_ratio")  # sglang-kt: of the experts of all layers
    return int(experts * float(ratio)) if ratio is not None else min(start.whole("kt_num_gpu_experts", 0), experts)


def most_experts(architecture: Architecture) -> int:
    """Routed experts of a layer, 0 where no layer has some. [experts]"""
    return max((block.experts for layer in architecture.layers if (block := routed_block(layer))), default=0)


def _asked(start: Start) -> bool:
    return any(start.flag(name) is not None for name in ("kt_weight_path", "kt_num_gpu_experts", "kt_gpu_experts_ratio"))


def hosting_problem(start: Start) -> Notice | None:
    """Why experts cannot be put on the host as asked, None where they can."""
    if not _asked(start):
        return None
    if not most_experts(start.architecture):
        return Notice("kt-without-experts", {"model": start.deployment.model})
    told = any(start.flag(name) is not None for name in ("kt_num_gpu_experts", "kt_gpu_experts_ratio"))
    return None if told else Notice("kt-experts-unsaid", {})


def hosted_experts(start: Start) -> HostedExperts | None:
    """What of the routed experts lies in host memory, None where nothing does."""
    kept = kept_experts(start)
    if kept is None:
        return None
    method = str(start.flag("kt_method", _USUAL)).upper()
    there = with_precision(start.architecture, _USUAL_GGUF) if method == GGUF else start.architecture
    whole, partly = (_routed_bytes(start.architecture, Cut(kept_experts=count)) for count in (None, kept))
    stored, share = _routed_bytes(there, Cut(), _FORMATS.get(method)), 1 - partly / whole
    layers = sum(routed_block(layer) is not None for layer in start.architecture.layers)
    threshold = start.whole("kt_gpu_prefill_token_threshold", 0)
    return HostedExperts(stored, share, stored / whole, layers, threshold or inf, method == GGUF) if share else None


def _routed_bytes(architecture: Architecture, cut: Cut, form: StorageFormat | None = None) -> int:
    """Routed experts of all decoder layers, as they are stored or in another format. [bytes]"""
    table = weight_table(architecture)
    sizes = [table.routed_bytes(kind, cut, form) for kind in range(len(table.kinds))]
    return sum(sizes[kind] for kind in table.kind_of)


def hosted_lines(start: Start) -> list[Item]:
    """The host's line for experts; empty where none lie there."""
    found = start.once(hosted_experts)
    if found is None:
        return []
    size, unsure = found.stored_bytes * found.share, found.assumed or start.deployment.similar_precision
    return [
        computed(
            "weights_hosted",
            hosted_experts_bytes,
            section=Section.WEIGHTS,
            band=Limits(size * (1 - _SIZES), size * (1 + _SIZES)) if unsure else None,
            sources=SOURCES,
            stored_bytes=found.stored_bytes,
            share=found.share,
        )
    ]


def layerwise_prefill(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """Room for all routed experts of one layer, which long prompts take when the first of them comes; empty where prompts stay on the processor."""
    threshold, chunk = start.whole("kt_gpu_prefill_token_threshold", 0), start.deployment.max_num_batched_tokens or 0
    if kept_experts(start) is None or not 0 < threshold <= chunk:
        return []
    table, whole = weight_table(start.architecture), replace(cut, kept_experts=None)
    size = max(table.routed_bytes(table.kind_of[index], whole) for index in stage.layers)
    if not size:
        return []
    return [computed("prefill_experts", set_aside_bytes, section=Section.ACTIVATION, sources=_PREFILL, set_aside_bytes=size)]
