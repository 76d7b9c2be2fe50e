"""Text for a terminal: the only place that knows rich. Plain where nobody watches, bold headings on a terminal."""

from __future__ import annotations

import io
import os
import shutil
import sys

from gpusizer.i18n import printable
from gpusizer.rendering.document import Document, Fixed, Heading, Points, Table

__all__ = ["bar", "to_text"]

WIDE = 400  # where nobody watches, no cell is cut


def to_text(document: Document) -> str:
    """The whole answer, blocks parted by an empty line; on a terminal tables keep to its width."""
    width, bold = _screen()
    parts: list[str] = []
    for block in document.blocks:
        if isinstance(block, Table):
            parts.append(_draw(block, width, bold))
        elif isinstance(block, Heading):
            words = printable(block.words)
            parts.append(f"\x1b[1m{words}\x1b[0m" if bold else words)
        elif isinstance(block, Fixed):
            parts.append("\n".join(f"  {line}".rstrip() for line in block.words.splitlines()))
        elif isinstance(block, Points):
            parts.append("\n".join(f"- {printable(line)}" for line in block.lines))
        else:
            parts.append(printable(block.words))
    return "\n\n".join(parts).replace("\n\n  ", "\n  ") + "\n"


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


def _screen() -> tuple[int, bool]:
    if not sys.stdout.isatty():
        return WIDE, False
    bold = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size((120, 40)).columns, bold


def _draw(table: Table, width: int, bold: bool) -> str:
    """Aligned columns: numbers to the right, Chinese characters counted as two."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="bold" if bold else "")
    for column in table.columns:
        drawn.add_column(Text(column.title), justify="right" if column.right else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell) if cell else "") for cell in row))
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=bold, color_system="standard" if bold else None, no_color=not bold)
    console.print(drawn)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
