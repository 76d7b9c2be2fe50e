"""What a stage is made of, counted and added up: parts of the model by how many layers have them, tables of positions.

Layouts stay free, in the file of a plan as in that of the catalogue: a stage is a sum of products of its parts with counts that follow from the
layout. A row for each stage of each layout instead would be some ten thousand for one model (its precisions, paddings of kernels, cuts and stages),
would answer no layout that is not listed, and would be a second way to put a stage together beside the one that the catalogue needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpusizer.engines.base.account import Place
from gpusizer.engines.base.band import Limits, Spread
from gpusizer.engines.base.cell_table import LETTERS
from gpusizer.engines.base.ledger import WEIGHT_LINES, computed
from gpusizer.engines.base.model_table import OUTSIDE_PARTS
from gpusizer.engines.base.sheet import Lookup, Model, Ways
from gpusizer.engines.base.types import Item, Section
from gpusizer.formulas.core import kept, where
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import absorbed_latent_bytes, group_sum_bytes, rope_table_bytes
from gpusizer.formulas.memory.stages import stage_first_layer, stage_size

__all__ = ["Assembly", "CellAssembly", "Parts"]

_SUMMED = len(OUTSIDE_PARTS) - 1  # the last one, a head of its own, is a line without a band


class Parts:
    """Rows of the model's parts: what stands outside its layers, then its kinds of layers."""

    def __init__(self, lookup: Lookup, model: Model) -> None:
        self.lookup = lookup
        place = lookup.places([*range(_SUMMED), *range(len(OUTSIDE_PARTS), len(OUTSIDE_PARTS) + lookup.sizes["kinds"])])
        there = where(place < model.kinds + len(OUTSIDE_PARTS), place, 0)  # the first part of all where there is no such kind
        self.row = kept("row of a part", model.first_kind + there)
        self.there = kept("is a part", where(there >= place, 1, 0))
        self.part = kept("part", lookup.looked("kinds", "part", self.row, model.precision))
        self.tied = kept("tied copy", lookup.looked("kinds", "part", model.first_kind + _SUMMED - 1, model.precision))
        self.own = kept("own head", lookup.looked("kinds", "part", model.first_kind + _SUMMED, model.precision))
        self.further = kept("further rows", lookup.looked("parts", "further", self.part))

    def kind(self, name: str) -> Any:
        """A column of the table of kinds."""
        return self.lookup.looked("kinds", name, self.row)


@dataclass
class Assembly:
    """The stages of one calculation, put together."""

    lookup: Lookup
    model: Model
    parts: Parts
    ways: Ways

    @cached_property
    def first_layer(self) -> Any:
        """Layers before the stage."""
        return kept("first layer", stage_first_layer(layers=self.model.layers, pp=self.ways.pp, stage=self.ways.stage))

    @cached_property
    def place(self) -> Place:
        """Where the stage stands, and its layers."""
        ways = self.ways
        layers = kept("layers", stage_size(layers=self.model.layers, pp=ways.pp, stage=ways.stage))
        return Place(kept("first", where(ways.stage > 0, 0, 1)), kept("last", where(ways.stage < ways.pp - 1, 0, 1)), layers)

    @cached_property
    def counts(self) -> Any:
        """How many of each part the stage holds."""
        place = self.place
        outside = [place.first, place.last, place.last, place.first, place.last * (1 - place.first)]
        letters = self.lookup.counted(self.model.pattern, self.first_layer, place.layers, self.parts.kind("letter"))
        return kept("counts", letters * self.parts.there + self.lookup.below([kept("count", each) for each in outside], self.parts.there))

    def column(self, name: str, row: Any, place: Any) -> Any:
        return kept(name, self.lookup.looked("parts", name, row, place))

    def total(self, name: str, column: Any) -> Any:
        """What the stage holds of a column of parts."""
        return kept(name, self.lookup.total(column, self.counts))

    def by_padding(self, name: str) -> Any:
        """Bytes on a stage of what kernels pad differently from family to family of devices."""
        place = self.ways.tp_place + self.ways.whole * self.lookup.sizes["tps"]
        sums = []
        for padding in self.ways.paddings:
            row = self.parts.part + self.parts.further * (padding - 1)
            sums.append(self.total(name, self.column(name, row, place)))
        return self.lookup.by_family(sums)

    def stored(self) -> dict[str, Item]:
        """Lines of the stored tensors."""
        found: dict[str, Item] = {}
        band = Spread(self.ways.error, self.ways.error)
        for line in WEIGHT_LINES:
            padded = line == "weights_experts"
            size = self.by_padding(line) if padded else self.total(line, self.column(line, self.parts.part, self.ways.tp_place))
            found[line] = computed(line, group_sum_bytes, section=Section.WEIGHTS, band=band, stored=size)
        return found

    def copies(self) -> Item:
        """Second copies of latent projections."""
        copied = self.total("copies", kept("copied", self._copied()))
        return computed("weights_absorbed", sum_bytes, section=Section.WEIGHTS, copies_bytes=copied)

    def tables(self) -> Item:
        """Tables of positions."""
        tables = {f"table_{number}_bytes": self._table(number) for number in range(self.lookup.sizes["rotations"])}
        return computed("weights_tables", sum_bytes, section=Section.WEIGHTS, **tables)

    def unlisted(self) -> Item:
        """What the configuration does not list."""
        size = kept("unlisted", self.model.unlisted * self.place.first)
        ends = Limits(size, size + self.model.unlisted_above * self.place.first)
        return computed("weights_unlisted", sum_bytes, section=Section.WEIGHTS, band=ends, unlisted_bytes=size)

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
            element_bytes=self.element_bytes(number),
        )

        layers = self.lookup.total_where(used, number + 1, self.counts)
        return where(layers > 0, kept("table of positions", size), 0)

    def element_bytes(self, number: int) -> Any:
        """Bytes of an element of a table of positions."""
        return self.model.figures[f"rotation_element_{number}"]

    @cached_property
    def rule(self) -> Any:
        """Where the tables of the cache say what a class of devices makes of a precision of the cache."""
        number = self.lookup.of_class("class")
        return kept("column of the rule", (number - 1) * self.lookup.sizes["kv_precisions"] + self.model.kv_place)

    @cached_property
    def cache_row(self) -> Any:
        """Row of the cache: for each combination of the rule one at each tensor-parallel size."""
        combination = kept("combination", self.lookup.looked("rules", "combination", self.model.cache_rule, self.rule))
        return kept("cache", self.model.cache_first + combination * self.lookup.sizes["tps"] + self.ways.tp_place - 1)


class CellAssembly(Assembly):
    """Stages of a model whose layers cache side by side."""

    @cached_property
    def counts_by_cache(self) -> Sequence[Any]:
        """Layers of a stage by what they cache."""
        size, pattern = self.lookup.sizes["groups"], self.model.record.cache_pattern
        return [kept("layers that cache", self.lookup.counted(pattern, self.first_layer, self.place.layers, letter)) for letter in LETTERS[:size]]

    def cell(self, name: str, place: int) -> Any:
        """What a layer of a kind caches."""
        return kept(name, self.lookup.looked("cells", name, self.cache_row, place))

    def cached(self, name: str) -> Any:
        """What a stage caches of something."""
        return kept(f"{name} of stage", sum(count * self.cell(name, place) for place, count in enumerate(self.counts_by_cache, 1)))
