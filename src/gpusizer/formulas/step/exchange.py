"""Messages between the ranks of a step."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.communication import all_reduce_seconds, all_to_all_seconds, transfer_seconds
from gpusizer.formulas.core import formula, maximum, minimum

__all__ = [
    "exchange_seconds",
    "hop_seconds",
    "reduction_seconds",
]

BF16_BYTES = 2


@formula(
    "step.reduction",
    unit="s",
    symbols={"layers": "layers", "tokens": "tokens", "hidden": "elements", "ranks": "ranks", "bus_bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="tensor parallelism sums the output of attention and of the feed-forward block over its ranks: M. Shoeybi et al., Megatron-LM, 2019",
    example={"layers": 64, "tokens": 32, "hidden": 5120, "ranks": 8, "bus_bytes_per_s": 260e9, "latency_s": 9e-6},
)
def reduction_seconds(*, layers: Any, tokens: Any, hidden: Any, ranks: Any, bus_bytes_per_s: Any, latency_s: Any) -> Any:
    """Time of the all-reduces of a step, two for each layer; none on one rank.

    Parameters
    ----------
    layers : float
        Decoder layers. [layers]
    tokens, hidden : float
        Tokens of the step, and the width of one. [tokens, elements]
    ranks : float
        Tensor-parallel ranks. [ranks]
    bus_bytes_per_s, latency_s : float
        Bus bandwidth, and time of a tiny message. [bytes/s, s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> reduction_seconds(layers=64, tokens=32, hidden=5120, ranks=1, bus_bytes_per_s=260e9, latency_s=9e-6)
    0.0
    """
    there = minimum(maximum(ranks - 1, 0), 1)
    each = all_reduce_seconds(
        message_bytes=tokens * hidden * BF16_BYTES, ranks=maximum(ranks, 1), bus_bytes_per_s=bus_bytes_per_s, latency_s=latency_s
    )
    return there * 2 * layers * each


@formula(
    "step.exchange",
    unit="s",
    symbols={"layers": "layers", "volume_bytes": "bytes", "ranks": "ranks", "bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="data-parallel ranks of attention send their tokens to the ranks of the experts and take them back",
    example={"layers": 58, "volume_bytes": 2e6, "ranks": 8, "bytes_per_s": 200e9, "latency_s": 4e-5},
)
def exchange_seconds(*, layers: Any, volume_bytes: Any, ranks: Any, bytes_per_s: Any, latency_s: Any) -> Any:
    """Time of the exchanges of a step between data-parallel ranks of attention; none on one rank.

    Parameters
    ----------
    layers : float
        Layers with routed experts. [layers]
    volume_bytes : float
        What one rank sends and takes in one layer. [bytes]
    ranks : float
        Data-parallel ranks of attention. [ranks]
    bytes_per_s, latency_s : float
        Bandwidth, and time of a tiny exchange. [bytes/s, s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> exchange_seconds(layers=58, volume_bytes=2e6, ranks=1, bytes_per_s=200e9, latency_s=4e-5)
    0.0
    """
    there = minimum(maximum(ranks - 1, 0), 1)
    return there * layers * all_to_all_seconds(volume_bytes=volume_bytes, bytes_per_s=bytes_per_s, latency_s=latency_s)


@formula(
    "step.hops",
    unit="s",
    symbols={"stages": "stages", "tokens": "tokens", "hidden": "elements", "bytes_per_s": "bytes/s", "latency_s": "s"},
    reference="each pipeline stage hands its tokens to the next",
    example={"stages": 4, "tokens": 32, "hidden": 5120, "bytes_per_s": 45e9, "latency_s": 1.5e-5},
)
def hop_seconds(*, stages: Any, tokens: Any, hidden: Any, bytes_per_s: Any, latency_s: Any) -> Any:
    """Time on the way between pipeline stages.

    Parameters
    ----------
    stages : float
        Pipeline stages. [stages]
    tokens, hidden : float
        Tokens of the step, and the width of one. [tokens, elements]
    bytes_per_s, latency_s : float
        Bandwidth, and time of a tiny message. [bytes/s, s]

    Returns
    -------
    float
        Time, 0 with one stage. [s]

    Examples
    --------
    >>> hop_seconds(stages=1, tokens=32, hidden=5120, bytes_per_s=45e9, latency_s=1.5e-5)
    0.0
    """
    each = transfer_seconds(moved_bytes=tokens * hidden * BF16_BYTES, bytes_per_s=bytes_per_s, latency_s=latency_s)
    return (stages - 1) * each
