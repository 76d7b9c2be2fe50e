"""The events of a simulation in their order: arrivals, ends of steps, beginnings; and what every request saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from gpusizer.performance.simulation.rank import Item, Rank
from gpusizer.performance.simulation.requests import Requests

__all__ = ["Costs", "Outcome", "Sample", "run"]

MOST_SAMPLES = 400  # of the queue; then every other one is dropped
_ARRIVES, _ENDS, _BEGINS = range(3)  # of one moment in this order


class Costs(NamedTuple):
    """What a request costs beside the steps.

    Parameters
    ----------
    admission_s : float
        Host work before the first step. [s]
    request_s : float
        Host work of which nothing overlaps with that of another request. [s]
    waited_steps : float
        Steps that a prompt waits beside the one that runs, where ranks start prompts together. [steps]
    handover : callable
        Prompt [tokens] -> time to hand its cache to another worker [s].
    """

    admission_s: float = 0.0
    request_s: float = 0.0
    waited_steps: float = 0.0
    handover: Callable[[float], float] | None = None


class Sample(NamedTuple):
    """The deployment at one moment: requests that wait and that run, and the share of the cache that is held."""

    at_s: float
    waiting: int
    running: int
    kv_share: float


class Outcome(NamedTuple):
    """What happened, request by request.

    Parameters
    ----------
    arrival_s, first_s, end_s : list of float
        When each came, had its first token, and its last. [s]
    samples : list of Sample
        The queue over time.
    preemptions : int
        Requests that had to be computed anew.
    peak_kv_share : float
        Of the fullest rank.
    busy_share : float
        Of the time in which ranks worked, to the last end.
    """

    arrival_s: list[float]
    first_s: list[float]
    end_s: list[float]
    samples: list[Sample]
    preemptions: int
    peak_kv_share: float
    busy_share: float


class _Run:
    def __init__(self, requests: Requests, pools: Sequence[Sequence[Rank]], costs: Costs, progress: Callable[[int], None] | None) -> None:
        count = len(requests.arrival_s)
        self.requests, self.pools, self.costs, self.progress = requests, pools, costs, progress
        self.ranks = [rank for pool in pools for rank in pool]
        self.arrival = list(requests.arrival_s)
        self.first = [0.0] * count
        self.end = [0.0] * count
        self.events: list[tuple[float, int, int, Any]] = []  # moment, kind, order, and what: (item, stage), (rank, version) or rank
        self.serial = 0
        self.front_free = 0.0
        self.next = 0  # request that comes next
        self.ended = 0
        self.samples: list[Sample] = []
        self.sampled_at, self.interval = 0.0, 0.0

    def push(self, at: float, kind: int, what: Any) -> None:
        self.serial += 1
        heappush(self.events, (at, kind, self.serial, what))

    def come(self, at: float) -> None:
        """The next request arrives; it reaches a rank after the host has seen it."""
        number = self.next
        self.next += 1
        self.arrival[number] = at
        self.front_free = max(at, self.front_free) + self.costs.request_s
        prompt = max(self.requests.input_tokens[number] - self.ranks[0].limits.prefix_tokens, 1)
        item = Item(number, prompt, max(self.requests.output_tokens[number], 1))
        self.push(self.front_free + self.costs.admission_s, _ARRIVES, (item, 0))

    def dispatch(self, now: float, item: Item, stage: int) -> None:
        """To the rank with the least in flight."""
        rank = min(self.pools[stage], key=_in_flight)
        delay = 0.0 if item.delayed else self.costs.waited_steps * rank.decode_s()
        item.delayed = True
        if delay > 0:
            self.push(now + delay, _ARRIVES, (item, stage))
            return
        rank.waiting.append(item)
        if not rank.due:
            rank.due = True
            self.push(now, _BEGINS, rank)
        elif (end := rank.cut(now)) is not None:
            self.push(end, _ENDS, (rank, rank.version))

    def begin(self, now: float, rank: Rank) -> None:
        end, handed = rank.begin(now)
        for item in handed:
            self.first[item.number] = self.first[item.number] or now
        rank.due = end > now or bool(rank.prefilling or rank.decoding)
        if rank.due:
            self.push(end, _ENDS, (rank, rank.version))

    def finish(self, now: float, rank: Rank) -> None:
        begun, done, late = rank.finish()
        for item in begun:
            if rank.limits.part != "prompts" or item.left <= 0:
                self.first[item.number] = self.first[item.number] or now + late
        for item in done:
            if rank.limits.part == "prompts" and item.left > 0:
                moved = self.costs.handover(item.prompt + rank.limits.prefix_tokens) if self.costs.handover else 0.0
                item.computed = 0
                self.push(now + late + moved, _ARRIVES, (item, 1))
                continue
            self.end[item.number] = max(now, self.first[item.number])
            self.ended += 1
            if self.requests.clients and self.next < len(self.arrival):
                self.come(now)
        if self.progress is not None and done:
            self.progress(self.ended)
        self.push(now, _BEGINS, rank)
        if now >= self.sampled_at:
            self.sample(now)

    def sample(self, now: float) -> None:
        waiting = sum(len(rank.waiting) for rank in self.ranks)
        running = sum(rank.running for rank in self.ranks)
        share = max(_share(rank.held, rank) for rank in self.ranks)
        self.samples.append(Sample(now, waiting, running, share))
        if len(self.samples) >= MOST_SAMPLES:
            self.samples = self.samples[::2]
            self.interval = max((now - self.samples[0].at_s) / (MOST_SAMPLES / 2), self.interval)
        self.sampled_at = now + self.interval

    def loop(self) -> None:
        arrivals, clients, count = self.requests.arrival_s, self.requests.clients, len(self.arrival)
        for _ in range(min(clients, count)):
            self.come(0.0)
        events = self.events
        while True:
            while not clients and self.next < count and (not events or arrivals[self.next] <= events[0][0]):
                self.come(arrivals[self.next])
            if not events:
                return
            now, kind, _, what = heappop(events)
            if kind == _ARRIVES:
                item, stage = what
                self.dispatch(now, item, stage)
            elif kind == _ENDS:
                rank, version = what
                if rank.version == version:
                    self.finish(now, rank)
            else:
                self.begin(now, what)


def _in_flight(rank: Rank) -> int:
    return len(rank.waiting) + len(rank.prefilling) + len(rank.decoding)


def _share(held: float, rank: Rank) -> float:
    prefix = rank.limits.prefix_tokens
    return (held + prefix) / rank.limits.cache_tokens


def run(requests: Requests, pools: Sequence[Sequence[Rank]], costs: Costs = Costs(), progress: Callable[[int], None] | None = None) -> Outcome:  # noqa: B008
    """Serve the requests.

    Parameters
    ----------
    requests : Requests
        What comes.
    pools : sequence of sequence of Rank
        The ranks; with workers of their own for prompts those first.
    costs : Costs
        Beside the steps.
    progress : callable, optional
        Is told how many have ended.

    Returns
    -------
    Outcome
        Every request has its end.
    """
    one = _Run(requests, pools, costs, progress)
    one.loop()
    span = max(one.end, default=0.0) - min(one.arrival, default=0.0)
    busy = sum(rank.busy_s for rank in one.ranks) / (span * len(one.ranks)) if span > 0 else 0.0
    peak = max(_share(rank.peak, rank) for rank in one.ranks)
    return Outcome(one.arrival, one.first, one.end, one.samples, sum(rank.preempted for rank in one.ranks), peak, busy)
