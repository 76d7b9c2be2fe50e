"""The order of options: what is well known first, then what the user asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.planning.types import FITS, Option

if TYPE_CHECKING:
    from gpusizer.planning.finalists import Missed

__all__ = ["COMPARED", "SHOWN", "front_of", "ranked", "runner_up_reason", "target_words"]

_LAST = float("inf")
COMPARED = ("on-demand", "own")  # kinds of rent that stand beside each other


SHOWN = 12
"""Options that a person reads."""


def ranked(options: Sequence[Option], sort: str) -> tuple[Option, ...]:
    """Number the options, the best first.

    Devices that run engine and number format natively come before the others, and replicas inside one server before those that need a network;
    then GPUs to order, cost, or speed. Among equals, what was measured comes before what is assumed, then the rent of all that must be ordered,
    then the time per token, then what they hold. Only equals are timed, unless speed is the order.

    Parameters
    ----------
    options : sequence of Option
        One for each accelerator, engine and precision.
    sort : str
        "gpus", "cost" or "speed".

    Returns
    -------
    tuple of Option
        With their ranks.
    """
    equals: dict[tuple[Any, ...], list[Option]] = {}
    for option in options:
        equals.setdefault(_key(option, sort), []).append(option)
    order = [option for key in sorted(equals) for option in _told_apart(equals[key])]
    return tuple(replace(option, rank=place) for place, option in enumerate(order, 1))


def _told_apart(options: list[Option]) -> list[Option]:
    """Options of equal rank so far: the quickest first, then what holds more."""
    if len(options) == 1:
        return options
    return sorted(options, key=lambda option: (_time(option), -option.held_requests_low, option.accelerator.id))


def front_of(options: Sequence[Option], sort: str) -> frozenset[int]:
    """Ranks of the options that no other beats in both size (or rent) and time per token.

    Parameters
    ----------
    options : sequence of Option
        In their order.
    sort : str
        Rent is compared where it is "cost", GPUs to order otherwise.

    Returns
    -------
    frozenset of int
        Ranks.
    """
    best, front = _LAST, set()
    sizes = {option.rank: _rent(option) if sort == "cost" else float(option.gpus_to_order) for option in options}
    for option in sorted(options, key=lambda each: (sizes[each.rank], _time(each))):
        if _time(option) < best:
            best = _time(option)
            front.add(option.rank)
    return frozenset(front)


def _time(option: Option) -> float:
    return option.performance.tpot_s.value if option.performance is not None else _LAST


def _crosses_network(option: Option) -> bool:
    """Whether one replica spans servers: it needs a fast network between them, and somebody who tunes it."""
    return option.layout.gpus > (option.accelerator.devices_per_node or option.layout.gpus)


def _rent(option: Option) -> float:
    """On-demand rent of what must be ordered; last where it is unknown, of another kind or in another currency."""
    if option.cost is None or option.cost.currency != "USD" or option.cost.kind not in COMPARED:
        return _LAST
    return float(option.cost.amount) / option.gpus * option.gpus_to_order


def _key(option: Option, sort: str) -> tuple[Any, ...]:
    sure = (option.verdict != FITS, option.tier)
    gpus = (_crosses_network(option), option.gpus_to_order, len(option.knobs), option.assumed, _rent(option))
    if sort == "cost":
        return *sure, _rent(option), *gpus
    return (*sure, _time(option), *gpus) if sort == "speed" else (*sure, *gpus)


def runner_up_reason(option: Option, best: Option, sort: str = "gpus") -> Notice:
    """Why an option is not the first one: the first thing in the order that tells them apart.

    Parameters
    ----------
    option, best : Option
        One that comes later, and the first.
    sort : str
        The order that was asked for.

    Returns
    -------
    Notice
        A reason's code with both figures.
    """
    missed = () if option.simulated is None or (best.simulated is not None and best.simulated.missed) else option.simulated.missed
    if missed:
        return Notice("runner-up-misses-percentile", target_words(missed[0]))
    if option.verdict != best.verdict:
        return Notice("runner-up-tight", {"held": option.held_requests, "low": option.held_requests_low})
    if option.tier > best.tier:
        less_known = next((notice for notice in option.notices), None)
        return Notice("runner-up-less-known") if less_known is None else Notice(f"runner-up-{less_known.code}", less_known.parameters)
    slower = _slower(option, best)
    if sort == "speed" and slower is not None:
        return slower
    dearer = _dearer(option, best)
    if sort == "cost" and dearer is not None:
        return dearer
    if _crosses_network(option) and not _crosses_network(best):
        return Notice("runner-up-crosses-network", {"nodes": option.nodes})
    if option.gpus_to_order > best.gpus_to_order:
        return Notice("runner-up-more-gpus", {"gpus": option.gpus_to_order, "best": best.gpus_to_order})
    if option.assumed and not best.assumed:
        return Notice("runner-up-assumed")
    return dearer or slower or Notice("runner-up-as-good")


def target_words(missed: Missed) -> dict[str, Any]:
    """A target that was missed, as its sentence names it."""
    quantity, percentile, _ = missed.target.split("_")
    return {"target": f"{quantity.upper()} {percentile}", "found_ms": 1000 * missed.found_s, "wished_ms": 1000 * missed.wished_s}


def _slower(option: Option, best: Option) -> Notice | None:
    if option.performance is None or best.performance is None or option.performance.tpot_s.value <= best.performance.tpot_s.value:
        return None
    return Notice("runner-up-slower", {"tpot_ms": 1000 * option.performance.tpot_s.value, "best_ms": 1000 * best.performance.tpot_s.value})


def _dearer(option: Option, best: Option) -> Notice | None:
    if _rent(option) == _LAST and _rent(best) < _LAST:
        return Notice("runner-up-no-price")
    if _LAST > _rent(option) > _rent(best):
        return Notice("runner-up-dearer", {"amount": _rent(option), "best": _rent(best), "gpus": option.gpus_to_order})
    return None
