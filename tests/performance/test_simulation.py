"""The simulator against queueing theory, against laws that hold for every run, and against the closed forms where both must say the same."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpusizer.architecture.load import load_architecture
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.step.work import prompt_step_seconds
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.simulation.deployed import Served
from gpusizer.performance.simulation.rank import Limits, Rank
from gpusizer.performance.simulation.requests import Requests, drawn
from gpusizer.performance.simulation.run import Costs, Outcome, run
from gpusizer.performance.simulation.step_clock import Prompts, StepClock
from gpusizer.performance.simulation.summary import summary_of
from gpusizer.performance.step_time import Step, step_time
from gpusizer.performance.types import Load, PrefillPool

H200 = "h200-sxm-141gb"


class Even:
    """Steps whose length is known: so much for each, so much more for each token of a prompt."""

    def __init__(self, step_s: float = 0.01, token_s: float = 0.0) -> None:
        self.step_s, self.token_s = step_s, token_s

    def decode_s(self, sequences: int, context_tokens: float) -> float:
        return self.step_s

    def prompts_s(self, sequences: int, context_tokens: float, prompts: Prompts) -> float:
        return self.step_s + self.token_s * prompts.tokens


def served(requests: Requests, limits: Limits, clock: Even | None = None, ranks: int = 1) -> tuple[Outcome, list[Rank]]:
    pool = [Rank(clock or Even(), limits) for _ in range(ranks)]
    return run(requests, [pool]), pool


def question(model: str, gpu: str, load: Load, **deployment: Any) -> Question:
    return Question(load_architecture(model), accelerator(gpu), Deployment(model=model, gpu=gpu, **deployment), load)


# ---- queueing theory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_equal_services_wait_as_pollaczek_and_khinchine_say(utilisation: float) -> None:
    """M/D/1: rho S / (2 (1 - rho))."""
    requests = drawn(60_000, 1, 1, arrivals="poisson", pace=utilisation / 0.01, seed=3)
    outcome, ranks = served(requests, Limits(most_running=1))
    wait = np.mean(np.array(outcome.first_s) - outcome.arrival_s) - 0.01
    assert wait == pytest.approx(utilisation * 0.01 / (2 * (1 - utilisation)), rel=0.06)
    assert outcome.busy_share == pytest.approx(utilisation, rel=0.02)
    assert ranks[0].busy_s == pytest.approx(600)  # no work is lost and none is made


def test_unequal_services_wait_as_pollaczek_and_khinchine_say() -> None:
    """M/G/1: lambda E[S^2] / (2 (1 - rho)); a request alone in the engine serves for its prompt and one step a token."""
    requests = drawn(40_000, 1, 50, arrivals="poisson", pace=1.2, spread=1.0, seed=5)
    outcome, ranks = served(requests, Limits(most_running=1))
    service = 0.01 * np.array(requests.output_tokens, float)
    rate = (len(service) - 1) / requests.arrival_s[-1]
    wait = np.mean(np.array(outcome.first_s) - outcome.arrival_s) - 0.01
    assert wait == pytest.approx(rate * np.mean(service**2) / (2 * (1 - rate * service.mean())), rel=0.06)
    assert ranks[0].busy_s == pytest.approx(service.sum())


def test_servers_without_queue_hold_what_erlang_says() -> None:
    """M/G/infinity: as many run as arrive in the time of one, whatever the lengths are."""
    requests = drawn(20_000, 1, 100, arrivals="poisson", pace=20.0, spread=1.0, seed=7)
    outcome, _ = served(requests, Limits())
    offered = requests.offered_per_s
    assert offered is not None
    inside = np.mean(np.array(outcome.end_s) - outcome.arrival_s) * offered
    assert inside == pytest.approx(20.0 * 0.01 * 100, rel=0.03)


def test_little_holds_in_a_closed_loop() -> None:
    """Clients = rate x time in the system."""
    requests = drawn(20_000, 50, 40, arrivals="closed", pace=32, spread=0.5)
    outcome, _ = served(requests, Limits(most_running=20), Even(0.01, 1e-4))
    ends = np.sort(outcome.end_s)
    rate = 15_000 / (ends[17_500] - ends[2_500])
    time_s = np.mean((np.array(outcome.end_s) - outcome.arrival_s)[2_500:17_500])
    assert rate * time_s == pytest.approx(32, rel=0.01)


# ---- laws of every run -----------------------------------------------------------------------------------------------


ENGINES = st.builds(
    Limits,
    budget_tokens=st.sampled_from([16.0, 100.0, inf]),
    shares_steps=st.booleans(),
    cache_tokens=st.sampled_from([500.0, 1500.0, inf]),
    most_running=st.sampled_from([1.0, 4.0, inf]),
    reserves=st.booleans(),
    tokens_per_step=st.sampled_from([1.0, 2.3]),
    stages=st.sampled_from([1, 3]),
    prefix_tokens=st.just(0),
    rounding_tokens=st.just(0.0),
    verified_tokens=st.just(1.0),
    part=st.just("whole"),
    keeps_margin=st.booleans(),
    polled_steps=st.sampled_from([1, 7]),
)
ROWS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 400), st.integers(1, 60)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, limits=ENGINES, ranks=st.integers(1, 3), clients=st.sampled_from([0, 5]))
def test_every_request_ends_once_and_leaves_nothing_behind(rows: list[tuple[float, int, int]], limits: Limits, ranks: int, clients: int) -> None:
    rows.sort()
    requests = Requests([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], clients)
    outcome, pool = served(requests, limits, Even(0.01, 1e-4), ranks)
    arrival, first, end = (np.array(each) for each in (outcome.arrival_s, outcome.first_s, outcome.end_s))
    assert (first > arrival).all()
    assert (end >= first).all()
    steps = np.array([ceil((row[2] - 1) / limits.tokens_per_step - 1e-9) for row in rows])
    assert (end - first >= steps * 0.01 - 1e-6).all() or limits.stages > 1
    for rank in pool:
        assert not rank.in_flight
        assert rank.held == pytest.approx(0, abs=1e-6)
        assert rank.peak <= limits.cache_tokens
    assert outcome.preemptions == 0 or not limits.reserves


def test_a_full_cache_preempts_the_youngest_and_no_token_is_lost() -> None:
    requests = drawn(40, 100, 200, arrivals="burst")
    tight, _ = served(requests, Limits(cache_tokens=2000.0), Even(0.01, 1e-5))
    roomy, _ = served(requests, Limits(cache_tokens=inf), Even(0.01, 1e-5))
    reserved, _ = served(requests, Limits(cache_tokens=2000.0, reserves=True), Even(0.01, 1e-5))
    assert tight.preemptions > 0
    assert tight.peak_kv_share <= 1.0
    assert roomy.preemptions == reserved.preemptions == 0
    assert max(reserved.end_s) > max(roomy.end_s)
    assert max(tight.end_s) > max(roomy.end_s)
    assert tight.end_s.index(min(tight.end_s)) == 0  # the oldest is never sent away


def test_a_margin_for_running_answers_spares_preemptions() -> None:
    requests = drawn(60, 100, 200, arrivals="burst")
    bold, _ = served(requests, Limits(cache_tokens=3000.0), Even(0.01, 1e-5))
    careful, _ = served(requests, Limits(cache_tokens=3000.0, keeps_margin=True), Even(0.01, 1e-5))
    assert careful.preemptions < bold.preemptions


def test_prompts_wait_for_one_another_where_the_budget_is_small() -> None:
    """Ten prompts of 100 tokens, 50 a step: the mean of ten, twenty ... steps of 10 ms."""
    outcome, _ = served(drawn(10, 100, 1, arrivals="burst"), Limits(budget_tokens=50.0))
    assert outcome.first_s == pytest.approx([0.02 * number for number in range(1, 11)])


@pytest.mark.parametrize(("shares", "pace_s"), [(True, 0.01 + 100e-4 / 9), (False, 0.01 + 0.02 / 9)])
def test_a_prompt_stretches_a_step_or_stops_all_others(*, shares: bool, pace_s: float) -> None:
    """One answer of ten tokens runs when a prompt of 100 tokens comes."""
    requests = Requests([0.0, 0.05], [1, 100], [10, 1])
    outcome, _ = served(requests, Limits(shares_steps=shares), Even(0.01, 1e-4))
    assert (outcome.end_s[0] - outcome.first_s[0]) / 9 == pytest.approx(pace_s, rel=1e-6)


def test_requests_are_seen_when_the_scheduler_looks() -> None:
    """One answer runs in steps of 10 ms, looked up every tenth: who comes at 25 ms is seen after the tenth step."""
    requests = Requests([0.0, 0.025], [1, 1], [60, 1])
    often, _ = served(requests, Limits())
    rarely, _ = served(requests, Limits(polled_steps=10))
    assert often.first_s[1] == pytest.approx(0.04)
    assert rarely.first_s[1] == pytest.approx(0.11)


def test_drafts_that_are_accepted_save_steps() -> None:
    plain, _ = served(drawn(4, 10, 101, arrivals="burst"), Limits())
    drafted, _ = served(drawn(4, 10, 101, arrivals="burst"), Limits(tokens_per_step=2.0, verified_tokens=3.0))
    assert drafted.end_s[0] - drafted.first_s[0] == pytest.approx((plain.end_s[0] - plain.first_s[0]) / 2)


def test_a_cached_prefix_is_neither_computed_nor_held_twice() -> None:
    requests = drawn(20, 1000, 10, arrivals="burst")
    cold, _ = served(requests, Limits(cache_tokens=4000.0), Even(0.01, 1e-4))
    warm, _ = served(requests, Limits(cache_tokens=4000.0, prefix_tokens=900), Even(0.01, 1e-4))
    assert max(warm.end_s) < max(cold.end_s) / 4


def test_requests_go_to_the_rank_with_the_least_in_flight() -> None:
    _, ranks = served(drawn(40, 10, 50, arrivals="burst"), Limits(), ranks=4)
    assert [rank.busy_s for rank in ranks] == pytest.approx([ranks[0].busy_s] * 4, rel=0.05)


def test_workers_for_prompts_leave_the_others_undisturbed() -> None:
    clock = Even(0.01, 1e-4)
    prompts, answers = Rank(clock, Limits(part="prompts")), Rank(clock, Limits(part="answers"))
    requests = drawn(200, 1000, 50, arrivals="poisson", pace=5.0)
    outcome = run(requests, [[prompts], [answers]], Costs(handover=lambda tokens: 1e-6 * tokens))
    pace = (np.array(outcome.end_s) - outcome.first_s) / 49
    assert pace == pytest.approx(0.01)
    assert min(np.array(outcome.first_s) - outcome.arrival_s) >= 0.01 + 0.1 + 0.001 - 1e-9


def test_the_same_seed_gives_the_same_run() -> None:
    def once(seed: int) -> list[float]:
        return served(drawn(300, 50, 20, arrivals="poisson", pace=30, spread=0.5, seed=seed), Limits())[0].end_s

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_percentiles_rise_and_goodput_counts_what_kept_the_targets() -> None:
    requests = drawn(2000, 50, 20, arrivals="poisson", pace=3.0, spread=0.5)
    outcome, _ = served(requests, Limits(most_running=1))
    ttft = np.array(outcome.first_s) - outcome.arrival_s
    one = summary_of(requests, outcome, ttft_s=0.1)
    for figures in (one.ttft_s, one.tpot_s, one.e2e_s):
        assert figures.p50 <= figures.p90 <= figures.p95 <= figures.p99
    assert one.goodput_share == pytest.approx(np.mean(ttft <= 0.1))
    assert 0 < len(one.queue) <= 200
    assert [each.at_s for each in one.queue] == sorted(each.at_s for each in one.queue)
    assert one.output_tokens_per_s * one.duration_s == pytest.approx(sum(requests.output_tokens))


# ---- real step times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "deployment"), [("qwen3-32b", {}), ("deepseek-v3", {"tp": 8}), ("gemma-3-27b-it", {})])
def test_the_grid_of_step_times_lies_on_the_step_times(model: str, deployment: dict[str, Any]) -> None:
    load = Load(1000, 300, concurrency=8)
    rank = Served(question(model, H200, load, **deployment)).rank
    clock, random = StepClock(rank), np.random.default_rng(1)
    for _ in range(150):
        running, context = int(random.integers(1, 300)), float(10 ** random.uniform(2, 5))
        exact = float(step_time(rank.work, rank.speeds, Step(float(running), context)))
        assert clock.decode_s(running, context) == pytest.approx(exact, rel=0.02)
        tokens, before = float(10 ** random.uniform(1.5, 4)), float(random.choice([0, 500, 5000]))
        step = Step(float(running), context, 1.0, tokens, before, 1.0, tokens)
        whole = step_time(rank.work, rank.speeds, step)
        host = {"kernels": rank.work.kernels.all, "launch_s": rank.speeds.eager_s, "host_s": rank.speeds.step_s}
        exact = float(prompt_step_seconds(step_s=whole, **host))
        assert clock.prompts_s(running, context, Prompts(tokens, before, tokens, 1)) == pytest.approx(exact, rel=0.08)


STEADY = [
    ("qwen3-32b", H200, 8, 1000, 200, {}),
    ("qwen3-32b", H200, 64, 1000, 200, {}),
    ("qwen3-32b", H200, 64, 1000, 200, {"engine": "sglang"}),
    ("qwen3-32b", H200, 64, 1000, 200, {"engine": "tensorrt-llm"}),
    ("deepseek-v3", H200, 64, 1000, 1000, {"tp": 8}),
    ("deepseek-v3", H200, 64, 1000, 1000, {"tp": 8, "engine": "sglang"}),
    ("qwen3-8b", "h100-sxm-80gb", 32, 4000, 300, {}),
    ("qwen3-8b", "h100-sxm-80gb", 32, 4000, 300, {"engine": "sglang"}),
    ("qwen3-8b", "h100-sxm-80gb", 32, 500, 2000, {"engine": "tensorrt-llm"}),
]


@pytest.mark.parametrize(("model", "gpu", "clients", "prompt", "output", "deployment"), STEADY, ids=str)
def test_a_steady_closed_loop_is_what_the_closed_form_says(
    model: str, gpu: str, clients: int, prompt: int, output: int, deployment: dict[str, Any]
) -> None:
    load = Load(prompt, output, concurrency=clients, length_spread=0.3)
    asked = question(model, gpu, load, **deployment)
    count = 30 * clients
    requests = drawn(count, prompt, output, arrivals="closed", pace=clients, spread=0.3)
    outcome = Served(asked).run(requests)
    arrival, first, end = (np.array(each) for each in (outcome.arrival_s, outcome.first_s, outcome.end_s))
    answers, order = np.array(requests.output_tokens), np.argsort(end)
    low, high = int(0.3 * count), int(0.9 * count)
    steady = (arrival >= end[order[low]]) & (arrival < end[order[int(0.85 * count)]])
    pace = (end - first)[steady].sum() / (answers[steady] - 1).sum()
    rate = answers[order[low + 1 : high + 1]].sum() / (end[order[high]] - end[order[low]])
    said = answer(asked)
    assert pace == pytest.approx(said.tpot_s.value, rel=0.05)
    assert rate == pytest.approx(said.output_tokens_per_s.value, rel=0.05)


def test_a_burst_of_one_is_a_closed_loop_of_one() -> None:
    found = Served(question("qwen3-8b", "h100-sxm-80gb", Load(1000, 100, concurrency=1)))
    alone = found.run(drawn(1, 1000, 100, arrivals="burst"))
    loop = found.run(drawn(5, 1000, 100, arrivals="closed", pace=1))
    assert np.diff(loop.end_s) == pytest.approx(alone.end_s[0], rel=1e-9)
    assert np.array(loop.first_s) - loop.arrival_s == pytest.approx(alone.first_s[0], rel=1e-9)


def test_a_longer_run_says_the_same_of_steady_service() -> None:
    found = Served(question("qwen3-32b", H200, Load(1000, 200, request_rate_per_s=3.0)))

    def pace(count: int) -> float:
        requests = drawn(count, 1000, 200, arrivals="poisson", pace=3.0, spread=0.3)
        return summary_of(requests, found.run(requests), skipped=200).tpot_s.mean

    assert pace(4000) == pytest.approx(pace(2000), rel=0.03)


def test_more_than_can_be_held_makes_a_queue_that_grows() -> None:
    asked = question("qwen3-32b", H200, Load(1000, 200, concurrency=inf))
    most = answer(asked).output_tokens_per_s.value / 200
    found = Served(asked)

    def waits(rate: float, count: int) -> float:
        requests = drawn(count, 1000, 200, arrivals="poisson", pace=rate)
        return summary_of(requests, found.run(requests)).ttft_s.p90

    assert waits(0.7 * most, 2000) < 3 * waits(0.7 * most, 1000)
    assert waits(1.5 * most, 2000) > 1.6 * waits(1.5 * most, 1000)


def test_ranks_beyond_the_most_are_cut_with_their_load() -> None:
    whole = question("qwen3-8b", "h100-sxm-80gb", Load(1000, 100, concurrency=8))._replace(replicas=8)
    all_of_them, part = Served(whole), Served(whole, most_ranks=2)
    assert (all_of_them.share, part.share) == (1.0, 0.25)
    many, few = (
        summary_of(requests, each.run(requests), share=each.share)
        for each in (all_of_them, part)
        for requests in [drawn(2000, 1000, 100, arrivals="poisson", pace=40 * each.share)]
    )
    assert few.tpot_s.mean == pytest.approx(many.tpot_s.mean, rel=0.05)
    assert few.offered_per_s == pytest.approx(many.offered_per_s, rel=0.05)


def test_disaggregated_serving_moves_the_cache_and_evens_the_pace() -> None:
    load = Load(4000, 200, request_rate_per_s=3.0)
    together = question("qwen3-32b", H200, load)
    apart = together._replace(prefill=PrefillPool(replace(together.deployment), 1))
    requests = drawn(400, 4000, 200, arrivals="poisson", pace=2.0, spread=0.3)
    whole, split = (summary_of(requests, Served(each).run(requests)) for each in (together, apart))
    assert split.tpot_s.p99 < whole.tpot_s.p50
