"""An answer before it has a form: plain data for programs, and blocks for people that each form writes in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

__all__ = ["Answer", "Block", "Column", "Command", "Document", "Fixed", "Heading", "Lines", "Paragraph", "Points", "Table"]


class Heading(NamedTuple):
    """A line above what follows."""

    words: str


class Paragraph(NamedTuple):
    """A sentence or several."""

    words: str


class Points(NamedTuple):
    """Sentences in a list, one a line."""

    lines: Sequence[str]


class Lines(NamedTuple):
    """Short facts that belong together, each on a line of its own."""

    lines: Sequence[str]


class Fixed(NamedTuple):
    """Lines whose spacing matters: a bar, a formula."""

    words: str


class Command(NamedTuple):
    """A command, word by word, each quoted for a shell: a narrow screen breaks it where a shell joins it again."""

    parts: Sequence[str]

    @property
    def words(self) -> str:
        """The command on one line."""
        return " ".join(self.parts)


class Column(NamedTuple):
    """A column: its heading, whether its cells are numbers (set to the right), and whether a narrow terminal may leave it out (the highest first)."""

    title: str
    right: bool = False
    spare: int = 0


class Table(NamedTuple):
    """Rows of text below headings; ``narrow`` is the same with fewer and shorter columns, for a screen that has no room for all."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    narrow: Table | None = None


Block = Heading | Paragraph | Points | Lines | Fixed | Command | Table


class Answer(Protocol):
    """What a form writes: one that takes long to work out computes each part when a form asks for it."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The JSON of the answer, with its ``schema``."""

    @property
    def blocks(self) -> Sequence[Block]:
        """What people read, from the most to the least important."""

    @property
    def csv(self) -> Table | None:
        """What a spreadsheet gets; the first table of ``blocks`` when None."""


@dataclass(frozen=True, slots=True)
class Document:
    """An answer whose parts are all at hand.

    Parameters
    ----------
    data : mapping
        The JSON of the answer, with its ``schema``.
    blocks : sequence of Block
        What people read, from the most to the least important.
    csv : Table or None
        What a spreadsheet gets; the first table of ``blocks`` when None.
    """

    data: Mapping[str, Any]
    blocks: Sequence[Block]
    csv: Table | None = None
