"""JSON that was sent: an object of names and values, bounded, each name once."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from gpusizer.errors import InputError

__all__ = ["pairs_of_body"]


def pairs_of_body(body: bytes) -> list[tuple[str, Any]]:
    """The names and values of a JSON object; none of an empty body.

    Parameters
    ----------
    body : bytes
        As it was sent.

    Raises
    ------
    InputError
        ``not-json-body``, or ``given-twice`` for a name of any object in it.

    Examples
    --------
    >>> pairs_of_body(b'{"model": "qwen3-8b", "ttft_s": 0.5, "gpus": ["h200", "h20"]}')
    [('model', 'qwen3-8b'), ('ttft_s', 0.5), ('gpus', ['h200', 'h20'])]
    """
    if not body:
        return []
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        raise InputError("not-json-body", detail=_why(error)) from error
    if not isinstance(found, dict):
        raise InputError("not-json-body", detail=type(found).__name__)
    return list(found.items())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InputError("given-twice", name=name[:40])
        found[name] = value
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _why(error: Exception) -> str:
    """Where it ends to be JSON; nothing of what stands there."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8, or a number without end"
