"""Hardware that was named gets an answer: a line for the single card and the single server, and the nearest that does where nothing will do."""

from __future__ import annotations

from typing import Any

import pytest

import gpusizer
from gpusizer import Request
from gpusizer.planning.named import NamedLine
from gpusizer.planning.types import Plan


def plan(**values: Any) -> Plan:
    return gpusizer.plan(Request(**values)).result


def lines(found: Plan) -> dict[tuple[str, int], NamedLine]:
    return {(line.accelerator.id, line.gpus): line for line in found.named}


@pytest.mark.parametrize("gpu", ["h100-sxm-80gb", "rtx4090-24gb", "h20-sxm-96gb", "910b3", "m4-max-128gb"])
@pytest.mark.parametrize(("model", "concurrency"), [("qwen3-8b", 4), ("qwen3-32b", 32), ("deepseek-r1", 8)])
def test_card_and_server_have_a_line_or_an_option_unless_the_engine_does_not_run(gpu: str, model: str, concurrency: int) -> None:
    found = plan(model=model, gpus=(gpu,), concurrency=concurrency, context_tokens=8192)
    if any(each.layout is None and each.reason.code == "engine-not-on-device" for each in found.rejected):
        assert not found.named
        return
    device = found.options[0].accelerator if found.options else found.rejected[0].accelerator
    sizes = {1, device.devices_per_node or 1}
    shown = {option.gpus for option in found.options} | {line.gpus for line in found.named}
    assert sizes <= shown
    for line in found.named:
        assert line.verdict in ("fits", "tight", "no")
        assert (line.reason is None) == (line.verdict != "no")
        assert line.held >= line.held_low


def test_a_card_that_holds_less_says_how_much_and_a_server_what_it_holds() -> None:
    found = lines(plan(model="qwen3-32b", gpus=("h100-sxm-80gb",), concurrency=32, input_tokens="8k", output_tokens="1k"))
    one, server = found["h100-sxm-80gb", 1], found["h100-sxm-80gb", 8]
    assert one.reason is not None
    assert one.reason.code == "holds-less"
    assert 0 < one.held < 32
    assert server.verdict == "fits"
    assert server.held_low >= 4 * 32


def test_what_makes_a_card_start_is_named() -> None:
    """Qwen3-32B: 65.5 GB in BF16, about 18 GB in INT4, which people run on one card of 24 GB."""
    line = lines(plan(model="qwen3-32b", gpus=("rtx4090-24gb",), concurrency=1, context_tokens=4096))["rtx4090-24gb", 1]
    assert line.remedy is not None
    assert line.remedy.parameters["after"] == "int4"
    assert line.remedy.fit.fits


def test_where_nothing_will_do_the_nearest_that_does_is_said_with_the_limit_that_it_breaks() -> None:
    found = plan(model="deepseek-r1", gpus=("h100-sxm-80gb",), max_gpus=8, concurrency=8, context_tokens=8192)
    assert not found.options
    assert found.nearest is not None
    assert found.nearest.lifted == ("max_gpus",)
    assert found.nearest.option.gpus > 8
    within = plan(model="deepseek-r1", gpus=("h200-sxm-141gb",), max_gpus=8, concurrency=8, context_tokens=8192)
    assert within.nearest is None


def test_the_size_above_a_tight_option_is_said() -> None:
    need = {"model": "deepseek-r1", "concurrency": 8, "input_tokens": "16k", "output_tokens": "1k", "kv_precision": "bf16"}
    found = plan(gpus=("h20",), **need)
    tight = next(option for option in found.options if option.verdict == "tight")
    sure = next(option for option in found.options if option.verdict == "fits")
    assert sure.rank < tight.rank
    said = next(notice for notice in tight.notices if notice.code == "tight")
    assert said.parameters == {"held": tight.held_requests, "low": tight.held_requests_low, "concurrency": 8, "next": sure.gpus}


def test_where_no_single_setting_is_enough_the_settings_of_a_plan_are_offered_together() -> None:
    """DeepSeek-R1 with 150k tokens on 8 x H20 96 GB: fewer sequences, smaller steps, a larger share and an FP8 cache, all at once."""
    answer = gpusizer.fit(gpusizer.Deployment(model="deepseek-r1", gpu="h20-sxm-96gb", tp=8, max_model_len=150_000))
    assert not answer.fits
    together = answer.remedies[0]
    assert len({knob.code for knob in together.knobs}) == len(together.knobs) > 2
    assert together.fit.fits
    assert together.launch.max_model_len == 150_000
