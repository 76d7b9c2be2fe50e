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

__all__ = ["plain", "to_json", "write"]


def plain(value: Any) -> Any:
    """What JSON can hold: mappings, lists, text, true, false, null and finite numbers.

    >>> from decimal import Decimal
    >>> plain({"a": (Decimal("2.5"), Decimal(3)), "b": float("nan")})
    {'a': [2.5, 3], 'b': None}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal | Fraction):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(plain(entry) for entry in value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value)


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
    data = plain(value)
    if not isinstance(data, dict) or not data:
        return _line(data) + "\n"
    return "{\n" + ",\n".join(f"  {_line(key)}: {_field(entry)}" for key, entry in data.items()) + "\n}\n"


def write(document: Answer) -> str:
    """The data of an answer."""
    return to_json(document.data)


def _field(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return "[\n" + ",\n".join("    " + _line(entry) for entry in value) + "\n  ]"
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"    {_line(key)}: {_line(entry)}" for key, entry in value.items()) + "\n  }"
    return _line(value)


def _line(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line)  # what turns or hides text is spelled out
