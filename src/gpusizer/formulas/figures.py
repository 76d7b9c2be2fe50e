"""Figures of an account that is recorded: a symbol with its value at each point of the axes along which it may differ.

Axes come in two kinds: devices (with their classes and families above them) and stages (with their layouts and cuts above them). What a figure is
computed from decides its axes; where it gets a cell is the business of who records it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from gpusizer.formulas.symbols import Symbol

__all__ = ["ALL", "Axis", "Recorder", "Traced", "finest"]


@dataclass(frozen=True, eq=False)
class Axis:
    """Points along which figures may differ; each belongs to one point of a coarser axis (a device to its class, a stage to its layout)."""

    name: str
    size: int
    parent: Axis | None = None
    places: tuple[int, ...] = ()  # of each point in the parent
    stages: bool = False  # the points are stages, over which a layout has a least and a greatest

    def covers(self, other: Axis) -> bool:
        """Whether every point of this axis belongs to one of the other."""
        return other is self or other.size == 1 or (self.parent is not None and self.parent.covers(other))

    @cached_property
    def _known(self) -> dict[str, tuple[int, ...]]:
        return {self.name: tuple(range(self.size))}

    def places_in(self, other: Axis) -> tuple[int, ...]:
        """The point of a coarser axis that each point belongs to."""
        if other.size == 1:
            return (0,) * self.size
        if other.name not in self._known:
            assert self.parent is not None, f"{self.name} does not lie along {other.name}"
            above = self.parent.places_in(other)
            self._known[other.name] = tuple(above[place] for place in self.places)
        return self._known[other.name]


ALL = Axis("all", 1)
"""The axis of what differs nowhere."""


def finest(axes: Sequence[Axis]) -> Axis:
    found = ALL
    for axis in axes:
        if axis.covers(found):
            found = axis
        elif not found.covers(axis):
            raise ValueError(f"a figure cannot lie along {axis.name} and {found.name}")
    return found


class Recorder(Protocol):
    """Who records an account."""

    @property
    def present(self) -> Traced | None:
        """Whether a stage is there, where their number may change."""

    def node(self, name: str, figure: Traced) -> Traced:
        """A figure under a name."""

    def over_stages(self, text: str, function: Callable[..., Any], figure: Traced, *others: Traced) -> Traced:
        """One figure for each layout, of those of its stages."""


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


class Traced(Symbol):
    """A figure of the account: its text, with a token for each figure that it refers to, and its values by device and stage."""

    __slots__ = ("devices", "stages", "trace", "values")

    def __init__(self, trace: Recorder, text: Symbol, devices: Axis, stages: Axis, values: Sequence[Sequence[Any]]) -> None:
        super().__init__(text.text, text.binding)
        self.trace, self.devices, self.stages, self.values = trace, devices, stages, values

    def _joined(self, other: Any, operator: str, binding: int, *, swapped: bool = False) -> Symbol:
        text = super()._joined(other, operator, binding, swapped=swapped)
        return self.applied(text, _OPERATORS[operator], (other, self) if swapped else (self, other))

    def applied(self, text: Symbol, function: Callable[..., Any], values: tuple[Any, ...]) -> Traced:
        """The figure that a function gives, along the axes of all its inputs."""
        inputs = [value for value in values if isinstance(value, Traced)]
        devices, stages = finest([each.devices for each in inputs]), finest([each.stages for each in inputs])
        columns = [value.along(devices, stages) if isinstance(value, Traced) else [[value] * stages.size] * devices.size for value in values]
        return Traced(self.trace, text, devices, stages, [list(map(function, *rows)) for rows in zip(*columns, strict=True)])

    def along(self, devices: Axis, stages: Axis) -> Sequence[Sequence[Any]]:
        """The values at the points of finer axes."""
        if devices is self.devices and stages is self.stages:
            return self.values
        places = stages.places_in(self.stages)
        return [[self.values[row][place] for place in places] for row in devices.places_in(self.devices)]

    def named(self, name: str) -> Traced:
        """The same figure under a name: it has cells, unless it is used only once."""
        return self.trace.node(name, self)

    def reduced(self, name: str, function: Callable[..., Any]) -> Traced:
        """One figure for each layout, of those of its stages; a stage that is not there does not count."""
        if not self.stages.stages:
            return self
        there, column = self.trace.present, self
        if there is not None and self.stages.covers(there.stages):
            column = there.applied(Symbol(f'IF({there.text}>0,{self.text},"")'), lambda there, value: value if there else "", (there, self))
        return self.trace.over_stages(name + "({})", lambda values: function(*[value for value in values if value != ""]), column)
