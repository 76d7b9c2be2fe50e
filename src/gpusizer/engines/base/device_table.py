"""What an engine asks of devices, as columns: classes of devices that it treats alike, and figures of each device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.engine import Engine, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.margins import MARGIN
from gpusizer.engines.base.sheet import DeviceLookup, Written
from gpusizer.engines.base.types import Deployment, Item, Section
from gpusizer.engines.base.weights import ExpertPadding
from gpusizer.facts.margins import Margin
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.constants import constant_bytes

__all__ = ["LINE_FIGURES", "WIDEST", "DeviceClass", "Devices", "line_figures", "looked_line", "looked_margin"]


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """Devices that the engine treats alike: its choices, the padding of expert kernels, and what else tells them apart."""

    record: Any
    paddings: tuple[ExpertPadding, ...]
    rocm: bool
    further: object = None


WIDEST = 8
"""GPUs of a replica from which on other models, which are no more, lie on one each."""


@dataclass(frozen=True)
class Devices(ABC):
    """All devices and their classes.

    Parameters
    ----------
    accelerators : tuple of Accelerator
        In the order of the sheet.
    engine : Engine
        The engine.
    sample : Architecture
        Any model: what is read here does not depend on it.
    version : str or None
        Of the engine; the newest where none is given.
    settings : mapping
        Fields of a deployment that the operator says, the same for every device; ``beside_bytes`` by device: what other models hold of the fullest
        GPU of a replica of 1, 2 ... :data:`WIDEST` GPUs.
    """

    accelerators: tuple[Accelerator, ...]
    engine: Engine
    sample: Architecture
    version: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @abstractmethod
    def class_of(self, accelerator: Accelerator) -> DeviceClass:
        """The class of a device."""

    @abstractmethod
    def columns(self) -> Written:
        """What the table of devices holds beside words: a row each; ``memory`` and ``class`` among them."""

    def start(self, accelerator: Accelerator, **layout: Any) -> Start:
        """A start of the sample on a device."""
        said = {name: value for name, value in self.settings.items() if name != "beside_bytes"} | layout
        asked = Deployment(model="", gpu=accelerator.id, max_model_len=4096, engine=self.engine.id, engine_version=self.version, **said)
        return self.engine.start(asked, self.sample, accelerator)

    @property
    def shares(self) -> bool:
        """Whether other models lie on some device."""
        return "beside_bytes" in self.settings

    def beside_bytes(self, accelerator: Accelerator) -> Sequence[int]:
        """What other models hold of the fullest GPU of a replica of 1, 2 ... GPUs. [bytes]"""
        found: Sequence[int] = self.settings.get("beside_bytes", {}).get(accelerator.id, (0,) * WIDEST)
        return found

    @cached_property
    def classes(self) -> dict[DeviceClass, Accelerator]:
        """Distinct classes, each with the first device that belongs to it."""
        found: dict[DeviceClass, Accelerator] = {}
        for each in self.accelerators:
            found.setdefault(self.class_of(each), each)
        return found

    @cached_property
    def numbers(self) -> Sequence[int]:
        """Number of the class of each device, from 0."""
        numbers = {each: number for number, each in enumerate(self.classes)}
        return [numbers[self.class_of(each)] for each in self.accelerators]

    @cached_property
    def paddings(self) -> tuple[tuple[ExpertPadding, ...], ...]:
        """Distinct paddings of expert kernels."""
        return tuple(dict.fromkeys(each.paddings for each in self.classes))

    def representative(self, number: int) -> Accelerator:
        """A device of a class."""
        return list(self.classes.values())[number]

    def by_vendor(self) -> tuple[Accelerator, Accelerator]:
        """A device that is not AMD's, and one that is; the same where there is only one kind."""
        plain = next((each for each in self.accelerators if each.vendor != "AMD"), self.accelerators[0])
        return plain, next((each for each in self.accelerators if each.vendor == "AMD"), plain)


LINE_FIGURES = ("bytes", "low", "high")
"""A line of the ledger as cells side by side."""


def line_figures(lines: Sequence[Item], *ids: str) -> list[int]:
    """Size and band of lines of a device; 0 where it has no such line."""
    known = {line.id: (line.bytes, line.low_bytes, line.high_bytes) for line in lines}
    return [size for id in ids for size in known.get(id, (0, 0, 0))]


def looked_line(get: DeviceLookup, id: str, factor: Any = 1) -> Item:
    """A line of a device as its columns say; ``factor`` is 1 where the layout has it, else 0."""
    size, low, high = (get(f"{id}_{name}") * factor for name in LINE_FIGURES)
    return computed(id, constant_bytes, section=Section.OUTSIDE, band=Limits(low, high), fitted_bytes=size)


def looked_margin(get: DeviceLookup) -> Margin:
    """What is added to the band of the pool on a device as its columns say."""
    below, above = (get(name) for name in MARGIN)
    return Margin(below, above, 0)
