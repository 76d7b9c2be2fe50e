"""Prompts on workers of their own: both pools are counted, sized for the load, and started as what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.performance.predict import predict
from gpusizer.performance.split_sweep import SplitAsk, SplitSweep
from gpusizer.performance.types import Load, PrefillPool
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option

CARDS = ("h200-sxm-141gb", "b200-sxm-180gb")
SMALL = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LOAD: dict[str, Any] = {"concurrency": 256, "input_tokens": 4000, "output_tokens": 1000, "gpus": CARDS}


def options(**request: Any) -> dict[str, Option]:
    return {each.accelerator.id: each for each in gpusizer.plan(Request(**request)).options}


@pytest.mark.parametrize("model", ["deepseek-v3", "qwen3-32b"])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_gpus_are_those_of_both_pools(model: str, engine: str) -> None:
    answer = gpusizer.plan(Request(model=model, engine=engine, disaggregate="on", **LOAD))
    assert answer.options
    for option, document in zip(answer.options, answer.to_dict()["options"], strict=True):
        pool = option.prefill
        assert pool is not None
        assert option.gpus == option.layout.gpus * option.replicas + pool.launch.layout.gpus * pool.workers
        assert option.gpus == document["gpus"] == document["prefill"]["gpus"] + option.layout.gpus * document["replicas"]
        assert option.held_requests_low >= LOAD["concurrency"]
        assert pool.fit.fits
        assert document["speed"]["regime"] == "disaggregated"


def test_off_is_what_it_was_and_auto_takes_the_fewer_gpus() -> None:
    request = {"model": "qwen3-32b", "ttft_s": 1.0, "tpot_s": 0.02, **LOAD}
    off, on, auto = (options(**request, disaggregate=word) for word in ("off", "on", "auto"))
    assert all(option.prefill is None for option in off.values())
    for gpu in {*off, *on}:
        most = float("inf")
        found = [each[gpu].gpus if gpu in each else most for each in (off, on)]
        assert auto[gpu].gpus == min(found)
        assert (auto[gpu].prefill is not None) == (found[1] < found[0])
    untargeted = {"model": "qwen3-32b", **LOAD}
    assert [(each.gpus, each.prefill) for each in options(**untargeted, disaggregate="auto").values()] == [
        (each.gpus, None) for each in options(**untargeted).values()
    ]


@SMALL
@given(st.sampled_from(["qwen3-32b", "deepseek-v3", "qwen3-235b-a22b"]), st.integers(50, 400))
def test_long_prompts_want_more_workers_for_prompts(model: str, concurrency: int) -> None:
    """The same tokens of context, most of them read or most of them written."""

    def share(input_tokens: int) -> float:
        request = {"model": model, "concurrency": concurrency, "input_tokens": input_tokens, "output_tokens": 8192 - input_tokens}
        option = options(**request, gpus=CARDS[:1], disaggregate="on")[CARDS[0]]
        assert option.prefill is not None
        return option.prefill.gpus / option.gpus

    assert share(7900) > share(500)


@pytest.mark.parametrize("rate", [2.0, 20.0])
def test_targets_and_rates_are_kept(rate: float) -> None:
    request = {"model": "qwen3-32b", "request_rate": rate, "input_tokens": 4000, "output_tokens": 500, "ttft_s": 1.0, "tpot_s": 0.03, "gpus": CARDS}
    found = options(**request, disaggregate="on")
    assert set(found) == set(CARDS)
    for option in found.values():
        speed = option.performance
        assert speed is not None
        assert speed.ttft_s.value <= 1.0
        assert speed.tpot_s.value <= 0.03
        assert speed.output_tokens_per_s.value == pytest.approx(rate * 500, rel=0.03)


def test_more_than_can_be_held_is_refused_with_the_rate_that_can() -> None:
    load: dict[str, Any] = {"request_rate": 1e4, "input_tokens": 4000, "output_tokens": 500}
    refused = make_plan(Request(model="qwen3-32b", **load, gpus=CARDS[:1], max_gpus=16, disaggregate="on")).rejected
    assert [each.reason.code for each in refused] == ["cannot-hold-rate"]
    assert 0 < refused[0].reason.parameters["limit"] < 1e4


def test_pairs_together_are_what_each_is_alone() -> None:
    found = options(model="deepseek-v3", disaggregate="on", **LOAD)
    load, asks = Load(4000, 1000, concurrency=256), []
    for option in found.values():
        assert option.prefill is not None
        for more in range(3):
            decoders, prefillers = option.replicas + more, option.prefill.workers + 2 * more
            asks.append(SplitAsk(option.accelerator, option.launch, option.fit, decoders, option.prefill.launch, prefillers))
    architecture = next(iter(found.values())).architecture
    sweep = SplitSweep(architecture, asks, load)
    for index, ask in enumerate(asks):
        pool = PrefillPool(ask.prefill, ask.prefillers)
        alone = predict(architecture, ask.accelerator, ask.decode, load, replicas=ask.decoders, fit=ask.fit, prefill=pool)
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s"):
            assert getattr(sweep, name)[index] == pytest.approx(getattr(alone, name).value, rel=1e-9)


@pytest.mark.parametrize(
    ("engine", "prefill", "decode"),
    [
        ("vllm", '"kv_role": "kv_producer"', '"kv_role": "kv_consumer"'),
        ("sglang", "--disaggregation-mode prefill", "--disaggregation-mode decode"),
        ("tensorrt-llm", '"disable_overlap_scheduler": true', '"cache_transceiver_config"'),
    ],
)
def test_each_kind_is_started_as_what_it_is(engine: str, prefill: str, decode: str) -> None:
    option = gpusizer.plan(Request(model="qwen3-32b", engine=engine, disaggregate="on", **LOAD)).to_dict()["options"][0]
    assert prefill in option["prefill"]["command"]
    assert decode in option["command"]
    assert prefill not in option["command"]
    assert json.dumps(option["prefill"])


@pytest.mark.parametrize(("engine", "version"), [("llama.cpp", None), ("vllm", "0.8.5")])
def test_engines_without_such_workers_say_so(engine: str, version: str | None) -> None:
    answer = make_plan(Request(model="qwen3-8b", engine=engine, engine_version=version, disaggregate="on", gpus=CARDS))
    assert not answer.options
    assert {each.reason.code for each in answer.rejected} == {"no-prefill-workers"}
