"""A need that a trace states: its rate and mean lengths for the search, the requests themselves for the simulation."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.performance.simulation.requests import Requests
from gpusizer.performance.simulation.trace import read_trace
from gpusizer.planning.need import Need, need_of
from gpusizer.planning.request import Request

__all__ = ["TracedNeed", "traced_need"]

TracedNeed = tuple[Request, Need, Requests | None]


def traced_need(request: Request) -> TracedNeed:
    """What a request asks for, with what its trace says; without a trace the request as it is.

    Parameters
    ----------
    request : Request
        What was said comes before what the trace says; contexts hold the longest request of the trace.

    Returns
    -------
    tuple of Request, Need and Requests or None
        The request with rate and lengths, the need, and the trace.
    """
    if request.trace is None:
        return request, need_of(request), None
    trace = read_trace(request.trace)
    count = len(trace.arrival_s)
    rate = trace.offered_per_s
    said = replace(
        request,
        input_tokens=request.input_tokens or max(round(sum(trace.input_tokens) / count), 1),
        output_tokens=request.output_tokens or max(round(sum(trace.output_tokens) / count), 1),
        context_tokens=None,
        request_rate=request.request_rate or rate,
        concurrency=request.concurrency or (count if rate is None else None),
    )
    longest = max(map(sum, zip(trace.input_tokens, trace.output_tokens, strict=True)))
    need = need_of(said)
    return said, replace(need, context_tokens=max(longest, need.context_tokens, request.context_tokens or 0)), trace
