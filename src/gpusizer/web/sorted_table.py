"""A table of a page whose columns sort by links: no script, and the order stands in the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from gpusizer.web.job import Job
from gpusizer.web.templating import link

__all__ = ["Cell", "Column", "Head", "SortedTable", "sorted_table"]

SORT, ORDER = "sort", "order"
UP, DOWN = "up", "down"


class Cell(NamedTuple):
    """What stands in a row: words, what they are sorted by (None is unknown, and last), where they lead."""

    words: str
    order: float | str | None = None
    href: str = ""
    note: str = ""


class Column(NamedTuple):
    """A column: its name in addresses, its heading, whether its cells are numbers."""

    code: str
    title: str
    right: bool = False


class Head(NamedTuple):
    """A heading: where it leads, and how the rows stand now ("ascending", "descending", or empty)."""

    title: str
    right: bool
    href: str
    standing: str


class SortedTable(NamedTuple):
    """Headings, and rows in their order."""

    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]


def sorted_table(job: Job, path: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> SortedTable:
    """Rows in the order that the address asks for.

    Parameters
    ----------
    job : Job
        The question; ``sort`` is the code of a column, ``order`` is "up" or "down".
    path : str
        The page.
    columns : sequence of Column
        All columns.
    rows : sequence of sequence of Cell
        In the order of the catalogue, which holds where nothing is asked.

    Examples
    --------
    >>> job = Job("models", "page", "en", "sort=n&order=down")
    >>> found = sorted_table(job, "/models", [Column("n", "N", right=True)], [[Cell("1", 1)], [Cell("-")], [Cell("2", 2)]])
    >>> [row[0].words for row in found.rows], found.heads[0].standing, found.heads[0].href
    (['2', '1', '-'], 'descending', '/models?sort=n&order=up&lang=en')
    """
    asked = dict(parse_qsl(job.query))
    kept = [(name, value) for name, value in parse_qsl(job.query) if name not in (SORT, ORDER)]
    place = next((number for number, column in enumerate(columns) if column.code == asked.get(SORT)), None)
    down = asked.get(ORDER) == DOWN
    heads = []
    for number, column in enumerate(columns):
        here = number == place
        next_order = (UP if down else DOWN) if here else DOWN if column.right else UP
        href = link(job, path, urlencode([*kept, (SORT, column.code), (ORDER, next_order)]))
        heads.append(Head(column.title, column.right, href, ("descending" if down else "ascending") if here else ""))
    return SortedTable(heads, rows if place is None else _in_order(rows, place, down=down))


def _in_order(rows: Sequence[Sequence[Cell]], place: int, *, down: bool) -> list[Sequence[Cell]]:
    known = [row for row in rows if row[place].order is not None]
    unknown = [row for row in rows if row[place].order is None]
    return sorted(known, key=lambda row: _key(row[place].order), reverse=down) + unknown


def _key(order: float | str | None) -> tuple[float, str]:
    return (0, order.lower()) if isinstance(order, str) else (order or 0, "")
