"""A sheet that is filled cell by cell: places, references to them, and what XlsxWriter needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpusizer.rendering.workbook.live import Area, Live

if TYPE_CHECKING:
    from gpusizer.rendering.workbook.book import Book

__all__ = ["Grid", "column_letters", "quoted"]


def column_letters(column: int) -> str:
    """A column as letters, counted from 0.

    >>> column_letters(0), column_letters(26), column_letters(701)
    ('A', 'AA', 'ZZ')
    """
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def quoted(name: str) -> str:
    """A sheet's name as a reference needs it.

    >>> quoted("Calc"), quoted("One GPU")
    ('Calc', "'One GPU'")
    """
    return name if name.isascii() and name.replace("_", "").isalnum() else "'" + name.replace("'", "''") + "'"


class Grid:
    """One sheet.

    Parameters
    ----------
    book : Book
        The workbook with its formats.
    name : str
        The sheet's name.
    """

    def __init__(self, book: Book, name: str, sheet_class: type) -> None:
        self.book = book
        self.name = name
        self.sheet = book.workbook.add_worksheet(name, sheet_class)
        self._prefix = quoted(name) + "!"

    def at(self, row: int, column: int) -> str:
        """An absolute reference to a cell, with the sheet's name."""
        return f"{self._prefix}${column_letters(column)}${row + 1}"

    def span(self, row: int, column: int, rows: int, columns: int = 1) -> str:
        """An absolute reference to a range."""
        return f"{self._prefix}${column_letters(column)}${row + 1}:${column_letters(column + columns - 1)}${row + rows}"

    def text(self, row: int, column: int, words: str, style: str = "text") -> None:
        """Words; what begins with = + - @ stays words."""
        self.sheet.write_string(row, column, words, self.book.style(style))

    def value(self, row: int, column: int, value: Any, style: str = "number") -> Live:
        """A number, words or a truth value that somebody may change."""
        if value is None or value == "":
            self.sheet.write_blank(row, column, None, self.book.style(style))
        elif isinstance(value, bool):
            self.sheet.write_boolean(row, column, value, self.book.style(style))
        elif isinstance(value, str):
            self.sheet.write_string(row, column, value, self.book.style(style))
        else:
            self.sheet.write_number(row, column, value, self.book.style(style))
        return Live(self.at(row, column), "" if value is None else value)

    def formula(self, row: int, column: int, live: Live, style: str = "number") -> Live:
        """A formula with the value that the library computed."""
        value = live.value
        self.sheet.write_formula(row, column, "=" + live.text, self.book.style(style), value)
        return Live(self.at(row, column), value)

    def bare(self, row: int, column: int, live: Live) -> Live:
        """A formula of a technical sheet, without a style."""
        self.sheet.write_formula(row, column, "=" + live.text, None, live.value)
        return Live(self.at(row, column), live.value)

    def stretch(self, row: int, column: int, lives: Sequence[Live], *, down: bool = True) -> Area:
        """Formulas one below the other (or side by side), as a range."""
        for place, live in enumerate(lives):
            self.bare(row + place * down, column + place * (not down), live)
        count = len(lives)
        area = self.span(row, column, count) if down else self.span(row, column, 1, count)
        return Area(area, [live.value for live in lives])

    def plain(self, row: int, column: int, value: Any) -> None:
        """A constant of a technical sheet."""
        if value is None or value == "":
            return
        if isinstance(value, bool):
            self.sheet.write_boolean(row, column, value)
        elif isinstance(value, str):
            self.sheet.write_string(row, column, value)
        else:
            self.sheet.write_number(row, column, value)
