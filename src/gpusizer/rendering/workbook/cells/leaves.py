"""What an account reads, as figures of the sheet: the model that is chosen, and where devices and layouts stand in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from gpusizer.engines.vllm.record import ModelRecord
from gpusizer.formulas.symbols import Symbol
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Live
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import BY_PRECISION, Tables
from gpusizer.rendering.workbook.tracer import ALL, Axis, Trace, Traced

__all__ = ["Model", "Ways", "call", "leaf", "looked", "model_of"]


def call(text: str, function: Any, *inputs: Traced) -> Traced:
    """A function of the sheet that the library has no name for; ``{}`` stands for each input."""
    first = inputs[0]
    return first.applied(Symbol(text.format(*(each.text for each in inputs))), function, inputs)


def looked(table: Table, name: str, row: Any, column: Any = None) -> Traced:
    """A cell of a table, by places that are figures; an empty cell counts as 0."""
    area, width = table.area(name), table.places[name][1]
    if column is None:
        return call(f"INDEX({area.text},{{}})", lambda row: area.values[int(row) - 1] or 0, row)
    return call(f"INDEX({area.text},{{}},{{}})", lambda row, column: area.values[(int(row) - 1) * width + int(column) - 1] or 0, row, column)


def leaf(trace: Trace, table: Table, name: str, rows: Sequence[Live], axis: Axis, column: Live | None = None) -> Traced:
    """A column of a table: at each point of an axis the cell of its row."""
    cells = [[table.get(name, row, column)] for row in rows]
    return trace.line(name, cells[0][0]) if axis is ALL else trace.given(cells, axis)


@dataclass(frozen=True)
class Model:
    """The model that is chosen, in its precision."""

    record: ModelRecord
    figures: dict[str, Traced]
    context_tokens: Traced
    kv_place: Traced
    precision: Traced

    def __getattr__(self, name: str) -> Traced:
        return self.figures[name]


_FURTHER = (
    "layers", "pattern", "kinds", "first_kind", "legal", "families", "cache_rule", "cache_first", "error", "error_rocm", "unlisted", "unlisted_above",
)  # fmt: skip


def model_of(trace: Trace, tables: Tables, inputs: Inputs) -> Model:
    """Look the model up."""
    table = tables.models

    def get(name: str) -> Traced:
        live = table.get(name, inputs.model_row, inputs.precision_place if name in BY_PRECISION else None)
        return trace.line(name, live)

    record = ModelRecord(**{field.name: get(field.name) for field in fields(ModelRecord)})
    rotations = {}
    for number in range(tables.most_rotations):
        for name in ("rotation_width", "rotation_positions", "rotation_element"):
            rotations[f"{name}_{number}"] = trace.line(name, table.get(name, inputs.model_row, Live(str(number + 1), number + 1)))
    figures = {name: get(name) for name in _FURTHER} | rotations
    return Model(record, figures, trace.one(inputs.context_tokens), trace.one(inputs.kv_place), trace.one(inputs.precision_place))


@dataclass(frozen=True)
class Ways:
    """The axes of a calculation, and where their points stand in the tables.

    Parameters
    ----------
    families, classes : Axis
        Devices by kernels and bands of their weights; devices by what the engine chooses for them.
    stages : Axis
        Pipeline stages; layouts and tensor-parallel sizes lie along it.
    paddings : sequence of Traced
        Padding of each family.
    error : Traced
        Band of the stored tensors of each family.
    class_rows : sequence of Live
        Rows of the classes.
    tp, tp_place, whole : Traced
        Tensor-parallel size, its place among the sizes, whether experts stay whole (1 or 0).
    pp, stage : Traced
        Stages of a layout; number of a stage.
    """

    families: Axis
    classes: Axis
    stages: Axis
    paddings: Sequence[Traced]
    error: Traced
    class_rows: Sequence[Live]
    tp: Traced
    tp_place: Traced
    whole: Traced
    pp: Traced
    stage: Traced
