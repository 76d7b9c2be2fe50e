"""What every mixer answers. A mixer moves information between tokens: attention of some kind, or a recurrent state.

Engines, speed, the article and the printed answer ask a mixer instead of asking what it is; :class:`MixerBase` answers for one that has nothing of
the kind. A new mixer that keeps a state derives from :class:`StateMixer`, answers ``state``, ``divided_heads`` and ``stream_elements``, and is
counted, cached and timed like any other. Engines run the kinds that they know (``Engine.mixers``) and refuse any other by its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Self

from gpusizer.architecture.tensor import Tensor

__all__ = ["Indexer", "Label", "MixerBase", "State", "StateMixer"]

Label = tuple[str, Mapping[str, int | str]]


@dataclass(frozen=True, slots=True)
class Indexer:
    """The lightning indexer of sparse attention: it picks ``topk`` tokens with small keys of its own.

    ``caches`` is False for a layer that reuses the selection of an earlier layer (no indexer weights and no key cache of its own); ``ratio`` tokens
    share a key.
    """

    heads: int
    head_dim: int
    topk: int
    caches: bool = True
    ratio: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """What a mixer keeps for each request, whatever its length: a recurrent state and the last columns of a convolution.

    Parameters
    ----------
    heads, key_dim, value_dim : int
        The state has heads x key_dim x value_dim elements, 0 for a pure convolution.
    channels, kernel : int
        Channels of a short convolution and its width; it keeps kernel - 1 columns, none without a kernel.
    dtype : str or None
        Format of the state when the configuration gives one.
    """

    heads: int
    key_dim: int
    value_dim: int
    channels: int
    kernel: int
    dtype: str | None = None

    @property
    def elements(self) -> int:
        """Elements of the recurrent state. [elements]"""
        return self.heads * self.key_dim * self.value_dim

    @property
    def columns(self) -> int:
        """Columns that the convolution keeps. [columns]"""
        return max(self.kernel - 1, 0)


class _Named:
    """The name of a kind of mixer, and its stored weights."""

    __slots__ = ()

    kind: ClassVar[str]  # engines list the kinds that they run
    timed_as: ClassVar[str]  # kind whose kernels are counted: its own, or that of the nearest one
    tensors: tuple[Tensor, ...]

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> Self:
        """A copy of it with other stored weights."""
        other = copy(self)
        object.__setattr__(other, "tensors", tensors)
        return other


@dataclass(frozen=True, slots=True)
class MixerBase(_Named, ABC):
    """What every mixer answers."""

    @property
    @abstractmethod
    def labels(self) -> tuple[Label, ...]:
        """What to print of it: codes of texts with their parameters, to be joined."""

    @property
    def query_heads(self) -> int:
        """Heads that attend to cached rows, 0 without. [heads]"""
        return 0

    @property
    def cut_kv_heads(self) -> int:
        """Heads by which its cached rows are cut, 0 where every rank holds them whole. [heads]"""
        return 0

    @property
    def divided_heads(self) -> tuple[int, ...]:
        """Numbers of heads that a cut of its state must divide. [heads]"""
        return ()

    @property
    def seen_tokens(self) -> int:
        """Tokens that it sees at most, 0 where it sees everything. [tokens]"""
        return 0

    @property
    def windowed(self) -> bool:
        """Whether it has a sliding window."""
        return False

    @property
    def rotary_width(self) -> int:
        """Rotated elements of a head, 0 without rotary positions. [elements]"""
        return 0

    @property
    def compressed_width(self) -> int | None:
        """Width of the vector that stands for keys and values of all heads, None where nothing is compressed. [elements]"""
        return None

    @property
    def picks(self) -> Indexer | None:
        """The indexer that chooses what it attends to, its own or that of an earlier layer."""
        return None

    @property
    def index(self) -> Indexer | None:
        """The indexer whose keys it caches."""
        return self.picks if self.picks is not None and self.picks.caches else None

    @property
    def state(self) -> State | None:
        """What it keeps for each request, None without."""
        return None

    def with_own_cache(self) -> Self:
        """A copy of it that caches rows of its own, where it reuses those of an earlier layer."""
        return self


class StateMixer(MixerBase):
    """A mixer that keeps a fixed state per request instead of rows for every token."""

    __slots__ = ()

    timed_as = "linear"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Its kind and the size of its state."""
        return (("mixer-state", {"kind": self.kind, "elements": self.state.elements}),)

    @property
    @abstractmethod
    def state(self) -> State:
        """What it keeps for each request."""

    @property
    @abstractmethod
    def stream_elements(self) -> int:
        """Elements of one token that are held at a time while the state is brought up to date. [elements]"""
