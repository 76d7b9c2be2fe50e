"""Text for a terminal: tables drawn to its width, sentences folded to it. Plain where nobody watches, bold headings on a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from gpusizer.i18n import one_line
from gpusizer.rendering.document import Answer, Block, Command, Fixed, Heading, Lines, Points, Table

__all__ = ["bar", "cell_len", "fold", "write", "write_file"]

WIDE = 400  # where nobody watches, no cell is cut and no sentence is folded
_LINE = 24  # cells of text that may be folded stay at least this wide
_GAPS = (3, 2)  # cells between two columns; the second in the narrow form of a table
_FOLDED_FIRST = 10  # columns of a narrow form whose spare place is below are worth folding others for

# What stays together on a line: a word, or a Chinese character with the punctuation that may not begin or end a line.
_WIDE = "\u2e80-\uffef"
_PIECES = re.compile(rf"\s+|[（“《]*(?:[^\s{_WIDE}“”]+|[{_WIDE}])[，。；：、）”》！？]*|\S")


class Screen(NamedTuple):
    """Cells of a line, and whether headings are bold."""

    width: int = WIDE
    bold: bool = False


def write(document: Answer) -> str:
    """The whole answer as a terminal shows it, blocks parted by an empty line: tables and sentences keep to its width."""
    return _written(document, Screen(*_screen()))


def write_file(document: Answer) -> str:
    """The whole answer as a file holds it, whatever terminal there is: nothing is folded, cut or bold."""
    return _written(document, Screen())


def _written(document: Answer, screen: Screen) -> str:
    parts: list[str] = []
    for block in document.blocks:
        parts += _drawn(block, screen)
    return "\n\n".join(parts).replace("\n\n  ", "\n  ") + "\n"


def _drawn(block: Block, screen: Screen) -> list[str]:
    """One block; of a table also what it leaves out."""
    width, bold = screen
    match block:
        case Table():
            shown, gap, left_out = _fitting(block, width)
            drawn = _draw(shown, width, gap, bold=bold)
            return [drawn, _hanging("; ".join(left_out), "  … ", width)] if left_out else [drawn]
        case Heading():
            return ["\n".join(f"\x1b[1m{line}\x1b[0m" if bold else line for line in _folded(one_line(block.words), width))]
        case Fixed():
            return ["\n".join(f"  {line}".rstrip() for line in block.words.splitlines())]
        case Command():
            return ["\n".join(_command(block.parts, width))]
        case Points():
            return ["\n".join(_hanging(line, "- ", width) for line in block.lines)]
        case Lines():
            return ["\n".join(_hanging(line, "", width) for line in block.lines)]
        case _:
            return ["\n".join(_folded(one_line(block.words), width))]


def _folded(words: str, width: int) -> list[str]:
    """Lines of a sentence; one line where nobody watches."""
    return [words] if width >= WIDE else fold(words, width)


def _hanging(line: str, mark: str, width: int) -> str:
    """A point whose further lines stand below its first word."""
    lines = _folded(one_line(line), width if width >= WIDE else width - len(mark))
    return "\n".join((mark if place == 0 else " " * len(mark)) + each for place, each in enumerate(lines))


def _command(parts: Sequence[str], width: int) -> list[str]:
    """A command in lines that a shell joins again, one where it has room; a word is never broken."""
    lines, line = [], "  "
    for word in parts:
        if line.strip() and len(line) + len(word) + 3 > width < WIDE:
            lines.append(line + " \\")
            line = "    "
        line += word if not line.strip() else f" {word}"
    return [*lines, line]


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


def _fitting(table: Table, width: int) -> tuple[Table, int, list[str]]:
    """The table that a screen has room for, the cells between its columns, and the headings of those that are left out.

    The wide form where all of it has room, else the narrow one; then spare columns go, the last first. Words are never broken for their sake; of a
    narrow form those below ``_FOLDED_FIRST`` go only where folding the others is not enough.
    """
    if table.narrow is None:
        return _without_spare(table, width, _GAPS[0])
    if sum(_natural_width(table, place) for place in range(len(table.columns))) + _GAPS[0] * (len(table.columns) - 1) <= width:
        return table, _GAPS[0], []
    shown, gap, _ = _without_spare(table.narrow, width, _GAPS[1], _FOLDED_FIRST)
    if _room(shown, range(len(shown.columns)), gap) > width:
        shown, gap, _ = _without_spare(shown, width, gap, line=1)
    elif _room(shown, range(len(shown.columns)), _GAPS[0]) <= width:
        gap = _GAPS[0]
    return shown, gap, []  # whoever made the narrow form says where the rest is


def _without_spare(table: Table, width: int, gap: int, least_spare: int = 1, line: int = _LINE) -> tuple[Table, int, list[str]]:
    """The table without as many spare columns as it takes, and the headings of those."""
    kept = list(range(len(table.columns)))
    while _room(table, kept, gap, line) > width:
        spare = max(kept, key=lambda place: table.columns[place].spare, default=None)
        if spare is None or table.columns[spare].spare < least_spare:
            break
        kept.remove(spare)
    if len(kept) == len(table.columns):
        return table, gap, []
    shown = Table([table.columns[place] for place in kept], [[row[place] for place in kept] for row in table.rows])
    return shown, gap, [column.title for place, column in enumerate(table.columns) if place not in kept]


def _room(table: Table, places: Sequence[int], gap: int, line: int = _LINE) -> int:
    """Cells that some columns of a table take at least."""
    return sum(_least_width(table, place, line) for place in places) + gap * (len(places) - 1)


def _natural_width(table: Table, place: int) -> int:
    """Cells of a column of which nothing is folded but long sentences."""
    widest = max(map(cell_len, (row[place] for row in table.rows)), default=0)
    return max(_least_width(table, place), min(widest, 2 * _LINE))


def _least_width(table: Table, place: int, line: int = _LINE) -> int:
    """Cells below which a column would break: whole numbers, the longest word of text (up to a line), a readable line of long text."""
    column = table.columns[place]
    cells = [row[place] for row in table.rows]
    words = max((cell_len(word) for text in (column.title, *cells) for word in text.split()), default=0)
    widest = max(map(cell_len, cells), default=0)
    if column.right:
        return words if line < _LINE else max(words, widest)
    return max(words if column.spare else min(words, _LINE), min(widest, line))  # what may be left out is never cut within a word


def _widths(table: Table, width: int, gap: int) -> list[int]:
    """Cells of each column: as wide as what is in it, or the least, and then what is left over from left to right."""
    places = range(len(table.columns))
    wanted = [max(map(cell_len, (table.columns[place].title, *(row[place] for row in table.rows)))) for place in places]
    room = width - gap * (len(wanted) - 1)
    if sum(wanted) <= room:
        return wanted
    least = [_least_width(table, place) for place in places]
    if sum(least) > room:
        least = [_least_width(table, place, 1) for place in places]
    for place in places:
        least[place] = min(wanted[place], least[place] + max(room - sum(least), 0))
    return least


def _draw(table: Table, width: int, gap: int, *, bold: bool) -> str:
    """Aligned columns: numbers to the right, long text folded between words, a rule below the headings."""
    cells = [[one_line(cell) if cell else "" for cell in row] for row in table.rows]
    widths = _widths(Table(table.columns, cells), width, gap)
    right = [column.right for column in table.columns]
    heading = _row([column.title for column in table.columns], widths, right, gap)
    rule = "─" * (sum(widths) + gap * (len(widths) - 1))
    lines = [*([f"\x1b[1m{line}\x1b[0m" for line in heading] if bold else heading), rule]
    for row in cells:
        lines += _row(row, widths, right, gap)
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], gap: int) -> list[str]:
    """The lines of one row."""
    folded = [fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for place in range(max(map(len, folded), default=0)):
        parts = []
        for cell, width, numbers in zip(folded, widths, right, strict=True):
            words = cell[place] if place < len(cell) else ""
            fill = " " * (width - cell_len(words))
            parts.append(fill + words if numbers else words + fill)
        lines.append((" " * gap).join(parts).rstrip())
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
