"""Texts of engines' logs read by one grammar, and their figures beside those of a measured case."""

from __future__ import annotations

import re
from typing import Any

from gpusizer.engines.base.log import LogGrammar, LogRecord

_LEAST = 0.006  # half of the last digit that most lines print, and a rounding of ours
_SHARE = 1e-3


def read_text(grammar: LogGrammar, text: str) -> LogRecord:
    """All that a grammar finds in a text of many lines."""
    record = LogRecord()
    for number, line in enumerate(text.splitlines(), 1):
        grammar.read(line, number, record)
    if grammar.finish is not None:
        grammar.finish(record)
    return record


def is_same(found: Any, measured: Any) -> bool:
    """Whether a figure says the same; of devices those count that the case names."""
    match measured:
        case dict():
            return isinstance(found, dict) and all(name in found and is_same(found[name], value) for name, value in measured.items())
        case list():
            return isinstance(found, list) and len(found) == len(measured) and all(map(is_same, found, measured))
        case bool() | str():
            return bool(found == measured)
        case _:
            return isinstance(found, int | float) and abs(found - measured) <= max(_LEAST, _SHARE * abs(measured))


def is_printed(value: Any, text: str) -> bool:
    """Whether a figure of a case stands in a text, as people and programs print numbers."""
    if isinstance(value, dict | list):
        return bool(value) and all(is_printed(each, text) for each in (value.values() if isinstance(value, dict) else value))
    ways = {str(value)} if isinstance(value, str) else {f"{value}", f"{value:g}", f"{value:.2f}", f"{value:.3f}", f"{value:,}"}
    return any(re.search(rf"(?<![\d.,]){re.escape(way)}(?![\d]|[.,]\d)", text) for way in ways)


def compared(rows: list[dict[str, Any]], grammar: LogGrammar) -> tuple[int, list[str], list[str]]:
    """Figures of cases that their texts print: how many there are, which were not found, and which were found to be something else."""
    printed, missing, wrong = 0, [], []
    for row in rows:
        record = read_text(grammar, row["log"])
        for name, value in row["measured"].items():
            if value is None or name == "outcome":
                continue
            found = record.measured.get(name)
            if found is not None and not is_same(found, value):
                wrong.append(f"{row['id']}: {name} {found} for {value}")
            if record.matched and is_printed(value, row["log"]):
                printed += 1
                if found is None:
                    missing.append(f"{row['id']}: {name} {value}")
    return printed, missing, wrong
