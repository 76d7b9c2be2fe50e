"""SGLang: a share of the memory that is free after communication is set up goes to weights and cache; the rest is for activations and graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.parts import text_part
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.added_weights import adapter_slots, unlisted_tensors
from gpusizer.engines.base.drafts import OwnDraft
from gpusizer.engines.base.engine import CachePlan, Stage, StageResult, Start
from gpusizer.engines.base.knobs import Knobs
from gpusizer.engines.base.launch_words import TORCH_NAMES, printed_values, words_for
from gpusizer.engines.base.ledger import combined
from gpusizer.engines.base.margins import pool_margin, widened
from gpusizer.engines.base.offload import offloaded_layers, offloaded_share, offloaded_tables, pinned_tables
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.prefill import prefill_model
from gpusizer.engines.base.serving import Node
from gpusizer.engines.base.types import Deployment, Fit, Item, OnHost, Quantity, Section
from gpusizer.engines.base.version import version_in
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.base.weights import Cut, ExpertPadding
from gpusizer.engines.sglang.account import (
    Cached,
    cached,
    loaded,
    most_requests,
    needed_later,
    request_pages,
    share_bytes,
    step_lines,
    within_share,
)
from gpusizer.engines.sglang.defaults import DRAFTING_REQUESTS, NEWEST, complete
from gpusizer.engines.sglang.drafts import DRAFTS_FIRST, OWN_DRAFTS, loaded_drafts
from gpusizer.engines.sglang.hosted import hosted_experts, hosted_lines, hosting_problem, kept_experts, layerwise_prefill
from gpusizer.engines.sglang.pools import Pools, stage_pools
from gpusizer.engines.sglang.record import recipe_bytes, records_of
from gpusizer.facts.types import Accelerator

__all__ = ["ENGINE", "Sglang"]

WHOLE_SHARED = ("deepep", "mooncake", "nixl", "mori", "ascend_fuseep", "flashinfer")
"""Exchanges of tokens beside which every rank holds shared experts whole: python/sglang/srt/models/deepseek_v2.py, DeepseekV2MoE."""
RENDEZVOUS_PORT = 20000  # of the first server: docs/references/multi_node_deployment
HANDS_OVER = (0, 4, 6)  # --disaggregation-mode: docs/advanced_features/pd_disaggregation.md
_TABLES = (
    "sgl-project/sglang: python/sglang/srt/arg_groups, _qwen4_exp_overrides",
    "sgl-project/sglang pulls 37068 and 37995: --ple-offload-backend file",
)


def _tables(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """Tables of n-grams off the device: in a file, or in pinned memory of the host, as on CUDA unless told otherwise."""
    storage, told = start.flag("ple_storage"), start.flag("ple_offload_embedding")
    if start.flag("ple_offload_backend") == "file" or storage == "disk":
        return offloaded_tables(start, stage, cut, sources=_TABLES)
    config = start.architecture.config
    usual = start.accelerator.vendor == "NVIDIA" and "ple_layer_ids" in (text_part(config) or config)
    pinned = storage == "pinned" if storage is not None else usual if told is None else bool(told)
    if not pinned:
        return []
    shared = start.accelerator.unified_memory
    return pinned_tables(start, stage, cut) if shared else offloaded_tables(start, stage, cut, sources=_TABLES)


@dataclass(frozen=True)
class SglangPlan(CachePlan):
    """A plan with the slots of recurrent state, and what the log prints as stored for each byte that the budget counts."""

    slots: int = 0
    stored_share: float = 1.0


class Sglang(PooledEngine):
    """SGLang, 0.4 to 0.5.23; the newest is the default."""

    id: ClassVar[str] = "sglang"
    knobs = Knobs(
        of_all_ranks=True,
        step_tokens=(2048, 1024),
        safe_fraction=0.9,
        cache_format="fp8_e4m3",
        graphs=True,
        sources=("docs.sglang.io: advanced_features/hyperparameter_tuning: --mem-fraction-static, --chunked-prefill-size, --max-running-requests",),
    )
    newest: ClassVar[tuple[int, ...]] = NEWEST
    own_drafts: ClassVar[Mapping[str, tuple[OwnDraft, ...]]] = OWN_DRAFTS
    draft_heads: ClassVar[frozenset[str]] = frozenset({"eagle", "eagle3"})
    shares_cut_experts: ClassVar[bool] = True
    attention_dp_since: ClassVar[tuple[int, ...] | None] = (0, 4, 0)  # --enable-dp-attention: docs/advanced_features/server_arguments.md
    holds_longest_request: ClassVar[bool] = False  # it starts all the same and refuses longer requests one by one
    weight_error: ClassVar[float] = 0.012
    stacked: ClassVar[bool] = True
    weight_sources: ClassVar[tuple[str, ...]] = ("sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/model_runner.py, load_model",)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers, read out of an image tag if need be; the newest known where none is given."""
        return version_in(deployment.engine_version) or super().version_of(deployment)

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""
        return complete(deployment, architecture, accelerator, self.version_of(deployment))

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """With drafts the number of requests at once is said where the default would hold it down."""
        if deployment.speculative_tokens and deployment.max_num_seqs is None and requests > DRAFTING_REQUESTS:
            return replace(deployment, max_num_seqs=requests)
        return deployment

    def rank_requests(self, deployment: Deployment) -> int | None:
        """``--max-running-requests`` is shared out over the ranks."""
        given = deployment.max_num_seqs
        return None if given is None else max(given // deployment.dp, 1)

    def problem(self, start: Start) -> Notice | None:
        """Why this start cannot be, None where it can."""
        return hosting_problem(start) or super().problem(start)

    # ---- weights ---------------------------------------------------------------------------------------------------

    def cut(self, start: Start) -> Cut:
        """Dense blocks, shared experts and the head are cut over all ranks even where attention is not."""
        layout = start.layout
        ranks = layout.tp * layout.dp
        return Cut(
            tp=layout.tp,
            experts_tp=ranks // layout.ep if layout.ep > 1 else ranks,
            ep=layout.ep,
            redundant_experts=int(start.flag("ep_num_redundant_experts", 0) or 0),
            paddings=self._paddings(start),
            towers_tp=1 if start.flag("mm_enable_dp_encoder") else layout.tp,
            whole_shared=start.flag("moe_a2a_backend", "none") in WHOLE_SHARED,
            dense_tp=1 if start.flag("moe_dense_tp_size") == 1 and layout.dp > 1 else ranks,
            head_tp=layout.tp if start.flag("enable_dp_lm_head") else ranks,
            stacked=self.stacked,
            kept_experts=kept_experts(start),
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
        return [
            *self.absorbed_latent(start, stage),
            *self.rope_tables(start, stage, 4),
            loaded(records_of(start).layout, recipe_bytes=recipe_bytes(start, stage, cut)),
            *loaded_drafts(start, stage, cut),  # "EAGLE" is the checkpoint's own layers where it has some
            *adapter_slots(start, stage),
            *unlisted_tensors(start, stage),
            *offloaded_layers(start, stage, cut),
            *_tables(start, stage, cut),
        ]

    # ---- beside weights and cache ----------------------------------------------------------------------------------

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Context, communicators, workspaces, graphs, activations of one prefill step."""
        records = records_of(start)
        device, step = records.device, records.step
        decode, prefill, peak = step_lines(prefill_model(start.architecture), step, records.layout, len(stage.layers))
        graphs = [*([decode] if step.decode_graphs else []), *([prefill] if step.prefill_graphs else [])]
        return [*device.before_weights, *device.beside, *graphs, peak, *layerwise_prefill(start, stage, start.once(self.cut))]

    def later_bytes(self, items: Sequence[Item]) -> int:
        """Activations come with the first long prompt, not with the start; graphs and workspaces are taken at the low end of their band."""
        return int(needed_later(items))

    # ---- budget and pools ------------------------------------------------------------------------------------------

    def budget_bytes(self, start: Start) -> int:
        """``--mem-fraction-static`` of what is free before weights are loaded."""
        records = records_of(start)
        size: int = round(share_bytes(records.device, records.share))
        return size

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """The share of what was free, less what loading took."""
        records = records_of(start)
        later = () if start.version >= DRAFTS_FIRST else ("weights_draft",)
        loaded = (line for line in items if line.section is Section.WEIGHTS and line.id not in later)
        return widened(within_share(records.device, records.share, loaded), start.lasting(pool_margin), start.device_total_bytes)

    def on_host(self, start: Start, items: Sequence[Item]) -> OnHost:
        """Experts that KTransformers computes there, or parameters that are copied whole for every step."""
        hosted = start.once(hosted_experts)
        if hosted is None:
            return offloaded_share(items, whole=True)
        return OnHost(experts=hosted.share, expert_size=hosted.size, moved_from_tokens=hosted.moved_from_tokens, handovers=hosted.layers)

    def host_weights(self, start: Start, results: Sequence[StageResult]) -> list[Item]:
        """Also experts that KTransformers computes there."""
        return [*hosted_lines(start), *super().host_weights(start, results)]

    def warnings(self, start: Start) -> tuple[Notice, ...]:
        """Also what lies in the memory of the host."""
        hosted = start.once(hosted_experts)
        if hosted is None:
            return super().warnings(start)
        told = [Notice("experts-on-host", {"layers": hosted.layers}), *([Notice("gguf-on-host-assumed", {})] if hosted.assumed else [])]
        return (*super().warnings(start), *told)

    def stage_result(self, start: Start, stage: Stage) -> StageResult:
        """One stage: its items, the pools that are cut from its share, and how many pages that makes."""
        items = [*self.weights(start, stage), *self.overheads(start, stage)]
        pools, records = stage_pools(start, stage), records_of(start)
        found = cached(records.step, records.requests, pools, self.pool_bytes(start, stage, items))
        items += [found.states] if pools.slot_bytes else []
        items += [found.by_request] if found.by_request else []
        items += [found.beyond] if found.beyond.bytes > 0 else []
        return StageResult(stage, (*items, found.table), found.available, self._plan(start, pools, found), found.blocks)

    def _plan(self, start: Start, pools: Pools, found: Cached) -> SglangPlan:
        page = start.deployment.block_size or 1
        fixed = pools.slot_bytes * records_of(start).requests.slots_per_request
        if pools.window_bytes and pools.full_bytes:
            fixed += round((pools.window + page) * pools.window_bytes)
        token = round(pools.full_bytes or pools.window_bytes)

        def blocks_of(context_tokens: int) -> int:
            return int(request_pages(pools, page, context_tokens))

        return SglangPlan(
            found.block_bytes, page, 1, token, fixed, blocks_of, slots=found.slots, stored_share=pools.stored_share * pools.printed_share
        )

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """Pages of all layers of a stage together."""
        return self.stage_result(start, stage).plan

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """``max_total_num_tokens`` of one attention-data-parallel rank."""
        return blocks * plan.block_tokens

    def concurrency(self, start: Start, plan: CachePlan, blocks: int) -> float:
        """Requests of full length, and no more than may run at once."""
        records, slots = records_of(start), plan.slots if isinstance(plan, SglangPlan) else 0
        most = most_requests(records.requests, records.step.context_tokens, blocks * plan.block_tokens, slots)
        return min(super().concurrency(start, plan, blocks), float(most))

    def quantities(self, start: Start, results: Sequence[StageResult], blocks: tuple[int, int, int], worst: int) -> dict[str, Quantity]:
        """Figures of the log; loading a draft is a line of its own."""
        found = super().quantities(start, results, blocks, worst)
        first = results[0]
        found["weights_bytes"] = combined(line for line in first.items if line.id.startswith("weights") and line.id != "weights_draft")
        share = first.plan.stored_share if isinstance(first.plan, SglangPlan) else 1.0
        pool = first.available
        found["kv_cache_pool_bytes"] = Quantity(pool.value * share, pool.low * share, pool.high * share)
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
        if found.fits and found.free_bytes < 0:
            found = found.warned(Notice("activations-may-not-fit", {"missing_bytes": -found.free_bytes}))
        if found.fits and 0 < found.kv_cache.tokens // found.deployment.dp < context:
            longest = found.kv_cache.tokens // found.deployment.dp
            found = found.warned(Notice("context-above-pool", {"max_model_len": context, "longest_tokens": longest}))
        return found

    def in_role(self, deployment: Deployment, role: str) -> Deployment | None:
        """Each kind of workers is told what it is; a router in front of them sends a request to one of each."""
        if self.version_of(deployment) < HANDS_OVER:
            return None
        return replace(deployment, flags={**deployment.flags, "disaggregation_mode": role})

    def on_node(self, deployment: Deployment, node: Node) -> list[str]:
        """Its place among the servers of one replica; all of them run the same command otherwise."""
        return ["--nnodes", str(node.nodes), "--node-rank", node.rank, "--dist-init-addr", f"{node.leader}:{RENDEZVOUS_PORT}"]

    def spelled_out(self, launch: Deployment, fit: Fit) -> Deployment:
        """Graphs too: their largest batch follows from the number of requests where only that is said."""
        found, limit = super().spelled_out(launch, fit), fit.deployment.flags.get("cuda_graph_max_bs")
        return found.changed(flags={**found.flags, "cuda_graph_max_bs": limit}) if limit else found

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; its tensor-parallel size counts attention-data-parallel ranks too."""
        values = printed_values(deployment)
        ranks = deployment.tp * deployment.dp
        values |= ({"tp": ranks} if ranks > 1 else {}) | ({"enable_dp_attention": True} if deployment.dp > 1 else {})
        if deployment.precision in self.declared.made_on_load:
            values["quantization"] = deployment.precision
        elif deployment.precision in TORCH_NAMES:
            values["dtype"] = TORCH_NAMES[deployment.precision]
        if drafts := values.pop("speculative_tokens", 0):  # a chain of drafts, verified together with the token before them
            values |= {"speculative_method": str(values.get("speculative_method", "nextn")).upper(), "speculative_num_steps": drafts}
            values |= {"speculative_eagle_topk": 1, "speculative_num_draft_tokens": drafts + 1}
        environment, words = words_for(values, self.id)
        return [*(["env", *environment] if environment else []), "python", "-m", "sglang.launch_server", "--model-path", deployment.model, *words]


ENGINE = Sglang()
