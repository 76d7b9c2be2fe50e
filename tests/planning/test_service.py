"""A floor of service: what is too slow for a person is marked and comes last, and a target of one's own replaces it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.facts.service_floor import usual_floor
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.service import floor_of

SMALL = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CARDS = ("rtx4090-24gb", "l40s-48gb", "h100-sxm-80gb", "h20-sxm-96gb", "rtx3090-24gb", "l4-24gb", "a10-24gb")


def plan(**request: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(**request)).to_dict()


def marked(option: dict[str, Any]) -> bool:
    return any(each["code"] == "below-service-floor" for each in option["warnings"])


def test_the_floor_is_a_fact_with_sources() -> None:
    floor = usual_floor()
    assert (floor.ttft_s, floor.tpot_s) == (10.0, 0.1)
    assert floor.sources


@SMALL
@given(
    st.sampled_from(["qwen3-8b", "qwen3-32b", "llama-3.1-70b-instruct"]),
    st.integers(1, 100),
    st.integers(512, 30000),
    st.sampled_from(["gpus", "cost", "speed"]),
)
def test_what_is_slow_is_marked_and_comes_after_all_that_is_not(model: str, concurrency: int, tokens: int, sort: str) -> None:
    options = plan(model=model, concurrency=concurrency, input_tokens=tokens, output_tokens=300, sort=sort, gpus=CARDS)["options"]
    for each in options:
        slow = each["ttft_s"] is not None and (each["ttft_s"] > 10 or each["tpot_s"] > 0.1)
        assert marked(each) == slow
    places = [(each["verdict"] == "tight", marked(each)) for each in options]
    assert places == sorted(places), "what is sure and quick, what is sure and slow, then what is tight"


def slow_and_quick(**more: Any) -> list[dict[str, Any]]:
    """A prompt of 60,000 tokens costs an 8B model about a PFLOP: 121 TFLOP/s of an L4 are half a minute on four, an H100 has eight times that."""
    need = {"model": "llama-3.1-8b-instruct", "concurrency": 4, "input_tokens": 60000, "output_tokens": 500}
    found: list[dict[str, Any]] = plan(**need, gpus=("l4-24gb", "h100-sxm-80gb"), **more)["options"]
    return found


def test_a_slow_card_is_not_the_answer_unless_the_floor_is_off() -> None:
    on, off = slow_and_quick(), slow_and_quick(service_floor="off")
    assert {each["gpu"]: marked(each) for each in on} == {"h100-sxm-80gb": False, "l4-24gb": True}
    assert on[0]["gpu"] == "h100-sxm-80gb"
    assert on[1]["why_not_first"]["code"] == "runner-up-below-service-floor"
    said = next(each for each in on[1]["warnings"] if each["code"] == "below-service-floor")["parameters"]
    assert said["ttft_s"] == on[1]["ttft_s"] > said["floor_ttft_s"] == 10
    assert said["tpot_ms"] == pytest.approx(1000 * on[1]["tpot_s"])
    assert not any(map(marked, off))
    assert {each["gpu"]: each["gpus"] for each in on} == {each["gpu"]: each["gpus"] for each in off}, "nothing else moves"


def test_a_target_of_one_s_own_replaces_the_floor_of_its_kind() -> None:
    own = floor_of(Request(model="m", ttft_s=60))
    assert own is not None
    assert (own.ttft_s, own.tpot_s) == (float("inf"), 0.1)
    own = floor_of(Request(model="m", tpot_p95_s=0.5))
    assert own is not None
    assert (own.ttft_s, own.tpot_s) == (10.0, float("inf"))
    assert floor_of(Request(model="m", service_floor="off")) is None
    assert not any(map(marked, slow_and_quick(ttft_s=60, tpot_s=1)))


def test_a_card_of_unknown_speed_is_not_called_slow() -> None:
    found = [each for each in make_plan(Request(model="qwen3-8b", concurrency=2, context_tokens=2048)).options if each.performance is None]
    assert all(not each.slow for each in found)


def test_a_best_option_that_is_slow_says_so_to_readers() -> None:
    from gpusizer.rendering.plan_document import PlanDocument
    from gpusizer.rendering.render import render

    made = make_plan(Request(model="llama-3.1-8b-instruct", concurrency=4, input_tokens=60000, output_tokens=500, gpus=("l4-24gb",)))
    assert "slow for a person who waits" in render(PlanDocument(made, "en"), "text")
    assert "交互使用偏慢" in render(PlanDocument(made, "zh"), "text")
