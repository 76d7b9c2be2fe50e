"""Cases from a file of JSON lines, within bounds: what cannot be read is refused with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from gpusizer.errors import UnreadableFileError

__all__ = ["read_cases"]

LARGEST_FILE_BYTES = 256 << 20
LONGEST_LINE_BYTES = 4 << 20
MOST_CASES = 100_000


def read_cases(path: str) -> list[dict[str, Any]]:
    """The cases of a file.

    Parameters
    ----------
    path : str
        A file with one JSON object a line; empty lines are passed over.

    Returns
    -------
    list of dict
        The cases in their order.

    Raises
    ------
    UnreadableFileError
        Missing, too large, without a case, or a line that is no JSON object (with its number).
    """
    try:
        with Path(path).open("rb") as stream:
            if not os.path.isfile(path):
                raise UnreadableFileError("cases-missing", path=path)
            size = os.fstat(stream.fileno()).st_size
            if size > LARGEST_FILE_BYTES:
                raise UnreadableFileError("cases-too-large", path=path, found_bytes=size, limit_bytes=LARGEST_FILE_BYTES)
            found: list[dict[str, Any]] = []
            number = 0
            while line := stream.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if len(line) > LONGEST_LINE_BYTES:
                    raise UnreadableFileError("case-line-too-long", path=path, line=number, limit_bytes=LONGEST_LINE_BYTES)
                if line.strip():
                    found.append(_case(line, path, number))
                if len(found) > MOST_CASES:
                    raise UnreadableFileError("too-many-cases", path=path, limit=MOST_CASES)
    except (OSError, ValueError) as error:
        raise UnreadableFileError("cases-missing", path=path) from error
    if not found:
        raise UnreadableFileError("no-cases", path=path)
    return found


def _case(line: bytes, path: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        detail = getattr(error, "msg", None) or ("UTF-8" if isinstance(error, UnicodeDecodeError) else type(error).__name__)
        raise UnreadableFileError("bad-case-line", path=path, line=number, detail=detail) from None
    if not isinstance(value, dict):
        raise UnreadableFileError("case-not-object", path=path, line=number, found=type(value).__name__)
    return value


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(f"{constant} is no JSON number", constant, 0)
