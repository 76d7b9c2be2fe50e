"""One data-parallel rank as it is served: its work and speeds, what it is asked to do, what that costs beside steps, and what it delivers.

Every number may be a NumPy column.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpusizer.performance.step_time import Speeds
from gpusizer.performance.step_work import StepWork

__all__ = ["ServedRank", "Service", "ServingConstants", "Traffic"]


class Traffic(NamedTuple):
    """What one data-parallel rank is asked to do.

    Parameters
    ----------
    prompt_tokens, prefix_tokens, output_tokens : number
        Per request: to compute, found in the cache, to write. [tokens]
    places : number
        Requests that the cache and the engine's limit let run together. [requests]
    budget_tokens : number
        Most tokens of a step. [tokens]
    shares_steps : bool
        Prompts and decoding share a step; else prompts have steps of their own.
    verified_tokens, tokens_per_step : number
        Tokens checked and tokens won per sequence and step; both 1 without drafts.
    draft_steps : number
        Draft passes per step.
    first_burst_share : number
        Share of the requests that arrive together at the start of a measurement.
    spread : number
        Standard deviation of lengths over their mean.
    """

    prompt_tokens: Any
    prefix_tokens: Any
    output_tokens: Any
    places: Any
    budget_tokens: Any
    shares_steps: Any
    verified_tokens: Any
    tokens_per_step: Any
    draft_steps: Any
    first_burst_share: Any
    spread: Any


class ServingConstants(NamedTuple):
    """Fixed costs of an engine beside its steps, and how requests behave.

    Parameters
    ----------
    admission_s : number
        Host work before the first step of a request. [s]
    request_s : number
        Host work per request that nothing overlaps. [s]
    stream_s : number
        Host work of the server to hand over one token of each sequence of the rank, beside the steps; 0 where nothing is streamed. [s]
    waited_steps : number
        Steps that a new prompt waits for: half of the one that runs, or until data-parallel ranks start prompts together.
    first_burst : number
        Weight of the burst at the start of a measurement.
    desynchronisation : number
        How fast spread lengths pull requests apart that began together. [1/tokens]
    short_answer_weight, long_answer_weight : number
        How far short answers raise the mean pace of a burst, and long ones its end, for a spread of 1.
    room_share, added_share : number
        Of a step's tokens that prompts always have; of its own step that a prompt always adds.
    burst_running, last_wave : number
        Of the places that a burst fills on average; of an answer that the last wave adds.
    most_arrivals, most_utilisation : number
        Of what can be served; of the time that prefill is busy: beyond, queues have no mean.
    slow_deviations : number
        Where the slowest twentieth begins. [standard deviations]
    """

    admission_s: Any
    request_s: Any
    stream_s: Any
    waited_steps: Any
    first_burst: Any
    desynchronisation: Any
    short_answer_weight: Any
    long_answer_weight: Any
    room_share: Any
    added_share: Any
    burst_running: Any
    last_wave: Any
    most_arrivals: Any
    most_utilisation: Any
    slow_deviations: Any


class ServedRank(NamedTuple):
    """One data-parallel rank: its work, its speeds, what it is asked to do, and what that costs beside its steps."""

    work: StepWork
    speeds: Speeds
    traffic: Traffic
    constants: ServingConstants


class Service(NamedTuple):
    """What one rank delivers.

    Parameters
    ----------
    ttft_s, tpot_s, tpot_p95_s : number
        Time to the first token; between tokens, mean and slowest twentieth of the requests. [s]
    output_tokens_per_s : number
        Of the rank. [tokens/s]
    running : number
        Sequences that decode together. [sequences]
    """

    ttft_s: Any
    tpot_s: Any
    tpot_p95_s: Any
    output_tokens_per_s: Any
    running: Any
