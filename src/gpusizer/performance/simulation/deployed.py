"""A deployment as the simulation serves it: ranks with the engine's own limits, on the step times of the closed forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from gpusizer.engines import find_declaration
from gpusizer.engines.base.types import Deployment
from gpusizer.formulas.communication import transfer_seconds
from gpusizer.performance.concurrency import CacheRoom, cache_room, memory_answer
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.predict import Question
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.set_up import set_up
from gpusizer.performance.simulation.rank import Limits, Rank
from gpusizer.performance.simulation.requests import Requests
from gpusizer.performance.simulation.run import Costs, Outcome, run
from gpusizer.performance.simulation.step_clock import StepClock
from gpusizer.performance.split_serving import kept_bytes

__all__ = ["Served", "served_by"]

HALF_A_STEP = 0.5  # what a prompt waits for the running step by itself


class Served:
    """A deployment that can be run over and again: what was learnt of its step times stays.

    Parameters
    ----------
    question : Question
        Deployment, replicas, typical load, and workers for prompts.
    most_ranks : int
        Ranks that are simulated; the load is cut where there are more of them.
    """

    def __init__(self, question: Question, most_ranks: int = 64) -> None:
        self.question = question
        self.fit = question.fit or memory_answer(question.architecture, question.accelerator, question.deployment, question.load)
        self.rank = set_up(question.architecture, question.accelerator, self.fit, question.load, built=question.built)
        self.all_ranks = question.deployment.dp * question.replicas
        self.ranks = min(self.all_ranks, most_ranks)
        self.room = cache_room(self.rank.work, question.accelerator, self.fit, question.load)
        self.limits = _limits(self.rank, self.fit.deployment, self.room, "whole" if question.prefill is None else "answers")
        self._clock = StepClock(self.rank)
        self._prompts: tuple[StepClock, Limits, int] | None = None
        if question.prefill is not None:
            pool = question.prefill
            fit = memory_answer(question.architecture, question.accelerator, pool.deployment, question.load)
            rank = set_up(question.architecture, question.accelerator, fit, question.load, built=question.built)
            room = cache_room(rank.work, question.accelerator, fit, question.load)
            count = pool.workers * pool.deployment.dp
            self._prompts = StepClock(rank), _limits(rank, fit.deployment, room, "prompts"), max(count * self.ranks // self.all_ranks, 1)

    @property
    def share(self) -> float:
        """Of the deployment that is simulated."""
        return self.ranks / self.all_ranks

    def run(self, requests: Requests, progress: Callable[[int], None] | None = None) -> Outcome:
        """Serve requests."""
        pools = [[Rank(self._clock, self.limits) for _ in range(self.ranks)]]
        costs = _costs(self.rank, self.fit.deployment)
        if self._prompts is not None:
            clock, limits, count = self._prompts
            pools.insert(0, [Rank(clock, limits) for _ in range(count)])
            constants = speed_constants()
            costs = costs._replace(
                handover=partial(
                    _handover_s,
                    kept_bytes(self.rank.work),
                    network_bytes_per_s(constants),
                    constants.of("split_wait", "all"),
                )
            )
        return run(requests, pools, costs, progress)


def served_by(question: Question) -> Served:
    """A deployment to be simulated."""
    return Served(question)


def _handover_s(token_bytes: float, bytes_per_s: float, latency_s: float, tokens: float) -> float:
    return float(transfer_seconds(moved_bytes=token_bytes * tokens, bytes_per_s=bytes_per_s, latency_s=latency_s))


def _limits(rank: ServedRank, deployment: Deployment, room: CacheRoom, part: str) -> Limits:
    traffic, declared = rank.traffic, find_declaration(deployment.engine)
    return Limits(
        budget_tokens=float(traffic.budget_tokens),
        shares_steps=bool(traffic.shares_steps),
        cache_tokens=room.tokens,
        most_running=room.most_requests,
        reserves=room.reserves_answers,
        prefix_tokens=int(traffic.prefix_tokens),
        rounding_tokens=((deployment.block_size or 1) - 1) / 2 if room.tokens < inf else 0.0,
        tokens_per_step=float(traffic.tokens_per_step),
        verified_tokens=float(traffic.verified_tokens),
        stages=int(rank.speeds.pp),
        part=part,
        polled_steps=_count_of(deployment, "scheduler_recv_interval"),
        keeps_margin=declared is not None and declared.admits_with_margin,
    )


def _count_of(deployment: Deployment, flag: str) -> int:
    """A flag that is a whole number; 1 where it was not given."""
    value = deployment.flags.get(flag, 1)
    return max(int(value), 1) if isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal() and len(value) < 10) else 1


def _costs(rank: ServedRank, deployment: Deployment) -> Costs:
    constants = rank.constants
    waited = float(constants.waited_steps) - HALF_A_STEP if deployment.dp > 1 else 0.0
    return Costs(float(constants.admission_s), float(constants.request_s), max(waited, 0.0))
