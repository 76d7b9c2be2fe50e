"""One data-parallel rank of an engine, step by step: who is admitted, what a step carries, who ends, who is preempted.

Sequences that decode advance together, so that nobody is touched in a step but those that begin or end in it: an answer ends at a number of steps,
and steps that carry no prompt are taken many at once, up to the next end.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import ceil, inf
from typing import NamedTuple

from gpusizer.performance.simulation.step_clock import Clock, Prompts

__all__ = ["Item", "Limits", "Rank"]

GROWN = 0.1  # of their contexts that sequences may grow in steps that count as equal
FEW_STEPS = 16  # that always count as equal
# Of what running answers still write, sgl-project/sglang python/sglang/srt/environ.py: at first, at least, steps between the two, and steps
# that those who stay after a preemption are sure to have.
MARGIN, LEAST_MARGIN, MARGIN_STEPS, SURE_STEPS = 0.7, 0.7 * 0.14, 600, 20


class Limits(NamedTuple):
    """How an engine schedules.

    Parameters
    ----------
    budget_tokens : float
        Most tokens of a step, of each pipeline stage. [tokens]
    shares_steps : bool
        Prompts share a step with requests that already generate; else they have steps of their own, which come first.
    cache_tokens : float
        Room in the cache. [tokens]
    most_running : float
        Requests that run at once. [requests]
    reserves : bool
        Room for the whole answer is taken from the start; else the youngest is preempted when room runs out, and computed anew.
    keeps_margin : bool
        A share of what all running answers still write must find room before anybody is admitted; it falls from step to step.
    polled_steps : int
        New requests are looked for once in so many steps. [steps]
    prefix_tokens : int
        At the start of every prompt, cached and held once. [tokens]
    rounding_tokens : float
        Of the last block of a request, on average unused. [tokens]
    tokens_per_step, verified_tokens : float
        Tokens that a step yields and checks for a sequence; both 1 without drafts. [tokens]
    stages : int
        Of the pipeline.
    part : str
        "whole", or with workers of their own for prompts "prompts" and "answers".
    """

    budget_tokens: float = inf
    shares_steps: bool = True
    cache_tokens: float = inf
    most_running: float = inf
    reserves: bool = False
    prefix_tokens: int = 0
    rounding_tokens: float = 0.0
    tokens_per_step: float = 1.0
    verified_tokens: float = 1.0
    stages: int = 1
    part: str = "whole"
    keeps_margin: bool = False
    polled_steps: int = 1


class Item:
    """One request on its way through a rank: what is left to compute of its prompt, and to write of its answer."""

    __slots__ = ("computed", "delayed", "held", "left", "number", "prompt", "start", "turn")

    def __init__(self, number: int, prompt: int, answer: int) -> None:
        self.number = number
        self.prompt = prompt  # tokens to compute, those that were written before a preemption included
        self.left = answer  # tokens to write
        self.computed = 0
        self.held = 0.0  # tokens of the cache, taken when it was admitted
        self.start = self.turn = 0  # steps of the rank; which of its entries among the ends holds
        self.delayed = False


class Rank:
    """The state of a rank between steps, and during one.

    Parameters
    ----------
    clock : Clock
        How long steps take.
    limits : Limits
        How the engine schedules.
    """

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.clock, self.limits = clock, limits
        self.waiting: deque[Item] = deque()
        self.prefilling: list[Item] = []
        self.decoding: dict[int, Item] = {}
        self.room_tokens = limits.cache_tokens - limits.prefix_tokens
        self.held = 0.0  # tokens of the cache
        self.peak = 0.0
        self.preempted = 0
        self.busy_s = 0.0
        self.steps = 0
        self.due = False  # whether a step is under way or about to begin
        self.version = 0
        self._ends: list[tuple[int, int, Item]] = []
        self._turns = 0
        self._seen = 0  # of those that wait
        self._unpolled = 0  # steps since new requests were looked for
        self._contexts = 0.0  # of all that decode
        self._planned = self._advanced = 0.0  # tokens that those who decode were to write when they began, and that they wrote since
        self._margin = MARGIN if limits.keeps_margin else 0.0
        self._begun = self._each = self._late = 0.0
        self._now = 0  # steps of this turn
        self._advances = True
        self._chunks: list[tuple[Item, float]] = []

    @property
    def in_flight(self) -> int:
        """Requests here. [requests]"""
        return len(self.waiting) + len(self.prefilling) + len(self.decoding)

    @property
    def running(self) -> int:
        """Requests that were admitted. [requests]"""
        return len(self.prefilling) + len(self.decoding)

    def decode_s(self) -> float:
        """A step of those that decode now. [s]"""
        count = len(self.decoding)
        return self.clock.decode_s(count, self._contexts / count) if count else 0.0

    # ---- a step begins ---------------------------------------------------------------------------------------------

    def begin(self, now: float) -> tuple[float, list[Item]]:
        """Begin a step, or several equal ones: (their end, requests that were admitted with a prompt that is already computed)."""
        limits = self.limits
        evicted = bool(self.decoding) and not limits.reserves and self._make_room()
        room = limits.stages * limits.budget_tokens
        if limits.shares_steps:
            room = max(room - len(self.decoding) * limits.verified_tokens, 1.0)
        chunks: list[tuple[Item, float]] = []
        for item in self.prefilling:
            if room <= 0:
                break
            size = min(item.prompt - item.computed, room)
            chunks.append((item, size))
            room -= size
        handed: list[Item] = []
        if self._unpolled >= limits.polled_steps or not self.running:
            self._seen, self._unpolled = len(self.waiting), self._unpolled % limits.polled_steps
        while self._seen and room > 0 and not evicted and self._admits(self.waiting[0]):
            item = self.waiting.popleft()
            self._seen -= 1
            if limits.part == "answers":
                self._join(item)
                handed.append(item)
                continue
            self.prefilling.append(item)
            size = min(item.prompt, room)
            chunks.append((item, size))
            room -= size
        self.peak = max(self.peak, self.held)
        self._chunks, self._begun, self._late, self._now = chunks, now, 0.0, 1
        self._advances = bool(self.decoding) and (limits.shares_steps or not chunks)
        if chunks:
            self._each = self._with_prompts(chunks)
        elif self.decoding:
            self._each = self._equal_steps()
        else:
            return now, handed
        self.version += 1
        return now + self._now * self._each, handed

    def _admits(self, item: Item) -> bool:
        """Take room for the first that waits, where there is some."""
        limits = self.limits
        if self.running >= limits.most_running:
            return False
        need = item.prompt + limits.rounding_tokens + (item.left if limits.reserves else 0)
        grown = 0.0 if limits.reserves else len(self.decoding) * limits.tokens_per_step  # those that run have their room first
        if limits.keeps_margin:  # the share of running answers, and whole those that begin
            grown = max(grown, self._margin * (self._planned - self._advanced)) + item.left + sum(each.left for each in self.prefilling)
        if self.held + grown + need > self.room_tokens and self.running:
            return False
        item.held = need
        self.held += need
        return True

    def _make_room(self) -> bool:
        """Preempt the youngest until all others can go on; whether anybody was."""
        tokens = self.limits.tokens_per_step
        found = False
        while self.running > 1 and self.held + len(self.decoding) * tokens > self.room_tokens:
            found = True
            self.preempted += 1
            if self.prefilling:
                item = self.prefilling.pop()
                self.held -= item.held
            else:
                _, item = self.decoding.popitem()
                written = self._written(item)
                self._leave(item, written)
                item.turn = 0  # its entry among the ends is void
                item.prompt += int(written)
                item.left = max(item.left - int(written), 1)
            item.computed = 0
            self.waiting.appendleft(item)
            self._seen += 1
        if found and self.limits.keeps_margin and self._planned > 0:
            self._margin = min((self._advanced + SURE_STEPS * len(self.decoding)) / self._planned, 1.0)
        return found

    def _with_prompts(self, chunks: list[tuple[Item, float]]) -> float:
        """Time of a step with pieces of prompts; their first tokens come later by ``_late`` where stages follow one another. [s]"""
        limits = self.limits
        prefix = limits.prefix_tokens
        tokens = before = square = 0.0
        ending = 0
        for item, size in chunks:
            tokens += size
            before += size * (prefix + item.computed)
            square += size * size
            ending += item.computed + size >= item.prompt
        lanes = 1
        if limits.stages > 1:
            lanes = min(max(ceil(tokens / limits.budget_tokens), 1), limits.stages)
        prompts = Prompts(tokens / lanes, before / tokens, square / tokens / lanes, ceil(ending / lanes))
        count = len(self.decoding) if limits.shares_steps else 0
        context = self._contexts / count if count else 0.0
        whole = self.clock.prompts_s(count, context, prompts)
        if limits.stages == 1:
            return whole
        plain = self.clock.decode_s(count, context) if count else 0.0
        each = (lanes * whole + (limits.stages - lanes) * plain) / limits.stages
        self._late = max(whole - each, 0.0)
        return each

    def _equal_steps(self) -> float:
        """How many steps may be taken at once, and the time of each. [s]"""
        count, tokens = len(self.decoding), self.limits.tokens_per_step
        ends = self._ends
        while ends[0][2].turn != ends[0][1]:
            heappop(ends)
        context = self._contexts / count
        steps = min(ends[0][0] - self.steps, max(int(GROWN * context / tokens), FEW_STEPS))
        if not self.limits.reserves and self.room_tokens < inf:
            steps = min(steps, max(int((self.room_tokens - self.held) / (count * tokens)), 1))
        if len(self.waiting) > self._seen:
            steps = min(steps, self.limits.polled_steps - self._unpolled)
        self._now = max(steps, 1)
        return self.clock.decode_s(count, context + (self._now - 1) * tokens / 2)

    # ---- it ends ---------------------------------------------------------------------------------------------------

    def cut(self, now: float) -> float | None:
        """Somebody arrives during several equal steps: the end of the one that runs; None where there is nothing to cut. [s]"""
        if self._now <= 1:
            return None
        steps = max(ceil((now - self._begun) / self._each), 1)
        if steps >= self._now:
            return None
        self._now = steps
        self.version += 1
        return self._begun + steps * self._each

    def finish(self) -> tuple[list[Item], list[Item], float]:
        """The step is over: (requests whose prompt ended in it, those whose answer did, how much later first tokens are there)."""
        steps, tokens = self._now, self.limits.tokens_per_step
        self.busy_s += steps * self._each
        self._unpolled += steps
        done: list[Item] = []
        if self._advances:
            self.steps += steps
            grown = len(self.decoding) * tokens * steps
            self._contexts += grown
            self._advanced += grown
            if self.limits.keeps_margin:
                self._margin = max(self._margin - steps * (MARGIN - LEAST_MARGIN) / MARGIN_STEPS, LEAST_MARGIN)
            if not self.limits.reserves:
                self.held += grown
                self.peak = max(self.peak, self.held)
            ends = self._ends
            while ends and ends[0][0] <= self.steps:
                _, turn, item = heappop(ends)
                if item.turn == turn:
                    del self.decoding[item.number]
                    self._leave(item, self._written(item))
                    done.append(item)
        begun: list[Item] = []
        for item, size in self._chunks:
            item.computed += size  # type: ignore[assignment]
            if item.computed >= item.prompt:
                begun.append(item)
        if begun:
            self.prefilling = [item for item in self.prefilling if item.computed < item.prompt]
            done += [item for item in begun if not self._goes_on(item)]
        self._chunks, self._now = [], 1
        return begun, done, self._late

    def _goes_on(self, item: Item) -> bool:
        """Whether more follows than the token that came with the end of the prompt."""
        item.left -= 1
        if item.left > 0 and self.limits.part != "prompts":
            self._join(item)
            return True
        self.held -= item.held
        return False

    def _join(self, item: Item) -> None:
        """It decodes from the next step on."""
        self._turns += 1
        item.start, item.turn = self.steps, self._turns
        end = self.steps + max(ceil(item.left / self.limits.tokens_per_step - 1e-9), 1)
        self.decoding[item.number] = item
        self._contexts += self.limits.prefix_tokens + item.prompt
        self._planned += item.left
        heappush(self._ends, (end, item.turn, item))

    def _written(self, item: Item) -> float:
        """Tokens since it decodes. [tokens]"""
        return (self.steps - item.start) * self.limits.tokens_per_step

    def _leave(self, item: Item, written: float) -> None:
        self._contexts -= self.limits.prefix_tokens + item.prompt + written
        self._planned -= item.left
        self._advanced -= written
        self.held -= item.held + (0.0 if self.limits.reserves else written)
