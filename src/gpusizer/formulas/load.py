"""From people to load: requests in flight, replicas, servers, and what they cost."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, ceiling, floor, formula, maximum

__all__ = [
    "cache_in_use_bytes",
    "concurrent_requests",
    "cost_per_million_tokens",
    "deployment_cost",
    "energy_per_million_tokens_kwh",
    "gpus_power_w",
    "held_requests",
    "in_flight_requests",
    "replicas_needed",
    "servers_needed",
]

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
    "load.cache_in_use",
    unit="bytes",
    symbols={"pool_bytes": "bytes", "max_concurrency": "requests", "concurrency": "requests", "replicas": "replicas"},
    reference="arithmetic: requests of one length share the pool evenly, and replicas share the requests",
    example={"pool_bytes": 44_920_000_000, "max_concurrency": 124.86, "concurrency": 50, "replicas": 1},
)
def cache_in_use_bytes(*, pool_bytes: Any, max_concurrency: Any, concurrency: Any, replicas: Any) -> Any:
    """Cache of one GPU that requests of full length take.

    Parameters
    ----------
    pool_bytes : int
        Cache of the GPU. [bytes]
    max_concurrency : float
        Requests of full length that the cache of one replica holds. [requests]
    concurrency : float
        Requests in flight on all replicas together. [requests]
    replicas : int
        Copies of the engine. [replicas]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> cache_in_use_bytes(pool_bytes=1000, max_concurrency=10, concurrency=8, replicas=2)
    400.0
    """
    return pool_bytes * concurrency / (max_concurrency * replicas)


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


@formula(
    "load.in_flight",
    unit="requests",
    symbols={"request_rate_per_s": "requests per second", "request_s": "s"},
    reference="J. D. C. Little, A proof for the queuing formula L = lambda W, Operations Research 9 (1961)",
    example={"request_rate_per_s": 5, "request_s": 12},
)
def in_flight_requests(*, request_rate_per_s: Any, request_s: Any) -> Any:
    """Requests that are in flight together when they arrive at a rate.

    Parameters
    ----------
    request_rate_per_s : float
        Arrivals. [requests/s]
    request_s : float
        How long one takes from arrival to its last token. [s]

    Returns
    -------
    int
        Requests, rounded up, one at least. [requests]

    Examples
    --------
    >>> in_flight_requests(request_rate_per_s=5, request_s=12)
    60
    """
    return maximum(1, ceiling(request_rate_per_s * request_s - _ROUNDING))


@formula(
    "cost.per_million_tokens",
    unit="currency per million output tokens",
    symbols={"cost_per_hour": "currency per hour", "output_tokens_per_s": "tokens/s"},
    reference="arithmetic",
    example={"cost_per_hour": 27.6, "output_tokens_per_s": 635},
)
def cost_per_million_tokens(*, cost_per_hour: Any, output_tokens_per_s: Any) -> Any:
    """Rent of the time that a million output tokens take.

    Parameters
    ----------
    cost_per_hour : float
        Rent of the whole deployment. [currency per hour]
    output_tokens_per_s : float
        Of the whole deployment. [tokens/s]

    Returns
    -------
    float
        Cost. [currency per million tokens]

    Examples
    --------
    >>> round(cost_per_million_tokens(cost_per_hour=27.6, output_tokens_per_s=635), 2)
    12.07
    """
    return cost_per_hour * 1000000 / (output_tokens_per_s * 3600)


@formula(
    "energy.per_million_tokens",
    unit="kWh per million output tokens",
    symbols={"gpus": "GPUs", "tdp_w": "W", "output_tokens_per_s": "tokens/s"},
    reference="arithmetic with the power limit of the data sheet: GPUs alone, without server, cooling and network",
    example={"gpus": 8, "tdp_w": 700, "output_tokens_per_s": 635},
)
def energy_per_million_tokens_kwh(*, gpus: Any, tdp_w: Any, output_tokens_per_s: Any) -> Any:
    """Energy of the GPUs, at their power limit, for a million output tokens.

    Parameters
    ----------
    gpus : int
        GPUs that work. [GPUs]
    tdp_w : float
        Power limit of one. [W]
    output_tokens_per_s : float
        Of the whole deployment. [tokens/s]

    Returns
    -------
    float
        Energy. [kWh per million tokens]

    Examples
    --------
    >>> round(energy_per_million_tokens_kwh(gpus=8, tdp_w=700, output_tokens_per_s=635), 2)
    2.45
    """
    return gpus * tdp_w * 1000 / (output_tokens_per_s * 3600)


@formula(
    "energy.power",
    unit="W",
    symbols={"gpus": "GPUs", "tdp_w": "W"},
    reference="arithmetic with the power limit of the data sheet: GPUs alone, without server, cooling and network",
    example={"gpus": 8, "tdp_w": 700},
)
def gpus_power_w(*, gpus: Any, tdp_w: Any) -> Any:
    """Power of the GPUs at their limit.

    Parameters
    ----------
    gpus : int
        GPUs that work. [GPUs]
    tdp_w : float
        Power limit of one. [W]

    Returns
    -------
    float
        Power. [W]

    Examples
    --------
    >>> gpus_power_w(gpus=8, tdp_w=700)
    5600
    """
    return gpus * tdp_w
