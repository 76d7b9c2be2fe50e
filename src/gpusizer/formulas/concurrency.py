"""How many requests run together: what one keeps in the cache, and how many of them there is room for."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum, where

__all__ = [
    "believed_room_requests",
    "held_tokens",
    "request_rows",
    "room_requests",
    "rough_room_requests",
]


@formula(
    "concurrency.held_tokens",
    unit="tokens",
    symbols={
        "input_tokens": "tokens",
        "output_tokens": "tokens",
        "output_share": "share",
    },
    reference="a request grows while it is answered: half of its answer on average; engines that reserve it count all",
    example={"input_tokens": 1000, "output_tokens": 200, "output_share": 0.5},
)
def held_tokens(*, input_tokens: Any, output_tokens: Any, output_share: Any) -> Any:
    """Tokens that a request keeps in the cache.

    Parameters
    ----------
    input_tokens : float
        Of a request. [tokens]
    output_tokens : float
        Of its answer. [tokens]
    output_share : float
        Of the answer that counts. [share]

    Returns
    -------
    float
        [tokens]

    Examples
    --------
    >>> held_tokens(input_tokens=1000, output_tokens=200, output_share=0.5)
    1100.0
    """
    return input_tokens + output_tokens * output_share


@formula(
    "concurrency.room",
    unit="requests",
    symbols={
        "pool_requests": "requests",
        "full_tokens": "tokens",
        "held": "tokens",
        "ranks": "ranks",
    },
    reference="the engine's own answer, for requests of another length",
    example={"pool_requests": 10.0, "full_tokens": 8192, "held": 1024, "ranks": 1},
)
def room_requests(*, pool_requests: Any, full_tokens: Any, held: Any, ranks: Any) -> Any:
    """Requests that one rank's cache has room for.

    Parameters
    ----------
    pool_requests : float
        Of full length that the engine says its cache holds. [requests]
    full_tokens : float
        Their length. [tokens]
    held : float
        What a request keeps on average. [tokens]
    ranks : float
        Data-parallel ranks of attention, each with a cache of its own. [ranks]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> room_requests(pool_requests=10.0, full_tokens=8192, held=1024, ranks=2)
    40.0
    """
    return pool_requests * full_tokens / maximum(held, 1) / ranks


@formula(
    "concurrency.rough_room",
    unit="requests",
    symbols={
        "memory_bytes": "bytes",
        "device_share": "share",
        "least_share": "share",
        "weights_bytes": "bytes",
        "request_bytes": "bytes",
    },
    reference="what weights leave of the device",
    example={"memory_bytes": 85000000000.0, "device_share": 0.96, "least_share": 0.02, "weights_bytes": 60000000000.0, "request_bytes": 300000000.0},
)
def rough_room_requests(*, memory_bytes: Any, device_share: Any, least_share: Any, weights_bytes: Any, request_bytes: Any) -> Any:
    """Requests that a rank has room for, were all that weights leave a cache.

    Parameters
    ----------
    memory_bytes : float
        Of the device. [bytes]
    device_share : float
        Of it that a start which worked can have used. [share]
    least_share : float
        Of it that is left in any case. [share]
    weights_bytes : float
        On this rank. [bytes]
    request_bytes : float
        Cache of a request. [bytes]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> rough_room_requests(memory_bytes=1000.0, device_share=0.75, least_share=0.0, weights_bytes=500.0, request_bytes=50.0)
    5.0
    """
    left = maximum(memory_bytes * device_share - weights_bytes, memory_bytes * least_share)
    return maximum(left / maximum(request_bytes, 1), 1)


@formula(
    "concurrency.believed_room",
    unit="requests",
    symbols={
        "room": "requests",
        "rough": "requests",
        "believed_share": "share",
    },
    reference="where weights fill the device the room is a small difference of large figures, mended with flags: the geometric mean",
    example={"room": 4.0, "rough": 16.0, "believed_share": 0.6},
)
def believed_room_requests(*, room: Any, rough: Any, believed_share: Any) -> Any:
    """Requests that a rank has room for.

    Parameters
    ----------
    room : float
        By the engine's own answer, 0 where nothing fits by its account. [requests]
    rough : float
        By what weights leave of the device. [requests]
    believed_share : float
        Of the rough room from which the answer is believed. [share]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> believed_room_requests(room=8.0, rough=10.0, believed_share=0.6), believed_room_requests(room=0.0, rough=10.0, believed_share=0.6)
    (8.0, 10.0)
    """
    mended = where(room < rough * believed_share, (room * rough) ** 0.5, room)
    return maximum(where(room > 0, mended, rough), 1)


@formula(
    "concurrency.request_rows",
    unit="rows",
    symbols={
        "held": "tokens",
        "whole_tokens": "tokens",
        "ratio": "tokens per row",
        "window_rows": "rows",
    },
    reference="a window is full long before a request ends",
    example={"held": 1100, "whole_tokens": 1200, "ratio": 1, "window_rows": 128},
)
def request_rows(*, held: Any, whole_tokens: Any, ratio: Any, window_rows: Any) -> Any:
    """Cached rows of one request in one layer.

    Parameters
    ----------
    held : float
        What a request keeps on average. [tokens]
    whole_tokens : float
        Its full length. [tokens]
    ratio : float
        Tokens that share a row. [tokens per row]
    window_rows : float
        Of a window, very large without one. [rows]

    Returns
    -------
    float
        [rows]

    Examples
    --------
    >>> request_rows(held=1100, whole_tokens=1200, ratio=4, window_rows=1e12), request_rows(held=1100, whole_tokens=1200, ratio=1, window_rows=128)
    (275.0, 128)
    """
    return minimum(window_rows, where(window_rows < 1e12, whole_tokens, held / ratio))
