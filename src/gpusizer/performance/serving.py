"""From steps to a service: requests that start, decode together and end, at a fixed concurrency, all at once, or at a rate.

Every figure may be a number or a NumPy column; the loops have fixed lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.compute import chunk_count
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.latency import request_seconds, time_per_output_token
from gpusizer.formulas.queueing import burst_wait_seconds, closed_response_seconds, open_wait_seconds, slot_wait_seconds, utilisation
from gpusizer.performance.step_time import Parts, Speeds, step_parts
from gpusizer.performance.step_work import Work

__all__ = ["Service", "Traffic", "burst", "closed_loop", "open_loop"]

ROUNDS = 8
_NEVER_ZERO = 1e-300


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one data-parallel rank is asked to do.

    Parameters
    ----------
    prompt_tokens, prefix_tokens, output_tokens : number
        Per request: to compute, found in the cache, to write. [tokens]
    slots : number
        Requests that the cache and the engine's limit let run together. [requests]
    budget_tokens : number
        Most tokens of a step. [tokens]
    mixes : number
        1 where prompts and decoding share a step, 0 where prompts have steps of their own.
    verified_tokens, tokens_per_step : number
        Tokens checked and tokens won per sequence and step; both 1 without drafts.
    draft_steps : number
        Draft passes per step.
    front_s : number
        Host work before the first step of a request. [s]
    first_burst_share : number
        Share of the requests that arrive together at the start of a measurement.
    spread : number
        Standard deviation of lengths over their mean.
    drift : number
        How fast spread lengths pull requests apart that began together.
    short_answers, long_answers : number
        How far short answers raise the mean pace of a burst, and long ones its end, for a spread of 1.
    request_s : number
        Host work per request that nothing overlaps. [s]
    waited_steps : number
        Steps that a new prompt waits for: half of the one that runs, or until data-parallel ranks start prompts together.
    stream_s : number
        Host work of the server to hand over one token of each sequence of the rank, beside the steps; 0 where nothing is streamed. [s]
    """

    prompt_tokens: Any
    prefix_tokens: Any
    output_tokens: Any
    slots: Any
    budget_tokens: Any
    mixes: Any
    verified_tokens: Any
    tokens_per_step: Any
    draft_steps: Any
    front_s: Any
    first_burst_share: Any
    spread: Any
    drift: Any
    short_answers: Any
    long_answers: Any
    request_s: Any
    waited_steps: Any
    stream_s: Any = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    """What one rank delivers.

    Parameters
    ----------
    ttft_s, tpot_s, tpot_p95_s : number
        Time to the first token; between tokens, mean and slowest twentieth of the requests. [s]
    output_tokens_per_s : number
        Of the rank. [tokens/s]
    running : number
        Sequences that decode together. [sequences]
    decode_s, prefill_s : number
        A step without prompts; what a prompt adds. [s]
    wait_s : number
        Part of ``ttft_s`` that is spent waiting. [s]
    parts : Parts
        Where a step without prompts goes.
    """

    ttft_s: Any
    tpot_s: Any
    tpot_p95_s: Any
    output_tokens_per_s: Any
    running: Any
    decode_s: Any
    prefill_s: Any
    wait_s: Any
    parts: Parts


@dataclass(frozen=True, slots=True)
class _Pace:
    parts: Parts
    decode_s: Any  # a step without prompts, drafts included
    own_s: Any  # the steps that carry one prompt when no other waits
    added_s: Any  # what one prompt adds to the time of the others
    full_s: Any  # a step filled with prompts
    share_s: Any  # what one of many waiting prompts takes: its share of full steps


def _pace(work: Work, speeds: Speeds, traffic: Traffic, running: Any) -> _Pace:
    """Times with so many sequences decoding."""
    context = traffic.prefix_tokens + traffic.prompt_tokens + traffic.output_tokens / 2
    lane = running / speeds.pp
    parts = step_parts(work, speeds, sequences=lane, context_tokens=context, verified_tokens=traffic.verified_tokens)
    plain = parts.seconds
    decode = plain * (1 + traffic.draft_steps * work.draft_share) + traffic.draft_steps * speeds.step_s
    room = maximum(traffic.budget_tokens - lane * traffic.verified_tokens * traffic.mixes, traffic.budget_tokens / 4)
    # prompts that start in one step: one, or as many as requests end in it
    group = maximum(1, running * traffic.tokens_per_step / speeds.pp / maximum(traffic.output_tokens, 1))
    chunk = minimum(traffic.prompt_tokens * group, room)
    chunks = chunk_count(prompt_tokens=traffic.prompt_tokens * group, chunk_tokens=room)
    before = traffic.prefix_tokens + maximum(traffic.prompt_tokens - chunk, 0) / 2

    def with_prompt(tokens: Any, prompts: Any) -> Any:
        step = step_parts(
            work,
            speeds,
            sequences=lane * traffic.mixes,
            context_tokens=context,
            verified_tokens=traffic.verified_tokens,
            prefill_tokens=tokens,
            prefix_tokens=before,
            prefill_sequences=prompts,
            prompt_tokens=traffic.prompt_tokens,
        ).seconds
        return maximum(step, work.kernels * speeds.eager_s + speeds.step_s)

    single = with_prompt(chunk, group / chunks)
    full = with_prompt(room, room / maximum(traffic.prompt_tokens, 1))
    added = maximum(chunks * (single - decode * traffic.mixes), chunks * single * 0.02) / speeds.pp / group
    share = traffic.prompt_tokens / room * full / speeds.pp
    own = chunk_count(prompt_tokens=traffic.prompt_tokens, chunk_tokens=room) * single
    return _Pace(parts, decode, own, added, full, minimum(share, own))


def _tpot(pace: _Pace, traffic: Traffic, running: Any, disturbed: Any) -> Any:
    """Mean pace; where prompts and decoding share steps it is never slower than a step full of prompts."""
    tpot = time_per_output_token(
        decode_step_s=pace.decode_s,
        prefill_s=pace.added_s * disturbed,
        sequences=running,
        output_tokens=maximum(traffic.output_tokens - 1, 1),
        tokens_per_step=traffic.tokens_per_step,
    )
    most = maximum(pace.full_s, pace.decode_s) / traffic.tokens_per_step
    return maximum(where(traffic.mixes > 0, minimum(tpot, most), tpot), running * traffic.stream_s)


def settled(answer: Callable[[Any], Any], start: Any, most: Any) -> Any:
    """Where what runs is what the service then lets run, between 0 and ``most``: the secant of the last two trials, halves where it strays."""
    last, last_gap = start, answer(start) - start
    low, high = where(last_gap > 0, start, most * 0.0), where(last_gap > 0, most, start)
    at = start + last_gap
    for _ in range(ROUNDS):
        gap = answer(at) - at
        low, high = where(gap > 0, at, low), where(gap > 0, high, at)
        guess = at - gap * (at - last) / (gap - last_gap - _NEVER_ZERO)
        last, last_gap = at, gap
        half = (low + high) / 2
        at = where(guess >= low, where(guess <= high, guess, half), half)
    return at


def closed_loop(work: Work, speeds: Speeds, traffic: Traffic, requests: Any) -> Service:
    """A fixed number of requests in flight: each that ends is replaced at once."""
    inside = minimum(requests, traffic.slots)
    steps = maximum(traffic.output_tokens - 1, 0.01)
    # equal answers end in one step and their successors' prompts stand in one queue; spread lengths pull them apart
    together = (1 - traffic.mixes) / (1 + traffic.drift * traffic.spread * steps)

    def turn(running: Any) -> tuple[_Pace, Any, Any, Any, Any]:
        """Pace, service of a prompt, time between tokens, time of the answer, time until it starts."""
        pace = _pace(work, speeds, traffic, running)
        served = where(traffic.mixes > 0, pace.share_s, pace.added_s)
        tpot = _tpot(pace, traffic, running, 1 - together / 2)
        think = steps * tpot
        mixed = closed_response_seconds(service_s=served, think_s=think, customers=inside) - served
        # where prompts stop the others, nobody ends meanwhile: only those that ended in the same step are in front
        apart = burst_wait_seconds(requests=maximum(maximum(inside * together, running / steps), 1), service_s=served)
        return pace, served, tpot, think, pace.own_s + where(traffic.mixes > 0, mixed, apart)

    def running_then(running: Any) -> Any:
        _, _, _, think, response = turn(running)
        return inside * think / (think + response)

    running = settled(running_then, inside * 0.9, inside)
    pace, served, tpot, think, response = turn(running)
    late = traffic.first_burst_share * (1 - together) * burst_wait_seconds(requests=inside, service_s=served)
    queue = slot_wait_seconds(customers=requests, slots=inside, slot_s=think + response)
    wait = response - pace.own_s + late + queue + pace.decode_s * traffic.waited_steps
    ttft = traffic.front_s + pace.own_s + wait
    rate = requests * traffic.output_tokens / request_seconds(ttft_s=ttft, tpot_s=tpot, output_tokens=traffic.output_tokens)
    return Service(ttft, tpot, _slow(tpot, pace, traffic, running), rate, running, pace.decode_s, pace.added_s, wait, pace.parts)


def _slow(tpot: Any, pace: _Pace, traffic: Traffic, running: Any) -> Any:
    """Pace of the slowest twentieth: more prompts than usual fell into their time (their number is a Poisson variable), longer contexts."""
    more = 1.645 * maximum(running, 1e-9) ** 0.5 * (1 + traffic.spread)
    return tpot + minimum(more * pace.added_s / maximum(traffic.output_tokens, 1), tpot)


def burst(work: Work, speeds: Speeds, traffic: Traffic, requests: Any) -> Service:
    """All requests arrive at the same moment and nobody comes after."""
    steady = closed_loop(work, speeds, traffic, minimum(requests, traffic.slots))
    inside = minimum(requests, traffic.slots)
    waves = requests / inside
    again = minimum(maximum(waves - 1, 0), 1)  # 0 where all run together, 1 where slots are filled anew for at least one more wave
    out = maximum(traffic.output_tokens, 1)
    pace = _pace(work, speeds, traffic, steady.running * (0.8 + 0.2 * again))
    served = where(traffic.mixes > 0, pace.share_s, pace.added_s)
    short = 1 + traffic.short_answers * traffic.spread**2  # the mean over requests weighs those with few tokens more
    # all together: a request sees half of the prompts go by, in full steps while it decodes, or standing still
    own = maximum(pace.decode_s / traffic.tokens_per_step, inside * traffic.stream_s)
    passing = minimum(inside * served / 2 / maximum(pace.full_s, 1e-9), out)
    beside = (passing * maximum(pace.full_s, own) + (out - passing) * own) / out
    apart = own + inside * served / 2 / out * short
    once = where(traffic.mixes > 0, beside, apart)
    tpot = once * (1 - again) + again * where(traffic.mixes > 0, steady.tpot_s, own + steady.running * pace.added_s / out * short)
    first = burst_wait_seconds(requests=inside, service_s=served)
    per_request = out / steady.output_tokens_per_s
    # whoever finds no slot starts when one ends: they end as fast as requests are served
    later = (requests - inside) / requests * (requests + inside) / 2 * maximum(per_request, served)
    ttft = traffic.front_s + traffic.request_s * inside + pace.own_s + first / waves + later
    tail = 1 + traffic.spread * traffic.long_answers / waves
    together = requests * served + maximum(out * own * tail - passing * own * traffic.mixes, 0)
    span = (
        together * (1 - again)
        + again * (requests * maximum(per_request, served) + out * own * 0.5 * tail)
        + traffic.front_s
        + traffic.request_s * inside
    )
    rate = requests * traffic.output_tokens / span
    wait = ttft - pace.own_s - traffic.front_s
    return Service(ttft, tpot, _slow(tpot, pace, traffic, steady.running), rate, steady.running, pace.decode_s, pace.added_s, wait, pace.parts)


def open_loop(work: Work, speeds: Speeds, traffic: Traffic, request_rate_per_s: Any) -> tuple[Service, Any]:
    """Requests arrive at random moments at a mean rate: the service, and the highest rate that it can hold. [requests/s]"""
    limit = closed_loop(work, speeds, traffic, traffic.slots)
    most = limit.output_tokens_per_s / maximum(traffic.output_tokens, 1)
    offered = minimum(request_rate_per_s, most * 0.999)
    steps = maximum(traffic.output_tokens - 1, 0.01)

    def running_then(running: Any) -> Any:
        return minimum(offered * steps * _tpot(_pace(work, speeds, traffic, running), traffic, running, 1.0), traffic.slots)

    running = settled(running_then, traffic.slots * 0.1, traffic.slots)
    pace = _pace(work, speeds, traffic, running)
    tpot = _tpot(pace, traffic, running, 1.0)
    served = where(traffic.mixes > 0, pace.share_s, pace.added_s)
    load = minimum(utilisation(request_rate_per_s=offered, service_s=served), 0.98)
    wait = open_wait_seconds(utilisation=load, service_s=served, variation=traffic.spread**2) + pace.decode_s * traffic.waited_steps
    ttft = traffic.front_s + pace.own_s + wait
    rate = offered * traffic.output_tokens
    return Service(ttft, tpot, _slow(tpot, pace, traffic, running), rate, running, pace.decode_s, pace.added_s, wait, pace.parts), most
