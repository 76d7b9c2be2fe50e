"""The engine's account, recorded: every stage of every layout on every device of a calculation, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gpusizer.engines.base.account import Conclusion, StageFigures, Sum, conclude, left_of, stage_blocks
from gpusizer.engines.base.types import Evidence, Item, Section
from gpusizer.engines.vllm.account import (
    above_free,
    charged,
    default_step,
    free_at_start,
    growth,
    loaded,
    needed_later,
    step_lines,
    workspace,
)
from gpusizer.engines.vllm.record import ClassRecord, DeviceRecord, StepRecord, layout_record, version_rules
from gpusizer.formulas.core import kept, maximum, minimum
from gpusizer.formulas.load import held_requests
from gpusizer.formulas.memory.cache_blocks import pool_concurrency, pool_tokens
from gpusizer.formulas.memory.steps import in_flight_tokens
from gpusizer.rendering.workbook.cells.assembly import Assembly, Parts
from gpusizer.rendering.workbook.cells.leaves import Model, Ways, leaf
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import Trace, Traced

__all__ = ["Device", "Outcome", "outcome_of"]


@dataclass(frozen=True)
class Device:
    """Figures of devices beside those of their class."""

    memory_bytes: Traced
    visible_bytes: Traced
    driver_bytes: Traced
    context_bytes: Traced
    joined_bytes: Traced
    growth_bytes: Traced
    growth_above_bytes: Traced
    budget_bytes: Traced


@dataclass(frozen=True)
class Outcome:
    """What the account comes to; each figure along its own axes."""

    lines: dict[str, Item]
    figures: StageFigures
    found: Conclusion
    free_bytes: Any
    needed: Any
    block_bytes: Any
    tokens: Any
    concurrency: Any
    held: Any
    held_low: Any
    step: StepRecord
    weights_bytes: Any


def _line(id: str, size: Traced) -> Item:
    """A constant of a device as a line."""
    return Item(id, size, size, size, None, {}, (), Evidence.CALIBRATED, Section.OUTSIDE)  # type: ignore[arg-type]


def outcome_of(trace: Trace, tables: Tables, model: Model, parts: Parts, ways: Ways, device: Device) -> Outcome:
    """Record the account along the axes of a calculation."""
    assembly, rules = Assembly(trace, tables, model, parts, ways), version_rules(tables.facts.engine.newest)
    chosen = ClassRecord(**{field.name: leaf(trace, tables.classes, field.name, ways.class_rows, ways.classes) for field in fields(ClassRecord)})
    step = default_step(chosen, model.context_tokens, assembly.block_tokens)
    layout, record = layout_record(ways.tp, whole_experts=ways.whole > 0), model.record
    squares = kept("unfolded", assembly.square_bytes * chosen.unfolds_scales)
    names = ("weights_buffers", "weights_scales", "weights_slack")
    made = loaded(record, step, assembly.place, square_bytes=squares, slack_bytes=assembly.slack_bytes)
    stored = assembly.weights()
    lines = stored | dict(zip(names, made, strict=True))
    weights_bytes = kept("weights", sum((line.bytes for line in lines.values()), 0))
    buffers = workspace(record, step, layout)
    peak, graphs = step_lines(record, step, layout, assembly.place, rules, buffers)
    outside = (
        _line("device_context", device.context_bytes),
        _line("communication", device.joined_bytes),
        _line("driver_reserved", device.driver_bytes),
    )
    at_device = DeviceRecord(device.memory_bytes, device.visible_bytes, outside, device.growth_bytes, 0, device.growth_above_bytes, ())
    stage = charged([*lines.values(), peak, graphs], record.estimate_factor, charges_graphs=True)
    stage = Sum(kept("charged", stage.bytes), stage.below_squares, kept("squares", stage.above_squares))
    grown = growth(at_device, rules, buffers)
    available = left_of(device.budget_bytes, stage, charged([grown], 1, charges_graphs=True))
    block, flight = assembly.block_bytes, in_flight_tokens(step_tokens=step.tokens, pp=ways.pp)
    needed = assembly.needed_blocks(flight)
    held_bytes = kept("held", weights_bytes + peak.bytes + graphs.bytes)
    used = held_bytes + grown.bytes + kept("outside", sum(line.bytes for line in outside))
    later = kept("later", needed_later([peak, graphs]))
    figures = StageFigures(available, stage_blocks(available, block), block, needed, used, later)
    found = conclude([figures], memory_bytes=device.memory_bytes, refused=above_free(device.budget_bytes, at_device))
    counted = kept("counted", maximum(needed, 1))
    concurrency, low = (pool_concurrency(blocks=blocks, blocks_per_request=counted) for blocks in found.blocks[:2])
    return Outcome(
        lines=lines | {line.id: line for line in (peak, graphs, grown, *outside)},
        figures=figures,
        found=found,
        free_bytes=free_at_start(at_device),
        needed=needed,
        block_bytes=block,
        tokens=pool_tokens(blocks=found.blocks[0], blocks_per_request=counted, context_tokens=model.context_tokens),
        concurrency=concurrency,
        held=minimum(held_requests(max_concurrency=concurrency), step.requests),
        held_low=minimum(held_requests(max_concurrency=low), step.requests),
        step=step,
        weights_bytes=weights_bytes,
    )
