"""Files of load generators, written here from the fields that their tools document: each is recognised by its fields and read within bounds."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gpusizer.errors import InputError, UnreadableFileError
from gpusizer.measuring.files import read_runs
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

VLLM: dict[str, Any] = {
    "date": "20261127-101500", "backend": "openai", "model_id": "Qwen/Qwen3-8B", "tokenizer_id": "Qwen/Qwen3-8B", "num_prompts": 40,
    "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 4, "duration": 50.0, "completed": 40, "failed": 0, "total_input_tokens": 40960,
    "total_output_tokens": 5120, "request_throughput": 0.8, "output_throughput": 102.4, "total_token_throughput": 921.6, "mean_ttft_ms": 250.0,
    "median_ttft_ms": 240.0, "std_ttft_ms": 9.0, "p99_ttft_ms": 310.0, "mean_tpot_ms": 12.5, "median_tpot_ms": 12.4, "p99_tpot_ms": 14.0,
    "mean_itl_ms": 12.5, "median_itl_ms": 12.0, "p99_itl_ms": 30.0, "output_lens": [128] * 40,
}  # fmt: skip
SGLANG: dict[str, Any] = {
    "tag": None, "backend": "sglang", "dataset_name": "random", "request_rate": float("inf"), "max_concurrency": 16, "random_input_len": 1024,
    "random_output_len": 256, "random_range_ratio": 1.0, "server_info": {"model_path": "Qwen/Qwen3-32B", "version": "0.5.9"}, "duration": 40.0,
    "completed": 160, "total_input_tokens": 163840, "total_output_tokens": 40960, "request_throughput": 4.0, "output_throughput": 1024.0,
    "mean_e2e_latency_ms": 4000.0, "median_e2e_latency_ms": 3990.0, "mean_ttft_ms": 400.0, "median_ttft_ms": 380.0, "p99_ttft_ms": 900.0,
    "mean_tpot_ms": 14.1, "median_tpot_ms": 14.0, "p99_tpot_ms": 16.0, "mean_itl_ms": 14.1, "median_itl_ms": 13.0, "p99_itl_ms": 40.0,
    "concurrency": 15.9, "accept_length": None,
}  # fmt: skip
LLAMA: dict[str, Any] = {
    "build_commit": "0123abcd", "build_number": 6900, "cpu_info": "AMD Ryzen 9", "gpu_info": "NVIDIA GeForce RTX 4090", "backends": "CUDA",
    "model_filename": "models/Qwen3-8B-Q4_K_M.gguf", "model_type": "qwen3 8B Q4_K - Medium", "model_size": 5027783488, "model_n_params": 8190735360,
    "n_batch": 2048, "n_ubatch": 512, "n_threads": 16, "type_k": "f16", "type_v": "q8_0", "n_gpu_layers": 99, "n_cpu_moe": 0, "n_prompt": 512,
    "n_gen": 0, "n_depth": 0, "test_time": "2026-11-27T10:15:00Z", "avg_ns": 51200000, "stddev_ns": 100, "avg_ts": 10000.0, "stddev_ts": 5.0,
}  # fmt: skip
DECODE = {**LLAMA, "n_prompt": 0, "n_gen": 128, "n_depth": 4096, "avg_ts": 125.0}
MIXED = {**LLAMA, "n_prompt": 512, "n_gen": 128}


def spread(mean: float, **further: float) -> dict[str, Any]:
    return {"successful": {"mean": mean, "median": mean, "std_dev": 0.0, **further}, "errored": None, "incomplete": None}


def guide(strategy: dict[str, Any]) -> dict[str, Any]:
    metrics = {
        "request_totals": {"successful": 50, "errored": 0, "incomplete": 2, "total": 52},
        "request_concurrency": spread(7.9),
        "request_latency": spread(2.8),
        "prompt_token_count": spread(1000.0),
        "output_token_count": spread(201.0),
        "time_to_first_token_ms": spread(300.0),
        "time_per_output_token_ms": spread(13.9),
        "inter_token_latency_ms": spread(12.4),
        "output_tokens_per_second": spread(560.0),
    }
    return {"config": {"strategy": strategy, "backend": {"model": "org/model"}}, "metrics": metrics, "start_time": 1764236000.0}


def written(path: Path, *values: Any, lines: bool = False) -> str:
    path.write_text("\n".join(map(json.dumps, values)) if lines else json.dumps(values[0]), encoding="utf-8")
    return str(path)


def only(found: list[MeasuredRun]) -> MeasuredRun:
    (run,) = found
    return run


def test_vllm_bench_serve(tmp_path: Path) -> None:
    run = only(read_runs(written(tmp_path / "result.txt", VLLM)))
    assert (run.tool, run.model, run.engine, run.date) == ("vllm bench serve", "Qwen/Qwen3-8B", "vllm", "2026-11-27")
    assert (run.input_tokens, run.output_tokens, run.concurrency, run.burst, run.requests) == (1024, 128, 4, None, 40)
    assert (run.ttft_s, run.tpot_s, run.output_tokens_per_s) == (0.25, 0.0125, 102.4)
    assert run.length_spread == 0.0
    assert run.percentiles_s["tpot_p50"] == pytest.approx(0.0124)


@pytest.mark.parametrize(
    ("change", "load"),
    [
        ({"max_concurrency": None}, (None, None, 40)),
        ({"max_concurrency": 64}, (None, None, 40)),
        ({"request_rate": 2.5, "max_concurrency": None}, (None, 2.5, None)),
        ({"request_rate": 2.5, "max_concurrency": 8}, (None, 2.5, None)),
    ],
)
def test_how_requests_came_is_told_apart(tmp_path: Path, change: dict[str, Any], load: tuple[float | None, ...]) -> None:
    run = only(read_runs(written(tmp_path / "result.json", {**VLLM, **change})))
    assert (run.concurrency, run.request_rate_per_s, run.burst) == load


def test_sglang_appends_lines_and_writes_infinity(tmp_path: Path) -> None:
    path = written(
        tmp_path / "out.jsonl", SGLANG, {**SGLANG, "max_concurrency": None}, {**SGLANG, "backend": "vllm", "server_info": None}, lines=True
    )
    assert "Infinity" in Path(path).read_text()
    runs = read_runs(path)
    assert [(each.concurrency, each.burst, each.engine) for each in runs] == [(16, None, "sglang"), (None, 160, "sglang"), (16, None, "vllm")]
    assert (runs[0].model, runs[0].engine_version, runs[0].e2e_s, runs[0].input_tokens) == ("Qwen/Qwen3-32B", "0.5.9", 4.0, 1024)


def as_csv(*rows: dict[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


MARKDOWN = """
| model                  |     size |   params | backend | ngl | type_v |           test |              t/s |
| ---------------------- | -------: | -------: | ------- | --: | -----: | -------------: | ---------------: |
| qwen3 8B Q4_K - Medium | 4.68 GiB |   8.19 B | CUDA    |  99 |   q8_0 |          pp512 | 10000.00 ± 12.34 |
| qwen3 8B Q4_K - Medium | 4.68 GiB |   8.19 B | CUDA    |  99 |   q8_0 | tg128 @ d4096  |    125.00 ± 0.50 |
| qwen3 8B Q4_K - Medium | 4.68 GiB |   8.19 B | CUDA    |  99 |   q8_0 | pp512+tg128    |    900.00 ± 0.50 |

build: 0123abcd (6900)
"""


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "md"])
def test_llama_bench_in_each_of_its_forms(tmp_path: Path, form: str) -> None:
    path = tmp_path / "bench"
    if form == "md":
        path.write_text(MARKDOWN, encoding="utf-8")
    elif form == "csv":
        path.write_text(as_csv(LLAMA, DECODE, MIXED))
    else:
        written(path, *((LLAMA, DECODE, MIXED) if form == "jsonl" else ([LLAMA, DECODE, MIXED],)), lines=form == "jsonl")
    prompt, decode = read_runs(str(path))
    assert (prompt.input_tokens, prompt.tpot_s) == (512, None)
    assert (decode.input_tokens, decode.output_tokens, decode.ttft_s) == (4096, 128, None)
    assert (prompt.ttft_s, decode.tpot_s) == (512 / 10000, 1 / 125)
    for run in (prompt, decode):
        assert (run.engine, run.engine_version, run.precision, run.concurrency) == ("llama.cpp", "b6900", "Q4_K_M", 1)
        assert run.flags["cache-type-v"] == "q8_0"
        assert (run.gpu, run.gpu_count) == (("", None) if form == "md" else ("NVIDIA GeForce RTX 4090", 1))


def test_guidellm(tmp_path: Path) -> None:
    strategies: list[dict[str, Any]] = [
        {"type_": "synchronous"},
        {"type_": "concurrent", "streams": 8},
        {"type_": "constant", "rate": 3.0},
        {"type_": "throughput", "max_concurrency": None},
    ]
    runs = read_runs(written(tmp_path / "report.json", {"benchmarks": [guide(each) for each in strategies]}))
    assert [(each.concurrency, each.request_rate_per_s, each.burst) for each in runs] == [
        (1, None, None),
        (8, None, None),
        (None, 3, None),
        (None, None, 50),
    ]
    assert runs[1].tpot_s == pytest.approx((2.8 - 0.3) / 200)  # not the figure that it calls time per output token
    assert (runs[1].ttft_s, runs[1].model, runs[1].date, runs[1].length_spread) == (0.3, "org/model", "2025-11-27", 0.0)


def test_offline_runs_of_vllm_need_what_they_do_not_hold(tmp_path: Path) -> None:
    latency = written(tmp_path / "latency.json", {"avg_latency": 2.0, "latencies": [2.0, 2.0], "percentiles": {"50": 2.0}})
    with pytest.raises(InputError) as error:
        read_runs(latency, ToldLoad(input_tokens=1024))
    assert error.value.parameters["options"] == ["--output-tokens", "--concurrency"]
    run = only(read_runs(latency, ToldLoad(1024, 128, 8)))
    assert (run.burst, run.output_tokens_per_s, run.e2e_s) == (8, 512.0, 2.0)
    through = {"elapsed_time": 10.0, "num_requests": 100, "total_num_tokens": 64000, "requests_per_second": 10.0, "tokens_per_second": 6400.0}
    run = only(read_runs(written(tmp_path / "throughput.json", through), ToldLoad(input_tokens=512)))
    assert (run.burst, run.output_tokens, run.output_tokens_per_s) == (100, 128, 1280.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, 1e300, "12", [1], {"a": 1}, None, True])
def test_a_value_of_the_wrong_kind_is_not_there(tmp_path: Path, value: object) -> None:
    run = only(read_runs(written(tmp_path / "result.json", {**VLLM, "mean_ttft_ms": value})))
    assert run.ttft_s == (0.012 if value == "12" else None)
    assert run.tpot_s == 0.0125


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "bench-unknown"),
        ("{}", "bench-unknown"),
        ("hello\nworld\n", "bench-unknown"),
        ('{"mean_ttft_ms": 1', "bench-bad-line"),
        ("[" * 100_000, "bench-unreadable"),
        ('{"a": ' * 50_000 + "1" + "}" * 50_000, "bench-unreadable"),
        (json.dumps({"mean_ttft_ms": None, "total_output_tokens": 0}), "bench-without-speed"),
        (json.dumps([MIXED]), "bench-without-speed"),
        ("\n".join([json.dumps(VLLM)] * 2001), "bench-too-many-runs"),
        ("9" * 5000, "bench-unknown"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_files_of_nobody_are_refused(tmp_path: Path, content: str, code: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(UnreadableFileError) as error:
        read_runs(str(path))
    assert error.value.code == code


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"{\xff\xfe")
    with pytest.raises(UnreadableFileError, match="UTF-8"):
        read_runs(str(tmp_path / "file"))
    with pytest.raises(UnreadableFileError):
        read_runs(str(tmp_path))


def test_long_names_are_cut_and_stay_on_one_line(tmp_path: Path) -> None:
    run = only(read_runs(written(tmp_path / "result.json", {**VLLM, "model_id": "a\nb" * 10_000})))
    assert len(run.model) <= 300
    assert "\n" not in run.model
