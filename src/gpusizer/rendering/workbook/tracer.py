"""An account recorded as cells.

The account of an engine is called once, with :class:`Traced` figures in the place of numbers. Every figure knows its axes - on which devices and on
which stages it may differ - and carries its value at each point of them. What the account names gets a cell at each point of the axes of its inputs,
and no more; what is never asked for is never written, and what is used once stands inside the formula that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusizer.formulas.figures import ALL, Axis, Traced, finest
from gpusizer.formulas.symbols import Symbol
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import Area, Live, constant

__all__ = ["ALL", "Axis", "Trace", "Traced"]

LONGEST = 700  # letters of a formula that takes others into itself

# A cell of another figure: at the same point; over all stages of this layout (<); over all points of its axis of devices (^).
_TOKEN = re.compile(r"§(\d+)([<^]?)§")


@dataclass(eq=False)
class _Node:
    name: str
    figure: Traced
    rows: Sequence[Traced] = ()  # the figures that it is stacked of
    uses: int = 0
    inside: bool = False  # stands inside the formula that uses it
    length: int = 0
    cells: list[list[str]] = field(default_factory=list)


class Trace:
    """Records an account and writes its cells.

    Parameters
    ----------
    grid : Grid
        The sheet; a figure is a block of cells, devices down, stages across.
    wide : Grid
        The sheet of figures that differ by device, one beside the other.
    """

    def __init__(self, grid: Grid, wide: Grid) -> None:
        self.grid, self.wide = grid, wide
        self.devices: Axis | None = None  # the axis of those
        self.present: Traced | None = None  # whether a stage is there, where their number may change
        self.row, self._column = 0, 1
        self._nodes: list[_Node] = []

    # ---- figures ---------------------------------------------------------------------------------------------------

    def given(self, cells: Sequence[Sequence[Live]], devices: Axis = ALL, stages: Axis = ALL) -> Traced:
        """What stands in the workbook already, at each point of the axes."""
        assert len(cells) == devices.size
        assert all(len(row) == stages.size for row in cells)
        values = [[each.value for each in row] for row in cells]
        return self._add(_Node("", Traced(self, Symbol(""), devices, stages, values), cells=[[each.text for each in row] for row in cells]))

    def one(self, live: Live) -> Traced:
        """A figure that differs nowhere."""
        return self.given([[live]])

    def line(self, name: str, live: Live) -> Traced:
        """A formula under a name."""
        return Traced(self, live.symbol, ALL, ALL, [[live.value]]).named(name)

    def figure(self, name: str, value: Any) -> Traced:
        """A figure or a number under a name."""
        return self.node(name, value) if isinstance(value, Traced) else self.line(name, constant(value))

    def stacked(self, rows: Sequence[Traced], devices: Axis) -> Traced:
        """One figure of several: each stands at one point of an axis of devices."""
        assert len(rows) == devices.size
        stages = finest([each.stages for each in rows])
        return self._add(_Node("", Traced(self, Symbol(""), devices, stages, [each.along(ALL, stages)[0] for each in rows]), rows=rows))

    def node(self, name: str, figure: Traced) -> Traced:
        """A figure under a name, unless it has one."""
        return figure if _TOKEN.fullmatch(figure.text) else self._add(_Node(name, figure))

    def _add(self, node: _Node) -> Traced:
        self._nodes.append(node)
        figure = node.figure
        return Traced(self, Symbol(f"§{len(self._nodes) - 1}§"), figure.devices, figure.stages, figure.values)

    def over_stages(self, text: str, function: Callable[..., Any], figure: Traced, *others: Traced) -> Traced:
        """One figure for each layout: ``text`` with the cells of its stages and other figures in its places."""
        column = figure.named("by stage")
        layouts = column.stages.parent
        assert layouts is not None
        members = [[stage for stage, place in enumerate(column.stages.places) if place == layout] for layout in range(layouts.size)]
        lists = Traced(self, Symbol(""), column.devices, layouts, [[[row[stage] for stage in each] for each in members] for row in column.values])
        cells = Symbol(text.format(f"{column.text[:-1]}<§", *(other.text for other in others)))
        return lists.applied(cells, function, (lists, *others)).named("of all stages")

    def over_devices(self, text: str, function: Callable[..., Any], *columns: Traced) -> Traced:
        """One figure of columns over the whole axis of devices: ``text`` with their cells in its places."""
        stages, axis = finest([each.stages for each in columns]), columns[0].devices
        named = [each.named("column") for each in columns]
        tables = [each.along(axis, stages) for each in named]
        values = [function(*([row[place] or 0 for row in table] for table in tables)) for place in range(stages.size)]
        return Traced(self, Symbol(text.format(*(f"{each.text[:-1]}^§" for each in named))), ALL, stages, [values])

    # ---- cells -----------------------------------------------------------------------------------------------------

    def write(self, *wanted: Traced) -> None:
        """Write the cells of figures, and of all that they need."""
        needed: set[int] = set()
        waiting = [int(token[1]) for figure in wanted for token in _TOKEN.finditer(figure.text)]
        for number in waiting:
            self._nodes[number].uses += 2
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed.add(number)
                for below in self._below(self._nodes[number]):
                    self._nodes[below].uses += 1
                    waiting.append(below)
        for number in sorted(needed):
            node = self._nodes[number]
            if not node.rows and not node.cells:
                self._settle(node, [self._nodes[each] for each in self._below(node)])
        for number in sorted(needed):
            node = self._nodes[number]
            if not node.rows and not node.cells and not node.inside:
                self._write(node)

    def _below(self, node: _Node) -> list[int]:
        texts = [each.text for each in node.rows] * 2 or [node.figure.text]  # what is stacked keeps its cells
        return [int(token[1]) for text in texts for token in _TOKEN.finditer(text)]

    def _settle(self, node: _Node, below: Sequence[_Node]) -> None:
        """Decide which of the figures below stand inside this one: those along the same axes that nobody else uses."""
        node.length = len(node.figure.text)
        for other in below:
            same = other.figure.devices is node.figure.devices and other.figure.stages is node.figure.stages
            if same and other.uses == 1 and not other.rows and not other.cells and node.length + other.length < LONGEST:
                other.inside = True
                node.length += other.length

    def _write(self, node: _Node) -> None:
        figure = node.figure
        wide = self.wide if figure.devices is self.devices else None
        grid, top, left = (wide, 1, self._column) if wide is not None else (self.grid, self.row, 1)
        grid.plain(*((0, left) if wide is not None else (top, 0)), node.name)
        for device in range(figure.devices.size):
            row = []
            for stage in range(figure.stages.size):
                live = Live(self.text(figure, device, stage), figure.values[device][stage])
                row.append(grid.bare(top + device, left + stage, live).text)
            node.cells.append(row)
        if wide is not None:
            self._column += figure.stages.size
        else:
            self.row += figure.devices.size

    def text(self, figure: Traced, device: int, stage: int) -> str:
        """The formula of a figure at a point of its axes."""

        def cell(token: re.Match[str]) -> str:
            node, kind = self._nodes[int(token[1])], token[2]
            other = node.figure
            if kind == "^":
                place = figure.stages.places_in(other.stages)[stage]
                return _span(node.cells[0][place], node.cells[-1][place])
            row = figure.devices.places_in(other.devices)[device]
            if kind == "<":
                places = [place for place, layout in enumerate(other.stages.places) if layout == stage]
                first, last = node.cells[row][places[0]], node.cells[row][places[-1]]
                return f"{first}:{last.rpartition('!')[2]}"  # a range even of one: not every office finds a place in a cell
            stages = figure.stages
            place = stages.places_in(other.stages)[stage]
            if node.rows:
                return self.text(node.rows[row], 0, stages.places_in(node.rows[row].stages)[stage])
            if node.inside:
                inner = self.text(other, row, place)
                return inner if other.binding == 3 else f"({inner})"
            return node.cells[row][place]

        return _TOKEN.sub(cell, figure.text)

    def live(self, figure: Traced, device: int = 0, stage: int = 0) -> Live:
        """A figure that was written, as other sheets refer to it."""
        return Live(self.text(figure, device, stage), figure.values[device][stage])

    def area(self, figure: Traced, device: int) -> Area:
        """The cells of a figure side by side."""
        cells = self._nodes[int(figure.text.strip("§"))].cells[device]
        return Area(_span(cells[0], cells[-1]), figure.values[device])

    def beside(self, device: int, place: int, live: Live) -> Live:
        """A cell to the right of all figures of a device."""
        return self.wide.bare(1 + device, self._column + place, live)


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first}:{last.rpartition('!')[2]}"
