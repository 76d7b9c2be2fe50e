"""vLLM against measured start-ups: the errors stay within the bars, and the bands hold most of what was measured and no more."""

from __future__ import annotations

from functools import cache

import pytest

from conftest import shared_lines
from gpusizer.validation.accuracy import Accuracy
from gpusizer.validation.validate import Validation, validate

CASES = "measured-memory-tune.jsonl"


@cache
def predicted() -> Validation:
    return validate([row for row in shared_lines(CASES) if row["engine"] == "vllm"])


def accuracy(name: str) -> Accuracy:
    return predicted().summary("vllm")[name]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "median", "ninth_tenth"),
    [("weights_bytes", 0.01, 0.03), ("kv_cache_tokens", 0.03, 0.10), ("max_concurrency", 0.03, 0.10), ("activation_peak_bytes", 0.03, 0.40)],
)
def test_errors_stay_within_the_bars(name: str, median: float, ninth_tenth: float) -> None:
    found = accuracy(name)
    assert found.n > 60
    assert found.median_abs_error is not None
    assert found.p90_abs_error is not None
    assert found.median_abs_error <= median
    assert found.p90_abs_error <= ninth_tenth


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["weights_bytes", "kv_cache_pool_bytes", "kv_cache_tokens", "activation_peak_bytes", "cuda_graph_bytes", "non_torch_bytes"]
)
def test_bands_hold_most_of_what_was_measured_and_no_more(name: str) -> None:
    inside = accuracy(name).inside_band
    assert inside is not None
    assert 0.85 <= inside <= 0.97


@pytest.mark.shared
def test_whether_it_starts_is_told_in_nineteen_of_twenty() -> None:
    cases = [case.quantities["fits"] for case in predicted().cases if "fits" in case.quantities and case.quantities["fits"].measured is not None]
    assert sum(compared.predicted == compared.measured for compared in cases) >= 0.95 * len(cases)


@pytest.mark.shared
def test_nine_of_ten_starts_are_covered() -> None:
    cases = predicted().cases
    assert sum(case.covered for case in cases) >= 0.9 * len(cases)
