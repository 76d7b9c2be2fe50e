"""Inputs made of other inputs: values put where none belongs, parts of one in another, bytes cut and written over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import strategies as st

__all__ = ["ODD", "ODD_WORDS", "changed_bytes", "changed_json", "changed_lines", "json_bytes", "one_of"]

ODD_NUMBERS: list[Any] = [0, 1, -1, 2, 3, 7, 255, 4096, 65_537, 2**31, 2**32, 2**53, 2**63, 2**64, 10**18, 10**30, 10**400, -(2**63)]
ODD_NUMBERS += [0.0, -0.0, 0.5, 1.5, 1e-9, 1e18, 1e308, -1e308, float("nan"), float("inf"), float("-inf")]
ODD_WORDS = ["", " ", "x", "0", "1", "-1", "1.5", "\u00b2", "1,\u00b2", "\u0661", "auto", "null", "none", "true", "fp8", "bfloat16", "fp9", "int4"]
ODD_WORDS += ["\0", "\n", "\r", "\t", "\x1b[31m", "\u202egpt", "\ud800", "\ufeff", "\u3000", "'; touch X; #", "=1+1", "<b>", "[x](y)", "{x}", "%s"]
ODD_WORDS += [
    "re:(a+)+$",
    "re:" + ".?" * 40 + "Z",
    "re:(",
    "*" * 60,
    "full_attention",
    "linear_attention",
    "sliding_attention",
    "x" * 5000,
    "9" * 5000,
]
ODD: list[Any] = [*ODD_NUMBERS, *ODD_WORDS, None, True, False, [], {}, [[]], [{}], {"": None}, [None] * 9, [0] * 64, [-1] * 9, [1, 2, 3]]
ODD += [["x"], {"a": {"b": {"c": {}}}}, [[[[[[[[]]]]]]]], {"type": "x"}, {"0": {}}]

_BYTES = [
    b"\0",
    b"\xff",
    b"\xff" * 8,
    b"\0" * 8,
    b"\x01" + bytes(7),
    b"\xff" * 7 + b"\x7f",
    b"\n",
    b'"',
    b"{",
    b"[" * 2000,
    b",",
    b"\xef\xbb\xbf",
    b"-",
]
_MOST_BYTES = 200_000  # of an input: size alone is no find
_MOST_SLOTS = 300
_odd = st.one_of(st.sampled_from(ODD).map(deepcopy), st.sampled_from(ODD).map(deepcopy), st.integers(), st.floats(), st.text(max_size=8))
_few, _kind = st.integers(1, 4), st.integers(0, 9)
_some_bytes = st.binary(max_size=8) | st.sampled_from(_BYTES)
_Choice = TypeVar("_Choice")


def one_of(draw: st.DrawFn, choices: Sequence[_Choice]) -> _Choice:
    """One of some things; a strategy for each list of them would cost more than its draw."""
    return choices[draw(st.integers(0, len(choices) - 1))]


def json_bytes(value: Any) -> bytes:
    """A value as somebody's program writes it, NaN and lone surrogates included."""
    return json.dumps(value).encode()


def changed_json(known: Sequence[bytes], keys: Sequence[str]) -> st.SearchStrategy[Any]:
    """A known JSON value with a few changes.

    Parameters
    ----------
    known : sequence of bytes
        Values that were fed before, as JSON.
    keys : sequence of str
        Names that readers know.
    """
    return _changed_value(known, keys)


@st.composite
def _changed_value(draw: st.DrawFn, known: Sequence[bytes], keys: Sequence[str]) -> Any:
    whole = [_parsed(one_of(draw, known))]  # in a list, so that all of it may be replaced as well
    for _ in range(draw(_few)):
        holder, key = one_of(draw, _slots(whole))
        old = holder[key]
        kind = draw(_kind)
        if kind < 4:
            holder[key] = draw(_odd)
        elif kind < 6:
            holder[key] = one_of(draw, _near(old))
        elif kind == 6:
            other, there = one_of(draw, _slots([_parsed(one_of(draw, known))]))
            holder[there if isinstance(holder, dict) and isinstance(there, str) else key] = other[there]
        elif kind == 7 and isinstance(holder, dict):
            del holder[key]
        else:
            near = old if isinstance(old, dict) else holder
            if isinstance(near, dict):
                near[one_of(draw, keys)] = draw(_odd)
    return whole[0]


def _parsed(content: bytes) -> Any:
    """The value, or the text that is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")


def _slots(whole: list[Any]) -> list[tuple[Any, Any]]:
    """Places of a value that may be changed, the outer first; of a list its first entries and its last."""
    found: list[tuple[Any, Any]] = []
    open_ = [whole]
    while open_ and len(found) < _MOST_SLOTS:
        holder: Any = open_.pop(0)
        keys = list(holder) if isinstance(holder, dict) else sorted({*range(len(holder))[:3], *range(len(holder))[-1:]})
        found += [(holder, key) for key in keys]
        open_ += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    return found


def _near(old: Any) -> list[Any]:
    """Values that somebody may take for this one."""
    if isinstance(old, bool) or old is None:
        return [not old, str(old), int(bool(old)), [old]]
    if isinstance(old, int | float):
        return [old + 1, old - 1, old * 2, old * 10, -old, str(old), [old], old // 2 if old == old else 0]
    if isinstance(old, str):
        return [old + old, old[:-1], old.upper(), old + " ", [old], {old: old}, old[1:]]
    if isinstance(old, list):
        return [old + old, old[:-1], old[1:], [old], old[:1], {"x": old}]
    return [[old], {}, {"x": old}, list(old)]


@st.composite
def changed_bytes(draw: st.DrawFn, known: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """A known text or file with a few changes: cut, written over, a part twice, words that its reader knows.

    Parameters
    ----------
    known : sequence of bytes
        What was fed before.
    words : sequence of bytes
        What its reader looks for.
    """
    content = one_of(draw, known)
    for _ in range(draw(_few)):
        size = len(content)
        start = draw(st.integers(0, size))
        kind = draw(_kind)
        end = min(size, start + draw(_kind if kind % 2 else st.integers(0, size)))
        if kind <= 5:
            new = one_of(draw, words) if words and kind <= 2 else draw(_some_bytes)
            content = content[:start] + new + content[start + len(new) if kind % 2 else end :]
        elif kind <= 7:
            content = content[:start] + content[end:]
        elif kind == 8:
            content = content[:end] + content[start:end] * one_of(draw, (1, 2, 50)) + content[end:]
        else:
            content = content[:start]
        content = content[:_MOST_BYTES]
    return content


@st.composite
def changed_lines(draw: st.DrawFn, known: Sequence[bytes], lines: st.SearchStrategy[bytes]) -> bytes:
    """A known text with lines left out, doubled, exchanged, and lines of the strategy between."""
    content = one_of(draw, known).split(b"\n")[:2000]
    for _ in range(draw(_few)):
        place = draw(st.integers(0, len(content)))
        kind = draw(_kind)
        if kind <= 6:
            content[place : place + kind % 2] = [draw(lines)]
        elif kind == 7:
            del content[place : place + 1]
        else:
            content[place:place] = content[place : place + draw(_few)]
    return b"\n".join(content)[:_MOST_BYTES]


@st.composite
def mixed(draw: st.DrawFn, *weighted: tuple[int, st.SearchStrategy[bytes]]) -> bytes:
    """What one of some strategies brings, each as often as its weight says; their sum is at most ten."""
    kinds = [strategy for weight, strategy in weighted for _ in range(weight)]
    return draw(one_of(draw, kinds))
