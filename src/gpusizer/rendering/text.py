"""Text for a terminal: the only place that knows rich. Plain where nobody watches, with colour on a terminal."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpusizer.rendering.tables import Table

__all__ = ["bar", "draw", "screen"]

WIDE = 400  # where nobody watches, no cell is cut


def screen() -> tuple[int | None, bool]:
    """Width of the terminal and whether it has colour; no width and no colour where stdout is a file or a pipe."""
    if not sys.stdout.isatty():
        return None, False
    return shutil.get_terminal_size((120, 40)).columns, not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def draw(table: Table, width: int | None = None, *, colour: bool = False) -> str:
    """A table as aligned text: headings, a rule, rows; numbers to the right, wide Chinese characters counted as two."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="bold" if colour else "")
    for column in table.columns:
        drawn.add_column(Text(column.title), justify="right" if column.right else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    console = Console(file=stream, width=width or WIDE, force_terminal=colour, color_system="standard" if colour else None, no_color=not colour)
    console.print(drawn)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def bar(parts: list[tuple[str, int]], total: int, width: int = 60) -> str:
    """One line of letters, each part as wide as its share; what is free is dots.

    Parameters
    ----------
    parts : list of (str, int)
        A letter and the bytes that it stands for. A part that is there shows at least one letter.
    total : int
        Bytes of the whole line.
    width : int
        Characters between the brackets.

    Examples
    --------
    >>> bar([("W", 60), ("K", 30)], 100, 20)
    '[WWWWWWWWWWWWKKKKKK..]'
    """
    line = ""
    filled = 0
    for letter, size in parts:
        filled += size
        end = min(width, round(filled / total * width)) if total > 0 else 0
        line += letter * max(end - len(line), 1 if size > 0 and len(line) < width else 0)
    return "[" + line.ljust(width, ".") + "]"
