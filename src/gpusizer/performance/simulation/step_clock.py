"""Times of the steps of a rank on a grid: what is asked between two points lies on the line between them, so that a step costs microseconds."""

from __future__ import annotations

from math import exp, log, log1p
from typing import Protocol

from gpusizer.formulas.step.work import draft_step_seconds, prompt_step_seconds
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.step_time import Step, step_time

__all__ = ["Clock", "Prompts", "StepClock"]

EXACT = 24.0  # sequences or tokens up to which the grid has every whole number
GROWTH = log(1.06)  # from there on, from one point of the grid to the next
ROUGH = log(1.12)  # the same for what prompts add
COARSE = log(1.25)  # the same for lengths of contexts, on which steps depend along straight lines
PREFIX_SCALE = 256.0  # tokens: shorter prefixes are as good as none


class Prompts:
    """What a step computes of prompts.

    Parameters
    ----------
    tokens : float
        All together. [tokens]
    before : float
        Mean number of tokens before each piece, weighted with its length. [tokens]
    length : float
        Mean length of the pieces, weighted with it. [tokens]
    ending : int
        Prompts that end in the step. [requests]
    """

    __slots__ = ("before", "ending", "length", "tokens")

    def __init__(self, tokens: float, before: float, length: float, ending: int) -> None:
        self.tokens, self.before, self.length, self.ending = tokens, before, length, ending


class Clock(Protocol):
    """How long steps take."""

    def decode_s(self, sequences: int, context_tokens: float) -> float:
        """A step in which so many sequences of this mean length decode. [s]"""

    def prompts_s(self, sequences: int, context_tokens: float, prompts: Prompts) -> float:
        """A step that also carries prompts. [s]"""


class StepClock:
    """Times of the steps of one rank, computed where they are first asked for.

    With pipeline stages a step is one turn of all of them: each has a share of the sequences.

    Parameters
    ----------
    rank : ServedRank
        Work, speeds and traffic.
    """

    def __init__(self, rank: ServedRank) -> None:
        self._rank = rank
        self._stages = float(rank.speeds.pp)
        self._decode: dict[tuple[int, int], float] = {}
        self._plain: dict[tuple[int, int], float] = {}
        self._mixed: dict[tuple[int, ...], float] = {}

    def decode_s(self, sequences: int, context_tokens: float) -> float:
        """A step in which so many sequences of this mean length decode, drafts and the stream of tokens included. [s]"""
        low, share = _place(float(sequences), GROWTH)
        point, part = _place(context_tokens, COARSE)
        found = self._decode
        a = found.get((low, point))
        if a is None:
            a = self._fill_decode(low, point)
        b = found.get((low, point + 1))
        if b is None:
            b = self._fill_decode(low, point + 1)
        lower = a + (b - a) * part
        if share == 0.0:
            return lower
        a = found.get((low + 1, point))
        if a is None:
            a = self._fill_decode(low + 1, point)
        b = found.get((low + 1, point + 1))
        if b is None:
            b = self._fill_decode(low + 1, point + 1)
        return lower + (a + (b - a) * part - lower) * share

    def prompts_s(self, sequences: int, context_tokens: float, prompts: Prompts) -> float:
        """A step that also carries prompts. [s]"""
        size, over = _place(prompts.tokens, ROUGH)
        length, more = _place(prompts.length, ROUGH)
        rest = (round(log1p(prompts.before / PREFIX_SCALE) / ROUGH), length + (more > 0.5), _few(prompts.ending))
        if not sequences:
            return self._between(0, 0, size, over, rest)
        # near a point of the grid, what decodes costs more or less as it does without prompts
        running, point = _place(float(sequences), ROUGH)[0], _place(context_tokens, COARSE)[0]
        here = self._between(running, point, size, over, rest)
        return here + self.decode_s(sequences, context_tokens) - self._decode_at(running, point)

    def _decode_at(self, running: int, point: int) -> float:
        """A step without prompts at a point of the grid of those with prompts. [s]"""
        found = self._plain.get((running, point))
        if found is None:
            found = self._plain[running, point] = self._decode_seconds(_point(running, ROUGH), _point(point, COARSE))
        return found

    def _between(self, running: int, context: int, size: int, over: float, rest: tuple[int, int, int]) -> float:
        lower = self._prompts(running, context, size, rest)
        return lower + (self._prompts(running, context, size + 1, rest) - lower) * over if over else lower

    def _fill_decode(self, sequences: int, context: int) -> float:
        found = self._decode[sequences, context] = self._decode_seconds(_point(sequences, GROWTH), _point(context, COARSE))
        return found

    def _decode_seconds(self, running: float, context_tokens: float) -> float:
        rank, traffic = self._rank, self._rank.traffic
        step = Step(running / self._stages, context_tokens, float(traffic.verified_tokens))
        plain = step_time(rank.work, rank.speeds, step)
        seconds = draft_step_seconds(step_s=plain, drafts=traffic.draft_steps, draft_share=rank.work.draft_share, host_s=rank.speeds.step_s)
        # the server hands tokens over beside the steps, and may be the slower one
        return max(float(seconds), running * float(traffic.tokens_per_step * rank.constants.stream_s))

    def _prompts(self, running: int, context: int, size: int, rest: tuple[int, int, int]) -> float:
        key = (running, context, size, *rest)
        found = self._mixed.get(key)
        if found is not None:
            return found
        rank, (before, length, ending) = self._rank, rest
        sequences = _point(running, ROUGH)
        step = Step(
            sequences / self._stages,
            _point(context, COARSE),
            float(rank.traffic.verified_tokens),
            _point(size, ROUGH),
            PREFIX_SCALE * (exp(before * ROUGH) - 1.0),
            float(ending),
            max(_point(length, ROUGH), 1.0),
        )
        host_s = rank.speeds.step_s
        whole = prompt_step_seconds(
            step_s=step_time(rank.work, rank.speeds, step), kernels=rank.work.kernels.all, launch_s=rank.speeds.eager_s, host_s=host_s
        )
        found = self._mixed[key] = max(float(whole), sequences * float(rank.traffic.tokens_per_step * rank.constants.stream_s))
        return found


def _few(ending: int) -> int:
    """Prompts that end together, in steps of four from eight on."""
    return ending if ending <= 8 else min(ending // 4 * 4, 256)


def _place(value: float, growth: float) -> tuple[int, float]:
    """(point of the grid below a value, how far it is on the way to the next): whole numbers first, then steps of equal ratio."""
    if value <= EXACT:
        low = int(value)
        return low, value - low
    low = int(log(value / EXACT) / growth)
    start = EXACT * exp(low * growth)
    return int(EXACT) + low, min(max((value - start) / (start * (exp(growth) - 1.0)), 0.0), 1.0)


def _point(place: int, growth: float) -> float:
    return float(place) if place <= EXACT else EXACT * exp((place - EXACT) * growth)
