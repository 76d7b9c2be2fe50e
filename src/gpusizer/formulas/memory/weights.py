"""Weights of one GPU: what a cut leaves, what is padded, and all of it together."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, formula, maximum

__all__ = [
    "cut_units",
    "experts_per_rank",
    "kv_heads_per_rank",
    "padded_size",
    "padded_vocabulary",
    "weights_bytes",
]


@formula(
    "memory.weights.cut",
    unit="rows",
    symbols={"size": "rows", "parts": "ranks"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/linear.py, ColumnParallelLinear and RowParallelLinear",
    example={"size": 14336, "parts": 8},
)
def cut_units(*, size: Any, parts: Any) -> Any:
    """Rows (or columns) of a matrix that one tensor-parallel rank holds.

    Parameters
    ----------
    size : int
        Rows or columns of the whole matrix. [elements]
    parts : int
        Tensor-parallel ranks. [ranks]

    Returns
    -------
    int
        Rows or columns of one rank. [elements]

    Examples
    --------
    >>> cut_units(size=14336, parts=8)
    1792
    """
    return ceil_div(size, parts)


@formula(
    "memory.weights.kv_heads_per_rank",
    unit="heads",
    symbols={"kv_heads": "heads", "tp": "ranks"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/linear.py, QKVParallelLinear (num_kv_head_replicas)",
    example={"kv_heads": 8, "tp": 16},
)
def kv_heads_per_rank(*, kv_heads: Any, tp: Any) -> Any:
    """Key/value heads that one rank holds; with more ranks than heads each holds one, so heads are stored more than once.

    Parameters
    ----------
    kv_heads : int
        Key/value heads of the layer. [heads]
    tp : int
        Tensor-parallel ranks. [ranks]

    Returns
    -------
    int
        Heads of one rank. [heads]

    Examples
    --------
    >>> kv_heads_per_rank(kv_heads=8, tp=4), kv_heads_per_rank(kv_heads=8, tp=16)
    (2, 1)
    """
    return maximum(1, ceil_div(kv_heads, tp))


@formula(
    "memory.weights.padded_size",
    unit="elements",
    symbols={"size": "elements", "multiple": "elements"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/fused_moe/oracle/mxfp4.py, mxfp4_round_up_hidden_size_and_intermediate_size",
    example={"size": 2880, "multiple": 256},
)
def padded_size(*, size: Any, multiple: Any) -> Any:
    """A dimension rounded up to what a kernel needs.

    Parameters
    ----------
    size : int
        Rows or columns. [elements]
    multiple : int
        What the kernel needs a multiple of. [elements]

    Returns
    -------
    int
        The dimension as it is kept. [elements]

    Examples
    --------
    gpt-oss, hidden size 2880 with the Marlin kernel:

    >>> padded_size(size=2880, multiple=256)
    3072
    """
    return ceil_div(size, multiple) * multiple


@formula(
    "memory.weights.padded_vocabulary",
    unit="rows",
    symbols={"vocabulary": "rows", "multiple": "rows", "tp": "ranks"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/vocab_parallel_embedding.py, pad_vocab_size",
    example={"vocabulary": 32016, "multiple": 64, "tp": 2},
)
def padded_vocabulary(*, vocabulary: Any, multiple: Any, tp: Any) -> Any:
    """Rows of the embedding (or head) that one rank holds: the vocabulary is padded, then cut.

    Parameters
    ----------
    vocabulary : int
        Rows as configured. [rows]
    multiple : int
        Padding of the engine, 64 in vLLM. [rows]
    tp : int
        Tensor-parallel ranks. [ranks]

    Returns
    -------
    int
        Rows of one rank. [rows]

    Examples
    --------
    >>> padded_vocabulary(vocabulary=32016, multiple=64, tp=2)
    16032
    """
    return ceil_div(ceil_div(vocabulary, multiple) * multiple, tp)


@formula(
    "memory.weights.experts_per_rank",
    unit="experts",
    symbols={"experts": "experts", "redundant": "experts", "ep": "ranks"},
    reference="vllm-project/vllm@4ba787ec9: vllm/distributed/eplb; physical experts = logical + redundant, spread over the ranks",
    example={"experts": 256, "redundant": 32, "ep": 32},
)
def experts_per_rank(*, experts: Any, redundant: Any, ep: Any) -> Any:
    """Whole experts that one expert-parallel rank holds.

    Parameters
    ----------
    experts, redundant : int
        Routed experts of the layer, and copies kept for balance. [experts]
    ep : int
        Expert-parallel ranks. [ranks]

    Returns
    -------
    int
        Experts of one rank. [experts]

    Examples
    --------
    >>> experts_per_rank(experts=256, redundant=32, ep=32)
    9
    """
    return ceil_div(experts + redundant, ep)


@formula(
    "memory.weights.total",
    unit="bytes",
    symbols={"tensors_bytes": "bytes", "absorbed_bytes": "bytes", "tables_bytes": "bytes", "draft_bytes": "bytes", "adapters_bytes": "bytes"},
    reference='vllm-project/vllm@4ba787ec9: what "Model loading took" contains: vllm/v1/worker/gpu/model_runner.py, load_model',
    example={"tensors_bytes": 16060522496, "absorbed_bytes": 0, "tables_bytes": 33554432, "draft_bytes": 0, "adapters_bytes": 0},
)
def weights_bytes(*, tensors_bytes: Any, absorbed_bytes: Any, tables_bytes: Any, draft_bytes: Any, adapters_bytes: Any) -> Any:
    """Everything that stays on one GPU after the model is loaded.

    Parameters
    ----------
    tensors_bytes : int
        This rank's part of the stored tensors, padding included. [bytes]
    absorbed_bytes, tables_bytes : int
        Second copies of latent projections; tables of rotary positions. [bytes]
    draft_bytes, adapters_bytes : int
        Draft model or draft layers; slots for adapters. [bytes]

    Returns
    -------
    int
        Resident bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B in BF16 on one GPU; the engine's log says 14.99 GiB.

    >>> round(weights_bytes(tensors_bytes=16060522496, absorbed_bytes=0, tables_bytes=33554432, draft_bytes=0, adapters_bytes=0) / 2**30, 2)
    14.99
    """
    return tensors_bytes + absorbed_bytes + tables_bytes + draft_bytes + adapters_bytes
