"""A floor of service: what is too slow for a person who waits is marked, whatever it holds and costs."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from gpusizer.architecture.types import Notice
from gpusizer.facts.service_floor import usual_floor
from gpusizer.facts.types import ServiceFloor
from gpusizer.performance.types import Performance
from gpusizer.planning.drafts import ON
from gpusizer.planning.request import Request

__all__ = ["below_floor", "floor_of"]


def floor_of(request: Request) -> ServiceFloor | None:
    """The limits of a request: the usual ones, each replaced by a target of its own kind; None where they are switched off.

    Parameters
    ----------
    request : Request
        Its targets, and whether there is a floor.

    Returns
    -------
    ServiceFloor or None
        A target that was asked for is the search's; here it leaves its quantity without a limit.

    Examples
    --------
    >>> floor_of(Request(model="qwen3-8b", ttft_s=30)).ttft_s, floor_of(Request(model="qwen3-8b", service_floor="off"))
    (inf, None)
    """
    if request.service_floor != ON:
        return None
    usual = usual_floor()
    own_ttft = any(each is not None for each in (request.mean_ttft_s, request.ttft_p50_s))
    return replace(usual, ttft_s=inf if own_ttft else usual.ttft_s, tpot_s=usual.tpot_s if request.mean_tpot_s is None else inf)


def below_floor(floor: ServiceFloor | None, speed: Performance | None) -> tuple[Notice, ...]:
    """What is said of a deployment that is slower than the floor; nothing where its speed is unknown or has no steady state.

    Parameters
    ----------
    floor : ServiceFloor or None
        The limits.
    speed : Performance or None
        Times at the load that is asked for.

    Returns
    -------
    tuple of Notice
        One with both figures beside both limits, or none.
    """
    if floor is None or speed is None or speed.regime == "overloaded":
        return ()
    ttft, tpot = speed.ttft_s.value, speed.tpot_s.value
    if ttft <= floor.ttft_s and tpot <= floor.tpot_s:
        return ()
    usual = usual_floor()
    limits = {"floor_ttft_s": usual.ttft_s, "floor_tpot_ms": 1000 * usual.tpot_s}
    return (Notice("below-service-floor", {"ttft_s": ttft, "tpot_ms": 1000 * tpot, **limits}),)
