"""``gpusizer measure``: cases that ``validate`` predicts at once and ``--calibrate`` learns from, whoever measured them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import refused, run
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.measured_set_up import ToldSetUp, measured_set_up
from gpusizer.planning.verdict import make_fit
from gpusizer.validation.own_runs import SetUp
from gpusizer.validation.speed_cases import performance_case
from streaming_server import Pace, streaming

SHORT = ("--input-tokens", "200", "--output-tokens", "8", "--requests", "4")
LAUNCH = ("--", "vllm", "serve", "Qwen/Qwen3-32B-FP8", "--tensor-parallel-size", "2", "--max-num-seqs", "64", "--kv-cache-dtype", "fp8")
BENCH = {"model_id": "Qwen/Qwen3-8B", "num_prompts": 40, "request_rate": "inf", "max_concurrency": 4, "completed": 40, "total_input_tokens": 40960}
BENCH |= {"total_output_tokens": 5120, "output_throughput": 102.4, "mean_ttft_ms": 250.0, "mean_tpot_ms": 12.5, "date": "20261127-101500"}


def lines(words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in words.splitlines()]


def test_a_server_s_cases_go_to_stdout_and_are_predicted_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with streaming(Pace(models=("Qwen/Qwen3-32B-FP8",))) as address:
        code, out, err = run(capsys, "measure", address, "--concurrency", "1,3", *SHORT, "--gpu", "l40s", *LAUNCH)
    assert code == 0
    cases = lines(out)
    assert [(each["concurrency"], each["gpu"], each["gpu_count"], each["engine"]) for each in cases] == [
        (1, "l40s-48gb", 2, "vllm"),
        (3, "l40s-48gb", 2, "vllm"),
    ]
    assert cases[0]["flags"] == {"max-num-seqs": 64, "kv-cache-dtype": "fp8"}
    assert "predicted" in err
    assert "%" in err
    path = tmp_path / "cases.jsonl"
    path.write_text(out)
    code, out, _ = run(capsys, "validate", str(path), "--format", "json")
    told = json.loads(out)["cases"]
    assert all(each["covered"] for each in told)
    assert {each["quantities"]["tpot_s"]["measured"] for each in told} == {each["measured"]["tpot_ms_mean"] / 1000 for each in cases}


def test_a_case_comes_back_as_the_start_that_was_pasted() -> None:
    told = ToldSetUp(("l40s",), LAUNCH[1:], {}, {})
    set_up, _ = measured_set_up("", told)
    assert (set_up.model, set_up.gpus, set_up.parallelism) == ("Qwen/Qwen3-32B-FP8", 2, "tp2pp1dp1ep1")
    row = {"model": set_up.model, "quantization": set_up.precision, "gpu": set_up.gpu, "gpu_count": set_up.gpus, "engine": set_up.engine}
    case: Any = performance_case({**row, "parallelism": set_up.parallelism, "flags": set_up.flags, "isl": 200, "osl": 8, "concurrency": 1})
    start = case.deployment
    assert (start.tp, start.max_num_seqs, start.kv_precision, start.gpu) == (2, 64, "fp8", "l40s-48gb")
    assert (
        case.architecture.quantization
        == make_fit(asked_start(None, told.gpus, command=told.command, named={}, flags={}).deployment).architecture.quantization
    )


def test_without_a_device_cases_are_written_and_what_they_lack_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert measured_set_up("m", ToldSetUp((), (), {}, {}))[0] == SetUp("m")
    for language, words in (("en", "the cases are written"), ("zh", "数据已写出")):
        with streaming(Pace()) as address:
            code, out, err = run(capsys, "measure", address, "--concurrency", "1", *SHORT, "--language", language)
        assert code == 0
        assert lines(out)[0]["gpu"] is None
        assert words in err


def test_a_bench_file_becomes_cases_that_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(BENCH))
    output = tmp_path / "cases.jsonl"
    code, out, err = run(capsys, "measure", str(tmp_path / "bench.json"), "--gpu", "l40s", "--output", str(output))
    assert code == 0
    assert "wrote" in err
    assert "12.5" in out
    (case,) = lines(output.read_text())
    assert (case["isl"], case["osl"], case["date"], case["measured"]["output_tok_s_per_gpu"]) == (1024, 128, "2026-11-27", 102.4)
    code, out, _ = run(capsys, "plan", "qwen3-8b", "--gpu", "l40s", "--concurrency", "4", "--calibrate", str(output))
    assert code == 0
    assert "is moved by your own cases (1)" in out


def test_json_holds_cases_and_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(BENCH))
    code, out, err = run(capsys, "measure", str(tmp_path / "bench.json"), "--gpu", "l40s", "--format", "json")
    data = json.loads(out)
    assert (code, err, data["schema"]) == (0, "", "gpusizer.measure/1")
    assert data["compared"][0]["quantities"]["ttft_s"]["measured"] == 0.25
    assert data["cases"][0]["id"] == data["compared"][0]["id"]


def test_what_is_told_of_the_host_reaches_the_prediction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers on the host are read from its memory: twice the bandwidth, about half the time of a token."""
    test = {
        "gpu_info": "NVIDIA GeForce RTX 4090",
        "model_filename": "Qwen3-32B-Q8_0.gguf",
        "n_gpu_layers": 30,
        "n_prompt": 0,
        "n_gen": 64,
        "avg_ts": 4.0,
    }
    (tmp_path / "bench.json").write_text(json.dumps([test]))
    times = []
    for rate in ("60GB/s", "120GB/s"):
        told = ("--gpu", "4090", "--engine", "llama.cpp", "--host-memory", "64GB", "--host-bandwidth", rate, "--format", "json")
        data = json.loads(run(capsys, "measure", str(tmp_path / "bench.json"), *told)[1])
        assert data["cases"][0]["host"]["memory_gb"] == 64
        times.append(data["compared"][0]["quantities"]["tpot_s"]["predicted"])
    assert 1.6 < times[0] / times[1] < 2.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.json",), "nowhere.json"),
        (("gopher://host",), "gopher"),
        (("http://127.0.0.1:1/v1",), "does not answer"),
        (("http://127.0.0.1:1/v1", "--concurrency", "1000"), "512"),
        (("http://127.0.0.1:1/v1", "--concurrency", "0"), "0"),
        (("BENCH", "--gpu", "no-such-card"), "no-such-card"),
        (("BENCH", "--gpu", "l40s", "--tp", "3000000"), "3000000"),
    ],
)
def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(BENCH))
    assert words in refused(capsys, "measure", *(str(tmp_path / "bench.json") if each == "BENCH" else each for each in arguments))


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="an interruption is sent as a signal")
def test_an_interruption_leaves_what_was_measured(tmp_path: Path) -> None:
    pace, output = Pace(between_s=0.002), tmp_path / "cases.jsonl"
    with streaming(pace) as address:
        command = [sys.executable, "-m", "gpusizer", "measure", address, "--concurrency", "1,2", "--input-tokens", "50", "--output-tokens", "5"]
        child = subprocess.Popen(
            [*command, "--requests", "4", "--output", str(output)],
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell starts what runs behind it with it ignored
        )
        until = time.monotonic() + 60
        while len(pace.prompts) < 12 and time.monotonic() < until:  # probes, a warm-up and the first level are over
            time.sleep(0.01)
        pace.between_s = 1.0
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert [each["concurrency"] for each in lines(output.read_text())][:1] == [1]
