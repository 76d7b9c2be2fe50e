"""What TensorRT-LLM's account looks up: devices as columns, models as it reads them, what each kind of layer caches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.engines.base.cell_table import CellTable, cache_kinds
from gpusizer.engines.base.device_table import LINE_FIGURES, DeviceClass, Devices, line_figures, looked_line
from gpusizer.engines.base.engine import Stage
from gpusizer.engines.base.margins import MARGIN, device_margin
from gpusizer.engines.base.model_table import ModelColumns, ModelTables
from gpusizer.engines.base.sheet import DeviceLookup, Written
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.tensorrt_llm.engine import ENGINE
from gpusizer.engines.tensorrt_llm.record import DeviceRecord, cache_name, cache_record, communication_line, device_record, model_record
from gpusizer.facts.types import Accelerator

__all__ = ["SheetModel", "TensorRtLlmDevices", "TensorRtLlmTables", "looked_device"]

_OUTSIDE, _SYSTEM = ("driver_reserved", "device_context"), "system_memory"
_LINES = (*_OUTSIDE, _SYSTEM)
_CELLS = ("token", "request")


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """Nothing that the engine chooses depends on the class of a device but the padding of expert kernels."""


class TensorRtLlmDevices(Devices):
    """All devices and their classes."""

    def class_of(self, accelerator: Accelerator) -> DeviceClass:
        """The class of a device."""
        return DeviceClass(ClassRecord(), ENGINE.cut(self.start(accelerator)).paddings, accelerator.vendor == "AMD")

    def columns(self) -> Written:
        """What the table of devices holds beside words: a row each."""
        rows = []
        for accelerator, number in zip(self.accelerators, self.numbers, strict=True):
            found = device_record(self.start(accelerator))
            figures = line_figures((*found.outside, *found.system), *_LINES)
            margin = device_margin(ENGINE.id, accelerator)
            rows.append([accelerator.memory_bytes, number + 1, margin.below, margin.above, found.keeps_pages, found.server_devices, *figures])
        names = [f"{id}_{name}" for id in _LINES for name in LINE_FIGURES]
        return [(name, 1) for name in ("memory", "class", *MARGIN, "keeps_pages", "server", *names)], rows


def looked_device(get: DeviceLookup, gpus: Any) -> DeviceRecord:
    """The record of devices as their columns say, for replicas of so many GPUs."""
    outside = (*(looked_line(get, id) for id in _OUTSIDE), communication_line(gpus))
    return DeviceRecord(get("memory"), outside, (looked_line(get, _SYSTEM),), get("keeps_pages"), get("server"))


@dataclass(frozen=True, slots=True)
class SheetModel:
    """A model whatever its precision."""

    cache_pattern: Any  # a letter for each layer: what it caches
    hidden: Any
    width: Any
    top_k: Any
    expert_width: Any
    gate_up: Any
    expert_hidden: Any


class TensorRtLlmTables(ModelTables):
    """Everything that the account looks up, for models that are added one by one."""

    def __init__(self, devices: TensorRtLlmDevices, precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...]) -> None:
        super().__init__(devices, precisions, kv_precisions, tps)
        self.cells = CellTable(_CELLS, tps)

    @property
    def most_groups(self) -> int:
        """Kinds of layers by what they cache, the most of any model."""
        return self.cells.most

    def record_of(self, architecture: Architecture) -> SheetModel:
        """The record of a model."""
        start = self.start(architecture, self.accelerators[0], "checkpoint")
        return SheetModel(cache_kinds(architecture)[0], **asdict(model_record(start).prefill))

    def unlisted(self, model: ModelColumns, architecture: Architecture, precision: str, stored_bytes: int) -> dict[str, int]:
        """Only what the configuration lists."""
        return {"unlisted": 0, "unlisted_above": 0}

    def of_precision(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, Any]:
        """Files of the checkpoint, and bands of the stored tensors."""
        starts = [self.start(architecture, each, precision) for each in self.devices.by_vendor()]
        errors = [ENGINE.weight_error_of(start) for start in starts]
        return {"checkpoint_bytes": model_record(starts[0]).checkpoint_bytes, "error": errors[0], "error_rocm": errors[1]}

    def cache_rows(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, int]:
        """Rows of what each kind of layer caches, by precision of the cache."""

        def cells_of(kv: Any, tp: int, index: int) -> Sequence[float]:
            if self.tps.index(tp) not in model.cut_places:
                return (0, 0)
            start = self.start(architecture, self.accelerators[0], precision, kv, tp)
            found = cache_record(start, Stage(0, range(index, index + 1), first=False, last=False))
            return (found.token_bytes, found.request_bytes)

        followed = cache_name(Deployment("", ""), architecture)
        key = (len(self.columns), element_bytes(architecture.dtype), followed)
        if key not in model.shared:
            rule = (*self.kv_precisions,) * len(self.devices.classes)
            model.shared[key] = self.cells.place(key, rule, cache_kinds(architecture)[1], cells_of)
        found: Mapping[str, int] = model.shared[key]
        return found

    def cache_tables(self) -> Mapping[str, Written]:
        """Cells of layers, and rules that say which."""
        return self.cells.written()
