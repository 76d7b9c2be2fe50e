"""Speeds that people measured and asked about in public, read from a table in their own words."""

from __future__ import annotations

import csv
import re
import statistics
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import SHARED
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of

FILE = SHARED.parent / "field" / "measured-speed.csv"
OTHERS = ("S-03", "S-18", "S-19")  # an engine of somebody's own, and two without lengths
DECODING = ("tok/s", "ms TPOT")


def measured_rows() -> Iterator[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as stream:
        yield from (row for row in csv.DictReader(stream) if row["case"] not in OTHERS)


def case_of(row: dict[str, str]) -> dict[str, Any]:
    """The table's words as a case: "8x H200 NVL", "RX 7900 XT 20GB (predicted as XTX)", "1x RTX 3090 245 W"."""
    counted = re.fullmatch(r"(?:(\d+)x )?(.*?)(?: \d+ W)?(?: \(.*)?", row["hardware"])
    assert counted is not None
    model, _, recipe = row["model"].partition(" ")
    return {
        "model": model,
        "quantization": recipe or row["precision"],
        "gpu": counted[2],
        "gpu_count": int(counted[1] or 1),
        "engine": row["engine"],
        "disaggregated": False,
        "isl": float(row["input"]),
        "osl": float(row["output"]),
        "concurrency": int(row["concurrency"]),
        "speculative": row["note"] if "MTP" in row["note"] else "none",
        "flags": {"enforce-eager": True} if "eager" in row["note"] else {},
    }


def error_of(row: dict[str, str]) -> float:
    case = performance_case(case_of(row))
    assert isinstance(case, PerformanceCase), (row["case"], case)
    speed, measured = speed_of(case), float(row["measured"])
    if row["unit"] == "ms TPOT":
        return speed.tpot_s.value * 1e3 / measured - 1
    return speed.tpot_s.value * measured - 1 if row["concurrency"] == "1" else speed.output_tokens_per_s.value / measured - 1


@pytest.mark.skipif(not FILE.exists(), reason="the public questions in ../shared/field are not here: this check compares with them")
def test_decoding_in_public_questions() -> None:
    found = sorted(abs(error_of(row)) for row in measured_rows() if row["unit"] in DECODING)
    assert len(found) >= 12
    assert statistics.median(found) <= 0.20
    assert found[len(found) * 9 // 10] <= 0.45
