"""JSON with plain numbers: no NaN, no infinity, Decimal and Fraction as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gpusizer.rendering.document import Answer

__all__ = ["opened", "plain", "to_json", "to_line", "write"]


def plain(value: Any) -> Any:
    """What JSON can hold: mappings, lists, text, true, false, null and finite numbers.

    >>> from decimal import Decimal
    >>> plain({"a": (Decimal("2.5"), Decimal(3)), "b": float("nan")})
    {'a': [2.5, 3], 'b': None}
    """
    value = opened(value)
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def opened(value: Any) -> Any:
    """The outermost layer of a value as JSON can hold it; what lies inside stays as it is."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (Decimal, Fraction)):
        return int(value) if value == int(value) else float(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return sorted(map(plain, value)) if isinstance(value, (set, frozenset)) else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=opened)


def to_json(value: Any) -> str:
    """JSON in UTF-8, ending in a line end: a line for each field and for each entry of a list, so that it can be read and compared by lines.

    (The standard library indents in Python, which takes longer than a whole plan.)

    >>> print(to_json({"schema": "gpusizer.example/1", "options": [{"rank": 1}, {"rank": 2}], "warnings": []}), end="")
    {
      "schema": "gpusizer.example/1",
      "options": [
        {"rank": 1},
        {"rank": 2}
      ],
      "warnings": []
    }
    """
    data = opened(value)
    if not isinstance(data, dict) or not data:
        return to_line(data) + "\n"
    return "{\n" + ",\n".join(f"  {to_line(key)}: {_field(entry)}" for key, entry in data.items()) + "\n}\n"


def write(document: Answer) -> str:
    """The data of an answer."""
    return to_json(document.data)


def _field(value: Any) -> str:
    value = opened(value)
    if isinstance(value, list) and value and isinstance(opened(value[0]), dict | list):
        return "[\n" + ",\n".join("    " + to_line(entry) for entry in value) + "\n  ]"
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"    {to_line(key)}: {to_line(entry)}" for key, entry in value.items()) + "\n  }"
    return to_line(value)


def to_line(value: Any) -> str:
    """JSON on one line.

    >>> print(to_line({"id": "a\\u202eb", "measured": {"kv_tokens": 1}}))
    {"id": "a\\u202eb", "measured": {"kv_tokens": 1}}
    """
    try:
        line = _ENCODER.encode(value)
    except (TypeError, ValueError):  # what the encoder cannot turn by itself: a number that is not finite, a key that is no text
        line = _ENCODER.encode(plain(value))
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line)  # what turns or hides text is spelled out
