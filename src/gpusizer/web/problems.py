"""Errors as RFC 9457 problems: the codes, parameters and sentences of the command line."""

from __future__ import annotations

import json
from typing import Any

from gpusizer.errors import GpusizerError
from gpusizer.i18n import error_sentence
from gpusizer.rendering.forms.json import plain
from gpusizer.web.job import Reply

__all__ = ["PROBLEM", "problem", "problem_reply", "status_of"]

PROBLEM = "application/problem+json"

_STATUS = {"not-json": 400, "busy": 503, "took-too-long": 503, "body-too-large": 413, "query-too-long": 414, "no-such-page": 404}
_STATUS_OF_INPUT = 422


def status_of(error: GpusizerError) -> int:
    """The HTTP status of an error: 4xx for what the asker can mend, 500 for a defect of ours."""
    return _STATUS.get(error.code, _STATUS_OF_INPUT if error.exit_code == 2 else 500)


def problem(error: GpusizerError, language: str, status: int | None = None) -> dict[str, Any]:
    """A problem as plain data.

    >>> from gpusizer.errors import UnknownIdError
    >>> problem(UnknownIdError("unknown-engine", id="vlm", nearest=["vllm"]), "en")["detail"]
    'there is no engine "vlm"; did you mean vllm? `gpusizer engines list` shows all'
    """
    return {
        "type": f"urn:gpusizer:error:{error.code}",
        "title": error.code,
        "status": status or status_of(error),
        "detail": error_sentence(error.code, language, error.parameters),
        "code": error.code,
        "parameters": plain(dict(error.parameters)),
    }


def problem_reply(error: GpusizerError, language: str, status: int | None = None) -> Reply:
    """A problem as a reply."""
    found = problem(error, language, status)
    return Reply(found["status"], PROBLEM, json.dumps(found, ensure_ascii=False).encode())
