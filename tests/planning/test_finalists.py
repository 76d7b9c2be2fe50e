"""Plans whose first options are simulated: percentiles stand beside the closed forms, and targets decide the order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import gpusizer
from gpusizer import Request
from gpusizer.planning.finalists import MOST, simulated_finalists
from gpusizer.planning.pipeline import make_plan

GPUS = ("h100-sxm-80gb", "h200-sxm-141gb", "b200-sxm-180gb", "l40s-48gb")


def test_a_plan_without_rate_or_percentile_is_not_simulated() -> None:
    plan = make_plan(Request(model="qwen3-32b", concurrency=16, tpot_s=0.05, gpus=GPUS))
    assert plan.options
    assert all(option.simulated is None for option in plan.options)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_first_options_of_a_rate_are_simulated_and_agree_with_their_means(engine: str) -> None:
    answer = gpusizer.plan(Request(model="qwen3-32b", request_rate=3, engine=engine, gpus=GPUS))
    first = answer.options[0]
    assert first.simulated is not None
    assert first.performance is not None
    assert first.simulated.summary.tpot_s.mean == pytest.approx(first.performance.tpot_s.value, rel=0.25)
    data = answer.to_dict()["options"][0]["simulated"]
    assert data["ttft_s"]["p50"] <= data["ttft_s"]["p99"]
    assert data["missed"] == []
    assert sum(option.simulated is not None for option in answer.options) <= MOST


def test_percentiles_ask_for_at_least_what_means_ask_for() -> None:
    request = Request(model="qwen3-32b", concurrency=32, ttft_p95_s=2.0, tpot_p99_s=0.05, gpus=GPUS)
    assert (request.mean_ttft_s, request.mean_tpot_s) == (2.0, 0.05)
    assert request.has_targets
    plan = make_plan(request)
    best = plan.options[0]
    assert best.performance is not None
    assert best.simulated is not None
    assert best.performance.tpot_s.value <= 0.05
    assert best.simulated.summary.tpot_s.p99 <= 0.05
    assert best.simulated.summary.ttft_s.p95 <= 2.0


def test_an_option_that_misses_comes_after_those_that_keep() -> None:
    """The target is set between what two options reach."""
    request = Request(model="qwen3-32b", concurrency=32, tpot_p99_s=1.0, gpus=GPUS)
    options = make_plan(request).options
    found = [option for option in options if option.simulated is not None]
    assert len(found) >= 2
    slow, quick = found[0], min(found[1:], key=lambda each: each.simulated.summary.tpot_s.p99 if each.simulated else 9)
    if slow.simulated is None or quick.simulated is None or quick.simulated.summary.tpot_s.p99 >= slow.simulated.summary.tpot_s.p99:
        slow, quick = quick, slow
    assert slow.simulated is not None
    assert quick.simulated is not None
    between = (slow.simulated.summary.tpot_s.p99 + quick.simulated.summary.tpot_s.p99) / 2
    again = simulated_finalists(replace(request, tpot_p99_s=between), [slow, quick])
    assert [option.accelerator.id for option in again] == [quick.accelerator.id, slow.accelerator.id]
    assert [option.rank for option in again] == [1, 2]
    assert again[1].simulated is not None
    assert [missed.target for missed in again[1].simulated.missed] == ["tpot_p99_s"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_target_that_nobody_keeps_is_said(capsys: pytest.CaptureFixture[str], language: str) -> None:
    from gpusizer.cli.main import main

    words = ("plan", "qwen3-8b", "--concurrency", "64", "--gpu", "h100-sxm-80gb", "--max-gpus", "1")
    figures = make_plan(Request(model="qwen3-8b", concurrency=64, gpus=("h100-sxm-80gb",), max_gpus=1, tpot_p99_s=1)).options[0]
    assert figures.simulated is not None
    assert figures.performance is not None
    mean, slow = figures.performance.tpot_s.value, figures.simulated.summary.tpot_s.p99
    assert mean < slow
    assert main([*words, "--tpot-p99", f"{1000 * (mean + slow) / 2}ms", "--language", language]) == 0
    assert "TPOT p99" in capsys.readouterr().out


def test_a_trace_states_the_need_and_what_is_simulated(tmp_path: Path) -> None:
    rows = [{"arrival_s": 0.25 * number, "input_tokens": 1000 + 500 * (number % 3), "output_tokens": 100} for number in range(200)]
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = make_plan(Request(model="qwen3-32b", trace=str(path), ttft_p95_s=2.0, gpus=GPUS))
    assert plan.request.request_rate == pytest.approx(4.0)
    assert (plan.need.input_tokens, plan.need.output_tokens, plan.need.context_tokens) == (1498, 100, 2100)
    best = plan.options[0]
    assert best.simulated is not None
    assert best.simulated.summary.requests == 200
    assert best.simulated.summary.ttft_s.p95 <= 2.0
    assert best.fit.deployment.max_model_len == 2560  # the longest request, rounded up
