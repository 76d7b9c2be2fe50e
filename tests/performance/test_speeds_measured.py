"""Speeds against measured runs. A regression guard: the constants of speed were fitted to most of these rows."""

from __future__ import annotations

import statistics
from functools import cache
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.performance.predict import Performance
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of

ROWS = shared_lines("serving-speeds.jsonl")


@cache
def predicted() -> tuple[tuple[dict[str, Any], Performance, dict[str, float]], ...]:
    found = []
    for row in ROWS:
        case = performance_case(row)
        if isinstance(case, PerformanceCase):
            found.append((row, speed_of(case), measured_performance(row)))
    return tuple(found)


def _errors(quantity: str) -> list[float]:
    return [
        getattr(speed, quantity).value / measured[quantity] - 1
        for row, speed, measured in predicted()
        if quantity in measured and row["confidence"] == "high" and not row["disaggregated"]
    ]


@pytest.mark.shared
def test_measured_runs_are_answered() -> None:
    assert len(predicted()) >= len(ROWS) - 2 > 1000  # two of a model that the catalogue does not know


@pytest.mark.shared
@pytest.mark.parametrize(("quantity", "median", "mean"), [("tpot_s", 0.10, 0.18), ("ttft_s", 0.20, 0.50), ("output_tokens_per_s", 0.13, 0.28)])
def test_errors_of_measured_runs(quantity: str, median: float, mean: float) -> None:
    errors = [abs(error) for error in _errors(quantity)]
    assert len(errors) > 300
    assert statistics.median(errors) <= median
    assert statistics.mean(errors) <= mean


@pytest.mark.shared
@pytest.mark.parametrize("quantity", ["tpot_s", "ttft_s", "output_tokens_per_s"])
def test_bands_hold_nine_of_ten(quantity: str) -> None:
    inside = [
        getattr(speed, quantity).low <= measured[quantity] <= getattr(speed, quantity).high
        for row, speed, measured in predicted()
        if quantity in measured and row["confidence"] != "low"
    ]
    assert 0.85 <= sum(inside) / len(inside) <= 0.97


def _ranks(values: tuple[float, ...]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + ordered.count(value) / 2 for value in values]


@pytest.mark.shared
def test_order_of_layouts_follows_measured_runs() -> None:
    """Spearman's correlation of predicted and measured within one model, GPU and pair of lengths."""
    for quantity in ("tpot_s", "ttft_s"):
        groups: dict[Any, list[tuple[float, float]]] = {}
        for row, speed, measured in predicted():
            if quantity in measured and row["confidence"] == "high" and not row["disaggregated"]:
                groups.setdefault((row["model"], row["gpu"], row["isl"], row["osl"]), []).append((getattr(speed, quantity).value, measured[quantity]))
        found = []
        for pairs in groups.values():
            ours, theirs = zip(*pairs, strict=True)
            if len(pairs) >= 4 and len(set(ours)) > 1 and len(set(theirs)) > 1:
                found.append(statistics.correlation(_ranks(ours), _ranks(theirs)))
        assert len(found) > 20
        assert statistics.median(found) >= 0.93
