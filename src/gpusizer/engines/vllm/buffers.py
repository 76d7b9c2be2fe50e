"""Buffers of a step: the one in which routed experts and sparse attention work in turn, and what attention expands or reserves beside it."""

from __future__ import annotations

from typing import Any

from gpusizer.engines.vllm.record import LayoutRecord, ModelRecord, StepRecord, VersionRules
from gpusizer.formulas.core import kept, maximum, minimum, where
from gpusizer.formulas.memory.activation import decoder_block_bytes, expert_workspace_bytes, latent_chunk_bytes, latent_chunk_rows
from gpusizer.formulas.memory.step_peaks import index_logits_bytes, sparse_workspace_bytes
from gpusizer.units import MiB

__all__ = ["latents", "workspace"]

INDEX_LOGITS = 512 * MiB  # of an indexer in prefill: VLLM_SPARSE_INDEXER_MAX_LOGITS_MB
GATHERED_STATES = 2.5  # hidden states of all ranks, their bytes, and what comes of them, where experts take them in chunks: n = 1 owner, +2 %
LAYER_STATES = 2  # hidden states that a layer holds while its indexer works: its input and the residual


def workspace(model: ModelRecord, step: StepRecord, layout: LayoutRecord) -> Any:
    """The one buffer in which routed experts and sparse attention work in turn. [bytes]"""
    experts = expert_workspace_bytes(
        tokens=minimum(step.tokens * layout.token_ranks, step.chunk_tokens),
        top_k=model.top_k,
        intermediate=model.expert_width / layout.expert_ranks,
        gate_up=model.gate_up,
        hidden=model.expert_hidden,
        wide=step.wide_experts,
        element_bytes=model.element_bytes,
    )
    sparse = sparse_workspace_bytes(
        context_tokens=step.context_tokens,
        kv_lora_rank=model.sparse_rank,
        rope_dim=model.sparse_rope,
        index_dim=model.sparse_index,
        gathered=model.sparse_rows,
        steps=model.sparse_steps,
        window=model.sparse_window,
        step_tokens=step.tokens,
        keys=model.sparse_keys,
    )
    gathered = decoder_block_bytes(
        tokens=step.tokens * (layout.token_ranks - 1),
        element_bytes=model.element_bytes,
        intermediate=0,
        intermediate_copies=0,
        hidden=model.expert_hidden,
        hidden_copies=where(step.tokens * layout.token_ranks > step.chunk_tokens, GATHERED_STATES, 0),
    )
    return kept("workspace", maximum(experts + gathered, where(model.sparse > 0, sparse, 0)))


def latents(model: ModelRecord, step: StepRecord, layout: LayoutRecord, rules: VersionRules) -> Any:
    """Cached context that latent attention expands at once, or an indexer's logits beside the hidden states. [bytes]"""
    size = latent_chunk_bytes(
        rows=latent_chunk_rows(max_model_len=step.context_tokens, max_num_seqs=step.requests, block_size=step.block_tokens),
        heads=model.latent_heads / layout.tp,
        qk_nope_head_dim=model.latent_nope,
        v_head_dim=model.latent_v,
        element_bytes=model.element_bytes,
    )
    states = decoder_block_bytes(
        tokens=step.tokens,
        element_bytes=model.element_bytes,
        intermediate=0,
        intermediate_copies=0,
        hidden=model.hidden,
        hidden_copies=LAYER_STATES * model.streams,
    )
    pools = model.index_pool if rules.pools_logits else minimum(model.index_pool, 1)
    rows = minimum(step.requests * step.decoded, step.tokens)
    logits = maximum(INDEX_LOGITS, index_logits_bytes(rows=rows, context_tokens=step.context_tokens, pool_tokens=pools))
    return kept("latents", size + where(model.sparse > 0, logits + states, 0))
