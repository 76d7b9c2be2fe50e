"""Engines that place a model and a cache of known length: no pool takes what is left, so the operator sizes the batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Item, Rank
from gpusizer.facts.types import Accelerator

__all__ = ["PlacedEngine", "safe_room", "tightest"]


class PlacedEngine(Engine):
    """An engine whose cache is as large as its operator asks."""

    @abstractmethod
    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start that serves so many requests, or as many as fit on the safe side; at least one."""


def tightest(ranks: Sequence[Rank]) -> int:
    """Index of the GPU with the least room left."""
    return min(range(len(ranks)), key=lambda index: ranks[index].items[-1].bytes)


def safe_room(lines: Iterable[Item], device_total_bytes: int) -> int:
    """What is left of a GPU when every line ends up high, negative where that is too little. [bytes]

    The deviations are added, not taken as independent: nothing yields here as a pool does, a batch that does not fit ends the process, and the lines
    that grow with the batch (cache, widest moment, blocks that the allocator keeps) are off together.
    """
    return device_total_bytes - sum(line.high_bytes for line in lines)
