"""A stage as vLLM has it: what loading adds, and pages of its cache."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from gpusizer.engines.base.assembly import Assembly
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Item, Section
from gpusizer.engines.vllm.cache import Kept
from gpusizer.engines.vllm.cache_table import NEEDS, SIZES
from gpusizer.engines.vllm.expert_padding import REPACKED_SPREAD
from gpusizer.engines.vllm.model_table import KEPT
from gpusizer.formulas.core import kept, maximum, where
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import group_sum_bytes

__all__ = ["VllmAssembly"]


class VllmAssembly(Assembly):
    """The stages of one calculation, put together."""

    @cached_property
    def square_bytes(self) -> Any:
        """Weights in FP8 with a scale for each square block."""
        return self.by_padding("blocks")

    @cached_property
    def slack_bytes(self) -> Any:
        """What the allocator counts beyond the matrices."""
        return self.by_padding("slack")

    @cached_property
    def padded_bytes(self) -> Any:
        """What unquantised experts take beyond their tensors where their rows are padded."""
        return self.by_padding("padded")

    def unfused(self, there: Any) -> tuple[Item, Item]:
        """What experts in integers keep where no Marlin kernel runs: indices, and one layer that was repacked; ``there`` is 1 on such devices."""
        indices = kept("indices", self.by_padding("indices") * there)
        one = kept("one layer", self.by_padding("repacked") / maximum(self.by_padding("repacked_layers"), 1) * there)
        return (
            computed("weights_indices", sum_bytes, section=Section.WEIGHTS, indices_bytes=indices),
            computed("weights_repacked", sum_bytes, section=Section.WEIGHTS, band=REPACKED_SPREAD, experts_bytes=one),
        )

    def weights(self) -> dict[str, Item]:
        """Lines of the stored tensors, and of what loading makes of them."""
        found = self.stored()
        head = self.column("weights_embedding", self.parts.own, self.ways.tp_place) * self.place.first * self.place.last
        found["own_head"] = computed("weights_head", group_sum_bytes, section=Section.WEIGHTS, embedding=kept("own head", head))
        return found | {line.id: line for line in (self.copies(), self.tables(), self.unlisted())}

    def element_bytes(self, number: int) -> Any:
        """Tables of positions are no narrower than the model."""
        return maximum(super().element_bytes(number), self.model.record.element_bytes)

    # ---- the cache -------------------------------------------------------------------------------------------------

    @cached_property
    def block_tokens(self) -> Any:
        """Block that the engine chooses for the model on a class of devices."""
        return kept("block", self.lookup.looked("rules", "block", self.model.cache_rule, self.rule))

    @cached_property
    def capture_bytes(self) -> Any:
        """Work buffer that the first whole graph asks for on a class of devices."""
        return kept("work buffer", self.lookup.looked("rules", "capture", self.model.cache_rule, self.rule))

    def needed_blocks(self, in_flight_tokens: Any) -> Any:
        """Blocks of a request of the longest context."""
        row = kept("need", self.lookup.looked("layouts", "need", self.cache_row))
        total: Any = 0
        for number in range(NEEDS):
            values = {name: self.lookup.looked("needs", f"{name}{number}", row) for name in KEPT}
            groups = values.pop("groups")
            total = total + groups * Kept(**values).blocks(self.model.context_tokens, in_flight_tokens)
        return kept("needed", total)

    @cached_property
    def block_bytes(self) -> Any:
        """Bytes of one block on a stage: its widest group of layers."""
        first = kept("first group", self.lookup.looked("layouts", "first", self.cache_row))
        count = kept("groups", self.lookup.looked("layouts", "count", self.cache_row))
        widths = []
        for number in range(self.lookup.sizes["groups"]):
            row = first + where(count > number, number, 0)
            pattern = kept("pattern", self.lookup.looked("groups", "pattern", row))
            width: Any = 0
            for size, letter in enumerate("abcd"[:SIZES], 1):
                page = self.lookup.looked("groups", "size", row, size)
                width = width + self.lookup.counted(pattern, self.first_layer, self.place.layers, letter) * page
            widths.append(kept("width", width))
        return kept("block bytes", maximum(*widths))
