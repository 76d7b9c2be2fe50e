"""A table as a notebook shows it: every word escaped, no script, no style of its own."""

from __future__ import annotations

from html import escape

from gpusizer.i18n import one_line
from gpusizer.rendering.document import Table

__all__ = ["html_table"]


def html_table(caption: str, table: Table) -> str:
    """A table with its caption.

    >>> from gpusizer.rendering.document import Column
    >>> html_table("<b>", Table([Column("GPU"), Column("n", right=True)], [["a & b", "8"]]))
    '<table><caption>&lt;b&gt;</caption><tr><th>GPU</th><th>n</th></tr><tr><td>a &amp; b</td><td align="right">8</td></tr></table>'
    """
    heading = "".join(f"<th>{escape(one_line(column.title))}</th>" for column in table.columns)
    sides = [' align="right"' if column.right else "" for column in table.columns]
    rows = ("".join(f"<td{side}>{escape(one_line(cell))}</td>" for side, cell in zip(sides, row, strict=True)) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in (heading, *rows))
    return f"<table><caption>{escape(one_line(caption))}</caption>{body}</table>"
