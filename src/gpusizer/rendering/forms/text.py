"""Text for a terminal: tables drawn to its width. Plain where nobody watches, bold headings on a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from gpusizer.i18n import printable
from gpusizer.rendering.document import Answer, Fixed, Heading, Points, Table

__all__ = ["bar", "cell_len", "fold", "write"]

WIDE = 400  # where nobody watches, no cell is cut
_LINE = 24  # cells of text that may be folded stay at least this wide
_GAP = 3  # cells between two columns

# What stays together on a line: a word, or a Chinese character with the punctuation that may not begin or end a line.
_WIDE = "\u2e80-\uffef"
_PIECES = re.compile(rf"\s+|[（“《]*(?:[^\s{_WIDE}“”]+|[{_WIDE}])[，。；：、）”》！？]*|\S")


def write(document: Answer) -> str:
    """The whole answer, blocks parted by an empty line; on a terminal tables keep to its width."""
    width, bold = _screen()
    parts: list[str] = []
    for block in document.blocks:
        if isinstance(block, Table):
            shown, left_out = _fitting(block, width)
            parts.append(_draw(shown, width, bold=bold))
            if left_out:
                parts.append(f"  … {'; '.join(left_out)}")
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
    if not sys.stdout.isatty():  # unless somebody asks for a width
        wish = os.environ.get("COLUMNS", "")
        return (int(wish) if wish.isdecimal() and 20 <= int(wish[:9]) <= WIDE else WIDE), False
    bold = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size((120, 40)).columns, bold


def _fitting(table: Table, width: int) -> tuple[Table, list[str]]:
    """The table without columns for which a terminal is too narrow, and their headings; words are never broken for the sake of a spare column."""
    kept = list(range(len(table.columns)))
    needs = [_least_width(table, place) for place in kept]
    while sum(needs[place] for place in kept) + _GAP * (len(kept) - 1) > width:
        spare = max(kept, key=lambda place: table.columns[place].spare, default=None)
        if spare is None or not table.columns[spare].spare:
            break
        kept.remove(spare)
    if len(kept) == len(needs):
        return table, []
    left_out = [column.title for place, column in enumerate(table.columns) if place not in kept]
    return Table([table.columns[place] for place in kept], [[row[place] for place in kept] for row in table.rows]), left_out


def _least_width(table: Table, place: int, line: int = _LINE) -> int:
    """Cells below which a column would break: whole numbers, the longest word of text (up to a line), a readable line of long text."""
    column = table.columns[place]
    cells = [row[place] for row in table.rows]
    words = max((cell_len(word) for text in (column.title, *cells) for word in text.split()), default=0)
    widest = max(map(cell_len, cells), default=0)
    if column.right:
        return max(words, widest)
    return max(words if column.spare else min(words, _LINE), min(widest, line))  # what may be left out is never cut within a word


def _widths(table: Table, width: int) -> list[int]:
    """Cells of each column: as wide as what is in it, or the least, and then what is left over from left to right."""
    places = range(len(table.columns))
    wanted = [max(map(cell_len, (table.columns[place].title, *(row[place] for row in table.rows)))) for place in places]
    room = width - _GAP * (len(wanted) - 1)
    if sum(wanted) <= room:
        return wanted
    least = [_least_width(table, place) for place in places]
    if sum(least) > room:
        least = [_least_width(table, place, 1) for place in places]
    for place in places:
        least[place] = min(wanted[place], least[place] + max(room - sum(least), 0))
    return least


def _draw(table: Table, width: int, *, bold: bool) -> str:
    """Aligned columns: numbers to the right, long text folded between words, a rule below the headings."""
    cells = [[printable(cell) if cell else "" for cell in row] for row in table.rows]
    widths = _widths(Table(table.columns, cells), width)
    right = [column.right for column in table.columns]
    heading = _row([column.title for column in table.columns], widths, right)
    rule = "─" * (sum(widths) + _GAP * (len(widths) - 1))
    lines = [*([f"\x1b[1m{line}\x1b[0m" for line in heading] if bold else heading), rule]
    for row in cells:
        lines += _row(row, widths, right)
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """The lines of one row."""
    folded = [fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for place in range(max(map(len, folded), default=0)):
        parts = []
        for cell, width, numbers in zip(folded, widths, right, strict=True):
            words = cell[place] if place < len(cell) else ""
            gap = " " * (width - cell_len(words))
            parts.append(gap + words if numbers else words + gap)
        lines.append((" " * _GAP).join(parts).rstrip())
    return lines


def fold(text: str, width: int) -> list[str]:
    """Text in lines of at most so many cells: between words or Chinese characters, within a word only where it is longer than a line.

    >>> fold("one replica spans 5 servers", 12), fold("一个副本要跨 5 台服务器。", 12), fold("", 4)
    (['one replica', 'spans 5', 'servers'], ['一个副本要跨', '5 台服务器。'], [''])
    """
    if cell_len(text) <= width:
        return [text]
    lines, line = [], ""
    for piece in _PIECES.findall(text):
        if cell_len((line + piece).rstrip()) <= width:
            line += piece
            continue
        if line.strip():
            lines.append(line.strip())
        line = piece.lstrip()
        while cell_len(line) > width:
            end = next(count for count in range(len(line), 0, -1) if cell_len(line[:count]) <= width or count == 1)
            lines.append(line[:end])
            line = line[end:]
    return [*lines, line.strip()] if line.strip() or not lines else lines


def cell_len(text: str) -> int:
    """Cells of a terminal that a text takes: a Chinese character takes two, a combining mark none.

    >>> cell_len("KV cache"), cell_len("显存")
    (8, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)
