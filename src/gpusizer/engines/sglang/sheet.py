"""SGLang's account on a sheet: its tables, and its records as figures that look them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.account import StageFigures, conclude
from gpusizer.engines.base.assembly import CellAssembly, Parts
from gpusizer.engines.base.device_table import looked_margin
from gpusizer.engines.base.ledger import WEIGHT_LINES
from gpusizer.engines.base.margins import widened
from gpusizer.engines.base.model_table import BY_PRECISION
from gpusizer.engines.base.prefill import PrefillModel, prefill_cut_of
from gpusizer.engines.base.sheet import DeviceLookup, DeviceShare, Lookup, Model, Outcome, Ways
from gpusizer.engines.base.types import Deployment, Item
from gpusizer.engines.sglang import account
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang import record as records
from gpusizer.engines.sglang.device_table import ClassRecord, SglangDevices, looked_device
from gpusizer.engines.sglang.engine import ENGINE
from gpusizer.engines.sglang.model_table import CELLS, SglangModel, SglangTables
from gpusizer.engines.sglang.pools import Pools
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import kept, least, maximum, minimum, where
from gpusizer.formulas.load import held_requests
from gpusizer.formulas.memory.cache_blocks import pool_concurrency
from gpusizer.formulas.memory.shares import reserved_for_activations_mib, share_with_towers, static_share
from gpusizer.units import MiB

__all__ = ["SglangSheet", "sheet_at"]

SINCE = (0, 5, 21)
"""Earlier versions choose shares, graphs and states by other rules."""

LARGE_MIB, FLOOR_MIB = 60 * 1024, 10 * 1024  # what is left free at least, on cards above
LATENT_GRAPHS_MIB, GRAPH_MIB = 1536, 8  # for captured prefill steps: of latent attention together, else for each
LEAST_TOKENS = 2048
FEW_RANKS = 4  # from here on more batches are captured


class SglangAssembly(CellAssembly):
    """The stages of one calculation, put together."""

    @cached_property
    def pools(self) -> Pools:
        """What the layers of a stage cache."""
        full, window, stored, slot, fixed = (self.cached(name) for name in ("full", "window", "stored", "slot", "fixed"))
        widest = [where(count > 0, self.cell("widest", place), 0) for place, count in enumerate(self.counts_by_cache, 1)]
        ratio = self.model.record.window_ratio
        return Pools(
            full_bytes=full,
            window_bytes=window,
            window_ratio=ratio,
            window_share=where(full > 0, ratio, 1),
            split=where(window > 0, where(full > 0, 1, 0), 0),
            window=kept("widest of stage", maximum(*widest, 0)),
            stored_share=kept("stored share", where(full > 0, stored / maximum(full, 1), 1)),
            slot_bytes=slot,
            fixed=(("by_request_bytes", fixed),),
        )

    @property
    def page_tokens(self) -> Any:
        """Tokens of a page of the attention kernel."""
        return self.cell(CELLS[-1], 1)

    def recipe_bytes(self, stored: dict[str, Item]) -> Any:
        """Tensors of a stage in a precision that stands for what publishers make of it, without the copy of a tied head."""
        tied = self.column("weights_embedding", self.parts.tied, self.ways.tp_place) * self.place.last * (1 - self.place.first)
        return kept("recipe", (sum(stored[line].bytes for line in WEIGHT_LINES) - tied) * self.model.recipe)


@dataclass(frozen=True)
class SglangSheet:
    """SGLang at one version: as it was asked for, and as numbers."""

    asked: str | None
    version: tuple[int, ...]
    id: ClassVar[str] = ENGINE.id
    record: ClassVar[type] = SglangModel
    by_precision: ClassVar[Sequence[str]] = (*BY_PRECISION, "recipe")

    def tables(
        self, accelerators: Sequence[Accelerator], precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...], sample: Architecture
    ) -> SglangTables:
        """Empty tables."""
        return SglangTables(SglangDevices(tuple(accelerators), ENGINE, sample, self.asked), precisions, kv_precisions, tps)

    def parts(self, lookup: Lookup, model: Model) -> Parts:
        """The rows of the model's parts."""
        return Parts(lookup, model)

    def device(self, lookup: Lookup, model: Model, get: DeviceLookup, ways: Ways) -> DeviceShare:
        """Devices as layouts have them, and the share that the engine chooses for the model."""
        gpus = kept("GPUs of a replica", ways.tp * ways.pp)
        found, chosen, of_model = looked_device(get, gpus), _class(lookup), model.record
        captured = kept("captures", of_model.captures * chosen.captures * where(ways.pp > 1, 0, 1))
        graphs = where(of_model.latent > 0, LATENT_GRAPHS_MIB, GRAPH_MIB * chosen.prefill_graphs)
        unseen = sum(line.bytes for line in found.before_weights if line.id == "driver_reserved") * chosen.process
        size = kept("device", (found.memory_bytes - unseen) / MiB)
        reserved = reserved_for_activations_mib(
            activation_tokens=maximum(chosen.tokens, LEAST_TOKENS),
            gpus=gpus,
            decode_graph_limit=where(ways.tp < FEW_RANKS, chosen.few_limit, chosen.many_limit),
            attention_dp=1,
            dp_mib_per_request=0,
            prefill_graphs_mib=captured * graphs,
            floor_mib=where(size > LARGE_MIB, FLOOR_MIB, 0),
            further_mib=0,
        )
        plain = kept("plain share", static_share(device_mib=size, reserved_mib=kept("reserved", reserved)))
        seeing = share_with_towers(share=plain, tower_layers=of_model.tower_layers, tower_width=of_model.tower_width)
        share = kept("share", where(of_model.tower_layers > 0, seeing, plain))
        usual = DeviceShare(found, share, 0, margin=looked_margin(get))
        return replace(usual, budget_bytes=kept("budget", self.budget_of_share(usual, share)))

    def budget_of_share(self, device: DeviceShare, share: Any) -> Any:
        """``--mem-fraction-static`` of what is free before weights are loaded. [bytes]"""
        return account.share_bytes(device.record, records.ShareRecord(share, 0, 0))

    def outcome(self, lookup: Lookup, model: Model, parts: Parts, ways: Ways, device: DeviceShare) -> Outcome:
        """Run the account of every stage and conclude."""
        stage, of_model, found_device = SglangAssembly(lookup, model, parts, ways), model.record, device.record
        context = kept("longest", maximum(model.context_tokens, 1))
        step, requests, layout = self._step(_class(lookup), stage, ways, context), self._requests(model), _layout(ways, of_model.top_k)
        share = records.ShareRecord(device.share, device.left_open * fitted.SHARE_ERROR, of_model.images_bytes)
        prefill = PrefillModel(**{each.name: getattr(of_model, each.name) for each in fields(PrefillModel)})
        weights = stage.stored()
        further = (stage.copies(), stage.tables(), account.loaded(layout, recipe_bytes=stage.recipe_bytes(weights)), stage.unlisted())
        weights |= {line.id: line for line in further}
        beside = [*account.step_lines(prefill, step, layout, stage.place.layers), *found_device.before_weights, *found_device.beside]
        budget = widened(account.within_share(found_device, share, weights.values()), device.margin, found_device.memory_bytes)
        pools = stage.pools
        cached = account.cached(step, requests, pools, budget)
        cache = [line for line in (cached.states, cached.by_request, cached.beyond) if line is not None]
        lines = weights | {line.id: line for line in (*beside, *cache, cached.table)}
        used = kept("held", sum(line.bytes for line in lines.values()))
        later = account.needed_later(lines.values())
        figures = StageFigures(cached.available, cached.blocks, cached.block_bytes, 1, used, later)
        found = conclude([figures], memory_bytes=found_device.memory_bytes, refused=0)
        taken = kept("pages of a request", maximum(account.request_pages(pools, step.page_tokens, context), 1))
        at_once = [self._at_once(requests, step, taken, blocks, cached.slots) for blocks in found.blocks[:2]]
        most = kept("most", least([cached.table.inputs["requests"]]))
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

    def _at_once(self, requests: records.RequestRecord, step: records.StepRecord, taken: Any, blocks: Any, slots: Any) -> Any:
        """Requests of full length, and no more than may run at once."""
        most = account.most_requests(requests, step.context_tokens, blocks * step.page_tokens, slots)
        return kept("at once", minimum(pool_concurrency(blocks=blocks, blocks_per_request=taken), most))

    def _step(self, chosen: ClassRecord, stage: SglangAssembly, ways: Ways, context_tokens: Any) -> records.StepRecord:
        of_model = stage.model.record
        few, captured = ways.tp < FEW_RANKS, of_model.captures * chosen.captures * where(ways.pp > 1, 0, 1)
        return records.StepRecord(
            context_tokens=context_tokens,
            tokens=chosen.tokens,
            page_tokens=stage.page_tokens,
            draft_tokens=0,
            table_entries=records.TABLE_ENTRIES,
            graph_pool_bytes=chosen.pool_bytes,
            decode_graphs=kept("graphs", where(few, chosen.few_graphs, chosen.many_graphs)),
            prefill_graphs=kept("prefill graphs", captured * where(of_model.latent > 0, chosen.latent_graphs, chosen.prefill_graphs)),
            decode_graph_bytes=where(ways.tp * ways.pp > 1, chosen.joined_bytes, chosen.alone_bytes),
            prefill_graph_bytes=fitted.PREFILL_GRAPHS[0] * MiB,
            decode_graph_sources=(),
            prefill_graph_sources=(),
        )

    def _requests(self, model: Model) -> records.RequestRecord:
        """Limits of requests: those of a start that leaves everything to the engine."""
        given = model.record.requests
        return records.RequestRecord(
            requests=given,
            most_running=where(given > 0, given, records.ALL_REQUESTS),
            most_tokens=0,
            states=model.record.states,
            slots_per_request=model.record.slots_per_request,
            fixed_slots=0,
            padding_slots=records.STATE_PADDING,
            state_ratio=records.STATE_RATIO,
        )


def _class(lookup: Lookup) -> ClassRecord:
    return ClassRecord(**{each.name: lookup.of_class(each.name) for each in fields(ClassRecord)})


def _layout(ways: Ways, top_k: Any) -> records.LayoutRecord:
    dense, experts = (fitted.WEIGHTS_SLACK_EACH[kind] for kind in ("dense", "experts"))
    size, below, above = (where(top_k > 0, getattr(experts, name), getattr(dense, name)) for name in ("bytes", "below", "above"))
    most = where(top_k > 0, records.SLACK_OVER["experts"], records.SLACK_OVER["dense"])
    further = minimum(maximum(ways.tp - 2, 0), most)
    return records.LayoutRecord(prefill_cut_of(ways.tp, whole_experts=ways.whole > 0), further, size, below, above, ())


def sheet_at(version: str | None) -> SglangSheet | None:
    """The account at a version; None before it, as shares, graphs and states followed other rules.

    >>> sheet_at("0.5.22").version, sheet_at("0.5.9")
    ((0, 5, 22), None)
    """
    numbers = ENGINE.version_of(Deployment("", "", engine_version=version))
    return SglangSheet(version, numbers) if numbers >= SINCE else None
