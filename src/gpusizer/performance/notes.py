"""Calls of formulas that can be written down: the figure, the formula and its inputs come from one call, so that none can name another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gpusizer.formulas.core import REGISTRY
from gpusizer.performance.types import SpeedItem

__all__ = ["Note", "Notes", "unnoted"]


class Note(Protocol):
    """Calls a formula under the name that its figure has in the answer."""

    def __call__(self, id: str, formula: Callable[..., Any], /, **inputs: Any) -> Any: ...


def unnoted(id: str, formula: Callable[..., Any], /, **inputs: Any) -> Any:
    """The figure alone."""
    return formula(**inputs)


class Notes:
    """The figure, written down as an item.

    Examples
    --------
    >>> from gpusizer.formulas.latency import request_seconds
    >>> notes = Notes()
    >>> notes("answer", request_seconds, ttft_s=0.5, tpot_s=0.25, output_tokens=3)
    1.0
    >>> notes.items[0].formula, notes.items[0].inputs["output_tokens"]
    ('latency.request', 3)
    """

    def __init__(self) -> None:
        self.items: list[SpeedItem] = []

    def __call__(self, id: str, formula: Callable[..., Any], /, **inputs: Any) -> Any:
        value, name = formula(**inputs), str(vars(formula)["formula_id"])
        self.items.append(SpeedItem(id, float(value), REGISTRY[name].unit, name, inputs))
        return value
