"""From what somebody said to what must be served: a scenario fills in what was left open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpusizer.errors import FlagError
from gpusizer.facts.catalog import scenario
from gpusizer.facts.types import Scenario
from gpusizer.formulas.latency import request_seconds
from gpusizer.formulas.load import concurrent_requests, in_flight_requests
from gpusizer.planning.request import Request

if TYPE_CHECKING:
    from gpusizer.performance.types import Performance

__all__ = ["DEFAULT_SCENARIO", "Need", "need_in_flight", "need_of"]

DEFAULT_SCENARIO = "knowledge-base"


@dataclass(frozen=True, slots=True)
class Need:
    """What must be served at the same moment, every part filled in.

    Parameters
    ----------
    concurrency : int
        Requests in flight. [requests]
    users, active_share : int or None, float or None
        Where the concurrency comes from; None when it was given itself. [people, share]
    input_tokens, output_tokens, context_tokens : int
        Of one request. [tokens]
    scenario : str or None
        Whose figures fill what was left open; None when everything was given.
    """

    concurrency: int
    users: int | None
    active_share: float | None
    input_tokens: int
    output_tokens: int
    context_tokens: int
    scenario: str | None


def need_in_flight(need: Need, request_rate: float | None, speed: Performance | None) -> Need:
    """The need of requests that arrive at a rate: how many are in flight follows from how long one takes (Little's law); any other need as it is."""
    if request_rate is None or speed is None:
        return need
    seconds = request_seconds(ttft_s=speed.ttft_s.value, tpot_s=speed.tpot_s.value, output_tokens=need.output_tokens)
    return replace(need, concurrency=int(in_flight_requests(request_rate_per_s=request_rate, request_s=seconds)))


def need_of(request: Request) -> Need:
    """Fill in what the request leaves open.

    Parameters
    ----------
    request : Request
        What was said.

    Returns
    -------
    Need
        Concurrency and tokens, all of them.

    Raises
    ------
    UnknownIdError
        No such scenario.
    FlagError
        Input, output and context that contradict each other.
    """
    typical = scenario(request.scenario or DEFAULT_SCENARIO)
    tokens = _tokens(request, typical)
    if request.concurrency is not None:
        concurrency, users, share = request.concurrency, None, None
    elif request.request_rate is not None and request.users is None:
        concurrency, users, share = 1, None, None  # known when it is known how long a request takes: need_in_flight
    else:
        users = request.users if request.users is not None else typical.users
        share = request.active_share if request.active_share is not None else typical.active_share
        concurrency = concurrent_requests(users=users, active_share=share)
    open_parts = request.concurrency is None or (request.context_tokens is None and None in (request.input_tokens, request.output_tokens))
    return Need(concurrency, users, share, *tokens, typical.id if open_parts or request.scenario else None)


def _tokens(request: Request, typical: Scenario) -> tuple[int, int, int]:
    given_in, given_out, context = request.input_tokens, request.output_tokens, request.context_tokens
    if context is None:
        tokens_in = given_in if given_in is not None else typical.input_tokens
        tokens_out = given_out if given_out is not None else typical.output_tokens
        return tokens_in, tokens_out, tokens_in + tokens_out
    if given_in is not None and given_out is not None and given_in + given_out != context:
        raise FlagError("tokens-contradict", input_tokens=given_in, output_tokens=given_out, context_tokens=context)
    if given_in is None and given_out is None:  # shared out as in the scenario
        given_out = max(1, context * typical.output_tokens // (typical.input_tokens + typical.output_tokens))
    tokens_out = given_out if given_out is not None else context - (given_in or 0)
    tokens_in = context - tokens_out
    if min(tokens_in, tokens_out) < (0 if context == 1 else 1):
        raise FlagError("tokens-contradict", input_tokens=tokens_in, output_tokens=tokens_out, context_tokens=context)
    return tokens_in, tokens_out, context
