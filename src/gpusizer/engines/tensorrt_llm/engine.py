"""TensorRT-LLM: a trial run measures the peak; the cache gets a share of what it left. Compiled engines (before 1.0) size a workspace instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.cache import POOLED, STATE, CacheFormat, cache_format, layer_caches
from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.engine import CachePlan, Stage, Start
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.launch_words import printed_values, words_for
from gpusizer.engines.base.ledger import banded, combined, computed, total_bytes
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.prefill import prefill_peak
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Inputs, Item, Quantity, Section
from gpusizer.engines.base.version import version_in
from gpusizer.engines.base.weights import Cut, ExpertPadding
from gpusizer.engines.tensorrt_llm import constants as fitted
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.pool_sizes import checkpoint_pages_bytes
from gpusizer.formulas.memory.pools import pool_after_peak_bytes
from gpusizer.units import MiB

__all__ = ["ENGINE", "TensorRtLlm"]

_COMPILED_BEFORE = (1, 0)
_DEFAULT_INPUT = 1024  # max_input_len of a compiled engine
_OF_PEAK = ("driver_reserved", "device_context", "communication", "cuda_graphs", "activation_peak", "system_memory", "checkpoint_pages")


class TensorRtLlm(PooledEngine):
    """TensorRT-LLM with its PyTorch backend, 1.0 and newer; compiled engines of 0.5 to 0.21 by a rougher rule."""

    id: ClassVar[str] = "tensorrt-llm"
    newest: ClassVar[tuple[int, ...]] = (1, 2, 0)
    holds_longest_request: ClassVar[bool] = False  # it starts with a smaller max_seq_len
    weight_sources: ClassVar[tuple[str, ...]] = ("NVIDIA/TensorRT-LLM@000439672: tensorrt_llm/_torch/pyexecutor/_util.py, KvCacheCreator",)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers; "0.5 era" is 0.5."""
        text = deployment.engine_version or ""
        return version_in(text) or super().version_of(replace(deployment, engine_version=text.split(" ")[0]))

    def compiled(self, start: Start) -> bool:
        """Whether a compiled engine serves, not the PyTorch backend."""
        return start.version < _COMPILED_BEFORE

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""
        older = self.version_of(deployment) < _COMPILED_BEFORE
        return replace(
            deployment,
            engine=self.id,
            max_model_len=deployment.max_model_len or architecture.max_position_embeddings or 4096,
            max_num_seqs=deployment.max_num_seqs or (256 if older else 2048),
            max_num_batched_tokens=deployment.max_num_batched_tokens or 8192,
            memory_fraction=0.9 if deployment.memory_fraction is None else deployment.memory_fraction,
            block_size=deployment.block_size or (64 if older else 32),
        )

    # ---- weights ---------------------------------------------------------------------------------------------------

    def cut(self, start: Start) -> Cut:
        """Experts are cut, or shared out whole; attention-data-parallel ranks hold attention whole."""
        layout = start.layout
        ranks = layout.tp * layout.dp
        experts_tp = max(ranks // layout.ep, 1) if layout.ep > 1 else ranks
        padding = ExpertPadding("mxfp4", 128, 256 if 10 <= start.capability < 12 else 128)
        return Cut(tp=layout.tp, experts_tp=experts_tp, ep=layout.ep, towers_tp=layout.tp, paddings=(padding,))

    def padded_formats(self, start: Start) -> frozenset[str]:
        """Formats of routed experts that are padded to whole blocks."""
        return frozenset({"mxfp4"})

    def added_weights(self, start: Start, stage: Stage, cut: Cut) -> list[Item]:
        """Second copies of latent projections, tables of positions in FP32, allocator slack, draft layers."""
        slack = [] if self.compiled(start) else [banded("weights_slack", fitted.WEIGHTS_SLACK, section=Section.WEIGHTS)]
        return [*self.absorbed_latent(start, stage), *self.rope_tables(start, stage, 4), *slack, *super().added_weights(start, stage, cut)]

    # ---- beside weights and cache ----------------------------------------------------------------------------------

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Context, communicators, graphs, activations of the trial run; pages of the checkpoint on a unified device."""
        found = [*driver_reserved(start.accelerator), banded("device_context", fitted.CONTEXT, section=Section.OUTSIDE)]
        if start.layout.gpus > 1:
            found.append(banded("communication", fitted.COMMUNICATION, section=Section.OUTSIDE))
        if not start.deployment.enforce_eager and not self.compiled(start):
            found.append(self._graphs(stage))
        found.append(self._activation(start))
        return [*found, *self._pages(start, stage, found)] if start.accelerator.unified_memory else found

    def _pages(self, start: Start, stage: Stage, items: Sequence[Item]) -> list[Item]:
        """On a unified device the pages of the checkpoint that was just read count as used; the reading stops where little is free."""
        system = banded("system_memory", fitted.UNIFIED_SYSTEM, section=Section.OUTSIDE)
        inputs: Inputs = {
            "checkpoint_bytes": checkpoint_bytes(start.architecture),
            "device_total_bytes": start.device_total_bytes,
            "used_bytes": total_bytes((*self.weights(start, stage), *items, system)),
            "free_share": fitted.UNIFIED_FREE_SHARE,
        }
        sources = (fitted.UNIFIED_FREE_BASIS.source,)
        return [
            system,
            computed("checkpoint_pages", checkpoint_pages_bytes, section=Section.OUTSIDE, band=fitted.PAGES_SPREAD, sources=sources, **inputs),
        ]

    def _graphs(self, stage: Stage) -> Item:
        return computed(
            "cuda_graphs",
            cuda_graph_bytes,
            section=Section.GRAPHS,
            band=fitted.GRAPHS_SPREAD,
            evidence=Evidence.ASSUMED,
            sources=(fitted.GRAPHS_BASIS.source,),
            graphs=fitted.GRAPH_SIZES,
            layers=len(stage.layers),
            more_layers=0,
            bytes_per_graph_and_layer=fitted.GRAPHS_MIB * MiB,
        )

    def _activation(self, start: Start) -> Item:
        """Tensors of the widest block of one context batch; a compiled engine sets a workspace aside for the largest batch."""
        deployment = start.deployment
        tokens = deployment.max_num_batched_tokens or 1
        if not self.compiled(start):
            return prefill_peak(start, tokens, band=fitted.PEAK_SPREAD, evidence=Evidence.CALIBRATED)
        if start.left_open("max_num_batched_tokens"):
            tokens = (deployment.max_num_seqs or 1) * min(int(start.flag("max_input_len", _DEFAULT_INPUT) or _DEFAULT_INPUT), 1 << 20)
        return prefill_peak(
            start,
            tokens,
            band=fitted.ENGINE_WORKSPACE_SPREAD,
            evidence=Evidence.CALIBRATED,
            workspace_factor=fitted.ENGINE_WORKSPACE,
            with_experts=False,
        )

    # ---- budget and pool -------------------------------------------------------------------------------------------

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """A share of what the trial run left free."""
        used = combined(line for line in items if line.id.startswith("weights") or line.id in _OF_PEAK)
        sizes = [self._share_of_rest(start, peak) for peak in (used.value, used.high, used.low)]
        limit = start.flag("max_tokens")
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            plan = self.cache_plan(start, stage)
            sizes = [min(size, ceil(limit / plan.block_tokens) * plan.block_bytes) for size in sizes]
        return Quantity(*sizes)

    def _share_of_rest(self, start: Start, peak_bytes: float) -> float:
        fraction = (start.deployment.memory_fraction or 0.0) if peak_bytes < start.device_total_bytes else 1.0  # a lack is not shared
        size: float = pool_after_peak_bytes(
            device_total_bytes=start.device_total_bytes, peak_bytes=peak_bytes, temporary_pool_bytes=0, fraction=fraction
        )
        return size

    def _form(self, start: Start) -> CacheFormat:
        form = cache_format(start.deployment.kv_precision, start.architecture.dtype)
        if form is None:
            raise FlagError("unknown-cache-format", found=start.deployment.kv_precision)
        return form

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """Blocks over all layers of a stage; layers with a window are held like the others."""
        form, page = self._form(start), start.deployment.block_size or 32
        token, fixed = 0.0, 0
        layers = [start.architecture.layers[index] for index in stage.layers]
        drafts = start.architecture.mtp if start.deployment.speculative_tokens and stage.last else ()
        compressed = kinds_of(start.architecture).compressed
        for layer in (*layers, *drafts):
            for cache in layer_caches(layer, form, tp=start.layout.tp):
                if cache.kind == STATE:
                    fixed += cache.row_bytes
                elif cache.kind == POOLED:
                    token += cache.row_bytes / cache.ratio
                elif compressed and cache.window:
                    fixed += cache.row_bytes * cache.window
                else:
                    token += cache.row_bytes
        block = max(round(token * page), 1)

        def blocks_of(context_tokens: int) -> int:
            return ceil(context_tokens / page) + ceil(fixed / block)

        return CachePlan(block, page, 1, round(token), fixed, blocks_of)

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens of the paged pool of one rank."""
        return blocks * plan.block_tokens

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?"""
        found = super().fit(deployment, architecture, accelerator)
        warnings = list(found.warnings)
        tokens, context = found.kv_cache.tokens // found.deployment.dp, found.deployment.max_model_len or 1
        if found.fits and 0 < tokens < context:
            warnings.append(Notice("context-above-pool", {"max_model_len": context, "longest_tokens": tokens}))
        if kinds_of(architecture).states or kinds_of(architecture).compressed:
            warnings.append(Notice("pool-approximate", {"engine": self.id}))
        if accelerator.unified_memory:
            warnings.append(Notice("pages-count-as-used", {"gpu": accelerator.id}))
        if self.version_of(found.deployment) < _COMPILED_BEFORE:
            warnings.append(Notice("compiled-engine-rough", {"engine": self.id}))
        return replace(found, warnings=tuple(warnings))

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; what has no argument goes into the options file."""
        values = {name: value for name, value in printed_values(deployment).items() if name not in _OF_FILE}
        ranks = deployment.tp * deployment.dp
        values |= {"tp": ranks} if ranks > 1 else {}
        _, words = words_for(values, self.id)
        file = self.options_file(deployment)
        return ["trtllm-serve", deployment.model, "--backend", "pytorch", *words, *(["--extra_llm_api_options", file[0]] if file else [])]

    def options_file(self, deployment: Deployment) -> tuple[str, dict[str, object]] | None:
        """The file that the command reads; JSON is YAML too."""
        cache: dict[str, object] = {} if deployment.kv_precision == "auto" else {"dtype": deployment.kv_precision}
        cache |= {} if deployment.block_size is None else {"tokens_per_block": deployment.block_size}
        cache |= {"max_tokens": limit} if (limit := deployment.flags.get("max_tokens")) else {}
        found: dict[str, object] = {"kv_cache_config": cache} if cache else {}
        if deployment.dp > 1:
            found["enable_attention_dp"] = True
        if deployment.enforce_eager:
            found["cuda_graph_config"] = None
        if drafts := deployment.speculative_tokens:
            found["speculative_config"] = {
                "decoding_type": str(deployment.flags.get("speculative_method", "mtp")).upper(),
                "num_nextn_predict_layers": drafts,
            }
        return ("options.yaml", found) if found else None


# Fields and flags that trtllm-serve has no argument for.
_OF_FILE = (
    "dp",
    "kv_precision",
    "block_size",
    "max_tokens",
    "enforce_eager",
    "speculative_tokens",
    "speculative_method",
    "speculative_model",
    "dtype",
)

ENGINE = TensorRtLlm()
