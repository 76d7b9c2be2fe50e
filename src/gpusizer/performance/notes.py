"""Calls of formulas that can be written down: the figure, the formula and its inputs come from one call, so that none can name another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from gpusizer.formulas.core import REGISTRY
from gpusizer.performance.types import SpeedItem

__all__ = ["Note", "Notes", "unnoted"]

Formula = TypeVar("Formula", bound=Callable[..., Any])


class Note(Protocol):
    """A formula under the name that its figure has in the answer, to be called with its inputs."""

    def __call__(self, id: str, formula: Formula, /) -> Formula: ...


def unnoted(id: str, formula: Formula, /) -> Formula:
    """The formula alone."""
    return formula


class Notes:
    """The formula, and an item for each call.

    Examples
    --------
    >>> from gpusizer.formulas.latency import request_seconds
    >>> notes = Notes()
    >>> notes("answer", request_seconds)(ttft_s=0.5, tpot_s=0.25, output_tokens=3)
    1.0
    >>> notes.items[0].formula, notes.items[0].inputs["output_tokens"]
    ('latency.request', 3)
    """

    def __init__(self) -> None:
        self.items: list[SpeedItem] = []

    def __call__(self, id: str, formula: Formula, /) -> Formula:
        name = str(vars(formula)["formula_id"])

        def call(**inputs: Any) -> Any:
            value = formula(**inputs)
            self.items.append(SpeedItem(id, float(value), REGISTRY[name].unit, name, inputs))
            return value

        return cast(Formula, call)
