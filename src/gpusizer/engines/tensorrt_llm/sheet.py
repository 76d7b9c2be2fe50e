"""TensorRT-LLM's account on a sheet: its tables, and its records as figures that look them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.account import StageFigures, conclude, stage_blocks
from gpusizer.engines.base.assembly import CellAssembly, Parts
from gpusizer.engines.base.device_table import looked_margin
from gpusizer.engines.base.ledger import banded
from gpusizer.engines.base.margins import widened
from gpusizer.engines.base.model_table import BY_PRECISION
from gpusizer.engines.base.prefill import PrefillModel, prefill_cut_of
from gpusizer.engines.base.sheet import DeviceLookup, DeviceShare, Lookup, Model, Outcome, Ways
from gpusizer.engines.base.types import Deployment, Section
from gpusizer.engines.tensorrt_llm import account
from gpusizer.engines.tensorrt_llm import constants as fitted
from gpusizer.engines.tensorrt_llm.engine import ENGINE, with_defaults
from gpusizer.engines.tensorrt_llm.record import CacheRecord, ModelRecord, compiled, step_of
from gpusizer.engines.tensorrt_llm.tables import SheetModel, TensorRtLlmDevices, TensorRtLlmTables, looked_device
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import kept, maximum, minimum
from gpusizer.formulas.load import held_requests
from gpusizer.formulas.memory.cache_blocks import pool_concurrency

__all__ = ["TensorRtLlmSheet", "sheet_at"]


@dataclass(frozen=True)
class TensorRtLlmSheet:
    """TensorRT-LLM at one version: as it was asked for, and as numbers."""

    asked: str | None
    version: tuple[int, ...]
    id: ClassVar[str] = ENGINE.id
    record: ClassVar[type] = SheetModel
    by_precision: ClassVar[Sequence[str]] = (*BY_PRECISION, "checkpoint_bytes")

    def tables(
        self, accelerators: Sequence[Accelerator], precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...], sample: Architecture
    ) -> TensorRtLlmTables:
        """Empty tables."""
        return TensorRtLlmTables(TensorRtLlmDevices(tuple(accelerators), ENGINE, sample, self.asked), precisions, kv_precisions, tps)

    def parts(self, lookup: Lookup, model: Model) -> Parts:
        """The rows of the model's parts."""
        return Parts(lookup, model)

    def device(self, lookup: Lookup, model: Model, get: DeviceLookup, ways: Ways) -> DeviceShare:
        """Devices as layouts have them; the engine takes a share of what the trial run leaves."""
        found = looked_device(get, ways.tp * ways.pp)
        return DeviceShare(found, self._usual.memory_fraction, found.memory_bytes, margin=looked_margin(get))

    def budget_of_share(self, device: DeviceShare, share: Any) -> Any:
        """The engine's own budget is the whole device. [bytes]"""
        return device.budget_bytes

    @property
    def _usual(self) -> Deployment:
        """What the engine chooses, whatever the model and the device."""
        return with_defaults(Deployment("", ""), self.version)

    def outcome(self, lookup: Lookup, model: Model, parts: Parts, ways: Ways, device: DeviceShare) -> Outcome:
        """Run the account of every stage and conclude."""
        stage, found_device = CellAssembly(lookup, model, parts, ways), device.record
        usual, context = self._usual, kept("longest", maximum(model.context_tokens, 1))
        most, tokens = usual.max_num_seqs, usual.max_num_batched_tokens or 1
        step = replace(step_of(usual, self.version, tokens), context_tokens=context, fraction=device.share)
        prefill = PrefillModel(**{each.name: getattr(model.record, each.name) for each in fields(PrefillModel)})
        record = ModelRecord(prefill, model.checkpoint_bytes)
        slack = banded("weights_slack", fitted.WEIGHTS_SLACK, section=Section.WEIGHTS)
        weights = stage.stored() | {line.id: line for line in (stage.copies(), stage.tables(), slack)}
        graphs, peak = account.step_lines(record, step, prefill_cut_of(ways.tp, whole_experts=ways.whole > 0), stage.place.layers)
        reductions = account.reduction_line(found_device, step, ways.tp)
        lines = weights | {line.id: line for line in (*found_device.outside, reductions, graphs, peak, *found_device.system)}
        pages = account.pages(found_device, record, lines.values())
        lines[pages.id] = pages
        cache = CacheRecord(stage.cached("token"), stage.cached("request"))
        available = widened(account.left_for_cache(found_device, step, cache, lines.values()), device.margin, found_device.memory_bytes)
        block = account.block_bytes(cache, step.page_tokens)
        used = kept("held", sum(line.bytes for line in lines.values()))
        figures = StageFigures(available, stage_blocks(available, block), block, 1, used, 0)
        found = conclude([figures], memory_bytes=found_device.memory_bytes, refused=0)
        taken = kept("pages of a request", maximum(account.request_blocks(cache, step.page_tokens, context), 1))
        at_once = [kept("at once", pool_concurrency(blocks=blocks, blocks_per_request=taken)) for blocks in found.blocks[:2]]
        return Outcome(
            lines=lines,
            figures=figures,
            found=found,
            free_bytes=found_device.memory_bytes,
            memory_bytes=found_device.memory_bytes,
            tokens=found.blocks[0] * step.page_tokens,
            concurrency=at_once[0],
            held=minimum(held_requests(max_concurrency=at_once[0]), most),
            held_low=minimum(held_requests(max_concurrency=maximum(at_once[1], 0)), most),
            weights_bytes=kept("weights", sum(line.bytes for line in weights.values())),
            most_requests=most,
            step_tokens=step.tokens,
        )


def sheet_at(version: str | None) -> TensorRtLlmSheet | None:
    """The account at a version; None for compiled engines, which size a workspace instead.

    >>> sheet_at("1.1").version, sheet_at("0.21")
    ((1, 1), None)
    """
    numbers = ENGINE.version_of(Deployment("", "", engine_version=version))
    return None if compiled(numbers, Deployment("", "")) else TensorRtLlmSheet(version, numbers)
