"""``validate``: predictions see launch fields only, statistics are right, hostile files are one line, and measured starts are met within bounds.

``data/cases.jsonl`` holds starts that other people measured and published (source in each row), written down in our own words.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.types import Notice
from gpusizer.cli.main import main
from gpusizer.engines.base.types import Quantity
from gpusizer.errors import InputError
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.accuracy import Compared, accuracy_of, quantile
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.validate import validate
from own_cases import OWN, as_json, own_cases, worded

MEASURED = "starts.jsonl"


def predictions(rows: list[dict[str, Any]]) -> str:
    """All that was predicted, as text."""
    cases = as_json(rows)["cases"]
    for case in cases:
        case["quantities"] = {name: [each["predicted"], each["low"], each["high"]] for name, each in case["quantities"].items()}
    return json.dumps(cases)


def blinded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same cases with everything emptied that is only known afterwards."""
    rows = copy.deepcopy(rows)
    for row in rows:
        row.update(measured={}, derived={}, log="", notes="", confidence=None, group=None)
    return rows


def test_predictions_use_nothing_that_is_known_only_afterwards() -> None:
    rows = own_cases()
    assert predictions(rows) == predictions(blinded(rows))


@pytest.mark.shared
@pytest.mark.parametrize("name", [MEASURED, "serving-speeds.jsonl", "local-speeds.jsonl"])
def test_predictions_of_shared_cases_use_nothing_that_is_known_only_afterwards(name: str) -> None:
    rows = shared_lines(name)[::13]
    assert predictions(rows) == predictions(blinded(rows))


def test_json_has_the_shape_of_the_contract() -> None:
    data = as_json(own_cases())
    assert data["schema"] == "gpusizer.validate/1"
    assert set(data) == {"schema", "cases", "summary"}
    for case in data["cases"]:
        assert {"id", "engine", "covered", "reason", "quantities"} <= set(case)
        assert case["covered"] == (case["reason"] is None) == bool(case["quantities"])
        for compared in case["quantities"].values():
            assert set(compared) == {"predicted", "low", "high", "measured", "error"}
            assert compared["low"] <= compared["predicted"] <= compared["high"]
            if compared["measured"] not in (None, True, False, 0):
                assert compared["error"] == pytest.approx((compared["predicted"] - compared["measured"]) / compared["measured"], rel=1e-6, abs=1e-9)
    summary = data["summary"]
    assert summary["coverage"] == {"cases": 9, "covered": 8}
    assert summary["weights_bytes"]["n"] == 3
    for name, entry in summary.items():
        if name not in ("by_engine", "coverage"):
            assert {"n", "median_abs_error", "p90_abs_error", "bias", "inside_band"} <= set(entry)
    assert summary["by_engine"]["vllm"]["coverage"] == {"cases": 8, "covered": 7}


@pytest.mark.parametrize(
    ("case", "quantity", "bound"),
    [
        ("llama-3.1-8b-h100", "weights_bytes", 0.002),
        ("llama-3.1-8b-h100", "activation_peak_bytes", 0.05),
        ("llama-3.1-8b-h100", "kv_cache_pool_bytes", 0.01),
        ("llama-3.1-8b-h100", "kv_cache_tokens", 0.01),
        ("llama-3.1-8b-fp8-h100", "weights_bytes", 0.002),
        ("gemma-3-27b-h100", "kv_cache_pool_bytes", 0.05),
        ("gemma-3-27b-h100", "kv_cache_tokens", 0.05),
        ("gemma-3-27b-h100", "max_concurrency", 0.05),
        ("qwen3.6-35b-h200", "kv_cache_pool_bytes", 0.05),
        ("qwen3.6-35b-h200", "kv_cache_tokens", 0.05),
        ("qwen3.6-35b-h200", "max_concurrency", 0.05),
        ("glm-5.1-nvfp4-rtxpro6000", "weights_bytes", 0.01),
        ("llama-3.1-8b-sglang-h100", "kv_cache_pool_bytes", 0.01),
        ("llama-3.1-8b-mlperf", "output_tokens_per_s", 0.1),
    ],
)
def test_published_starts_are_met(case: str, quantity: str, bound: float) -> None:
    row = next(row for row in own_cases() if row["id"] == case)
    compared = as_json([row])["cases"][0]["quantities"][quantity]
    assert abs(compared["error"]) <= bound, compared


def test_a_model_that_is_far_too_large_is_predicted_not_to_start() -> None:
    row = next(row for row in own_cases() if row["id"] == "deepseek-v3-one-h100")
    assert as_json([row])["cases"][0]["quantities"]["fits"] == {"predicted": False, "low": False, "high": False, "measured": False, "error": 0.0}


def test_statistics_against_a_case_computed_by_hand() -> None:
    found = [Compared(110, 90, 120, 100), Compared(95, 90, 99, 100), Compared(100, 99, 101, 100), Compared(180, 170, 190, 200), Compared(7, 6, 8)]
    accuracy = accuracy_of(found, unpredicted=2)
    # errors +10 %, -5 %, 0 %, -10 %: sizes 0, 5, 10, 10
    assert accuracy.n == 4
    assert accuracy.measured == 6
    assert accuracy.median_abs_error == pytest.approx(0.075)
    assert accuracy.p90_abs_error == pytest.approx(0.10)
    assert accuracy.bias == pytest.approx(-0.0125)
    assert accuracy.inside_band == pytest.approx(0.5)


def test_quantiles_against_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert quantile(values, share) == pytest.approx(float(numpy.quantile(values, share)))


def test_nothing_measured_is_no_error() -> None:
    accuracy = accuracy_of([Compared(1, 0, 2)])
    assert (accuracy.n, accuracy.measured, accuracy.median_abs_error) == (0, 0, None)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "no-cases"),
        (b"\n\n", "no-cases"),
        (b'{"id": "a"}\n{"id": \n', "bad-case-line"),
        (b'{"id": NaN}\n', "bad-case-line"),
        (b'{"id": Infinity}\n', "bad-case-line"),
        (b'["a"]\n', "case-not-object"),
        (b"7\n", "case-not-object"),
        (b'{"id": "\xff"}\n', "bad-case-line"),
        (b"[" * 100_000 + b"\n", "bad-case-line"),
        (b'{"id": ' + b"9" * 10_000 + b"}\n", "bad-case-line"),
        (b'{"id": "' + b"a" * (5 << 20) + b'"}\n', "case-line-too-long"),
    ],
)
def test_hostile_files_are_refused_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_cases(str(path))
    assert caught.value.code == code
    assert main(["validate", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("path", ["missing.jsonl", ".", "a\0b"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        read_cases(path)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a"}\n\n{"id"\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_cases(str(path))
    assert caught.value.parameters["line"] == 3


HOSTILE_FIELDS: list[Mapping[str, Any]] = [
    {"engine": None},
    {"engine": {"a": 1}},
    {"engine": "lmdeploy"},
    {"model": "../../etc/passwd"},
    {"model": "x" * 100_000},
    {"model": ["a"]},
    {"gpu": "no such card"},
    {"gpu": ""},
    {"gpu": "+" * 10_000},
    {"gpu_count": -1},
    {"gpu_count": 1e300},
    {"gpu_count": "8"},
    {"tp": 0},
    {"tp": 10**12},
    {"tp": 7},
    {"pp": 10**6},
    {"max_model_len": -5},
    {"max_model_len": 10**30},
    {"max_model_len": True},
    {"gpu_memory_utilization": 0},
    {"gpu_memory_utilization": 17},
    {"gpu_memory_utilization": "0.9"},
    {"kv_cache_dtype": {"a": "b"}},
    {"kv_cache_dtype": "q" * 1000},
    {"quantization": "$(rm -rf /)"},
    {"quantization": ["fp8"]},
    {"speculative": "{'num_speculative_tokens': 10000000000}"},
    {"other_flags": "--tensor-parallel-size " * 5000},
    {"other_flags": "{'a': " * 5000},
    {"other_flags": "--max-model-len $((999999999*999999999))"},
    {"other_flags": 7},
    {"engine_version": "99999999999999999999.9"},
    {"engine_version": "v" * 10_000},
    {"date": "2026-99-99"},
    {"measured": "text"},
    {"measured": {"weights_gib_per_gpu": "much", "kv_tokens": True, "model_buffer_mib_by_device": [1]}},
]


@pytest.mark.parametrize("change", HOSTILE_FIELDS, ids=lambda change: str(change)[:40])
def test_hostile_fields_end_in_a_prediction_or_a_reason_with_words(change: Mapping[str, Any]) -> None:
    row = {**own_cases()[0], **change}
    check_answer(row)


HOSTILE_RUNS: list[Mapping[str, Any]] = [
    {"gpu_count": "many"},
    {"gpu_count": 0},
    {"gpu_count": 10**12},
    {"gpu": None},
    {"model": None},
    {"engine": 7},
    {"isl": -1},
    {"isl": "long"},
    {"isl": 1e308, "osl": 1e308},
    {"osl": 0},
    {"request_rate": -5},
    {"request_rate": 1e300},
    {"request_rate": "inf"},
    {"request_rate": None, "concurrency": 10**15},
    {"request_rate": None, "concurrency": "x"},
    {"parallelism": "tp0dp0"},
    {"parallelism": "tp999999999"},
    {"parallelism": {"tp": 1}},
    {"date": "x" * 1000},
    {"speculative": ["MTP"]},
    {"measured": [1]},
]


@pytest.mark.parametrize("change", HOSTILE_RUNS, ids=lambda change: str(change)[:40])
def test_hostile_runs_end_in_a_prediction_or_a_reason_with_words(change: Mapping[str, Any]) -> None:
    check_answer({**next(row for row in own_cases() if "isl" in row), **change})


def check_answer(row: dict[str, Any]) -> None:
    result = validate([row]).cases[0]
    if result.reason is not None:
        assert result.reason.code != "case-defect"
        assert worded(result.reason)
    else:
        assert result.quantities
    render(validation_document(validate([row]), "zh"), "csv")


def test_an_empty_case_is_refused() -> None:
    assert validate([{}]).cases[0].reason is not None
    assert validate([{"isl": 1}]).cases[0].reason is not None


@cache
def measured_cases() -> list[tuple[dict[str, Any], Case | Notice]]:
    return [(row, deployment_of(row)) for row in shared_lines(MEASURED)]


@pytest.mark.shared
def test_shared_cases_are_covered_and_every_refusal_has_words() -> None:
    cases = [case for _, case in measured_cases()]
    refused = [case for case in cases if isinstance(case, Notice)]
    assert all(worded(each) for each in refused)
    assert all(worded(notice) for case in cases if isinstance(case, Case) for notice in case.notices)
    assert len(refused) <= 0.1 * len(cases), [str(each) for each in refused]


@pytest.mark.shared
def test_replicas_of_a_case_agree_with_the_gpus_that_were_counted() -> None:
    """What a case says in two ways (its layout, its number of GPUs) must come out as one."""
    for row, case in measured_cases():
        if isinstance(case, Case) and case.deployment.engine == "vllm":
            assert case.deployment.layout.gpus == row["gpu_count"] or row["tp"] is None, row["id"]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", ["text", "json", "markdown", "csv"])
def test_command_in_every_form_and_language(capsys: pytest.CaptureFixture[str], form: str, language: str) -> None:
    assert main(["validate", str(OWN), "--format", form, "--language", language]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert {"json": '"gpusizer.validate/1"', "csv": "weights_bytes"}.get(form, "8") in captured.out


def test_a_quantity_knows_its_band() -> None:
    value = Quantity(1.0, 0.5, 2.0)
    assert Compared(value.value, value.low, value.high, 1.9).inside is True
    assert Compared(value.value, value.low, value.high, 2.1).inside is False
