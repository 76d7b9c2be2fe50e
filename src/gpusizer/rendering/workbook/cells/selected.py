"""The deployment that is chosen: its account over every pipeline stage, the stage that is described, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpusizer.engines.base.account import Reason
from gpusizer.engines.base.sheet import DeviceShare, Model, Outcome, Ways
from gpusizer.engines.base.types import Item, Section
from gpusizer.formulas.core import kept, maximum, where
from gpusizer.formulas.load import replicas_needed
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.lookup import SheetLookup, leaf, looked
from gpusizer.rendering.workbook.cells.reserve import all_gpus
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Live, chosen, compared, constant, picked, recorded, words
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import ALL, Axis, Trace, Traced

__all__ = ["MOST_STAGES", "Chosen", "Selected", "at_stage", "chosen_of", "select", "where_equal"]

MOST_STAGES = 16
"""Pipeline stages to choose from."""

TOO_CLOSE = 6
"""Reason beside the engine's: it starts, and holds no request on the safe side."""


@dataclass(frozen=True)
class Chosen:
    """The verdict on the chosen deployment, cell by cell."""

    starts: Live  # the engine's own verdict
    legal: Live
    reason_code: Live  # a Reason, or too close
    reason_words: Live  # where it cannot be
    missing_bytes: Live
    stage: Live
    share: Live
    items: dict[str, Live]  # lines of the stage that is described
    lines: Mapping[str, Item]  # what the account says of them
    weights: Live
    kv_tokens: Live
    concurrency: Live
    held: Live
    held_low: Live
    replicas: Live
    gpus: Live
    requests: Live  # that the engine runs at once, at most
    step_tokens: Live


@dataclass(frozen=True)
class Selected:
    """Figures of the chosen deployment, before they have cells."""

    figures: dict[str, Traced]
    items: dict[str, Traced]
    lines: Mapping[str, Item]
    legal: Live
    words: Live


def select(trace: Trace, account: Account, tables: Tables, inputs: Inputs, model: Model, parts: Any) -> Selected:
    """Record the chosen deployment."""
    stages = Axis("stages", MOST_STAGES, ALL, (0,) * MOST_STAGES, stages=True)
    stage = trace.given([[constant(number) for number in range(MOST_STAGES)]], ALL, stages)
    number = account.line("class", tables.devices.get("class", inputs.gpu_row))
    rocm = leaf(trace, tables.engine["classes"], "rocm", [number], ALL)
    tp, pp, whole = trace.one(inputs.tp), trace.one(inputs.pp), trace.one(inputs.whole)
    ways = Ways(
        paddings=[leaf(trace, tables.engine["classes"], "padding", [number], ALL)],
        error=kept("error", where(rocm > 0, model.error_rocm, model.error)),
        tp=tp,
        tp_place=trace.one(inputs.tp_place),
        whole=whole,
        pp=pp,
        stage=stage,
    )
    trace.present = kept("is there", where(stage < pp, 1, 0))
    lookup = SheetLookup(trace, tables, class_rows=[number])
    device = _device(lookup, inputs, model, ways)
    outcome = tables.facts.engine.outcome(lookup, model, parts, ways, device)
    why = _cannot_be(account, tables, inputs)
    legal = account.line("can be", compared(why, "=", ""))
    reserve = tables.facts.reserve

    def stack(size: Any, replicas: Any) -> Any:
        return all_gpus(reserve, size=size, replicas=replicas, own=lambda: kept("own", looked(tables.devices, "own", trace.one(inputs.gpu_row))))

    figures, worst = _verdict(trace, inputs, outcome, device.budget_bytes, trace.one(legal), tp * pp, stack)
    items = _items(trace, outcome, worst, trace.one(legal))
    weights = _shown(trace.one(legal), at_stage(trace, outcome.weights_bytes, worst))
    return Selected(figures | {"share": device.share, "weights": weights}, items, outcome.lines, legal, why)


def _device(lookup: SheetLookup, inputs: Inputs, model: Model, ways: Ways) -> DeviceShare:
    """The chosen device as the layout has it; its share is the one that is asked for, where one is."""
    trace, tables = lookup.trace, lookup.tables
    row, engine = trace.one(inputs.gpu_row), tables.facts.engine

    def get(name: str, column: Any = None) -> Traced:
        found: Traced = kept(name, looked(tables.devices, name, row, column))
        return found

    usual = engine.device(lookup, model, get, ways)
    asked = trace.line("is given", compared(inputs.memory_fraction, "<>", ""))
    share = kept("share used", where(asked, trace.one(inputs.memory_fraction), usual.share))
    budget = kept("budget used", where(asked, engine.budget_of_share(usual, share), usual.budget_bytes))
    return DeviceShare(usual.record, share, budget, where(asked, 0, usual.left_open), usual.margin)


def at_stage(trace: Trace, figure: Any, stage: Traced) -> Any:
    """A figure of the stage that is described."""
    if not isinstance(figure, Traced) or not figure.stages.stages:
        return figure
    return trace.over_stages("INDEX({},{})", lambda values, place: values[int(place) - 1], figure, stage)


def where_equal(trace: Trace, wanted: Any, figure: Any) -> Traced:
    """The first stage with a figure."""
    found: Traced = kept("found", trace.over_stages("MATCH({1},{0},0)", lambda values, wanted: values.index(wanted) + 1, figure, wanted))
    return found


def _shown(legal: Traced, figure: Any) -> Traced:
    found: Traced = kept("shown", where(legal, figure, DASH))
    return found


def _verdict(
    trace: Trace, inputs: Inputs, outcome: Outcome, budget: Any, legal: Traced, size: Any, stack: Callable[[Any, Any], Any]
) -> tuple[dict[str, Traced], Traced]:
    """What the deployment comes to, and the stage that is described; ``stack`` makes GPUs of all of a size and a number of replicas."""
    found, blocks = outcome.found, outcome.found.blocks
    code = kept("code", where(legal, found.reason, int(Reason.CANNOT_BE)))
    by_stage = outcome.figures.blocks[0]
    tightest, fullest = where_equal(trace, blocks[0], by_stage), where_equal(trace, found.shortfall_bytes, found.shortfalls[0])
    emptiest = where_equal(trace, found.smallest_bytes, outcome.figures.available.value)
    worst = kept("stage described", where(code < int(Reason.MEMORY), tightest, fullest))
    lacking = (outcome.figures.needed_blocks - blocks[0]) * at_stage(trace, outcome.figures.block_bytes, trace.one(constant(1)))
    room = where(code < int(Reason.CONTEXT), 0 - found.smallest_bytes, where(code < int(Reason.MEMORY), lacking, found.shortfall_bytes))
    missing = where(code < int(Reason.NO_ROOM), budget - outcome.free_bytes, room)
    later = where(code < int(Reason.CONTEXT), emptiest, where(code < int(Reason.MEMORY), 1, fullest))
    concurrency, held, low = (kept("at once", at_stage(trace, each, worst)) for each in (outcome.concurrency, outcome.held, outcome.held_low))
    good = kept("holds one", where(code < 1, where(low < 1, 0, 1), 0))
    replicas = replicas_needed(concurrency=trace.one(inputs.concurrency), held=maximum(low, 1))
    figures = {
        "starts": code < 1,
        "reason_code": where(code < 1, where(good > 0, 0, TOO_CLOSE), code),
        "missing_bytes": missing,
        "stage": where(code < int(Reason.NO_ROOM), 1, later),
        "kv_tokens": where(legal, outcome.tokens, DASH),
        "concurrency": where(legal, concurrency, DASH),
        "held": where(legal, held, DASH),
        "held_low": where(legal, low, DASH),
        "replicas": where(good > 0, replicas, DASH),
        "gpus": where(good > 0, stack(size, replicas), DASH),
        "requests": outcome.most_requests,
        "step_tokens": outcome.step_tokens,
    }
    return {name: trace.figure(name, figure) for name, figure in figures.items()}, worst


def _items(trace: Trace, outcome: Outcome, worst: Traced, legal: Traced) -> dict[str, Traced]:
    """The ledger of the stage that is described."""
    found = {name: kept(name, at_stage(trace, line.bytes, worst)) for name, line in outcome.lines.items()}
    outside = {name: found.pop(name) for name, line in outcome.lines.items() if line.section is Section.OUTSIDE}
    found["kv_cache_pool"] = kept("kv_cache_pool", outcome.found.blocks[0] * at_stage(trace, outcome.figures.block_bytes, worst))
    found |= outside
    found["free"] = kept("free", free_bytes(device_total_bytes=outcome.memory_bytes, used_bytes=sum(found.values())))
    return {name: _shown(legal, figure) for name, figure in found.items()}


def _cannot_be(account: Account, tables: Tables, inputs: Inputs) -> Live:
    """Why device or layout cannot be, in the library's words; empty where they can."""
    models, row, precision = tables.models, inputs.model_row, inputs.precision_place
    contents = account.line("families", refusal_place(tables, inputs))
    refusal = account.line("device refuses", tables.devices.get("refusal", inputs.gpu_row, contents))
    place = recorded(lambda *, place, whole, sizes: place + whole * sizes, place=inputs.tp_place, whole=inputs.whole, sizes=len(TPS))
    illegal = account.line("layout refused", tables.legal.get("reason", models.get("legal", row, precision), place))
    reasons = tables.reasons.area("words")
    layers = account.line("layers", models.get("layers", row))
    refused, cut = (
        chosen(compared(each, ">", 0), picked(reasons, recorded(lambda *, number: maximum(number, 1), number=each)), words(""))
        for each in (refusal, illegal)
    )
    inner = chosen(compared(inputs.pp, ">", layers), inputs.too_many_stages(inputs.pp, layers), cut)
    first = chosen(compared(refusal, ">", 0), refused, inner)
    return account.line("why not", chosen(inputs.valid, first, inputs.unknown_words))


def refusal_place(tables: Tables, inputs: Inputs) -> Live:
    """Column of a device's refusals: by what the model holds in its precision, and for each by the cache."""
    families = tables.models.get("families", inputs.model_row, inputs.precision_place)
    kinds = len(tables.facts.kv_precisions)
    return recorded(lambda *, families, kv, kinds: (families - 1) * kinds + kv, families=families, kv=inputs.kv_place, kinds=kinds)


def chosen_of(trace: Trace, selected: Selected) -> Chosen:
    """The cells of figures that were written."""
    cells = {name: trace.live(figure) for name, figure in selected.figures.items()}
    items = {name: trace.live(figure) for name, figure in selected.items.items()}
    return Chosen(legal=selected.legal, reason_words=selected.words, items=items, lines=selected.lines, **cells)
