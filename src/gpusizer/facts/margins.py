"""By how much measured starts lay outside the bands that the formulas give, from ``data/margins.json``: what a band is widened by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["FEW_OWNERS", "LEAST_WIDTH", "NO_MARGIN", "PATH", "PLAIN", "TRAITS", "Margin", "margin_of", "measured_margins"]

PATH = Path(__file__).parent / "data" / "margins.json"
"""Written by ``scripts/calibrate/margins.py``."""

LEAST_WIDTH = 0.002
"""A band that is narrower than this share of what it is about is widened as if it were as wide: a log rounds, an allocator aligns."""

FEW_OWNERS = 10
"""A group of fewer owners than this has the margin of all starts, and says so."""

PLAIN = "plain"
TRAITS = ("guessed", "unified", "draft", "dated", "build", "maker")
"""What makes a start hard to foresee: a list of quantised tensors that nobody tells, memory shared with the host, drafts, a version only known
by its day, a build that is no release, a maker other than NVIDIA. A start with none of them is plain."""


@dataclass(frozen=True, slots=True)
class Margin:
    """What is added to a band on either side, as a share of its own width there, and how many owners' starts say so."""

    below: Any
    above: Any
    owners: int


NO_MARGIN = Margin(0.0, 0.0, 0)

Margins = Mapping[str, Mapping[str, Margin]]


@cache
def measured_margins(engine: str) -> Margins:
    """Margins of an engine by quantity and trait; empty where nobody measured it.

    >>> sorted(measured_margins("vllm")["weights_bytes"]) == sorted((*TRAITS, PLAIN))
    True
    >>> measured_margins("abacus")
    {}
    """
    table = json.loads(PATH.read_text(encoding="utf-8"))["engines"].get(engine, {})
    return {quantity: {trait: Margin(*each) for trait, each in groups.items()} for quantity, groups in table.items()}


def margin_of(engine: str, quantity: str, traits: Iterable[str]) -> Margin:
    """The margin of a quantity: of everything that makes a start hard to foresee, the widest on each side.

    Parameters
    ----------
    engine : str
        Id of the engine.
    quantity : str
        By the names of ``validate``.
    traits : iterable of str
        Of the start, out of :data:`TRAITS`; none for a plain one.

    Returns
    -------
    Margin
        Shares of the width, and the fewest owners behind them; none of either where nobody measured the quantity.
    """
    groups = measured_margins(engine).get(quantity)
    if not groups:
        return NO_MARGIN
    found = [groups[trait] for trait in traits] or [groups[PLAIN]]
    return Margin(max(each.below for each in found), max(each.above for each in found), min(each.owners for each in found))
