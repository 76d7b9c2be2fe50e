"""vLLM: what it takes of a card, what its start-up log says, how it is launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.account import Place, left_of
from gpusizer.engines.base.added_weights import adapter_slots, draft_layers, draft_weights, external_head, unlisted_tensors
from gpusizer.engines.base.cache import FULL, cache_format
from gpusizer.engines.base.drafts import Kind, OwnDraft, draft_kind
from gpusizer.engines.base.engine import CachePlan, Stage, StageResult, Start
from gpusizer.engines.base.knobs import Knobs
from gpusizer.engines.base.launch_words import TORCH_NAMES, printed_values, words_for
from gpusizer.engines.base.ledger import combined
from gpusizer.engines.base.margins import pool_margin, widened
from gpusizer.engines.base.offload import offloaded_layers, offloaded_tables
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.serving import Node
from gpusizer.engines.base.types import Deployment, Fit, Item, Quantity
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.base.weights import Cut
from gpusizer.engines.vllm.account import (
    above_free,
    charged,
    estimated_graphs,
    free_at_start,
    growth,
    host_images,
    loaded,
    needed_later,
    shared_out,
    step_lines,
)
from gpusizer.engines.vllm.buffers import workspace
from gpusizer.engines.vllm.cache import CacheRequest, cache_layout
from gpusizer.engines.vllm.defaults import HIGHER_FRACTION, NEWEST, complete, in_flight_tokens, state_bytes
from gpusizer.engines.vllm.device_record import device_record
from gpusizer.engines.vllm.drafts import OWN_DRAFTS
from gpusizer.engines.vllm.expert_padding import aligns_experts, padded_experts, pads_experts, unfused_experts
from gpusizer.engines.vllm.graphs import estimates, graph_modes, less_warm_up, warms_up
from gpusizer.engines.vllm.images import loads_towers
from gpusizer.engines.vllm.nodes import SINCE, node_words
from gpusizer.engines.vllm.pooling import as_loaded, pools
from gpusizer.engines.vllm.record import (
    CONSUMED,
    estimate_factor,
    layout_record,
    library_bytes,
    model_record,
    reserves_graphs,
    step_record,
    version_rules,
)
from gpusizer.engines.vllm.releases import placed
from gpusizer.engines.vllm.remembered import known_plans, known_steps
from gpusizer.engines.vllm.shared_memory import shared_memory
from gpusizer.engines.vllm.weights import (
    TABLES_ON_HOST,
    expert_paddings,
    own_head,
    position_tables,
    slack_bytes,
    square_bytes,
    tables_on_host,
    unfolds_scales,
    whole_tower,
)
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import requested_bytes
from gpusizer.formulas.memory.cache_blocks import pool_tokens, pool_tokens_by_group

__all__ = ["ENGINE", "Vllm"]

OLDEST = (0, 8)  # the V1 engine
ONE_ENGINE, OLD_ENGINE = (0, 11), (0, 7, 3)  # until then VLLM_USE_V1=0 runs the engine of before

# First versions of a behaviour.
HYBRID_CACHE = (0, 10)  # groups of layers share one pool
COUNTED_BY_REQUESTS = (0, 20, 1)  # tokens are printed as requests of full length, not yet by its candidates
ROCM_LATENT = (0, 9)  # latent attention caches latents on ROCm too
BLOCK_EACH = (0, 20)  # refuses fewer state blocks than requests: vllm-project/vllm#38270, of 31 March 2026
ALIGNED_STATES = (0, 18)  # prefix caching keeps a state at the last block boundary beside the running one; a step must hold a block: #34445
CACHED_STATES = (0, 26, 0, 1)  # and is on by default for models with states: vllm-project/vllm#50991, of August 2026
ADAPTED_EXPERTS = (0, 11, 1)  # slots of adapters beside every routed expert as well: vllm/lora/layers/fused_moe.py, vllm-project/vllm#21229
LATENT_ALIGNMENT = (0, 12)  # blocks of hybrids with latent attention are multiples of 128
HANDS_OVER = (0, 9)  # NixlConnector: vllm/distributed/kv_transfer/kv_connector/v1/nixl_connector.py
PACKED_CACHE = (0, 28)  # pages of different sizes lie side by side in a block


class Vllm(PooledEngine):
    """vLLM, V1 engine, 0.8 to 0.33; the newest is the default."""

    id: ClassVar[str] = "vllm"
    knobs = Knobs(
        step_tokens=(2048, 1024),
        safe_fraction=0.95,
        most_fraction=0.97,
        cache_format="fp8",
        graphs=True,
        sources=(
            "docs.vllm.ai: configuration/optimization and conserving_memory: a higher --gpu-memory-utilization, fewer sequences, smaller steps",
            "vllm-project/recipes: --gpu-memory-utilization 0.95 in launch commands of large models",
        ),
    )
    newest: ClassVar[tuple[int, ...]] = NEWEST
    own_drafts: ClassVar[Mapping[str, tuple[OwnDraft, ...]]] = OWN_DRAFTS
    draft_heads: ClassVar[frozenset[str]] = frozenset({"eagle", "eagle3"})
    attention_dp_since: ClassVar[tuple[int, ...] | None] = (0, 9, 0)  # --data-parallel-size of one replica: docs/serving/data_parallel_deployment.md
    stacked: ClassVar[bool] = True
    weight_sources: ClassVar[tuple[str, ...]] = ("vllm-project/vllm@4ba787ec9: vllm/v1/worker/gpu/model_runner.py, load_model",)

    encoders: ClassVar[frozenset[str]] = frozenset({"encoder"})

    def start(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Start:
        """One start with every default filled in, of the model as it is loaded."""
        return super().start(deployment, as_loaded(architecture, deployment), accelerator)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers that sort; the newest known where none is given or none can be told."""
        found, new = placed(deployment.engine_version) or self.newest, str(deployment.flags.get("use_v1", 1)).lower()
        return min(found, OLD_ENGINE) if found < ONE_ENGINE and new in ("0", "false") else found

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""
        return complete(deployment, architecture, accelerator, self.version_of(deployment))

    def cut(self, start: Start) -> Cut:
        """How the weights of one rank are made."""
        layout = start.layout
        return Cut(
            tp=layout.tp,
            experts_tp=1 if layout.ep > 1 else layout.tp * layout.dp,
            ep=layout.ep,
            redundant_experts=start.whole("num_redundant_experts", 0),
            paddings=expert_paddings(start),
            towers_tp=1 if whole_tower(start) else layout.tp,
            whole_shared=layout.ep > 1 and layout.tp > 1 and layout.dp > 1,
            stacked=self.stacked,
        )

    def weights(self, start: Start, stage: Stage) -> list[Item]:
        """Without the head where hidden states are pooled (vllm/model_executor/models/adapters.py, as_embedding_model)."""
        return [line for line in super().weights(start, stage) if line.id != "weights_head" or not pools(start)]

    def added_weights(self, start: Start, stage: Stage, cut: Cut) -> list[Item]:
        """Second copies of latent projections, tables of positions, slack of the allocator, drafts, adapters."""
        pads = aligns_experts(start) if (model := model_record(start.architecture)).byte_experts else pads_experts(start)
        buffers, scales, padded, slack = loaded(
            model,
            start.once(step_record),
            Place.of(stage),
            square_bytes=square_bytes(start, stage, cut),
            slack_bytes=slack_bytes(start.architecture, stage, cut),
            padded_bytes=padded_experts(start.architecture, stage, cut) if pads else 0,
        )
        lines = [
            *own_head(start, stage, cut),
            *self.absorbed_latent(start, stage),
            *position_tables(start, stage),
            buffers,
            scales,
            *unfused_experts(start, stage, cut),
            *(unlisted_tensors(start, stage) if self.loads_towers(start) else ()),
            padded,
            slack,
            *draft_weights(start, stage, cut),
            *adapter_slots(start, stage, experts=start.version >= ADAPTED_EXPERTS),
            *offloaded_layers(start, stage, cut),
            *(offloaded_tables(start, stage, cut, sources=TABLES_ON_HOST) if tables_on_host(start) else ()),
        ]
        return [line for line in lines if line.high_bytes]

    def loads_towers(self, start: Start) -> bool:
        """Whether towers for images and sound are loaded."""
        return loads_towers(start)

    def weights_depend_on(self, start: Start) -> tuple[object, ...]:
        """Kernels, and so padding and copies, are chosen by vendor and compute capability."""
        model = model_record(start.architecture)
        tokens = start.once(step_record).tokens if model.deeper_levels or model.picked else 0
        return *start.lasting(self._kernels), tokens

    def _kernels(self, start: Start) -> tuple[object, ...]:
        kinds = unfolds_scales(start), aligns_experts(start), library_bytes(start.accelerator), tables_on_host(start)
        return self.cut(start), weight_error(start), *kinds

    def weight_error_of(self, start: Start) -> float:
        """Band of the stored tensors by their format."""
        return weight_error(start)

    def padded_formats(self, start: Start) -> frozenset[str]:
        """MXFP4 experts are padded to whole blocks after the cut."""
        return frozenset({"mxfp4"})

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Activation peak, growth outside the allocator, graphs, context and communicators."""
        model, step, device, rules = (
            model_record(start.architecture),
            start.once(step_record),
            start.lasting(device_record),
            version_rules(start.version),
        )
        cut, place, towers = start.layout, Place.of(stage), self.cut(start).towers_tp
        known, key = known_steps(start.architecture), (step, cut.tp, cut.dp, cut.ep > 1, towers, place, rules)

        def lines() -> tuple[Any, Item, Item]:
            layout = layout_record(cut.tp, cut.dp, whole_experts=cut.ep > 1, tower_ranks=towers)
            buffers = workspace(model, step, layout)
            return buffers, *step_lines(model, step, layout, place, rules, buffers)

        buffers, peak, graphs = known.once(key, lines)  # devices of one class take the same step
        return [*device.outside, growth(device, rules, buffers, host_images(model, step, device, place)), peak, *([graphs] if step.graphs else [])]

    def budget_bytes(self, start: Start) -> int:
        """``--gpu-memory-utilization`` of what the driver reports."""
        return int(requested_bytes(device_total_bytes=start.visible_bytes, utilization=start.deployment.memory_fraction))

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """Budget less everything that is charged to it, or what the operator fixed."""
        fixed = start.whole("kv_cache_memory_bytes", start.whole("kv_cache_memory", 0, 1 << 50), 1 << 50)
        blocks = start.whole("num_gpu_blocks_override", 0, 1 << 40)
        if blocks:
            fixed = blocks * self.cache_plan(start, stage).block_bytes
        if fixed:
            return Quantity(fixed, fixed, fixed)
        factor = estimate_factor(start.architecture, start.version)
        left = left_of(start.once(self.budget_bytes), charged(items, factor, charges_graphs=self.charges_graphs(start)))
        share = start.lasting(device_record).pool_share
        return widened(left if share == 1 else shared_out(left, share), start.lasting(pool_margin), start.device_total_bytes)

    def charges_graphs(self, start: Start) -> bool:
        """Whether an estimate of the graphs is taken off the budget: by default since 0.20, before where the operator asks for it."""
        if not start.lasting(estimates) or not reserves_graphs(start.accelerator):
            return False
        return str(start.flag("memory_profiler_estimate_cudagraphs", int(start.version >= HIGHER_FRACTION))).lower() not in ("0", "false")

    def cache_request(self, start: Start) -> CacheRequest:
        """What the layout of the cache depends on."""
        deployment, architecture = start.deployment, start.architecture
        form = cache_format(deployment.kv_precision, architecture.dtype)
        if form is None:
            raise FlagError("unknown-cache-format", found=deployment.kv_precision)
        aligned = start.version >= ALIGNED_STATES and bool(start.flag("enable_prefix_caching", start.version >= CACHED_STATES))
        return CacheRequest(
            form=form,
            tp=deployment.tp,
            block_tokens=deployment.block_size or 16,
            drafts=deployment.speculative_tokens,
            conv_bytes=element_bytes(architecture.dtype),
            state_bytes=state_bytes(deployment),
            draft_layers=draft_layers(start),
            unified=bool(start.flag("disable_hybrid_kv_cache_manager")) or start.version < HYBRID_CACHE,
            widest_share=1.5 if start.version >= HIGHER_FRACTION else 1.25,
            tuples=start.version < PACKED_CACHE,
            expanded=start.accelerator.vendor == "AMD" and start.version < ROCM_LATENT,
            latent_alignment=128 if start.version >= LATENT_ALIGNMENT else 64,
            states=(2 if aligned else 1) + deployment.speculative_tokens,
        )

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """Blocks of the groups of layers (remembered by what they depend on, for starts of one layout)."""
        said = start.deployment
        key = (said.kv_precision, said.block_size, in_flight_tokens(said, start.version), stage.layers, stage.last)
        return start.lasting(known_plans).once(key, lambda: self._cache_plan(start, stage))

    def _cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        deployment = start.deployment
        layout = cache_layout(start.architecture, start.once(self.cache_request))
        flight = in_flight_tokens(deployment, start.version)
        states, dcp = start.once(self.cache_request).states, deployment.dcp
        size = layout.block_bytes(stage.layers, len(start.architecture.layers), last=stage.last)
        full = [group for group in layout.groups if group.kind == FULL]
        token = sum(-(-size // (group.block_tokens * dcp)) for group in full)
        far = 1 << 27  # tokens: further than any window
        fixed = sum(group.blocks(far, flight, states, dcp) for group in layout.groups if group.kind != FULL) * size

        @lru_cache(maxsize=16)
        def blocks_of(context_tokens: int) -> int:
            return sum(group.blocks(context_tokens, flight, states, dcp) for group in layout.groups)

        @lru_cache(maxsize=16)
        def counted(context_tokens: int) -> int:
            needs = [group.blocks(context_tokens, flight, states, dcp) for group in layout.groups]
            first = max(sum(page for _, page in group.members) for group in layout.groups if group.kind == FULL)
            return -(-layout.counted_bytes(needs) // first)

        by_bytes = counted if layout.tuples else None
        return CachePlan(size, layout.block_tokens, max(len(layout.groups), 1), token, fixed, blocks_of, by_bytes)

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens as the log of the version prints them."""
        if start.version < COUNTED_BY_REQUESTS:
            return int(pool_tokens_by_group(blocks=blocks, groups=plan.groups, block_tokens=plan.block_tokens, context_parallel=start.layout.dcp))
        context = start.deployment.max_model_len or 1
        return int(pool_tokens(blocks=blocks, blocks_per_request=plan.counted(context), context_tokens=context))

    def least_blocks(self, start: Start) -> int:
        """A block for the state of every request of a batch, where decoding is captured whole."""
        states = model_record(start.architecture).states * graph_modes(start.deployment, start.version).whole
        return int((start.deployment.max_num_seqs or 1) * states) if start.version >= BLOCK_EACH else 0

    def refusal(self, start: Start, stage: Stage, items: Sequence[Item]) -> Notice | None:
        """Not enough free memory for the budget at the start, or states that are cached for blocks which no step holds."""
        block, step = self.cache_plan(start, stage).block_tokens, start.deployment.max_num_batched_tokens or 1
        cached = start.version >= ALIGNED_STATES and start.flag("enable_prefix_caching") and model_record(start.architecture).states
        if cached and block > step:
            return Notice("block-above-step", {"block_tokens": block, "step_tokens": step})
        device, budget = start.lasting(device_record), start.once(self.budget_bytes)
        if not version_rules(start.version).checks_budget or not above_free(budget, device):
            return None
        return Notice(
            "budget-above-free", {"budget_bytes": budget, "free_bytes": free_at_start(device), "fraction": start.deployment.memory_fraction}
        )

    def later_bytes(self, items: Sequence[Item]) -> int:
        """Graphs are captured after the profile run, where its activations were; they count as small as they may be."""
        return int(needed_later(items))

    def quantities(self, start: Start, results: Sequence[StageResult], blocks: tuple[int, int, int], worst: int) -> dict[str, Quantity]:
        """Also what the log estimates for graphs before they are captured; since 0.26 its "peak activation" holds that estimate."""
        found = super().quantities(start, results, blocks, worst)
        if "cuda_graph_bytes" in found and warms_up(start):
            found["cuda_graph_bytes"] = less_warm_up(found["cuda_graph_bytes"], results[0].items)
        factor = estimate_factor(start.architecture, start.version)
        estimated = [estimated_graphs(line, factor) for line in results[0].items if line.id == "cuda_graphs"]
        if estimated and estimates(start):
            found["cuda_graph_estimated_bytes"] = combined(estimated)
        if start.version >= CONSUMED and self.charges_graphs(start):
            found["activation_peak_bytes"] = combined([*estimated, *(line for line in results[0].items if line.id == "activation_peak")])
        return found

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?"""
        result = super().fit(deployment, architecture, accelerator)
        if result.reason is not None and result.reason.code == "context-too-long" and deployment.flags.get("context_to_fit"):
            longest = result.reason.parameters["longest_tokens"]  # ``--max-model-len auto`` shrinks until it fits
            result = super().fit(replace(deployment, max_model_len=longest), architecture, accelerator) if longest else result
        if result.fits and result.free_bytes < 0:
            return result.warned(Notice("tight-at-full-load", {"bytes": -result.free_bytes}))
        return result

    def warnings(self, start: Start) -> tuple[Notice, ...]:
        """Also what is not known of a draft, and versions beyond those that were studied."""
        found = list(super().warnings(start))
        said = start.deployment.engine_version
        if said is not None and placed(said) is None:
            found.append(Notice("version-not-placed", {"found": said[:60], "newest": ".".join(map(str, NEWEST))}))
        if not OLDEST <= start.version <= (*NEWEST[:2], 1 << 20):
            words = {"version": ".".join(map(str, start.version)), "oldest": ".".join(map(str, OLDEST)), "newest": ".".join(map(str, NEWEST))}
            found.append(Notice("version-not-studied", words))
        found += shared_memory(start)
        if start.deployment.speculative_tokens:
            if external_head(start):
                found.append(Notice("draft-assumed", {"draft": str(start.flag("speculative_model", "eagle"))}))
            elif draft_kind(start) is Kind.UNKNOWN:
                draft = start.flag("speculative_model")
                found.append(Notice("draft-not-counted", {"draft": str(draft)}) if draft else Notice("draft-not-named"))
        return tuple(found)

    def in_role(self, deployment: Deployment, role: str) -> Deployment | None:
        """Both kinds of workers hand caches over through a connector; a router in front of them sends prompts to the producers first."""
        if self.version_of(deployment) < HANDS_OVER:
            return None
        settings = {"kv_connector": "NixlConnector", "kv_role": "kv_producer" if role == "prefill" else "kv_consumer"}
        return replace(deployment, flags={**deployment.flags, "kv_transfer_config": settings})

    def on_node(self, deployment: Deployment, node: Node) -> list[str] | None:
        """Its place among the servers of one replica."""
        return node_words(node) if self.version_of(deployment) >= SINCE else None

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument."""
        values = printed_values(deployment)
        if values.pop("ep", 1) > 1:
            values["ep_all"] = True
        if values.pop("context_to_fit", False):
            values["max_model_len"] = "auto"
        if "kv_precision" in values:
            values["kv_precision"] = TORCH_NAMES.get(deployment.kv_precision, deployment.kv_precision)
        if deployment.precision in self.declared.made_on_load:
            values["quantization"] = deployment.precision
        elif deployment.precision in TORCH_NAMES:
            values["dtype"] = TORCH_NAMES[deployment.precision]
        method, draft = values.pop("speculative_method", "mtp"), values.pop("speculative_model", None)
        if drafts := values.pop("speculative_tokens", 0):
            settings = {"method": str(method), "num_speculative_tokens": drafts}
            values["speculative_config"] = settings if draft is None else {**settings, "model": str(draft)}
        environment, words = words_for(values, self.id)
        return [*(["env", *environment] if environment else []), "vllm", "serve", deployment.model, *words]


ENGINE = Vllm()
