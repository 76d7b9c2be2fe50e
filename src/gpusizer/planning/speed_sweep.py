"""How fast an option is under lighter and heavier loads than the one that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from gpusizer.performance.types import Load, Performance
from gpusizer.planning.types import Option

__all__ = ["CONCURRENCY", "RATE", "SpeedPoint", "SpeedSweep", "speed_sweep"]

CONCURRENCY, RATE = "concurrency", "request-rate"

_LIGHTER = 1 / 16  # of the load that is asked for: where the sweep begins
_BEYOND = 1.5  # times what memory holds: where it ends, requests that wait for room included
_MOST_RATE = 0.97  # of what an open loop holds: beyond it queues grow without end
_POINTS = 7  # evenly spread over the orders of magnitude, beside the marked ones


@dataclass(frozen=True, slots=True)
class SpeedPoint:
    """Times and rates at one load; ``load`` in requests in flight, or in arrivals a second."""

    load: float
    performance: Performance


@dataclass(frozen=True, slots=True)
class SpeedSweep:
    """An option under rising load.

    Parameters
    ----------
    by : str
        "concurrency", or "request-rate" where requests arrive at a rate.
    asked : float
        The load that is asked for. [requests, or requests/s]
    most : float
        What it holds: requests of full length in memory, or arrivals that it keeps up with. [requests, or requests/s]
    points : tuple of SpeedPoint
        The lightest load first; the one that is asked for is among them, unless the option cannot keep up with it.
    """

    by: str
    asked: float
    most: float
    points: tuple[SpeedPoint, ...]


def speed_sweep(option: Option) -> SpeedSweep | None:
    """Times and rates of an option at about ten loads around the one that is asked for.

    Parameters
    ----------
    option : Option
        An option of a plan.

    Returns
    -------
    SpeedSweep or None
        None where no speed is known, or nothing but a burst is asked for.
    """
    asked, performance = option.speeds.load, option.performance
    if performance is None:
        return None
    if asked.request_rate_per_s is not None:
        most, rate = performance.limit_requests_per_s, asked.request_rate_per_s
        if not most:
            return None
        rates = {*_spread(min(rate, most) * _LIGHTER, most * _MOST_RATE), *([rate] if rate < most else [])}
        return SpeedSweep(RATE, rate, most, tuple(_points(option, {each: replace(asked, request_rate_per_s=each) for each in rates})))
    if asked.concurrency is None:
        return None
    count, held = asked.concurrency, option.held_requests
    counts = {max(round(each), 1) for each in _spread(max(count * _LIGHTER, 1), max(count, _BEYOND * held))} | {held, int(count)}
    return SpeedSweep(CONCURRENCY, count, held, tuple(_points(option, {float(each): replace(asked, concurrency=each) for each in counts})))


def _spread(first: float, last: float) -> list[float]:
    """Loads from the first to the last, each the same number of times the one before."""
    return [first * (last / first) ** (step / (_POINTS - 1)) for step in range(_POINTS)]


def _points(option: Option, loads: dict[float, Load]) -> Iterator[SpeedPoint]:
    for load in sorted(loads):
        performance = option.speeds.under(loads[load])
        if performance is not None and isfinite(performance.ttft_s.value) and performance.regime != "overloaded":
            yield SpeedPoint(load, performance)
