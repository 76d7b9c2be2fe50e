"""TensorRT-LLM's account of one GPU, without branches: what the trial run finds in use, what the cache gets of the rest, how it is paged.

Every line calls the formula that it names. The records of :mod:`gpusizer.engines.tensorrt_llm.record` hold numbers when a start is sized, columns
when many are, and figures of a sheet when a workbook records the same account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpusizer.engines.base.account import summed, total_of
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.prefill import PrefillCut, prefill_peak
from gpusizer.engines.base.types import Evidence, Item, Quantity, Section
from gpusizer.engines.tensorrt_llm import constants as fitted
from gpusizer.engines.tensorrt_llm.record import CacheRecord, DeviceRecord, ModelRecord, StepRecord
from gpusizer.formulas.core import ceiling, kept, maximum, minimum, rounded, where
from gpusizer.formulas.memory.budget import reduction_workspace_bytes
from gpusizer.formulas.memory.graphs import cuda_graph_bytes
from gpusizer.formulas.memory.pool_sizes import checkpoint_pages_bytes
from gpusizer.formulas.memory.pools import pool_after_peak_bytes
from gpusizer.units import MiB

__all__ = ["block_bytes", "left_for_cache", "pages", "reduction_line", "request_blocks", "step_lines"]


def step_lines(model: ModelRecord, step: StepRecord, cut: PrefillCut, layers: Any) -> tuple[Item, Item]:
    """Captured graphs, which exist already when the trial runs, and tensors of the widest block of one context batch."""
    graphs = computed(
        "cuda_graphs",
        cuda_graph_bytes,
        section=Section.GRAPHS,
        band=fitted.GRAPHS_SPREAD,
        evidence=Evidence.ASSUMED,
        sources=(fitted.GRAPHS_BASIS.source,),
        graphs=step.graphs,
        layers=layers,
        more_layers=0,
        bytes_per_graph_and_layer=fitted.GRAPHS_MIB * MiB,
    )
    peak = prefill_peak(
        model.prefill,
        cut,
        step.tokens,
        band=Spread(step.peak_below, step.peak_above),
        evidence=Evidence.CALIBRATED,
        workspace_factor=step.workspace_factor,
    )
    return graphs, peak


def reduction_line(device: DeviceRecord, step: StepRecord, ranks: Any) -> Item:
    """Buffers for fused all-reduces, which the ranks of one server open to each other."""
    opening = where(ranks > 1, where(ranks <= device.server_devices, ranks, 0), 0)
    return computed(
        "reduction_workspace",
        reduction_workspace_bytes,
        section=Section.OUTSIDE,
        band=fitted.REDUCTION_SPREAD,
        sources=(fitted.REDUCTION_BASIS.source,),
        ranks=kept("ranks of a server", opening),
        message_bytes=where(ranks > 2, step.message_bytes, step.pair_message_bytes),
        buffers=fitted.REDUCTION_BUFFERS,
    )


def pages(device: DeviceRecord, model: ModelRecord, lines: Iterable[Item]) -> Item:
    """Pages of the checkpoint that was just read, which count as used on a unified device; the reading stops where little is free."""
    return computed(
        "checkpoint_pages",
        checkpoint_pages_bytes,
        section=Section.OUTSIDE,
        band=fitted.PAGES_SPREAD,
        sources=(fitted.UNIFIED_FREE_BASIS.source,),
        checkpoint_bytes=model.checkpoint_bytes * device.keeps_pages,
        device_total_bytes=device.memory_bytes,
        used_bytes=kept("used", sum(line.bytes for line in lines)),
        free_share=fitted.UNIFIED_FREE_SHARE,
    )


def block_bytes(cache: CacheRecord, page_tokens: Any) -> Any:
    """One page over all layers of a stage. [bytes]"""
    return kept("block", maximum(rounded(cache.token_bytes * page_tokens), 1))


def request_blocks(cache: CacheRecord, page_tokens: Any, context_tokens: Any) -> Any:
    """Pages that a request takes: those of its tokens, and as many as hold what it keeps whatever its length. [pages]"""
    return ceiling(context_tokens / page_tokens) + ceiling(cache.request_bytes / block_bytes(cache, page_tokens))


def left_for_cache(device: DeviceRecord, step: StepRecord, cache: CacheRecord, lines: Iterable[Item]) -> Quantity:
    """A share of what the trial run left free, no more than the operator allows; negative where nothing is left. [bytes]"""
    used = total_of(summed(lines))
    most = ceiling(step.most_tokens / step.page_tokens) * block_bytes(cache, step.page_tokens)
    value, low, high = (_share_of_rest(device, step, peak) for peak in (used.value, used.high, used.low))
    limited = (where(step.most_tokens > 0, minimum(size, most), size) for size in (value, low, high))
    return Quantity(*(kept(name, size) for name, size in zip(("cache", "cache, low", "cache, high"), limited, strict=True)))


def _share_of_rest(device: DeviceRecord, step: StepRecord, peak_bytes: Any) -> Any:
    fraction = where(peak_bytes < device.memory_bytes, step.fraction, 1.0)  # a lack is not shared
    return pool_after_peak_bytes(device_total_bytes=device.memory_bytes, peak_bytes=peak_bytes, temporary_pool_bytes=0, fraction=fraction)
