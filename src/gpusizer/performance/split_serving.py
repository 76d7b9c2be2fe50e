"""Prompts on workers of their own: the first queue is theirs, the second that of the decoding workers, and the cache moves between them."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpusizer.formulas.communication import transfer_seconds
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.queueing import closed_response_seconds, slot_wait_seconds
from gpusizer.formulas.serving.pace import pace_alone_seconds
from gpusizer.formulas.serving.rates import closed_rate_tokens_per_s
from gpusizer.formulas.serving.waits import running_requests, start_burst_seconds, ttft_seconds
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.served_rank import ServedRank, Service
from gpusizer.performance.serving import LEAST_STEPS, fixed_point, slow_pace
from gpusizer.performance.step_times import step_times
from gpusizer.performance.step_work import UNBOUNDED_ROWS, StepWork

__all__ = ["Handover", "kept_bytes", "split_loop"]

START = 0.7  # of the places, from where the number that runs is sought
LEAST_SERVICE_S = 1e-9


class Handover(NamedTuple):
    """What moves a prompt's cache from one worker to another.

    Parameters
    ----------
    tokens : number
        Of a prompt, cached ones included. [tokens]
    seconds : number
        Time of a hand-over beside the bytes. [s]
    bytes_per_s : number
        Bandwidth. [bytes/s]
    """

    tokens: Any
    seconds: Any
    bytes_per_s: Any


def split_loop(
    decode: ServedRank, decode_ranks: Any, prefill: ServedRank, prefill_ranks: Any, requests: Any, handover: Handover, note: Note = unnoted
) -> Service:
    """A fixed number of requests in flight between prefill and decode workers.

    Parameters
    ----------
    decode, prefill : ServedRank
        One rank of the decode workers and of the prefill workers.
    decode_ranks, prefill_ranks : number
        How many there are. [ranks]
    requests : number
        In flight. [requests]
    handover : Handover
        How the cache moves.
    note : Note
        Writes down the parts.

    Returns
    -------
    Service
        Of one decode rank.
    """
    traffic, constants = decode.traffic, decode.constants
    steps = maximum(traffic.output_tokens - 1, LEAST_STEPS)
    alone = step_times(prefill, 0.0)
    # one prompt after the other on each prefill rank; together they are a server that much faster
    served = maximum(alone.share_s, LEAST_SERVICE_S) / prefill_ranks
    inside = minimum(requests / decode_ranks, traffic.places)

    def turn(running: Any, noted: Note = unnoted) -> tuple[Any, Any, Any, Any]:
        """Added by a prompt, time between tokens, time of the answer, time at the prefill workers."""
        times = step_times(decode, running, noted)
        tpot = noted("tpot", pace_alone_seconds)(decode_step_s=times.decode_s, tokens_per_step=traffic.tokens_per_step, stream_s=0.0)
        response = noted("prefill_response", closed_response_seconds)(service_s=served, think_s=steps * tpot, customers=requests)
        return times, tpot, steps * tpot, response

    def then(running: Any) -> Any:
        _, _, think, response = turn(running)
        return running_requests(inside=inside, think_s=think, response_s=response)

    running = fixed_point(then, inside * START, inside)
    times, tpot, think, response = turn(running, note)
    moved_bytes = kept_bytes(decode.work) * handover.tokens
    moved = note("handover", transfer_seconds)(moved_bytes=moved_bytes, bytes_per_s=handover.bytes_per_s, latency_s=handover.seconds)
    share = traffic.first_burst_share * constants.first_burst
    ttft = note("ttft", ttft_seconds)(
        admission_s=constants.admission_s + moved,
        prompt_s=alone.own_s,
        queue_s=response - served,
        start_s=note("start_burst", start_burst_seconds)(share=share, together=0.0, inside=requests, served_s=served),
        slot_s=note("slot_wait", slot_wait_seconds)(customers=requests / decode_ranks, slots=inside, slot_s=think + response),
        step_wait_s=0.0,
    )
    flow = {"ttft_s": ttft, "tpot_s": tpot, "output_tokens": traffic.output_tokens}
    rate = note("rank_rate", closed_rate_tokens_per_s)(requests=requests / decode_ranks, **flow)
    slow = slow_pace(decode, tpot, times.added_s, running, note)
    return Service(ttft, tpot, slow, rate, running)


def kept_bytes(work: StepWork) -> Any:
    """Cache of one token that is handed over; windows are refilled in no time. [bytes]"""
    return sum(
        where(
            one.cap_rows + one.scan_bytes * UNBOUNDED_ROWS >= UNBOUNDED_ROWS,
            one.layers * (one.row_bytes / one.ratio + one.scan_bytes),
            0.0,
        )
        for one in work.attention
    )
