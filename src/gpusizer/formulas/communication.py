"""Time of collectives and transfers between GPUs: all-reduce of tensor parallelism, all-to-all of experts, hops of a pipeline, moving a cache."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = ["all_reduce_seconds", "all_to_all_seconds", "expert_volume_bytes", "transfer_seconds"]


@formula(
    "communication.all_reduce",
    unit="s",
    symbols={"message_bytes": "bytes", "ranks": "ranks", "bus_bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="ring all-reduce: each rank sends 2 (N - 1) / N of the message; NCCL tests call volume over time the bus bandwidth",
    example={"message_bytes": 64 * 2**20, "ranks": 8, "bus_bytes_per_s": 350e9, "latency_s": 5e-6},
)
def all_reduce_seconds(*, message_bytes: Any, ranks: Any, bus_bytes_per_s: Any, latency_s: Any) -> Any:
    """Time to add a message over all ranks of a group.

    Parameters
    ----------
    message_bytes : float
        Size of the message on one rank. [bytes]
    ranks : float
        Ranks of the group. [ranks]
    bus_bytes_per_s : float
        Bus bandwidth, one way. [bytes/s]
    latency_s : float
        Time of a tiny message. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(all_reduce_seconds(message_bytes=64 * 2**20, ranks=8, bus_bytes_per_s=350e9, latency_s=5e-6) * 1e6)
    341
    """
    return latency_s + 2 * (ranks - 1) / ranks * message_bytes / bus_bytes_per_s


@formula(
    "communication.expert_volume",
    unit="bytes",
    symbols={"tokens": "tokens", "copies": "ranks per token", "hidden": "elements", "element_bytes": "bytes", "ranks": "ranks"},
    reference="deepseek-ai/DeepEP: dispatch sends a token to the ranks of its experts, combine brings the results back",
    example={"tokens": 128, "copies": 7, "hidden": 7168, "element_bytes": 3, "ranks": 32},
)
def expert_volume_bytes(*, tokens: Any, copies: Any, hidden: Any, element_bytes: Any, ranks: Any) -> Any:
    """What one rank sends to reach the experts of its tokens and to bring the results back.

    Parameters
    ----------
    tokens : float
        Tokens of the rank. [tokens]
    copies : float
        Ranks that one token is sent to. [ranks]
    hidden : float
        Width of a token. [elements]
    element_bytes : float
        Bytes of one element, dispatch and combine together. [bytes]
    ranks : float
        Ranks that share the experts; one of them is at home. [ranks]

    Returns
    -------
    float
        Volume. [bytes]

    Examples
    --------
    >>> round(expert_volume_bytes(tokens=128, copies=7, hidden=7168, element_bytes=3, ranks=32))
    18665472
    """
    return tokens * copies * hidden * element_bytes * (ranks - 1) / ranks


@formula(
    "communication.all_to_all",
    unit="s",
    symbols={"volume_bytes": "bytes", "bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="deepseek-ai/DeepEP low-latency kernels: a floor and volume over bandwidth",
    example={"volume_bytes": 18665472, "bytes_per_s": 150e9, "latency_s": 3e-5},
)
def all_to_all_seconds(*, volume_bytes: Any, bytes_per_s: Any, latency_s: Any) -> Any:
    """Time of dispatch and combine of one layer.

    Parameters
    ----------
    volume_bytes : float
        What one rank sends. [bytes]
    bytes_per_s : float
        Rate of one rank. [bytes/s]
    latency_s : float
        Floor of both together. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(all_to_all_seconds(volume_bytes=18665472, bytes_per_s=150e9, latency_s=3e-5) * 1e6)
    154
    """
    return latency_s + volume_bytes / bytes_per_s


@formula(
    "communication.transfer",
    unit="s",
    symbols={"moved_bytes": "bytes", "bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="one message over one link",
    example={"moved_bytes": 288e6, "bytes_per_s": 45e9, "latency_s": 1e-5},
)
def transfer_seconds(*, moved_bytes: Any, bytes_per_s: Any, latency_s: Any) -> Any:
    """Time to move bytes between two GPUs: a pipeline hop, the cache of a prompt that another worker computed.

    Parameters
    ----------
    moved_bytes : float
        Size. [bytes]
    bytes_per_s : float
        Rate of the link. [bytes/s]
    latency_s : float
        Time of a tiny message. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    8K tokens of a DeepSeek-V3 cache in FP8 over one 400 Gb/s port.

    >>> round(transfer_seconds(moved_bytes=288e6, bytes_per_s=45e9, latency_s=1e-5) * 1e3, 1)
    6.4
    """
    return latency_s + maximum(moved_bytes, 0) / bytes_per_s
