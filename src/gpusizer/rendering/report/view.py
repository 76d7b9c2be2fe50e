"""A report before it is a page: words in sections, a comparison with footnotes, pictures, sources. Plain data that the template lays out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gpusizer.i18n import one_line
from gpusizer.rendering.document import Block

__all__ = ["Cell", "Comparison", "Footnotes", "Line", "Picture", "Report", "Section"]

_ADDRESS = re.compile(r"https?://[^\s<>\"'()|\\^`{}]+[^\s<>\"'()|\\^`{}.,;:]", re.IGNORECASE)


class Line(NamedTuple):
    """Words with the numbers of their footnotes."""

    words: str
    notes: Sequence[int] = ()


Cell = Sequence[Line]
"""Lines of one cell: the figure, then what it rests on. Empty where there is nothing to say."""


class Comparison(NamedTuple):
    """Things side by side: what a row is about, a heading for each, then a row for each figure."""

    corner: str
    titles: Sequence[Cell]
    rows: Sequence[tuple[str, Sequence[Cell]]]


class Picture(NamedTuple):
    """A drawing that was written here, with what it shows below it."""

    svg: str
    caption: str


class Section(NamedTuple):
    """A heading and what stands below it; the code is its place in the page's address."""

    code: str
    title: str
    blocks: Sequence[Block | Comparison | Picture]


@dataclass
class Footnotes:
    """Sources by number, each once, in the order in which they are first needed."""

    sources: list[str] = field(default_factory=list)

    def of(self, sources: Sequence[str]) -> tuple[int, ...]:
        """The numbers of some sources."""
        lines = [line for each in sources if (line := one_line(each))]
        self.sources += [line for line in dict.fromkeys(lines) if line not in self.sources]
        return tuple(dict.fromkeys(self.sources.index(line) + 1 for line in lines))

    def linked(self) -> list[list[tuple[str, str]]]:
        """Each source in pieces: its words, and the address that they lead to, empty for words alone.

        >>> Footnotes(["a sheet (https://example.org/a.pdf), javascript:b"]).linked()
        [[('a sheet (', ''), ('https://example.org/a.pdf', 'https://example.org/a.pdf'), ('), javascript:b', '')]]
        """
        return [_pieces(source) for source in self.sources]


def _pieces(source: str) -> list[tuple[str, str]]:
    """Words and addresses in turn; only an address of the web leads anywhere."""
    pieces, at = [], 0
    for found in _ADDRESS.finditer(source):
        pieces += [(source[at : found.start()], ""), (found[0], found[0])]
        at = found.end()
    return [piece for piece in [*pieces, (source[at:], "")] if piece[0]]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report.

    Parameters
    ----------
    language : str
        "en" or "zh".
    title, customer, date : str
        The heading; customer and date may be empty.
    sentence : str
        The answer.
    sections : sequence of Section
        From what was asked to what is not sure.
    sources : sequence
        Footnotes in pieces, see :meth:`Footnotes.linked`.
    """

    language: str
    title: str
    customer: str
    date: str
    sentence: str
    sections: Sequence[Section]
    sources: Sequence[Sequence[tuple[str, str]]]
