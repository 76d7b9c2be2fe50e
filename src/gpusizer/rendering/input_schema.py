"""Inputs as JSON Schema, made from the fields of a request and the flags of engines: types, bounds, defaults and words exist once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpusizer.engines.base.flag import Flag
from gpusizer.i18n import has, text
from gpusizer.planning.fields import MAX_BYTES, MAX_COUNT, MAX_TOKENS, MAX_WORD, Field
from gpusizer.planning.request import Request

__all__ = ["DEFAULTS", "field_schema", "flag_schema"]

_WORD: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_WORD}
_SHARE: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_OF_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "word": _WORD,
    "gpu": _WORD,
    "owned": _WORD,
    "choice": {"type": "string"},
    "count": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT},
    "tokens": {"type": "integer", "minimum": 1, "maximum": MAX_TOKENS},
    "bytes": {"type": "integer", "minimum": 0, "maximum": MAX_BYTES},
    "share": _SHARE,
    "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_COUNT},
    "seconds": {"type": "number", "exclusiveMinimum": 0},
    "drafts": _WORD,
    "currency": {"type": "string", "minLength": 3, "maxLength": 3},
}
_OF_FLAGS: Mapping[str, Mapping[str, Any]] = {
    "count": {"type": "integer"},
    "tokens": {"type": "integer"},
    "share": _SHARE,
    "switch": {"type": "boolean"},
    "json": {"type": "object"},
}
DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in fields(Request)}
"""What a plan's request takes where nobody says it."""


def field_schema(field: Field, language: str, defaults: Mapping[str, Any] = DEFAULTS) -> dict[str, Any]:
    """A field of a request as JSON Schema.

    What is announced is a number where the quantity is one (tokens, seconds, shares); words with a unit ("128k", "50ms", "2%") are read all the same.

    Parameters
    ----------
    field : Field
        The field.
    language : str
        Of its description.
    defaults : mapping
        What is taken where nobody says it, by name: that of a plan's request.

    Examples
    --------
    >>> from gpusizer.planning.request import FIELDS
    >>> field_schema(next(each for each in FIELDS if each.name == "sort"), "en")["enum"]
    ['best', 'gpus', 'cost', 'speed']
    """
    one = dict(_OF_FIELDS[field.kind])
    if "minimum" in one:
        one["minimum"] = field.lowest
    if field.choices:
        one["enum"] = list(field.choices)
    schema = {"type": "array", "items": one} if field.many else one
    default = defaults.get(field.name)
    code = field.name if has("option", field.name) else f"argument-{field.name}"
    return {**schema, **({"default": default} if isinstance(default, str | int) else {}), "description": text("option", code, language)}


def flag_schema(flag: Flag, language: str) -> dict[str, Any]:
    """A flag of an engine as JSON Schema.

    >>> from gpusizer.engines.base.flags import COMMON
    >>> flag_schema(COMMON[1], "en")["description"]
    'Tensor parallel: every layer is cut over so many GPUs.'
    """
    schema = dict(_OF_FLAGS.get(flag.kind, _WORD))
    if flag.choices:
        schema = {"type": "string", "enum": list(flag.choices)}
    bounds = {"minimum": int(flag.low), "maximum": int(flag.high)} if schema["type"] == "integer" else {}
    one = {**schema, **bounds}
    return {**({"type": "array", "items": one} if flag.repeats else one), "description": text("flag", flag.target, language)}
