"""Engines that place a model and a cache of known length: no pool takes what is left, so the operator sizes the batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Rank
from gpusizer.facts.types import Accelerator

__all__ = ["PlacedEngine", "safely_free", "tightest"]


class PlacedEngine(Engine):
    """An engine whose cache is as large as its operator asks."""

    @abstractmethod
    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start that serves so many requests, or as many as fit on the safe side; at least one."""


def tightest(ranks: Sequence[Rank]) -> int:
    """Index of the GPU with the least room left."""
    return min(range(len(ranks)), key=lambda index: ranks[index].items[-1].bytes)


def safely_free(rank: Rank) -> bool:
    """Whether a GPU still has room when every line ends up high.

    The deviations are added, not taken as independent: nothing yields here as a pool does, a batch that does not fit ends the process, and the lines
    that grow with the batch (cache, widest moment, blocks that the allocator keeps) are off together.
    """
    *lines, free = rank.items
    return free.bytes >= sum(line.high_bytes - line.bytes for line in lines)
