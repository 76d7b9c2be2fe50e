"""The engine's account, recorded along the axes of a calculation."""

from __future__ import annotations

from dataclasses import fields

from gpusizer.engines.base.types import Evidence, Item, Section
from gpusizer.engines.vllm.account import Asked, Outcome, outcome_of
from gpusizer.engines.vllm.record import ClassRecord, DeviceRecord, layout_record, version_rules
from gpusizer.rendering.workbook.cells.assembly import Assembly
from gpusizer.rendering.workbook.cells.leaves import leaf
from gpusizer.rendering.workbook.tracer import Traced

__all__ = ["outside_lines", "recorded_account"]


def outside_lines(context: Traced, joined: Traced, driver: Traced) -> tuple[Item, ...]:
    """What lies outside the budget of a device, as lines without a band: context, communicators, what the driver keeps."""
    sizes = {"device_context": context, "communication": joined, "driver_reserved": driver}
    return tuple(Item(id, size, size, size, None, {}, (), Evidence.CALIBRATED, Section.OUTSIDE) for id, size in sizes.items())  # type: ignore[arg-type]


def recorded_account(assembly: Assembly, device: DeviceRecord, budget: Traced) -> Outcome:
    """Record the account of the stages of an assembly on devices."""
    tables, ways, model = assembly.tables, assembly.ways, assembly.model
    figures = {each.name: leaf(assembly.trace, tables.classes, each.name, ways.class_rows, ways.classes) for each in fields(ClassRecord)}
    asked = Asked(layout_record(ways.tp, whole_experts=ways.whole > 0), ways.pp, model.context_tokens, budget)
    return outcome_of(model.record, ClassRecord(**figures), device, assembly, asked, version_rules(tables.facts.engine.newest))
