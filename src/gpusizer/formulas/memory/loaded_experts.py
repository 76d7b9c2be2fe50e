"""What loading adds to routed experts: padding of their rows, indices of their inputs."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import floor_div, formula, where

__all__ = ["expert_index_bytes", "padded_experts_bytes"]


@formula(
    "memory.weights.expert_index",
    unit="bytes",
    symbols={"layers": "layers", "experts": "experts", "inputs": "elements", "indices": "indices per input", "index_bytes": "bytes per index"},
    reference="vllm-project/vllm@0072125a5: compressed_tensors_moe_wna16.py: w13_weight_g_idx, w13_g_idx_sort_indices, and the same of w2",
    example={"layers": 48, "experts": 512, "inputs": 2304, "indices": 2, "index_bytes": 4},
)
def expert_index_bytes(*, layers: Any, experts: Any, inputs: Any, indices: Any, index_bytes: Any) -> Any:
    """Indices of groups that a kernel for experts in small integers keeps for each input of its matrices.

    Parameters
    ----------
    layers, experts : int
        Layers with experts on this GPU; experts of one layer there. [layers, experts]
    inputs : int
        Inputs of both matrices of one expert. [elements]
    indices : int
        Indices that are kept for an input: its group, and its place in the order. [indices per input]
    index_bytes : int
        Size of an index. [bytes per index]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> expert_index_bytes(layers=48, experts=512, inputs=2048 + 256, indices=2, index_bytes=4)
    452984832
    """
    return layers * experts * inputs * indices * index_bytes


@formula(
    "memory.weights.padded_experts",
    unit="bytes",
    symbols={
        "inner_bytes": "bytes",
        "inner_row_bytes": "bytes",
        "outer_bytes": "bytes",
        "outer_row_bytes": "bytes",
        "row_multiple": "bytes",
        "padding_bytes": "bytes",
    },
    reference="vllm-project/vllm@017b8f23e: vllm/model_executor/layers/fused_moe/unquantized_fused_moe_method.py, _maybe_pad_weight; "
    "vllm/platforms/rocm.py, get_current_memory_usage; pytorch/pytorch: c10/cuda/CUDACachingAllocator.cpp, should_split",
    example={
        "inner_bytes": 805306368,
        "inner_row_bytes": 4096,
        "outer_bytes": 402653184,
        "outer_row_bytes": 1536,
        "row_multiple": 512,
        "padding_bytes": 256,
    },
)
def padded_experts_bytes(
    *, inner_bytes: Any, inner_row_bytes: Any, outer_bytes: Any, outer_row_bytes: Any, row_multiple: Any, padding_bytes: Any
) -> Any:
    """What one layer's unquantised experts take beyond their tensors once their rows are padded one matrix after the other.

    The copy of the second matrix lands in the block that the first one left, so that this block can neither be given back nor hold another copy.

    Parameters
    ----------
    inner_bytes, outer_bytes : int
        Gate and up of all experts of a rank, and their down-projections. [bytes]
    inner_row_bytes, outer_row_bytes : int
        One row of each. [bytes]
    row_multiple : int
        Rows of such multiples are padded. [bytes]
    padding_bytes : int
        What a row is padded by. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Qwen3-VL-30B-A3B on an MI300X: 432 MiB for each of 48 layers; its log says 79.29 GiB where the tensors are 58.2.

    >>> padded_experts_bytes(inner_bytes=805306368, inner_row_bytes=4096, outer_bytes=402653184, outer_row_bytes=1536,
    ...     row_multiple=512, padding_bytes=256) // 2**20
    432
    """
    inner_rows, outer_rows = floor_div(inner_bytes, inner_row_bytes), floor_div(outer_bytes, outer_row_bytes)
    inner = where(floor_div(inner_row_bytes, row_multiple) * row_multiple < inner_row_bytes, 0, inner_rows * padding_bytes)
    outer = where(floor_div(outer_row_bytes, row_multiple) * row_multiple < outer_row_bytes, 0, outer_rows * padding_bytes)
    fits = (inner > 0) * (outer > 0) * (outer_bytes + outer < inner_bytes)
    return inner + where(fits, inner_bytes - outer_bytes, outer)
