"""An account recorded as cells.

The account of an engine is called once, with :class:`Traced` figures in the place of numbers. Every figure knows its axes - on which devices and on
which stages it may differ - and carries its value at each point of them; what the account names gets a cell at each point of the axes of its inputs,
and no more. Only cells that somebody asks for, and what those need, are written.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gpusizer.formulas.symbols import Symbol
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import Area, Live

__all__ = ["ALL", "Axis", "Trace", "Traced"]

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_TOKEN = re.compile(r"§(\d+)§")


@dataclass(frozen=True, eq=False)
class Axis:
    """Points along which figures may differ; each point belongs to one point of a coarser axis (a device to its class, a stage to its layout)."""

    name: str
    size: int
    parent: Axis | None = None
    places: tuple[int, ...] = ()  # of each point in the parent

    def covers(self, other: Axis) -> bool:
        """Whether every point of this axis belongs to one of the other."""
        return other is self or (self.parent is not None and self.parent.covers(other))

    @lru_cache(maxsize=256)  # noqa: B019 - axes live as long as the workbook
    def places_in(self, other: Axis) -> tuple[int, ...]:
        """The point of a coarser axis that each point belongs to."""
        if other is self:
            return tuple(range(self.size))
        assert self.parent is not None, f"{self.name} does not lie along {other.name}"
        above = self.parent.places_in(other)
        return tuple(above[place] for place in self.places)


ALL = Axis("all", 1)
"""The axis of what differs nowhere."""


def _finest(axes: Sequence[Axis]) -> Axis:
    found = ALL
    for axis in axes:
        if axis.covers(found):
            found = axis
        elif not found.covers(axis):
            raise ValueError(f"a figure cannot lie along {axis.name} and {found.name}")
    return found


Values = tuple[tuple[Any, ...], ...]  # by device, by stage


class Traced(Symbol):
    """A figure of the account: its text, with a token for each cell that it refers to, and its value at each point of its axes."""

    __slots__ = ("devices", "stages", "trace", "values")

    def __init__(self, trace: Trace, text: str, binding: int, devices: Axis, stages: Axis, values: Values) -> None:
        super().__init__(text, binding)
        self.trace, self.devices, self.stages, self.values = trace, devices, stages, values

    def _joined(self, other: Any, operator: str, binding: int, *, swapped: bool = False) -> Symbol:
        text = super()._joined(other, operator, binding, swapped=swapped)
        return self.applied(text, _OPERATORS[operator], (other, self) if swapped else (self, other))

    def applied(self, text: Symbol, function: Callable[..., Any], values: tuple[Any, ...]) -> Traced:
        """The figure that a function gives, along the axes of all its inputs."""
        inputs = [value for value in values if isinstance(value, Traced)]
        devices, stages = _finest([each.devices for each in inputs]), _finest([each.stages for each in inputs])
        columns = []
        for value in values:
            if isinstance(value, Traced):
                rows, places = devices.places_in(value.devices), stages.places_in(value.stages)
                columns.append([[value.values[row][place] for place in places] for row in rows])
            else:
                columns.append([[value] * stages.size] * devices.size)
        found = tuple(tuple(map(function, *rows)) for rows in zip(*columns, strict=True))
        return Traced(self.trace, text.text, text.binding, devices, stages, found)

    def named(self, name: str) -> Traced:
        """The same figure as cells of its own."""
        return self.trace.node(name, self)

    def reduced(self, name: str, function: Callable[..., Any]) -> Traced:
        """One figure for each layout, of those of its stages; words (a stage that is not there) do not count."""
        above = self.stages.parent
        if above is None:
            return self
        there = self.trace.present
        column = self if there is None or not self.stages.covers(there.stages) else _where(there, self)
        column = column.named("by stage")
        members = [[stage for stage in range(self.stages.size) if self.stages.places[stage] == place] for place in range(above.size)]
        values = tuple(tuple(function(*_numbers([row[stage] for stage in members[place]])) for place in range(above.size)) for row in column.values)
        return self.trace.node(name.lower(), Traced(self.trace, f"{name}({column.text})", 3, self.devices, above, values), over=self.stages)


def _where(there: Traced, figure: Traced) -> Traced:
    def value(condition: Any, size: Any) -> Any:
        return size if condition else ""

    return figure.applied(Symbol(f'IF({there.text},{figure.text},"")'), value, (there, figure))


def _numbers(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if not isinstance(value, str)]


@dataclass(eq=False)
class _Node:
    """A figure with cells: where each point of its axes is found."""

    name: str
    figure: Traced
    over: Axis | None  # the stages that it is a reduction over
    cells: list[list[str]] = field(default_factory=list)


@dataclass
class Trace:
    """Records an account and writes its cells.

    Parameters
    ----------
    grid : Grid
        The sheet for figures that do not differ by device: one line each.
    row : callable
        Gives the next free line of it.
    by_device : Grid or None
        The sheet for figures that differ by device: a row a device.
    device_axis : Axis or None
        The axis of devices.
    present : Traced or None
        Whether a stage is there, where the number of stages may change.
    """

    grid: Grid
    row: Callable[[], int]
    by_device: Grid | None = None
    device_axis: Axis | None = None
    present: Traced | None = None
    _nodes: list[_Node] = field(default_factory=list)
    _wide: int = 1

    def given(self, lives: Sequence[Sequence[Live]], devices: Axis = ALL, stages: Axis = ALL) -> Traced:
        """A figure that stands in the workbook already: by device, by stage."""
        assert len(lives) == devices.size
        assert all(len(row) == stages.size for row in lives)
        node = _Node("", Traced(self, "", 3, devices, stages, tuple(tuple(live.value for live in row) for row in lives)), None)
        node.cells = [[live.text for live in row] for row in lives]
        return self._add(node)

    def one(self, live: Live) -> Traced:
        """A figure that differs nowhere."""
        return self.given([[live]])

    def node(self, name: str, figure: Traced, over: Axis | None = None) -> Traced:
        """Cells for a figure, unless it has them."""
        known = _TOKEN.fullmatch(figure.text)
        if known is not None:
            node = self._nodes[int(known[1])]
            if node.figure.devices is figure.devices and node.figure.stages is figure.stages:
                return figure
        return self._add(_Node(name, figure, over))

    def _add(self, node: _Node) -> Traced:
        self._nodes.append(node)
        figure = node.figure
        return Traced(self, f"§{len(self._nodes) - 1}§", 3, figure.devices, figure.stages, figure.values)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def live(self, figure: Traced, device: int = 0, stage: int = 0) -> Live:
        """The figure at a point of its axes, as a formula that other sheets use."""
        return Live(self._text(figure, device, stage, None), figure.values[device][stage])

    def area(self, figure: Traced, device: int = 0) -> Area:
        """The cells of a figure by stage, as a range."""
        node = self._written(int(_TOKEN.fullmatch(self.node("figure", figure).text)[1]))  # type: ignore[index]
        return Area(_span(node.cells[device][0], node.cells[device][-1]), node.figure.values[device])

    def _text(self, figure: Traced, device: int, stage: int, over: Axis | None) -> str:
        def cell(token: re.Match[str]) -> str:
            node = self._written(int(token[1]))
            row = figure.devices.places_in(node.figure.devices)[device]
            if over is not None:  # the cells of a layout's stages stand side by side
                places = [place for place in range(over.size) if over.places[place] == stage]
                return _span(node.cells[row][places[0]], node.cells[row][places[-1]])
            return node.cells[row][figure.stages.places_in(node.figure.stages)[stage]]

        return _TOKEN.sub(cell, figure.text)

    def _written(self, number: int) -> _Node:
        node = self._nodes[number]
        if not node.cells:
            for token in _TOKEN.finditer(node.figure.text):
                self._written(int(token[1]))
            self._write(node)
        return node

    def _write(self, node: _Node) -> None:
        figure = node.figure
        devices, stages = figure.devices, figure.stages
        wide = self.by_device if devices is self.device_axis else None
        grid = wide or self.grid
        top, left = (1, self._wide) if wide else (self.row(), 1)
        grid.plain(*((0, left) if wide else (top, 0)), node.name)
        for device in range(devices.size):
            cells = []
            for stage in range(stages.size):
                row, column = (top + device, left + stage) if wide else (top, left + device * stages.size + stage)
                live = Live(self._text(figure, device, stage, node.over), figure.values[device][stage])
                cells.append(grid.bare(row, column, live).text)
            node.cells.append(cells)
        if wide:
            self._wide += stages.size


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first}:{last.rpartition('!')[2]}"
