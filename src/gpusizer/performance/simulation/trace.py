"""A trace from a file: JSON lines or CSV, read line by line within bounds; what cannot be read is refused with its line."""

from __future__ import annotations

import csv
import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from io import BytesIO, TextIOWrapper
from math import isfinite
from typing import Any

from gpusizer.errors import UnreadableFileError
from gpusizer.given_files import read_given
from gpusizer.performance.simulation.requests import Requests

__all__ = ["NAMES", "read_trace"]

NAMES = ("arrival_s", "input_tokens", "output_tokens")
LARGEST_FILE_BYTES = 256 << 20
LONGEST_LINE_BYTES = 64 << 10
MOST_REQUESTS = 1_000_000
LATEST_S = 1e10  # seconds: moments since 1970 are read as well, the first is then the beginning
MOST_TOKENS = 1 << 28


def read_trace(path: str) -> Requests:
    """The requests of a trace.

    Parameters
    ----------
    path : str
        A file or a pipe, "-" for stdin: one JSON object a line, or CSV with a heading, both with the names of :data:`NAMES`; others are passed over.

    Returns
    -------
    Requests
        The first arrives at 0.

    Raises
    ------
    UnreadableFileError
        Missing, too large, empty, or a line that is no request, with its number.
    """
    content = read_given(path, most_bytes=LARGEST_FILE_BYTES, missing="trace-missing")
    if len(content) > LARGEST_FILE_BYTES:
        raise UnreadableFileError("trace-too-large", path=path, limit_bytes=LARGEST_FILE_BYTES)
    content = content.removeprefix(BOM_UTF8)
    rows = _json_rows(content, path) if content.lstrip()[:1] == b"{" else _csv_rows(content, path)
    moments: list[float] = []
    prompts: list[int] = []
    answers: list[int] = []
    for number, row in rows:
        if len(moments) == MOST_REQUESTS:
            raise UnreadableFileError("trace-too-long", path=path, limit=MOST_REQUESTS)
        at = _number(row, "arrival_s", path, number, 0.0, LATEST_S)
        if moments and at < moments[-1]:
            raise UnreadableFileError("trace-unsorted", path=path, line=number)
        moments.append(at)
        prompts.append(_tokens(row, "input_tokens", path, number))
        answers.append(_tokens(row, "output_tokens", path, number))
    if not moments:
        raise UnreadableFileError("trace-empty", path=path)
    start = moments[0]
    return Requests([at - start for at in moments], prompts, answers)


def _json_rows(content: bytes, path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(BytesIO(content), 1):
        if len(line) > LONGEST_LINE_BYTES:
            raise UnreadableFileError("trace-line-too-long", path=path, line=number, limit_bytes=LONGEST_LINE_BYTES)
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            raise UnreadableFileError("bad-trace-line", path=path, line=number) from None
        if not isinstance(row, dict):
            raise UnreadableFileError("bad-trace-line", path=path, line=number)
        yield number, row


def _csv_rows(content: bytes, path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(TextIOWrapper(BytesIO(content), encoding="utf-8", newline=""))
    line = 1
    try:
        names = reader.fieldnames or ()
        if not names and not content.strip():
            return
        missing = [name for name in NAMES if name not in names]
        if missing:
            raise UnreadableFileError("trace-without-names", path=path, names=list(NAMES), missing=missing)
        for row in reader:
            line = reader.line_num
            yield line, row
    except (csv.Error, UnicodeDecodeError):
        raise UnreadableFileError("bad-trace-line", path=path, line=line + 1) from None


def _number(row: Mapping[str, Any], name: str, path: str, line: int, low: float, high: float) -> float:
    value = row.get(name)
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(name)
        number = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number) or not low <= number <= high:
        found = "" if value is None else str(value)[:40]
        raise UnreadableFileError("bad-trace-value", path=path, line=line, name=name, found=found, low=low, high=high)
    return number


def _tokens(row: Mapping[str, Any], name: str, path: str, line: int) -> int:
    return int(_number(row, name, path, line, 1.0, MOST_TOKENS))
