"""One start of an engine and its parts: the start itself, a pipeline stage, how a rank turns memory into cache, what a stage comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device import visible_bytes
from gpusizer.engines.base.types import Deployment, Item, Layout, Quantity
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.stages import stage_size
from gpusizer.once import Remembered, once_per_object

__all__ = ["CachePlan", "LayoutChoice", "Stage", "StageResult", "Start", "stage_layers"]

T = TypeVar("T")


_SHARED = 32  # things that follow from model, device, layout and version


@once_per_object
def _known_frames(architecture: Architecture) -> Remembered[tuple[object, ...], Remembered[Callable[[Start], Any], Any]]:
    """What starts on one device in one layout have in common."""
    return Remembered(1024)


@dataclass(frozen=True)
class Start:
    """One start of one engine with every default filled in."""

    deployment: Deployment
    architecture: Architecture
    accelerator: Accelerator
    version: tuple[int, ...]
    asked: Deployment | None = None  # before defaults were filled in
    _known: dict[Callable[[Start], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: Callable[[Start], T]) -> T:
        """What follows from this start alone, worked out when it is first asked for."""
        if make not in self._known:
            self._known[make] = make(self)
        found: T = self._known[make]
        return found

    def lasting(self, make: Callable[[Start], T]) -> T:
        """What follows from model, device, layout and version alone, whatever is set on top: worked out once for all starts that share them."""
        found: T = self._shared.once(make, lambda: make(self))
        return found

    @cached_property
    def _shared(self) -> Remembered[Callable[[Start], Any], Any]:
        said = self.deployment
        if said.flags or said.devices or said.device_memory_bytes:
            return Remembered(_SHARED)  # shared with nobody
        key = (
            self.accelerator,
            self.version,
            self.layout,
            said.engine,
            said.precision,
            said.speculative_tokens,
            said.fork,
            said.build,
            said.similar_precision,
            said.other_memory_bytes,
            said.beside_bytes,
        )
        return _known_frames(self.architecture).once(key, lambda: Remembered(_SHARED))

    def left_open(self, name: str) -> bool:
        """Whether the operator said nothing of a field that has a value now."""
        return self.asked is not None and getattr(self.asked, name) is None

    @cached_property
    def layout(self) -> Layout:
        """The layout of one replica."""
        return self.deployment.layout

    @property
    def device_total_bytes(self) -> int:
        """What the driver reports. [bytes]"""
        return self.accelerator.memory_bytes

    @property
    def visible_bytes(self) -> int:
        """What a process sees (``cudaMemGetInfo``): the base of fractions; an engine that uses it lists ``driver_reserved``. [bytes]"""
        return visible_bytes(self.accelerator)

    @property
    def capability(self) -> float:
        """CUDA compute capability, 0 where there is none."""
        return self.accelerator.capability

    def flag(self, name: str, default: Any = None) -> Any:
        """A further flag of the engine, named with ``_``."""
        return self.deployment.flags.get(name, default)

    def whole(self, name: str, default: int, most: int = 1 << 20) -> int:
        """A further flag that is a whole number from 0 to ``most``; refused where it is something else."""
        value = self.deployment.flags.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise FlagError("out-of-bounds", option=f"--{name.replace('_', '-')}", low=0, high=most, found=str(value)[:40])
        return value


@dataclass(frozen=True, slots=True)
class Stage:
    """One pipeline stage: its place and its layers."""

    index: int
    layers: range
    first: bool
    last: bool


@dataclass(frozen=True)
class CachePlan:
    """How one rank of one stage turns memory into cache.

    Parameters
    ----------
    block_bytes : int
        Bytes of one block over all layers that share it. [bytes]
    block_tokens : int
        Tokens of context in a block. [tokens]
    groups : int
        Groups of layers that draw blocks from one pool.
    token_bytes : int
        What one more token of a long request takes. [bytes]
    request_bytes : int
        What a request takes whatever its length. [bytes]
    blocks_of : callable
        Blocks that a request of so many tokens needs.
    counted_blocks_of : callable or None
        Blocks by which the log counts concurrency, where that differs.
    """

    block_bytes: int
    block_tokens: int
    groups: int
    token_bytes: int
    request_bytes: int
    blocks_of: Callable[[int], int]
    counted_blocks_of: Callable[[int], int] | None = None

    def counted(self, context_tokens: int) -> int:
        """Blocks of a request as the log counts them, at least one."""
        return max((self.counted_blocks_of or self.blocks_of)(context_tokens), 1)


@dataclass(frozen=True, slots=True)
class LayoutChoice:
    """A layout and, where it cannot be, the reason."""

    layout: Layout
    reason: Notice | None = None


@dataclass(frozen=True)
class StageResult:
    """One stage with its items, what is left for the cache, and blocks: value, low, high."""

    stage: Stage
    items: tuple[Item, ...]
    available: Quantity
    plan: CachePlan
    blocks: tuple[int, int, int]  # value, low, high


def stage_layers(layers: int, pp: int, partition: tuple[int, ...] | None = None) -> tuple[range, ...]:
    """Which layers each pipeline stage holds: the remainder goes to the stages before the last, never to the first if that can be avoided.

    Parameters
    ----------
    layers, pp : int
        Decoder layers; stages.
    partition : tuple of int or None
        Layers of each stage, where the operator gave them.

    Returns
    -------
    tuple of range
        Layers of each stage.

    Examples
    --------
    >>> [len(stage) for stage in stage_layers(61, 4)]
    [15, 15, 16, 15]
    >>> [len(stage) for stage in stage_layers(48, 2, (16, 32))]
    [16, 32]
    """
    if partition is not None and len(partition) == pp and sum(partition) == layers:
        sizes = list(partition)
    else:
        sizes = [int(stage_size(layers=layers, pp=pp, stage=stage)) for stage in range(pp)]
    stages: list[range] = []
    start = 0
    for size in sizes:
        stages.append(range(start, start + size))
        start += size
    return tuple(stages)
