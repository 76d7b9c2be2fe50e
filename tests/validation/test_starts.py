"""Start-ups that people published, each owner one voice: guards of what the fit to them reached; constants and margins were fitted to these rows."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.facts.margins import FEW_OWNERS, PLAIN, TRAITS, measured_margins
from gpusizer.validation.accuracy import Accuracy
from own_cases import validated

CASES = "starts.jsonl"


def accuracy(name: str, **wanted: Any) -> Accuracy:
    return validated(CASES).summary(**wanted)[name]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("engine", "name", "median", "ninth_tenth"),
    [
        ("vllm", "weights_bytes", 0.005, 0.04),
        ("vllm", "kv_cache_pool_bytes", 0.04, 0.65),
        ("vllm", "kv_cache_tokens", 0.05, 0.5),
        ("vllm", "cuda_graph_bytes", 0.25, 1.3),
        ("sglang", "weights_bytes", 0.02, 0.2),
        ("sglang", "kv_cache_tokens", 0.06, 1.3),
        ("sglang", "cuda_graph_bytes", 0.35, 1.0),
        ("llama.cpp", "kv_buffer_bytes", 0.0005, 0.0005),
        ("llama.cpp", "compute_buffer_bytes", 0.06, 0.5),
        ("llama.cpp", "model_buffer_bytes", 0.01, 0.04),
    ],
)
def test_errors_stay_within_the_bars(engine: str, name: str, median: float, ninth_tenth: float) -> None:
    found = accuracy(name, engine=engine).over_owners
    assert found is not None
    assert found.owners >= FEW_OWNERS
    assert found.median_abs_error <= median
    assert found.p90_abs_error <= ninth_tenth


@pytest.mark.shared
@pytest.mark.parametrize("name", ["weights_bytes", "kv_cache_pool_bytes", "kv_cache_tokens", "max_concurrency"])
def test_plain_starts_are_known_to_the_percent(name: str) -> None:
    found = accuracy(name, engine="vllm", kind="plain").over_owners
    assert found is not None
    assert found.median_abs_error <= 0.02


@pytest.mark.shared
@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_bands_hold_nine_of_ten_owners(engine: str) -> None:
    found = validated(CASES).summary(engine=engine)
    for name, each in found.items():
        if name != "fits" and each.over_owners is not None and each.over_owners.owners >= FEW_OWNERS:
            assert each.over_owners.inside_band >= 0.86, name


@pytest.mark.shared
def test_whether_it_starts_is_told() -> None:
    for engine, share in (("vllm", 0.9), ("sglang", 0.9), ("llama.cpp", 0.9)):
        cases = [case.quantities["fits"] for case in validated(CASES).cases if case.engine == engine and "fits" in case.quantities]
        judged = [each for each in cases if each.measured is not None]
        assert sum(each.predicted == each.measured for each in judged) >= share * len(judged), engine


@pytest.mark.shared
def test_nineteen_of_twenty_starts_are_covered() -> None:
    found = validated(CASES).coverage()
    assert found["covered"] >= 0.96 * found["cases"]


def test_what_is_hard_to_foresee_is_never_surer_than_what_is_plain() -> None:
    for engine in ("vllm", "sglang", "llama.cpp", "tensorrt-llm"):
        for name, groups in measured_margins(engine).items():
            for trait in TRAITS:
                assert groups[trait].below >= groups[PLAIN].below >= 0, (engine, name, trait)
                assert groups[trait].above >= groups[PLAIN].above >= 0, (engine, name, trait)
