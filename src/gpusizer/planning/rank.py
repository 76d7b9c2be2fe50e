"""The order of options: what somebody who buys would take first, or what the user asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.planning.option_speeds import time_together
from gpusizer.planning.prices import ALIKE, COMPARED, in_dollars, placed_rent
from gpusizer.planning.request import Request
from gpusizer.planning.standing import (
    DEAR,
    RARE,
    Worth,
    beyond_fabric,
    certainty,
    class_place,
    elsewhere,
    less_known,
    own_servers,
    part_of_server,
    squeezed,
    time_per_token,
    trust,
    usualness,
)
from gpusizer.planning.types import Option

if TYPE_CHECKING:
    from gpusizer.planning.finalists import Missed

__all__ = ["COMPARED", "SHOWN", "comparable_rent", "foreign", "front_of", "pareto", "ranked", "runner_up_reason", "target_words"]

_LAST = float("inf")

SHOWN = 12
"""Options that a person reads."""


def ranked(options: Sequence[Option], request: Request) -> tuple[Option, ...]:
    """Number the options, the best first.

    "best" puts first, each only among equals of what stands before it:

    1. what fits on the safe side before what is tight, what is sold before what is announced, what keeps the floor of service before what is
       slower;
    2. replicas inside one server, then over servers that are built for it, then over cards and boxes, or many times the GPUs of the leanest;
    3. Chinese makers, where they were asked for first; what has a known speed; what is worth its money: four times as dear as the cheapest
       data-centre part comes later, of an old part twice;
    4. what is sold where one buys, then what is sold in China only (in China: what needs a licence);
    5. data-centre parts, then workstation cards and single gaming cards, then gaming cards, then the classes that were asked for; current parts, then
       those of which new ones are remainders;
    6. what is known to run, then what is not; what has room, then what holds the load only with settings that leave little; one card, two or whole
       servers, then a part of a server;
    7. what costs the same for what it does (rent times the time per token, quicker than one reads counting no further) within a factor of two: there,
       ranks on one fabric, a rent by the hour, fewer GPUs to order, what costs less to buy, fewer GPUs, what was measured, the cheaper, the quicker.

    "cost" goes by the rent of the GPUs that work, "gpus" by their number, "speed" by the time per token, all three after 1 and the last group of 2. A
    rent that is not known, or of another kind, comes behind those that are, in the order of what it would be by its purchase price or contract.

    Parameters
    ----------
    options : sequence of Option
        One for each accelerator, engine and precision.
    request : Request
        The order that is asked for, and the market.

    Returns
    -------
    tuple of Option
        With their ranks.
    """
    time_together(option.speeds for option in options)
    leanest = min((option.gpus for option in options if option.accelerator.considered), default=min((option.gpus for option in options), default=1))
    worth = Worth(options, leanest) if request.sort == "best" else None

    def key(option: Option) -> tuple[Any, ...]:
        usual = usualness(option, leanest)
        last = (time_per_token(option), -option.held_requests_low, option.accelerator.id, option.launch.engine, option.launch.precision)
        sure = (*trust(option), bool(option.slow))
        if worth is not None:
            return *sure, usual, *_best(option, request, worth), *last
        return *sure, usual == RARE, *_asked(option, request), usual, class_place(option), elsewhere(option, request.country), *last

    order = sorted(options, key=key)
    return tuple(replace(option, rank=place) for place, option in enumerate(order, 1))


def _best(option: Option, request: Request, worth: Worth) -> tuple[Any, ...]:
    device, steps = option.accelerator, worth.steps(option)
    sold = (elsewhere(option, request.country), class_place(option), device.old, less_known(option) is not None)
    like = (squeezed(option), part_of_server(option), steps, beyond_fabric(option), certainty(option, request.country))
    buy = _LAST if option.purchase is None else in_dollars(option.purchase) or _LAST
    return (
        foreign(option, request),
        option.performance is None,
        steps >= DEAR - device.old,
        *sold,
        *like,
        option.gpus_to_order,
        buy,
        option.gpus,
        option.assumed,
        worth.cost(option),
    )


def foreign(option: Option, request: Request) -> bool:
    """Whether a Chinese maker was asked for first and this is none."""
    return request.market == "cn-domestic" and not option.accelerator.domestic


def _asked(option: Option, request: Request) -> tuple[Any, ...]:
    if request.sort == "cost":
        placed = placed_rent(option.accelerator, option.gpus)
        return comparable_rent(option, request), _LAST if placed is None else placed, option.gpus
    return (time_per_token(option), option.gpus) if request.sort == "speed" else (option.gpus, foreign(option, request))


def front_of(options: Sequence[Option], sort: str) -> frozenset[int]:
    """Ranks of the options that no other beats in both size (or rent) and time per token.

    Parameters
    ----------
    options : sequence of Option
        In their order.
    sort : str
        Rent is compared where it is "cost", GPUs otherwise.

    Returns
    -------
    frozenset of int
        Ranks.
    """
    return pareto(options, comparable_rent if sort == "cost" else lambda option: float(option.gpus))


def pareto(options: Sequence[Option], size: Callable[[Option], float]) -> frozenset[int]:
    """Ranks of the options that no other beats in both size and time per token.

    Parameters
    ----------
    options : sequence of Option
        In their order.
    size : callable
        What is to be small beside the time: GPUs, or money.

    Returns
    -------
    frozenset of int
        Ranks.
    """
    best, front = _LAST, set()
    sizes = {option.rank: size(option) for option in options}
    for option in sorted(options, key=lambda each: (sizes[each.rank], time_per_token(each))):
        if time_per_token(option) < best:
            best = time_per_token(option)
            front.add(option.rank)
    return frozenset(front)


def comparable_rent(option: Option, request: Request | None = None) -> float:
    """Rent on demand of the GPUs that work; last where it is unknown, of another kind, of another market or of a currency without a rate. [USD]"""
    cost = option.cost
    if cost is None or cost.kind not in ALIKE or (request is not None and cost.market not in (None, request.country)):
        return _LAST
    dollars = in_dollars(cost)
    return _LAST if dollars is None else float(f"{dollars:.4g}")


def runner_up_reason(option: Option, best: Option, request: Request) -> Notice:
    """Why an option is not the first one: the first thing in the order that tells them apart.

    Parameters
    ----------
    option, best : Option
        One that comes later, and the first.
    request : Request
        The order that was asked for, and the market.

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
    if option.accelerator.status == "announced" and best.accelerator.status != "announced":
        return Notice("runner-up-announced")
    if option.slow and not best.slow:
        return Notice("runner-up-below-service-floor", option.slow[0].parameters)
    dearer, slower, more = _dearer(option, best), _slower(option, best), _more_gpus(option, best)
    asked = {"cost": dearer, "gpus": more, "speed": slower}.get(request.sort)
    if asked is not None:
        return asked
    if (usual := usualness(option, option.gpus)) > usualness(best, best.gpus):
        return Notice("runner-up-crosses-network" if usual != RARE else "runner-up-nobody-runs-it", {"nodes": own_servers(option)})
    return _sold_otherwise(option, best, request.country) or _like(option, best, dearer, more) or slower or Notice("runner-up-as-good")


def _sold_otherwise(option: Option, best: Option, country: str) -> Notice | None:
    """Class, market, age, and what is not known of it."""
    device, first = option.accelerator, best.accelerator
    if elsewhere(option, country) and not elsewhere(best, country):
        return Notice("runner-up-by-licence" if country == "cn" else "runner-up-sold-in-china")
    if class_place(option) > class_place(best):
        return Notice(f"runner-up-{device.sold_as}")
    if device.old and not first.old:
        return Notice("runner-up-old", {"year": device.release_year})
    unknown = less_known(option)
    return None if unknown is None or less_known(best) is not None else Notice(f"runner-up-{unknown.code}", unknown.parameters)


def _like(option: Option, best: Option, dearer: Notice | None, more: Notice | None) -> Notice | None:
    """What tells options of one kind apart: clearly dearer, a part of a server, more GPUs, not measured, dearer at all."""
    if comparable_rent(best) < _LAST and 2 * comparable_rent(best) <= comparable_rent(option) < _LAST:
        return dearer
    if squeezed(option) and not squeezed(best):
        return Notice("runner-up-squeezed")
    if part_of_server(option) and not part_of_server(best):
        return Notice("runner-up-part-of-server", {"gpus": option.gpus, "devices": option.accelerator.node_size})
    if option.gpus_to_order > max(best.gpus_to_order, option.gpus):
        return Notice("runner-up-sold-whole", {"gpus": option.gpus_to_order})
    if more is not None:
        return more
    if (buy := _dearer_to_buy(option, best)) is not None:
        return buy
    return Notice("runner-up-assumed") if option.assumed and not best.assumed else dearer


def target_words(missed: Missed) -> dict[str, Any]:
    """A target that was missed, as its sentence names it."""
    quantity, percentile, _ = missed.target.split("_")
    return {"target": f"{quantity.upper()} {percentile}", "found_ms": 1000 * missed.found_s, "wished_ms": 1000 * missed.wished_s}


def _more_gpus(option: Option, best: Option) -> Notice | None:
    return Notice("runner-up-more-gpus", {"gpus": option.gpus, "best": best.gpus}) if option.gpus > best.gpus else None


def _slower(option: Option, best: Option) -> Notice | None:
    if option.performance is None or best.performance is None or option.performance.tpot_s.value <= best.performance.tpot_s.value:
        return None
    return Notice("runner-up-slower", {"tpot_ms": 1000 * option.performance.tpot_s.value, "best_ms": 1000 * best.performance.tpot_s.value})


def _dearer(option: Option, best: Option) -> Notice | None:
    if best.cost is not None and (option.cost is None or option.cost.currency != best.cost.currency):
        return Notice("runner-up-no-price")
    if option.cost is not None and best.cost is not None:
        if comparable_rent(option) == _LAST and comparable_rent(best) < _LAST:
            return Notice("runner-up-other-rent")
        if _LAST > comparable_rent(option) > comparable_rent(best):
            figures = {"amount": float(option.cost.amount), "best": float(best.cost.amount), "gpus": option.gpus, "currency": option.cost.currency}
            return Notice("runner-up-dearer", figures)
        return None
    return _dearer_to_buy(option, best)


def _dearer_to_buy(option: Option, best: Option) -> Notice | None:
    """Where rents do not tell: what must be paid for the parts."""
    mine, first = option.purchase, best.purchase
    if mine is None or first is None or mine.currency != first.currency or mine.amount <= first.amount:
        return None
    return Notice("runner-up-dearer-to-buy", {"amount": float(mine.amount), "best": float(first.amount), "currency": mine.currency})
