"""Pools that an engine cuts from a share of free memory: states beside cache, windows, request tables, what is left after a peak."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, floor, formula, maximum, minimum

__all__ = [
    "pool_after_peak_bytes",
    "pool_of_static_share_bytes",
    "request_limit",
    "request_table_bytes",
    "split_cell_bytes",
    "state_rows",
    "state_slots",
    "window_request_cap",
]


@formula(
    "memory.pools.of_static_share",
    unit="bytes",
    symbols={"free_before_bytes": "bytes", "share": "share", "weights_bytes": "bytes", "reservation_bytes": "bytes"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/mem_cache/kv_cache_configurator.py, _profile_available_bytes",
    example={"free_before_bytes": 84385369948, "share": 0.88, "weights_bytes": 16224239124, "reservation_bytes": 0},
)
def pool_of_static_share_bytes(*, free_before_bytes: Any, share: Any, weights_bytes: Any, reservation_bytes: Any) -> Any:
    """Memory for the cache: the share of what was free before loading, less what loading took; negative where nothing is left.

    Parameters
    ----------
    free_before_bytes : int
        Free after communication is set up and before weights are loaded, on the fullest rank. [bytes]
    share : float
        Share for weights and cache together. [share]
    weights_bytes, reservation_bytes : int
        What loading took; what is set aside for images. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B on one H100: 78.59 GiB free, 15.11 GiB loaded; the log says 54.04 GiB.

    >>> round(pool_of_static_share_bytes(free_before_bytes=84385369948, share=0.88, weights_bytes=16224239124, reservation_bytes=0) / 2**30, 2)
    54.05
    """
    return free_before_bytes * share - weights_bytes - reservation_bytes


@formula(
    "memory.pools.split_cell",
    unit="bytes per token",
    symbols={"full_bytes": "bytes per token", "window_bytes": "bytes per token", "window_ratio": "share"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/pool_configurator.py, HybridSWAPoolConfigurator",
    example={"full_bytes": 24576, "window_bytes": 24576, "window_ratio": 0.8},
)
def split_cell_bytes(*, full_bytes: Any, window_bytes: Any, window_ratio: Any) -> Any:
    """Memory of one token where layers with a window have a smaller pool of their own.

    Parameters
    ----------
    full_bytes, window_bytes : float
        One token in all layers that keep everything, and in all layers with a window. [bytes per token]
    window_ratio : float
        Tokens of the window pool for each token of the full pool. [share]

    Returns
    -------
    float
        Bytes. [bytes per token]

    Examples
    --------
    >>> split_cell_bytes(full_bytes=24576, window_bytes=24576, window_ratio=0.5)
    36864.0
    """
    return full_bytes + window_ratio * window_bytes


@formula(
    "memory.pools.window_request_cap",
    unit="tokens",
    symbols={
        "requests": "requests",
        "window": "tokens",
        "draft_tokens": "tokens",
        "page_tokens": "tokens",
        "decode_tokens": "tokens",
        "prefill_tokens": "tokens",
        "tails": "requests",
    },
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/pool_configurator.py, compute_swa_request_cap",
    example={
        "requests": 128,
        "window": 128,
        "draft_tokens": 1,
        "page_tokens": 256,
        "decode_tokens": 256,
        "prefill_tokens": 16384,
        "tails": 0,
    },
)
def window_request_cap(
    *, requests: Any, window: Any, draft_tokens: Any, page_tokens: Any, decode_tokens: Any, prefill_tokens: Any, tails: Any
) -> Any:
    """Tokens of a window pool that is sized for the most requests at once.

    Parameters
    ----------
    requests : int
        Requests that may run at once. [requests]
    window : int
        Tokens that a window sees. [tokens]
    draft_tokens : int
        Tokens of one decoding step, 1 without drafts. [tokens]
    page_tokens, decode_tokens : int
        Tokens of a page; tokens that one step may allocate for a request. [tokens]
    prefill_tokens : int
        Prefill chunks in flight. [tokens]
    tails : int
        Ends of cached prefixes that are kept. [requests]

    Returns
    -------
    int
        Tokens in whole pages. [tokens]

    Examples
    --------
    >>> window_request_cap(requests=1, window=128, draft_tokens=1, page_tokens=256, decode_tokens=256, prefill_tokens=16384, tails=0)
    17408
    """
    per_request = window + draft_tokens + page_tokens + decode_tokens
    return ceil_div(per_request * requests + prefill_tokens + page_tokens + tails * (window + page_tokens), page_tokens) * page_tokens


@formula(
    "memory.pools.state_slots",
    unit="slots",
    symbols={
        "budget_bytes": "bytes",
        "state_to_cache": "ratio",
        "slot_bytes": "bytes per slot",
        "draft_tokens": "tokens",
        "slots_per_request": "slots",
        "padding_slots": "slots",
    },
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/mem_cache/kv_cache_configurator.py, _handle_max_mamba_cache",
    example={
        "budget_bytes": 40909563494,
        "state_to_cache": 0.9,
        "slot_bytes": 153944064,
        "draft_tokens": 0,
        "slots_per_request": 3,
        "padding_slots": 1,
    },
)
def state_slots(*, budget_bytes: Any, state_to_cache: Any, slot_bytes: Any, draft_tokens: Any, slots_per_request: Any, padding_slots: Any) -> Any:
    """Recurrent states that a fixed share of the budget holds.

    Parameters
    ----------
    budget_bytes : float
        Memory for states and cache together. [bytes]
    state_to_cache : float
        Memory of states for each byte of cache. [ratio]
    slot_bytes : int
        State of one request in all layers. [bytes per slot]
    draft_tokens : int
        Draft tokens, each of which keeps a state. [tokens]
    slots_per_request : int
        Slots that a running request may take. [slots]
    padding_slots : int
        Slots that no request gets. [slots]

    Returns
    -------
    int
        Slots. [slots]

    Examples
    --------
    A model of 27B on one H100 with a budget of 38.1 GiB; the log says 124 slots.

    >>> state_slots(budget_bytes=40909563494, state_to_cache=0.9, slot_bytes=153944064, draft_tokens=0, slots_per_request=3, padding_slots=1)
    124
    """
    states_bytes = budget_bytes * state_to_cache / (1 + state_to_cache) - padding_slots * slot_bytes * (1 + draft_tokens)
    return floor(maximum(states_bytes, 0) / (slot_bytes * (1 + draft_tokens / slots_per_request)))


@formula(
    "memory.pools.state_rows",
    unit="rows",
    symbols={"requests": "requests", "ring": "rows", "alignment": "rows"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/pool_configurator.py, _get_c128_state_fixed_bytes",
    example={"requests": 256, "ring": 128, "alignment": 128},
)
def state_rows(*, requests: Any, ring: Any, alignment: Any) -> Any:
    """Rows of compressor state, one ring a request.

    Parameters
    ----------
    requests : int
        Requests that may run at once. [requests]
    ring : int
        Rows of one request's ring. [rows]
    alignment : int
        What the number of rows is a multiple of. [rows]

    Returns
    -------
    int
        Rows. [rows]

    Examples
    --------
    >>> state_rows(requests=256, ring=128, alignment=128)
    33152
    """
    return ceil_div((requests + 1) * ring + ring + 1, alignment) * alignment


@formula(
    "memory.pools.request_table",
    unit="bytes",
    symbols={"requests": "requests", "context_tokens": "tokens", "extra_tokens": "tokens"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/mem_cache/memory_pool.py, ReqToTokenPool",
    example={"requests": 4096, "context_tokens": 131072, "extra_tokens": 4},
)
def request_table_bytes(*, requests: Any, context_tokens: Any, extra_tokens: Any) -> Any:
    """Table that says where each token of each request lies, four bytes an entry.

    Parameters
    ----------
    requests : int
        Requests that may run at once. [requests]
    context_tokens, extra_tokens : int
        Longest request, and entries beyond it. [tokens]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> round(request_table_bytes(requests=4096, context_tokens=131072, extra_tokens=4) / 2**30, 2)
    2.0
    """
    return (requests + 1) * (context_tokens + extra_tokens) * 4


@formula(
    "memory.pools.request_limit",
    unit="requests",
    symbols={"tokens": "tokens", "context_tokens": "tokens"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/mem_cache/kv_cache_configurator.py, resolve_max_num_reqs",
    example={"tokens": 1707904, "context_tokens": 40960},
)
def request_limit(*, tokens: Any, context_tokens: Any) -> Any:
    """Requests at once when nobody says how many.

    Parameters
    ----------
    tokens, context_tokens : int
        Tokens of the pool; longest request. [tokens]

    Returns
    -------
    int
        Requests. [requests]

    Examples
    --------
    DeepSeek-R1 on eight B200; the log says 3063.

    >>> request_limit(tokens=980344, context_tokens=163840)
    3063
    """
    return minimum(maximum(minimum(floor(tokens / context_tokens * 512), 4096), 2048), floor(tokens / 2))


@formula(
    "memory.pools.after_peak",
    unit="bytes",
    symbols={"device_total_bytes": "bytes", "peak_bytes": "bytes", "temporary_pool_bytes": "bytes", "fraction": "share"},
    reference="NVIDIA/TensorRT-LLM@000439672: tensorrt_llm/_torch/pyexecutor/_util.py, KvCacheCreator",
    example={"device_total_bytes": 128526896333, "peak_bytes": 122030758297, "temporary_pool_bytes": 601295421, "fraction": 0.9},
)
def pool_after_peak_bytes(*, device_total_bytes: Any, peak_bytes: Any, temporary_pool_bytes: Any, fraction: Any) -> Any:
    """Memory for the cache: a share of what a trial run left free; negative where nothing is.

    Parameters
    ----------
    device_total_bytes, peak_bytes : int
        The whole device, and the most that was in use during the trial. [bytes]
    temporary_pool_bytes : int
        Cache that the trial itself needed. [bytes]
    fraction : float
        Share of the rest. [share]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    gpt-oss-120b on GB10 (119.70, 113.65 and 0.56 GiB); the log says 5.95 GiB.

    >>> total, peak = 128526896333, 122030758297
    >>> round(pool_after_peak_bytes(device_total_bytes=total, peak_bytes=peak, temporary_pool_bytes=601295421, fraction=0.9) / 2**30, 2)
    5.95
    """
    return (device_total_bytes - peak_bytes + temporary_pool_bytes) * fraction
