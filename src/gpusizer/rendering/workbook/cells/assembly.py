"""What a stage is made of, counted and added up: parts of the model by how many layers have them, pages of its cache, tables of positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpusizer.engines.base.band import Limits, Spread
from gpusizer.engines.base.ledger import WEIGHT_LINES, computed
from gpusizer.engines.base.types import Item, Section
from gpusizer.engines.vllm.account import Place
from gpusizer.engines.vllm.cache import Kept
from gpusizer.engines.vllm.cache_table import NEEDS, SIZES
from gpusizer.engines.vllm.model_table import KEPT, OUTSIDE_PARTS
from gpusizer.formulas.core import kept, maximum, where
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import group_sum_bytes
from gpusizer.formulas.memory.stages import stage_first_layer, stage_size
from gpusizer.formulas.memory.weights import absorbed_latent_bytes, rope_table_bytes
from gpusizer.rendering.workbook.cells.leaves import Model, Ways, call, leaf, looked
from gpusizer.rendering.workbook.live import constant
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import ALL, Axis, Trace, Traced

__all__ = ["Assembly", "Parts"]

_SUMMED = len(OUTSIDE_PARTS) - 1  # the last one, a head of its own, is a line without a band


def counted(pattern: Traced, start: Traced, size: Traced, letter: Traced | str) -> Traced:
    """How often a letter stands in a part of a text; places count from 0. Letter case matters."""
    inputs = (pattern, start, size) if isinstance(letter, str) else (pattern, start, size, letter)
    sign = f'"{letter}"' if isinstance(letter, str) else "{3}"

    def count(pattern: Any, start: Any, size: Any, one: Any = letter) -> int:
        return str(pattern)[int(start) : int(start) + int(size)].count(str(one)) if one else 0

    part = "MID({0},{1}+1,{2})"
    return call(f'(LEN({part})-LEN(SUBSTITUTE({part},{sign},"")))', count, *inputs)


class Parts:
    """Rows of the model's parts: what stands outside its layers, then its kinds of layers."""

    def __init__(self, trace: Trace, tables: Tables, model: Model) -> None:
        self.trace, self.tables = trace, tables
        places = [*range(_SUMMED), *range(len(OUTSIDE_PARTS), len(OUTSIDE_PARTS) + tables.most_kinds)]
        self.axis = Axis("parts", len(places))
        place = trace.given([[constant(each)] for each in places], self.axis)
        there = where(place < model.kinds + len(OUTSIDE_PARTS), place, 0)  # the first part of all where there is no such kind
        self.row: Traced = kept("row of a part", model.first_kind + there)
        self.there: Traced = kept("is a part", where(there >= place, 1, 0))
        self.part: Traced = kept("part", looked(tables.kinds, "part", self.row, model.precision))
        self.own: Traced = kept("own head", looked(tables.kinds, "part", model.first_kind + _SUMMED, model.precision))
        self.further: Traced = kept("further rows", looked(tables.parts, "further", self.part))

    def kind(self, name: str) -> Traced:
        """A column of the table of kinds."""
        return looked(self.tables.kinds, name, self.row)


@dataclass
class Assembly:
    """One calculation's stages."""

    trace: Trace
    tables: Tables
    model: Model
    parts: Parts
    ways: Ways

    @cached_property
    def first_layer(self) -> Traced:
        """Layers before the stage."""
        found: Traced = kept("first layer", stage_first_layer(layers=self.model.layers, pp=self.ways.pp, stage=self.ways.stage))
        return found

    @cached_property
    def place(self) -> Place:
        """Where the stage stands, and its layers."""
        ways = self.ways
        layers = kept("layers", stage_size(layers=self.model.layers, pp=ways.pp, stage=ways.stage))
        return Place(kept("first", where(ways.stage > 0, 0, 1)), kept("last", where(ways.stage < ways.pp - 1, 0, 1)), layers)

    @cached_property
    def counts(self) -> Traced:
        """How many of each part the stage holds."""
        place, zero = self.place, self.trace.one(constant(0))
        outside = [place.first, place.last, place.last, place.first, place.last * (1 - place.first)]
        rows = [*(each.named("count") for each in outside), *[zero] * (self.parts.axis.size - _SUMMED)]
        letters = counted(self.model.pattern, self.first_layer, place.layers, self.parts.kind("letter"))
        found: Traced = kept("counts", letters * self.parts.there + self.trace.stacked(rows, self.parts.axis))
        return found

    def _column(self, name: str, row: Any, place: Any) -> Traced:
        found: Traced = kept(name, looked(self.tables.parts, name, row, place))
        return found

    def _total(self, column: Traced) -> Traced:
        """What the stage holds of a column of parts: the sum of products with its counts."""

        def products(sizes: list[Any], counts: list[Any]) -> Any:
            return sum(size * count for size, count in zip(sizes, counts, strict=True))

        return self.trace.over_devices("SUMPRODUCT({},{})", products, column, self.counts)

    def _by_padding(self, name: str) -> Traced:
        """Bytes on a stage of what kernels pad differently from family to family of devices."""
        place = self.ways.tp_place + self.ways.whole * len(TPS)
        sums = []
        for padding in self.ways.paddings:
            row = self.parts.part + self.parts.further * (padding - 1)
            sums.append(self._total(self._column(name, row, place)).named(name))
        return sums[0] if self.ways.families is ALL else self.trace.stacked(sums, self.ways.families)

    @cached_property
    def square_bytes(self) -> Traced:
        """Weights in FP8 with a scale for each square block."""
        return self._by_padding("blocks")

    @cached_property
    def slack_bytes(self) -> Traced:
        """What the allocator counts beyond the matrices."""
        return self._by_padding("slack")

    def weights(self) -> dict[str, Item]:
        """Lines of the stored tensors, and of what loading makes of them."""
        found: dict[str, Item] = {}
        band = Spread(self.ways.error, self.ways.error)
        for line in WEIGHT_LINES:
            if line == "weights_experts":
                size = self._by_padding(line)
            else:
                size = self._total(self._column(line, self.parts.part, self.ways.tp_place)).named(line)
            found[line] = computed(line, group_sum_bytes, section=Section.WEIGHTS, band=band, stored=size)
        head = self._column("weights_embedding", self.parts.own, self.ways.tp_place) * self.place.first * self.place.last
        found["own_head"] = computed("weights_head", group_sum_bytes, section=Section.WEIGHTS, embedding=kept("own head", head))
        copied = self._total(kept("copied", self._copied()))
        found["weights_absorbed"] = computed("weights_absorbed", sum_bytes, section=Section.WEIGHTS, copies_bytes=copied.named("copies"))
        tables = {f"table_{number}_bytes": self._table(number) for number in range(self.tables.most_rotations)}
        found["weights_tables"] = computed("weights_tables", sum_bytes, section=Section.WEIGHTS, **tables)
        size = kept("unlisted", self.model.unlisted * self.place.first)
        ends = Limits(size, size + self.model.unlisted_above * self.place.first)
        found["weights_unlisted"] = computed("weights_unlisted", sum_bytes, section=Section.WEIGHTS, band=ends, unlisted_bytes=size)
        return found

    def _copied(self) -> Any:
        kind = self.parts.kind
        return absorbed_latent_bytes(
            layers=kind("copied"),
            heads=kind("copied_heads"),
            qk_nope_head_dim=kind("copied_nope"),
            v_head_dim=kind("copied_v"),
            kv_lora_rank=kind("copied_rank"),
            element_bytes=2,
            tp=self.ways.tp,
        )

    def _table(self, number: int) -> Any:
        """A table of positions, where the stage has layers that rotate by it."""
        model, used = self.model, kept("rotation", self.parts.kind("rotation"))
        size = rope_table_bytes(
            positions=model.figures[f"rotation_positions_{number}"],
            rotary_dim=model.figures[f"rotation_width_{number}"],
            element_bytes=maximum(model.figures[f"rotation_element_{number}"], model.record.element_bytes),
        )

        def there(rotations: list[Any], counts: list[Any]) -> Any:
            return sum(count for rotation, count in zip(rotations, counts, strict=True) if rotation == number + 1)

        layers = self.trace.over_devices(f"SUMIF({{}},{number + 1},{{}})", there, used, self.counts)
        return where(layers > 0, kept("table of positions", size), 0)

    # ---- the cache -------------------------------------------------------------------------------------------------

    @cached_property
    def _rule(self) -> Traced:
        kinds, row = len(self.tables.facts.kv_precisions), self.model.kv_place
        number = leaf(self.trace, self.tables.classes, "class", self.ways.class_rows, self.ways.classes)
        found: Traced = kept("column of the rule", (number - 1) * kinds + row)
        return found

    @cached_property
    def block_tokens(self) -> Traced:
        """Block that the engine chooses for the model on a class of devices."""
        found: Traced = kept("block", looked(self.tables.rules, "block", self.model.cache_rule, self._rule))
        return found

    @cached_property
    def _layout(self) -> Traced:
        combination = kept("combination", looked(self.tables.rules, "combination", self.model.cache_rule, self._rule))
        found: Traced = kept("cache", self.model.cache_first + combination * len(TPS) + self.ways.tp_place - 1)
        return found

    def needed_blocks(self, in_flight_tokens: Traced) -> Any:
        """Blocks of a request of the longest context."""
        row = kept("need", looked(self.tables.layouts, "need", self._layout))
        total: Any = 0
        for number in range(NEEDS):
            values = {name: looked(self.tables.needs, f"{name}{number}", row) for name in KEPT}
            groups = values.pop("groups")
            total = total + groups * Kept(**values).blocks(self.model.context_tokens, in_flight_tokens)
        return kept("needed", total)

    @cached_property
    def block_bytes(self) -> Any:
        """Bytes of one block on a stage: its widest group of layers."""
        groups, first = self.tables.groups, kept("first group", looked(self.tables.layouts, "first", self._layout))
        count = kept("groups", looked(self.tables.layouts, "count", self._layout))
        widths = []
        for number in range(self.tables.facts.tables.layouts.most):
            row = first + where(count > number, number, 0)
            pattern = kept("pattern", looked(groups, "pattern", row))
            width: Any = 0
            for size, letter in enumerate("abcd"[:SIZES], 1):
                page = looked(groups, "size", row, self.trace.one(constant(size)))
                width = width + counted(pattern, self.first_layer, self.place.layers, letter) * page
            widths.append(kept("width", width))
        return kept("block bytes", maximum(*widths))
