"""SGLang's account of one GPU, without branches: what a stage holds beside the stored tensors, what its share leaves, how pools share that out.

Every line calls the formula that it names. The records of :mod:`gpusizer.engines.sglang.record` hold numbers when a start is sized, columns when many
are, and figures of a sheet when a workbook records the same account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.engines.base.account import left_of, stage_blocks, summed, total_of
from gpusizer.engines.base.band import Band, times
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.prefill import PrefillModel, prefill_peak
from gpusizer.engines.base.types import Evidence, Inputs, Item, Quantity, Section
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.pools import Pools
from gpusizer.engines.sglang.record import STATE_PADDING, DeviceRecord, LayoutRecord, RequestRecord, ShareRecord, StepRecord
from gpusizer.formulas.core import ceiling, floor, floor_div, kept, maximum, minimum, root_of_squares, rounded, where
from gpusizer.formulas.memory.constants import constant_for_each_bytes
from gpusizer.formulas.memory.graphs import cuda_graph_bytes, pooled_graph_bytes
from gpusizer.formulas.memory.pool_sizes import beyond_budget_bytes, by_request_bytes, state_pool_bytes
from gpusizer.formulas.memory.pools import (
    pool_of_static_share_bytes,
    request_limit,
    request_table_bytes,
    split_cell_bytes,
    state_slots,
)

__all__ = [
    "Cached",
    "Shares",
    "cached",
    "cell_bytes",
    "loaded",
    "most_requests",
    "needed_later",
    "request_pages",
    "share_bytes",
    "shared_out",
    "step_lines",
    "within_share",
]


# ---- beside weights and cache -----------------------------------------------------------------------------------------


def loaded(layout: LayoutRecord, *, recipe_bytes: Any) -> Item:
    """What loading takes beyond the tensors; the band is wider where a precision stands for what publishers make of it."""
    base, each = fitted.WEIGHTS_SLACK, Band(layout.slack_bytes, layout.slack_below_bytes, layout.slack_above_bytes)
    size = times(base, each, layout.gpus_beyond_pair)
    return computed(
        "weights_slack",
        constant_for_each_bytes,
        section=Section.WEIGHTS,
        band=replace(size, above=size.above + fitted.RECIPE_ERROR * recipe_bytes),
        sources=(*base.sources, *layout.slack_sources),
        first_bytes=base.bytes,
        count=layout.gpus_beyond_pair,
        each_bytes=each.bytes,
    )


def step_lines(model: PrefillModel, step: StepRecord, layout: LayoutRecord, layers: Any) -> tuple[Item, Item, Item]:
    """Graphs of decoding, graphs of prefill, activations of one prefill step."""
    decode = computed(
        "cuda_graphs",
        pooled_graph_bytes,
        section=Section.GRAPHS,
        band=fitted.GRAPH_SPREAD,
        sources=step.decode_graph_sources,
        fixed_bytes=step.graph_pool_bytes,
        graphs=step.decode_graphs,
        layers=layers,
        bytes_per_graph_and_layer=step.decode_graph_bytes,
    )
    prefill = computed(
        "prefill_graphs",
        cuda_graph_bytes,
        section=Section.GRAPHS,
        band=fitted.GRAPH_SPREAD,
        sources=step.prefill_graph_sources,
        graphs=step.prefill_graphs,
        layers=layers,
        more_layers=0,
        bytes_per_graph_and_layer=step.prefill_graph_bytes,
    )
    return decode, prefill, prefill_peak(model, layout.cut, step.tokens, band=fitted.PEAK_SPREAD, evidence=Evidence.ASSUMED)


_AFTER = ("cuda_graphs", "prefill_graphs", "late_workspace")


def needed_later(lines: Iterable[Item]) -> Any:
    """Activations come with the first long prompt, not with the start; graphs and workspaces are taken at the low end of their band. [bytes]"""
    found = tuple(lines)
    peak = sum(line.bytes for line in found if line.id in ("activation_peak", "prefill_experts"))
    return kept("later", peak + sum(line.bytes - line.low_bytes for line in found if line.id in _AFTER))


# ---- the share ------------------------------------------------------------------------------------------------------


def share_bytes(device: DeviceRecord, share: ShareRecord) -> Any:
    """``--mem-fraction-static`` of what is free before weights are loaded. [bytes]"""
    return (device.memory_bytes - sum(line.bytes for line in device.before_weights)) * share.share


def within_share(device: DeviceRecord, share: ShareRecord, weights: Iterable[Item]) -> Quantity:
    """The share of what was free, less what loading took: memory for everything that is cached. [bytes]"""
    before, used = left_of(device.memory_bytes, summed(device.before_weights)), total_of(summed(weights))
    value = pool_of_static_share_bytes(
        free_before_bytes=before.value, share=share.share, weights_bytes=used.value, reservation_bytes=share.images_bytes
    )
    value, chosen = kept("budget", value), before.value * share.error
    below = root_of_squares(share.share * (before.value - before.low), used.high - used.value, chosen)
    above = root_of_squares(share.share * (before.high - before.value), used.value - used.low, chosen)
    return Quantity(value, kept("budget, low", value - below), kept("budget, high", value + above))


# ---- pools ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shares:
    """One budget shared out.

    Parameters
    ----------
    slots, running, state_bytes : int
        Recurrent states, requests that may run at once, and their memory, padding and drafts included. [slots, requests, bytes]
    cache_bytes : float
        What is left for tokens. [bytes]
    """

    slots: Any
    running: Any
    state_bytes: Any
    cache_bytes: Any


def shared_out(requests: RequestRecord, pools: Pools, draft_tokens: Any, budget_bytes: Any) -> Shares:
    """Share one budget out: states, pools by request, and the rest for tokens.

    Parameters
    ----------
    requests : RequestRecord
        How many requests and states may be held.
    pools : Pools
        What the stage caches.
    draft_tokens : int
        Draft tokens of a step. [tokens]
    budget_bytes : float
        Memory for everything that is cached. [bytes]

    Returns
    -------
    Shares
        States, and what is left.
    """
    each = requests.slots_per_request
    by_budget = state_slots(
        budget_bytes=budget_bytes,
        state_to_cache=requests.state_ratio,
        slot_bytes=maximum(pools.slot_bytes, 1),
        draft_tokens=draft_tokens,
        slots_per_request=each,
        padding_slots=requests.padding_slots,
    )
    slots = kept("slots", where(pools.slot_bytes > 0, where(requests.fixed_slots > 0, requests.fixed_slots, by_budget), 0))
    running = kept("running", minimum(requests.most_running, floor_div(slots, each)))
    states = state_pool_bytes(slot_bytes=pools.slot_bytes, slots=slots, running=running, padding_slots=STATE_PADDING, draft_tokens=draft_tokens)
    states = kept("states", states)
    return Shares(slots, running, states, budget_bytes - states - sum(size for _, size in pools.fixed))


def cell_bytes(pools: Pools) -> Any:
    """One token of the printed capacity as the budget counts it. [bytes per token]"""
    return kept("cell", split_cell_bytes(full_bytes=pools.full_bytes, window_bytes=pools.window_bytes, window_ratio=pools.window_share))


def request_pages(pools: Pools, page_tokens: Any, context_tokens: Any) -> Any:
    """Pages of the printed capacity that one request takes; a window pool that would run out first counts as much. [pages]"""
    held = ceiling(minimum(context_tokens, pools.window + page_tokens) / pools.window_ratio / page_tokens)
    return maximum(ceiling(context_tokens / page_tokens), where(pools.split > 0, held, 0))


def most_requests(requests: RequestRecord, context_tokens: Any, tokens: Any, slots: Any) -> Any:
    """``max_running_requests`` of one attention-data-parallel rank as the log prints it. [requests]"""
    given = minimum(requests.requests, floor_div(tokens, 2))
    limit = where(requests.requests > 0, given, request_limit(tokens=tokens, context_tokens=context_tokens))
    by_states = minimum(limit, floor_div(slots, requests.slots_per_request))
    return kept("most requests", maximum(where(requests.states > 0, by_states, limit), 0))


@dataclass(frozen=True, slots=True)
class Cached:
    """What one stage caches.

    Parameters
    ----------
    available : Quantity
        Left for tokens. [bytes]
    blocks : tuple
        Pages that this is: value, low, high. [pages]
    block_bytes : int
        Bytes of one page in all layers. [bytes]
    slots : int
        Recurrent states. [slots]
    states, beyond, table : Item
        Lines: recurrent states, what is stored beyond the budget, the table of requests.
    by_request : Item or None
        Line of the pools whose size follows from the number of requests; None where there are none.
    """

    available: Quantity
    blocks: tuple[Any, Any, Any]
    block_bytes: Any
    slots: Any
    states: Item
    by_request: Item | None
    beyond: Item
    table: Item


def cached(step: StepRecord, requests: RequestRecord, pools: Pools, budget: Quantity) -> Cached:
    """Pools of one stage out of its budget.

    Parameters
    ----------
    step, requests : StepRecord, RequestRecord
        The start.
    pools : Pools
        What the stage caches.
    budget : Quantity
        Memory for everything that is cached. [bytes]

    Returns
    -------
    Cached
        Pages, and the lines beside them.
    """
    cell = cell_bytes(pools)
    limit = requests.most_tokens * cell
    shares, *ends = (shared_out(requests, pools, step.draft_tokens, size) for size in (budget.value, budget.low, budget.high))
    value, low, high = (where(requests.most_tokens > 0, minimum(each.cache_bytes, limit), each.cache_bytes) for each in (shares, *ends))
    value = kept("cache", value)  # more memory may make more slots for states and leave less: the band still holds the value
    available = Quantity(value, kept("cache, low", minimum(low, value)), kept("cache, high", maximum(high, value)))
    block = kept("block", rounded(step.page_tokens * cell))
    pages, low, high = (floor(size) for size in stage_blocks(available, block))
    return Cached(
        available=available,
        blocks=(pages, low, high),
        block_bytes=block,
        slots=shares.slots,
        states=computed(
            "state_pool",
            state_pool_bytes,
            section=Section.CACHE,
            slot_bytes=pools.slot_bytes,
            slots=shares.slots,
            running=shares.running,
            padding_slots=STATE_PADDING,
            draft_tokens=step.draft_tokens,
        ),
        by_request=computed("window_pool", by_request_bytes, section=Section.CACHE, **dict(pools.fixed)) if pools.fixed else None,
        beyond=_beyond(pools, available.value),
        table=_table(step, requests, kept("pool tokens", pages * step.page_tokens), shares.slots),
    )


def _beyond(pools: Pools, cache_bytes: Any) -> Item:
    inputs: Inputs = {"cache_bytes": cache_bytes, "stored_share": pools.stored_share + pools.draft_share}
    return computed("cache_beyond_budget", beyond_budget_bytes, section=Section.CACHE, **inputs)


def _table(step: StepRecord, requests: RequestRecord, tokens: Any, slots: Any) -> Item:
    return computed(
        "request_table",
        request_table_bytes,
        section=Section.OUTSIDE,
        requests=most_requests(requests, step.context_tokens, tokens, slots),
        context_tokens=step.context_tokens,
        extra_tokens=step.table_entries,
    )
