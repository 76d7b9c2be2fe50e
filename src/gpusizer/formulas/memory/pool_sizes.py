"""Pools beside the rows of tokens: recurrent states, pools by request, what a budget does not count, pages of a checkpoint."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum

__all__ = ["beyond_budget_bytes", "by_request_bytes", "checkpoint_pages_bytes", "state_pool_bytes"]


@formula(
    "memory.pools.states",
    unit="bytes",
    symbols={"slot_bytes": "bytes per slot", "slots": "slots", "running": "requests", "padding_slots": "slots", "draft_tokens": "tokens"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/mem_cache/memory_pool.py, MambaPool",
    example={"slot_bytes": 66000000, "slots": 300, "running": 60, "padding_slots": 1, "draft_tokens": 0},
)
def state_pool_bytes(*, slot_bytes: Any, slots: Any, running: Any, padding_slots: Any, draft_tokens: Any) -> Any:
    """Pool of recurrent states: a slot for each state that is kept, and for each running request one for every draft token.

    Parameters
    ----------
    slot_bytes : int
        State of one request in all layers of the rank. [bytes per slot]
    slots, padding_slots : int
        Slots, and those that no request gets. [slots]
    running : int
        Requests that may run at once. [requests]
    draft_tokens : int
        Draft tokens of a step. [tokens]


    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> state_pool_bytes(slot_bytes=66000000, slots=300, running=60, padding_slots=1, draft_tokens=0)
    19866000000
    """
    return slot_bytes * (slots + padding_slots + (running + padding_slots) * draft_tokens)


@formula(
    "memory.pools.by_request",
    unit="bytes",
    symbols={"pools": "bytes"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/pool_configurator.py: pools that are sized by the number of requests",
    example={"windows": 3221225472, "ring_128": 536870912},
)
def by_request_bytes(**pools: Any) -> Any:
    """Pools whose size follows from the number of requests: windows of full length, rings of compressor states.

    Parameters
    ----------
    **pools : int
        Each pool by its name. [bytes]


    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> by_request_bytes(windows=3221225472, ring_128=536870912)
    3758096384
    """
    return reduce(add, pools.values())


@formula(
    "memory.pools.beyond_budget",
    unit="bytes",
    symbols={"cache_bytes": "bytes", "stored_share": "share"},
    reference="sgl-project/sglang before 0.5.10: a scaled sparse row is budgeted as a raw one",
    example={"cache_bytes": 40000000000, "stored_share": 1.125},
)
def beyond_budget_bytes(*, cache_bytes: Any, stored_share: Any) -> Any:
    """Cache that is allocated and that the budget does not count.

    Parameters
    ----------
    cache_bytes : float
        Cache as the budget counts it. [bytes]
    stored_share : float
        What is really allocated for each byte of it. [share]


    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> beyond_budget_bytes(cache_bytes=40000000000, stored_share=1.125)
    5000000000.0
    """
    return cache_bytes * (stored_share - 1)


@formula(
    "memory.pools.checkpoint_pages",
    unit="bytes",
    symbols={"checkpoint_bytes": "bytes", "device_total_bytes": "bytes", "used_bytes": "bytes", "free_share": "share"},
    reference="fitted to one start on a GB10: the pages that a load leaves in the system's cache count as used memory",
    example={"checkpoint_bytes": 65000000000, "device_total_bytes": 128530000000, "used_bytes": 80000000000, "free_share": 0.0552},
)
def checkpoint_pages_bytes(*, checkpoint_bytes: Any, device_total_bytes: Any, used_bytes: Any, free_share: Any) -> Any:
    """Pages of the checkpoint that stay in the memory of a unified device: all of it, or as much as leaves a share free.

    Parameters
    ----------
    checkpoint_bytes : int
        Files that were read. [bytes]
    device_total_bytes, used_bytes : int
        The device; everything else on it. [bytes]
    free_share : float
        Share of the device that the system keeps free. [share]


    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> round(checkpoint_pages_bytes(checkpoint_bytes=65000000000, device_total_bytes=128530000000, used_bytes=80000000000, free_share=0.0552))
    41435144000
    """
    return maximum(minimum(checkpoint_bytes, device_total_bytes - used_bytes - device_total_bytes * free_share), 0)
