"""Files of load generators as measured runs: which tool wrote a file is seen in its fields, never in its name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from math import inf, nan
from typing import Any

from gpusizer.errors import UnreadableFileError
from gpusizer.given_files import WITHOUT_MARK, read_given
from gpusizer.measuring.formats import guidellm, llama_bench, serving, vllm_offline
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

__all__ = ["TOOLS", "read_runs"]

LARGEST_FILE_BYTES = 256 << 20  # reports that hold every request are large
MOST_RUNS = 2_000
TOOLS = ("vllm bench serve", "vllm bench latency", "vllm bench throughput", "sglang.bench_serving", "llama-bench", "GuideLLM")
_FORMATS = (serving, vllm_offline, llama_bench, guidellm)
_CONSTANTS = {"Infinity": inf, "-Infinity": -inf, "NaN": nan}  # some tools write them; no reader takes one for a number


def read_runs(path: str, told: ToldLoad | None = None) -> list[MeasuredRun]:
    """The runs of a file.

    Parameters
    ----------
    path : str
        A file or a pipe, "-" for stdin.
    told : ToldLoad, optional
        What whoever reads it says of the load, where the file is silent.

    Returns
    -------
    list of MeasuredRun
        In the order of the file.

    Raises
    ------
    UnreadableFileError
        Missing, too large, of no tool that is known, or without any speed.
    InputError
        The tool leaves something out that was not said either.
    """
    content = read_given(path, most_bytes=LARGEST_FILE_BYTES, missing="file-missing")
    if len(content) > LARGEST_FILE_BYTES:
        raise UnreadableFileError("bench-too-large", path=path, limit_bytes=LARGEST_FILE_BYTES)
    found: list[MeasuredRun] = []
    known = 0
    for table in _tables(content, path):
        form = next((each for each in _FORMATS if each.recognises(table)), None)
        if form is None:
            continue
        known += 1
        found += [each for each in form.runs(table, told or ToldLoad()) if each.says_something]
        if len(found) > MOST_RUNS:
            raise UnreadableFileError("bench-too-many-runs", path=path, limit=MOST_RUNS)
    if not known:
        raise UnreadableFileError("bench-unknown", path=path, expected=list(TOOLS))
    if not found:
        raise UnreadableFileError("bench-without-speed", path=path)
    return found


def _tables(content: bytes, path: str) -> Iterator[Mapping[str, Any]]:
    """The tables of a file: of one value, a list, a value a line, rows of CSV, rows of Markdown."""
    try:
        text = content.decode(WITHOUT_MARK)
    except UnicodeDecodeError as error:
        raise UnreadableFileError("bench-unreadable", path=path, detail="UTF-8") from error
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        yield from llama_bench.markdown_tables(text) or _rows(text, path)
        return
    try:
        values = [_value(text)]
    except ValueError:
        values = _lines(text, path)
    except RecursionError as error:
        raise UnreadableFileError("bench-unreadable", path=path, detail="RecursionError") from error
    for value in values:
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Mapping))


def _value(text: str) -> Any:
    return json.loads(text, parse_constant=_CONSTANTS.get)


def _lines(text: str, path: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_value(line))
        except (ValueError, RecursionError) as error:
            detail = getattr(error, "msg", None) or type(error).__name__
            raise UnreadableFileError("bench-bad-line", path=path, line=number, detail=detail) from None
        if len(found) > MOST_RUNS:
            raise UnreadableFileError("bench-too-many-runs", path=path, limit=MOST_RUNS)
    return found


def _rows(text: str, path: str) -> Iterator[Mapping[str, Any]]:
    try:
        for count, row in enumerate(csv.DictReader(io.StringIO(text), strict=True)):
            if count >= MOST_RUNS:
                raise UnreadableFileError("bench-too-many-runs", path=path, limit=MOST_RUNS)
            yield {name: value for name, value in row.items() if isinstance(name, str)}
    except csv.Error as error:
        raise UnreadableFileError("bench-unreadable", path=path, detail=str(error)) from error
