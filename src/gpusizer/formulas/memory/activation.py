"""Activation peak of one profile step: sampler, decoder block, expert workspace, latent up-projection, encoders."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum

__all__ = [
    "activation_peak_bytes",
    "decoder_block_bytes",
    "encoder_bytes",
    "expert_workspace_bytes",
    "latent_chunk_bytes",
    "latent_chunk_rows",
    "prefill_step_bytes",
    "sampler_bytes",
]


@formula(
    "memory.activation.sampler",
    unit="bytes",
    symbols={"rows": "rows", "vocabulary": "elements", "bytes_per_logit": "bytes per logit"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/worker/gpu_model_runner.py, _dummy_sampler_run; bytes per logit fitted to logs",
    example={"rows": 1024, "vocabulary": 128256, "bytes_per_logit": 14.2},
)
def sampler_bytes(*, rows: Any, vocabulary: Any, bytes_per_logit: Any) -> Any:
    """Logits of all dummy requests and their copies; every rank gathers the whole vocabulary.

    Parameters
    ----------
    rows : int
        Requests that are sampled at once. [rows]
    vocabulary : int
        Padded vocabulary. [elements]
    bytes_per_logit : float
        Model format, FP32 copy and temporaries together. [bytes per logit]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> round(sampler_bytes(rows=1024, vocabulary=128256, bytes_per_logit=14.2) / 2**30, 2)
    1.74
    """
    return rows * vocabulary * bytes_per_logit


@formula(
    "memory.activation.decoder_block",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "element_bytes": "bytes per element",
        "intermediate": "elements",
        "intermediate_copies": "tensors",
        "hidden": "elements",
        "hidden_copies": "tensors",
    },
    reference="vllm-project/vllm@4ba787ec9: profile run of max_num_batched_tokens; copies of the hidden state fitted to logs",
    example={"tokens": 8192, "element_bytes": 2, "intermediate": 11008, "intermediate_copies": 3, "hidden": 4096, "hidden_copies": 4.3},
)
def decoder_block_bytes(*, tokens: Any, element_bytes: Any, intermediate: Any, intermediate_copies: Any, hidden: Any, hidden_copies: Any) -> Any:
    """Tensors alive at the widest point of one decoder layer.

    Parameters
    ----------
    tokens : int
        Tokens of the profile step. [tokens]
    element_bytes : int
        Bytes of the activation format. [bytes per element]
    intermediate, hidden : int
        Intermediate width of this rank and width of the residual stream. [elements]
    intermediate_copies, hidden_copies : float
        Tensors of each width that live together. [tensors]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    CodeLlama-7B; the log says 0.77 GiB.

    >>> size = decoder_block_bytes(tokens=8192, element_bytes=2, intermediate=11008, intermediate_copies=3, hidden=4096, hidden_copies=4.3)
    >>> round(size / 2**30, 2)
    0.77
    """
    return tokens * element_bytes * (intermediate_copies * intermediate + hidden_copies * hidden)


@formula(
    "memory.activation.expert_workspace",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "top_k": "experts",
        "intermediate": "elements",
        "gate_up": "matrices",
        "hidden": "elements",
        "wide": "0 or 1",
        "element_bytes": "bytes per element",
    },
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/fused_moe/experts/triton_moe.py, workspace_shapes; "
    "before 0.19: fused_marlin_moe.py, intermediate_cache2",
    example={"tokens": 8192, "top_k": 8, "intermediate": 768, "gate_up": 2, "hidden": 2048, "wide": 1, "element_bytes": 2},
)
def expert_workspace_bytes(*, tokens: Any, top_k: Any, intermediate: Any, gate_up: Any, hidden: Any, wide: Any, element_bytes: Any) -> Any:
    """The two work buffers of the routed experts of one layer.

    Parameters
    ----------
    tokens : int
        Tokens of the profile step. [tokens]
    top_k : int
        Experts that a token uses. [experts]
    intermediate, hidden : int
        Intermediate width of an expert on this rank, and width of its input. [elements]
    gate_up : int
        Matrices of the first product: 2 with a gate, else 1. [matrices]
    wide : int
        1 where the first buffer is as wide as the input, too; 0 where it holds the inner width alone. [0 or 1]
    element_bytes : int
        Bytes of the activation format. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Qwen3-30B-A3B: half a GiB.

    >>> expert_workspace_bytes(tokens=8192, top_k=8, intermediate=768, gate_up=2, hidden=2048, wide=1, element_bytes=2) / 2**30
    0.5
    """
    return tokens * top_k * element_bytes * (maximum(intermediate, wide * hidden) + maximum(gate_up * intermediate, hidden))


@formula(
    "memory.activation.latent_chunk_rows",
    unit="tokens",
    symbols={"max_model_len": "tokens", "max_num_seqs": "requests", "block_size": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/attention/mla_attention.py, chunked prefill workspace",
    example={"max_model_len": 163840, "max_num_seqs": 1024, "block_size": 64},
)
def latent_chunk_rows(*, max_model_len: Any, max_num_seqs: Any, block_size: Any) -> Any:
    """Tokens of cached context that latent attention expands at once in prefill.

    Parameters
    ----------
    max_model_len : int
        Longest request. [tokens]
    max_num_seqs : int
        Requests in a batch. [requests]
    block_size : int
        Tokens of a block. [tokens]

    Returns
    -------
    int
        Rows. [tokens]

    Examples
    --------
    >>> latent_chunk_rows(max_model_len=163840, max_num_seqs=1024, block_size=64)
    65536
    """
    return minimum(maximum(8 * max_model_len, 4 * max_num_seqs * block_size), 65536)


@formula(
    "memory.activation.latent_chunk",
    unit="bytes",
    symbols={"rows": "tokens", "heads": "heads", "qk_nope_head_dim": "elements", "v_head_dim": "elements", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/attention/mla_attention.py, forward_impl",
    example={"rows": 65536, "heads": 16, "qk_nope_head_dim": 128, "v_head_dim": 128, "element_bytes": 2},
)
def latent_chunk_bytes(*, rows: Any, heads: Any, qk_nope_head_dim: Any, v_head_dim: Any, element_bytes: Any) -> Any:
    """Keys and values of one layer expanded from the latent.

    Parameters
    ----------
    rows : int
        Tokens expanded at once. [tokens]
    heads : int
        Query heads of this rank. [heads]
    qk_nope_head_dim, v_head_dim : int
        Unrotated width of a key head and width of a value head. [elements]
    element_bytes : int
        Bytes of the activation format. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    DeepSeek-V3 at TP8:

    >>> latent_chunk_bytes(rows=65536, heads=16, qk_nope_head_dim=128, v_head_dim=128, element_bytes=2) / 2**30
    0.5
    """
    return rows * heads * (qk_nope_head_dim + v_head_dim) * element_bytes


@formula(
    "memory.activation.encoder",
    unit="bytes",
    symbols={"patches": "patches", "width": "elements", "copies": "tensors", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: profile run of the largest image; copies fitted to logs",
    example={"patches": 65536, "width": 1152, "copies": 14, "element_bytes": 2},
)
def encoder_bytes(*, patches: Any, width: Any, copies: Any, element_bytes: Any) -> Any:
    """Tensors alive while a vision tower works on the largest image that it takes.

    Parameters
    ----------
    patches : int
        Patches of the images of one step. [patches]
    width : int
        Width of the tower. [elements]
    copies : float
        Tensors of that width that live together: embeddings, interpolated positions, projections. [tensors]
    element_bytes : int
        Bytes of the activation format. [bytes per element]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> round(encoder_bytes(patches=65536, width=1152, copies=14, element_bytes=2) / 2**30, 2)
    1.97
    """
    return patches * width * copies * element_bytes


@formula(
    "memory.activation.peak",
    unit="bytes",
    symbols={
        "workspace_bytes": "bytes",
        "sampler_bytes": "bytes",
        "block_bytes": "bytes",
        "latent_bytes": "bytes",
        "encoder_bytes": "bytes",
        "encoded_bytes": "bytes",
    },
    reference="fitted to start-up logs of vLLM: workspaces and encoded images stay, the largest of the others follows one after the other",
    example={
        "workspace_bytes": 536870912,
        "sampler_bytes": 2211000000,
        "block_bytes": 400000000,
        "latent_bytes": 0,
        "encoder_bytes": 0,
        "encoded_bytes": 0,
    },
)
def activation_peak_bytes(
    *, workspace_bytes: Any, sampler_bytes: Any, block_bytes: Any, latent_bytes: Any, encoder_bytes: Any, encoded_bytes: Any
) -> Any:
    """Memory that one step needs beside weights and cache.

    Parameters
    ----------
    workspace_bytes : int
        Work buffers that stay: experts, sparse indexers. [bytes]
    sampler_bytes, block_bytes, latent_bytes : int
        Peaks that follow one after the other. [bytes]
    encoder_bytes : int
        A vision tower at work, before the decoder. [bytes]
    encoded_bytes : int
        Its outputs, which stay during the step. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> activation_peak_bytes(workspace_bytes=5, sampler_bytes=22, block_bytes=7, latent_bytes=0, encoder_bytes=9, encoded_bytes=1)
    28
    """
    return maximum(encoder_bytes, workspace_bytes + maximum(sampler_bytes, block_bytes, latent_bytes) + encoded_bytes)


@formula(
    "memory.activation.prefill_step",
    unit="bytes",
    symbols={"block_bytes": "bytes", "expert_bytes": "bytes", "expert_ranks": "ranks", "workspace_factor": "factor"},
    reference="arithmetic on memory.activation.decoder_block and memory.activation.expert_workspace",
    example={"block_bytes": 202899456, "expert_bytes": 377487360, "expert_ranks": 1, "workspace_factor": 1.0},
)
def prefill_step_bytes(*, block_bytes: Any, expert_bytes: Any, expert_ranks: Any, workspace_factor: Any) -> Any:
    """Tensors of one prefill step: the widest block of a layer and the work buffers of its routed experts.

    Parameters
    ----------
    block_bytes : float
        Tensors that live together at the widest point of a layer. [bytes]
    expert_bytes : float
        Work buffers of the routed experts. [bytes]
    expert_ranks : int
        Ranks that share out whole experts. [ranks]
    workspace_factor : float
        What an engine sets aside for each byte of them. [factor]


    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> prefill_step_bytes(block_bytes=202899456, expert_bytes=377487360, expert_ranks=1, workspace_factor=1.0)
    580386816.0
    """
    return (block_bytes + expert_bytes / expert_ranks) * workspace_factor
