"""Technical sheets as they are filled: lines of figures, blocks of cells, and what is done with cells everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.formulas.core import rounded
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import (
    Area,
    Live,
    recorded,
)

__all__ = [
    "Account",
    "cell_of",
    "times",
    "whole_bytes",
]


@dataclass
class Account:
    """A technical sheet that is filled downwards, one line a figure; blocks of cells stand below it."""

    grid: Grid
    row: int = 0
    wide: int = 1

    def line(self, label: str, live: Live) -> Live:
        """A figure with its name in the first column."""
        self.grid.plain(self.row, 0, label)
        cell = self.grid.bare(self.row, 1, live)
        self.row += 1
        return cell

    def lines(self, label: str, lives: list[Live]) -> Area:
        """Figures side by side with a name."""
        self.grid.plain(self.row, 0, label)
        area = self.grid.stretch(self.row, 1, lives, down=False)
        self.row += 1
        return area

    def block(self, label: str, columns: dict[str, list[Live]]) -> dict[str, Area]:
        """Columns of equal height with headings."""
        self.grid.plain(self.row, 0, label)
        top = self.row + 1
        found = {}
        for place, (name, lives) in enumerate(columns.items(), 1):
            self.grid.plain(self.row, place, name)
            found[name] = self.grid.stretch(top, place, lives)
        self.row = top + max((len(lives) for lives in columns.values()), default=0) + 1
        return found


def cell_of(area: Area, place: int) -> Live:
    """One cell of a range of one column or one row, as a reference of its own."""
    sheet, _, span = area.text.rpartition("!")
    first, _, last = span.partition(":")
    column, row = first.split("$")[1:]
    if last and last.split("$")[1] != column:
        from gpusizer.rendering.workbook.grid import column_letters

        number = 0
        for letter in column:
            number = 26 * number + ord(letter) - 64
        return Live(f"{sheet}!${column_letters(number - 1 + place)}${row}", area.values[place])
    return Live(f"{sheet}!${column}${int(row) + place}", area.values[place])


def times(left: Live, right: Live) -> Live:
    """A product of two cells."""
    return recorded(lambda *, left, right: left * right, left=left, right=right)


def whole_bytes(size: Live) -> Live:
    """The nearest whole number of bytes, as lines of a ledger are kept."""
    return recorded(lambda *, size: rounded(size), size=size)
