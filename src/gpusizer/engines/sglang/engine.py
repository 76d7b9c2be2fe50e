"""SGLang: a share of the memory that is free after communication is set up goes to weights and cache; the rest is for activations and graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.added_weights import adapter_slots, draft_weights, unlisted_tensors
from gpusizer.engines.base.band import band, times
from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.engine import CachePlan, Stage, StageResult, Start
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.launch_words import printed_values, words_for
from gpusizer.engines.base.layout_rules import dimensions, layout_problem
from gpusizer.engines.base.ledger import banded, combined, computed
from gpusizer.engines.base.offload import offloaded_layers
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.prefill import prefill_peak
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Inputs, Item, Quantity, Section
from gpusizer.engines.base.version import version_in
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.base.weights import Cut, ExpertPadding, weight_table
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.defaults import NEWEST, captures_prefill, complete, decode_graph_sizes, prefill_graph_sizes
from gpusizer.engines.sglang.pools import STATE_PADDING, Pools, Shares, request_tokens, requests_of, shares_of, slots_per_request, stage_pools
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.constants import constant_for_each_bytes, set_aside_bytes
from gpusizer.formulas.memory.pool_sizes import beyond_budget_bytes, by_request_bytes, state_pool_bytes
from gpusizer.formulas.memory.pools import pool_of_static_share_bytes, request_table_bytes
from gpusizer.units import GiB, MiB

__all__ = ["ENGINE", "Sglang"]

_BEFORE_WEIGHTS = ("driver_reserved", "device_context", "communication")
_SYMMETRIC_BYTES = 4 * GiB
_SYMMETRIC_SOURCE = "sgl-project/sglang 0.5.23: python/sglang/srt/server_args.py, SGLANG_SYMM_MEM_PREALLOC_GB_SIZE"
_IMAGES_MIB = 100


@dataclass(frozen=True)
class SglangPlan(CachePlan):
    """The same with the slots of recurrent state, and what is stored for each byte that the budget counts."""

    slots: int = 0
    stored_share: float = 1.0


class Sglang(PooledEngine):
    """SGLang, 0.4 to 0.5.23; the newest is the default."""

    id: ClassVar[str] = "sglang"
    newest: ClassVar[tuple[int, ...]] = NEWEST
    holds_longest_request: ClassVar[bool] = False  # it starts all the same and refuses longer requests one by one
    weight_error: ClassVar[float] = 0.012
    weight_sources: ClassVar[tuple[str, ...]] = ("sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/model_runner.py, load_model",)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers, read out of an image tag if need be; the newest known where none is given."""
        return version_in(deployment.engine_version) or self.newest

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""
        return complete(deployment, architecture, accelerator, self.version_of(deployment))

    def problem(self, start: Start) -> Notice | None:
        """Experts may be shared out over fewer ranks than there are: the rest cut them."""
        layout = start.layout
        ranks = layout.tp * layout.dp
        if 1 < layout.ep < ranks and ranks % layout.ep == 0:
            for experts in sorted(dimensions(start.architecture).experts):
                if experts < layout.ep:
                    return Notice("ep-more-than-experts", {"ep": layout.ep, "experts": experts})
            cut = replace(layout, ep=1)
            return layout_problem(start.architecture, cut, padded_formats=self.padded_formats(start))
        return super().problem(start)

    def rank_requests(self, deployment: Deployment) -> int | None:
        """``--max-running-requests`` is shared out over the ranks."""
        given = deployment.max_num_seqs
        return None if given is None else max(given // deployment.dp, 1)

    # ---- weights ---------------------------------------------------------------------------------------------------

    def cut(self, start: Start) -> Cut:
        """Dense blocks, shared experts and the head are cut over all ranks even where attention is not."""
        layout = start.layout
        ranks = layout.tp * layout.dp
        whole_dense = start.flag("moe_dense_tp_size") == 1 or start.flag("moe_a2a_backend", "none") in ("deepep", "mooncake")
        return Cut(
            tp=layout.tp,
            experts_tp=ranks // layout.ep if layout.ep > 1 else ranks,
            ep=layout.ep,
            redundant_experts=int(start.flag("ep_num_redundant_experts", 0) or 0),
            paddings=self._paddings(start),
            towers_tp=1 if start.flag("mm_enable_dp_encoder", False) else layout.tp,
            dense_tp=1 if whole_dense and layout.dp > 1 else ranks,
            head_tp=layout.tp if start.flag("enable_dp_lm_head", False) else ranks,
        )

    def _paddings(self, start: Start) -> tuple[ExpertPadding, ...]:
        """Experts of MXFP4 are padded for their kernels: sgl-project/sglang 0.5.23: layers/quantization/mxfp4.py, create_weights."""
        if start.flag("moe_runner_backend") == "marlin":
            intermediate, hidden = 128, 256
        elif start.accelerator.vendor == "AMD":
            intermediate, hidden = 256, 256
        else:
            intermediate, hidden = (128, 128) if start.capability >= 10 else (64, 1)
        return (ExpertPadding("mxfp4", intermediate, hidden),)

    def weight_error_of(self, start: Start) -> float:
        """Band of the stored tensors; wider where another publisher's checkpoint stands for the one that is asked for."""
        return max(self.weight_error, weight_error(start) if start.deployment.similar_precision else 0.0)

    def padded_formats(self, start: Start) -> frozenset[str]:
        """Formats of routed experts that are padded to whole blocks."""
        return frozenset({"mxfp4"})

    def added_weights(self, start: Start, stage: Stage, cut: Cut) -> list[Item]:
        """Second copies of latent projections, tables of positions in FP32, allocator slack, draft layers."""
        slack = self._slack(start, stage, cut)
        drafts = super().added_weights(start, stage, cut) or draft_weights(
            start, stage, cut
        )  # "EAGLE" is the checkpoint's own layers where it has some
        return [
            *self.absorbed_latent(start, stage),
            *self.rope_tables(start, stage, 4),
            slack,
            *drafts,
            *adapter_slots(start, stage),
            *unlisted_tensors(start, stage),
            *offloaded_layers(start, stage, cut),
        ]

    def _slack(self, start: Start, stage: Stage, cut: Cut) -> Item:
        """What loading takes beyond the tensors; the band is wider where a precision stands for what publishers make of it."""
        base, each, further = fitted.WEIGHTS_SLACK, fitted.WEIGHTS_SLACK_PER_GPU, max(start.layout.gpus - 2, 0)
        size = times(base, each, further)
        if start.deployment.precision in fitted.RECIPES:
            table = weight_table(start.architecture).stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=False)
            size = replace(size, above=size.above + fitted.RECIPE_ERROR * sum(table.values()))
        return computed(
            "weights_slack",
            constant_for_each_bytes,
            section=Section.WEIGHTS,
            band=size,
            sources=(*base.sources, *each.sources),
            first_bytes=base.bytes,
            count=further,
            each_bytes=each.bytes,
        )

    # ---- beside weights and cache ----------------------------------------------------------------------------------

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Context, communicators, workspaces, graphs, activations of one prefill step."""
        found = [*driver_reserved(start.accelerator), *self._before_weights(start)]
        found.append(banded("late_workspace", fitted.LATE_WORKSPACE, section=Section.OUTSIDE))
        if start.flag("enable_symm_mem", False):
            found.append(
                computed("symmetric_memory", set_aside_bytes, section=Section.OUTSIDE, sources=(_SYMMETRIC_SOURCE,), set_aside_bytes=_SYMMETRIC_BYTES)
            )
        tokens = start.deployment.max_num_batched_tokens or 1
        return [*found, *self._graphs(start, stage), prefill_peak(start, tokens, band=fitted.PEAK_SPREAD, evidence=Evidence.ASSUMED)]

    def _before_weights(self, start: Start) -> list[Item]:
        context = fitted.UNIFIED_OTHERS if start.accelerator.unified_memory else fitted.CONTEXT
        return [banded("device_context", context, section=Section.OUTSIDE), *self._communication(start.accelerator, start.layout.gpus)]

    def _communication(self, accelerator: Accelerator, gpus: int) -> list[Item]:
        if gpus == 1:
            return []
        if accelerator.vendor.lower() != "nvidia":
            return [banded("communication", fitted.ROCM_COMMUNICATION, section=Section.OUTSIDE)]
        if accelerator.fabric_devices:
            return [banded("communication", fitted.FABRIC_COMMUNICATION, section=Section.OUTSIDE)]
        each = fitted.PCIE_COMMUNICATION
        return [
            computed(
                "communication",
                constant_for_each_bytes,
                section=Section.OUTSIDE,
                band=times(band(0, 0, 0), each, gpus - 1),
                sources=each.sources,
                first_bytes=0,
                count=gpus - 1,
                each_bytes=each.bytes,
            )
        ]

    def _graphs(self, start: Start, stage: Stage) -> list[Item]:
        if start.deployment.enforce_eager:
            return []
        decode = decode_graph_sizes(int(start.flag("cuda_graph_max_bs", 0) or 0), start.deployment.speculative_tokens > 0)
        prefill = (
            prefill_graph_sizes(start.deployment.max_num_batched_tokens or 0)
            if captures_prefill(start.deployment, kinds_of(start.architecture), start.accelerator, start.version)
            else 0
        )
        several = fitted.OLD_TENSOR_GRAPHS if start.version < (0, 5, 3) else fitted.TENSOR_GRAPHS
        each = several if start.layout.gpus > 1 else fitted.DECODE_GRAPHS
        found = []
        for id, graphs, (mib, basis) in (("cuda_graphs", decode, each), ("prefill_graphs", prefill, fitted.PREFILL_GRAPHS)):
            if graphs:
                found.append(
                    computed(
                        id,
                        cuda_graph_bytes,
                        section=Section.GRAPHS,
                        band=fitted.GRAPH_SPREAD,
                        sources=(basis.source,),
                        graphs=graphs,
                        layers=len(stage.layers),
                        more_layers=0,
                        bytes_per_graph_and_layer=mib * MiB,
                    )
                )
        return found

    def later_bytes(self, items: Sequence[Item]) -> int:
        """Activations come with the first long prompt, not with the start; graphs and workspaces are taken at the low end of their band."""
        after = [line for line in items if line.id in ("cuda_graphs", "prefill_graphs", "late_workspace")]
        return sum(line.bytes for line in items if line.id == "activation_peak") + sum(line.bytes - line.low_bytes for line in after)

    # ---- budget and pools ------------------------------------------------------------------------------------------

    def budget_bytes(self, start: Start) -> int:
        """``--mem-fraction-static`` of what is free before weights are loaded."""
        before = sum(line.bytes for line in (*driver_reserved(start.accelerator), *self._before_weights(start)))
        return round((start.device_total_bytes - before) * (start.deployment.memory_fraction or 0))

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """The share of what was free, less what loading took."""
        share = start.deployment.memory_fraction or 0.0
        before = combined([line for line in items if line.id in _BEFORE_WEIGHTS], sign=-1, base=start.device_total_bytes)
        weights = combined(line for line in items if line.id.startswith("weights"))
        images = _IMAGES_MIB * MiB if kinds_of(start.architecture).towers and start.version >= (0, 5, 18) else 0
        value = pool_of_static_share_bytes(free_before_bytes=before.value, share=share, weights_bytes=weights.value, reservation_bytes=images)
        chosen = before.value * fitted.SHARE_ERROR if start.left_open("memory_fraction") else 0.0
        below = hypot(share * (before.value - before.low), weights.high - weights.value, chosen)
        above = hypot(share * (before.high - before.value), weights.value - weights.low, chosen)
        return Quantity(value, value - below, value + above)

    def stage_result(self, start: Start, stage: Stage) -> StageResult:
        items = [*self.weights(start, stage), *self.overheads(start, stage)]
        budget = self.pool_bytes(start, stage, items)
        pools = stage_pools(start, stage)
        shares = shares_of(start, pools, budget.value)
        plan = self._plan(start, pools, shares.slots)
        low, value, high = (self._cache_bytes(start, pools, size) for size in (budget.low, budget.value, budget.high))
        blocks = tuple(max(int(size // max(plan.block_bytes, 1)), 0) for size in (value, low, high))
        items += self._pools_beside(start, pools, shares, value)
        items.append(
            computed(
                "request_table",
                request_table_bytes,
                section=Section.OUTSIDE,
                requests=requests_of(start, blocks[0] * plan.block_tokens, shares.slots),
                context_tokens=start.deployment.max_model_len or 1,
                extra_tokens=4 + start.deployment.speculative_tokens,
            )
        )
        return StageResult(stage, tuple(items), Quantity(value, low, high), plan, (blocks[0], blocks[1], blocks[2]))

    def _pools_beside(self, start: Start, pools: Pools, shares: Shares, cache_bytes: float) -> list[Item]:
        """Pools of the cache beside the rows of tokens."""
        found = []
        if shares.state_bytes > 0:
            states: Inputs = {"slot_bytes": pools.slot_bytes, "slots": shares.slots, "running": shares.running}
            states |= {"padding_slots": STATE_PADDING, "draft_tokens": start.deployment.speculative_tokens}
            found.append(computed("state_pool", state_pool_bytes, section=Section.CACHE, **states))
        if pools.fixed_bytes > 0:
            by_request: Inputs = dict(pools.fixed)
            found.append(computed("window_pool", by_request_bytes, section=Section.CACHE, **by_request))
        if pools.stored_share > 1:
            beyond: Inputs = {"cache_bytes": cache_bytes, "stored_share": pools.stored_share}
            found.append(computed("cache_beyond_budget", beyond_budget_bytes, section=Section.CACHE, **beyond))
        return found

    def _cache_bytes(self, start: Start, pools: Pools, budget_bytes: float) -> float:
        size = shares_of(start, pools, budget_bytes).cache_bytes
        limit = start.flag("max_total_tokens")
        return min(size, limit * pools.cell_bytes) if isinstance(limit, int) and limit > 0 else size

    def _plan(self, start: Start, pools: Pools, slots: int) -> SglangPlan:
        page = start.deployment.block_size or 1
        block = round(page * pools.cell_bytes)
        fixed = pools.slot_bytes * slots_per_request(start)
        if pools.window_bytes and pools.full_bytes:
            fixed += round((pools.window + page) * pools.window_bytes)
        token = pools.full_bytes or pools.window_bytes

        def blocks_of(context_tokens: int) -> int:
            return request_tokens(pools, page, context_tokens) // page

        return SglangPlan(block, page, 1, round(token), fixed, blocks_of, slots=slots, stored_share=pools.stored_share)

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """Pages of all layers of a stage together."""
        return self.stage_result(start, stage).plan

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """``max_total_num_tokens`` of one attention-data-parallel rank."""
        return blocks * plan.block_tokens

    def concurrency(self, start: Start, plan: CachePlan, blocks: int) -> float:
        slots = plan.slots if isinstance(plan, SglangPlan) else 0
        return min(super().concurrency(start, plan, blocks), float(requests_of(start, blocks * plan.block_tokens, slots)))

    def quantities(self, start: Start, results: Sequence[StageResult], blocks: tuple[int, int, int], worst: int) -> dict[str, Quantity]:
        """Figures of the log; loading a draft is a line of its own."""
        found = super().quantities(start, results, blocks, worst)
        first = results[0]
        found["weights_bytes"] = combined(line for line in first.items if line.id.startswith("weights") and line.id != "weights_draft")
        share = first.plan.stored_share if isinstance(first.plan, SglangPlan) else 1.0
        found["kv_cache_pool_bytes"] = Quantity(*(size * share for size in (first.available.value, first.available.low, first.available.high)))
        del found["activation_peak_bytes"]  # the log does not say it
        if start.version < (0, 5, 14):  # newer logs print prefill graphs apart
            graphs = [line for line in first.items if line.id in ("cuda_graphs", "prefill_graphs")]
            if graphs:
                found["cuda_graph_bytes"] = combined(graphs)
        return found

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?"""
        found = super().fit(deployment, architecture, accelerator)
        table = [line for rank in found.ranks for line in rank.items if line.id == "request_table"]
        if found.deployment.max_num_seqs is None and table:
            requests = min(int(line.inputs["requests"]) for line in table) * found.deployment.dp
            found = replace(found, deployment=replace(found.deployment, max_num_seqs=requests))
        context = found.deployment.max_model_len or 1
        tight = min(rank.items[-1].bytes for rank in found.ranks)
        if found.fits and tight < 0:
            found = replace(found, warnings=(*found.warnings, Notice("activations-may-not-fit", {"missing_bytes": -tight})))
        if found.fits and 0 < found.kv_cache.tokens // found.deployment.dp < context:
            longest = found.kv_cache.tokens // found.deployment.dp
            found = replace(found, warnings=(*found.warnings, Notice("context-above-pool", {"max_model_len": context, "longest_tokens": longest})))
        return found

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; its tensor-parallel size counts attention-data-parallel ranks too."""
        values = printed_values(deployment)
        ranks = deployment.tp * deployment.dp
        values |= ({"tp": ranks} if ranks > 1 else {}) | ({"enable_dp_attention": True} if deployment.dp > 1 else {})
        if deployment.precision in self.declared.made_on_load:
            values["quantization"] = deployment.precision
        elif deployment.precision in _DTYPES:
            values["dtype"] = _DTYPES[deployment.precision]
        if drafts := values.get("speculative_tokens"):
            values |= {"speculative_method": str(values.get("speculative_method", "nextn")).upper(), "speculative_tokens": drafts}
        environment, words = words_for(values, self.id)
        return [*(["env", *environment] if environment else []), "python", "-m", "sglang.launch_server", "--model-path", deployment.model, *words]


_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}

ENGINE = Sglang()
