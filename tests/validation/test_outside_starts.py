"""Starts that nothing was fitted to, from logs that people keep in public, against the bars of the memory model.

``data/outside_starts.jsonl`` holds what such logs say (source in each row), written down in our own words: other models, cards, versions and owners
than those that constants came from. A card that its log does not name stands as its class.
"""

from __future__ import annotations

import json
from functools import lru_cache
from statistics import median

import pytest

from conftest import DATA
from gpusizer.validation.accuracy import Accuracy
from gpusizer.validation.validate import Validation, validate

OUTSIDE = DATA / "outside_starts.jsonl"


@lru_cache(maxsize=1)
def outside() -> Validation:
    return validate([json.loads(line) for line in OUTSIDE.read_text(encoding="utf-8").splitlines()])


def accuracy(quantity: str, engine: str | None = None) -> Accuracy:
    return outside().summary(engine=engine)[quantity]


def test_every_start_is_predicted() -> None:
    assert [case.id for case in outside().cases if not case.covered] == []


@pytest.mark.parametrize(
    ("engine", "quantity", "least", "median", "ninety"),
    [
        ("vllm", "weights_bytes", 20, 0.01, 0.03),
        (None, "weights_bytes", 25, 0.015, 0.05),
        ("vllm", "kv_cache_tokens", 15, 0.03, 0.10),
        ("sglang", "kv_cache_tokens", 2, 0.03, 0.10),
        ("tensorrt-llm", "kv_cache_tokens", 1, 0.03, 0.03),
        ("llama.cpp", "compute_buffer_bytes", 5, 0.10, 1.0),
        ("llama.cpp", "model_buffer_bytes", 5, 0.015, 0.05),
    ],
)
def test_errors_stay_within_the_bars(engine: str | None, quantity: str, least: int, median: float, ninety: float) -> None:
    found = accuracy(quantity, engine)
    assert found.n >= least
    assert found.median_abs_error is not None
    assert found.median_abs_error <= median
    assert found.p90_abs_error is not None
    assert found.p90_abs_error <= ninety


def test_caches_of_llama_cpp_are_exact() -> None:
    compared = [case.quantities["kv_buffer_bytes"] for case in outside().cases if "kv_buffer_bytes" in case.measured]
    assert len(compared) >= 8
    for each in compared:
        assert each.measured is not None
        assert abs(each.predicted - each.measured) <= 0.01 * 2**20


def test_whether_it_starts_is_right() -> None:
    starts = [case.quantities["fits"] for case in outside().cases if "fits" in case.quantities and "fits" in case.measured]
    assert len(starts) >= 30
    assert sum(each.predicted == each.measured for each in starts) >= 0.95 * len(starts)
    assert {each.measured for each in starts} == {True, False}


def test_bands_hold_what_they_promise() -> None:
    inside = total = 0
    for case in outside().cases:
        for name, each in case.quantities.items():
            if each.measured is not None and not name.startswith("cuda_graph"):
                total += 1
                inside += each.low <= each.measured <= each.high
    assert total >= 100
    assert inside >= 0.85 * total


def test_bands_of_tokens_are_narrow_where_nothing_is_hard_to_foresee() -> None:
    widths = {case.id: tokens.width for case in outside().cases if case.kind == "plain" and (tokens := case.quantities.get("kv_cache_tokens"))}
    assert len(widths) > 10
    assert median(width for width in widths.values() if width is not None) < 0.2
    assert all(width is None or width < 0.8 for width in widths.values()), widths


@pytest.mark.parametrize(
    ("case", "quantity", "bound"),
    [
        ("qwen3-vl-30b-h100x2", "weights_bytes", 0.002),  # tables of positions four times as long, buffers for levels of the tower
        ("qwen3.6-35b-fp8-gb10", "weights_bytes", 0.002),  # scales of FP8 blocks unfolded for the kernel that was chosen
        ("qwen3.6-35b-gb10", "weights_bytes", 0.002),
        ("qwen2.5-14b-a100-40", "kv_cache_tokens", 0.07),  # before 0.8 the profile run is a whole prompt, and a step keeps no buffers
        ("deepseek-v3.2-b200x8", "kv_cache_tokens", 0.01),  # rows of 656 and 132 bytes by default on this card
        ("gemma-4-26b-gb10-b", "weights_bytes", 0.01),  # the engine loads it unquantised, whatever its name says
    ],
)
def test_what_each_mechanism_takes(case: str, quantity: str, bound: float) -> None:
    found = next(each for each in outside().cases if each.id == case).quantities[quantity]
    assert found.measured is not None
    assert abs(found.predicted / found.measured - 1) <= bound
