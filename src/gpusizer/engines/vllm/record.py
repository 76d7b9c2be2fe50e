"""What the account reads: every branch on model, version, device class and layout is taken here, and leaves plain numbers.

Four records, by what they depend on: the model in its precision, the step (batch limits, version, kernels), the layout, the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat, element_bytes
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import DenseMLP, LatentAttention, MixtureOfExperts, StateMixer, Tensor
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.defaults import batched_tokens, mixer_kinds, sequences
from gpusizer.engines.vllm.expert_padding import aligns_experts, pads_experts, plain_byte_experts
from gpusizer.engines.vllm.graphs import (
    attention_splits,
    block_weight,
    capture_workspace,
    captured_graphs,
    graph_bytes,
    graph_modes,
    most_captured,
    split_width,
    whole_tokens,
)
from gpusizer.engines.vllm.images import image_share, images_each, loads_towers, tower_of
from gpusizer.engines.vllm.pooling import pools
from gpusizer.engines.vllm.sparse import sparse_attention
from gpusizer.engines.vllm.weights import block_shares, chunk_tokens, deeper_levels, reads_packed, tables_on_host, unfolds_scales
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import where
from gpusizer.formulas.memory.weights import padded_vocabulary

__all__ = [
    "ClassRecord",
    "LayoutRecord",
    "ModelRecord",
    "StepRecord",
    "VersionRules",
    "class_record",
    "estimate_factor",
    "layout_record",
    "library_bytes",
    "logit_copies",
    "model_record",
    "reads_bytes",
    "reserves_graphs",
    "shape_record",
    "step_record",
    "version_rules",
]

# First versions of a behaviour.
FUSED_SAMPLER = (0, 17)
KEPT_WORKSPACE = (0, 17)  # the experts' work buffers stay beside the sampler
CONSUMED = (0, 26)  # what the driver gave counts as consumed: the work buffers are no longer part of the peak
PERSISTENT_BATCH = (0, 8)  # the V1 engine
CHECKED_BUDGET = (0, 9)  # a budget above what is free is refused
CLOSER_ESTIMATES = (0, 25)  # of graphs of sparse attention, by three owners' logs
POOLED_LOGITS = (0, 30)  # vllm-project/vllm#57701, of 19 September 2026


# ---- the model ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model in its precision, as far as activations depend on it; what a model does not have is 0."""

    element_bytes: Any
    byte_experts: Any  # 1 where routed experts have one byte an element and no gate
    byte_inputs: Any  # 1 where linear layers outside the routed experts read inputs of one byte
    hidden: Any
    vocabulary: Any  # padded
    streams: Any
    dense_width: Any
    dense_matrices: Any
    top_k: Any
    expert_width: Any
    gate_up: Any
    expert_hidden: Any
    latent_heads: Any  # of latent attention that expands cached context
    latent_nope: Any
    latent_v: Any
    sparse: Any  # 1 where an indexer picks tokens
    sparse_rank: Any
    sparse_rope: Any
    sparse_index: Any
    sparse_rows: Any  # of latents that are gathered for prefill, for each token of the longest request
    sparse_steps: Any  # requests that gather their window and a whole step beside these
    sparse_window: Any
    sparse_keys: Any  # index keys that are gathered, for each token of the longest request
    picked: Any  # by an indexer for each token
    index_pool: Any  # tokens that share an index key of an indexer whose logits of decoding are reserved; 0 without
    kept_streams: Any  # residual streams that stay for a draft
    tower_width: Any
    tower_patches: Any  # of the largest image; 0 where the tower takes images of one size
    tower_levels: Any  # of the tower that the language part reads
    patch_elements: Any  # numbers of one patch as a processor hands it on
    deeper_levels: Any
    states: Any  # 1 where a layer keeps a recurrent state
    graph_weight: Any  # of an average layer in a captured graph, in layers of attention and feed-forward
    split_width: Any  # outputs of all heads of a layer whose attention may be split
    block_side: Any  # of weights in FP8 with a scale for each square block


@once_per_architecture
def model_record(architecture: Architecture) -> ModelRecord:
    """Collect what the account reads of a model (remembered)."""
    inside = [(tensor, form) for index, _, tensor, form in stored_tensors(architecture) if index is not None]
    shares = block_shares((tensor, form, 1) for _, _, tensor, form in stored_tensors(architecture))
    plain = plain_byte_experts(inside)
    return shape_record(architecture, byte_experts=plain, byte_inputs=reads_bytes(inside), block_side=next((side for _, side in shares.values()), 1))


def shape_record(architecture: Architecture, *, byte_experts: bool, byte_inputs: bool, block_side: int) -> ModelRecord:
    """The record of a model whose tensors were looked through already."""
    blocks = [block for layer in architecture.layers for block in layer.feed_forwards]
    dense = max((block for block in blocks if isinstance(block, DenseMLP)), key=lambda block: block.width, default=None)
    routed = [block for block in blocks if isinstance(block, MixtureOfExperts) and block.experts]
    experts = max(routed, key=lambda block: block.top_k * block.expert_width, default=None)
    latent = next((mixer for layer in architecture.layers for mixer in layer.mixers if isinstance(mixer, LatentAttention)), None)
    expands = None if "sparse" in mixer_kinds(architecture) else latent
    tower = tower_of(architecture)
    return ModelRecord(
        element_bytes=element_bytes(architecture.dtype),
        byte_experts=int(byte_experts),
        byte_inputs=int(byte_inputs),
        hidden=architecture.hidden_size,
        vocabulary=padded_vocabulary(vocabulary=architecture.vocab_size, multiple=64, tp=1),
        streams=architecture.residual_streams,
        dense_width=dense.width if dense else 0,
        dense_matrices=3 if dense is None or dense.gated else 2,
        top_k=experts.top_k if experts else 0,
        expert_width=experts.expert_width if experts else 0,
        gate_up=(2 if experts.gated else 1) if experts else 0,
        expert_hidden=experts.expert_hidden if experts else 0,
        latent_heads=expands.heads if expands else 0,
        latent_nope=expands.qk_nope_head_dim if expands else 0,
        latent_v=expands.v_head_dim if expands else 0,
        **sparse_attention(architecture),
        tower_width=tower.width,
        tower_patches=tower.patches,
        tower_levels=tower.levels,
        patch_elements=tower.patch_elements,
        deeper_levels=deeper_levels(architecture),
        states=int(any(isinstance(mixer, StateMixer) for layer in architecture.layers for mixer in layer.mixers)),
        graph_weight=block_weight(architecture),
        split_width=split_width(architecture),
        block_side=block_side,
    )


def reads_bytes(tensors: Iterable[tuple[Tensor, StorageFormat]]) -> bool:
    """Whether linear layers outside the routed experts read inputs of one byte."""
    bits = [form.bits for tensor, form in tensors if tensor.linear and tensor.group in ("dense_mlp", "shared_experts")]
    return bool(bits) and min(bits) == 8


# ---- version and step -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VersionRules:
    """What a version does, as plain truth values."""

    workspace_in_layer: bool  # the experts' work buffers live and die inside a layer
    workspace_beside: bool  # they stay beside the sampler
    workspace_outside: bool  # what the driver gave for them counts as consumed
    checks_budget: bool  # a budget above what is free is refused
    pools_logits: bool  # an indexer of pooled keys reserves a logit for each pool, before for each token
    estimates_firsts: bool  # what the first graphs of sparse attention hold is estimated for all
    keeps_batch: bool  # buffers of the largest batch stay beside the sampler


@lru_cache(maxsize=64)
def version_rules(version: tuple[int, ...]) -> VersionRules:
    """The rules of a version (remembered)."""
    return VersionRules(
        workspace_in_layer=version < KEPT_WORKSPACE,
        workspace_beside=KEPT_WORKSPACE <= version < CONSUMED,
        workspace_outside=version >= CONSUMED,
        checks_budget=version >= CHECKED_BUDGET,
        pools_logits=version >= POOLED_LOGITS,
        estimates_firsts=version < CLOSER_ESTIMATES,
        keeps_batch=version >= PERSISTENT_BATCH,
    )


def estimate_factor(architecture: Architecture, version: tuple[int, ...]) -> float:
    """How much more a version estimates for its graphs than they take."""
    sparse = model_record(architecture).sparse and version_rules(version).estimates_firsts
    return fitted.GRAPH_ESTIMATE["sparse" if sparse else "other"]


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """What the engine chooses for a class of devices where the operator says nothing, or what is said for all of them."""

    default_tokens: Any
    default_requests: Any
    pieces: Any  # how often each size is captured
    whole: Any  # how often each size that decoding reaches is captured whole
    most_captured: Any
    graph_bytes: Any  # of one graph and layer
    splits: Any  # parts of the context for which graphs keep partial results
    logit_copies: Any
    library_bytes: Any  # what ROCm's matrix library takes from the allocator
    unfolds_scales: Any  # 1 where every scale of FP8 blocks is unfolded
    pads_experts: Any  # 1 where rows of unquantised experts are padded, and experts in integers keep indices
    tables_on_host: Any  # 1 where tables of n-grams lie in memory of the host
    aligns_experts: Any  # 1 where experts of one byte without a gate are widened
    charges_graphs: Any  # 1 where an estimate of the graphs is taken off the budget


def class_record(start: Start) -> ClassRecord:
    """Collect what the account reads of a class of devices."""
    accelerator, version = start.accelerator, start.version
    said = start.asked or start.deployment
    modes = graph_modes(said, version)
    return ClassRecord(
        default_tokens=said.max_num_batched_tokens or batched_tokens(accelerator, version),
        default_requests=said.max_num_seqs or sequences(accelerator, version),
        pieces=modes.pieces,
        whole=modes.whole,
        most_captured=most_captured(start.capability, version),
        graph_bytes=graph_bytes(accelerator, version),
        splits=attention_splits(start),
        logit_copies=logit_copies(accelerator, version),
        library_bytes=library_bytes(accelerator),
        unfolds_scales=int(unfolds_scales(start)),
        pads_experts=int(pads_experts(start)),
        tables_on_host=int(tables_on_host(start)),
        aligns_experts=int(aligns_experts(start)),
        charges_graphs=int(reserves_graphs(accelerator)),
    )


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The largest step of a start, and what the kernels of a class of devices make of it."""

    context_tokens: Any
    tokens: Any
    requests: Any
    block_tokens: Any
    graphs: Any  # captured, all modes together
    graph_bytes: Any  # of one graph and layer
    whole_tokens: Any  # of the largest batch that is captured whole
    splits: Any  # parts of the context for which graphs keep partial results
    capture_bytes: Any  # work buffer that the first whole graph asks for
    logit_copies: Any
    library_bytes: Any  # what ROCm's matrix library takes from the allocator
    encodes: Any  # 1 where the profile run encodes images
    image_share: Any  # of the largest image that the tower takes, where the operator sets a smaller one
    images_each: Any  # of one request
    reads_images: Any  # 1 where a tower is loaded
    decoded: Any  # tokens of one request in a step that decodes
    chunk_tokens: Any  # that routed experts take at once
    wide_experts: Any  # 1 where the buffer of the experts' inner width also holds their input
    samples: Any  # 0 where hidden states are pooled


def step_record(start: Start) -> StepRecord:
    """Collect what the account reads of a start's largest step."""
    deployment = start.deployment
    reads, limits = loads_towers(start), start.flag("limit_mm_per_prompt")
    without = isinstance(limits, Mapping) and limits.get("image") == 0 and not limits.get("video")
    return StepRecord(
        context_tokens=deployment.max_model_len or 1,
        tokens=deployment.max_num_batched_tokens or 1,
        requests=deployment.max_num_seqs or 1,
        block_tokens=deployment.block_size or 16,
        graphs=captured_graphs(start),
        graph_bytes=graph_bytes(start.accelerator, start.version),
        whole_tokens=whole_tokens(start),
        splits=attention_splits(start),
        capture_bytes=capture_workspace(start),
        logit_copies=logit_copies(start.accelerator, start.version),
        library_bytes=library_bytes(start.accelerator),
        encodes=int(reads and not (without or start.flag("skip_mm_profiling"))),
        image_share=image_share(start),
        images_each=images_each(limits),
        reads_images=int(reads),
        decoded=1 + deployment.speculative_tokens,
        chunk_tokens=chunk_tokens(start),
        wide_experts=int(not reads_packed(start)),
        samples=int(not pools(start)),
    )


def library_bytes(accelerator: Accelerator) -> float:
    """What the vendor's matrix library takes from the allocator while loading. [bytes]"""
    return fitted.ROCM_LIBRARY.bytes if accelerator.vendor == "AMD" else 0.0


def reserves_graphs(accelerator: Accelerator) -> bool:
    """Whether graphs are taken off the budget at all: NPUs capture into what is left beside the pool (vllm-project/vllm-ascend pull 8289)."""
    return accelerator.vendor != "Huawei"


def logit_copies(accelerator: Accelerator, version: tuple[int, ...]) -> float:
    """Bytes of one logit at the sampler's peak beside the logit itself. [bytes]"""
    if accelerator.vendor == "Huawei":
        return fitted.SAMPLER_COPIES["none"]
    return fitted.SAMPLER_COPIES["fused" if version >= FUSED_SAMPLER else "sorting"]


# ---- layout ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayoutRecord:
    """How one replica is cut, as the activations feel it."""

    tp: Any
    expert_ranks: Any  # that cut the matrices of routed experts
    token_ranks: Any  # whose tokens meet in the experts of one rank
    tower_ranks: Any  # that cut the matrices of vision towers


def layout_record(tp: Any, dp: Any = 1, *, whole_experts: Any, tower_ranks: Any = None) -> LayoutRecord:
    """The record of a layout; numbers, or figures of a sheet. Towers are cut as the model is where ``tower_ranks`` does not say."""
    return LayoutRecord(
        tp=tp,
        expert_ranks=where(whole_experts, 1, tp * dp),
        token_ranks=where(whole_experts, dp, 1),
        tower_ranks=tp if tower_ranks is None else tower_ranks,
    )


# ---- device ---------------------------------------------------------------------------------------------------------
