"""vLLM's account on a sheet: its tables, and its records as figures that look them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.assembly import Parts
from gpusizer.engines.base.device_table import WIDEST, looked_margin
from gpusizer.engines.base.model_table import BY_PRECISION
from gpusizer.engines.base.sheet import DeviceLookup, DeviceShare, Lookup, Model, Outcome, Ways
from gpusizer.engines.base.types import Deployment, Evidence, Item, Section
from gpusizer.engines.vllm.account import Asked, outcome_of
from gpusizer.engines.vllm.assembly import VllmAssembly
from gpusizer.engines.vllm.device_record import DeviceRecord
from gpusizer.engines.vllm.device_table import VllmDevices
from gpusizer.engines.vllm.engine import ENGINE, PACKED_CACHE
from gpusizer.engines.vllm.model_table import VllmTables
from gpusizer.engines.vllm.record import ClassRecord, ModelRecord, layout_record, version_rules
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import kept, minimum, where
from gpusizer.formulas.memory.budget import requested_bytes

__all__ = ["VllmSheet", "sheet_at"]


@dataclass(frozen=True)
class VllmSheet:
    """vLLM at one version: as it was asked for, and as numbers; with settings that the operator says."""

    asked: str | None
    version: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: ClassVar[str] = ENGINE.id
    record: ClassVar[type] = ModelRecord
    by_precision: ClassVar[Sequence[str]] = (*BY_PRECISION, "byte_experts", "byte_inputs", "block_side")

    def tables(
        self, accelerators: Sequence[Accelerator], precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...], sample: Architecture
    ) -> VllmTables:
        """Empty tables."""
        return VllmTables(VllmDevices(tuple(accelerators), ENGINE, sample, self.asked, self.settings), precisions, kv_precisions, tps)

    def parts(self, lookup: Lookup, model: Model) -> Parts:
        """The rows of the model's parts."""
        return Parts(lookup, model)

    def device(self, lookup: Lookup, model: Model, get: DeviceLookup, ways: Ways) -> DeviceShare:
        """Devices as layouts have them: growth by whether ranks or stages are joined, communicators by whether they share experts out."""
        joined = where(ways.tp * ways.pp > 1, 2, 1)
        case = kept("case", where(ways.tp > 1, where(ways.whole > 0, 3, joined), joined))
        kind = kept("growth", where(ways.tp > 1, 2, where(ways.pp > 1, 3, 1)))
        outside = {
            "device_context": get("context"),
            "communication": get("joined", case),
            "system_memory": get("system"),
            "driver_reserved": get("driver"),
        }
        place = case
        if "beside_bytes" in self.settings:
            gpus = kept("GPUs that others share", minimum(ways.tp * ways.pp, WIDEST))
            outside["models_beside"] = get("beside", gpus)
            place = kept("share of so many", (case - 1) * WIDEST + gpus)
        record = DeviceRecord(
            memory_bytes=get("memory"),
            visible_bytes=get("visible"),
            outside=tuple(Item(id, size, size, size, "", {}, (), Evidence.CALIBRATED, Section.OUTSIDE) for id, size in outside.items()),
            growth_bytes=get("growth", kind),
            growth_below_bytes=0,
            growth_above_bytes=get("above", kind),
            growth_sources=(),
            pool_share=get("pool_share"),
            image_copies=get("image_copies"),
        )
        return DeviceShare(record, get("share", place), kept("budget", get("budget", place)), margin=looked_margin(get))

    def budget_of_share(self, device: DeviceShare, share: Any) -> Any:
        """``--gpu-memory-utilization`` of what the driver reports. [bytes]"""
        return requested_bytes(device_total_bytes=device.record.visible_bytes, utilization=share)

    def outcome(self, lookup: Lookup, model: Model, parts: Parts, ways: Ways, device: DeviceShare) -> Outcome:
        """Run the account of every stage and conclude."""
        chosen = ClassRecord(**{each.name: lookup.of_class(each.name) for each in fields(ClassRecord)})
        asked = Asked(layout_record(ways.tp, whole_experts=ways.whole > 0), ways.pp, model.context_tokens, device.budget_bytes, device.margin)
        return outcome_of(model.record, chosen, device.record, VllmAssembly(lookup, model, parts, ways), asked, version_rules(self.version))


def sheet_at(version: str | None, settings: Mapping[str, Any] | None = None) -> VllmSheet | None:
    """The account at a version; None before pages of different sizes lay side by side, as requests were counted by other rules.

    >>> sheet_at("0.30.1").version, sheet_at("0.19")
    ((0, 30, 1), None)
    """
    numbers = ENGINE.version_of(Deployment("", "", engine_version=version))
    return VllmSheet(version, numbers, settings or {}) if numbers >= PACKED_CACHE else None
