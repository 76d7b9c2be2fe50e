"""Cases of one's own reach every answer that names their device: plan, simulation, workbook, command line; and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from command_line import refused, run
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Deployment
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.simulate import SimulationRequest, make_simulation
from gpusizer.rendering.workbook import plan_workbook
from gpusizer.validation.speed_cases import performance_case, speed_of
from workbook_reader import Sheet, shown

ASKED = Request(
    "qwen3-32b", concurrency=8, input_tokens=1024, output_tokens=256, gpus=("h100-sxm-80gb", "h200-sxm-141gb"), tuning="off", speculative="off"
)


SERVED = {"model": "Qwen/Qwen3-32B", "quantization": "", "engine": "vllm"}
LOCAL = {"model": "Qwen/Qwen3-8B", "quantization": "Q4_K_M", "engine": "llama.cpp"}


def slow_cases(path: Path, token: float = 2.0, gpu: str = "h100-sxm-80gb", run: dict[str, str] = SERVED) -> str:
    """A file of twelve runs whose time per token is so many times what is predicted."""
    lines = []
    for concurrency in (1, 2, 4, 8):
        for tokens in (512, 1024, 2048):
            row: dict[str, Any] = {**run, "gpu": gpu, "gpu_count": 1, "parallelism": "tp1"}
            row |= {"isl": tokens, "osl": 256, "concurrency": concurrency, "length_spread": 0.0, "flags": {}, "disaggregated": False}
            case = performance_case(row)
            assert not isinstance(case, Notice), case
            speed = speed_of(case)
            measured = {"ttft_ms_mean": 1000 * speed.ttft_s.value, "tpot_ms_mean": 1000 * token * speed.tpot_s.value}
            lines.append(json.dumps({**row, "id": f"own-{concurrency}-{tokens}", "measured": measured}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_plan_moves_the_measured_device_and_says_by_how_much(tmp_path: Path) -> None:
    plain = {each.gpu: each for each in make_plan(ASKED).options}
    plan = make_plan(replace(ASKED, calibrate=slow_cases(tmp_path / "cases.jsonl")))
    moved = {each.gpu: each for each in plan.options}
    (notice,) = [each for each in plan.warnings if each.code == "calibrated-by-cases"]
    assert notice.parameters["gpu"] == "h100-sxm-80gb"
    assert notice.parameters["cases"] == 12
    assert 1.7 < notice.parameters["decode_factor"] < 2.1
    assert moved["h100-sxm-80gb"].tpot_s == pytest.approx(notice.parameters["decode_factor"] * (plain["h100-sxm-80gb"].tpot_s or 0), rel=0.1)
    assert moved["h200-sxm-141gb"].performance == plain["h200-sxm-141gb"].performance
    assert [str(moved[gpu].performance.evidence) for gpu in sorted(moved)] == ["measured-on-your-machine", "calibrated"]  # type: ignore[union-attr]


def test_cases_of_other_devices_change_no_number(tmp_path: Path) -> None:
    cases = slow_cases(tmp_path / "cases.jsonl", gpu="l40s-48gb")
    plain, with_cases = (gpusizer.plan(replace(ASKED, calibrate=path)).to_dict() for path in (None, cases))
    assert with_cases["options"] == plain["options"]
    assert [each["code"] for each in with_cases["warnings"] if each not in plain["warnings"]] == ["cases-of-other-devices"]


def test_the_workbook_carries_the_factor(tmp_path: Path) -> None:
    for path in (None, slow_cases(tmp_path / "cases.jsonl")):
        plan = make_plan(replace(ASKED, gpus=("h100-sxm-80gb",), calibrate=path))
        sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
        sheet.model.evaluate()
        beside = {row[5]: row[6] for row in shown(sheet) if row[5]}
        assert plan.best is not None
        assert plan.best.tpot_s is not None
        assert beside["Time per output token (TPOT)"] == f"{1000 * plan.best.tpot_s:.1f} ms"


def test_a_simulation_decodes_as_slowly_as_was_measured(tmp_path: Path) -> None:
    asked = SimulationRequest(Deployment("qwen3-32b", "h100-sxm-80gb", max_model_len=8192), concurrency=8, requests=100)
    plain, moved = (make_simulation(replace(asked, calibrate=path)) for path in (None, slow_cases(tmp_path / "cases.jsonl")))
    assert plain.summary is not None
    assert moved.summary is not None
    assert 1.6 < moved.summary.tpot_s.p50 / plain.summary.tpot_s.p50 < 2.1
    assert "calibrated-by-cases" in {each.code for each in moved.notices}


def test_a_start_with_weights_on_the_host_decodes_as_slowly_as_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = slow_cases(tmp_path / "cases.jsonl", gpu="rtx4090-24gb", run=LOCAL)
    asked = ("fit", "qwen3-32b", "--gpu", "4090", "--engine", "llama.cpp", "--n-gpu-layers", "40", "--format", "json")
    plain, moved = (json.loads(run(capsys, *asked, *more)[1]) for more in ((), ("--calibrate", cases)))
    assert 1.7 < moved["speed"]["tpot_s"]["value"] / plain["speed"]["tpot_s"]["value"] < 2.1
    assert "calibrated-by-cases" in {each["code"] for each in moved["warnings"]} - {each["code"] for each in plain["warnings"]}


def test_the_command_line_says_it_in_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = slow_cases(tmp_path / "cases.jsonl")
    asked = ("plan", "qwen3-32b", "--gpu", "h100", "--concurrency", "8", "--calibrate", cases)
    for language, words in (("en", "H100 SXM5 80GB under vLLM is moved by your own cases (12)"), ("zh", "用您自测的 12 条数据校准了")):
        code, out, _ = run(capsys, *asked, "--language", language)
        assert code == 0
        assert words in out
    code, out, _ = run(capsys, *asked, "--format", "json")
    data = json.loads(out)
    assert data["options"][0]["speed"]["evidence"] == "measured-on-your-machine"
    assert data["request"]["calibrate"] == cases


@pytest.mark.parametrize(("content", "word"), [("", "case"), ("[1]\n", "line 1"), ('{"id": "x", "isl": 5}\n', "speed"), (None, "cases.jsonl")])
def test_files_that_teach_nothing_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, word: str) -> None:
    path = tmp_path / "cases.jsonl"
    if content is not None:
        path.write_text(content)
    line = refused(capsys, "plan", "qwen3-32b", "--gpu", "h100", "--calibrate", str(path))
    assert word in line
