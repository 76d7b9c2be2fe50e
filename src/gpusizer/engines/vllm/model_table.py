"""Models as vLLM's account reads them: rotations, scales that are unfolded, slack of the allocator, caches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import Tensor
from gpusizer.engines.base.cache import asks_for_fp8, cache_format
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.model_table import ModelColumns, ModelTables, Rotation
from gpusizer.engines.base.part_table import LayerSize
from gpusizer.engines.base.sheet import Written
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.vllm.cache_table import NEEDS, SIZES, Combination, Layouts
from gpusizer.engines.vllm.defaults import mixer_kinds
from gpusizer.engines.vllm.device_table import VllmDevices
from gpusizer.engines.vllm.engine import ENGINE
from gpusizer.engines.vllm.expert_padding import BESIDE, plain_byte_experts
from gpusizer.engines.vllm.graphs import capture_workspace
from gpusizer.engines.vllm.record import ModelRecord, reads_bytes, shape_record
from gpusizer.engines.vllm.weights import block_shares, has_own_head, native_tower, rotations_of, slack_of

__all__ = ["KEPT", "VllmTables"]

Rule = tuple[tuple[Combination, ...], tuple[int, ...]]  # format and block, and buffer of graphs, by class and precision of the cache

KEPT = ("kept_tokens", "kept_steps", "block_tokens", "added_blocks", "groups")
"""What a kind of group keeps of a request, and how many such groups there are."""


class VllmTables(ModelTables):
    """Everything that vLLM's account looks up, for models that are added one by one."""

    beside_of: ClassVar[Mapping[str, LayerSize]] = BESIDE

    def __init__(self, devices: VllmDevices, precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...]) -> None:
        super().__init__(devices, precisions, kv_precisions, tps)
        self.layouts = Layouts(tps)
        self.cache_rules: dict[Rule, int] = {}  # -> number
        self.rule_of: dict[tuple[Any, ...], Rule] = {}
        self.cache_of: dict[tuple[Any, ...], dict[str, int]] = {}

    @property
    def most_groups(self) -> int:
        """Groups of layers that share a pool, the most of any model."""
        return self.layouts.most

    def record_of(self, architecture: Architecture) -> ModelRecord:
        """The record of a model whose tensors are looked through for each precision."""
        return shape_record(architecture, byte_experts=False, byte_inputs=False, block_side=1)

    def rotations_of(self, architecture: Architecture) -> tuple[Sequence[int], tuple[Rotation, ...]]:
        """Rotations by width, positions and elements."""
        return rotations_of(architecture)

    def own_head(self, architecture: Architecture) -> bool:
        """Whether the head is tied and yet loaded by itself."""
        return has_own_head(architecture)

    def square_shares(self, tensors: Iterable[tuple[Tensor, StorageFormat, int]]) -> dict[str, tuple[float, int]]:
        """FP8 in square blocks, whose scales may be unfolded."""
        return block_shares(tensors)

    def whole_tower(self, architecture: Architecture) -> bool:
        """Whether every rank holds the whole tower."""
        return native_tower(architecture)

    def slack_of(self, sizes: Iterable[int]) -> int:
        """What the allocator counts beyond matrices of these sizes. [bytes]"""
        return slack_of(sizes)

    def of_precision(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, Any]:
        """Whether inputs have one byte; bands of the stored tensors."""
        key = (precision, "inputs")
        if key not in model.shared:
            inside = [(tensor, form) for tensor, form, _, layer in model.tally.in_precision(precision) if layer]
            model.shared[key] = int(plain_byte_experts(inside)), int(reads_bytes(inside))
        errors = [
            weight_error(Start(Deployment("", each.id, precision=precision), architecture, each, self.engine.newest))
            for each in self.devices.by_vendor()
        ]
        plain, reads = model.shared[key]
        return {"byte_experts": plain, "byte_inputs": reads, "error": errors[0], "error_rocm": errors[1]}

    def cache_tables(self) -> dict[str, Written]:
        """Rules of blocks, layouts of caches, groups and needs."""
        combinations = len(self.devices.classes) * len(self.kv_precisions)
        rules = [[*map(list(dict.fromkeys(rule)).index, rule), *(block for _, block in rule), *buffers] for rule, buffers in self.cache_rules]
        return {
            "Groups": ([("pattern", 1), ("size", SIZES)], self.layouts.groups),
            "Layouts": ([("first", 1), ("count", 1), ("need", 1)], self.layouts.rows),
            "Needs": ([(f"{name}{each}", 1) for each in range(NEEDS) for name in KEPT], self.layouts.needs),
            "Rules": ([(name, combinations) for name in ("combination", "block", "capture")], rules),
        }

    def cache_rows(self, model: ModelColumns, architecture: Architecture, precision: str) -> dict[str, int]:
        """Rows of format and block of the cache by class of devices and precision of the cache, and of the layouts of these."""
        same = (mixer_kinds(model.architecture), architecture.dtype, precision == "checkpoint" and asks_for_fp8(architecture))
        key = (same, model.mixers, model.cut_places)
        if key not in self.cache_of:
            if same not in self.rule_of:
                forms, buffers = (self.by_class(each, architecture, precision) for each in (_combination, capture_workspace))
                self.rule_of[same] = forms, buffers
            rule, _ = self.rule_of[same]
            request = ENGINE.cache_request(self.start(architecture, self.accelerators[0], precision))
            first = self.layouts.place(architecture, model.mixers, request, tuple(dict.fromkeys(rule)), model.cut_places)
            self.cache_of[key] = {"cache_rule": self.cache_rules.setdefault(self.rule_of[same], len(self.cache_rules) + 1), "cache_first": first}
        return self.cache_of[key]


def _combination(start: Start) -> Combination:
    form = cache_format(start.deployment.kv_precision, start.architecture.dtype)
    assert form is not None
    return replace(form, id=""), start.deployment.block_size or 16
