"""What one profile step of vLLM holds: the parts of its activation peak, and work buffers."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import floor_div, formula, maximum, where
from gpusizer.formulas.memory.activation import decoder_block_bytes, sampler_bytes
from gpusizer.formulas.memory.kv_cache import indexer_token_bytes, latent_token_bytes

__all__ = [
    "encoded_bytes",
    "index_logits_bytes",
    "layer_peak_bytes",
    "sampling_peak_bytes",
    "sparse_workspace_bytes",
    "step_rows_bytes",
]


@formula(
    "memory.steps.layer_peak",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "element_bytes": "bytes per element",
        "width": "elements",
        "tp": "ranks",
        "matrices": "tensors",
        "byte_inputs": "0 or 1",
        "hidden": "elements",
        "streams": "streams",
        "hidden_copies": "tensors",
        "handed_on": "tensors",
    },
    reference="fitted to start-up logs of vLLM; the profile run of one step",
    example={
        "tokens": 8192,
        "element_bytes": 2,
        "width": 11008,
        "tp": 1,
        "matrices": 3,
        "byte_inputs": 0,
        "hidden": 4096,
        "streams": 1,
        "hidden_copies": 4.3,
        "handed_on": 0,
    },
)
def layer_peak_bytes(
    *,
    tokens: Any,
    element_bytes: Any,
    width: Any,
    tp: Any,
    matrices: Any,
    byte_inputs: Any,
    hidden: Any,
    streams: Any,
    hidden_copies: Any,
    handed_on: Any,
) -> Any:
    """Widest point of a decoder layer on one rank.

    Parameters
    ----------
    tokens : int
        Tokens of the step. [tokens]
    element_bytes : int
        Bytes of the activation format. [bytes per element]
    width, hidden : int
        Width of the widest dense block, whole; width of the residual stream. [elements]
    tp : int
        Tensor-parallel ranks. [ranks]
    matrices : int
        Tensors of the block's width that live together: 3 with a gate, else 2. [tensors]
    byte_inputs : int
        1 where linear layers read inputs of one byte beside the 16-bit ones. [0 or 1]
    streams : int
        Parallel residual streams. [streams]
    hidden_copies, handed_on : float
        Hidden states that live together in each stream; what a stage hands on to the next. [tensors]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> size = layer_peak_bytes(tokens=8192, element_bytes=2, width=11008, tp=1, matrices=3, byte_inputs=0, hidden=4096, streams=1,
    ...                         hidden_copies=4.3, handed_on=0)
    >>> round(size / 2**30, 2)
    0.77
    """
    return decoder_block_bytes(
        tokens=tokens,
        element_bytes=element_bytes,
        intermediate=width / tp,
        intermediate_copies=matrices + byte_inputs / element_bytes,
        hidden=hidden,
        hidden_copies=hidden_copies * streams + handed_on,
    )


@formula(
    "memory.steps.sampling_peak",
    unit="bytes",
    symbols={
        "rows": "rows",
        "vocabulary": "elements",
        "logit_copies": "bytes per logit",
        "element_bytes": "bytes per element",
        "tokens": "tokens",
        "hidden": "elements",
        "held_copies": "tensors",
        "held_bytes_per_token": "bytes per token",
    },
    reference="fitted to start-up logs of vLLM; vllm/v1/worker/gpu_model_runner.py, _dummy_sampler_run",
    example={
        "rows": 1024,
        "vocabulary": 128256,
        "logit_copies": 12.0,
        "element_bytes": 2,
        "tokens": 8192,
        "hidden": 4096,
        "held_copies": 1.0,
        "held_bytes_per_token": 15728,
    },
)
def sampling_peak_bytes(
    *,
    rows: Any,
    vocabulary: Any,
    logit_copies: Any,
    element_bytes: Any,
    tokens: Any,
    hidden: Any,
    held_copies: Any,
    held_bytes_per_token: Any,
) -> Any:
    """Logits of all dummy requests with their copies, the hidden state that lives beside them, and buffers that grow with the step.

    Parameters
    ----------
    rows : int
        Requests that are sampled at once. [rows]
    vocabulary : int
        Padded vocabulary. [elements]
    logit_copies : float
        Bytes of one logit beside the logit itself. [bytes per logit]
    element_bytes : int
        Bytes of the activation format. [bytes per element]
    tokens : int
        Tokens of the step. [tokens]
    hidden : int
        Width of the residual stream. [elements]
    held_copies : float
        Hidden states that are held. [tensors]
    held_bytes_per_token : float
        Buffers of the step. [bytes per token]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> size = sampling_peak_bytes(rows=1024, vocabulary=128256, logit_copies=12.0, element_bytes=2, tokens=8192, hidden=4096, held_copies=1.0,
    ...                            held_bytes_per_token=15728)
    >>> round(size / 2**30, 2)
    1.89
    """
    logits = sampler_bytes(rows=rows, vocabulary=vocabulary, bytes_per_logit=logit_copies + element_bytes)
    held = decoder_block_bytes(
        tokens=tokens, element_bytes=element_bytes, intermediate=0, intermediate_copies=0, hidden=hidden, hidden_copies=held_copies
    )
    return logits + held + tokens * held_bytes_per_token


@formula(
    "memory.steps.sparse_workspace",
    unit="bytes",
    symbols={
        "context_tokens": "tokens",
        "kv_lora_rank": "elements",
        "rope_dim": "elements",
        "index_dim": "elements",
        "gathered": "rows per token",
        "steps": "requests",
        "window": "tokens",
        "step_tokens": "tokens",
        "keys": "rows per token",
    },
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/attention/backends/mla/indexer.py, flashmla_sparse.py; 0.26: vllm/models/deepseek_v4/: prefill",
    example={
        "context_tokens": 163840,
        "kv_lora_rank": 512,
        "rope_dim": 64,
        "index_dim": 128,
        "gathered": 5,
        "steps": 0,
        "window": 0,
        "step_tokens": 8192,
        "keys": 40,
    },
)
def sparse_workspace_bytes(
    *,
    context_tokens: Any,
    kv_lora_rank: Any,
    rope_dim: Any,
    index_dim: Any,
    gathered: Any,
    steps: Any,
    window: Any,
    step_tokens: Any,
    keys: Any,
) -> Any:
    """Work buffer of sparse latent attention: latents and index keys that are gathered for prefill share one.

    Parameters
    ----------
    context_tokens : int
        Longest request. [tokens]
    kv_lora_rank, rope_dim, index_dim : int
        Width of the latent, of the rotary key and of the index key. [elements]
    gathered, keys : float
        Rows of latents and of index keys for each token of the longest request. [rows per token]
    steps : int
        Requests that gather their window and a whole step beside it. [requests]
    window, step_tokens : int
        Tokens of a window, and of a step. [tokens]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> size = sparse_workspace_bytes(context_tokens=163840, kv_lora_rank=512, rope_dim=64, index_dim=128, gathered=5, steps=0, window=0,
    ...                               step_tokens=8192, keys=40)
    >>> round(size / 2**30, 2)
    0.88
    """
    rows = gathered * context_tokens + steps * (window + step_tokens)
    latents = rows * latent_token_bytes(kv_lora_rank=kv_lora_rank, rope_dim=rope_dim, element_bytes=2)
    index_keys = keys * context_tokens * indexer_token_bytes(head_dim=index_dim, element_bytes=1, scale_bytes=4)
    return maximum(latents, index_keys)


@formula(
    "memory.steps.index_logits",
    unit="bytes",
    symbols={"rows": "tokens", "context_tokens": "tokens", "pool_tokens": "tokens"},
    reference="vllm-project/vllm@06cde4ae1: vllm/models/glm5next/nvidia/sparse_indexer.py, the profile run",
    example={"rows": 1024, "context_tokens": 1048576, "pool_tokens": 4},
)
def index_logits_bytes(*, rows: Any, context_tokens: Any, pool_tokens: Any) -> Any:
    """Logits of an indexer that are reserved for decoding, four bytes each.

    Parameters
    ----------
    rows : int
        Tokens that are decoded in one step. [tokens]
    context_tokens : int
        Longest request. [tokens]
    pool_tokens : int
        Tokens of the context that share a logit; 0 where none are reserved. [tokens]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    What pull request 57701 saves is the difference to one logit a token.

    >>> [index_logits_bytes(rows=1024, context_tokens=1048576, pool_tokens=pool) / 2**20 for pool in (0, 1, 4)]
    [0.0, 4096.0, 1024.0]
    """
    return where(pool_tokens > 0, rows * floor_div(context_tokens, maximum(pool_tokens, 1)) * 4, 0)


@formula(
    "memory.steps.encoded",
    unit="bytes",
    symbols={"tokens": "tokens", "patches": "patches", "element_bytes": "bytes per element", "hidden": "elements", "copies": "tensors"},
    reference="fitted to start-up logs of vLLM: four patches become one token; copies of the outputs stay during the step",
    example={"tokens": 8192, "patches": 65536, "element_bytes": 2, "hidden": 4096, "copies": 1.7},
)
def encoded_bytes(*, tokens: Any, patches: Any, element_bytes: Any, hidden: Any, copies: Any) -> Any:
    """Outputs of a vision tower that stay while the decoder works.

    Parameters
    ----------
    tokens : int
        Tokens of the step. [tokens]
    patches : int
        Patches of the largest image. [patches]
    element_bytes : int
        Bytes of the activation format. [bytes per element]
    hidden : int
        Width of the residual stream. [elements]
    copies : float
        Copies that live together. [tensors]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> round(encoded_bytes(tokens=8192, patches=65536, element_bytes=2, hidden=4096, copies=1.7) / 2**30, 2)
    0.21
    """
    return decoder_block_bytes(
        tokens=maximum(tokens, floor_div(patches, 4)),
        element_bytes=element_bytes,
        intermediate=0,
        intermediate_copies=0,
        hidden=hidden,
        hidden_copies=copies,
    )


@formula(
    "memory.weights.step_rows",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "levels": "rows per token",
        "hidden": "elements",
        "element_bytes": "bytes",
        "picked": "tokens",
        "index_bytes": "bytes",
    },
    reference="vllm-project/vllm@4ba787ec9: models/qwen3_vl.py, deepstack_input_embeds; models/deepseek_v2.py, topk_indices_buffer; "
    "0.20: vllm/models/deepseek_v4/nvidia/model.py, _mtp_hidden_buffer",
    example={"tokens": 8192, "levels": 3, "hidden": 2048, "element_bytes": 2, "picked": 0, "index_bytes": 4},
)
def step_rows_bytes(*, tokens: Any, levels: Any, hidden: Any, element_bytes: Any, picked: Any, index_bytes: Any) -> Any:
    """Buffers that are made while loading, with a row for each token of a step.

    Parameters
    ----------
    tokens : int
        Tokens of a step. [tokens]
    levels : int
        Hidden states of a token: levels of a vision tower beside its last, residual streams that a draft reads. [rows per token]
    hidden : int
        Hidden size of the language part. [elements]
    element_bytes : int
        Of one element. [bytes]
    picked : int
        Tokens that an indexer picks for each token. [tokens]
    index_bytes : int
        Of the place of one of them. [bytes]

    Returns
    -------
    int
        Bytes of the buffers. [bytes]

    Examples
    --------
    >>> step_rows_bytes(tokens=8192, levels=3, hidden=2048, element_bytes=2, picked=0, index_bytes=4)
    100663296
    """
    return tokens * (levels * hidden * element_bytes + picked * index_bytes)
