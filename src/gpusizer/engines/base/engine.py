"""What all engines have in common: one start of one engine becomes a ledger for each GPU, a pool of cache, and a verdict.

An engine says only what differs. To add one, subclass :class:`Engine` and answer:

=====================  ==========================================================================================
``complete``           every default that the operator left open, by device and version
``cut``                how the weights of a rank are made (padding, whole experts, towers)
``overheads``          context, communication, activation peak, graphs: items of one stage
``pool_bytes``         what is left for the cache
``cache_plan``         how cached rows become blocks, and what a request takes
``printed_tokens``     tokens as its log counts them (default: requests of full length)
``refusal``            further reasons not to start
``shortfall_bytes``    what of the ledger must be there at the start
``command``            how it is launched
=====================  ==========================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import LatentAttention, Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.launch import CachePlan, LayoutChoice, Stage, StageResult, Start
from gpusizer.engines.base.layout_rules import dimensions, layout_problem
from gpusizer.engines.base.ledger import combined, item, total_bytes, weight_items
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Item, KVCache, Layout, Quantity, Rank
from gpusizer.engines.base.weights import Cut, layer_kinds, once_per_architecture, stage_layers, weight_table
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.formulas.memory.cache_blocks import pool_blocks, pool_concurrency, pool_tokens
from gpusizer.formulas.memory.weights import absorbed_latent_bytes, rope_table_bytes

__all__ = ["CachePlan", "Engine", "LayoutChoice", "Stage", "StageResult", "Start"]


@once_per_architecture
def _known_weights(architecture: Architecture) -> dict[tuple[object, ...], list[Item]]:
    """Weights of stages by what they depend on, for one architecture."""
    return {}


class Engine(ABC):
    """How one serving engine uses memory; the base holds what all have in common."""

    id: ClassVar[str] = ""
    newest: ClassVar[tuple[int, ...]] = (0,)
    weight_error: ClassVar[float] = 0.01  # band of stored tensors after loading, as a share
    weight_sources: ClassVar[tuple[str, ...]] = ()

    @property
    def declared(self) -> Declaration:
        """What its folder says of it."""
        return declaration(self.id)

    # ---- what an engine answers ------------------------------------------------------------------------------------

    @abstractmethod
    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""

    def cut(self, start: Start) -> Cut:
        """How the weights of one rank are made."""
        layout = start.layout
        experts_tp = 1 if layout.ep > 1 else layout.tp * layout.dp
        return Cut(tp=layout.tp, experts_tp=experts_tp, ep=layout.ep, towers_tp=layout.tp)

    def padded_formats(self, start: Start) -> frozenset[str]:
        """Formats of routed experts that are padded to whole blocks, so that any cut will do."""
        return frozenset()

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Items of one GPU beside weights and cache."""
        raise NotImplementedError  # an engine with a story of its own overrides ``fit`` and is never asked

    def budget_bytes(self, start: Start) -> int:
        """What the engine allows itself of one GPU; the whole device unless it says otherwise. [bytes]"""
        return start.device_total_bytes

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """What is left for the cache of one GPU, negative where nothing is. [bytes]"""
        raise NotImplementedError  # an engine with a story of its own overrides ``fit`` and is never asked

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """How cached rows become blocks."""
        raise NotImplementedError  # an engine with a story of its own overrides ``fit`` and is never asked

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens of the pool as the engine's log counts them, of one attention-data-parallel rank. [tokens]"""
        context = start.deployment.max_model_len or 1
        return int(pool_tokens(blocks=blocks, blocks_per_request=plan.counted(context), context_tokens=context))

    def refusal(self, start: Start, stage: Stage, items: Sequence[Item]) -> Notice | None:
        """A reason of this engine not to start, before the cache is looked at."""
        return None

    def shortfall_bytes(self, rank: Rank) -> int:
        """By how much one GPU is too small for the start; 0 or less where it is not. [bytes]"""
        return -rank.items[-1].bytes

    @abstractmethod
    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument."""

    def options_file(self, deployment: Deployment) -> tuple[str, dict[str, object]] | None:
        """A file that the command reads, with what it holds; None where arguments say all."""
        return None

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start that serves so many requests, or as many as fit, for engines whose operator sizes the cache by hand.

        Engines with a pool take what is left of the card: for them it is the start as it is.
        """
        return deployment

    # ---- what all have in common -----------------------------------------------------------------------------------

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers; the newest known where none is given or none can be read."""
        numbers: list[int] = []
        for part in (deployment.engine_version or "").lstrip("v").split("."):
            digits = part[: len(part) - len(part.lstrip("0123456789"))]
            if not digits or len(digits) > 6:
                break
            numbers.append(int(digits))
            if len(digits) != len(part):
                break
        return tuple(numbers) if numbers else self.newest

    def start(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Start:
        """One start with every default filled in."""
        complete = self.complete(deployment, architecture, accelerator)
        return Start(complete, architecture, accelerator, self.version_of(complete), deployment)

    def stages(self, start: Start) -> tuple[Stage, ...]:
        """The pipeline stages of one replica."""
        given = start.flag("pp_layer_partition")
        partition = tuple(given) if isinstance(given, list | tuple) and all(isinstance(part, int) and part >= 0 for part in given) else None
        ranges = stage_layers(len(start.architecture.layers), start.layout.pp, partition)
        return tuple(Stage(index, layers, index == 0, index == len(ranges) - 1) for index, layers in enumerate(ranges))

    def problem(self, start: Start) -> Notice | None:
        """Why this layout cannot be, None where it can."""
        redundant = start.whole("num_redundant_experts", 0)
        return layout_problem(start.architecture, start.layout, redundant_experts=redundant, padded_formats=self.padded_formats(start))

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> tuple[LayoutChoice, ...]:
        """Every way to cut one replica over so many GPUs: tensor parallelism inside a node, pipeline stages beyond.

        Parameters
        ----------
        architecture : Architecture
            The model.
        accelerator : Accelerator
            The device.
        gpus : int
            GPUs of one replica.
        across_nodes : bool
            Pipeline stages may lie on different nodes.

        Returns
        -------
        tuple of LayoutChoice
            Legal ones first, the widest tensor-parallel cut first; the others with their reason.
        """
        node = accelerator.devices_per_node or 8
        choices: list[LayoutChoice] = []
        for tp in range(min(gpus, node), 0, -1):
            if gpus % tp:
                continue
            pp = gpus // tp
            if pp > 1 and tp * pp > node and not across_nodes:
                continue
            layout = Layout(tp=tp, pp=pp)
            choices.append(LayoutChoice(layout, self._layout_problem(architecture, accelerator, layout)))
            if tp > 1 and dimensions(architecture).experts:
                whole = replace(layout, ep=tp)
                choices.append(LayoutChoice(whole, self._layout_problem(architecture, accelerator, whole)))
        return tuple(sorted(choices, key=lambda choice: choice.reason is not None))

    def _layout_problem(self, architecture: Architecture, accelerator: Accelerator, layout: Layout) -> Notice | None:
        bare = Deployment(model="", gpu=accelerator.id, tp=layout.tp, pp=layout.pp, dp=layout.dp, ep=layout.ep, engine=self.id)
        return self.problem(Start(bare, architecture, accelerator, self.newest))

    def weights(self, start: Start, stage: Stage) -> list[Item]:
        """Everything that stays on one GPU after loading: stored tensors, second copies, tables, draft layers."""
        architecture, cut = start.architecture, self.cut(start)
        table = weight_table(architecture)
        towers = not start.flag("language_model_only", False)
        groups = table.stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=architecture.tied_head, towers=towers)
        items = weight_items(groups, error=self.weight_error_of(start), evidence=self.weight_evidence(start), sources=self.weight_sources)
        return items + self.added_weights(start, stage, cut)

    def weights_depend_on(self, start: Start) -> tuple[object, ...] | None:
        """What of the device the weights depend on: devices that are alike in it share what was computed; None shares nothing."""
        return None

    def _weights_of(self, start: Start, stage: Stage) -> list[Item]:
        device, asked = self.weights_depend_on(start), start.deployment
        if device is None or asked.flags or asked.similar_precision:
            return self.weights(start, stage)
        rest: tuple[object, ...] = (start.version, asked.layout, asked.precision, asked.kv_precision, asked.max_num_seqs)
        rest = (*rest, asked.max_num_batched_tokens, asked.block_size, asked.enforce_eager, asked.speculative_tokens, asked.max_model_len)
        known, key = _known_weights(start.architecture), (self.id, device, stage.layers, stage.first, stage.last, rest)
        if key not in known:
            known[key] = self.weights(start, stage)
        return known[key]

    def weight_error_of(self, start: Start) -> float:
        """Band of stored tensors after loading, as a share; a class figure unless the engine tells formats apart."""
        return self.weight_error

    def weight_evidence(self, start: Start) -> str:
        """How surely the stored tensors are known."""
        return Evidence.EXACT

    def added_weights(self, start: Start, stage: Stage, cut: Cut) -> list[Item]:
        """What loading adds to the stored tensors; by default the draft layers of the checkpoint."""
        if not stage.last or not start.deployment.speculative_tokens or not start.architecture.mtp:
            return []
        size = weight_table(start.architecture).draft_bytes(cut)
        return [
            item("weights_draft", size, low=size * 0.97, high=size * 1.1, inputs={"layers": len(start.architecture.mtp)}, evidence=Evidence.EXACT)
        ]

    def absorbed_latent(self, start: Start, stage: Stage, element_bytes: float = 2) -> list[Item]:
        """Second copies of latent projections on one GPU, for engines that keep them."""
        counts: dict[tuple[int, int, int, int], int] = {}
        for index in stage.layers:
            for mixer in start.architecture.layers[index].mixers:
                if isinstance(mixer, LatentAttention):
                    shape = (mixer.heads, mixer.qk_nope_head_dim, mixer.v_head_dim, mixer.kv_lora_rank)
                    counts[shape] = counts.get(shape, 0) + 1
        items = []
        for (heads, nope, value, rank), layers in counts.items():
            inputs = {
                "layers": layers,
                "heads": heads,
                "qk_nope_head_dim": nope,
                "v_head_dim": value,
                "kv_lora_rank": rank,
                "element_bytes": element_bytes,
                "tp": start.layout.tp,
            }
            size = absorbed_latent_bytes(**inputs)
            items.append(item("weights_absorbed", size, formula="memory.weights.absorbed_latent", inputs=inputs, sources=self.weight_sources))
        return items

    def rope_tables(self, start: Start, stage: Stage, element_bytes: int = 2) -> list[Item]:
        """Tables of rotary positions on one GPU, once for each distinct rotated width."""
        widths = set()
        for index in stage.layers:
            for mixer in start.architecture.layers[index].mixers:
                width = getattr(mixer, "rotary_dim", 0) or getattr(mixer, "qk_rope_head_dim", 0) or getattr(mixer, "rope_head_dim", 0)
                if width:
                    widths.add((width, getattr(mixer, "window", None) is not None))
        positions = start.architecture.max_position_embeddings or 0
        size = sum(rope_table_bytes(positions=positions, rotary_dim=width, element_bytes=element_bytes) for width, _ in widths)
        inputs = {"positions": positions, "rotary_dim": sum(width for width, _ in widths), "element_bytes": element_bytes}
        return [item("weights_tables", size, formula="memory.weights.rope_table", inputs=inputs, sources=self.weight_sources)] if size else []

    # ---- the story -------------------------------------------------------------------------------------------------

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?

        Parameters
        ----------
        deployment : Deployment
            One start of this engine.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The device.

        Returns
        -------
        Fit
            Ledger of each GPU that differs, cache, verdict with its reason, and the figures of the log with bands.
        """
        start = self.start(deployment, architecture, accelerator)
        problem = self.problem(start)
        if problem is not None:
            return self._refused(start, problem)
        results = self._stage_results(start)
        blocks, low, high = (min(result.blocks[which] for result in results) for which in range(3))
        reason = self._verdict(start, list({id(result.items): result for result in reversed(results)}.values())[::-1], blocks)
        worst = min(range(len(results)), key=lambda index: results[index].blocks[0])
        ranks = self._ranks(start, results, blocks)
        if reason is None:
            missing, short = max((self.shortfall_bytes(rank), -rank.pp_rank) for rank in {id(rank.items): rank for rank in reversed(ranks)}.values())
            if missing > 0:
                reason, worst = Notice("out-of-memory", {"bytes": missing, "pp_rank": -short}), -short
        plan = results[worst].plan
        cache = KVCache(plan.token_bytes, plan.request_bytes, plan.block_tokens, blocks, self.printed_tokens(start, plan, blocks) * start.layout.dp)
        return Fit(
            deployment=start.deployment,
            fits=reason is None,
            reason=reason,
            ranks=ranks,
            worst=worst,
            kv_cache=cache,
            max_concurrency=self._concurrency(start, plan, blocks) * start.layout.dp,
            quantities=self.quantities(start, results, (blocks, low, high), worst),
            budget_bytes=self.budget_bytes(start),
            warnings=self.warnings(start),
        )

    def _stage_results(self, start: Start) -> list[StageResult]:
        """Every stage; those with the same layers at the same kind of place are computed once."""
        kinds = layer_kinds(start.architecture)
        known: dict[tuple[object, ...], StageResult] = {}
        results: list[StageResult] = []
        for stage in self.stages(start):
            key = (stage.first, stage.last, *(kinds[index] for index in stage.layers))
            if key not in known:
                known[key] = self._stage(start, stage)
            same = known[key]
            results.append(same if same.stage is stage else StageResult(stage, same.items, same.available, same.plan, same.blocks))
        return results

    def _stage(self, start: Start, stage: Stage) -> StageResult:
        items = (*self._weights_of(start, stage), *self.overheads(start, stage))
        available = self.pool_bytes(start, stage, items)
        plan = self.cache_plan(start, stage)
        low, value, high = (
            int(pool_blocks(pool_bytes=int(size), block_bytes=max(plan.block_bytes, 1))) for size in (available.low, available.value, available.high)
        )
        return StageResult(stage, items, available, plan, (value, low, high))

    def _ranks(self, start: Start, results: Sequence[StageResult], blocks: int) -> tuple[Rank, ...]:
        """One rank of each stage; stages that are alike share their ledger."""
        ledgers: dict[int, Rank] = {}
        ranks: list[Rank] = []
        for result in results:
            if id(result.items) not in ledgers:
                ledgers[id(result.items)] = self._rank(start, result, blocks)
            ranks.append(Rank(result.stage.index, 0, ledgers[id(result.items)].items))
        return tuple(ranks)

    def _rank(self, start: Start, result: StageResult, blocks: int) -> Rank:
        inputs = {"blocks": blocks, "block_bytes": result.plan.block_bytes}
        size = blocks * result.plan.block_bytes
        spread = (result.available.value - result.available.low, result.available.high - result.available.value)
        pool = item(
            "kv_cache_pool",
            size,
            low=max(size - spread[0], 0),
            high=size + spread[1],
            formula="memory.budget.kv_cache_pool",
            inputs=inputs,
            evidence=Evidence.CALIBRATED,
        )
        lines = (*result.items, pool)
        used = total_bytes(lines)
        rest = free_bytes(device_total_bytes=start.device_total_bytes, used_bytes=used)
        inputs = {"device_total_bytes": start.device_total_bytes, "used_bytes": used}
        free = item("free", rest, formula="memory.budget.free", inputs=inputs, evidence=Evidence.CALIBRATED)
        return Rank(result.stage.index, 0, (*lines, free))

    def _concurrency(self, start: Start, plan: CachePlan, blocks: int) -> float:
        need = plan.counted(start.deployment.max_model_len or 1)
        return float(pool_concurrency(blocks=blocks, blocks_per_request=need))

    def _verdict(self, start: Start, results: Sequence[StageResult], blocks: int) -> Notice | None:
        for result in results:
            reason = self.refusal(start, result.stage, result.items)
            if reason is not None:
                return reason
        tightest = min(results, key=lambda result: result.available.value)
        if tightest.available.value <= 0:
            return Notice("no-memory-for-cache", {"missing_bytes": round(-tightest.available.value), "pp_rank": tightest.stage.index})
        context = start.deployment.max_model_len or 1
        for result in results:
            need = result.plan.blocks_of(context)
            if need > blocks - self.reserved_blocks:
                needed, available = need * result.plan.block_bytes, blocks * result.plan.block_bytes
                longest = self._longest(result.plan, blocks, context)
                return Notice(
                    "context-too-long",
                    {"max_model_len": context, "needed_bytes": needed, "available_bytes": available, "longest_tokens": longest},
                )
        return None

    reserved_blocks: ClassVar[int] = 0  # blocks that no request may have

    def _longest(self, plan: CachePlan, blocks: int, context: int) -> int:
        low, high = 0, context
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if plan.blocks_of(middle) <= blocks - self.reserved_blocks else (low, middle - 1)
        return low

    def quantities(self, start: Start, results: Sequence[StageResult], blocks: tuple[int, int, int], worst: int) -> dict[str, Quantity]:
        """Figures of the log by the names of ``validate``; per-GPU figures are those of the first rank, which is the one that logs show."""
        first = results[0]
        found = {
            "weights_bytes": combined(line for line in first.items if line.id.startswith("weights")),
            "kv_cache_pool_bytes": first.available,
        }
        for name, id in (("activation_peak_bytes", "activation_peak"), ("non_torch_bytes", "non_torch"), ("cuda_graph_bytes", "cuda_graphs")):
            lines = [line for line in first.items if line.id == id]
            if lines:
                found[name] = combined(lines)
        plan = results[worst].plan
        tokens = [float(self.printed_tokens(start, plan, count)) for count in blocks]
        found["kv_cache_tokens"] = Quantity(*tokens)
        found["max_concurrency"] = Quantity(*(self._concurrency(start, plan, count) for count in blocks))
        return found

    def warnings(self, start: Start) -> tuple[Notice, ...]:
        """What a reader of the answer must know."""
        found = list(start.architecture.warnings)
        node = start.accelerator.devices_per_node
        if node and start.layout.tp > node:
            found.append(Notice("tp-across-nodes", {"tp": start.layout.tp, "devices_per_node": node}))
        return tuple(found)

    def _refused(self, start: Start, reason: Notice) -> Fit:
        rest = item("free", start.device_total_bytes)
        return Fit(
            deployment=start.deployment,
            fits=False,
            reason=reason,
            ranks=(Rank(0, 0, (rest,)),),
            worst=0,
            kv_cache=KVCache(0, 0, 0, 0, 0),
            max_concurrency=0.0,
            quantities={},
            budget_bytes=self.budget_bytes(start),
            warnings=self.warnings(start),
        )
