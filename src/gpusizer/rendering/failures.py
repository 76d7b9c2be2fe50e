"""Errors as data for programs, and an exception that nobody foresaw as an error of ours."""

from __future__ import annotations

import traceback

from gpusizer.errors import DefectError, GpusizerError
from gpusizer.i18n import error_words, printable

__all__ = ["defect_of", "error_data"]


def error_data(error: GpusizerError, language: str) -> dict[str, str]:
    """An error as code, sentence and what to try.

    >>> from gpusizer.errors import UnknownIdError
    >>> error_data(UnknownIdError("unknown-engine", id="vlm", nearest=["vllm"]), "en")
    {'code': 'unknown-engine', 'sentence': 'there is no engine "vlm"', 'hint': 'did you mean vllm? `gpusizer engines list` shows all'}
    """
    sentence, hint = error_words(error.code, language, error.parameters)
    return {"code": error.code, "sentence": sentence, **({"hint": hint} if hint else {})}


def defect_of(error: Exception) -> DefectError:
    """The kind and place of an exception that nobody foresaw, for the report."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = frame.filename.replace("\\", "/").rsplit("/gpusizer/", 1)[-1]
    return DefectError("defect", detail=f"{type(error).__name__} ({printable(str(error))[:200]}) in {place}:{frame.lineno}")
