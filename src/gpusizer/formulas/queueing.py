"""Waiting: prompts that queue for a prefill while others decode, slots that a cache runs out of, arrivals at a rate, bursts."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = ["burst_wait_seconds", "closed_response_seconds", "open_wait_seconds", "slot_wait_seconds", "utilisation"]


@formula(
    "queueing.closed_response",
    unit="s",
    symbols={"service_s": "s", "think_s": "s", "customers": "requests"},
    reference="Schweitzer's approximation of mean value analysis: one server, a delay, a fixed number of customers",
    example={"service_s": 0.1, "think_s": 10.0, "customers": 32},
)
def closed_response_seconds(*, service_s: Any, think_s: Any, customers: Any) -> Any:
    """Time at a server (wait and service) when each of a fixed number of customers comes back after a delay.

    Here the server is the prefill and the delay is the decoding of an answer.

    Parameters
    ----------
    service_s : float
        Service of one customer. [s]
    think_s : float
        Delay between two visits. [s]
    customers : float
        How many there are. [requests]

    Returns
    -------
    float
        Mean time at the server. [s]

    Examples
    --------
    A lone customer never waits; a short delay makes all the others stand in front.

    >>> round(closed_response_seconds(service_s=0.1, think_s=10.0, customers=1), 6)
    0.1
    >>> round(closed_response_seconds(service_s=0.1, think_s=0.001, customers=32), 2)
    3.2
    """
    spare = customers * service_s - think_s
    return (spare + (spare**2 + 4 * service_s * think_s) ** 0.5) / 2


@formula(
    "queueing.slot_wait",
    unit="s",
    symbols={"customers": "requests", "slots": "requests", "slot_s": "s"},
    reference="Little's law for those who have no slot: they wait while the others are served",
    example={"customers": 64, "slots": 20, "slot_s": 30.0},
)
def slot_wait_seconds(*, customers: Any, slots: Any, slot_s: Any) -> Any:
    """Wait for one of the slots that the cache has room for.

    Parameters
    ----------
    customers, slots : float
        Requests in flight, and those that can be served together. [requests]
    slot_s : float
        How long one holds a slot. [s]

    Returns
    -------
    float
        Mean wait, 0 where there is room for all. [s]

    Examples
    --------
    >>> slot_wait_seconds(customers=64, slots=20, slot_s=30.0), slot_wait_seconds(customers=8, slots=20, slot_s=30.0)
    (66.0, 0.0)
    """
    return maximum(customers - slots, 0) * slot_s / slots


@formula(
    "queueing.utilisation",
    unit="share",
    symbols={"request_rate_per_s": "requests/s", "service_s": "s"},
    reference="share of the time in which a server works",
    example={"request_rate_per_s": 4.0, "service_s": 0.1},
)
def utilisation(*, request_rate_per_s: Any, service_s: Any) -> Any:
    """Share of the time that prefills take.

    Parameters
    ----------
    request_rate_per_s : float
        Requests that arrive. [requests/s]
    service_s : float
        Prefill of one. [s]

    Returns
    -------
    float
        Share; at 1 and above the queue grows without end. [share]

    Examples
    --------
    >>> utilisation(request_rate_per_s=4.0, service_s=0.1)
    0.4
    """
    return request_rate_per_s * service_s


@formula(
    "queueing.open_wait",
    unit="s",
    symbols={"utilisation": "share", "service_s": "s", "variation": "squared coefficient of variation"},
    reference="Pollaczek-Khinchine: M/G/1, mean wait before service",
    example={"utilisation": 0.4, "service_s": 0.1, "variation": 0.25},
)
def open_wait_seconds(*, utilisation: Any, service_s: Any, variation: Any) -> Any:
    """Mean wait of arrivals at random moments before a server that others use.

    Parameters
    ----------
    utilisation : float
        Share of the time in which the server works; below 1. [share]
    service_s : float
        Mean service. [s]
    variation : float
        Variance of the service over its mean squared. [1]

    Returns
    -------
    float
        Wait. [s]

    Examples
    --------
    >>> round(open_wait_seconds(utilisation=0.4, service_s=0.1, variation=0.25), 4)
    0.0417
    """
    return utilisation * service_s * (1 + variation) / (2 * maximum(1 - utilisation, 1e-3))


@formula(
    "queueing.burst_wait",
    unit="s",
    symbols={"requests": "requests", "service_s": "s"},
    reference="all arrive together: on average half of the others are in front",
    example={"requests": 64, "service_s": 0.1},
)
def burst_wait_seconds(*, requests: Any, service_s: Any) -> Any:
    """Mean wait when all requests arrive at the same moment.

    Parameters
    ----------
    requests : float
        Requests of the burst. [requests]
    service_s : float
        Service of one. [s]

    Returns
    -------
    float
        Mean wait before service. [s]

    Examples
    --------
    >>> round(burst_wait_seconds(requests=64, service_s=0.1), 6)
    3.15
    """
    return maximum(requests - 1, 0) * service_s / 2
