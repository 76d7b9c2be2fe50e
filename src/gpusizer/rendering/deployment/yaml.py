r"""Plain data as YAML that every reader takes for the same: whatever is no simple word stands in double quotes with JSON's escapes.

Nothing here is guessed from the look of a value, so a name cannot become a key, a number, a comment or a second document; and a comment can stand
beside what it explains, which writers of plain data do not offer.

>>> print(written({"name": "a: b\n- c #", "on": "yes", "ports": [8000], "empty": {}}), end="")
name: "a: b\n- c #"
"on": "yes"
ports:
  - 8000
empty: {}
>>> print(written({"list": [{"a": Commented(True, "why\n- b: 2"), "c": None}]}, ["head"]), end="")
# head
list:
  # why - b: 2
  - a: true
    c: null
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

__all__ = ["Block", "Commented", "comment_lines", "written"]

_PLAIN = re.compile(r"(--)?[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = frozenset(["true", "false", "yes", "no", "on", "off", "null", "y", "n"])
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_STEP = "  "


class Commented(NamedTuple):
    """A value with a remark above it."""

    value: Any
    remark: str


class Block(NamedTuple):
    """A text of several lines that this writer wrote, kept readable."""

    words: str


def written(data: Mapping[str, Any], remarks: Sequence[str] = ()) -> str:
    """One document.

    Parameters
    ----------
    data : mapping
        Mappings, lists, texts, whole numbers, truth values and None; :class:`Commented` and :class:`Block` where a mapping has values.
    remarks : sequence of str
        Lines of comment above it.
    """
    lines = [line for remark in remarks for line in comment_lines(remark)]
    return "\n".join([*lines, *_mapping(data, "")]) + "\n"


def comment_lines(remark: str) -> list[str]:
    r"""A remark as one line of comment, whatever stands in it.

    >>> comment_lines("one\ntwo\u2028three")
    ['# one two three']
    """
    return ["# " + " ".join("".join(letter if letter.isprintable() else " " for letter in remark).split())]


def _mapping(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, Commented):
            yield from (indent + line for line in comment_lines(value.remark))
            value = value.value
        yield from _entry(f"{indent}{_scalar(key)}:", value, indent + _STEP)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    """What stands behind a key or a dash."""
    match value:
        case Block():
            yield f"{head} |"
            yield from (indent + line if line else "" for line in value.words.splitlines())
        case Mapping() if value:
            yield head
            yield from _mapping(value, indent)
        case list() | tuple() if value:
            yield head
            yield from _list(value, indent)
        case _:
            yield f"{head} {_scalar(value)}"


def _list(values: Sequence[Any], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            lines = list(_mapping(value, indent + _STEP))
            first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
            yield from (line.replace(_STEP, "", 1) for line in lines[:first])
            yield f"{indent}- {lines[first].strip()}"
            yield from lines[first + 1 :]
        else:
            yield from _entry(f"{indent}-", value, indent + _STEP)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{Decimal(repr(value)):f}"
        case str():
            plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
            return value if plain else '"' + "".join(map(_escaped, value)) + '"'
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
    raise TypeError(type(value).__name__)


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if letter.isprintable():
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 1 << 8 else f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
