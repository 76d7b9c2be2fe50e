"""What the engine asks of a device, as columns: classes of devices that it treats alike, and figures of each device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gpusizer.engines.base.device_table import WIDEST, DeviceClass, Devices
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.margins import MARGIN, device_margin
from gpusizer.engines.base.sheet import Written
from gpusizer.engines.vllm.device_record import DeviceRecord, device_record
from gpusizer.engines.vllm.record import class_record
from gpusizer.engines.vllm.weights import expert_paddings
from gpusizer.facts.margins import Margin
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import floor_div

__all__ = ["CASES", "DeviceFigures", "VllmDevices"]

CASES = ("alone", "joined", "joined-whole")
"""One GPU; several; several that share out whole experts: what of a device depends on the layout."""

_LAYOUTS: dict[str, dict[str, int]] = {"alone": {}, "joined": {"tp": 2}, "joined-whole": {"tp": 2, "ep": 2}}


@dataclass(frozen=True)
class DeviceFigures:
    """One device; growth is for one GPU, for tensor-parallel ranks, and for pipeline stages alone."""

    accelerator: Accelerator
    class_number: int
    visible_bytes: int
    driver_bytes: int
    context_bytes: int
    system_bytes: int  # held by others, of shared memory
    margin: Margin  # of the pool's band
    pool_share: float
    image_copies: float
    beside_bytes: tuple[int, ...]  # held by other models, by GPUs of a replica; empty where there are none
    joined_bytes: tuple[int, ...]  # by case
    shares: tuple[float, ...]  # by case, and by GPUs where other models lie there
    budgets: tuple[int, ...]  # of these shares
    growth: tuple[tuple[float, float], ...]  # (bytes, above) for alone, tensor-parallel, pipeline


class VllmDevices(Devices):
    """All devices and their classes."""

    def class_of(self, accelerator: Accelerator) -> DeviceClass:
        """The class of a device; the generation decides on formats of the cache and kernels of attention."""
        start = self.start(accelerator)
        generation = int(start.capability)
        return DeviceClass(class_record(start), expert_paddings(start), accelerator.vendor == "AMD", generation)

    @cached_property
    def figures(self) -> Sequence[DeviceFigures]:
        """Each device."""
        return [self._figures(each, number) for each, number in zip(self.accelerators, self.numbers, strict=True)]

    def columns(self) -> Written:
        """What the table of devices holds beside words: a row each."""
        rows = [
            [
                each.accelerator.memory_bytes,
                each.class_number + 1,
                each.visible_bytes,
                each.driver_bytes,
                each.context_bytes,
                each.system_bytes,
                each.pool_share,
                each.image_copies,
                *each.beside_bytes,
                *each.joined_bytes,
                *each.shares,
                *each.budgets,
                *(size for size, _ in each.growth),
                *(above for _, above in each.growth),
                each.margin.below,
                each.margin.above,
            ]
            for each in self.figures
        ]
        single = [(name, 1) for name in ("memory", "class", "visible", "driver", "context", "system", "pool_share", "image_copies")]
        places = WIDEST if self.shares else 1
        beside = [("beside", WIDEST)] if self.shares else []
        several = [("joined", 3), ("share", 3 * places), ("budget", 3 * places), ("growth", 3), ("above", 3)]
        return [*single, *beside, *several, *((name, 1) for name in MARGIN)], rows

    def _figures(self, accelerator: Accelerator, number: int) -> DeviceFigures:
        starts = {case: self.start(accelerator, **layout) for case, layout in _LAYOUTS.items()}
        growth = [self._growth(start) for start in (starts["alone"], starts["joined"], self.start(accelerator, pp=2))]
        outside = {case: self._outside(start) for case, start in starts.items()}
        beside = tuple(self.beside_bytes(accelerator)) if self.shares else ()
        ways = [(starts[case], outside[case], held) for case in CASES for held in beside or (0,)]
        shares = tuple(self._share(start, lines, held) for start, lines, held in ways)
        return DeviceFigures(
            accelerator,
            number,
            starts["alone"].visible_bytes,
            outside["alone"].get("driver_reserved", 0),
            outside["alone"]["device_context"],
            outside["alone"].get("system_memory", 0),
            device_margin(self.engine.id, accelerator),
            device_record(starts["alone"]).pool_share,
            device_record(starts["alone"]).image_copies,
            beside,
            tuple(outside[case].get("communication", 0) for case in CASES),
            shares,
            tuple(self.engine.budget_bytes(self._with_share(start, share)) for (start, _, _), share in zip(ways, shares, strict=True)),
            tuple(growth),
        )

    def _outside(self, start: Start) -> dict[str, int]:
        return {line.id: line.bytes for line in device_record(start).outside}

    def _growth(self, start: Start) -> tuple[float, float]:
        record: DeviceRecord = device_record(start)
        return record.growth_bytes, record.growth_above_bytes

    def _share(self, start: Start, outside: dict[str, int], beside_bytes: int) -> float:
        """The engine's own share of the card, or the largest that is free at the start, as a plan proposes it."""
        before = beside_bytes + sum(size for id, size in outside.items() if id != "driver_reserved")
        free = start.visible_bytes - before
        share = float(start.deployment.memory_fraction or 0)
        if self.engine.budget_bytes(start) <= free:
            return share
        return max(float(floor_div(100 * free, start.accelerator.memory_bytes) / 100), 0.0)

    def _with_share(self, start: Start, share: float) -> Start:
        return replace(start, deployment=replace(start.deployment, memory_fraction=share))
