"""Bands as starts of many owners have borne them out: what of a start makes it hard to foresee, and what that adds to a band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.types import Quantity
from gpusizer.engines.base.version import known_build
from gpusizer.facts.margins import Margin, margin_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import kept, maximum, minimum

__all__ = ["MARGIN", "POOL", "device_margin", "measured", "owners_behind", "pool_margin", "traits_of", "widened"]

POOL = "kv_cache_pool_bytes"
MARGIN = ("margin_below", "margin_above")
"""Columns of a table of devices: what :func:`device_margin` says of each."""


def traits_of(start: Start) -> tuple[str, ...]:
    """What makes this start hard to foresee, by the names of :data:`gpusizer.facts.margins.TRAITS`."""
    asked = start.deployment
    found = {
        "guessed": bool(start.architecture.quantization.ends or asked.similar_precision),
        "draft": asked.speculative_tokens > 0,
        "build": bool(asked.fork or asked.other_build or (asked.engine_version is not None and not known_build(asked.engine_version))),
    }
    return (*(name for name, holds in found.items() if holds), *_traits_of_device(start.accelerator))


def _traits_of_device(accelerator: Accelerator) -> tuple[str, ...]:
    found = {"unified": accelerator.unified_memory, "maker": accelerator.vendor != "NVIDIA"}
    return tuple(name for name, holds in found.items() if holds)


def _of_pool(engine: str, traits: tuple[str, ...], memory_bytes: int) -> tuple[float, float]:
    margin = margin_of(engine, POOL, traits)
    return margin.below * memory_bytes, margin.above * memory_bytes


def pool_margin(start: Start) -> tuple[float, float]:
    """What is added to the band of the pool of one GPU, below and above: all that it holds may be off, so that shares are of its memory. [bytes]"""
    return _of_pool(start.deployment.engine, traits_of(start), start.device_total_bytes)


def device_margin(engine: str, accelerator: Accelerator) -> tuple[float, float]:
    """The same for starts that are hard to foresee by nothing but their device. [bytes]"""
    return _of_pool(engine, _traits_of_device(accelerator), accelerator.memory_bytes)


def owners_behind(start: Start) -> int:
    """Owners of measured starts behind the size of the pool."""
    return margin_of(start.deployment.engine, POOL, traits_of(start)).owners


def widened(found: Quantity, margin: tuple[Any, Any]) -> Quantity:
    """A figure with a margin added to its band; a negative one narrows it, never beyond the figure.

    >>> widened(Quantity(10, 8, 11), (1, -2))
    Quantity(value=10, low=7, high=10, owners=None)
    """
    below, above = margin
    low = kept("low with margin", minimum(found.low - below, found.value))
    return Quantity(found.value, low, kept("high with margin", maximum(found.high + above, found.value)))


def measured(start: Start, figures: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """The figures of a log with their bands as measured, and how many owners' starts stand behind each; the pool has its margin already."""
    engine, traits = start.deployment.engine, traits_of(start)
    return {name: _measured(name, found, margin_of(engine, name, traits)) for name, found in figures.items()}


def _measured(name: str, found: Quantity, margin: Margin) -> Quantity:
    wide = found if name == POOL else widened(found, (margin.below * abs(found.value), margin.above * abs(found.value)))
    return replace(wide, owners=margin.owners)
