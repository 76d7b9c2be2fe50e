"""Engines that set a pool aside for the cache: what a stage holds beside it, what is left for it, and a verdict.

An engine of this shape says only what differs. Beside what every :class:`~gpusizer.engines.base.engine.Engine` answers:

=====================  ==========================================================================================
``overheads``          context, communication, activation peak, graphs: items of one stage
``pool_bytes``         what is left for the cache
``cache_plan``         how cached rows become blocks, and what a request takes
``printed_tokens``     tokens as its log counts them (default: requests of full length)
``refusal``            further reasons not to start
``later_bytes``        what of the ledger need not be there at the start
=====================  ==========================================================================================
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.account import Reason, StageFigures, conclude, stage_blocks
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.host import host_refusal, system_lines
from gpusizer.engines.base.launch import CachePlan, Stage, StageResult, Start
from gpusizer.engines.base.ledger import combined, computed, free_line, total_bytes
from gpusizer.engines.base.margins import POOL, measured
from gpusizer.engines.base.offload import offloaded_share, pinned_lines
from gpusizer.engines.base.types import NOTHING_ON_HOST, Account, Deployment, Fit, Item, KVCache, OnHost, Quantity, Rank, Section
from gpusizer.engines.base.verdict import reason_of
from gpusizer.engines.base.weights import layer_kinds
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.formulas.memory.cache_blocks import pool_bytes, pool_concurrency, pool_tokens

__all__ = ["PooledEngine"]


class PooledEngine(Engine):
    """An engine that sets a pool aside for the cache."""

    holds_longest_request: ClassVar[bool] = True  # it does not start where the longest request does not fit

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start as it is: the pool takes what is left of the card."""
        return deployment

    # ---- what an engine of this shape answers ----------------------------------------------------------------------

    @abstractmethod
    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Items of one GPU beside weights and cache."""

    @abstractmethod
    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """What is left for the cache of one GPU, negative where nothing is. [bytes]"""

    @abstractmethod
    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """How cached rows become blocks."""

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens of the pool as the engine's log counts them, of one attention-data-parallel rank. [tokens]"""
        context = start.deployment.max_model_len or 1
        return int(pool_tokens(blocks=blocks, blocks_per_request=plan.counted(context), context_tokens=context))

    def texts_at_once(self, start: Start) -> int:
        """Texts of full length that one step reads, of a model that keeps nothing of them."""
        asked = start.deployment
        return max(min((asked.max_num_batched_tokens or 1) // (asked.max_model_len or 1), asked.max_num_seqs or 1), 1)

    def least_blocks(self, start: Start) -> int:
        """Blocks without which the engine refuses, however short a request is. [blocks]"""
        return 0

    def refusal(self, start: Start, stage: Stage, items: Sequence[Item]) -> Notice | None:
        """A reason of this engine not to start, before the cache is looked at."""
        return None

    def later_bytes(self, items: Sequence[Item]) -> int:
        """What of the ledger need not be there at the start. [bytes]"""
        return 0

    def on_host(self, start: Start, items: Sequence[Item]) -> OnHost:
        """Weights that a step finds in the memory of the host, from the ledger of one GPU."""
        return offloaded_share(items, whole=False) if start.deployment.flags else NOTHING_ON_HOST

    def host_weights(self, start: Start, results: Sequence[StageResult]) -> list[Item]:
        """Weights in the memory of the host, all GPUs together."""
        ranks = start.layout.tp * start.layout.dp
        return [line for result in results for line in pinned_lines(result.items, ranks)] if start.deployment.flags else []

    def host_lines(self, start: Start, results: Sequence[StageResult]) -> tuple[Item, ...]:
        """The ledger of the host; empty where no weights lie there."""
        weights = self.host_weights(start, results)
        return (*weights, *system_lines(start)) if weights else ()

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
        problem = start.lasting(self.problem)
        if problem is not None:
            return self.refused(start, problem)
        results = self._stage_results(start)
        refusal = next((why for result in results if (why := self.refusal(start, result.stage, result.items)) is not None), None)
        context = start.deployment.max_model_len or 1
        figures = self._stage_figures(results, context, start.once(self.least_blocks))
        found = conclude(figures, memory_bytes=start.device_total_bytes, refused=refusal is not None)
        blocks, low, high = found.blocks
        host = cache(lambda: self.host_lines(start, results))
        reason = refusal or reason_of(found, figures, results, context)
        if start.deployment.host_memory_bytes is not None:
            reason = reason or host_refusal(start, host(), "host-memory-too-small")
        worst = min(range(len(results)), key=lambda index: results[index].blocks[0])
        if found.reason == Reason.MEMORY:
            worst = found.shortfalls.index(found.shortfall_bytes)
        plan = results[worst].plan
        pool = KVCache(plan.token_bytes, plan.request_bytes, plan.block_tokens, blocks, self._tokens(start, plan, blocks) * start.layout.dp)
        used = max(each.used_bytes + pool_bytes(blocks=blocks, block_bytes=each.block_bytes) for each in figures)
        return Fit(
            deployment=start.deployment,
            fits=reason is None,
            reason=reason,
            worst=worst,
            kv_cache=pool,
            max_concurrency=self.concurrency(start, plan, blocks) * start.layout.dp,
            low_concurrency=self.concurrency(start, plan, low) * start.layout.dp,
            free_bytes=free_bytes(device_total_bytes=start.device_total_bytes, used_bytes=used),
            budget_bytes=start.once(self.budget_bytes),
            account=Account(
                lambda: self._ranks(start, results, blocks),
                lambda: measured(start, self.quantities(start, results, (blocks, low, high), worst), settled=(POOL,)),
                lambda: self.warnings(start),
                host,
            ),
            on_host=self.on_host(start, results[worst].items),
        )

    def _stage_results(self, start: Start) -> list[StageResult]:
        """Every stage; those with the same layers at the same kind of place are computed once."""
        known: dict[tuple[object, ...], StageResult] = {}
        results: list[StageResult] = []
        for stage, key in start.lasting(self.told_stages):
            if key not in known:
                known[key] = self.stage_result(start, stage)
            same = known[key]
            results.append(same if same.stage is stage else StageResult(stage, same.items, same.available, same.plan, same.blocks))
        return results

    def told_stages(self, start: Start) -> tuple[tuple[Stage, tuple[object, ...]], ...]:
        """The stages, each with what tells it apart from others."""
        kinds = layer_kinds(start.architecture)
        return tuple((stage, (stage.first, stage.last, *kinds[stage.layers.start : stage.layers.stop])) for stage in self.stages(start))

    def stage_result(self, start: Start, stage: Stage) -> StageResult:
        """One stage: its items, what is left for the cache, and how many blocks that makes."""
        items = (*self.stage_weights(start, stage), *self.overheads(start, stage))
        plan = self.cache_plan(start, stage)
        if not plan.block_bytes:  # nothing is set aside, and so nobody looks what is left for it
            return StageResult(stage, items, combined(items, sign=-1, base=start.device_total_bytes), plan, (0, 0, 0))
        available = self.pool_bytes(start, stage, items)
        value, low, high = stage_blocks(available, plan.block_bytes)
        return StageResult(stage, items, available, plan, (int(value), int(low), int(high)))

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
        size = blocks * result.plan.block_bytes
        spread = (result.available.value - result.available.low, result.available.high - result.available.value)
        pool = computed(
            "kv_cache_pool",
            pool_bytes,
            section=Section.CACHE,
            band=Limits(max(size - spread[0], 0), size + spread[1]),
            blocks=blocks,
            block_bytes=result.plan.block_bytes,
        )
        lines = (*result.items, *([pool] if result.plan.block_bytes else []))
        free = free_line(lines, start.device_total_bytes)
        return Rank(result.stage.index, 0, (*lines, free))

    def _tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens of the pool as the log counts them, none where there is no pool. [tokens]"""
        return self.printed_tokens(start, plan, blocks) if plan.block_bytes else 0

    def concurrency(self, start: Start, plan: CachePlan, blocks: int) -> float:
        """Requests of full length that the pool holds, of one attention-data-parallel rank. [requests]"""
        need = plan.counted(start.deployment.max_model_len or 1)
        if not plan.block_bytes:
            return float(self.texts_at_once(start))
        return float(pool_concurrency(blocks=blocks, blocks_per_request=need))

    def _stage_figures(self, results: Sequence[StageResult], context: int, least: int) -> list[StageFigures]:
        """What the verdict needs of each stage; stages that are alike share it."""
        known: dict[int, StageFigures] = {}
        for result in results:
            if id(result.items) not in known:
                needed, used = max(self._needed(result, context), least), total_bytes(result.items)
                figures = StageFigures(result.available, result.blocks, result.plan.block_bytes, needed, used, self.later_bytes(result.items))
                known[id(result.items)] = figures
        return [known[id(result.items)] for result in results]

    def _needed(self, result: StageResult, context: int) -> int:
        """Blocks that must be there for a start: those of the longest request, or one where longer requests are refused one by one."""
        needed = result.plan.blocks_of(context)
        return needed if self.holds_longest_request else min(needed, 1)

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
        value, low, high = (float(self._tokens(start, plan, count)) for count in blocks)
        found["kv_cache_tokens"] = Quantity(value, low, high)
        value, low, high = (self.concurrency(start, plan, count) for count in blocks)
        found["max_concurrency"] = Quantity(value, low, high)
        return found
