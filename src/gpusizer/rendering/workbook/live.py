"""What a cell holds twice: the text of its formula and its value.

Arithmetic is never written here: :func:`recorded` calls a function of ``formulas``, once with symbols for the text, once with numbers for the value.
What else a sheet needs - to look up, to choose, to add a range, to join words - is glue, and stands below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.core import Symbol

__all__ = [
    "Area",
    "Live",
    "added",
    "all_of",
    "any_of",
    "chosen",
    "compared",
    "constant",
    "first_equal",
    "joined",
    "least",
    "picked",
    "printed",
    "recorded",
    "words",
]

DASH = "–"
"""What a cell shows where there is no number."""


@dataclass(frozen=True, slots=True)
class Live:
    """A formula's text and its value; a constant is a formula without references.

    Examples
    --------
    >>> recorded(lambda *, a, b: a * (b + 1), a=Live("Calc!$B$2", 3), b=constant(4))
    Live(text='Calc!$B$2*(4+1)', value=15)
    """

    text: str
    value: Any

    @property
    def symbol(self) -> Symbol:
        """The text as a symbol that functions of ``formulas`` take."""
        return Symbol(self.text, 3 if _is_atom(self.text) else 0)


_REFERENCE = re.compile(r"[\w$!.]+|'[^']*'![$\w]+")
_CALL = re.compile(r"[A-Z]+\(")


def _is_atom(text: str) -> bool:
    """A reference, a number, or one call as a whole."""
    if _REFERENCE.fullmatch(text):
        return True
    return text[-1] == ")" and _CALL.match(text) is not None and _closes_last(text)


def _closes_last(text: str) -> bool:
    """Whether the first parenthesis closes with the last character."""
    if text.find(")") == len(text) - 1:
        return True
    depth = 0
    for piece in _PARENTHESES.finditer(text):
        depth += 1 if piece[0] == "(" else -1
        if not depth:
            return piece.end() == len(text)
    return False


_PARENTHESES = re.compile(r"[()]")


@dataclass(frozen=True, slots=True)
class Area:
    """A range of cells and the values in it, row by row."""

    text: str
    values: Sequence[Any]


def constant(value: Any) -> Live:
    """A number, a truth value or words as part of a formula."""
    if isinstance(value, str):
        return words(value)
    if isinstance(value, bool):
        return Live("TRUE" if value else "FALSE", value)
    return Live(Symbol(repr(value)).text, value)


def words(value: str) -> Live:
    """Words in a formula, quoted."""
    return Live('"' + value.replace('"', '""') + '"', value)


def recorded(function: Callable[..., Any], **inputs: Live | int | float) -> Live:
    """A formula of the library as a cell: its text from symbols, its value from numbers."""
    lives = {name: value if isinstance(value, Live) else constant(value) for name, value in inputs.items()}
    text = function(**{name: live.symbol for name, live in lives.items()}).text
    if any(isinstance(live.value, str) for live in lives.values()):
        return Live(text, DASH)
    return Live(text, function(**{name: live.value for name, live in lives.items()}))


def compared(left: Live, operator: str, right: Live | int | str) -> Live:
    """A comparison: ``=``, ``<``, ``<=``, ``>``, ``>=``, ``<>``; words without regard to letter case, as a sheet compares them."""
    other = right if isinstance(right, Live) else constant(right)
    a, b = (value.lower() if isinstance(value, str) else value for value in (left.value, other.value))
    same = a == b if isinstance(a, str) == isinstance(b, str) else False
    if operator in ("=", "<>"):
        value = same if operator == "=" else not same
    elif isinstance(a, str) or isinstance(b, str):
        value = isinstance(a, str) if operator in (">", ">=") else not isinstance(a, str)  # words come after numbers
    else:
        value = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
    return Live(f"({left.text}){operator}{other.text}" if not _is_atom(left.text) else f"{left.text}{operator}{other.text}", value)


def chosen(condition: Live, yes: Live, no: Live) -> Live:
    """One of two."""
    return Live(f"IF({condition.text},{yes.text},{no.text})", yes.value if condition.value else no.value)


def all_of(*conditions: Live) -> Live:
    """Whether all hold."""
    return Live(f"AND({','.join(each.text for each in conditions)})", all(each.value for each in conditions))


def any_of(*conditions: Live) -> Live:
    """Whether one holds."""
    return Live(f"OR({','.join(each.text for each in conditions)})", any(each.value for each in conditions))


def picked(area: Area, row: Live, column: Live | None = None, *, width: int = 1) -> Live:
    """A cell of a range by its place; an empty cell counts as 0."""
    index = int(row.value) - 1
    place = index * width + (0 if column is None else int(column.value) - 1)
    value = area.values[place]
    text = f"INDEX({area.text},{row.text})" if column is None else f"INDEX({area.text},{row.text},{column.text})"
    return Live(text, 0 if value is None or value == "" else value)


def first_equal(wanted: Live, area: Area, otherwise: int | None = None) -> Live:
    """Place of the first equal cell; ``otherwise`` where there is none."""
    key = wanted.value.lower() if isinstance(wanted.value, str) else wanted.value
    places = [place for place, value in enumerate(area.values, 1) if (value.lower() if isinstance(value, str) else value) == key]
    text = f"MATCH({wanted.text},{area.text},0)"
    if otherwise is None:
        return Live(text, places[0])
    return Live(f"IFERROR({text},{otherwise})", places[0] if places else otherwise)


def _numbers(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def added(area: Area) -> Live:
    """The sum of a range."""
    return Live(f"SUM({area.text})", sum(_numbers(area.values)))


def least(area: Area) -> Live:
    """The smallest number of a range, 0 where there is none."""
    return Live(f"MIN({area.text})", min(_numbers(area.values), default=0))


def joined(*parts: Live | str) -> Live:
    """Words and numbers one after the other."""
    lives = [part if isinstance(part, Live) else words(part) for part in parts if part != ""]
    return Live(
        "&".join(part.text if _is_atom(part.text) or part.text.startswith('"') else f"({part.text})" for part in lives),
        "".join(_plain(part.value) for part in lives),
    )


def _plain(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def printed(number: Live, form: str) -> Live:
    """A number as words: ``#,##0``, ``#,##0.0``, ``0%``."""
    if isinstance(number.value, str):
        value = number.value
    elif form.endswith("%"):
        value = f"{100 * number.value:.{len(form.partition('.')[2].rstrip('%'))}f}%"
    else:
        value = f"{number.value:,.{len(form.partition('.')[2])}f}"
    return Live(f'TEXT({number.text},"{form}")', value)
