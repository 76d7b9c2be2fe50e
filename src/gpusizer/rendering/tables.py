"""One table, drawn as text, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gpusizer.i18n import printable

__all__ = ["Column", "Table", "safe_cell"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and whether its cells are numbers (set to the right)."""

    title: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below headings, with an optional line above and lines below.

    Examples
    --------
    >>> table = Table((Column("GPU"), Column("GB", right=True)), [["h200", "150"], ["=cmd()", "-3.5"]])
    >>> print(table.markdown())
    | GPU | GB |
    | --- | ---: |
    | h200 | 150 |
    | =cmd() | -3.5 |
    >>> print(table.csv(), end="")
    GPU,GB
    h200,150
    '=cmd(),-3.5
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """A Markdown table; a bar inside a cell is escaped."""
        heading = [column.title for column in self.columns]
        rule = ["---:" if column.right else "---" for column in self.columns]
        lines = [heading, rule, *([printable(cell) for cell in row] for row in self.rows)]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def csv(self) -> str:
        """Comma-separated values that a spreadsheet will not run as formulas."""
        return csv_text([column.title for column in self.columns], self.rows)

    def text(self, width: int | None = None, *, colour: bool = False) -> str:
        """Aligned columns; ``width`` None keeps every cell whole."""
        from gpusizer.rendering.text import draw

        return draw(self, width, colour=colour)


def csv_text(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values with a heading."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe_cell(cell) for cell in heading])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return stream.getvalue()


def safe_cell(cell: object) -> str:
    """A cell that stays text in a spreadsheet: one that would begin a formula gets a quotation mark in front; numbers stay numbers.

    >>> safe_cell("@SUM(A1)"), safe_cell("-12.5"), safe_cell(None)
    ("'@SUM(A1)", '-12.5', '')
    """
    if cell is None:
        return ""
    words = str(cell)
    if words[:1] in ("=", "+", "-", "@", "\t", "\r") and not (len(words) > 1 and _is_number(words)):
        return "'" + words
    return words


def _is_number(words: str) -> bool:
    try:
        float(words)
    except ValueError:
        return False
    return True
