"""Comma-separated values that a spreadsheet will not run as formulas."""

from __future__ import annotations

import csv
import io

from gpusizer.rendering.document import Answer, Table

__all__ = ["safe_cell", "write"]


def write(document: Answer) -> str:
    """The table that the answer chose for spreadsheets, else its first; nothing but a line end without any."""
    table = document.csv or next((block for block in document.blocks if isinstance(block, Table)), Table((), ()))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe_cell(column.title) for column in table.columns])
    writer.writerows([safe_cell(cell) for cell in row] for row in table.rows)
    return stream.getvalue()


def safe_cell(cell: str) -> str:
    """A cell that stays text in a spreadsheet: one that would begin a formula gets a quotation mark in front, control characters go; numbers stay.

    >>> safe_cell("@SUM(A1)"), safe_cell("-12.5"), safe_cell("-1+cmd()"), safe_cell("a\\x1b[31m")
    ("'@SUM(A1)", '-12.5', "'-1+cmd()", 'a[31m')
    """
    cell = "".join(letter for letter in " ".join(cell.split()) if letter.isprintable())
    return "'" + cell if cell[:1] in tuple("=+-@") and not _is_number(cell) else cell


def _is_number(words: str) -> bool:
    try:
        float(words)
    except ValueError:
        return False
    return True
