"""Sparse attention as the account reads it: what it gathers for prefill, what its indexer picks, what a draft reads."""

from __future__ import annotations

from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, LatentAttention

__all__ = ["sparse_attention"]

# What sparse attention gathers for prefill: latents of five requests of full length and index keys of forty (get_prefill_workspace_size,
# get_max_prefill_buffer_size); with pooled entries those of four requests, each beside its window and a whole step (PREFILL_CHUNK_SIZE).
GATHERED_REQUESTS, KEYED_REQUESTS, POOLED_REQUESTS = 5, 40, 4


def sparse_attention(architecture: Architecture) -> dict[str, Any]:
    """What the account reads of sparse attention, by the names of the record; of several mixers the first that has an indexer."""
    mixers = [mixer for layer in architecture.layers for mixer in layer.mixers if isinstance(mixer, LatentAttention | CompressedAttention)]
    mixer = next((mixer for mixer in mixers if mixer.indexer is not None), None)
    names = ("", "_rank", "_rope", "_index", "_rows", "_steps", "_window", "_keys")
    values: tuple[float, ...] = (0,) * len(names)
    kept = 0
    if isinstance(mixer, LatentAttention) and mixer.indexer:
        values = (1, mixer.kv_lora_rank, mixer.qk_rope_head_dim, mixer.indexer.head_dim, GATHERED_REQUESTS, 0, 0, KEYED_REQUESTS)
    elif isinstance(mixer, CompressedAttention) and mixer.indexer:
        rows, keys = POOLED_REQUESTS / mixer.ratio, KEYED_REQUESTS / mixer.ratio
        values = (1, mixer.head_dim, 0, mixer.indexer.head_dim, rows, POOLED_REQUESTS, mixer.window, keys)
        kept = architecture.residual_streams
    found = {f"sparse{name}": value for name, value in zip(names, values, strict=True)}
    pool = mixer.indexer.ratio if isinstance(mixer, LatentAttention) and mixer.indexer else 0
    picked = mixer.indexer.topk if mixer and mixer.indexer else 0
    return found | {"picked": picked, "index_pool": pool if pool > 1 else 0, "kept_streams": kept}
