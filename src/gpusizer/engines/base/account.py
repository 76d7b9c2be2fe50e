"""The half of an account that engines with a pool share, without branches: blocks of each stage, the least over all stages, the verdict.

It runs on numbers, where each stage has its own figures, and on figures of a sheet, where one figure stands for all stages of a layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gpusizer.engines.base.launch import Stage
from gpusizer.engines.base.ledger import RECIPE_LINE
from gpusizer.engines.base.types import Item, Quantity
from gpusizer.formulas.core import greatest, kept, least, maximum, root, squared, where
from gpusizer.formulas.memory.budget import shortfall_bytes
from gpusizer.formulas.memory.cache_blocks import pool_blocks

__all__ = ["Conclusion", "Place", "Reason", "StageFigures", "Sum", "conclude", "left_of", "stage_blocks", "summed", "total_of"]


class Reason(IntEnum):
    """Why a start fails, in the order in which an engine finds out."""

    NONE = 0
    CANNOT_BE = 1  # device or layout; found before anything is computed
    REFUSED = 2  # the engine's own check before the cache
    NO_ROOM = 3
    CONTEXT = 4
    MEMORY = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A pipeline stage: 1 where it is the first or the last, and how many layers it holds."""

    first: Any
    last: Any
    layers: Any

    @classmethod
    def of(cls, stage: Stage) -> Place:
        """Where a stage of a start stands."""
        return cls(first=int(stage.first), last=int(stage.last), layers=len(stage.layers))


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of lines with the squares of their deviations, which are taken as independent; physical ends are added. [bytes, bytes squared]"""

    bytes: Any
    below_squares: Any
    above_squares: Any
    physical_below: int = 0
    physical_above: int = 0


def summed(items: Iterable[Item]) -> Sum:
    """Add lines up.

    Parameters
    ----------
    items : iterable of Item
        Lines of one GPU.

    Returns
    -------
    Sum
        Bytes, and squares of the deviations downwards and upwards.
    """
    value: Any = 0
    below: Any = 0.0
    above: Any = 0.0
    lines = tuple(items)
    ends = [line for line in lines if line.id == RECIPE_LINE]  # no sheet has one: it shows checkpoints whose lists are known
    physical = sum(line.bytes - line.low_bytes for line in ends), sum(line.high_bytes - line.bytes for line in ends)
    for line in lines:
        value = value + line.bytes
        if ends and line.id == RECIPE_LINE:
            continue
        below = below + squared(line.bytes - line.low_bytes)
        above = above + squared(line.high_bytes - line.bytes)
    if len(lines) < 2:
        return Sum(value, below, above, *physical)  # one line has a name already
    return Sum(kept("sum", value), kept("squares below", below), kept("squares above", above), *physical)


def total_of(found: Sum) -> Quantity:
    """A sum with its band. [bytes]"""
    low, high = found.bytes - root(found.below_squares), found.bytes + root(found.above_squares)
    return Quantity(found.bytes, _moved(low, -found.physical_below), _moved(high, found.physical_above))


def left_of(base: Any, *sums: Sum) -> Quantity:
    """What sums leave of a size, with its band: what weighs more leaves less. [bytes]"""
    rest, below, above = base, 0.0, 0.0
    physical_below = physical_above = 0
    for each in sums:
        rest, below, above = rest - each.bytes, below + each.above_squares, above + each.below_squares
        physical_below, physical_above = physical_below + each.physical_above, physical_above + each.physical_below
    rest = kept("available", rest)
    low, high = kept("available, low", rest - root(below)), rest + root(above)
    return Quantity(rest, _moved(low, -physical_below), _moved(high, physical_above))


def _moved(size: Any, by: int) -> Any:
    """A size moved by physical ends; a sheet, which has none, shows no sum."""
    return size + by if by else size


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What the verdict needs of one stage.

    Parameters
    ----------
    available : Quantity
        Left for the cache. [bytes]
    blocks : tuple
        Blocks that this is: value, low, high. [blocks]
    block_bytes : int
        Bytes of one block. [bytes]
    needed_blocks : int
        Blocks that must be there for the longest request to start. [blocks]
    used_bytes : int
        All lines but the pool. [bytes]
    later_bytes : int
        What of them need not be there at the start. [bytes]
    """

    available: Quantity
    blocks: tuple[Any, Any, Any]
    block_bytes: Any
    needed_blocks: Any
    used_bytes: Any
    later_bytes: Any


def stage_blocks(available: Quantity, block_bytes: Any) -> tuple[Any, Any, Any]:
    """Whole blocks in what is left for the cache: value, low, high. [blocks]"""
    sizes = (available.value, available.low, available.high)
    value, low, high = (pool_blocks(pool_bytes=size, block_bytes=maximum(block_bytes, 1)) for size in sizes)
    return value, low, high


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict on a layout.

    Parameters
    ----------
    blocks : tuple
        Blocks of the pool, the least of all stages: value, low, high. [blocks]
    smallest_bytes : int
        The least that a stage leaves for the cache. [bytes]
    shortfalls : tuple
        By how much each stage is too small for the start; 0 or less where it is not. [bytes]
    shortfall_bytes : int
        The greatest of them. [bytes]
    reason : int
        A :class:`Reason`.
    """

    blocks: tuple[Any, Any, Any]
    smallest_bytes: Any
    shortfalls: tuple[Any, ...]
    shortfall_bytes: Any
    reason: Any


def conclude(stages: Sequence[StageFigures], *, memory_bytes: Any, refused: Any) -> Conclusion:
    """Reduce over the stages of a layout and judge.

    Parameters
    ----------
    stages : sequence of StageFigures
        One for each stage, or one that stands for all of them.
    memory_bytes : int
        What the driver reports of the device. [bytes]
    refused : bool
        The engine refuses before it looks at the cache.

    Returns
    -------
    Conclusion
        Pool, reason, and what is missing.
    """
    value, low, high = (kept(name, least([stage.blocks[which] for stage in stages])) for which, name in enumerate(("blocks", "low", "high")))
    smallest = least([stage.available.value for stage in stages])
    needed = greatest([stage.needed_blocks for stage in stages])
    shortfalls = tuple(
        shortfall_bytes(
            used_bytes=stage.used_bytes,
            pool_bytes=value * stage.block_bytes,
            device_total_bytes=memory_bytes,
            later_bytes=stage.later_bytes,
        )
        for stage in stages
    )
    short = greatest(shortfalls)
    start = where(needed > value, int(Reason.CONTEXT), where(short > 0, int(Reason.MEMORY), int(Reason.NONE)))
    reason = where(refused, int(Reason.REFUSED), where(smallest <= 0, int(Reason.NO_ROOM), start))
    return Conclusion((value, low, high), smallest, shortfalls, short, kept("reason", reason))
