"""What a sheet and the account of an engine need of each other.

An engine with a record and an account gets a workbook by answering :class:`AccountSheet`: its tables as rows of numbers, and its account called with
figures that look them up. The sheet brings :class:`Lookup` and :class:`DeviceLookup`, and knows nothing of what an engine decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.account import Conclusion, StageFigures
from gpusizer.engines.base.device_support import Contents
from gpusizer.engines.base.layout_rules import Dimensions
from gpusizer.engines.base.types import Item
from gpusizer.facts.margins import NO_MARGIN, Margin
from gpusizer.facts.types import Accelerator

__all__ = ["AccountSheet", "DeviceLookup", "DeviceShare", "Lookup", "Model", "Outcome", "SheetColumns", "SheetTables", "Ways", "Written"]

Written = tuple[list[tuple[str, int]], Sequence[Sequence[Any]]]
"""A table: columns with how many cells each takes, and rows."""


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


class DeviceLookup(Protocol):
    """The row of a device, or those of all devices: a figure of it, by a place where it has several."""

    def __call__(self, name: str, column: Any = None) -> Any:
        """A column of the table of devices."""


@dataclass(frozen=True)
class DeviceShare:
    """A device as a layout has it: what the account reads of it, the share of it that the engine takes, and the budget that this is; ``left_open`` is
    1 where the engine chose the share, 0 where the operator did; ``margin`` is added to the band of the pool, below and above."""

    record: Any
    share: Any
    budget_bytes: Any
    left_open: Any = 1
    margin: Margin = NO_MARGIN


@dataclass(frozen=True)
class Outcome:
    """What an account comes to.

    Parameters
    ----------
    lines : mapping of str to Item
        The ledger of a stage without its pool.
    figures, found : StageFigures, Conclusion
        What was judged, and the verdict.
    free_bytes : int
        What is free when the budget is checked. [bytes]
    memory_bytes : int
        What the driver reports. [bytes]
    tokens : int
        What the pool holds. [tokens]
    concurrency, held, held_low : int
        Requests at once as predicted and on the safe side; by stage where what a request takes differs: the stage that is described counts.
    weights_bytes : int
        All that stays after loading. [bytes]
    most_requests, step_tokens : int
        Most requests that run at once, most tokens of a step.
    """

    lines: Mapping[str, Item]
    figures: StageFigures
    found: Conclusion
    free_bytes: Any
    memory_bytes: Any
    tokens: Any
    concurrency: Any
    held: Any
    held_low: Any
    weights_bytes: Any
    most_requests: Any
    step_tokens: Any


class SheetColumns(Protocol):
    """One model as columns of the table of models."""

    @property
    def record(self) -> Any:
        """What does not depend on the precision: a record of numbers."""

    @property
    def pattern(self) -> str:
        """A letter for each layer: its kind."""

    @property
    def kinds(self) -> Sequence[object]:
        """Its kinds of layers."""

    @property
    def kind_rows(self) -> Sequence[object]:
        """Its rows in the table of kinds."""

    @property
    def rotations(self) -> Sequence[tuple[int, int, int]]:
        """Its tables of positions: width, positions, bytes of an element."""

    @property
    def mixers(self) -> int:
        """A number that models with the same mixers share."""

    @property
    def precisions(self) -> list[dict[str, Any]]:
        """What depends on the precision, in the order of the tables' precisions."""


class SheetTables(Protocol):
    """Everything that an account looks up, for models that are added one by one."""

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The devices."""

    @property
    def columns(self) -> Sequence[SheetColumns]:
        """The models."""

    @property
    def families(self) -> Mapping[Contents, int]:
        """Families of number formats and kinds of mixers by number, as refusals of devices go by them."""

    @property
    def most_groups(self) -> int:
        """Groups of layers that share a pool, the most of any model."""

    @property
    def class_of(self) -> Sequence[int]:
        """Number of the class of each device."""

    @property
    def family_of(self) -> Sequence[tuple[int, bool]]:
        """Padding of kernels (by number from 0) and whether it is ROCm, of each class."""

    def add(self, architecture: Architecture) -> SheetColumns:
        """Add a model as published."""

    def written(self) -> Mapping[str, Written]:
        """The tables by name, but for those of models and of devices, which words belong to."""

    def device_columns(self) -> Written:
        """What the table of devices holds beside words: a row each."""

    def problems(self, sizes: Dimensions, layers: int) -> Sequence[Notice | None]:
        """Why each tensor-parallel size cannot be, experts cut, then shared out whole; None where it can."""


class AccountSheet(Protocol):
    """An engine whose account a sheet can record, at one version."""

    @property
    def id(self) -> str:
        """The engine."""

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the account."""

    @property
    def record(self) -> type:
        """The record of a model; its fields are columns of the table of models."""

    @property
    def by_precision(self) -> Sequence[str]:
        """Columns of the table of models for each precision."""

    def tables(
        self, accelerators: Sequence[Accelerator], precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...], sample: Architecture
    ) -> SheetTables:
        """Empty tables."""

    def parts(self, lookup: Lookup, model: Model) -> Any:
        """The rows of the model's parts, looked up once for all calculations."""

    def device(self, lookup: Lookup, model: Model, get: DeviceLookup, ways: Ways) -> DeviceShare:
        """Devices as layouts have them."""

    def budget_of_share(self, device: DeviceShare, share: Any) -> Any:
        """The budget where another share of the device is asked for. [bytes]"""

    def outcome(self, lookup: Lookup, model: Model, parts: Any, ways: Ways, device: DeviceShare) -> Outcome:
        """Run the account of every stage and conclude."""
