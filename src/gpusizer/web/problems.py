"""Errors as RFC 9457 problems: the codes, parameters and sentences of the command line."""

from __future__ import annotations

import json
from typing import Any

from gpusizer.errors import GpusizerError, UnknownIdError
from gpusizer.i18n import error_sentence, error_words
from gpusizer.rendering.forms.json import plain
from gpusizer.web.job import Reply

__all__ = ["PROBLEM", "STATUSES", "problem", "problem_reply", "status_of"]

PROBLEM = "application/problem+json"

STATUSES = {
    "bad-http": 400,
    "body-too-large": 413,
    "body-too-slow": 408,
    "busy": 503,
    "headers-too-long": 431,
    "host-not-trusted": 421,
    "no-such-method": 405,
    "no-such-page": 404,
    "not-json-body": 400,
    "query-too-long": 414,
    "took-too-long": 503,
    "took-too-much": 503,
    "unknown-type-of-body": 415,
    "worker-lost": 503,
}
"""Statuses of errors that HTTP has a number for."""

_NOT_FOUND, _UNUSABLE, _OURS = 404, 422, 500
_TYPE = "urn:gpusizer:error:"


def status_of(error: GpusizerError, *, path: str = "") -> int:
    """The HTTP status of an error: 4xx for what the asker can mend, 500 for a defect of ours.

    Parameters
    ----------
    error : GpusizerError
        The error.
    path : str
        What the address names beyond the kind of question: where there is nothing of that name there is no such address.

    Examples
    --------
    >>> unknown = UnknownIdError("unknown-model", id="nobody", nearest=[])
    >>> status_of(unknown), status_of(unknown, path="nobody")
    (422, 404)
    """
    if path and isinstance(error, UnknownIdError):
        return _NOT_FOUND
    return STATUSES.get(error.code, _OURS if error.exit_code == 1 else _UNUSABLE)


def problem(error: GpusizerError, language: str, *, path: str = "") -> dict[str, Any]:
    """A problem as plain data.

    >>> found = problem(UnknownIdError("unknown-engine", id="vlm", nearest=["vllm"]), "en")
    >>> found["title"], found["hint"], found["parameters"]
    ('there is no engine "vlm"', 'did you mean vllm? `gpusizer engines list` shows all', {'id': 'vlm', 'nearest': ['vllm']})
    """
    words, hint = error_words(error.code, language, error.parameters)
    return {
        "type": _TYPE + error.code,
        "title": words,
        "status": status_of(error, path=path),
        "detail": error_sentence(error.code, language, error.parameters),
        "code": error.code,
        "parameters": plain(dict(error.parameters)),
        "hint": hint or None,
    }


def problem_reply(error: GpusizerError, language: str, *, path: str = "") -> Reply:
    """A problem as a reply."""
    found = problem(error, language, path=path)
    return Reply(found["status"], PROBLEM, json.dumps(found, ensure_ascii=False).encode(errors="replace"))
