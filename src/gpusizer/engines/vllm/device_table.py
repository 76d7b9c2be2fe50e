"""What the engine asks of a device, as columns: classes of devices that it treats alike, and figures of each device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.weights import ExpertPadding
from gpusizer.engines.vllm.engine import Vllm
from gpusizer.engines.vllm.record import ClassRecord, DeviceRecord, class_record, device_record
from gpusizer.engines.vllm.weights import expert_paddings
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import floor_div

__all__ = ["CASES", "DeviceClass", "DeviceFigures", "Devices"]

CASES = ("alone", "joined", "joined-whole")
"""One GPU; several; several that share out whole experts: what of a device depends on the layout."""

_LAYOUTS: dict[str, dict[str, int]] = {"alone": {}, "joined": {"tp": 2}, "joined-whole": {"tp": 2, "ep": 2}}


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """Devices that the engine treats alike: its choices, the padding of expert kernels, and the generation that cache formats depend on."""

    record: ClassRecord
    paddings: tuple[ExpertPadding, ...]
    rocm: bool
    generation: int


@dataclass(frozen=True)
class DeviceFigures:
    """One device; growth is for one GPU, for tensor-parallel ranks, and for pipeline stages alone."""

    accelerator: Accelerator
    class_number: int
    visible_bytes: int
    driver_bytes: int
    context_bytes: int
    joined_bytes: tuple[int, ...]  # by case
    shares: tuple[float, ...]  # by case
    budgets: tuple[int, ...]  # of these shares
    growth: tuple[tuple[float, float], ...]  # (bytes, above) for alone, tensor-parallel, pipeline


@dataclass(frozen=True)
class Devices:
    """All devices and their classes.

    Parameters
    ----------
    accelerators : tuple of Accelerator
        In the order of the sheet.
    engine : Vllm
        The engine.
    sample : Architecture
        Any model: what is read here does not depend on it.
    version : str or None
        Of the engine; the newest where none is given.
    """

    accelerators: tuple[Accelerator, ...]
    engine: Vllm
    sample: Architecture
    version: str | None = None

    def start(self, accelerator: Accelerator, **layout: Any) -> Start:
        """A start of the sample on a device."""
        return self.engine.start(
            Deployment(model="", gpu=accelerator.id, max_model_len=4096, engine_version=self.version, **layout), self.sample, accelerator
        )

    def _class_of(self, accelerator: Accelerator) -> DeviceClass:
        start = self.start(accelerator)
        generation = int(start.capability) if start.capability >= 9 else 0
        return DeviceClass(class_record(start), expert_paddings(start), accelerator.vendor == "AMD", generation)

    @cached_property
    def classes(self) -> dict[DeviceClass, Accelerator]:
        """Distinct classes, each with the first device that belongs to it."""
        found: dict[DeviceClass, Accelerator] = {}
        for each in self.accelerators:
            found.setdefault(self._class_of(each), each)
        return found

    @cached_property
    def paddings(self) -> tuple[tuple[ExpertPadding, ...], ...]:
        """Distinct paddings of expert kernels."""
        return tuple(dict.fromkeys(each.paddings for each in self.classes))

    def representative(self, number: int) -> Accelerator:
        """A device of a class."""
        return list(self.classes.values())[number]

    @cached_property
    def figures(self) -> Sequence[DeviceFigures]:
        """Each device."""
        numbers = {each: number for number, each in enumerate(self.classes)}
        return [self._figures(each, numbers[self._class_of(each)]) for each in self.accelerators]

    def _figures(self, accelerator: Accelerator, number: int) -> DeviceFigures:
        starts = {case: self.start(accelerator, **layout) for case, layout in _LAYOUTS.items()}
        growth = [self._growth(start) for start in (starts["alone"], starts["joined"], self.start(accelerator, pp=2))]
        outside = {case: self._outside(start) for case, start in starts.items()}
        shares = tuple(self._share(starts[case], outside[case]) for case in CASES)
        return DeviceFigures(
            accelerator,
            number,
            starts["alone"].visible_bytes,
            outside["alone"].get("driver_reserved", 0),
            outside["alone"]["device_context"],
            tuple(outside[case].get("communication", 0) for case in CASES),
            shares,
            tuple(self.engine.budget_bytes(self._with_share(starts[case], share)) for case, share in zip(CASES, shares, strict=True)),
            tuple(growth),
        )

    def _outside(self, start: Start) -> dict[str, int]:
        return {line.id: line.bytes for line in device_record(start).outside}

    def _growth(self, start: Start) -> tuple[float, float]:
        record: DeviceRecord = device_record(start)
        return record.growth_bytes, record.growth_above_bytes

    def _share(self, start: Start, outside: dict[str, int]) -> float:
        """The engine's own share of the card, or the largest that is free at the start, as a plan proposes it."""
        before = outside.get("device_context", 0) + outside.get("communication", 0)
        free = start.visible_bytes - before
        share = float(start.deployment.memory_fraction or 0)
        if self.engine.budget_bytes(start) <= free:
            return share
        return max(float(floor_div(100 * free, start.accelerator.memory_bytes) / 100), 0.0)

    def _with_share(self, start: Start, share: float) -> Start:
        return replace(start, deployment=replace(start.deployment, memory_fraction=share))
