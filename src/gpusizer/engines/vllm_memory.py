"""What vLLM holds on one GPU beside weights and cache: activation peak, growth outside the allocator, graphs, context and communicators."""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, DenseMLP, LatentAttention, MixtureOfExperts
from gpusizer.engines import vllm_calibration as fitted
from gpusizer.engines.base import Stage, Start
from gpusizer.engines.device import driver_reserved
from gpusizer.engines.ledger import item
from gpusizer.engines.types import Evidence, Item
from gpusizer.engines.vllm_defaults import graph_sizes, profile_rows
from gpusizer.engines.weights import once_per_architecture
from gpusizer.formulas.memory.activation import (
    activation_peak_bytes,
    decoder_block_bytes,
    expert_workspace_bytes,
    latent_chunk_bytes,
    latent_chunk_rows,
    sampler_bytes,
)
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.weights import padded_vocabulary

__all__ = ["overheads"]


@once_per_architecture
def _widest(architecture: Architecture) -> tuple[DenseMLP | None, MixtureOfExperts | None, LatentAttention | None, Attention | None]:
    """The widest dense block, the widest expert block, and a latent mixer, over all layers."""
    blocks = [block for layer in architecture.layers for block in layer.feed_forwards]
    dense = max((block for block in blocks if isinstance(block, DenseMLP)), key=lambda block: block.width, default=None)
    experts = max(
        (block for block in blocks if isinstance(block, MixtureOfExperts)), key=lambda block: block.top_k * block.expert_width, default=None
    )
    mixers = [mixer for layer in architecture.layers for mixer in layer.mixers]
    latent = next((mixer for mixer in mixers if isinstance(mixer, LatentAttention)), None)
    attention = next((mixer for mixer in mixers if isinstance(mixer, Attention)), None)
    return dense, experts, latent, attention


def overheads(start: Start, stage: Stage) -> list[Item]:
    """Items of one GPU beside weights and cache."""
    return [*driver_reserved(start.accelerator), *_fixed(start), _activation(start, stage), *_graphs(start, stage)]


def _activation(start: Start, stage: Stage) -> Item:
    deployment, architecture = start.deployment, start.architecture
    dense, experts, latent, _ = _widest(architecture)
    tokens, hidden, tp = deployment.max_num_batched_tokens or 1, architecture.hidden_size, deployment.tp
    element = 2
    workspace = 0.0
    width = dense.width / tp if dense else 0.0
    copies = 3 if dense is None or dense.gated else 2
    if experts is not None and experts.experts:
        shared_tp = 1 if deployment.ep > 1 else tp * deployment.dp
        workspace = expert_workspace_bytes(
            tokens=tokens,
            top_k=experts.top_k,
            intermediate=experts.expert_width / shared_tp,
            gate_up=2 if experts.gated else 1,
            hidden=experts.expert_hidden,
            element_bytes=element,
        )
    block = decoder_block_bytes(
        tokens=tokens, element_bytes=element, intermediate=width, intermediate_copies=copies, hidden=hidden, hidden_copies=fitted.HIDDEN_COPIES
    )
    chunk = 0.0
    if latent is not None:
        rows = latent_chunk_rows(
            max_model_len=deployment.max_model_len or 1, max_num_seqs=deployment.max_num_seqs or 1, block_size=deployment.block_size or 16
        )
        chunk = latent_chunk_bytes(
            rows=rows, heads=latent.heads / tp, qk_nope_head_dim=latent.qk_nope_head_dim, v_head_dim=latent.v_head_dim, element_bytes=element
        )
    constants = fitted.SAMPLER if start.version < (0, 26) else fitted.SAMPLER_V2
    sampler = 0.0
    if stage.last:
        sampler = sampler_bytes(
            rows=profile_rows(deployment),
            vocabulary=padded_vocabulary(vocabulary=architecture.vocab_size, multiple=64, tp=1),
            bytes_per_logit=constants.bytes_per_logit,
        )
    inputs = {
        "workspace_bytes": workspace,
        "sampler_bytes": sampler,
        "block_bytes": block,
        "latent_bytes": chunk,
        "encoder_bytes": 0,
        "fixed_bytes": constants.fixed_bytes,
    }
    size = activation_peak_bytes(**inputs)
    return item(
        "activation_peak",
        size,
        low=size * 0.8,
        high=size * 1.25,
        formula="memory.activation.peak",
        inputs=inputs,
        evidence=Evidence.CALIBRATED,
    )


def _fixed(start: Start) -> list[Item]:
    layout = start.layout
    kind = "tensor" if layout.tp > 1 else ("pipeline" if layout.pp > 1 else "alone")
    growth, context = fitted.NON_TORCH[kind], fitted.CONTEXT
    found = [
        banded("non_torch", growth),
        banded("device_context", context),
    ]
    if layout.gpus > 1:
        found.append(banded("communication", fitted.COMMUNICATION))
    return found


def banded(id: str, size: fitted.Band) -> Item:
    return item(id, size.bytes, low=size.bytes - size.below, high=size.bytes + size.above, evidence=Evidence.CALIBRATED)


def _graphs(start: Start, stage: Stage) -> list[Item]:
    graphs = 2 * graph_sizes(start.deployment, start.capability)
    if not graphs:
        return []
    inputs = {
        "fixed_bytes": fitted.GRAPHS.fixed_bytes,
        "graphs": graphs,
        "layers": len(stage.layers),
        "bytes_per_graph_and_layer": fitted.GRAPHS.bytes_per_graph_and_layer,
    }
    size = cuda_graph_bytes(**inputs)
    error = fitted.GRAPHS.error
    return [
        item(
            "cuda_graphs",
            size,
            low=size * (1 - error),
            high=size * (1 + error),
            formula="memory.budget.cuda_graphs",
            inputs=inputs,
            evidence=Evidence.CALIBRATED,
        )
    ]
