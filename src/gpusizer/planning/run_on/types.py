"""What runs: rows of models, each with its start, and what the machines lack for others. Plain data, no words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.types import Deployment, Fit, Section
from gpusizer.facts.gguf_files import GgufSize, gguf_sizes
from gpusizer.facts.model_list import ListedModel
from gpusizer.performance.types import Performance
from gpusizer.planning.companions import Placed
from gpusizer.planning.need import Need
from gpusizer.planning.option_speeds import OptionSpeeds
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.request import RunOnRequest

__all__ = ["NO", "OFFLOADED", "Row", "RunOn", "Start"]

OFFLOADED, NO = "offloaded", "no"
"""Verdicts beside those of a plan's options: part of the weights lies in memory of the host; it does not run."""


@dataclass(frozen=True)
class Start:
    """How a model is started on one kind of the GPUs.

    Parameters
    ----------
    group : Group
        Those GPUs.
    architecture : Architecture
        The model in the precision that is loaded.
    launch : Deployment
        The start: only what differs from the engine's defaults.
    fit : Fit
        Its verdict, with every default filled in.
    verdict : str
        "fits", "tight" or "offloaded".
    speeds : OptionSpeeds or None
        Times and rates at the need; None for what writes nothing.
    companions : tuple of Placed
        Models beside it, each on its GPU.
    """

    group: Group
    architecture: Architecture
    launch: Deployment
    fit: Fit
    verdict: str
    speeds: OptionSpeeds | None
    companions: tuple[Placed, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.launch.layout.gpus

    @property
    def replicas(self) -> int:
        """Copies for which there is room on the GPUs of this kind."""
        return self.group.gpus // self.gpus

    @property
    def host_bytes(self) -> int | None:
        """What it takes of the memory of the host, the system apart; None where the engine's account does not tell. [bytes]"""
        lines = self.fit.host_items
        return sum(line.bytes for line in lines if line.section != Section.OUTSIDE) if lines else None

    @property
    def tokens_per_s(self) -> float:
        """What one request sees; endless of what writes nothing, 0 where no speed is known. [tokens/s]"""
        if self.speeds is None:
            return inf
        return 0.0 if self.performance is None else 1 / self.performance.tpot_s.value

    @cached_property
    def performance(self) -> Performance | None:
        """Times and rates of one replica under the need; None where no speed is known."""
        return None if self.speeds is None else self.speeds.performance


@dataclass(frozen=True)
class Row:
    """One model.

    Parameters
    ----------
    model : ListedModel
        What the catalogue says of it.
    start : Start or None
        How it runs; None where it does not.
    reason : Notice or None
        Why it does not.
    remedies : tuple of Notice
        What would make it run, words under "remedy".
    standing : float
        Parameters that decide its place; 0 where it does not run. [parameters]
    slow : tuple of Notice
        What is said where it is slower than a person would call usable.
    """

    model: ListedModel
    start: Start | None
    reason: Notice | None = None
    remedies: tuple[Notice, ...] = ()
    standing: float = 0.0
    slow: tuple[Notice, ...] = ()

    @property
    def published(self) -> tuple[GgufSize, ...]:
        """Files of this model that somebody publishes and that find the same room, the largest first; empty for other engines than those of GGUF."""
        start = self.start
        if start is None or not declaration(start.launch.engine).takes_gguf or start.verdict == OFFLOADED:
            return ()
        room = checkpoint_bytes(start.architecture, mtp=False) + start.fit.free_bytes
        return tuple(each for each in reversed(gguf_sizes(self.model.id)) if each.size_bytes <= room)

    @property
    def verdict(self) -> str:
        """ "fits", "tight", "offloaded" or "no"."""
        return NO if self.start is None else self.start.verdict


@dataclass(frozen=True)
class RunOn:
    """The answer.

    Parameters
    ----------
    request : RunOnRequest
        What was asked.
    machine : Machine
        The GPUs and the host.
    need : Need
        The load, every part filled in.
    rows : tuple of Row
        Models that run, the best first.
    beyond : tuple of Row
        Models that would stand before the best and do not run, the nearest first.
    by_use : tuple of (str, tuple of Row)
        The rows of each use, those that were looked for.
    """

    request: RunOnRequest
    machine: Machine
    need: Need
    rows: tuple[Row, ...]
    beyond: tuple[Row, ...]
    by_use: tuple[tuple[str, tuple[Row, ...]], ...]
