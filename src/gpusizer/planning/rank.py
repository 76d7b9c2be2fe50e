"""The order of options: what is well known first, then what the user asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.planning.types import Option

__all__ = ["ranked", "runner_up_reason"]

_LAST = float("inf")


def ranked(options: Sequence[Option], sort: str) -> tuple[Option, ...]:
    """Number the options, the best first.

    Devices on which engine, number format and overheads are known come before those where they are assumed, and replicas inside one server before
    those that need a network; then GPUs to order, cost, or speed.

    Parameters
    ----------
    options : sequence of Option
        One for each accelerator.
    sort : str
        "gpus", "cost" or "speed".

    Returns
    -------
    tuple of Option
        With their ranks.
    """
    order = sorted(options, key=lambda option: (option.tier, _crosses_network(option), *_key(option, sort), option.accelerator.id))
    return tuple(replace(option, rank=place) for place, option in enumerate(order, 1))


def _crosses_network(option: Option) -> bool:
    """Whether one replica spans servers: it needs a fast network between them, and somebody who tunes it."""
    return option.layout.gpus > (option.accelerator.devices_per_node or option.layout.gpus)


def _key(option: Option, sort: str) -> tuple[Any, ...]:
    cost = float(option.cost.amount) if option.cost is not None and option.cost.currency == "USD" else _LAST
    held = -option.held_requests_low
    if sort == "cost":
        return cost, option.gpus_to_order, option.gpus, held
    if sort == "speed":
        speed = option.performance
        return (speed.tpot_s.value if speed is not None else _LAST), option.gpus_to_order, cost
    return option.gpus_to_order, option.gpus, cost, held


def runner_up_reason(option: Option, best: Option) -> Notice:
    """Why an option is not the first one: the first thing in the order that tells them apart.

    Parameters
    ----------
    option, best : Option
        One that comes later, and the first.

    Returns
    -------
    Notice
        A reason's code with both figures.
    """
    if option.tier > best.tier:
        less_known = next((notice for notice in option.notices), None)
        return Notice("runner-up-less-known") if less_known is None else Notice(f"runner-up-{less_known.code}", less_known.parameters)
    if _crosses_network(option) and not _crosses_network(best):
        return Notice("runner-up-crosses-network", {"nodes": option.nodes})
    if option.gpus_to_order > best.gpus_to_order:
        return Notice("runner-up-more-gpus", {"gpus": option.gpus_to_order, "best": best.gpus_to_order})
    if option.cost is not None and best.cost is not None and option.cost.currency == best.cost.currency and option.cost.amount > best.cost.amount:
        return Notice("runner-up-dearer", {"amount": float(option.cost.amount), "best": float(best.cost.amount), "currency": option.cost.currency})
    if option.gpus > best.gpus:
        return Notice("runner-up-more-gpus", {"gpus": option.gpus, "best": best.gpus})
    if option.cost is None and best.cost is not None:
        return Notice("runner-up-no-price")
    return Notice("runner-up-as-good")
