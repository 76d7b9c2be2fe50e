"""Transformers: ``generate()`` without a serving engine around it: weights as loaded, a cache that grows, no pool set aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.types import Notice, RelativeAttention
from gpusizer.engines.base.band import Band, Basis, Limits, Spread
from gpusizer.engines.base.device import driver_reserved, models_beside
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.engine import LayoutChoice, Stage, Start
from gpusizer.engines.base.launch_words import TORCH_NAMES, visible_devices
from gpusizer.engines.base.ledger import banded, combined, computed, free_line, total_bytes
from gpusizer.engines.base.placed import PlacedEngine, tightest
from gpusizer.engines.base.search import largest
from gpusizer.engines.base.types import Account, Deployment, Evidence, Fit, Inputs, Item, KVCache, Layout, Quantity, Rank, Section
from gpusizer.engines.base.weights import Cut, layer_kinds, once_per_architecture
from gpusizer.engines.transformers.memory import Batch, StageCache, stage_cache
from gpusizer.engines.transformers.moments import EAGER, SDPA, Moments, Setting, default_attention, moments_of, work_of
from gpusizer.errors import FlagError
from gpusizer.facts.model_names import find_model, name_key, names_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import rounded
from gpusizer.formulas.memory.transformers import dynamic_cache_bytes, generate_peak_bytes, kept_blocks_bytes
from gpusizer.units import MiB

__all__ = ["ENGINE", "Transformers"]

_SOURCE = "huggingface/transformers 5.23.0: "
_CHECKPOINT_DTYPE_FROM = (5,)  # the checkpoint's own type is the default; FP32 before
_LATENT_FROM = (5, 17)  # measured in 5.17.0 and read in 5.23.0; earlier releases that were looked at (4.5x) cache every head's keys and values
_GROUPED_FROM = (5,)  # experts in grouped products over a prompt, and copied for every token in a step
# Measured on one card with one release (H200, CUDA 13.0, torch 2.11, Transformers 5.17; six models, 46 batches, tests/data/transformers_h200.jsonl):
# n counts set-ups, so it is 1, and the bands are wider than what was seen. The models ran one after another in one process, so that the context
# of the later ones holds kernels of the earlier: 771 to 783 MiB with the first alone.
_CONTEXT = Band(780 * MiB, 330 * MiB, 120 * MiB, Basis("transformers.context", 1, 771, 819, "MiB"))
_PEAK_SPREAD = Spread(0.15, 0.30)
_PEAK_BASIS = Basis("transformers.peak", 1, -0.005, 0.001, "beside the count, from 2,048 tokens")
# What the allocator holds beside what is used: weights rounded up to segments, and a share of what moves. It gives blocks back before it fails.
_ROUNDING = (0, 170 * MiB, 320 * MiB)
_SLACK = (0.03, 0.20, 0.50)
_SLACK_BASIS = Basis("transformers.slack", 1, 0.06, 0.86, "of what moves")
# Compute capability from which a stored format stays as it is; below it the loader dequantises to 16 bits.
_STAYS_FROM = {"mxfp4": 7.5, "fp8": 8.9}
_MOST_REQUESTS = 1 << 20


class Transformers(PlacedEngine):
    """Transformers, 4.4x to 5.23. ``pp`` is ``device_map`` over so many GPUs, ``tp`` its tensor-parallel plan."""

    id: ClassVar[str] = "transformers"
    newest: ClassVar[tuple[int, ...]] = (5, 23, 0)
    weight_sources: ClassVar[tuple[str, ...]] = (_SOURCE + "src/transformers/modeling_utils.py, from_pretrained",)
    mixers: ClassVar[frozenset[str] | None] = None  # a checkpoint may bring its own code

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """One request at a time, to the longest context, unless it was said otherwise."""
        if deployment.kv_precision not in ("auto", "", architecture.dtype):
            raise FlagError("bad-flag-value", flag="--kv-precision", found=deployment.kv_precision[:40])  # the cache has the model's own type
        context = deployment.max_model_len or architecture.max_position_embeddings or 4096
        return replace(deployment, max_model_len=context, max_num_seqs=deployment.max_num_seqs or 1)

    def cut(self, start: Start) -> Cut:
        """Attention, dense blocks and experts are cut by the plan; towers and vocabulary are not padded."""
        tp = start.layout.tp
        return Cut(tp=tp, experts_tp=tp, vocabulary_multiple=1)

    def problem(self, start: Start) -> Notice | None:
        """Layers by ``device_map`` or rows by a plan, nothing else."""
        for name, value in (("dp", start.layout.dp), ("ep", start.layout.ep), ("dcp", start.layout.dcp)):
            if value > 1:
                return Notice("layers-or-rows-only", {"name": name, "value": value})
        return super().problem(start)

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> Iterator[LayoutChoice]:
        """Layers over all GPUs, or one tensor-parallel group."""
        node = accelerator.node_size
        layouts = [Layout(pp=gpus), *([Layout(tp=gpus)] if 1 < gpus <= node else [])]
        choices = [LayoutChoice(layout, self.layout_refusal(architecture, accelerator, layout)) for layout in layouts]
        yield from sorted(choices, key=lambda choice: choice.reason is not None)

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """A batch of so many requests, or as large a one as fits on the safe side; at least one."""
        start = self.start(replace(deployment, max_num_seqs=1), architecture, accelerator)
        if self.problem(start) is not None:
            return replace(deployment, max_num_seqs=1)
        different = set(self._parts(self._loaded(start)[0]))
        tokens = start.deployment.max_model_len or 1

        def room(batch: int) -> int:
            return min(part.safe_room_bytes(Batch(batch, tokens)) for part in different)

        return replace(deployment, max_num_seqs=max(largest(room, max(min(requests, _MOST_REQUESTS), 1)), 1))

    # ---- the story -------------------------------------------------------------------------------------------------

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does a batch of full length run?

        Parameters
        ----------
        deployment : Deployment
            ``max_num_seqs`` requests of ``max_model_len`` tokens.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The device.

        Returns
        -------
        Fit
            Ledger of every GPU, the batch that would fit, verdict.
        """
        start = self.start(deployment, architecture, accelerator)
        problem = self.problem(start)
        if problem is not None:
            return self.refused(start, problem)
        loaded, notices = self._loaded(start)
        parts = self._parts(loaded)
        different = set(parts)
        batch = Batch(start.deployment.max_num_seqs or 1, start.deployment.max_model_len or 1)
        lines = {part: part.lines(batch) for part in different}
        ranks = tuple(Rank(index, 0, lines[part]) for index, part in enumerate(parts))
        worst = tightest(ranks)
        short = -ranks[worst].items[-1].bytes

        def room(tried: Batch) -> int:
            return min(part.free_bytes(tried) for part in different)

        def safe_room(requests: int) -> int:
            return min(part.safe_room_bytes(Batch(requests, batch.tokens)) for part in different)

        most = largest(lambda requests: room(Batch(requests, batch.tokens)), _MOST_REQUESTS)
        safe = largest(safe_room, most) if most else 0
        longest = batch.tokens if most else largest(lambda tokens: room(Batch(1, tokens)), batch.tokens)
        cache = parts[worst].cache
        tokens = most * batch.tokens if most else longest
        return Fit(
            deployment=start.deployment,
            fits=short <= 0,
            reason=_reason(parts[worst], batch, short, longest, worst) if short > 0 else None,
            worst=worst,
            kv_cache=KVCache(cache.token_bytes, cache.bounded_bytes(batch.tokens), 1, tokens, tokens) if cache.kept else KVCache(0, 0, 0, 0, 0),
            max_concurrency=float(most),
            low_concurrency=float(safe),
            free_bytes=-short,
            budget_bytes=start.visible_bytes,
            account=Account(
                lambda: ranks,
                lambda: _figures(ranks, tokens, most, safe),
                lambda: (*self.warnings(start), *notices, *_attention_notices(parts[worst].setting, start, batch)),
            ),
        )

    def weights_depend_on(self, start: Start) -> tuple[object, ...]:
        """Nothing of the device: what it cannot hold is dequantised before."""
        return ()

    def _parts(self, loaded: Start) -> list[_Loaded]:
        """The GPUs of a start with their parts of the model; those that hold the same are one object."""
        kinds = layer_kinds(loaded.architecture)
        any_batch = replace(loaded, deployment=replace(loaded.deployment, max_num_seqs=None))  # weights are the same for any batch and device
        known: dict[tuple[object, ...], _Loaded] = {}
        found = []
        for stage in self.stages(loaded):
            key = (stage.first, stage.last, *kinds[stage.layers.start : stage.layers.stop])
            if key not in known:
                known[key] = _Loaded(loaded, stage, self.stage_weights(any_batch, stage), latents=self.caches_latents(loaded))
            found.append(known[key])
        return found

    def _loaded(self, start: Start) -> tuple[Start, list[Notice]]:
        """The model as it is after loading: dequantised where the device cannot hold its format, FP32 in older releases."""
        architecture, notices = start.architecture, []
        for family in _families(architecture):
            least = _STAYS_FROM.get(family)
            if least is not None and (start.capability < least or start.flag("dequantize")):
                notices.append(Notice("dequantised-on-load", {"precision": family, "gpu": start.accelerator.id}))
                architecture = _in_bf16(architecture)
                break
        told = start.flag("dtype") or start.flag("torch_dtype") or start.deployment.precision != "checkpoint"
        if start.version < _CHECKPOINT_DTYPE_FROM and not told and architecture.quantization.method is None and architecture.dtype != "fp32":
            notices.append(Notice("loaded-in-fp32", {"version": ".".join(map(str, start.version))}))
            architecture = _in_fp32(architecture)
        return replace(start, architecture=architecture), notices

    def caches_latents(self, start: Start) -> bool:
        """Whether this release keeps the latent itself; remote code never does."""
        return start.version >= _LATENT_FROM and not start.flag("trust_remote_code")

    def command(self, deployment: Deployment) -> list[str]:
        """A line of Python that loads the model as the deployment says, with the batch that it is sized for."""
        dtype = TORCH_NAMES.get(deployment.precision, deployment.flags.get("torch_dtype", "auto"))
        said: dict[str, object] = {"dtype": dtype, **({"device_map": "auto"} if deployment.tp == 1 else {"tp_plan": "auto"})}
        said |= {name: deployment.flags[name] for name in ("attn_implementation", "trust_remote_code", "dequantize") if name in deployment.flags}
        words = [json.dumps(deployment.model), *(f"{name}={json.dumps(value) if isinstance(value, str) else value}" for name, value in said.items())]
        loader = _loader(deployment.model)
        code = f"from transformers import {loader}; model = {loader}.from_pretrained({', '.join(words)})"
        batch = {
            "max_length": deployment.max_model_len,
            "batch_size": deployment.max_num_seqs,
            "prefill_chunk_size": deployment.flags.get("prefill_chunk_size"),
        }
        asked = [f"{name}={value}" for name, value in batch.items() if value]
        code += f"; generation = dict({', '.join(asked)})" if asked else ""
        if deployment.tp > 1:
            return ["torchrun", "--nproc-per-node", str(deployment.tp), "--no-python", "python", "-c", code]
        return [*(["env", visible_devices(deployment.gpu, deployment.pp)] if deployment.pp > 1 else []), "python", "-c", code]


def _loader(model: str) -> str:
    """The class of the library that loads a model, by the use that its catalogue entry tells and the task of its class."""
    known = names_of().get(name_key(model))
    entry = find_model(known) if known else None
    if entry is None or not {"embedding", "rerank", "speech"} & set(entry.uses):
        return "AutoModelForCausalLM"
    if "speech" in entry.uses:
        return "AutoModelForSpeechSeq2Seq"
    scores = any(str(each).endswith("ForSequenceClassification") for each in entry.config.get("architectures", ()))
    return "AutoModelForSequenceClassification" if scores else "AutoModel" if "embedding" in entry.uses else "AutoModelForCausalLM"


_families = once_per_architecture(weight_formats)


@once_per_architecture
def _in_bf16(architecture: Architecture) -> Architecture:
    return with_precision(architecture, "bf16")


@once_per_architecture
def _in_fp32(architecture: Architecture) -> Architecture:
    return with_precision(architecture, "fp32")


class _Loaded:
    """One GPU with its part of the model loaded."""

    def __init__(self, start: Start, stage: Stage, weights: Sequence[Item], *, latents: bool) -> None:
        self.start, self.stage = start, stage
        architecture = start.architecture
        self.element_bytes = element_bytes(architecture.dtype)
        self.setting = Setting(
            tp=start.layout.tp,
            element_bytes=self.element_bytes,
            attention=str(start.flag("attn_implementation") or default_attention(architecture)),
            latents=latents,
            grouped=start.version >= _GROUPED_FROM,
            gathers=start.version >= _GROUPED_FROM and architecture.quantization.method is None,
            chunk=int(start.flag("prefill_chunk_size", 0) or 0),
            last=stage.last,
        )
        kinds = layer_kinds(architecture)
        counts = Counter(kinds[stage.layers.start : stage.layers.stop])
        first = {kinds[index]: architecture.layers[index] for index in reversed(stage.layers)}
        self.layers = [first[kind] for kind in counts]
        self.cache: StageCache = stage_cache(
            self.layers, tp=start.layout.tp, element_bytes=self.element_bytes, latents=latents, counts=counts.values()
        )
        self.work = work_of(architecture, self.layers, self.setting)
        self.fixed: Sequence[Item] = (
            *weights,
            *driver_reserved(start.accelerator),
            banded("device_context", _CONTEXT, section=Section.OUTSIDE),
            *models_beside(start.deployment),
        )
        self.fixed_bytes = total_bytes(self.fixed)
        self.fixed_spread_bytes = sum(line.high_bytes - line.bytes for line in self.fixed)

    @property
    def was_measured(self) -> bool:
        """Whether the count was compared with measurements: 16-bit weights on one card, a release with grouped experts, the usual attention."""
        setting, architecture = self.setting, self.start.architecture
        usual = setting.attention == default_attention(architecture) and not setting.chunk
        return usual and setting.grouped and self.start.layout.gpus == 1 and architecture.quantization.method is None

    def moments(self, batch: Batch) -> Moments:
        """The widest moments of a batch."""
        return moments_of(self.work, self.cache, batch)

    def free_bytes(self, batch: Batch) -> int:
        """What is left, negative where it does not fit. [bytes]"""
        moving = self.cache.bytes_of(batch) + self.moments(batch).peak_bytes
        return self.start.device_total_bytes - self.fixed_bytes - moving - _kept(1, moving)

    def safe_room_bytes(self, batch: Batch) -> int:
        """What is left when every line is at the upper end of its band, negative where that is too little. [bytes]"""
        cache, peak = self.cache.bytes_of(batch), self.moments(batch).peak_bytes
        moving: int = cache + rounded(_PEAK_SPREAD.around(peak)[1]) + _kept(2, cache + peak)
        return self.start.device_total_bytes - self.fixed_bytes - self.fixed_spread_bytes - moving

    def lines(self, batch: Batch) -> tuple[Item, ...]:
        """The ledger of this GPU."""
        cache = computed(
            "kv_cache_pool",
            dynamic_cache_bytes,
            section=Section.CACHE,
            sources=(_SOURCE + "src/transformers/cache_utils.py",),
            requests=batch.requests,
            tokens=batch.tokens,
            token_bytes=self.cache.token_bytes,
            request_bytes=self.cache.bounded_bytes(batch.tokens),
        )
        moments: Inputs = dict(self.moments(batch).inputs)
        peak = computed(
            "activation_peak",
            generate_peak_bytes,
            section=Section.ACTIVATION,
            band=_PEAK_SPREAD,
            evidence=Evidence.CALIBRATED if self.was_measured else Evidence.ASSUMED,
            sources=(_PEAK_BASIS.source,) if self.was_measured else (),
            **moments,
        )
        moving = cache.bytes + peak.bytes
        slack = computed(
            "allocator_slack",
            kept_blocks_bytes,
            section=Section.OUTSIDE,
            band=Limits(_kept(0, moving), _kept(2, moving)),
            sources=(_SLACK_BASIS.source,),
            rounding_bytes=_ROUNDING[1],
            share=_SLACK[1],
            of_bytes=moving,
        )
        lines = (*self.fixed, cache, peak, slack)
        return (*lines, free_line(lines, self.start.device_total_bytes))


def _attention_notices(setting: Setting, start: Start, batch: Batch) -> list[Notice]:
    """What the choice of attention costs where nobody chose it."""
    if setting.attention == EAGER and not start.flag("attn_implementation"):
        return [Notice("eager-for-distances" if start.architecture.mixers_of(RelativeAttention) else "eager-for-sinks")]
    if setting.attention == SDPA and batch.requests > 1:
        return [Notice("padded-batch")]
    return []


def _kept(end: int, moving: int) -> int:
    """Blocks that the allocator keeps: 0 at the lower end, 1 at the middle, 2 at the upper end. [bytes]"""
    return int(rounded(kept_blocks_bytes(rounding_bytes=_ROUNDING[end], share=_SLACK[end], of_bytes=moving)))


def _reason(stage: _Loaded, batch: Batch, short: int, longest: int, worst: int) -> Notice:
    if batch.requests == 1 and longest:
        needed = stage.cache.bytes_of(batch)
        return Notice(
            "context-too-long",
            {"max_model_len": batch.tokens, "needed_bytes": needed, "available_bytes": max(needed - short, 0), "longest_tokens": longest},
        )
    return Notice("out-of-memory", {"bytes": short, "pp_rank": worst})


def _figures(ranks: Sequence[Rank], tokens: int, most: int, safe: int) -> dict[str, Quantity]:
    lines = ranks[0].items
    return {
        "weights_bytes": combined(line for line in lines if line.id.startswith("weights")),
        "kv_cache_pool_bytes": combined(line for line in lines if line.id == "kv_cache_pool"),
        "activation_peak_bytes": combined(line for line in lines if line.id == "activation_peak"),
        "kv_cache_tokens": Quantity(float(tokens), tokens * 0.85, tokens * 1.15),
        "max_concurrency": Quantity(float(most), float(safe), most * 1.15),
    }


ENGINE = Transformers()
