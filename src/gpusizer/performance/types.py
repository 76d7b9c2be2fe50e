"""What is asked about speed, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Deployment, Evidence, Quantity

__all__ = ["Host", "Load", "Performance", "PrefillPool", "SpeedItem"]


@dataclass(frozen=True, slots=True)
class Load:
    """What the whole deployment serves: one of ``concurrency``, ``request_rate_per_s`` and ``burst``, or a burst with ``concurrency`` as its limit.

    Parameters
    ----------
    input_tokens, output_tokens : float
        Mean lengths of a request. [tokens]
    concurrency : float or None
        Requests in flight, each replaced when it ends. Infinite means as many as the cache holds. Beside ``burst``: how many of it the client
        lets be in flight at any time. [requests]
    request_rate_per_s : float or None
        Arrivals at random moments. [requests/s]
    burst : float or None
        Requests that all arrive at once. [requests]
    shared_prefix_tokens : float
        Tokens of each prompt that the prefix cache holds. [tokens]
    length_spread : float
        Standard deviation of lengths over their mean.
    first_burst_share : float
        Share of the requests that arrive together when a measurement at fixed concurrency begins; 0 in steady service.
    acceptance : float or None
        Probability that a draft token is accepted; None takes the calibrated one.
    requests : float or None
        Of the whole run, where it ends; None in steady service. [requests]
    """

    input_tokens: float
    output_tokens: float
    concurrency: float | None = None
    request_rate_per_s: float | None = None
    burst: float | None = None
    shared_prefix_tokens: float = 0.0
    length_spread: float = 0.0
    first_burst_share: float = 0.0
    acceptance: float | None = None
    requests: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """Memory beside the cards, and which of a model's weights lie in it.

    Parameters
    ----------
    memory_bytes : float or None
        Size. [bytes]
    memory_kind : str
        "DDR5" and the like; empty where it is not said.
    sockets, channels : int or None
        Processors, and memory channels of all of them.
    transfers_per_s : float or None
        Of one channel. [1/s]
    bandwidth_bytes_per_s : float or None
        As measured, or of all channels: eight bytes a transfer; None where it does not follow. [bytes/s]
    offload : str
        "experts" (all routed experts), "expert-layers" (those of ``layers`` layers), "layers" (all but ``layers`` layers), "rest" (whatever the
        full cards do not hold); empty where nothing is said.
    layers : int or None
        How many.
    pcie_generation : int or None
        Of its slots.
    weights_spread : bool
        The engine puts weights beside the processors that read them; otherwise all but one of several wait for the memory of another.
    """

    memory_bytes: float | None = None
    memory_kind: str = ""
    sockets: int | None = None
    channels: int | None = None
    transfers_per_s: float | None = None
    bandwidth_bytes_per_s: float | None = None
    offload: str = ""
    layers: int | None = None
    pcie_generation: int | None = None
    weights_spread: bool = False


@dataclass(frozen=True, slots=True)
class PrefillPool:
    """Workers that only compute prompts, and hand the cache over."""

    deployment: Deployment
    workers: int


class SpeedItem(NamedTuple):
    """One line of the explanation: a figure, the formula that gave it, and what went into the formula.

    Parameters
    ----------
    id : str
        What it is.
    value : float
        The figure, in its unit.
    unit : str
        Of the formula.
    formula : str
        Id of a registered formula.
    inputs : mapping of str to float
        Its arguments: called with them it gives ``value``.
    """

    id: str
    value: float
    unit: str
    formula: str
    inputs: Mapping[str, float]


@dataclass(frozen=True)
class Performance:
    """How fast a deployment serves a load.

    Parameters
    ----------
    ttft_s, tpot_s : Quantity
        Time to the first token; mean time per token after it. [s]
    tpot_p95_s : Quantity
        The slowest twentieth of the requests. [s]
    output_tokens_per_s : Quantity
        Of the whole deployment. [tokens/s]
    regime : str
        "steady" and "saturated" at a fixed concurrency, "cache-limited" where requests wait for room in the cache, "arrivals" at a rate, "overloaded"
        where more arrives than can be served, "burst", "disaggregated".
    running : float
        Requests that decode together. [requests]
    limit_requests_per_s : float or None
        What an open loop can hold. [requests/s]
    evidence : str
        "calibrated", "assumed" where device or engine was never measured, or "measured-on-your-machine" where own cases moved it.
    owners : int
        Independent owners of the measured runs that the band of ``tpot_s`` rests on.
    notices : tuple of Notice
        What must be said.
    explain : callable
        Computes ``items``; they are long and few ask for them.
    """

    ttft_s: Quantity
    tpot_s: Quantity
    tpot_p95_s: Quantity
    output_tokens_per_s: Quantity
    regime: str
    running: float
    limit_requests_per_s: float | None = None
    evidence: str = Evidence.CALIBRATED
    owners: int = 0
    notices: tuple[Notice, ...] = ()
    explain: Callable[[], tuple[SpeedItem, ...]] = field(default=tuple, repr=False, compare=False)

    @cached_property
    def items(self) -> tuple[SpeedItem, ...]:
        """Where the time goes: every figure that decides the answer, with formula and inputs."""
        return self.explain()
