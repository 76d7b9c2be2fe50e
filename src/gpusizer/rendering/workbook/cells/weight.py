"""Weights of one stage as cells: parts looked up at a tensor-parallel size, layers counted, lines of the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.formulas.core import maximum
from gpusizer.formulas.memory.loaded import absorbed_latent_bytes, rope_table_bytes
from gpusizer.formulas.memory.stages import band_width_bytes, stage_first_layer, stage_size
from gpusizer.rendering.workbook.calculation import Account, cell_of, times
from gpusizer.rendering.workbook.cells.model import Model
from gpusizer.rendering.workbook.live import (
    Area,
    Live,
    added,
    chosen,
    compared,
    constant,
    counted_letters,
    products,
    recorded,
    root_of_squares,
)
from gpusizer.rendering.workbook.tables.parts import LINES, TPS
from gpusizer.rendering.workbook.tables.tables import OUTSIDE_PARTS, Tables

__all__ = [
    "Counts",
    "Gathered",
    "StageWeights",
    "counts_of",
    "gathered",
    "shifted_place",
    "stage_weights",
]


@dataclass(frozen=True)
class Gathered:
    """Parts of the model at one tensor-parallel size: bytes by line, one row a kind of layer, then what stands outside."""

    tp: Live
    place: Live
    whole: Live
    lines: dict[str, Area]
    experts: list[Area]  # by padding of the kernels
    slack: list[Area]
    blocks: list[Area]  # FP8 in square blocks
    copied: Area
    rotations: Area  # bytes of each table
    used: Area  # number of the rotation of each kind


def gathered(account: Account, tables: Tables, model: Model, rows: Area, tp: Live, place: Live, whole: Live, paddings: list[Live]) -> Gathered:
    """Look the parts up; ``rows`` are their rows in the table of kinds."""
    parts, kinds = tables.parts, tables.kinds
    count = len(rows.values)
    bases = account.block("parts", {"row": [kinds.get("part", cell_of(rows, each), model.precision) for each in range(count)]})["row"]
    columns: dict[str, list[Live]] = {line: [] for line in LINES if line != "weights_experts"}
    for each in range(count):
        base = cell_of(bases, each)
        for line in columns:
            columns[line].append(parts.get(line, base, place))
    shifted = account.line("column of experts", shifted_place(place, whole))
    for number, padding in enumerate(paddings):
        for line, name in (("weights_experts", "experts"), ("slack", "slack"), ("blocks", "blocks")):
            columns[f"{name}{number}"] = [parts.get(line, _padded_row(tables, cell_of(bases, each), padding), shifted) for each in range(count)]
    columns["copied"] = [_copied(tables, cell_of(rows, each), tp) for each in range(count)]
    columns["rotation"] = [kinds.get("rotation", cell_of(rows, each)) for each in range(count)]
    block = account.block("bytes by line", columns)
    tables_of = account.lines("tables of positions", [_rotation(tables, model, each) for each in range(tables.most_rotations)])
    found = {line: block[line] for line in LINES if line != "weights_experts"}
    experts, slack, blocks = ([block[f"{name}{n}"] for n in range(len(paddings))] for name in ("experts", "slack", "blocks"))
    return Gathered(tp, place, whole, found, experts, slack, blocks, block["copied"], tables_of, block["rotation"])


def shifted_place(place: Live, whole: Live) -> Live:
    """Column of a tensor-parallel size, after all of those with experts cut where they stay whole."""
    return recorded(lambda *, place, whole, sizes: place + whole * sizes, place=place, whole=whole, sizes=len(TPS))


def _padded_row(tables: Tables, base: Live, padding: Live) -> Live:
    """Row of a part for a padding of the experts' kernels."""
    further = tables.parts.get("further", base)
    return recorded(lambda *, base, further, padding: base + further * (padding - 1), base=base, further=further, padding=padding)


def _copied(tables: Tables, row: Live, tp: Live) -> Live:
    kinds = tables.kinds
    return recorded(
        absorbed_latent_bytes,
        layers=kinds.get("copied", row),
        heads=kinds.get("copied_heads", row),
        qk_nope_head_dim=kinds.get("copied_nope", row),
        v_head_dim=kinds.get("copied_v", row),
        kv_lora_rank=kinds.get("copied_rank", row),
        element_bytes=2,
        tp=tp,
    )


def _rotation(tables: Tables, model: Model, number: int) -> Live:
    place = constant(number + 1)
    element = recorded(
        lambda *, table, model: maximum(table, model), table=tables.models.get("rotation_element", model.row, place), model=model.element_bytes
    )
    return recorded(
        rope_table_bytes,
        positions=tables.models.get("rotation_positions", model.row, place),
        rotary_dim=tables.models.get("rotation_width", model.row, place),
        element_bytes=element,
    )


@dataclass(frozen=True)
class Counts:
    """How many layers of each kind a stage holds, and which parts outside."""

    first_layer: Live
    layers: Live
    first: Live
    last: Live
    column: Area


def counts_of(account: Account, tables: Tables, model: Model, rows: Area, pp: Live, stage: Live) -> Counts:
    """Layers and parts of one stage, as a column beside the rows of the parts."""
    start = account.line("first layer", recorded(stage_first_layer, layers=model.layers, pp=pp, stage=stage))
    size = account.line("layers", recorded(stage_size, layers=model.layers, pp=pp, stage=stage))
    first = account.line("is first", chosen(compared(stage, "=", 0), constant(1), constant(0)))
    last = account.line("is last", chosen(compared(stage, "=", recorded(lambda *, pp: pp - 1, pp=pp)), constant(1), constant(0)))
    kinds = len(rows.values) - len(OUTSIDE_PARTS)
    column: list[Live] = []
    for each in range(kinds):
        letter = tables.kinds.get("letter", cell_of(rows, each))
        inside = counted_letters(model.pattern, start, size, letter)
        column.append(chosen(compared(constant(each + 1), "<=", model.kinds), inside, constant(0)))
    apart = recorded(lambda *, first, last: last * (1 - first), first=first, last=last)
    alone = recorded(lambda *, first, last: last * first, first=first, last=last)
    column += [first, last, last, first, apart, alone]
    return Counts(start, size, first, last, account.block("counts", {"count": column})["count"])


@dataclass(frozen=True)
class StageWeights:
    """Weights of one stage, whatever the device but for the padding of its kernels and the band of its format."""

    lines: dict[str, Live]
    fixed: Live  # their sum
    blocks: Live  # FP8 in square blocks
    slack: Live
    spread: Live


def stage_weights(account: Account, model: Model, parts: Gathered, counts: Counts, padding: int, error: Live) -> StageWeights:
    """Lines of the stored tensors of one stage."""
    column = counts.column
    lines: dict[str, Live] = {}
    for line in LINES:
        area = parts.experts[padding] if line == "weights_experts" else parts.lines[line]
        rows = area, column
        if line == "weights_embedding":  # the last row, a head of its own, is a line without a band
            rows = _without_last(area), _without_last(column)
        lines[line] = account.line(line, products(*rows))
    own = parts.lines["weights_embedding"]
    lines["own_head"] = account.line("own_head", times(cell_of(own, len(own.values) - 1), cell_of(column, len(column.values) - 1)))
    lines["weights_absorbed"] = account.line("weights_absorbed", products(parts.copied, column))
    lines["weights_tables"] = account.line("weights_tables", _tables(parts, column))
    lines["weights_unlisted"] = account.line("weights_unlisted", times(counts.first, model.unlisted))
    widths = [recorded(band_width_bytes, size_bytes=lines[line], share=error, added_bytes=0) for line in LINES]
    widths.append(times(counts.first, model.unlisted_above))
    return StageWeights(
        lines,
        account.line("fixed weights", added(account.lines("weights", list(lines.values())))),
        account.line("square blocks", products(parts.blocks[padding], column)),
        account.line("slack", products(parts.slack[padding], column)),
        account.line("spread of weights", root_of_squares(account.lines("widths of bands", widths))),
    )


def _without_last(area: Area) -> Area:
    first, last = cell_of(area, 0), cell_of(area, len(area.values) - 2)
    return Area(f"{first.text}:{last.text.rpartition('!')[2]}", area.values[:-1])


def _tables(parts: Gathered, column: Area) -> Live:
    """Tables of positions of the rotations that the stage's layers use."""
    found: list[Live] = []
    for number in range(len(parts.rotations.values)):
        places = [place for place, value in enumerate(parts.used.values) if value == number + 1]
        there = sum(column.values[place] or 0 for place in places)
        used = Live(f"SUMIF({parts.used.text},{number + 1},{column.text})", there)
        found.append(chosen(compared(used, ">", 0), cell_of(parts.rotations, number), constant(0)))
    return Live("+".join(each.text for each in found), sum(each.value for each in found))
