"""Own cases move the speed of their device as far as they bear it out, and of nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.types import Notice
from gpusizer.facts.types import SpeedShift
from gpusizer.performance.types import Performance
from gpusizer.validation.calibration import Calibration, calibration_of
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of

H100 = {"model": "Qwen/Qwen3-32B", "quantization": "", "gpu": "H100 SXM 80GB", "gpu_count": 2, "engine": "vLLM", "engine_version": "0.18.0"}
MACBOOK = {"model": "Qwen/Qwen3-8B", "quantization": "Q4_K_M", "gpu": "M4 Max 128GB", "gpu_count": 1, "engine": "llama.cpp", "parallelism": "tp1"}
LOADS = [(tokens, concurrency) for tokens in (512, 1024, 4096, 8192) for concurrency in (1, 4, 16)]
FAMILY = {"h100-sxm-80gb": "vllm", "m4-max-128gb": "llama.cpp"}


def run_of(base: dict[str, Any], tokens: int, concurrency: int) -> dict[str, Any]:
    load = {"isl": tokens, "osl": 256, "concurrency": concurrency, "num_prompts": 10 * concurrency, "length_spread": 0.0}
    return {"parallelism": "tp2", "disaggregated": False, **base, **load, "flags": {}, "measured": {}}


def asked(row: dict[str, Any]) -> PerformanceCase:
    case = performance_case(row)
    assert not isinstance(case, Notice), case
    return case


def predicted(row: dict[str, Any], shifts: tuple[SpeedShift, ...] = ()) -> Performance:
    case = asked(row)
    return speed_of(replace(case, accelerator=replace(case.accelerator, shifts=shifts)))


def seen(row: dict[str, Any], token: float = 1.0, first: float = 1.0) -> dict[str, Any]:
    """The run as if it had been measured: our own prediction, times longer by so much."""
    speed = predicted(row)
    return {**row, "measured": {"ttft_ms_mean": 1000 * speed.ttft_s.value * first, "tpot_ms_mean": 1000 * speed.tpot_s.value * token}}


def cases(base: dict[str, Any], count: int, token: float = 1.0, first: float = 1.0) -> list[dict[str, Any]]:
    return [seen(run_of(base, *load), token, first) for load in LOADS[:count]]


def only(found: Calibration) -> SpeedShift:
    ((shift,),) = found.shifts.values()
    return shift


@pytest.mark.parametrize("base", [H100, MACBOOK], ids=["h100", "mac"])
def test_our_own_predictions_move_nothing(base: dict[str, Any]) -> None:
    shift = only(calibration_of(cases(base, 12)))
    assert shift.decode_factor == pytest.approx(1.0, abs=1e-6)
    assert shift.prefill_factor == pytest.approx(1.0, abs=1e-6)
    assert shift.cases == 12


@pytest.mark.parametrize("base", [H100, MACBOOK], ids=["h100", "mac"])
def test_cases_twice_as_slow_in_decoding_move_the_time_per_token_and_not_the_first(base: dict[str, Any]) -> None:
    rows = cases(base, 12, token=2.0)
    shift = only(calibration_of(rows))
    tokens = [predicted(row, (shift,)).tpot_s.value / predicted(row).tpot_s.value for row in rows]
    assert 1.75 < median(tokens) < 2.1
    assert all(1.8 < each < 2.1 for each, row in zip(tokens, rows, strict=True) if row["concurrency"] == 1)
    changes = [predicted(row, (shift,)).ttft_s.value / predicted(row).ttft_s.value for row in rows]
    assert 0.85 < median(changes) < 1.15


@pytest.mark.parametrize("base", [H100, MACBOOK], ids=["h100", "mac"])
def test_cases_with_slow_prompts_move_the_first_token_and_hardly_the_others(base: dict[str, Any]) -> None:
    rows = [row for row in cases(base, 12, first=1.6) if row["isl"] >= 4096 and row["concurrency"] == 1] * 5
    shift = only(calibration_of(rows))
    for row in rows[:2]:
        before, after = predicted(row), predicted(row, (shift,))
        assert 1.3 < after.ttft_s.value / before.ttft_s.value < 1.65
        assert 0.95 < after.tpot_s.value / before.tpot_s.value < 1.05


def test_one_case_moves_little_and_ten_move_nearly_all_the_way() -> None:
    moved = [math.log(only(calibration_of(cases(H100, count, 1.5, 1.5))).decode_factor) / math.log(1.5) for count in (1, 3, 10)]
    assert 0 < moved[0] < 0.45 < moved[1] < moved[2]
    assert 0.85 < moved[2] < 1.01


def test_a_slip_among_ten_does_no_harm() -> None:
    honest = cases(H100, 10)
    slipped = [seen(run_of(H100, 1024, 8), token=6.0), *honest]
    assert only(calibration_of(slipped)).decode_factor == pytest.approx(only(calibration_of(honest)).decode_factor, rel=0.08)


def test_the_band_narrows_where_cases_agree_and_no_further_than_they_scatter() -> None:
    agreeing = only(calibration_of(cases(H100, 12, 1.3, 1.3)))
    scattered = only(calibration_of([seen(run_of(H100, *load), 1.3 * (1.5 if number % 2 else 0.6)) for number, load in enumerate(LOADS)]))
    lone = only(calibration_of(cases(H100, 1, 1.05, 1.05)))
    assert 0.2 < agreeing.decode_width < 0.65
    assert agreeing.decode_width < scattered.decode_width <= 1.0
    assert 0.85 < lone.decode_width <= 1.0
    row = run_of(H100, 1024, 4)
    before, after = predicted(row).tpot_s, predicted(row, (agreeing,)).tpot_s
    assert math.log(after.high / after.low) == pytest.approx(agreeing.decode_width * math.log(before.high / before.low))


def test_other_devices_and_other_engines_are_left_alone() -> None:
    (device, shifts), *others = calibration_of(cases(H100, 6, 2.0)).shifts.items()
    assert (device, others) == ("h100-sxm-80gb", [])
    sglang = run_of({**H100, "engine": "SGLang", "engine_version": None}, 1024, 4)
    assert predicted(sglang, shifts).tpot_s == predicted(sglang).tpot_s
    both = calibration_of([*cases(H100, 4, 2.0), *cases(MACBOOK, 4)])
    assert {device: shift.family for device, (shift,) in both.shifts.items()} == FAMILY
    assert both.shifts["m4-max-128gb"][0].decode_factor == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "measured",
    [{}, {"tpot_ms_mean": 1e-9}, {"tpot_ms_mean": 1e15}, {"tpot_ms_mean": float("nan")}, {"tpot_ms_mean": "fast"}, {"tpot_ms_mean": -3}, 7],
)
def test_a_case_that_says_nothing_is_left_out_and_counted(measured: object) -> None:
    found = calibration_of([{**run_of(H100, 1024, 4), "measured": measured}, {"no": "case"}, {**cases(H100, 1)[0], "confidence": "low"}])
    assert (found.shifts, found.cases, found.left_out) == ({}, 3, 3)


def errors(rows: Sequence[dict[str, Any]], name: str, shifts: dict[str, tuple[SpeedShift, ...]]) -> list[float]:
    found = []
    for row in rows:
        case, measured = asked(row), measured_performance(row)
        if name in measured:
            speed = speed_of(replace(case, accelerator=replace(case.accelerator, shifts=shifts.get(case.accelerator.id, ()))))
            found.append(abs(math.log(measured[name] / getattr(speed, name).value)))
    return found


@pytest.mark.shared
@pytest.mark.parametrize("gpu", ["GTX 1050 Ti 4GB", "M4 Pro 48GB", "RTX 3090 24GB"])
def test_half_of_what_an_owner_measured_brings_the_other_half_nearer(gpu: str) -> None:
    """Runs of one owner on one device that nobody of us measured: every second one teaches, the others judge."""
    rows = [row for row in shared_lines("local-speeds.jsonl") if row["gpu"] == gpu and row["source"].startswith("AlexsJones") and "host" not in row]
    rows = [row for row in rows if row["confidence"] != "low" and not isinstance(performance_case(row), Notice)]
    assert len(rows) >= 8
    told = dict(calibration_of(rows[::2]).shifts)
    assert median(errors(rows[1::2], "tpot_s", told)) < 0.75 * median(errors(rows[1::2], "tpot_s", {}))
