"""Bands as starts of many owners have borne them out: what of a start makes it hard to foresee, and what that adds to a band."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.types import Quantity
from gpusizer.engines.base.version import known_build
from gpusizer.facts.margins import LEAST_WIDTH, Margin, margin_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import kept, maximum

__all__ = ["MARGIN", "POOL", "device_margin", "measured", "owners_behind", "pool_margin", "traits_of", "widened"]

POOL = "kv_cache_pool_bytes"
MARGIN = ("margin_below", "margin_above")
"""Columns of a table of devices: what :func:`device_margin` says of each."""


def traits_of(start: Start) -> tuple[str, ...]:
    """What makes this start hard to foresee, by the names of :data:`gpusizer.facts.margins.TRAITS`."""
    asked = start.deployment
    found = {
        "guessed": bool(start.architecture.quantization.ends or asked.similar_precision or _pruned(start.architecture)),
        "draft": asked.speculative_tokens > 0,
        "dated": asked.build == "dated",
        "build": asked.build == "other" or bool(asked.fork) or not (asked.engine_version is None or known_build(asked.engine_version)),
    }
    return (*(name for name, holds in found.items() if holds), *_traits_of_device(start.accelerator))


def _pruned(architecture: Architecture) -> bool:
    """Whether experts were taken out, how many by the name alone."""
    return any(notice.code == "experts-pruned" for notice in architecture.warnings)


def _traits_of_device(accelerator: Accelerator) -> tuple[str, ...]:
    found = {"unified": accelerator.unified_memory, "maker": accelerator.vendor != "NVIDIA"}
    return tuple(name for name, holds in found.items() if holds)


def pool_margin(start: Start) -> Margin:
    """What is added to the band of the pool of one GPU."""
    return margin_of(start.deployment.engine, POOL, traits_of(start))


def device_margin(engine: str, accelerator: Accelerator) -> Margin:
    """The same for starts that are hard to foresee by nothing but their device."""
    return margin_of(engine, POOL, _traits_of_device(accelerator))


def owners_behind(start: Start) -> int:
    """Owners of measured starts behind the size of the pool."""
    return pool_margin(start).owners


def widened(found: Quantity, margin: Margin, about: Any) -> Quantity:
    """A figure with a margin added to its band.

    Parameters
    ----------
    found : Quantity
        The figure with the band that the formulas give.
    margin : Margin
        Shares of the band's width on either side.
    about : float
        What the figure is a part of; a band is taken to be no narrower than a share of it. [unit of the figure]

    Returns
    -------
    Quantity
        The figure; its band.

    Examples
    --------
    >>> widened(Quantity(10, 8, 10), Margin(0.5, 2.0, 12), 100)
    Quantity(value=10, low=7.0, high=10.4)
    """
    least = kept("least width", about * LEAST_WIDTH)
    low = kept("low with margin", found.low - margin.below * maximum(found.value - found.low, least))
    return Quantity(found.value, low, kept("high with margin", found.high + margin.above * maximum(found.high - found.value, least)))


def measured(start: Start, figures: Mapping[str, Quantity], *, settled: Collection[str] = ()) -> dict[str, Quantity]:
    """The figures of a log with their bands as measured, and how many owners' starts stand behind each; those that are settled have theirs."""
    engine, traits = start.deployment.engine, traits_of(start)
    found = {}
    for name, each in figures.items():
        margin = margin_of(engine, name, traits)
        wide = each if name in settled else widened(each, margin, abs(each.value))
        low = wide.low if each.low < 0 else max(wide.low, 0)  # a pool may lack memory; a size may not
        found[name] = replace(wide, low=low, owners=margin.owners)
    return found
