"""A table of constants on a technical sheet, found by the place of its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import Area, Live, picked

__all__ = ["Table"]


class Table:
    """Columns by name; a name may stand for several columns side by side.

    Parameters
    ----------
    grid : Grid
        The sheet; a table begins in its first row.
    columns : sequence of (str, int)
        Names and how many cells each takes.
    rows : sequence of sequence
        Values; None and "" stay empty.
    """

    def __init__(self, grid: Grid, columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[Any]]) -> None:
        self.grid = grid
        self.rows = rows
        self.places: dict[str, tuple[int, int]] = {}
        start = 0
        for name, width in columns:
            self.places[name] = (start, width)
            grid.text(0, start, name, "small-head")
            start += width
        self._areas: dict[str, Area] = {}
        for number, row in enumerate(rows, 1):
            grid.sheet.fill(number, row)

    def area(self, name: str) -> Area:
        """All cells of a column, without the heading."""
        if name not in self._areas:
            start, width = self.places[name]
            values = [row[start + place] for row in self.rows for place in range(width)]
            self._areas[name] = Area(self.grid.span(1, start, len(self.rows), width), values)
        return self._areas[name]

    def get(self, name: str, row: Live, column: Live | None = None) -> Live:
        """One cell: of a row, and of one of the cells of a name; a constant place is a plain reference."""
        start, width = self.places[name]
        if row.text.isdecimal() and (column is None or column.text.isdecimal()):
            place = start + (int(column.value) - 1 if column is not None else 0)
            value = self.rows[int(row.value) - 1][place]
            return Live(self.grid.at(int(row.value), place), 0 if value is None or value == "" else value)
        return picked(self.area(name), row, column, width=width)

    def row(self, name: str, row: Live) -> Live:
        """The cells of a name in a row, as a range."""
        start, width = self.places[name]
        values = self.rows[int(row.value) - 1][start : start + width]
        return Live(self.grid.span(int(row.value), start, 1, width), list(values))
