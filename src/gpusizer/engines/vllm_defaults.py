"""What vLLM chooses where the operator says nothing: budget, batch limits, cache format, block size, graphs; by version and device."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, LatentAttention
from gpusizer.engines.types import Deployment
from gpusizer.engines.weights import once_per_architecture
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["NEWEST", "complete", "graph_sizes", "in_flight_tokens", "mixer_kinds", "profile_rows"]

NEWEST = (0, 33, 0)


@once_per_architecture
def mixer_kinds(architecture: Architecture) -> frozenset[str]:
    """Kinds of mixers in the model; "sparse" beside "latent" where an indexer picks tokens."""
    kinds = set()
    for layer in architecture.layers:
        for mixer in layer.mixers:
            kinds.add(mixer.kind)
            if isinstance(mixer, LatentAttention | CompressedAttention) and mixer.indexer is not None:
                kinds.add("sparse")
    return frozenset(kinds)


def batched_tokens(accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Default of ``--max-num-batched-tokens`` for a server: by device memory, and older cards by name of their architecture."""
    gib = accelerator.memory_bytes / GiB
    if gib >= 160 and version >= (0, 26):
        return 16384
    if gib >= 70 and not _ampere(accelerator) and not accelerator.unified_memory:
        return 8192
    return 2048


def sequences(accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Default of ``--max-num-seqs`` for a server."""
    large = accelerator.memory_bytes / GiB >= 70 and not _ampere(accelerator) and not accelerator.unified_memory
    return 1024 if large and version >= (0, 9) else 256


def _ampere(accelerator: Accelerator) -> bool:
    return (accelerator.compute_capability or "").startswith("8.0")


def complete(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...]) -> Deployment:
    """Fill in every default that the operator left open."""
    context = deployment.max_model_len or architecture.max_position_embeddings or 4096
    tokens = deployment.max_num_batched_tokens or batched_tokens(accelerator, version)
    requests = deployment.max_num_seqs or sequences(accelerator, version)
    if deployment.max_num_batched_tokens is None:
        tokens = max(min(tokens, requests * context), 1)
    requests = min(requests, tokens)
    fraction = deployment.memory_fraction
    if fraction is None:
        fraction = 0.9 if version < (0, 20) else 0.92
    return replace(
        deployment,
        engine="vllm",
        max_model_len=context,
        max_num_seqs=requests,
        max_num_batched_tokens=tokens,
        memory_fraction=fraction,
        block_size=deployment.block_size or _block_size(architecture),
    )


def _block_size(architecture: Architecture) -> int:
    kinds = mixer_kinds(architecture)
    if "compressed" in kinds:
        return 256
    if "sparse" in kinds:
        return 64
    return 16


def in_flight_tokens(deployment: Deployment, version: tuple[int, ...]) -> int:
    """Tokens that may be scheduled before a window cache gives blocks back. [tokens]"""
    tokens = deployment.max_num_batched_tokens or 1
    if version < (0, 26):
        return tokens
    return tokens * (2 if deployment.pp == 1 else deployment.pp + 1)


def profile_rows(deployment: Deployment) -> int:
    """Requests that the profile run samples. [rows]"""
    return min(deployment.max_num_seqs or 1, deployment.max_num_batched_tokens or 1)


def graph_sizes(deployment: Deployment, capability: float) -> int:
    """How many batch sizes are captured, one mode. [graphs]"""
    if deployment.enforce_eager:
        return 0
    limit = min(2 * (deployment.max_num_seqs or 1) * (1 + deployment.speculative_tokens), 1024 if 10 <= capability < 11 else 512)
    small = sum(1 for size in (1, 2, 4) if size <= limit)
    return small + len(range(8, min(limit, 255) + 1, 8)) + len(range(256, limit + 1, 16))
