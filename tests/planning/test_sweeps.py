"""Memory and speed against the load: the asked load shows the plan's own figures, more load takes more memory, longer requests more than shorter."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.planning.memory_lines import cache_used_bytes, in_flight, memory_lines
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.speed_sweep import CONCURRENCY, RATE, speed_sweep
from gpusizer.planning.types import Plan

REQUESTS = {
    "vllm": Request(model="deepseek-v3", users=1000, gpus=("h200-sxm-141gb", "b200-sxm-180gb")),
    "replicas": Request(model="qwen3-32b", concurrency=400, gpus=("h100-sxm-80gb",)),
    "window": Request(model="gemma-3-27b", concurrency=20, context_tokens=16384, gpus=("h200-sxm-141gb",)),
    "sglang": Request(model="qwen3-8b", concurrency=4, engine="sglang", gpus=("l40s-48gb",)),
    "llama.cpp": Request(model="qwen3-8b", concurrency=4, engine="llama.cpp", gpus=("l40s-48gb",)),
    "transformers": Request(model="qwen3-8b", concurrency=4, engine="transformers", gpus=("l40s-48gb",)),
    "rate": Request(model="qwen3-32b", request_rate=0.5, gpus=("h100-sxm-80gb",)),
}


@cache
def plan_of(name: str) -> Plan:
    return make_plan(REQUESTS[name])


@pytest.mark.parametrize("name", REQUESTS)
def test_more_requests_take_more_memory_and_longer_ones_more_than_shorter(name: str) -> None:
    plan = plan_of(name)
    option = plan.options[0]
    lines = memory_lines(plan, option)
    total = sum(per_gpu(option.fit.ranks[option.fit.worst].items).values())
    assert [line.times for line in lines if line.times == 1] == [1]
    for line in lines:
        counts, sizes = [point.concurrency for point in line.points], [point.bytes for point in line.points]
        assert counts == sorted(set(counts))
        assert all(less < more for less, more in pairwise(sizes))
        assert all(size <= total for size in sizes)
    held = [line.points[-1].concurrency if line.points else 0 for line in lines]
    assert all(longer <= shorter for shorter, longer in pairwise(held))
    ends = [line for line in lines if len(line.points) > 1]
    slopes = [(line.points[-1].bytes - line.points[0].bytes) / (line.points[-1].concurrency - line.points[0].concurrency) for line in ends]
    assert len(slopes) > 1
    assert all(shorter < longer for shorter, longer in pairwise(slopes))


@pytest.mark.parametrize("name", ["vllm", "replicas", "window", "sglang", "rate"])
def test_the_asked_length_ends_where_the_plan_says_that_memory_is_full(name: str) -> None:
    plan = plan_of(name)
    option = plan.options[0]
    line = next(line for line in memory_lines(plan, option) if line.times == 1)
    sums = per_gpu(option.fit.ranks[option.fit.worst].items)
    base = sum(size for section, size in sums.items() if section not in ("kv_cache_pool_bytes", "free_bytes"))
    assert line.points[0].bytes == base
    assert line.points[-1].concurrency == option.held_requests
    pool = sums["kv_cache_pool_bytes"]
    rest = base + pool - line.points[-1].bytes  # less than one request more on each replica
    assert -0.01 * pool <= rest <= pool * option.replicas / max(option.held_requests, 1) + 0.01 * pool


def test_a_request_takes_what_its_tokens_take() -> None:
    """Plain attention, where nothing but the length counts: bytes a token of the model's published shape times tokens, within a block."""
    plan = plan_of("sglang")
    option = plan.options[0]
    token_bytes = 2 * 36 * 8 * 128 * 2  # keys and values of 36 layers with 8 heads of 128, two bytes each
    used = cache_used_bytes(option, 4)
    assert used == pytest.approx(4 * plan.need.context_tokens * token_bytes, rel=0.01)


@pytest.mark.parametrize("name", ["llama.cpp", "transformers"])
def test_an_engine_that_places_its_cache_is_asked_start_by_start(name: str) -> None:
    plan = plan_of(name)
    option = plan.options[0]
    line = next(line for line in memory_lines(plan, option) if line.times == 1)
    asked = next(point for point in line.points if point.concurrency == in_flight(plan, option))
    sums = per_gpu(option.fit.ranks[option.fit.worst].items)
    assert asked.bytes == sum(sums.values()) - sums["free_bytes"]
    assert cache_used_bytes(option, 4) == sums["kv_cache_pool_bytes"]


def test_more_than_fits_takes_the_whole_pool_and_no_more() -> None:
    option = plan_of("vllm").options[0]
    pool = per_gpu(option.fit.ranks[option.fit.worst].items)["kv_cache_pool_bytes"]
    assert cache_used_bytes(option, 10 * option.held_requests) == pool
    assert cache_used_bytes(option, 1) < pool / 50


@pytest.mark.parametrize("name", REQUESTS)
def test_the_asked_load_has_the_plan_s_own_speed(name: str) -> None:
    option = plan_of(name).options[0]
    sweep = speed_sweep(option)
    assert sweep is not None
    asked = [point for point in sweep.points if point.load == sweep.asked]
    assert [point.performance for point in asked] == [option.performance]
    loads = [point.load for point in sweep.points]
    assert loads == sorted(set(loads))
    assert 4 <= len(loads) <= 12
    assert sweep.by == (RATE if name == "rate" else CONCURRENCY)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_token_takes_longer_the_more_requests_there_are(name: str) -> None:
    sweep = speed_sweep(plan_of(name).options[0])
    assert sweep is not None
    within = [point.performance.tpot_s.value for point in sweep.points if point.load <= sweep.most]
    assert all(less <= more * 1.001 for less, more in pairwise(within))
    assert within[0] < within[-1]


def test_an_unknown_speed_makes_no_sweep() -> None:
    plan = make_plan(Request(model="deepseek-v3", users=1000, gpus=("hygon-bw1100-144gb",)))
    assert plan.options[0].performance is None
    assert speed_sweep(plan.options[0]) is None


def test_a_length_beyond_the_model_is_left_out() -> None:
    plan = make_plan(Request(model="qwen3-32b", concurrency=2, context_tokens=40960, gpus=("h200-sxm-141gb",)))
    assert [line.times for line in memory_lines(plan, plan.options[0])] == [0.5, 1.0]


def test_the_sweep_of_an_option_of_another_load_is_its_own() -> None:
    option = plan_of("vllm").options[0]
    single = replace(option.speeds.load, concurrency=1)
    under = option.speeds.under(single)
    assert under is not None
    assert option.performance is not None
    assert under.tpot_s.value < option.performance.tpot_s.value
