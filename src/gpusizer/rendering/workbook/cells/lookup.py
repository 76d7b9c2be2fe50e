"""What an account reads, as figures of the sheet: the model that is chosen, and where devices and layouts stand in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import mul
from typing import Any

from gpusizer.engines.base.sheet import Model
from gpusizer.formulas.symbols import Symbol
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Live, constant
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import ALL, Axis, Trace, Traced

__all__ = ["SheetLookup", "call", "leaf", "looked", "model_of"]


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


class SheetLookup:
    """The engine's tables along the axes of one calculation.

    Parameters
    ----------
    trace, tables : Trace, Tables
        What is recorded, and the tables.
    families, classes : Axis
        Devices by kernels and bands of their weights; devices by what the engine chooses for them.
    class_rows : sequence of Live
        Rows of the classes.
    """

    def __init__(self, trace: Trace, tables: Tables, families: Axis = ALL, classes: Axis = ALL, class_rows: Sequence[Live] = ()) -> None:
        self.trace, self.tables, self.families, self.classes, self.class_rows = trace, tables, families, classes, class_rows
        facts = tables.facts
        kinds, rotations, groups = tables.most_kinds, tables.most_rotations, facts.tables.most_groups
        self.sizes = {"tps": len(TPS), "kv_precisions": len(facts.kv_precisions), "kinds": kinds, "rotations": rotations, "groups": groups}

    def looked(self, table: str, name: str, row: Any, column: Any = None) -> Traced:
        """A cell of a table; an empty cell counts as 0."""
        place = self.trace.one(constant(column)) if isinstance(column, int) else column
        return looked(self.tables.engine[table], name, row, place)

    def of_class(self, name: str) -> Traced:
        """A column of the table of classes of devices."""
        return leaf(self.trace, self.tables.engine["classes"], name, self.class_rows, self.classes)

    def places(self, numbers: Sequence[int]) -> Traced:
        """Numbers one below the other: the axis of parts."""
        return self.trace.given([[constant(number)] for number in numbers], Axis("parts", len(numbers)))

    def below(self, figures: Sequence[Traced], like: Traced) -> Traced:
        """Figures one below the other, along the axis of ``like``; 0 for those that are missing."""
        return self.trace.stacked([*figures, *[self.trace.one(constant(0))] * (like.devices.size - len(figures))], like.devices)

    def by_family(self, figures: Sequence[Traced]) -> Traced:
        """One figure of those of each family of devices."""
        return figures[0] if self.families is ALL else self.trace.stacked(figures, self.families)

    def counted(self, pattern: Traced, start: Traced, size: Traced, letter: Traced | str) -> Traced:
        """How often a letter stands in a part of a text; places count from 0, and letter case matters."""
        inputs = (pattern, start, size) if isinstance(letter, str) else (pattern, start, size, letter)
        sign, part = f'"{letter}"' if isinstance(letter, str) else "{3}", "MID({0},{1}+1,{2})"

        def count(pattern: Any, start: Any, size: Any, one: Any = letter) -> int:
            return str(pattern)[int(start) : int(start) + int(size)].count(str(one)) if one else 0

        return call(f'(LEN({part})-LEN(SUBSTITUTE({part},{sign},"")))', count, *inputs)

    def total(self, column: Traced, counts: Traced) -> Traced:
        """The sum of products of two columns."""
        return self.trace.over_devices("SUMPRODUCT({},{})", lambda *columns: sum(map(mul, *columns)), column, counts)

    def total_where(self, column: Traced, number: int, counts: Traced) -> Traced:
        """The sum of ``counts`` where ``column`` has a number."""

        def there(values: list[Any], counts: list[Any]) -> Any:
            return sum(count for value, count in zip(values, counts, strict=True) if value == number)

        return self.trace.over_devices(f"SUMIF({{}},{number},{{}})", there, column, counts)


def model_of(trace: Trace, tables: Tables, inputs: Inputs) -> Model:
    """Look the model up."""
    table, engine = tables.models, tables.facts.engine
    by_precision = set(engine.by_precision) | {"legal"}

    def get(name: str) -> Traced:
        return trace.line(name, table.get(name, inputs.model_row, inputs.precision_place if name in by_precision else None))

    names = [field.name for field in fields(engine.record)]
    record = engine.record(**{name: get(name) for name in names})
    figures = {name: get(name) for name in ("layers", "pattern", "kinds", "first_kind", *(by_precision - set(names)))}
    for number in range(tables.most_rotations):
        for name in ("rotation_width", "rotation_positions", "rotation_element"):
            figures[f"{name}_{number}"] = trace.line(name, table.get(name, inputs.model_row, constant(number + 1)))
    return Model(record, figures, trace.one(inputs.context_tokens), trace.one(inputs.kv_place), trace.one(inputs.precision_place))
