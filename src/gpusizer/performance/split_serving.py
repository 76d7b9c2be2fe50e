"""Prompts on workers of their own: the first queue is theirs, the second that of the decoding workers, and the cache moves between them."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.communication import transfer_seconds
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.latency import request_seconds
from gpusizer.formulas.queueing import burst_wait_seconds, closed_response_seconds, slot_wait_seconds
from gpusizer.performance.serving import Service, Traffic, _pace, _slow, settled
from gpusizer.performance.step_speeds import NETWORK_BYTES_PER_S
from gpusizer.performance.step_time import Speeds
from gpusizer.performance.step_work import UNBOUNDED_ROWS, Work

__all__ = ["split_loop"]


def split_loop(
    work: Work,
    speeds: Speeds,
    traffic: Traffic,
    ranks: Any,
    ahead: Work,
    ahead_speeds: Speeds,
    ahead_traffic: Traffic,
    ahead_ranks: Any,
    requests: Any,
    input_tokens: Any,
    handover_s: Any,
) -> tuple[Service, Any]:
    """A fixed number of requests in flight between prefill and decode workers: the service, and its rate. [tokens/s]"""
    steps = maximum(traffic.output_tokens - 1, 0.01)
    alone = _pace(ahead, ahead_speeds, ahead_traffic, 0.0)
    # one prompt after the other on each prefill rank; together they are a server that much faster
    served = maximum(minimum(alone.share_s, alone.own_s), 1e-9) / ahead_ranks
    inside = minimum(requests / ranks, traffic.slots)

    def turn(running: Any) -> tuple[Any, Any, Any, Any]:
        """Pace, time between tokens, time of the answer, time at the prefill workers."""
        pace = _pace(work, speeds, traffic, running)
        tpot = pace.decode_s / traffic.tokens_per_step
        think = steps * tpot
        return pace, tpot, think, closed_response_seconds(service_s=served, think_s=think, customers=requests)

    def running_then(running: Any) -> Any:
        _, _, think, response = turn(running)
        return inside * think / (think + response)

    running = settled(running_then, inside * 0.7, inside)
    pace, tpot, think, response = turn(running)
    kept = [
        where(
            one.cap_rows + one.scan_bytes * UNBOUNDED_ROWS >= UNBOUNDED_ROWS,  # not a window
            one.layers * (one.row_bytes / one.ratio + one.scan_bytes),
            0.0,
        )
        for one in work.attends
    ]
    row_bytes = sum(kept)
    moved = transfer_seconds(moved_bytes=row_bytes * input_tokens, bytes_per_s=NETWORK_BYTES_PER_S, latency_s=handover_s)
    late = traffic.first_burst_share * burst_wait_seconds(requests=requests, service_s=served)
    queue = slot_wait_seconds(customers=requests / ranks, slots=inside, slot_s=think + response)
    wait = response - served + late + queue
    ttft = traffic.front_s + alone.own_s + moved + wait
    rate = requests * traffic.output_tokens / request_seconds(ttft_s=ttft, tpot_s=tpot, output_tokens=traffic.output_tokens)
    return Service(ttft, tpot, _slow(tpot, pace, traffic, running), rate / ranks, running, pace.decode_s, 0.0, wait, pace.parts), rate
