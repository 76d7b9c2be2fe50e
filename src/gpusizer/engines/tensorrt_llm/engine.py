"""TensorRT-LLM: a trial run measures the peak; the cache gets a share of what it left. Compiled engines (before 1.0) size a workspace instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, cast

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.drafts import OwnDraft
from gpusizer.engines.base.engine import CachePlan, Stage, Start
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.knobs import Knobs
from gpusizer.engines.base.launch_words import printed_values, words_for
from gpusizer.engines.base.ledger import banded, computed
from gpusizer.engines.base.margins import pool_margin, widened
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.types import Deployment, Fit, Inputs, Item, Quantity, Section
from gpusizer.engines.base.version import version_in
from gpusizer.engines.base.weights import Cut, ExpertPadding
from gpusizer.engines.tensorrt_llm import constants as fitted
from gpusizer.engines.tensorrt_llm.account import block_bytes, left_for_cache, pages, reduction_line, request_blocks, step_lines
from gpusizer.engines.tensorrt_llm.drafts import OWN_DRAFTS
from gpusizer.engines.tensorrt_llm.flags import OF_FILE
from gpusizer.engines.tensorrt_llm.record import cache_name, cache_record, compiled, records_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import decoder_buffer_bytes

__all__ = ["ENGINE", "TensorRtLlm", "with_defaults"]

_DECODER = (fitted.DECODER_BASIS.source,)
HANDS_OVER = (1, 0)  # cache_transceiver_config of the PyTorch backend: features/disagg-serving.md


def with_defaults(deployment: Deployment, version: tuple[int, ...]) -> Deployment:
    """Fill in every default that follows from the version alone."""
    older = compiled(version, deployment)
    return replace(
        deployment,
        engine=TensorRtLlm.id,
        max_num_seqs=deployment.max_num_seqs or (256 if older else 2048),
        max_num_batched_tokens=deployment.max_num_batched_tokens or 8192,
        memory_fraction=0.9 if deployment.memory_fraction is None else deployment.memory_fraction,
        block_size=deployment.block_size or (64 if older else 32),
    )


class TensorRtLlm(PooledEngine):
    """TensorRT-LLM with its PyTorch backend, 1.0 and newer; compiled engines of 0.5 to 0.21 by a rougher rule."""

    id: ClassVar[str] = "tensorrt-llm"
    knobs = Knobs(
        step_tokens=(2048, 1024),
        safe_fraction=0.95,
        cache_format="fp8",
        sources=("NVIDIA/TensorRT-LLM: docs, performance tuning: max_batch_size, max_num_tokens, free_gpu_memory_fraction up to 0.95",),
    )
    newest: ClassVar[tuple[int, ...]] = (1, 2, 0)
    own_drafts: ClassVar[Mapping[str, tuple[OwnDraft, ...]]] = OWN_DRAFTS
    shares_cut_experts: ClassVar[bool] = True
    attention_dp_since: ClassVar[tuple[int, ...] | None] = (1, 0, 0)  # enable_attention_dp: llmapi/llm_args.py
    holds_longest_request: ClassVar[bool] = False  # it starts with a smaller max_seq_len
    weight_sources: ClassVar[tuple[str, ...]] = ("NVIDIA/TensorRT-LLM@000439672: tensorrt_llm/_torch/pyexecutor/_util.py, KvCacheCreator",)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers; "0.5 era" is 0.5."""
        text = deployment.engine_version or ""
        return version_in(text) or super().version_of(replace(deployment, engine_version=text.split(" ")[0]))

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""
        longest = deployment.max_model_len or architecture.max_position_embeddings or 4096
        cached = cache_name(deployment, architecture)
        return replace(with_defaults(deployment, self.version_of(deployment)), max_model_len=longest, kv_precision=cached)

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
        slack = [] if compiled(start.version, start.deployment) else [banded("weights_slack", fitted.WEIGHTS_SLACK, section=Section.WEIGHTS)]
        return [*self.absorbed_latent(start, stage), *self.rope_tables(start, stage, 4), *slack, *super().added_weights(start, stage, cut)]

    # ---- beside weights and cache ----------------------------------------------------------------------------------

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        """Context, communicators, buffers for all-reduces, graphs, activations of the trial run; pages of the checkpoint on a unified device."""
        records = records_of(start)
        device, step = records.device, records.step
        graphs, peak = step_lines(records.model, step, records.cut, len(stage.layers))
        reductions = reduction_line(device, step, start.layout.tp)
        optional = [*([reductions] if reductions.bytes else []), *([graphs] if step.graphs else []), *self._decoder(start, stage)]
        found = [*device.outside, *optional, peak, *device.system]
        return [*found, pages(device, records.model, [*self.weights(start, stage), *found])] if device.keeps_pages else found

    def _decoder(self, start: Start, stage: Stage) -> list[Item]:
        """The decoder of a compiled engine, which the last stage has."""
        if not stage.last or not compiled(start.version, start.deployment):
            return []
        sizes: Inputs = {
            "requests": start.deployment.max_num_seqs or 1,
            "vocabulary": start.architecture.vocab_size or 0,
            "copies": fitted.DECODER_COPIES,
            "element_bytes": fitted.LOGIT_BYTES,
        }
        found = computed("decoder_buffers", decoder_buffer_bytes, section=Section.OUTSIDE, band=fitted.DECODER_SPREAD, sources=_DECODER, **sizes)
        return [found]

    # ---- budget and pool -------------------------------------------------------------------------------------------

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        """A share of what the trial run left free."""
        records = records_of(start)
        return widened(
            left_for_cache(records.device, records.step, cache_record(start, stage), items), start.lasting(pool_margin), start.device_total_bytes
        )

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        """Blocks over all layers of a stage; layers with a window are held like the others."""
        cache, page = cache_record(start, stage), records_of(start).step.page_tokens

        def blocks_of(context_tokens: int) -> int:
            return int(request_blocks(cache, page, context_tokens))

        return CachePlan(block_bytes(cache, page), page, 1, round(cache.token_bytes), cache.request_bytes, blocks_of)

    def printed_tokens(self, start: Start, plan: CachePlan, blocks: int) -> int:
        """Tokens of the paged pool of one rank."""
        return blocks * plan.block_tokens

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?"""
        found = super().fit(deployment, architecture, accelerator)
        warnings: list[Notice] = []
        tokens, context = found.kv_cache.tokens // found.deployment.dp, found.deployment.max_model_len or 1
        if found.fits and 0 < tokens < context:
            warnings.append(Notice("context-above-pool", {"max_model_len": context, "longest_tokens": tokens}))
        if kinds_of(architecture).states or kinds_of(architecture).compressed:
            warnings.append(Notice("pool-approximate", {"engine": self.id}))
        if accelerator.unified_memory:
            warnings.append(Notice("pages-count-as-used", {"gpu": accelerator.id}))
        if compiled(self.version_of(found.deployment), found.deployment):
            warnings.append(Notice("compiled-engine-rough", {"engine": self.id}))
        return found.warned(*warnings)

    def in_role(self, deployment: Deployment, role: str) -> Deployment | None:
        """Both kinds of workers move caches; those of prompts do without the overlap of steps (``trtllm-serve disaggregated`` stands in front)."""
        if self.version_of(deployment) < HANDS_OVER:
            return None
        moving: dict[str, object] = {"cache_transceiver_config": {"backend": "DEFAULT"}}
        alone = {"disable_overlap_scheduler": True} if role == "prefill" else {}
        return replace(deployment, flags={**deployment.flags, **moving, **alone})

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; what has no argument goes into the options file."""
        values = {name: value for name, value in printed_values(deployment).items() if name not in _OF_FILE and name != "backend"}
        ranks = deployment.tp * deployment.dp
        values |= {"tp": ranks} if ranks > 1 else {}
        _, words = words_for(values, self.id)
        file = self.options_file(deployment)
        backend = str(deployment.flags.get("backend") or "pytorch")
        return ["trtllm-serve", deployment.model, "--backend", backend, *words, *(["--extra_llm_api_options", file[0]] if file else [])]

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
        for flag in OF_FILE:
            head, _, key = flag.name.partition(".")
            if flag.target in deployment.flags and not (head == "cuda_graph_config" and deployment.enforce_eager):
                found[head] = {**cast("dict[str, object]", found.get(head, {})), key: deployment.flags[flag.target]}
        if drafts := deployment.speculative_tokens:
            found["speculative_config"] = {
                "decoding_type": str(deployment.flags.get("speculative_method", "mtp")).upper(),
                "num_nextn_predict_layers": drafts,
            }
        found |= {name: deployment.flags[name] for name in _ROLE_WORDS if name in deployment.flags}
        return ("options.yaml", found) if found else None


_ROLE_WORDS = ("cache_transceiver_config", "disable_overlap_scheduler")

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
    *(flag.target for flag in OF_FILE),
)

ENGINE = TensorRtLlm()
