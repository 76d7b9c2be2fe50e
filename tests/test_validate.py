"""``validate``: predictions see launch fields only, statistics are right, hostile files are one line, and measured starts are met within bounds.

``data/cases.jsonl`` holds starts that other people measured and published (source in each row), written down in our own words.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.precision.precision_words import precision_of_words
from gpusizer.architecture.types import Notice
from gpusizer.cli.main import main
from gpusizer.engines.base.types import Quantity
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.i18n import has
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.units import GiB
from gpusizer.validation.accuracy import Compared, accuracy_of, quantile
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.command_lines import launch_words
from gpusizer.validation.devices import devices_of
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.models import model_of
from gpusizer.validation.validate import validate

OWN = Path(__file__).parent / "data" / "cases.jsonl"
MEASURED = "measured-memory-tune.jsonl"


def own_cases() -> list[dict[str, Any]]:
    return read_cases(str(OWN))


def as_json(rows: list[dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(render(validation_document(validate(rows), "en"), "json"))
    return data


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
@pytest.mark.parametrize("name", [MEASURED, "measured-performance-tune.jsonl"])
def test_predictions_of_shared_cases_use_nothing_that_is_known_only_afterwards(name: str) -> None:
    rows = shared_lines(name)[::7]
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


def worded(notice: Notice) -> bool:
    """Whether both languages have a sentence for it."""
    return all(any(has(group, notice.code, language) for group in ("reason", "error", "warning")) for language in ("en", "zh"))


@pytest.mark.shared
def test_shared_cases_are_covered_and_every_refusal_has_words() -> None:
    rows = shared_lines(MEASURED)
    cases = [deployment_of(row) for row in rows]
    refused = [case for case in cases if isinstance(case, Notice)]
    assert all(worded(each) for each in refused)
    assert all(worded(notice) for case in cases if isinstance(case, Case) for notice in case.notices)
    assert len(refused) <= 0.1 * len(cases), [str(each) for each in refused]


@pytest.mark.shared
def test_replicas_of_a_case_agree_with_the_gpus_that_were_counted() -> None:
    """What a case says in two ways (its layout, its number of GPUs) must come out as one."""
    for row in shared_lines(MEASURED):
        case = deployment_of(row)
        if isinstance(case, Case) and case.deployment.engine == "vllm":
            assert case.deployment.layout.gpus == row["gpu_count"], row["id"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-ctk q8_0 -ngl 99 -ot a=CPU -ot b=CUDA0", {"cache_type_k": "q8_0", "n_gpu_layers": 99, "override_tensor": ["a=CPU", "b=CUDA0"]}),
        ("VLLM_PP_LAYER_PARTITION=16,32 --enable-chunked-prefill", {"VLLM_PP_LAYER_PARTITION": "16,32", "enable_chunked_prefill": True}),
        ("{'dtype': 'half', 'max_model_len': 8192", {"dtype": "half", "max_model_len": 8192}),
        ("'quantization': 'modelopt', 'limit_mm_per_prompt': {'image': 2}", {"quantization": "modelopt", "limit_mm_per_prompt": {"image": 2}}),
        ("--ctx-size $((112 * 1024)) -fa", {"ctx_size": 114688, "flash_attn": True}),
        ("$(rm -rf ~) `reboot` --a 1", {"a": 1}),
        ("", {}),
    ],
)
def test_launch_words(words: str, expected: dict[str, Any]) -> None:
    found = launch_words(words, "llama.cpp" if "-ngl" in words or "-fa" in words else None)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "model", "precision"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b-instruct", "int4"),
        ("DeepSeek-R1-0528-IQ4_KS_R4-00001-of-00009.gguf", "deepseek-r1-0528", None),
        ("Qwen3 235B A22B", "qwen3-235b-a22b", None),
        ("Qwen3.8-27B NVFP4 (single-nvfp4)", "qwen3.8-27b", "nvfp4"),
        ("gpt-oss:120b", "gpt-oss-120b", None),
    ],
)
def test_names_of_models(words: str, model: str, precision: str | None) -> None:
    entry, found = model_of(words)
    assert entry.id == model
    assert precision is None or found == precision


@pytest.mark.parametrize("words", ["DeepSeek-V3-Draft-1B", "Llama-3.1-8B-Distill-Of-Something-3B", "Qwen3-235B", "", "((((", "a/b/c/d"])
def test_another_model_is_not_taken_for_a_known_one(words: str) -> None:
    with pytest.raises(UnknownIdError):
        model_of(words)


def test_devices() -> None:
    assert [device.id for device in devices_of("H100-80GB-SXM", 4, optional=False).each] == ["h100-sxm-80gb"] * 4
    assert devices_of("RTX 5090-32GB + RTX 4090-24GB", 2, optional=True).unequal
    assert not devices_of("CUDA (name not seen)", 1, optional=True).memory_known
    assert devices_of("40GB class (A100 inferred)", 1, optional=False).first.marketing_memory_gb == 40
    small = devices_of("8GB class (name not given)", 1, optional=False)
    assert 7.5 * GiB < small.first.memory_bytes <= 8 * GiB
    assert [notice.code for notice in small.notices] == ["device-by-size"]
    with pytest.raises(InputError):
        devices_of("none (CPU run)", 0, optional=False)


def test_on_a_card_that_nobody_names_only_weights_are_predicted() -> None:
    row = json.loads(OWN.read_text(encoding="utf-8").splitlines()[0])
    named, unnamed = validate([row, {**row, "gpu": "not stated"}]).cases
    assert set(unnamed.quantities) == {"weights_bytes"}
    assert unnamed.quantities["weights_bytes"].predicted == named.quantities["weights_bytes"].predicted


@pytest.mark.parametrize(
    ("words", "precision"),
    [("IQ4_XS - 4.25 bpw", "iq4_xs"), ("Q5_K - Small", "q5_k_s"), ("int4-compressed-tensors", "int4"), ("w8a8-int8", "int8"), ("nothing", None)],
)
def test_words_for_precisions(words: str, precision: str | None) -> None:
    assert precision_of_words(words)[0] == precision


def test_measured_fields_by_the_contract() -> None:
    measured = measured_memory(
        {
            "measured": {
                "kv_gib_per_gpu": 2.0,
                "cuda_graph_gib": 0.5,
                "kv_total_mib": 3.0,
                "compute_buffer_mib": 1.0,
                "model_buffer_mib_by_device": {"CUDA0": 1.0, "CUDA1": 2.0, "CUDA_Host": 50.0},
                "outcome": "kv_too_small",
            }
        }
    )
    assert measured == {
        "kv_cache_pool_bytes": 2 * 2**30,
        "cuda_graph_bytes": 2**29,
        "kv_buffer_bytes": 3 * 2**20,
        "compute_buffer_bytes": 2**20,
        "model_buffer_bytes": 3 * 2**20,
        "fits": False,
    }
    assert "fits" not in measured_memory({"measured": {"outcome": "loads, then segmentation fault"}})


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


def launched(**fields: Any) -> Any:
    """The deployment of a case of Llama 3.1 8B on H100s with these fields."""
    case = deployment_of({**own_cases()[0], **fields})
    assert isinstance(case, Case), case
    return case.deployment


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"gpu_count": 8, "tp": 8, "other_flags": "--enable-expert-parallel", "model": "openai/gpt-oss-120b"}, {"tp": 8, "ep": 8, "dp": 1}),
        ({"gpu_count": 8, "tp": 1, "dp": 8, "ep": True, "model": "openai/gpt-oss-120b"}, {"tp": 1, "dp": 8, "ep": 8}),
        ({"engine": "sglang", "gpu_count": 8, "tp": 8, "dp": 8, "dp_attention": True}, {"tp": 1, "dp": 8}),
        ({"engine": "sglang", "gpu_count": 8, "tp": 4, "dp": 2}, {"tp": 4, "dp": 1}),
        ({"gpu_count": 8, "tp": 8, "other_flags": "--decode-context-parallel-size 4"}, {"tp": 8, "dcp": 4}),
        ({"engine": "llama.cpp", "gpu_count": 3, "tp": None, "quantization": "Q8_0"}, {"tp": 1, "pp": 3, "precision": "q8_0"}),
        ({"engine": "llama.cpp", "gpu_count": 2, "tp": None, "other_flags": "-sm row"}, {"tp": 2, "pp": 1}),
        ({"dtype": "float32"}, {"precision": "fp32"}),
        ({"dtype": "float16"}, {"precision": "fp16"}),
        ({"quantization": "fp8"}, {"precision": "fp8"}),
        ({"quantization": "none", "model": "openai/gpt-oss-20b"}, {"precision": "checkpoint"}),
        ({"quantization": "mxfp4", "model": "openai/gpt-oss-20b"}, {"precision": "checkpoint"}),
        ({"kv_cache_dtype": "fp8_e4m3"}, {"kv_precision": "fp8_e4m3"}),
        ({"speculative": "{'method': 'mtp', 'num_speculative_tokens': 3}"}, {"speculative_tokens": 3}),
        ({"speculative": "eagle3 org/draft-model, 4 tokens"}, {"speculative_tokens": 4}),
        ({"engine_version": "rocm/image:v0.5.8.post1-x"}, {"engine_version": "0.5.8"}),
        ({"engine_version": None, "date": "2025-07-22"}, {"engine_version": "0.9.2"}),
        ({"engine_version": None, "date": None}, {"engine_version": None}),
        ({"enforce_eager": True}, {"enforce_eager": True}),
    ],
    ids=lambda part: str(part)[:60],
)
def test_what_a_case_says_becomes_the_deployment(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    deployment = launched(**fields)
    assert {name: getattr(deployment, name) for name in expected} == expected


def test_flags_of_a_case_reach_the_engine_by_their_own_names() -> None:
    words = "VLLM_PP_LAYER_PARTITION=12,20 VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 --pipeline-parallel-size 2 --language-model-only"
    flags = launched(gpu_count=2, pp=2, other_flags=words, speculative="{'method': 'eagle3', 'model': 'a/b', 'num_speculative_tokens': 2}").flags
    assert flags["pp_layer_partition"] == (12, 20)
    assert flags["memory_profiler_estimate_cudagraphs"] == 0
    assert flags["language_model_only"] is True
    assert (flags["speculative_method"], flags["speculative_model"]) == ("eagle3", "a/b")


def test_unequal_cards_keep_their_order_and_sizes() -> None:
    start = launched(engine="llama.cpp", gpu="RTX 5090-32GB + RTX 3090-24GB x2", gpu_count=3, quantization="Q8_0")
    assert start.devices == ("rtx5090-32gb", "rtx3090-24gb", "rtx3090-24gb")
    assert start.device_memory_bytes[0] > start.device_memory_bytes[1] == start.device_memory_bytes[2]


def test_a_launch_word_cannot_name_the_devices() -> None:
    start = launched(other_flags="--devices 7 VLLM_DEVICES=7")
    assert "devices" not in start.flags
    assert not start.devices
