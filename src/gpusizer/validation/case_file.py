"""Cases from a file of JSON lines, within bounds: what cannot be read is refused with its line."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NoReturn

from gpusizer.errors import UnreadableFileError
from gpusizer.given_files import read_given

__all__ = ["each_case", "read_cases"]

LARGEST_FILE_BYTES = 64 << 20
LONGEST_LINE_BYTES = 4 << 20
MOST_CASES = 20_000


def read_cases(path: str) -> list[dict[str, Any]]:
    """The cases of a file, all at once; parameters and errors as in :func:`each_case`."""
    return list(each_case(path))


def each_case(path: str) -> Iterator[dict[str, Any]]:
    """The cases of a file, one after the other: a bad line is refused before the first, and only the text is kept.

    Parameters
    ----------
    path : str
        A file or a pipe with one JSON object a line, "-" for stdin; empty lines are passed over.

    Returns
    -------
    iterator of dict
        The cases in their order.

    Raises
    ------
    UnreadableFileError
        Missing, too large, without a case, or a line that is no JSON object (with its number).
    """
    content = read_given(path, most_bytes=LARGEST_FILE_BYTES, missing="cases-missing")
    if len(content) > LARGEST_FILE_BYTES:
        raise UnreadableFileError("cases-too-large", path=path, limit_bytes=LARGEST_FILE_BYTES)
    count = 0
    for count, _ in enumerate(_cases(content, path), 1):
        if count > MOST_CASES:
            raise UnreadableFileError("too-many-cases", path=path, limit=MOST_CASES)
    if not count:
        raise UnreadableFileError("no-cases", path=path)
    return _cases(content, path)


def _cases(content: bytes, path: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(BytesIO(content), 1):
        if len(line) > LONGEST_LINE_BYTES:
            raise UnreadableFileError("case-line-too-long", path=path, line=number, limit_bytes=LONGEST_LINE_BYTES)
        text = line.removeprefix(BOM_UTF8) if number == 1 else line
        if text.strip():
            yield _case(text, path, number)


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
