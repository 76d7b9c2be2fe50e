"""The first sheet, what a report says beside the live answer: need, options side by side, a larger need, risks. Words of the plan as it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gpusizer.i18n import text
from gpusizer.planning.types import Plan
from gpusizer.rendering.companions import companion_lines, spare_lines
from gpusizer.rendering.document import Block, Table
from gpusizer.rendering.forms.text import cell_len
from gpusizer.rendering.need import need_lines
from gpusizer.rendering.report.comparison import comparison
from gpusizer.rendering.report.risks import risk_lines
from gpusizer.rendering.report.view import Cell, Footnotes
from gpusizer.rendering.sensitivity import sensitivity_blocks
from gpusizer.rendering.workbook.live import Live, chosen, words
from gpusizer.rendering.workbook.sheets.page import Page
from gpusizer.rendering.workbook.sheets.start import GAP, LABEL, OUT, OUT_UNIT, OUT_VALUE, USED, VALUE

__all__ = ["fill_handed"]

_ALL = OUT_UNIT - LABEL + 1
_PLACES = ((VALUE, 2), (GAP, 2), (OUT_VALUE, 2))
"""First column and columns of each option that stands beside the others."""

_FIGURES = (VALUE, USED, OUT, OUT_VALUE, OUT_UNIT)
"""Columns of the figures of a larger need."""

_LETTER = 0.95  # a letter of a bold or wide font over the letter that widths are counted in


@dataclass
class _Rows:
    """Writes rows one below the other."""

    page: Page
    row: int

    def section(self, code: str) -> None:
        """A heading over the whole width."""
        for column in range(LABEL, OUT_UNIT + 1):
            self.page.grid.text(self.row, column, text("report", f"section-{code}", self.page.book.language) if column == LABEL else "", "section")
        self.row += 1

    def line(self, said: str | Live, style: str = "wrap") -> None:
        """A sentence over the whole width."""
        self.page.merged(self.row, LABEL, _ALL, said, style)
        self.row += 1

    def beside(self, name: str, cells: Sequence[str], style: str = "wrap") -> None:
        """A name, and what is said of each option."""
        self.page.grid.text(self.row, LABEL, name, "label")
        least = 1
        for (column, columns), said in zip(_PLACES, cells, strict=False):
            self.page.merged(self.row, column, columns, said, style)
            room = sum(self.page.widths[column : column + columns]) - 2
            least = max(least, sum(max(ceil(cell_len(line) * _LETTER / room), 1) for line in said.split("\n")))
        self.page.high(self.row, [(name, self.page.widths[LABEL])], least)
        self.row += 1

    def figures(self, cells: Sequence[str], style: str) -> None:
        """A row of a table whose first column is words."""
        self.page.grid.text(self.row, GAP, "", style)
        for column, said in zip((LABEL, *_FIGURES), cells, strict=True):
            self.page.grid.text(self.row, column, said, "label" if column == LABEL and style != "head" else style)
        self.page.high(self.row, [(said, self.page.widths[column]) for column, said in zip((LABEL, *_FIGURES), cells, strict=True)])
        self.row += 1


def fill_handed(page: Page, row: int, plan: Plan, same: Live) -> int:
    """Write what a report says; its last row.

    Parameters
    ----------
    page : Page
        The first sheet.
    row : int
        Where it begins.
    plan : Plan
        The answer that the workbook was made with.
    same : Live
        Whether the inputs are still the plan's: where they are not, a line says so, since words do not compute.
    """
    language, rows = page.book.language, _Rows(page, row)
    rows.section("need")
    rows.line(chosen(same, words(""), words(page.book.say("handed-changed"))), "faint")
    for line in need_lines(plan, language):
        rows.line(line)
    for line in () if plan.best is None else (*companion_lines(plan.best.companions, language), *spare_lines(plan.best, language)):
        rows.line(line)
    if plan.best is not None:
        rows.section("options")
        compared = comparison(plan, Footnotes(), language)
        rows.beside("", [_joined(title) for title in compared.titles], "head-inside")
        for name, cells in compared.rows:
            rows.beside(name, [_joined(cell) for cell in cells])
        _larger(rows, sensitivity_blocks(plan, language))
    rows.section("risks")
    for line in risk_lines(plan, language):
        rows.line(line)
    return rows.row - 1


def _joined(cell: Cell) -> str:
    return "\n".join(line.words for line in cell)


def _larger(rows: _Rows, blocks: Sequence[Block]) -> None:
    """A larger need: what it is, GPUs and layout, times and rate."""
    for table in blocks:
        if isinstance(table, Table):
            rows.section("sensitivity")
            rows.figures(_told([column.title for column in table.columns]), "head")
            for cells in table.rows:
                rows.figures(_told(cells), "inside")


def _told(cells: Sequence[str]) -> list[str]:
    """Eight cells in the columns that there are: concurrency and length together, GPUs and layout together."""
    what, concurrency, tokens, gpus, layout, ttft, tpot, rate = cells
    return [what, f"{concurrency} / {tokens}", f"{gpus} / {layout}", ttft, tpot, rate]
