"""Values of a file that a stranger may have written: each is taken only in its own type and within bounds, else it is not there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["day", "inner", "number", "spread_of", "word"]

SMALLEST, LARGEST = 1e-12, 1e15  # one over the other is still a number
LONGEST_WORD = 300
MOST_SAMPLES = 1_000_000


def number(value: object) -> float | None:
    """A number that can be a time, a rate or a count: finite and well above zero; a number in words as CSV has it will do.

    >>> number("7285.68"), number(True), number(float("nan")), number(0), number("fast")
    (7285.68, None, None, None, None)
    """
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not SMALLEST < value < LARGEST:
        return None
    return float(value)


def word(value: object) -> str:
    """A name on one line, cut where it is too long; empty where there is none.

    >>> word(" Qwen3-8B\\n"), word(7)
    ('Qwen3-8B', '')
    """
    return " ".join(value[:LONGEST_WORD].split()) if isinstance(value, str) else ""


def inner(value: object, *names: str) -> Mapping[str, Any]:
    """The table within tables; an empty one where it is not there.

    >>> inner({"a": {"b": {"c": 1}}}, "a", "b"), inner({"a": 1}, "a", "b")
    ({'c': 1}, {})
    """
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def day(value: object) -> str:
    """The day of a date in one of the ways in which tools write it; empty where it is none.

    >>> day("20261127-093000"), day("2026-11-27T09:30:00Z"), day("yesterday")
    ('2026-11-27', '2026-11-27', '')
    """
    found = re.match(r"(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)", word(value))
    return "-".join(found.groups()) if found else ""


def spread_of(values: object) -> float | None:
    """Standard deviation of lengths over their mean; None where they are not told one by one.

    >>> spread_of([100, 100]), spread_of([50, 150]), spread_of("many")
    (0.0, 0.5, None)
    """
    if not isinstance(values, list) or not 0 < len(values) <= MOST_SAMPLES:
        return None
    found = [each for value in values if (each := number(value)) is not None]
    if not found:
        return None
    mean = math.fsum(found) / len(found)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in found) / len(found)) / mean
