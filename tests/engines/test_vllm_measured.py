"""vLLM against the start-ups that its constants were fitted to: a regression guard; what was not fitted is in ``outside_starts.jsonl``."""

from __future__ import annotations

import pytest

from gpusizer.validation.accuracy import Accuracy
from gpusizer.validation.validate import CaseResult
from own_cases import validated

CASES = "measured-memory-tune.jsonl"


def predicted() -> list[CaseResult]:
    return [case for case in validated(CASES).cases if case.engine == "vllm"]


def accuracy(name: str) -> Accuracy:
    return validated(CASES).summary("vllm")[name]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "median", "ninth_tenth"),
    [("weights_bytes", 0.01, 0.03), ("kv_cache_tokens", 0.03, 0.13), ("max_concurrency", 0.03, 0.13), ("activation_peak_bytes", 0.03, 0.40)],
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
    cases = [case.quantities["fits"] for case in predicted() if "fits" in case.quantities and case.quantities["fits"].measured is not None]
    assert sum(compared.predicted == compared.measured for compared in cases) >= 0.95 * len(cases)


@pytest.mark.shared
def test_nine_of_ten_starts_are_covered() -> None:
    cases = predicted()
    assert sum(case.covered for case in cases) >= 0.9 * len(cases)
