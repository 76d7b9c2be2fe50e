"""The three options that one compares first: the cheapest, the recommended and the roomiest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.planning.prices import in_dollars
from gpusizer.planning.rank import comparable_rent, foreign
from gpusizer.planning.request import Request
from gpusizer.planning.standing import RARE, elsewhere, trust, usualness
from gpusizer.planning.types import Option, Plan

__all__ = ["CHEAPEST", "FEWEST_GPUS", "RECOMMENDED", "ROOMIEST", "Pick", "picks"]

CHEAPEST, FEWEST_GPUS, RECOMMENDED, ROOMIEST = "cheapest", "fewest-gpus", "recommended", "roomiest"

WITHIN_REACH = 2
"""Times the price of the recommended option up to which somebody would look at a roomier one: beyond it there is always a larger machine."""

_RENT, _PURCHASE, _OTHER_RENT = "rent", "purchase", "other-rent"


@dataclass(frozen=True, slots=True)
class Pick:
    """An option and what it is picked as: "cheapest" (or "fewest-gpus" where nothing has a price), "recommended", "roomiest"; several where one
    option is all of them."""

    kinds: tuple[str, ...]
    option: Option


def picks(plan: Plan) -> tuple[Pick, ...]:
    """The cheapest, the recommended and the roomiest option of a plan, each once.

    Only options that are no worse than the recommended one in what stands before any price compete: held on the safe side, on sale where one buys,
    not slower than a person would call usable, in a layout that people run, from the makers that were asked for, with every target kept.

    * recommended: rank 1;
    * cheapest: the lowest rent on demand; where no rent is known the lowest purchase, then the lowest rent of any other kind, and where nothing has
      a price the fewest GPUs;
    * roomiest: most requests held on the safe side at up to twice the price of the recommended option (rent, else purchase), or with up to twice its
      memory where that has no price; of equals the one with most memory beside the weights.

    Parameters
    ----------
    plan : Plan
        An answer.

    Returns
    -------
    tuple of Pick
        In this order: cheapest, recommended, roomiest; an option that is several of them stands once, at its first place. Empty without options.
    """
    best, request = plan.best, plan.request
    if best is None:
        return ()
    leanest = min(option.gpus for option in plan.options)
    least = _worries(best, request, leanest)
    sure = [option for option in plan.options if all(mine <= its for mine, its in zip(_worries(option, request, leanest), least, strict=True))]
    first, cheapest = _cheapest(sure, request)
    chosen: dict[int, tuple[Option, list[str]]] = {}
    for kind, option in ((first, cheapest), (RECOMMENDED, best), (ROOMIEST, _roomiest(sure, best, request))):
        chosen.setdefault(option.rank, (option, []))[1].append(kind)
    return tuple(Pick(tuple(kinds), option) for option, kinds in chosen.values())


def _worries(option: Option, request: Request, leanest: int) -> tuple[bool, ...]:
    """What nobody trades for a lower price, each false where all is well."""
    kept = option.simulated is not None and not option.simulated.missed
    return (
        *trust(option),
        bool(option.slow),
        usualness(option, leanest) == RARE,
        foreign(option, request),
        elsewhere(option, request.country),
        request.is_simulated and not kept,
    )


def _price(option: Option, kind: str, request: Request) -> float:
    """What an option costs by one kind of price; endless where that is not known. [USD]"""
    if kind == _RENT:
        return comparable_rent(option, request)
    cost = option.purchase if kind == _PURCHASE else option.cost
    dollars = None if cost is None else in_dollars(cost)
    return inf if dollars is None else dollars


def _cheapest(options: Sequence[Option], request: Request) -> tuple[str, Option]:
    """The cheapest by the first kind of price that is known of any; of equals the one with the better rank."""
    for kind in (_RENT, _PURCHASE, _OTHER_RENT):
        cheapest = min(options, key=lambda option: (_price(option, kind, request), option.rank))
        if _price(cheapest, kind, request) < inf:
            return CHEAPEST, cheapest
    return FEWEST_GPUS, min(options, key=lambda option: (option.gpus, option.rank))


def _roomiest(options: Sequence[Option], best: Option, request: Request) -> Option:
    return max((option for option in options if _within_reach(option, best, request)), key=lambda option: (*_room(option), -option.rank))


def _within_reach(option: Option, best: Option, request: Request) -> bool:
    """Whether it costs at most so many times as much, by a price that both have; by its memory where the recommended option has none."""
    known = [kind for kind in (_RENT, _PURCHASE) if _price(best, kind, request) < inf]
    if not known or option is best:
        return option.gpus * option.accelerator.memory_bytes <= WITHIN_REACH * best.gpus * best.accelerator.memory_bytes
    kind = next((kind for kind in known if _price(option, kind, request) < inf), None)
    return kind is not None and _price(option, kind, request) <= WITHIN_REACH * _price(best, kind, request)


def _room(option: Option) -> tuple[int, int]:
    """Requests held on the safe side, then what all GPUs have beside what is always there. [requests, bytes]"""
    sums = per_gpu(option.fit.ranks[option.fit.worst].items)
    return option.held_requests_low, option.gpus * (sums["kv_cache_pool_bytes"] + sums["free_bytes"])
