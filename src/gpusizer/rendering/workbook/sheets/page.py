"""A sheet that people read and print: widths, heading, rows high enough for their words, and what the printer needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from gpusizer.rendering.forms.text import cell_len
from gpusizer.rendering.workbook.live import DASH, Live, chosen, compared, recorded, words

if TYPE_CHECKING:
    from gpusizer.rendering.workbook.book import Book
    from gpusizer.rendering.workbook.grid import Grid

__all__ = ["Page", "in_units", "or_dash"]

Paper = Literal["wide", "tall"]

_A4 = 9
_LINE_POINTS = 13.5
_NARROW = 0.9  # a letter of text over a digit, in which widths of columns are counted
_INDENTED = {"inside", "inside-wrap"}
_WORDS = {"wrap", "formula", "label", "text", "faint"}
_WRAPPED = {"wrap", "faint", "formula", "head", "answer", "label", "small", "inside-wrap"}


def or_dash(known: Live, value: Live) -> Live:
    """A value where a figure that it needs is known, else a dash."""
    return chosen(compared(known, "=", DASH), words(DASH), value)


def in_units(live: Live, unit: float) -> Live:
    """A figure in larger units; a dash stays one."""
    return or_dash(live, recorded(lambda *, size, unit: size / unit, size=live, unit=unit))


class Page:
    """One visible sheet.

    Parameters
    ----------
    book : Book
        The workbook.
    code : str
        Which sheet; its name and heading are ``sheet-CODE``, its note ``CODE-note``.
    widths : sequence of float
        Of its columns, in letters.
    """

    def __init__(self, book: Book, code: str, widths: Sequence[float]) -> None:
        self.book, self.code, self.widths = book, code, widths
        self.grid: Grid = book.grids[code]
        for column, width in enumerate(widths):
            self.grid.sheet.set_column(column, column, width)

    def heading(self) -> None:
        """Name of the sheet, and the line below it that says how to read it."""
        self.grid.sheet.set_row(0, 24)
        self.grid.text(0, 0, self.book.say(f"sheet-{self.code}"), "title")
        self.merged(1, 0, len(self.widths), self.book.say(f"{self.code}-note"), "wrap")

    def merged(self, row: int, column: int, columns: int, content: str | Live, style: str = "wrap") -> Live | None:
        """Words (or a formula that gives words) over several columns; the row is as high as they need."""
        said = content if isinstance(content, str) else str(content.value)
        self.high(row, [(said, sum(self.widths[column : column + columns]))])
        self.grid.sheet.merge_range(row, column, row, column + columns - 1, "", self.book.style(style))
        if isinstance(content, Live):
            return self.grid.formula(row, column, content, style)
        self.grid.text(row, column, content, style)
        return None

    def high(self, row: int, parts: Sequence[tuple[str, float]], least: int = 1) -> None:
        """Make a row as high as its longest part: words and the letters that a line of them has."""
        lines = max((max(ceil(cell_len(said) * _NARROW / max(width - 2, 1)), 1) for said, width in parts), default=1)
        if max(lines, least) > 1:
            self.grid.sheet.set_row(row, _LINE_POINTS * max(lines, least) + 3)

    def head(self, row: int, titles: Sequence[str], styles: Sequence[str] = (), column: int = 0) -> None:
        """Headings of columns, each over what its column holds: ``styles`` are those of the cells below, words without."""
        self.high(row, [(title, width - 2) for title, width in zip(titles, self.widths[column:], strict=False)])
        for place, (title, style) in enumerate(zip_longest(titles, styles[: len(titles)], fillvalue="wrap"), column):
            self.grid.text(row, place, title, "head-inside" if style in _INDENTED else "head" if style in _WORDS else "head-right")

    def row(self, row: int, values: Sequence[Any], styles: Sequence[str]) -> list[Live | None]:
        """Cells side by side: words, numbers, formulas; None stays empty. The row is as high as its wrapped words need."""
        wrapped, cells = [], []
        for column, (value, style) in enumerate(zip(values, styles, strict=True)):
            live: Live | None = None
            if isinstance(value, Live):
                live = self.grid.formula(row, column, value, style)
            elif isinstance(value, str):
                self.grid.text(row, column, value, style)
            elif value is not None:
                live = self.grid.value(row, column, value, style)
            said = value.value if isinstance(value, Live) else value
            if style in _WRAPPED and isinstance(said, str):
                wrapped.append((said, self.widths[column]))
            cells.append(live)
        self.high(row, wrapped)
        return cells

    def table(self, row: int, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], paper: Paper = "wide") -> None:
        """Headings and rows, ready to filter; the headings stay in sight, and stand on every printed page."""
        titles, styles = zip(*columns, strict=True)
        self.head(row, titles, styles)
        for number, values in enumerate(rows, row + 1):
            self.row(number, values, styles)
        self.listed(row, len(rows), len(titles))
        self.printed(row + len(rows), repeat=row, paper=paper)

    def listed(self, row: int, rows: int, columns: int) -> None:
        """Make rows below a heading a list to filter."""
        self.grid.sheet.autofilter(row, 0, row + max(rows, 1), columns - 1)
        self.grid.sheet.freeze_panes(row + 1, 1)

    def printed(self, last: int, *, repeat: int | None = None, paper: Paper = "wide", pages: int = 0) -> None:
        """What is printed, on how many pages (0: as many as it takes), as wide as the paper; title and page numbers below."""
        sheet = self.grid.sheet
        sheet.set_paper(_A4)
        if paper == "wide":
            sheet.set_landscape()
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.center_horizontally()
        sheet.fit_to_pages(1, pages)
        sheet.print_area(0, 0, last, len(self.widths) - 1)
        if repeat is not None:
            sheet.repeat_rows(repeat)
        sheet.set_footer(f"&L{self.book.heading[:100].replace('&', '&&')}&C&A&R&P / &N")
