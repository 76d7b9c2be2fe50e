"""Where a measurement came from, and what it measured, is no input of a prediction; what an operator knew before the start is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.engines import get_engine
from gpusizer.validation import speed_cases
from gpusizer.validation.corpora import corpus_rules
from gpusizer.validation.memory_cases import KNOWN_BEFORE, Case, deployment_of, is_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of

PROVENANCE = ("id", "source", "notes", "log", "derived", "measured", "confidence", "flags_source", "device_family")
FILES = ("serving-speeds.jsonl", "local-speeds.jsonl", "starts.jsonl")


def _emptied(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in PROVENANCE}


def _changed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Figures that cannot be, and the words on which rules of single publications once hung."""
    words = "silicon_sample perf-overview mlcommons/ in-house 1P1D MTP-3 fp4 _tp64_ep8_1"
    figures = {"ttft_ms_mean": 1, "tpot_ms_mean": 1e9, "output_tok_s_per_gpu": 1, "kv_tokens": 3, "outcome": "oom_load"}
    return {
        **row,
        "id": words,
        "source": words,
        "notes": words,
        "log": words,
        "derived": figures,
        "measured": figures,
        "confidence": "low",
        "flags_source": words,
        "device_family": words,
    }


def _read(row: Mapping[str, Any]) -> Any:
    return performance_case(row) if is_performance(row) else deployment_of(row)


def _predicted(case: Any) -> str:
    if isinstance(case, PerformanceCase):
        return repr(speed_of(case))
    if isinstance(case, Case):
        return repr(get_engine(case.deployment.engine).fit(case.deployment, case.architecture, case.accelerator))
    return repr(case)


@pytest.mark.shared
@pytest.mark.parametrize("file", FILES)
def test_provenance_is_no_input_of_a_prediction(file: str) -> None:
    """Every row is read alike, and answered alike to the last byte, with what it measured and where it stood emptied, in every other row absurd."""
    rows = shared_lines(file)
    assert len(rows) > 100
    for number, row in enumerate(rows):
        case, other = _read(row), _read(_changed(row) if number % 2 else _emptied(row))
        assert case == other, row["id"]
        if number % 29 == 0:  # an odd number: of either kind
            assert _predicted(case) == _predicted(other), row["id"]


def test_rules_of_publications_look_at_what_was_known_before() -> None:
    """A rule hangs on fields that a prediction may read, or on what an earlier rule or the reader made of them."""
    made = {"client", "traits"} | {field for rule in corpus_rules() for field in rule.fill}
    known = set(speed_cases.KNOWN_BEFORE)
    assert not known & set(PROVENANCE)
    assert not set(KNOWN_BEFORE) & set(PROVENANCE)
    for rule in corpus_rules():
        assert set(rule.where) <= known | made, rule.name
        assert rule.why, rule.name
        assert rule.origin, rule.name


@pytest.mark.shared
def test_every_rule_of_a_publication_is_needed_by_some_run() -> None:
    """A rule that fits no row any more is dead."""
    rows = [row for file in FILES[:2] for row in shared_lines(file)]
    read = [_fields(row) for row in rows]
    for rule in corpus_rules():
        traits = "traits" in rule.where or "drafts" in rule.where  # the model has to be read for these
        assert traits or any(rule.applies_to(row) for row in read), rule.name


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: row.get(name) for name in speed_cases.KNOWN_BEFORE}
    return {**known, "client": speed_cases.client_words(row.get("flags"))}


def test_flags_of_a_case_reach_the_deployment() -> None:
    row: dict[str, Any] = {
        "model": "deepseek-ai/DeepSeek-R1",
        "gpu": "B200 SXM 180GB",
        "gpu_count": 8,
        "quantization": "fp8",
        "isl": 1000,
        "osl": 1000,
    }
    row |= {"gpu_count": 8, "engine": "TensorRT-LLM", "parallelism": "tp8", "concurrency": 64}
    flags = {"max_num_tokens": 1152, "kv_cache_config.dtype": "fp8", "kv_cache_config.free_gpu_memory_fraction": 0.8, "stream_interval": 10}
    case = performance_case(row | {"flags": {**flags, "client": {"num-prompts": 128}, "env": {"TRTLLM_ENABLE_PDL": "1"}}})
    assert isinstance(case, PerformanceCase), case
    asked = case.deployment
    assert (asked.max_num_batched_tokens, asked.kv_precision, asked.memory_fraction) == (1152, "fp8", 0.8)
    assert asked.flags["stream_interval"] == 10
    assert case.load.first_burst_share == 0.5
    other = {"chunked-prefill-size": 16384, "mem-fraction-static": 0.7, "max-running-requests": 96}
    case = performance_case(row | {"engine": "SGLang", "flags": other})
    assert isinstance(case, PerformanceCase), case
    assert (case.deployment.max_num_batched_tokens, case.deployment.memory_fraction, case.deployment.max_num_seqs) == (16384, 0.7, 96)
