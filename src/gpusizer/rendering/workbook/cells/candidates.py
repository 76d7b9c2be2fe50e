"""Layouts that every device is tried with, from one GPU to two servers: the account along classes and devices, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpusizer.engines.base.sheet import Model, Ways
from gpusizer.formulas.core import kept, maximum, where
from gpusizer.formulas.load import replicas_needed
from gpusizer.rendering.workbook.cells.lookup import SheetLookup, call, looked
from gpusizer.rendering.workbook.cells.reserve import all_gpus
from gpusizer.rendering.workbook.cells.selected import at_stage, where_equal
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Area, Live, constant, first_equal, least
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import ALL, Axis, Trace, Traced

__all__ = ["CANDIDATES", "HUGE", "Tried", "TriedDevice", "tried_of", "try_layouts"]

CANDIDATES = ((8, 2), (8, 1), (4, 1), (2, 1), (1, 1))
"""(tp, pp), the largest first: of equally many GPUs fewer engines are better."""

HUGE = 10**12
"""GPUs where a layout will not do."""


@dataclass(frozen=True)
class Tried:
    """Figures of every layout on every device, before they have cells."""

    gpus: Traced
    holds: Traced
    legal: Traced
    whole: Traced


@dataclass(frozen=True)
class TriedDevice:
    """What a device comes to: the fewest GPUs, the place of the layout among the candidates, requests that it holds."""

    gpus: Live
    place: Live
    holds: Area
    legal: list[Live]
    whole: list[Live]


def _device_axes(tables: Tables) -> tuple[Axis, Axis, Axis]:
    """Devices by kernels and bands of their weights, by what the engine chooses for them, and one by one."""
    known = tables.facts.tables
    order = sorted(set(known.family_of))
    families = Axis("families", len(order), ALL, (0,) * len(order))
    classes = Axis("classes", len(known.family_of), families, tuple(order.index(kind) for kind in known.family_of))
    return families, classes, Axis("devices", len(known.accelerators), classes, tuple(known.class_of))


def try_layouts(trace: Trace, tables: Tables, inputs: Inputs, model: Model, parts: Any) -> Tried:
    """Record the account of every candidate on every device."""
    families, classes, devices = _device_axes(tables)
    trace.devices = devices
    sizes = sorted({tp for tp, _ in CANDIDATES})
    cuts = Axis("cuts", len(sizes), ALL, (0,) * len(sizes))
    layouts = Axis("layouts", len(CANDIDATES), cuts, tuple(sizes.index(tp) for tp, _ in CANDIDATES))
    stages_of = [(place, stage) for place, (_, pp) in enumerate(CANDIDATES) for stage in range(pp)]
    stages = Axis("tried stages", len(stages_of), layouts, tuple(place for place, _ in stages_of), stages=True)

    def along(axis: Axis, values: list[int]) -> Traced:
        return trace.given([[constant(value) for value in values]], ALL, axis)

    tp, place = along(cuts, sizes), along(cuts, [TPS.index(size) + 1 for size in sizes])
    pp = along(layouts, [pp for _, pp in CANDIDATES])
    cut, shared = (kept("refused", looked(tables.legal, "reason", model.legal, column)) for column in (place, place + len(TPS)))
    whole = kept("whole", where(cut > 0, where(shared > 0, 0, 1), 0))
    legal = kept("legal", where(cut > 0, where(shared > 0, 0, 1), 1) * where(model.layers < pp, 0, 1))
    kinds = sorted(set(tables.facts.tables.family_of))
    ways = Ways(
        paddings=[trace.one(constant(padding + 1)) for padding, _ in kinds],
        error=trace.stacked([model.error_rocm if rocm else model.error for _, rocm in kinds], families),
        tp=tp,
        tp_place=place,
        whole=whole,
        pp=pp,
        stage=along(stages, [stage for _, stage in stages_of]),
    )
    lookup = SheetLookup(trace, tables, families, classes, [constant(number + 1) for number in range(classes.size)])
    engine = tables.facts.engine
    outcome = engine.outcome(lookup, model, parts, ways, engine.device(lookup, model, _Devices(trace, tables.devices, devices), ways))
    tightest = where_equal(trace, outcome.found.blocks[0], outcome.figures.blocks[0])
    holds = kept("holds", at_stage(trace, outcome.held_low, tightest))
    replicas = replicas_needed(concurrency=trace.one(inputs.concurrency), held=maximum(holds, 1))
    node = trace.given([[tables.devices.get("node", constant(number + 1))] for number in range(devices.size)], devices)
    will_do = where(outcome.found.reason < 1, where(holds < 1, 0, where(node < tp, 0, legal)), 0)

    def own() -> Traced:
        return trace.given([[tables.devices.get("own", constant(number + 1))] for number in range(devices.size)], devices)

    gpus = all_gpus(tables.facts.reserve, size=tp * pp, replicas=replicas, own=own)
    return Tried(kept("GPUs", where(will_do > 0, gpus, HUGE)), holds, legal, whole)


class _Devices:
    """The rows of every device."""

    def __init__(self, trace: Trace, table: Table, axis: Axis) -> None:
        self.trace, self.table, self.axis = trace, table, axis
        self.rows = [constant(number + 1) for number in range(axis.size)]

    def __call__(self, name: str, column: Any = None) -> Traced:
        """A column of the table, by a place where it has several cells."""
        if column is None:
            return self.trace.given([[self.table.get(name, row)] for row in self.rows], self.axis)
        spans = self.trace.given([[self.table.row(name, row)] for row in self.rows], self.axis)
        return call("INDEX({},{})", lambda values, place: values[int(place) - 1] or 0, spans, column)


def tried_of(trace: Trace, tried: Tried, device: int) -> TriedDevice:
    """The cells of one device, and the best of its candidates beside them."""
    gpus, holds = trace.area(tried.gpus, device), trace.area(tried.holds, device)
    best = trace.beside(device, 0, least(gpus))
    place = trace.beside(device, 1, first_equal(best, gpus, 1))
    layouts, cuts = tried.gpus.stages, tried.whole.stages
    places = layouts.places_in(cuts)
    legal = [trace.live(tried.legal, 0, each) for each in range(layouts.size)]
    return TriedDevice(best, place, holds, legal, [trace.live(tried.whole, 0, each) for each in places])
