"""What vLLM holds on one GPU beside weights and cache: activation peak, growth outside the allocator, graphs, context and communicators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import stored_tensors
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import DenseMLP, LatentAttention, MixtureOfExperts, Tensor
from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import item
from gpusizer.engines.base.types import Evidence, Item
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.defaults import graph_modes, graph_sizes, mixer_kinds, profile_rows
from gpusizer.formulas.memory.activation import (
    activation_peak_bytes,
    encoder_bytes,
    expert_workspace_bytes,
    latent_chunk_bytes,
    latent_chunk_rows,
)
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.steps import encoded_bytes, layer_peak_bytes, sampling_peak_bytes, sparse_workspace_bytes
from gpusizer.formulas.memory.weights import padded_vocabulary
from gpusizer.units import MiB

__all__ = [
    "CONSUMED",
    "GATHER_FACTOR",
    "HANDED_ON",
    "INDEX_LOGITS",
    "KEY_FACTOR",
    "Shape",
    "graph_estimate_factor",
    "growth_kind",
    "overheads",
    "reads_bytes",
    "shape_of",
]

FUSED_SAMPLER = (0, 17)
KEPT_WORKSPACE = (0, 17)  # the experts' work buffers stay beside the sampler
CONSUMED = (0, 26)  # what the driver gave counts as consumed: the work buffers are no longer part of the peak


@dataclass(frozen=True, slots=True)
class Shape:
    """What the activations of a model depend on."""

    dense: DenseMLP | None
    experts: MixtureOfExperts | None
    latent: LatentAttention | None
    tower_width: int
    tower_patches: int  # of the largest image; 0 where the tower takes images of one size
    tower_levels: int = 1  # of the tower that the language part reads


@once_per_architecture
def shape_of(architecture: Architecture) -> Shape:
    """Collect what the activations depend on (remembered)."""
    blocks = [block for layer in architecture.layers for block in layer.feed_forwards]
    dense = max((block for block in blocks if isinstance(block, DenseMLP)), key=lambda block: block.width, default=None)
    routed = [block for block in blocks if isinstance(block, MixtureOfExperts) and block.experts]
    experts = max(routed, key=lambda block: block.top_k * block.expert_width, default=None)
    latent = next((mixer for layer in architecture.layers for mixer in layer.mixers if isinstance(mixer, LatentAttention)), None)
    return Shape(dense, experts, latent, *_tower(architecture))


def reads_bytes(tensors: Iterable[tuple[Tensor, StorageFormat]]) -> bool:
    """Whether linear layers outside the routed experts read inputs of one byte."""
    bits = [form.bits for tensor, form in tensors if tensor.linear and tensor.group in ("dense_mlp", "shared_experts")]
    return bool(bits) and min(bits) == 8


@once_per_architecture
def _byte_inputs(architecture: Architecture) -> bool:
    return reads_bytes((tensor, form) for _, _, tensor, form in stored_tensors(architecture))


# The largest image of towers that take any size: 16,777,216 pixels in patches of 16 (the processors' own limit).
_LARGEST_IMAGE_PATCHES = 65536


def _tower(architecture: Architecture) -> tuple[int, int, int]:
    section = architecture.config.get("vision_config")
    if not architecture.towers or not isinstance(section, Mapping):
        return 0, 0, 1
    width = section.get("hidden_size") or section.get("embed_dim") or section.get("vt_hidden_size")
    any_size = "spatial_merge_size" in section and "image_size" not in section
    deeper = section.get("deepstack_visual_indexes")
    levels = 1 + (len(deeper) if isinstance(deeper, list | tuple) else 0)
    return (width if isinstance(width, int) else 0), _LARGEST_IMAGE_PATCHES if any_size else 0, levels


def overheads(start: Start, stage: Stage) -> list[Item]:
    """Items of one GPU beside weights and cache."""
    workspace = _workspace(start)
    return [
        *driver_reserved(start.accelerator),
        _banded("device_context", fitted.CONTEXT["rocm" if start.accelerator.vendor == "AMD" else "cuda"]),
        *_communication(start),
        _growth(start, workspace if start.version >= CONSUMED else 0.0),
        _activation(start, stage, workspace),
        *_graphs(start, stage),
    ]


# ---- activation peak ------------------------------------------------------------------------------------------------


def _element_bytes(start: Start) -> int:
    return 4 if start.architecture.dtype == "fp32" else 2


def _workspace(start: Start) -> float:
    """Work buffers of the routed experts, and of sparse attention."""
    deployment, shape = start.deployment, shape_of(start.architecture)
    total = 0.0
    if shape.experts is not None:
        whole = deployment.ep > 1
        tokens = (deployment.max_num_batched_tokens or 1) * (deployment.dp if whole else 1)
        total += expert_workspace_bytes(
            tokens=tokens,
            top_k=shape.experts.top_k,
            intermediate=shape.experts.expert_width / (1 if whole else deployment.tp * deployment.dp),
            gate_up=2 if shape.experts.gated else 1,
            hidden=shape.experts.expert_hidden,
            element_bytes=_element_bytes(start),
        )
    return total + _sparse_workspace(start, shape)


HANDED_ON = 2  # tensors: a stage hands on the hidden state and the residual

# Rows of latents and of index keys that sparse latent attention gathers for prefill, per token of the longest request; bytes of the indexer's logits.
GATHER_FACTOR = 5
KEY_FACTOR = 40
INDEX_LOGITS = 512 * MiB


def _sparse_workspace(start: Start, shape: Shape) -> float:
    latent = shape.latent
    if latent is None or "sparse" not in mixer_kinds(start.architecture):
        return 0.0
    return float(
        sparse_workspace_bytes(
            context_tokens=start.deployment.max_model_len or 1,
            kv_lora_rank=latent.kv_lora_rank,
            rope_dim=latent.qk_rope_head_dim,
            index_dim=latent.indexer.head_dim if latent.indexer else 0,
            gathered=GATHER_FACTOR,
            keys=KEY_FACTOR,
            logits_bytes=INDEX_LOGITS,
        )
    )


def _block(start: Start, shape: Shape, *, last: bool) -> float:
    """The widest point of one decoder layer."""
    deployment, architecture = start.deployment, start.architecture
    return float(
        layer_peak_bytes(
            tokens=deployment.max_num_batched_tokens or 1,
            element_bytes=_element_bytes(start),
            width=shape.dense.width if shape.dense else 0,
            tp=deployment.tp,
            matrices=3 if shape.dense is None or shape.dense.gated else 2,
            byte_inputs=int(_byte_inputs(architecture)),
            hidden=architecture.hidden_size,
            streams=architecture.residual_streams,
            hidden_copies=fitted.HIDDEN_COPIES,
            handed_on=0 if last else HANDED_ON,
        )
    )


def _sampler(start: Start) -> float:
    """Logits of all dummy requests with their copies, and the hidden state that lives beside them."""
    deployment, architecture, element = start.deployment, start.architecture, _element_bytes(start)
    tokens = deployment.max_num_batched_tokens or 1
    kind = (
        "fused"
        if start.version >= FUSED_SAMPLER
        else ("sorting-rocm" if start.accelerator.vendor == "AMD" and start.version < (0, 12) else "sorting")
    )
    return float(
        sampling_peak_bytes(
            rows=profile_rows(deployment),
            vocabulary=padded_vocabulary(vocabulary=architecture.vocab_size, multiple=64, tp=1),
            logit_copies=fitted.SAMPLER_COPIES[kind],
            element_bytes=element,
            tokens=tokens,
            hidden=architecture.hidden_size,
            held_copies=fitted.HELD_COPIES,
            held_bytes_per_token=fitted.HELD_BYTES_PER_TOKEN,
        )
    )


def _latent(start: Start, shape: Shape) -> float:
    if shape.latent is None or "sparse" in mixer_kinds(start.architecture):
        return 0.0
    deployment = start.deployment
    rows = latent_chunk_rows(
        max_model_len=deployment.max_model_len or 1, max_num_seqs=deployment.max_num_seqs or 1, block_size=deployment.block_size or 16
    )
    return float(
        latent_chunk_bytes(
            rows=rows,
            heads=shape.latent.heads / deployment.tp,
            qk_nope_head_dim=shape.latent.qk_nope_head_dim,
            v_head_dim=shape.latent.v_head_dim,
            element_bytes=_element_bytes(start),
        )
    )


def _encoder(start: Start, stage: Stage, shape: Shape) -> tuple[float, float]:
    """A vision tower at work, and its outputs that stay."""
    limits = start.flag("limit_mm_per_prompt")
    without = start.flag("language_model_only", False) or start.flag("skip_mm_profiling", False)
    if isinstance(limits, Mapping) and limits.get("image") == 0 and not limits.get("video"):
        without = True
    if without or not stage.first or not shape.tower_width:
        return 0.0, 0.0
    element = _element_bytes(start)
    work = encoder_bytes(patches=shape.tower_patches, width=shape.tower_width, copies=fitted.ENCODER_COPIES, element_bytes=element)
    stays = encoded_bytes(
        tokens=start.deployment.max_num_batched_tokens or 1,
        patches=shape.tower_patches,
        element_bytes=element,
        hidden=start.architecture.hidden_size * shape.tower_levels,
        copies=fitted.ENCODED_COPIES,
    )
    return float(work), float(stays)


def _activation(start: Start, stage: Stage, workspace: float) -> Item:
    shape = shape_of(start.architecture)
    block = _block(start, shape, last=stage.last)
    kept = workspace if KEPT_WORKSPACE <= start.version < CONSUMED else 0.0
    if start.version < KEPT_WORKSPACE:
        block += workspace
    work, stays = _encoder(start, stage, shape)
    inputs = {
        "workspace_bytes": kept,
        "sampler_bytes": _sampler(start) if stage.last else 0,
        "block_bytes": block,
        "latent_bytes": _latent(start, shape),
        "encoder_bytes": work,
        "encoded_bytes": stays,
    }
    size = activation_peak_bytes(**inputs)
    split = fitted.ENCODER_SPLIT_LEAST if start.layout.tp > 1 else 1.0
    least = activation_peak_bytes(**{**inputs, "encoder_bytes": work * split})
    return item(
        "activation_peak",
        size,
        low=least * (1 - fitted.PEAK_BELOW),
        high=size * (1 + fitted.PEAK_ABOVE),
        formula="memory.activation.peak",
        inputs=inputs,
        evidence=Evidence.CALIBRATED,
    )


# ---- what lies outside the allocator --------------------------------------------------------------------------------


def _switched(start: Start) -> bool:
    """Ranks are joined by switches: every pair at full speed."""
    return (start.accelerator.fabric_devices or 0) >= 8


def growth_kind(start: Start) -> str:
    """Which of the fitted growths applies: by memory, vendor, version, and whether ranks are joined by switches."""
    accelerator, layout = start.accelerator, start.layout
    if accelerator.unified_memory:
        return "unified"
    if accelerator.vendor == "AMD":
        return "rocm"
    early = "-before-0.18" if start.version < (0, 18) else ""
    if layout.tp > 1:
        if _switched(start):
            return "switched" + early
        return "unswitched-blackwell" if start.capability >= 12 else "unswitched"
    return "pipeline" if layout.pp > 1 else "alone" + early


def _growth(start: Start, workspace: float) -> Item:
    kind = growth_kind(start)
    grown, ranks = fitted.GROWTH[kind], start.layout.tp if kind == "switched-before-0.18" else 1
    size = ranks * grown.bytes + workspace
    inputs = {"growth_bytes": ranks * grown.bytes, "workspace_bytes": workspace}
    return item("non_torch", size, low=size - ranks * grown.below, high=size + ranks * grown.above, inputs=inputs, evidence=Evidence.CALIBRATED)


def _communication(start: Start) -> list[Item]:
    if start.layout.gpus == 1:
        return []
    switched = "switched" if _switched(start) else "unswitched"
    groups = [fitted.COMMUNICATION["rocm" if start.accelerator.vendor == "AMD" else switched]] + (
        [fitted.EXPERT_COMMUNICATION] if start.layout.ep > 1 else []
    )
    size = sum(group.bytes for group in groups)
    low = size - sum(group.below for group in groups)
    high = size + sum(group.above for group in groups)
    return [item("communication", size, low=low, high=high, inputs={"groups": len(groups)}, evidence=Evidence.CALIBRATED)]


def _banded(id: str, size: fitted.Band) -> Item:
    return item(id, size.bytes, low=size.bytes - size.below, high=size.bytes + size.above, evidence=Evidence.CALIBRATED)


def graph_estimate_factor(start: Start) -> float:
    """How much more the engine estimates for its graphs than they take."""
    return fitted.GRAPH_ESTIMATE["sparse" if "sparse" in mixer_kinds(start.architecture) else "other"]


def _graphs(start: Start, stage: Stage) -> list[Item]:
    graphs = graph_modes(start.deployment) * graph_sizes(start.deployment, start.capability)
    if not graphs:
        return []
    constants = fitted.GRAPHS
    inputs = {
        "graphs": graphs,
        "layers": len(stage.layers),
        "more_layers": constants.more_layers,
        "bytes_per_graph_and_layer": constants.bytes_per_graph_and_layer * (fitted.ROCM_GRAPHS if start.accelerator.vendor == "AMD" else 1),
    }
    size = cuda_graph_bytes(**inputs)
    return [
        item(
            "cuda_graphs",
            size,
            low=size * (1 - constants.below),
            high=size * (1 + constants.above),
            formula="memory.budget.cuda_graphs",
            inputs=inputs,
            evidence=Evidence.CALIBRATED,
        )
    ]
