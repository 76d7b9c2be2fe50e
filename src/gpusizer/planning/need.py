"""From what somebody said to what must be served: a scenario fills in what was left open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpusizer.architecture.types import Notice
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import scenario
from gpusizer.facts.types import Scenario
from gpusizer.formulas.latency import request_seconds
from gpusizer.formulas.load import concurrent_requests, in_flight_requests
from gpusizer.planning.request import Request

if TYPE_CHECKING:
    from gpusizer.performance.types import Performance

__all__ = ["DEFAULT_SCENARIO", "REASONING_SCENARIO", "Need", "need_in_flight", "need_of"]

DEFAULT_SCENARIO = "rag-knowledge-base"
"""Answers a need that says little: pieces of documents in, an answer out."""

REASONING_SCENARIO = "reasoning"
"""How long the answers of a model are that thinks first."""

SAID = ("concurrency", "users", "active_share", "request_rate", "input_tokens", "output_tokens", "context_tokens")


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
    said : frozenset of str
        Parts that were given: the others are the scenario's, or follow.
    request_rate, request_s : float or None
        Requests that arrive in a second and how long one takes, where the concurrency follows from both. [1/s, s]
    """

    concurrency: int
    users: int | None
    active_share: float | None
    input_tokens: int
    output_tokens: int
    context_tokens: int
    scenario: str | None
    said: frozenset[str] = frozenset()
    request_rate: float | None = None
    request_s: float | None = None

    @property
    def split(self) -> Notice | None:
        """How a context that was given alone is shared out; None for any other need."""
        if "context_tokens" not in self.said or self.said & {"input_tokens", "output_tokens"}:
            return None
        share = self.input_tokens / self.context_tokens
        return Notice("context-split", {"context_tokens": self.context_tokens, "input_share": share, "scenario": self.scenario or DEFAULT_SCENARIO})


def need_in_flight(need: Need, request_rate: float | None, speed: Performance | None) -> Need:
    """The need of requests that arrive at a rate: how many are in flight follows from how long one takes (Little's law); any other need as it is."""
    if request_rate is None or speed is None:
        return replace(need, request_rate=request_rate)
    seconds = request_seconds(ttft_s=speed.ttft_s.value, tpot_s=speed.tpot_s.value, output_tokens=need.output_tokens)
    at_once = int(in_flight_requests(request_rate_per_s=request_rate, request_s=seconds))
    return replace(need, concurrency=at_once, request_rate=request_rate, request_s=float(seconds))


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
    said = frozenset(name for name in SAID if getattr(request, name) is not None)
    load_known = bool(said & {"concurrency", "request_rate"}) or said >= {"users", "active_share"}
    lengths_known = len(said & {"input_tokens", "output_tokens", "context_tokens"}) > 1
    return Need(concurrency, users, share, *tokens, typical.id if not (load_known and lengths_known) or request.scenario else None, said)


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
