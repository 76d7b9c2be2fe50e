"""From people to load: requests in flight, replicas, servers, and what they cost."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, ceiling, floor, formula, maximum

__all__ = ["concurrent_requests", "deployment_cost", "held_requests", "replicas_needed", "servers_needed"]

_ROUNDING = 1e-9  # 1,000 x 7 % is 70, not 71, in binary fractions too


@formula(
    "load.concurrency",
    unit="requests",
    symbols={"users": "people", "active_share": "share"},
    reference="the article: concurrent users are 1 % to 5 % of all users",
    example={"users": 1000, "active_share": 0.01},
)
def concurrent_requests(*, users: Any, active_share: Any) -> Any:
    """Requests in flight at the same moment.

    Parameters
    ----------
    users : int
        People who may use it. [people]
    active_share : float
        Share of them with a request in flight. [share]

    Returns
    -------
    int
        Requests, one at least. [requests]

    Examples
    --------
    >>> concurrent_requests(users=1000, active_share=0.01), concurrent_requests(users=1000, active_share=0.07)
    (10, 70)
    """
    return maximum(1, ceiling(users * active_share - _ROUNDING))


@formula(
    "load.held_requests",
    unit="requests",
    symbols={"max_concurrency": "requests"},
    reference="arithmetic: a request is held whole or not at all",
    example={"max_concurrency": 58.11},
)
def held_requests(*, max_concurrency: Any) -> Any:
    """Whole requests that one replica's cache holds.

    Parameters
    ----------
    max_concurrency : float
        Requests of full length, as the engine prints it. [requests]

    Returns
    -------
    int
        Requests. [requests]

    Examples
    --------
    >>> held_requests(max_concurrency=58.11)
    58
    """
    return floor(max_concurrency + _ROUNDING)


@formula(
    "load.replicas",
    unit="replicas",
    symbols={"concurrency": "requests", "held": "requests"},
    reference="arithmetic",
    example={"concurrency": 100, "held": 58},
)
def replicas_needed(*, concurrency: Any, held: Any) -> Any:
    """Copies of the engine that hold the load together.

    Parameters
    ----------
    concurrency : int
        Requests in flight. [requests]
    held : int
        Requests that one replica holds, one at least. [requests]

    Returns
    -------
    int
        Replicas. [replicas]

    Examples
    --------
    >>> replicas_needed(concurrency=100, held=58)
    2
    """
    return ceil_div(concurrency, held)


@formula(
    "load.servers",
    unit="servers",
    symbols={"gpus": "GPUs", "devices_per_node": "GPUs per server"},
    reference="arithmetic",
    example={"gpus": 16, "devices_per_node": 8},
)
def servers_needed(*, gpus: Any, devices_per_node: Any) -> Any:
    """Servers that hold so many GPUs.

    Parameters
    ----------
    gpus, devices_per_node : int
        GPUs in all, and of one server. [GPUs]

    Returns
    -------
    int
        Servers. [servers]

    Examples
    --------
    >>> servers_needed(gpus=16, devices_per_node=8), servers_needed(gpus=1, devices_per_node=8)
    (2, 1)
    """
    return ceil_div(gpus, devices_per_node)


@formula(
    "cost.deployment",
    unit="currency per hour, or currency",
    symbols={"gpus": "GPUs", "price": "currency per GPU"},
    reference="arithmetic; prices with date and source are facts",
    example={"gpus": 8, "price": 3},
)
def deployment_cost(*, gpus: Any, price: Any) -> Any:
    """Price of all GPUs.

    Parameters
    ----------
    gpus : int
        GPUs that are paid for. [GPUs]
    price : Decimal or float
        Of one GPU: an hour's rent, or a purchase. [currency per GPU]

    Returns
    -------
    Decimal or float
        The sum. [currency]

    Examples
    --------
    >>> deployment_cost(gpus=8, price=3)
    24
    """
    return gpus * price
