"""JSON as it is written: a line an entry, and what is read back is what was held, whatever kind of Python value held it."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from gpusizer.engines.base.types import Evidence
from gpusizer.rendering.forms.json import plain, to_json


@dataclass(frozen=True, slots=True)
class Box:
    """A record that holds others."""

    size: Any
    inner: Any = None


class Pair(NamedTuple):
    """A tuple with names."""

    left: Any
    right: Any


# What is held, and what JSON says of it.
KINDS: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (7, 7),
    (0.1, 0.1),
    (1e-320, 1e-320),
    ("ä ¥ \u202e\n\x1b[31m", "ä ¥ \u202e\n\x1b[31m"),
    (nan, None),
    (-inf, None),
    (Decimal("2.50"), 2.5),
    (Decimal(3), 3),
    (Fraction(1, 4), 0.25),
    (Evidence.EXACT, "exact"),
    ((1, "a"), [1, "a"]),
    (Pair(1, (2,)), [1, [2]]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    (MappingProxyType({"a": Decimal("0.5")}), {"a": 0.5}),
    (OrderedDict(a=()), {"a": []}),
    ({1: "one", 0.5: nan, (1, 2): "pair"}, {"1": "one", "0.5": None, "(1, 2)": "pair"}),
    (Box(Decimal("1.5"), Box(inf, {"a": Pair(1, 2)})), {"size": 1.5, "inner": {"size": None, "inner": {"a": [1, 2]}}}),
    (1j, "1j"),
    ([], []),
    ({}, {}),
]
PLACES = {
    "alone": lambda value: value,
    "field": lambda value: {"field": value},
    "entry": lambda value: {"list": [value, value]},
    "deep": lambda value: {"list": ({"a": [{"b": value}]},), "map": MappingProxyType({"c": (value,)})},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("held", "said"), KINDS, ids=[str(place) for place in range(len(KINDS))])
def test_what_is_read_back_is_what_was_held(held: Any, said: Any, place: Any) -> None:
    written = to_json(place(held))
    assert json.loads(written, parse_constant=pytest.fail) == json.loads(json.dumps(place(said), default=dict)) == plain(place(held))
    assert all(line.isprintable() for line in written.splitlines())
    assert written.endswith("\n")


def test_a_line_for_each_field_and_each_entry() -> None:
    answer = {"schema": "a/1", "options": (Box(1), Box(2)), "need": {"a": 1, "b": [1, 2]}, "counts": [1, 2], "none": []}
    assert to_json(answer).splitlines() == [
        "{",
        '  "schema": "a/1",',
        '  "options": [',
        '    {"size": 1, "inner": null},',
        '    {"size": 2, "inner": null}',
        "  ],",
        '  "need": {',
        '    "a": 1,',
        '    "b": [1, 2]',
        "  },",
        '  "counts": [1, 2],',
        '  "none": []',
        "}",
    ]
