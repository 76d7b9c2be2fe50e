"""Models as SGLang's account reads them: a prefill step, what decides on its choices, pools of each kind of layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.engines.base.cell_table import CellTable, cache_kinds
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.model_table import ModelColumns, ModelTables
from gpusizer.engines.base.prefill import prefill_model
from gpusizer.engines.base.sheet import Written
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.defaults import captures_prefill, takes_stored_scales, tower_size
from gpusizer.engines.sglang.device_table import SglangDevices
from gpusizer.engines.sglang.engine import ENGINE
from gpusizer.engines.sglang.pools import Pools, formats, stage_pools
from gpusizer.engines.sglang.record import request_record, share_record
from gpusizer.facts.types import Accelerator

__all__ = ["CELLS", "SglangModel", "SglangTables"]

CELLS = ("full", "window", "stored", "slot", "widest", "fixed", "page")
"""What a layer caches: bytes of a token in either pool and as stored, of a state, tokens of a window, pools by request; tokens of a page."""

Combination = tuple[object, ...]  # kinds of mixers with width of elements, page, format as it is budgeted, format as it is stored


@dataclass(frozen=True, slots=True)
class SglangModel:
    """A model whatever its precision."""

    cache_pattern: Any  # a letter for each layer: what it caches
    hidden: Any
    width: Any
    top_k: Any
    expert_width: Any
    gate_up: Any
    expert_hidden: Any
    states: Any
    requests: Any  # at once, 0 where the pool says
    slots_per_request: Any  # of recurrent state
    window_ratio: Any
    images_bytes: Any
    tower_layers: Any
    tower_width: Any
    captures: Any  # 1 where prefill steps are captured
    latent: Any


class SglangTables(ModelTables):
    """Everything that SGLang's account looks up, for models that are added one by one."""

    def __init__(self, devices: SglangDevices, precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...]) -> None:
        super().__init__(devices, precisions, kv_precisions, tps)
        self.cells = CellTable(CELLS, tps)
        self.rule_of: dict[object, tuple[Combination, ...]] = {}  # by kinds of mixers and width of elements
        self.examples: dict[Combination, tuple[Accelerator, str]] = {}

    @property
    def most_groups(self) -> int:
        """Kinds of layers by what they cache, the most of any model."""
        return self.cells.most

    def record_of(self, architecture: Architecture) -> SglangModel:
        """The record of a model."""
        kinds, plain = kinds_of(architecture), self.devices.by_vendor()[0]
        nvidia = next((each for each in self.accelerators if each.vendor == "NVIDIA"), plain)
        start = self.start(architecture, nvidia, "checkpoint")
        layers, width = tower_size(architecture) if kinds.towers else (0, 0)
        requests = request_record(start)
        return SglangModel(
            cache_pattern=cache_kinds(architecture)[0],
            **asdict(prefill_model(architecture)),
            states=requests.states,
            requests=requests.requests,
            slots_per_request=requests.slots_per_request,
            window_ratio=stage_pools(start, Stage(0, range(1), first=True, last=True)).window_ratio,
            images_bytes=share_record(start).images_bytes,
            tower_layers=layers,
            tower_width=width,
            captures=int(captures_prefill(Deployment("", nvidia.id), kinds, nvidia, start.version)),
            latent=int(kinds.latent),
        )

    def of_precision(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, Any]:
        """Bands of the stored tensors, wider where a precision stands for what publishers make of it."""
        errors = [ENGINE.weight_error_of(self.start(architecture, each, precision)) for each in self.devices.by_vendor()]
        return {"recipe": int(precision in fitted.RECIPES), "error": errors[0], "error_rocm": errors[1]}

    def cache_rows(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, int]:
        """Rows of the pools of each kind of layer."""

        def cells_of(told: tuple[object, ...], tp: int, index: int) -> Sequence[float]:
            accelerator, kv = self.examples[told]
            start = self.start(architecture, accelerator, precision, kv, tp)
            page = start.deployment.block_size or 1
            if self.tps.index(tp) not in model.cut_places:
                return (*(0,) * (len(CELLS) - 1), page)
            return _cells(stage_pools(start, Stage(0, range(index, index + 1), first=False, last=False)), page)

        element, plain = element_bytes(architecture.dtype), self.devices.by_vendor()[0]
        scales = takes_stored_scales(Deployment("", plain.id, precision=precision), architecture, self.start(architecture, plain, precision).version)
        key, same = (len(self.columns), element, scales), (kinds_of(architecture), element, scales)
        if key not in model.shared:
            if same not in self.rule_of:
                self.rule_of[same] = self.by_class(self._combination, architecture, precision)
            model.shared[key] = self.cells.place(key, self.rule_of[same], cache_kinds(architecture)[1], cells_of)
        found: Mapping[str, int] = model.shared[key]
        return found

    def _combination(self, start: Start) -> Combination:
        """What pools depend on beside model and cut; a device and a precision that come to it are remembered."""
        deployment = start.deployment
        kind = (kinds_of(start.architecture), element_bytes(start.architecture.dtype))
        told = (kind, deployment.block_size, *(replace(each, id="") for each in formats(start)))
        assert start.asked is not None
        self.examples.setdefault(told, (start.accelerator, start.asked.kv_precision))
        return told

    def cache_tables(self) -> Mapping[str, Written]:
        """Cells of layers, and rules that say which."""
        return self.cells.written()


def _cells(pools: Pools, page_tokens: int) -> Sequence[float]:
    stored = round(pools.full_bytes * pools.stored_share, 3)
    fixed = sum(size for _, size in pools.fixed)
    return (pools.full_bytes, pools.window_bytes, stored, pools.slot_bytes, pools.window, fixed, page_tokens)
