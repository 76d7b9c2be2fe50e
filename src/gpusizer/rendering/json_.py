"""JSON with plain numbers: no NaN, no infinity, Decimal and Fraction as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["plain", "to_json"]


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
    """Indented JSON in UTF-8, ending in a line end.

    >>> print(to_json({"schema": "gpusizer.example/1"}), end="")
    {
      "schema": "gpusizer.example/1"
    }
    """
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
