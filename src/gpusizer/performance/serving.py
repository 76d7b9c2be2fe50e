"""From steps to a service: requests that start, decode together and end, at a fixed concurrency, all at once, or at a rate.

Every figure may be a number or a NumPy column; the loops have fixed lengths. The arithmetic stands in ``formulas.serving``; what is written down
here is which figure goes into which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.latency import time_per_output_token
from gpusizer.formulas.queueing import burst_wait_seconds, open_wait_seconds, slot_wait_seconds, utilisation
from gpusizer.formulas.serving.pace import (
    answer_delay_seconds,
    blended,
    burst_pace_seconds,
    pace_alone_seconds,
    shared_pace_seconds,
    slow_pace_seconds,
    tokens_beside_prompts,
)
from gpusizer.formulas.serving.rates import (
    burst_rate_tokens_per_s,
    closed_rate_tokens_per_s,
    longest_answers_seconds,
    many_waves_seconds,
    open_rate_tokens_per_s,
    single_wave_seconds,
)
from gpusizer.formulas.serving.waits import (
    admission_seconds,
    closed_queue_seconds,
    later_waves_seconds,
    open_running_requests,
    running_requests,
    start_burst_seconds,
    together_share,
    ttft_seconds,
)
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.served_rank import ServedRank, Service
from gpusizer.performance.step_times import StepTimes, step_times

__all__ = ["burst", "closed_loop", "fixed_point", "open_loop", "slow_pace"]

ROUNDS = 8
SETTLED = 1e-9  # of what runs: a number is left alone from there on
LEAST_STEPS = 0.01  # an answer of one token has no step after it: divisors are never zero
STARTS = {"closed": 0.9, "open": 0.1}  # of the places, from where the number that runs is sought
_NEVER_ZERO = 1e-300


def fixed_point(answer: Callable[[Any], Any], start: Any, most: Any) -> Any:
    """Where what runs is what the service then lets run, between 0 and ``most``: the secant of the last two trials, halves where it strays."""
    last, last_gap = start, answer(start) - start
    low, high = where(last_gap > 0, start, most * 0.0), where(last_gap > 0, most, start)
    at = start + last_gap
    for _ in range(ROUNDS):
        gap = answer(at) - at
        still = maximum(gap, -gap) <= SETTLED * at  # a secant through two equal trials points anywhere
        if still is True:
            return at
        low, high = where(gap > 0, at, low), where(gap > 0, high, at)
        guess = at - gap * (at - last) / (gap - last_gap - _NEVER_ZERO)
        last, last_gap = at, gap
        half = (low + high) / 2
        at = where(still, at, where(guess >= low, where(guess <= high, guess, half), half))
    return at


def _token_seconds(rank: ServedRank, times: StepTimes, running: Any, disturbing: Any, note: Note) -> Any:
    """Mean time between tokens where the prompts of so many other requests disturb an answer."""
    traffic = rank.traffic
    mean = note("tpot_undisturbed_steps", time_per_output_token)(
        decode_step_s=times.decode_s,
        prefill_s=times.added_s,
        sequences=disturbing,
        output_tokens=maximum(traffic.output_tokens - 1, 1),
        tokens_per_step=traffic.tokens_per_step,
    )
    return note("tpot", shared_pace_seconds)(
        mean_s=mean,
        full_step_s=times.full_s,
        decode_step_s=times.decode_s,
        tokens_per_step=traffic.tokens_per_step,
        stream_s=running * rank.constants.stream_s,
        shares_steps=traffic.shares_steps,
    )


def slow_pace(rank: ServedRank, tpot: Any, added: Any, running: Any, note: Note) -> Any:
    """Time between tokens of the slowest twentieth, to whose answers a prompt adds so much. [s]"""
    return note("tpot_p95", slow_pace_seconds)(
        tpot_s=tpot,
        prompt_added_s=added,
        running=running,
        spread=rank.traffic.spread,
        output_tokens=rank.traffic.output_tokens,
        deviations=rank.constants.slow_deviations,
    )


class _Turn(NamedTuple):
    """One round of a closed loop: what a request goes through with so many running."""

    times: StepTimes
    served_s: Any
    tpot_s: Any
    think_s: Any
    queue_s: Any

    @property
    def response_s(self) -> Any:
        """From arrival to the first token, places and bursts apart."""
        return self.times.own_s + self.queue_s


def _turn(rank: ServedRank, inside: Any, together: Any, running: Any, note: Note = unnoted) -> _Turn:
    steps = maximum(rank.traffic.output_tokens - 1, LEAST_STEPS)
    times = step_times(rank, running, note)
    served = times.share_s
    others = maximum(inside - 1, 0) / inside * running  # no request is disturbed by its own prompt
    tpot = _token_seconds(rank, times, running, others * (1 - together / 2), note)
    think = steps * tpot
    queue = note("queue", closed_queue_seconds)(
        inside=inside,
        running=running,
        answer_steps=steps,
        served_s=served,
        think_s=think,
        prompt_s=times.added_s * maximum(inside - 1, 0) / inside,
        together=together,
        shares_steps=rank.traffic.shares_steps,
    )
    return _Turn(times, served, tpot, think, queue)


def _admission(rank: ServedRank, running: Any, tpot: Any, note: Note) -> Any:
    """Host work before the first step: the process that admits requests also hands tokens over."""
    constants = rank.constants
    return note("admission", admission_seconds)(
        admission_s=constants.admission_s, running=running, stream_s=constants.stream_s, tpot_s=tpot, most=constants.most_utilisation
    )


def closed_loop(rank: ServedRank, requests: Any, note: Note = unnoted, running: Any = None) -> Service:
    """A fixed number of requests in flight: each that ends is replaced at once; ``running`` is how many decode together, where that was sought."""
    traffic, constants = rank.traffic, rank.constants
    inside = minimum(requests, traffic.places)
    together = note("together", together_share)(
        shares_steps=traffic.shares_steps,
        desynchronisation=constants.desynchronisation,
        spread=traffic.spread,
        answer_steps=maximum(traffic.output_tokens - 1, LEAST_STEPS),
    )

    tried: dict[str, Any] = {}

    def then(running: Any) -> Any:
        tried["at"], tried["turn"] = running, _turn(rank, inside, together, running)
        return running_requests(inside=inside, think_s=tried["turn"].think_s, response_s=tried["turn"].response_s)

    running = fixed_point(then, inside * STARTS["closed"], inside) if running is None else running
    others = maximum(inside - 1, 0) / inside
    known = tried.get("at") is running and note is unnoted  # the loop ended on its last trial
    turn = tried["turn"] if known else _turn(rank, inside, together, running, note)
    share = traffic.first_burst_share * constants.first_burst
    ttft = note("ttft", ttft_seconds)(
        admission_s=_admission(rank, running, turn.tpot_s, note),
        prompt_s=turn.times.own_s,
        queue_s=turn.queue_s,
        start_s=note("start_burst", start_burst_seconds)(share=share, together=together, inside=inside, served_s=turn.served_s),
        slot_s=note("slot_wait", slot_wait_seconds)(customers=requests, slots=inside, slot_s=turn.think_s + turn.response_s),
        step_wait_s=turn.times.decode_s * constants.waited_steps * others,
    )
    rate = note("rank_rate", closed_rate_tokens_per_s)(requests=requests, ttft_s=ttft, tpot_s=turn.tpot_s, output_tokens=traffic.output_tokens)
    return Service(ttft, turn.tpot_s, slow_pace(rank, turn.tpot_s, turn.times.added_s, running, note), rate, running)


def burst(rank: ServedRank, requests: Any, limit: Any, note: Note = unnoted, running: Any = None) -> Service:
    """All requests are there at the same moment and nobody comes after; the client may hold some back until others end.

    Those that have a place start together: their prompts come first, beside the first tokens where steps are shared. Whoever has none starts when
    another ends, as in a closed loop. One wave and several are blended, so that the answer has no step between them.
    """
    traffic, constants = rank.traffic, rank.constants
    inside = minimum(minimum(requests, limit), traffic.places)
    steady = closed_loop(rank, inside, running=running)
    waves = requests / inside
    again = minimum(maximum(waves - 1, 0), 1)  # 0 where all run together, 1 where places are filled anew for at least one more wave
    out, others = maximum(traffic.output_tokens, 1), inside - 1
    thinning = (1 - constants.burst_running) * (1 - again) * others / inside  # those that end early leave the last ones alone
    times = step_times(rank, steady.running * (1 - thinning), note)
    served = times.share_s
    tpot, alone, beside = _burst_pace(rank, times, steady, inside, again, note)
    each = maximum(out / steady.output_tokens_per_s, served)
    start = _admission(rank, steady.running, alone, note) + constants.request_s * others
    ttft = note("ttft", ttft_seconds)(
        admission_s=start,
        prompt_s=times.own_s,
        queue_s=note("queue", burst_wait_seconds)(requests=inside, service_s=served) / waves,
        start_s=0.0,
        slot_s=note("slot_wait", later_waves_seconds)(requests=requests, sent=minimum(requests, limit), inside=inside, each_s=each),
        step_wait_s=0.0,
    )
    longest = note("longest_answers", longest_answers_seconds)(
        answer_steps=maximum(traffic.output_tokens - 1, 0),
        pace_s=alone,
        spread=traffic.spread,
        weight=constants.long_answer_weight,
        waves=waves,
        requests=inside,
    )
    passed = where(traffic.shares_steps, beside * alone, 0.0)
    single = note("single_wave", single_wave_seconds)(others=others, served_s=served, own_s=times.own_s, decode_s=longest, beside_s=passed)
    many = note("many_waves", many_waves_seconds)(requests=requests, each_s=each, decode_s=longest, last_share=constants.last_wave)
    span = note("span", blended)(first=single, later=many, again=again)
    rate = note("rank_rate", burst_rate_tokens_per_s)(requests=requests, output_tokens=traffic.output_tokens, span_s=span, start_s=start)
    return Service(ttft, tpot, slow_pace(rank, tpot, times.added_s, steady.running, note), rate, steady.running)


def _burst_pace(rank: ServedRank, times: StepTimes, steady: Service, inside: Any, again: Any, note: Note) -> tuple[Any, Any, Any]:
    """(time between tokens of a burst, the same while no prompt is computed, tokens that come beside prompts)."""
    traffic, constants = rank.traffic, rank.constants
    out, served = maximum(traffic.output_tokens, 1), times.share_s
    alone = note("pace_alone", pace_alone_seconds)(
        decode_step_s=times.decode_s,
        tokens_per_step=traffic.tokens_per_step,
        stream_s=inside * constants.stream_s,
    )
    beside = note("beside", tokens_beside_prompts)(others=inside - 1, served_s=served, full_step_s=times.full_s, output_tokens=out)

    def delayed(id: str, prompts: Any, each: Any) -> Any:
        return note(id, answer_delay_seconds)(
            prompts=prompts, served_s=each, output_tokens=out, spread=traffic.spread, weight=constants.short_answer_weight
        )

    first = note("tpot_first_wave", burst_pace_seconds)(
        alone_s=alone,
        full_step_s=times.full_s,
        beside_tokens=beside,
        delayed_s=delayed("delay_first_wave", (inside - 1) / 2, served),
        output_tokens=out,
        shares_steps=traffic.shares_steps,
    )
    later = where(traffic.shares_steps, steady.tpot_s, alone + delayed("delay_later_waves", steady.running, times.added_s))
    return note("tpot", blended)(first=first, later=later, again=again), alone, beside


def open_loop(rank: ServedRank, request_rate_per_s: Any, note: Note = unnoted, running: Any = None) -> tuple[Service, Any]:
    """Requests arrive at random moments at a mean rate: the service, and the highest rate that it can hold. [requests/s]"""
    traffic, constants = rank.traffic, rank.constants
    most = closed_loop(rank, traffic.places).output_tokens_per_s / maximum(traffic.output_tokens, 1)
    offered = minimum(request_rate_per_s, most * constants.most_arrivals)
    steps = maximum(traffic.output_tokens - 1, LEAST_STEPS)

    def then(running: Any) -> Any:
        tpot = _token_seconds(rank, step_times(rank, running), running, running, unnoted)
        return open_running_requests(request_rate_per_s=offered, answer_steps=steps, tpot_s=tpot, places=traffic.places)

    running = fixed_point(then, traffic.places * STARTS["open"], traffic.places) if running is None else running
    times = step_times(rank, running, note)
    tpot = _token_seconds(rank, times, running, running, note)
    served = times.share_s
    busy = minimum(note("utilisation", utilisation)(request_rate_per_s=offered, service_s=served), constants.most_utilisation)
    ttft = note("ttft", ttft_seconds)(
        admission_s=_admission(rank, running, tpot, note),
        prompt_s=times.own_s,
        queue_s=note("queue", open_wait_seconds)(utilisation=busy, service_s=served, variation=traffic.spread**2),
        start_s=0.0,
        slot_s=0.0,
        step_wait_s=times.decode_s * constants.waited_steps,
    )
    rate = note("rank_rate", open_rate_tokens_per_s)(request_rate_per_s=offered, output_tokens=traffic.output_tokens)
    return Service(ttft, tpot, slow_pace(rank, tpot, times.added_s, running, note), rate, running), most
