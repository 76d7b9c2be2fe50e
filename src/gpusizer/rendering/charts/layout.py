"""Where text goes: how wide it is at most, broken lines, legends, and labels that keep clear of one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple
from unicodedata import east_asian_width

from gpusizer.rendering.charts.svg import FONT, LINE, WIDTH, shape, words_at

__all__ = ["Box", "Entry", "Labels", "diamond", "legend", "notes", "width_of", "wrapped"]

_NARROW, _BROAD = frozenset("ijlI.,:;'|!()[] /-"), frozenset("mwMW@%")
_SHARES = {"narrow": 0.42, "plain": 0.64, "broad": 0.98}  # of the height, in the broadest of the usual fonts
_SWATCH = 22  # a sample of the legend and the gap behind it
_GAP = 14  # between columns of a legend
_CLEAR = 6  # between a label and a line
_GAPS = (9, 22, 36, 52)  # from a point to its label
_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))  # right, left, above, below, corners


def width_of(words: str, size: float = FONT) -> float:
    """How wide a text is at most, in whatever sans serif font a reader has.

    >>> width_of("显存") == 2 * FONT, width_of("il") < width_of("om")
    (True, True)
    """

    def share(letter: str) -> float:
        if east_asian_width(letter) in "WF":
            return 1.0
        return _SHARES["narrow" if letter in _NARROW else "broad" if letter in _BROAD else "plain"]

    return size * sum(map(share, words))


def wrapped(words: str, width: float) -> list[str]:
    """A text in lines of at most this width, broken at spaces, between Chinese characters, and anywhere in a word that is longer than a line.

    >>> wrapped("one two three", 60), wrapped("we need 2 × H20", 70)
    (['one two', 'three'], ['we need', '2 × H20'])
    """
    pieces: list[str] = []
    for letter in words:
        if pieces and not _breaks(pieces[-1], letter) and width_of(pieces[-1] + letter) <= width:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    lines = [""]
    for piece in pieces:
        if lines[-1] and width_of((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _breaks(piece: str, letter: str) -> bool:
    """Whether a line may end between a piece and a letter: behind a space, but not between a count and what it counts; and where Chinese characters
    meet, but not before a mark that closes or behind one that opens."""
    if letter in " ×":
        return False
    if piece.endswith(" "):
        return not piece.endswith("× ")
    wide = "W" in (east_asian_width(piece[-1]), east_asian_width(letter))
    return wide and letter not in "，。；：、）！？%" and not piece.endswith("（")


def notes(sentences: Iterable[str], top: float) -> tuple[list[str], float]:
    """Sentences under a picture, with the height that they take."""
    lines = [line for sentence in sentences for line in wrapped(sentence, WIDTH)]
    parts = [words_at(0, top + LINE * number + FONT, line, name="gz-muted") for number, line in enumerate(lines)]
    return parts, LINE * len(lines)


class Entry(NamedTuple):
    """One entry of a legend: the class of what it names, its words, and how it is drawn: "area", "line" (with a dash), "dot" or "diamond"."""

    name: str
    words: str
    mark: str = "area"
    dash: str | None = None


def legend(entries: Sequence[Entry], top: float) -> tuple[list[str], float]:
    """Samples and words in as many columns as there is room for, with the height that they take."""
    widest = max(_SWATCH + width_of(entry.words) for entry in entries)
    columns = max(int((WIDTH + _GAP) // (widest + _GAP)), 1)
    columns = min(columns, len(entries))
    step = (WIDTH + _GAP) / columns
    parts: list[str] = []
    y, row = top, 0
    for number, entry in enumerate(entries):
        column = number % columns
        y, row = (y + LINE * row, 0) if column == 0 else (y, row)
        lines = wrapped(entry.words, step - _GAP - _SWATCH)
        parts.append(_sample(entry, column * step, y))
        parts += [words_at(column * step + _SWATCH, y + FONT + place * LINE, line) for place, line in enumerate(lines)]
        row = max(row, len(lines))
    return parts, y + LINE * row - top


def _sample(entry: Entry, x: float, y: float) -> str:
    if entry.mark == "line":
        return shape("path", entry.name, d=f"M{x:.1f} {y + 9:.1f}h17", **({"stroke_dasharray": entry.dash} if entry.dash else {}))
    if entry.mark == "dot":
        return shape("circle", entry.name, cx=x + 8, cy=y + 9, r=4.5)
    if entry.mark == "diamond":
        return diamond(entry.name, x + 8, y + 9)
    return shape("rect", entry.name, x=x, y=y + 3, width=14, height=11)


def diamond(name: str, x: float, y: float, content: str = "", /, **attributes: object) -> str:
    """A mark that differs from a dot in more than its colour."""
    return shape("path", name, content, d=f"M{x:.1f} {y - 8:.1f}l8 8l-8 8l-8 -8z", **attributes)


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether both share any point."""
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


class Labels:
    """Labels beside points, each where it meets neither another one nor the edge; where there is no such place it is left out.

    Parameters
    ----------
    bounds : Box
        What all of them stay inside.
    """

    def __init__(self, bounds: Box) -> None:
        self._bounds = bounds
        self._taken: list[Box] = []

    def keep_clear(self, x: float, y: float, radius: float) -> None:
        """No label covers this point."""
        self._taken.append(Box(x - radius, y - radius, x + radius, y + radius))

    def keep_clear_of_line(self, points: Iterable[tuple[float, float]]) -> None:
        """No label covers any of this line."""
        for start, end in pairwise(points):
            self._taken += _along(start, end)

    def beside(self, x: float, y: float, words: str) -> list[str]:
        """The label of a point, right of it or left, above or below, near it or further off at the end of a thin line; empty where none fits."""
        width = width_of(words)
        for gap in _GAPS:
            for across, down in _WAYS:
                left = x + across * gap - width * (1 - across) / 2
                base = y + down * (gap + FONT * 0.3) + FONT * 0.35
                box = Box(left, base - FONT * 0.85, left + width, base + FONT * 0.25)
                leader = [] if gap == _GAPS[0] else _leader(x, y, box)
                if self._inside(box) and not any(each.meets(other) for other in self._taken for each in (box, *leader)):
                    self._taken += [box, *leader]
                    label = words_at(left, base, words, name="gz-label")
                    return [_thin_line(x, y, box), label] if leader else [label]
        return []

    def _inside(self, box: Box) -> bool:
        room = self._bounds
        return box.left >= room.left and box.right <= room.right and box.top >= room.top and box.bottom <= room.bottom


def _along(start: tuple[float, float], end: tuple[float, float]) -> list[Box]:
    """A straight line as small boxes."""
    (x, y), (right, below) = start, end
    steps = max(int(max(abs(right - x), abs(below - y)) / _CLEAR), 1)
    places = ((x + (right - x) * step / steps, y + (below - y) * step / steps) for step in range(steps + 1))
    return [Box(across - _CLEAR / 2, down - _CLEAR / 2, across + _CLEAR / 2, down + _CLEAR / 2) for across, down in places]


def _nearest(x: float, y: float, box: Box) -> tuple[float, float]:
    return min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)


def _leader(x: float, y: float, box: Box) -> list[Box]:
    """The thin line from a point to its label, but for the part inside the mark and the one at the label."""
    return _along((x, y), _nearest(x, y, box))[2:-1]


def _thin_line(x: float, y: float, box: Box) -> str:
    across, down = _nearest(x, y, box)
    return shape("path", "gz-axis", d=f"M{x:.1f} {y:.1f}L{across:.1f} {down:.1f}")
