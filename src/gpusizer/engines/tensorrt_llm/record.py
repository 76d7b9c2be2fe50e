"""What the account reads: every branch on model, version, device class and layout is taken here, and leaves plain numbers.

Each record declares its axes, along which alone its figures differ: the model in its precision, the class of a device (its vendor, capability and
memory) with the version, the device itself, the layout, the pipeline stage. A stage comes with its layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines.base.band import Band, times
from gpusizer.engines.base.cache import POOLED, STATE, asks_for_fp8, cache_format, layer_caches
from gpusizer.engines.base.device import driver_reserved, models_beside, system_memory
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import banded, computed
from gpusizer.engines.base.prefill import PrefillCut, PrefillModel, prefill_cut, prefill_model
from gpusizer.engines.base.types import Deployment, Item, Section
from gpusizer.engines.tensorrt_llm import constants as fitted
from gpusizer.errors import FlagError
from gpusizer.formulas.core import kept, maximum, where
from gpusizer.formulas.memory.constants import constant_for_each_bytes
from gpusizer.once import Remembered, once_per_object

__all__ = [
    "CacheRecord",
    "DeviceRecord",
    "ModelRecord",
    "Records",
    "StepRecord",
    "cache_name",
    "cache_record",
    "communication_line",
    "compiled",
    "device_record",
    "model_record",
    "records_of",
    "step_of",
    "step_record",
]

COMPILED_BEFORE = (1, 0)  # by default a compiled engine serves, not the PyTorch backend
LARGER_REDUCTIONS = (1, 2)
BLACKWELL = 10  # compute capability of data-centre cards
SERVER_DEVICES = 8  # where the catalogue does not say
LIMITED_TOKENS = (0, 11)  # max_num_tokens is 8,192 by default from here on: NVIDIA/TensorRT-LLM, performance tuning guide
MODELOPT_FORMATS = ("fp8", "nvfp4")
DEFAULT_INPUT = 1024  # max_input_len of a compiled engine
MOST_INPUT = 1 << 20


def compiled(version: tuple[int, ...], deployment: Deployment) -> bool:
    """Whether a compiled engine serves, not the PyTorch backend: what the operator says, else what the version takes by itself."""
    backend = deployment.flags.get("backend")
    return version < COMPILED_BEFORE if backend is None else backend != "pytorch"


@dataclass(frozen=True, slots=True)
class Records:
    """What the account reads of a start, whatever the stage."""

    model: ModelRecord
    step: StepRecord
    cut: PrefillCut
    device: DeviceRecord


@once_per_object
def records_of(start: Start) -> Records:
    """The records of a start (remembered)."""
    return Records(model_record(start), step_record(start), prefill_cut(start.layout), device_record(start))


# ---- the model ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model as the trial run and the reading of its files feel it."""

    axes: ClassVar[tuple[str, ...]] = ("model", "class")

    prefill: PrefillModel  # a compiled engine has no work buffers for routed experts of their own
    checkpoint_bytes: Any


def model_record(start: Start) -> ModelRecord:
    """Collect what the account reads of a model."""
    prefill = prefill_model(start.architecture)
    return ModelRecord(replace(prefill, top_k=0) if compiled(start.version, start.deployment) else prefill, _files_bytes(start.architecture))


@once_per_object
def _files_bytes(architecture: Architecture) -> int:
    return checkpoint_bytes(architecture)


# ---- the start, on a class of devices ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The largest step of a start, its pages, its graphs, and its share of what the trial run leaves."""

    axes: ClassVar[tuple[str, ...]] = ("model", "class")

    context_tokens: Any
    tokens: Any  # of a context batch
    page_tokens: Any
    most_tokens: Any  # of the pool, 0 where memory alone says
    fraction: Any  # of what is left
    graphs: Any
    workspace_factor: Any  # what is set aside for each byte of the widest block
    peak_below: Any  # band of the peak, as shares
    peak_above: Any
    pair_message_bytes: Any  # largest fused all-reduce of two ranks, and of more; 0 where its buffers are not counted
    message_bytes: Any


def step_record(start: Start) -> StepRecord:
    """Collect what the account reads of a start's steps."""
    return step_of(start.deployment, start.version, _step_tokens(start))


def step_of(deployment: Deployment, version: tuple[int, ...], tokens: int) -> StepRecord:
    """The record of a step of so many tokens."""
    limit, older = deployment.flags.get("max_tokens"), compiled(version, deployment)
    spread = fitted.ENGINE_WORKSPACE_SPREAD if older else fitted.PEAK_SPREAD
    pair, more = fitted.REDUCTION_MESSAGE["since-1.2" if version >= LARGER_REDUCTIONS else "before-1.2"]
    return StepRecord(
        context_tokens=deployment.max_model_len or 1,
        tokens=tokens,
        page_tokens=deployment.block_size or 32,
        most_tokens=limit if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else 0,
        fraction=deployment.memory_fraction or 0.0,
        graphs=0 if deployment.enforce_eager or older else fitted.GRAPH_SIZES,
        workspace_factor=fitted.ENGINE_WORKSPACE if older else fitted.PEAK_FACTOR,
        peak_below=spread.below,
        peak_above=spread.above,
        pair_message_bytes=0 if older else pair,
        message_bytes=0 if older else more,
    )


def _step_tokens(start: Start) -> int:
    """Tokens of one context batch; a compiled engine without a limit of tokens sets a workspace aside for the largest batch."""
    deployment = start.deployment
    unlimited = start.version < LIMITED_TOKENS and compiled(start.version, deployment) and start.left_open("max_num_batched_tokens")
    if unlimited and not start.left_open("max_num_seqs"):
        return (deployment.max_num_seqs or 1) * min(int(start.flag("max_input_len", DEFAULT_INPUT) or DEFAULT_INPUT), MOST_INPUT)
    return deployment.max_num_batched_tokens or 1


# ---- device ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What of a device depends neither on the model nor on the stage."""

    axes: ClassVar[tuple[str, ...]] = ("device", "layout")

    memory_bytes: Any
    outside: tuple[Item, ...]  # what the driver keeps, context, communicators
    system: tuple[Item, ...]  # what the system of a unified device holds, and other models
    keeps_pages: Any  # 1 where the pages of a checkpoint count as used
    server_devices: Any  # that open buffers to each other


def device_record(start: Start) -> DeviceRecord:
    """Collect what the account reads of a device."""
    accelerator, unified = start.accelerator, start.accelerator.unified_memory
    kind = "compiled" if compiled(start.version, start.deployment) else "pytorch"
    joined = [communication_line(start.layout.gpus, kind)] if start.layout.gpus > 1 else []
    context = fitted.CONTEXT[_context_kind(start, kind)]
    return DeviceRecord(
        memory_bytes=accelerator.memory_bytes,
        outside=(*driver_reserved(accelerator), banded("device_context", context, section=Section.OUTSIDE), *joined),
        system=(*system_memory(accelerator, start.deployment), *models_beside(start.deployment)),
        keeps_pages=int(unified),
        server_devices=accelerator.devices_per_node or SERVER_DEVICES,
    )


def _context_kind(start: Start, kind: str) -> str:
    if kind == "compiled":
        return "compiled-first" if start.version < LIMITED_TOKENS else kind
    return "pytorch-blackwell" if BLACKWELL <= start.capability < BLACKWELL + 1 else kind


def communication_line(gpus: Any, kind: str = "pytorch") -> Item:
    """Communicators over so many GPUs: of a pair, and more for each beyond it; nothing on one alone."""
    pair, each = fitted.COMMUNICATION[kind], fitted.COMMUNICATION_EACH
    joined, further = where(gpus > 1, 1, 0), maximum(gpus - 2, 0) if kind == "pytorch" else 0
    size = times(Band(pair.bytes * joined, pair.below * joined, pair.above * joined), each, kept("GPUs beyond a pair", further))
    return computed(
        "communication",
        constant_for_each_bytes,
        section=Section.OUTSIDE,
        band=size,
        sources=(*pair.sources, *(each.sources if kind == "pytorch" else ())),
        first_bytes=pair.bytes * joined,
        count=further,
        each_bytes=each.bytes,
    )


# ---- what a stage caches ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """What one stage caches on one rank; layers with a window are held like the others."""

    axes: ClassVar[tuple[str, ...]] = ("model", "layout", "stage")

    token_bytes: Any
    request_bytes: Any  # whatever the length


def cache_name(deployment: Deployment, architecture: Architecture) -> str:
    """Format of the cache: what the checkpoint says under "auto"; those that ModelOpt makes in FP8 or NVFP4 say FP8.

    NVIDIA/TensorRT-LLM: tensorrt_llm/_torch/pyexecutor/model_loader.py, validate_and_set_kv_cache_quant. A quantised copy of a model that says
    nothing of it, asked for by its precision or by its name, is ModelOpt's where it has no square blocks: the engine quantises nothing itself.
    """
    if deployment.kv_precision.lower() != "auto":
        return deployment.kv_precision
    form = architecture.quantization.linear
    unsaid = architecture.quantization.asked or not architecture.config.get("quantization_config")
    copied = unsaid and form is not None and form.id in MODELOPT_FORMATS
    return "fp8" if copied or asks_for_fp8(architecture) else deployment.kv_precision


@once_per_object
def _known(architecture: Architecture) -> Remembered[tuple[object, ...], CacheRecord]:
    return Remembered(256)


def cache_record(start: Start, stage: Stage) -> CacheRecord:
    """What the layers of a stage cache, and the draft layers behind the last (remembered by all that it depends on)."""
    known, deployment = _known(start.architecture), start.deployment
    key = (deployment.kv_precision, deployment.tp, deployment.speculative_tokens > 0, stage.layers, stage.last)
    return known.once(key, lambda: _cache_record(start, stage))


def _cache_record(start: Start, stage: Stage) -> CacheRecord:
    architecture, deployment = start.architecture, start.deployment
    form = cache_format(deployment.kv_precision, architecture.dtype)
    if form is None:
        raise FlagError("unknown-cache-format", found=deployment.kv_precision)
    token, fixed = 0.0, 0
    drafts = architecture.mtp if deployment.speculative_tokens and stage.last else ()
    compressed = kinds_of(architecture).compressed
    for layer in (*(architecture.layers[index] for index in stage.layers), *drafts):
        for cache in layer_caches(layer, form, tp=start.layout.tp):
            if cache.kind == STATE:
                fixed += cache.row_bytes
            elif cache.kind == POOLED:
                token += cache.row_bytes / cache.ratio
            elif compressed and cache.window:
                fixed += cache.row_bytes * cache.window
            else:
                token += cache.row_bytes
    return CacheRecord(token, fixed)
