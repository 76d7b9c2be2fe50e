"""Layouts that a plan considers: those of published recipes are among them, and ranks with requests of their own come where they help."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from conftest import shared_lines
from gpusizer.architecture.types import Notice
from gpusizer.engines import declarations, get_engine
from gpusizer.engines.base.layout_rules import dimensions
from gpusizer.engines.base.types import Layout
from gpusizer.planning.request import Request
from gpusizer.validation.speed_cases import performance_case

PLANNED = {each.id for each in declarations()}
CARDS = ("h200", "b200")
SMALL = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan(**request: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(**request)).to_dict()


@pytest.mark.shared
def test_layouts_that_were_run_are_candidates() -> None:
    """Every layout of every published run inside one server, and of its workers for prompts and for answers."""
    missing: set[tuple[str, str, Layout]] = set()
    seen: set[tuple[str, str, str, Layout]] = set()
    for row in shared_lines("serving-speeds.jsonl"):
        case = performance_case(row)
        if isinstance(case, Notice) or case.deployment.engine not in PLANNED:
            continue
        pool = () if case.prefill is None else (case.prefill.deployment.layout,)
        for layout in (case.deployment.layout, *pool):
            key = (case.deployment.engine, case.architecture.id, case.accelerator.id, layout)
            if key in seen or layout.gpus > case.accelerator.node_size or min(layout.pp, layout.dp) > 1:
                continue  # stages of ranks with requests of their own stand in tables of one vendor, and in no recipe
            seen.add(key)
            engine = get_engine(case.deployment.engine)
            cuts = {each.layout for each in engine.layouts(case.architecture, case.accelerator, layout.gpus) if each.reason is None}
            spread = set(engine.attention_layouts(case.architecture, case.accelerator, layout.gpus, engine.newest))
            refused = engine.layout_refusal(case.architecture, case.accelerator, layout)
            if layout not in cuts | spread and refused is None:
                missing.add((case.deployment.engine, case.architecture.id, layout))
    assert len(seen) > 50
    assert any(layout.dp > 1 for *_, layout in seen)
    assert not missing


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_latent_cache_is_spread_over_ranks_where_many_ask(engine: str) -> None:
    many, few = (
        plan(model="deepseek-v3", concurrency=requests, context_tokens=8192, engine=engine, gpus=("h200",))["options"][0] for requests in (1000, 8)
    )
    assert few["layout"]["dp"] == 1
    assert many["layout"]["dp"] == many["layout"]["ep"] > 1
    assert many["gpus"] < 56  # seven servers, each rank of which holds the whole cache
    words = {"vllm": "--enable-expert-parallel", "sglang": "--enable-dp-attention", "tensorrt-llm": '"enable_attention_dp": true'}
    assert words[engine] in many["command"]


@SMALL
@given(st.sampled_from(["qwen3-235b-a22b", "glm-4.6", "deepseek-v3"]), st.integers(100, 2000), st.sampled_from([0.04, 0.08, None]))
def test_ranks_with_requests_of_their_own_never_cost_gpus(model: str, concurrency: int, tpot_s: float | None) -> None:
    """A version that has none of them is the same engine without the choice."""
    request: dict[str, Any] = {
        "model": model,
        "concurrency": concurrency,
        "context_tokens": 8192,
        "tpot_s": tpot_s,
        "speculative": "off",
        "tuning": "off",
    }
    before = {each["gpu"]: each["gpus"] for each in plan(**request, gpus=CARDS, engine_version="0.8.5")["options"]}
    for option in gpusizer.plan(Request(**request, gpus=CARDS)).options:
        assert (option.held_requests_low if option.verdict == "fits" else option.held_requests) >= concurrency
        assert option.gpus <= 1.25 * before.get(option.accelerator.id, option.gpus)  # older releases differ in overheads
        if option.layout.dp > 1:
            heads = dimensions(option.architecture).kv_heads
            assert not heads or option.layout.gpus > min(heads)


def test_dense_models_and_lone_gpus_have_no_such_ranks() -> None:
    for model in ("qwen3-32b", "llama-3.1-70b"):
        options = plan(model=model, concurrency=2000, context_tokens=8192, gpus=("h200", "b200"))["options"]
        assert all(each["layout"]["dp"] == 1 for each in options)
