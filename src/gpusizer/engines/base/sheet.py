"""What the account of an engine needs of a sheet: its own tables looked up with figures in the place of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Lookup", "Model", "Ways"]


class Lookup(Protocol):
    """Tables of an engine in a sheet, along the axes of one calculation."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many there are: ``tps``, ``kv_precisions``, ``kinds``, ``rotations`` and ``groups`` (the most of any model)."""

    def looked(self, table: str, name: str, row: Any, column: Any = None) -> Any:
        """A cell of a table; an empty cell counts as 0."""

    def of_class(self, name: str) -> Any:
        """A column of the table of classes of devices."""

    def places(self, numbers: Sequence[int]) -> Any:
        """Numbers one below the other: the axis of parts."""

    def below(self, figures: Sequence[Any], like: Any) -> Any:
        """Figures one below the other, along the axis of ``like``; 0 for those that are missing."""

    def by_family(self, figures: Sequence[Any]) -> Any:
        """One figure of those of each family of devices."""

    def counted(self, pattern: Any, start: Any, size: Any, letter: Any) -> Any:
        """How often a letter stands in a part of a text; places count from 0, and letter case matters."""

    def total(self, column: Any, counts: Any) -> Any:
        """The sum of products of two columns."""

    def total_where(self, column: Any, number: int, counts: Any) -> Any:
        """The sum of ``counts`` where ``column`` has a number."""


@dataclass(frozen=True)
class Model:
    """The model that is chosen, in its precision: its record, and its further columns by name."""

    record: Any
    figures: Mapping[str, Any]
    context_tokens: Any
    kv_place: Any
    precision: Any

    def __getattr__(self, name: str) -> Any:
        return self.figures[name]


@dataclass(frozen=True)
class Ways:
    """Layouts and families of devices of one calculation.

    Parameters
    ----------
    paddings : sequence
        Padding of expert kernels of each family of devices, by its number from 1.
    error : figure
        Band of the stored tensors of each family. [share]
    tp, tp_place, whole : figure
        Tensor-parallel size, its place among the sizes, whether experts stay whole (1 or 0).
    pp, stage : figure
        Stages of a layout; number of a stage.
    """

    paddings: Sequence[Any]
    error: Any
    tp: Any
    tp_place: Any
    whole: Any
    pp: Any
    stage: Any
