"""What loading leaves on one GPU: the stored tensors by group, and what is made beside them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from gpusizer.formulas.core import ceil_div, formula, minimum, where

__all__ = [
    "absorbed_latent_bytes",
    "adapter_bytes",
    "allocation_slack_bytes",
    "draft_blocks_bytes",
    "group_sum_bytes",
    "offloaded_bytes",
    "rope_table_bytes",
    "unfolded_scales_bytes",
    "unlisted_bytes",
]


@formula(
    "memory.weights.group_sum",
    unit="bytes",
    symbols={"groups": "bytes"},
    reference="arithmetic: this rank's tensors by parameter group; bytes of each tensor by storage.scaled_format or storage.block_format",
    example={"attention": 3758096384, "linear_attention": 134217728, "indexer": 67108864},
)
def group_sum_bytes(**groups: Any) -> Any:
    """Stored tensors of one line of the ledger: its parameter groups together.

    Parameters
    ----------
    **groups : int
        This rank's bytes of each parameter group. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> group_sum_bytes(attention=3758096384, linear_attention=134217728, indexer=67108864)
    3959422976
    """
    return reduce(add, groups.values())


@formula(
    "memory.weights.draft_blocks",
    unit="bytes",
    symbols={
        "layers": "layers",
        "hidden": "elements",
        "head_dim": "elements",
        "heads": "heads",
        "kv_heads": "heads",
        "width": "elements",
        "taps": "layers",
        "element_bytes": "bytes per element",
    },
    reference="vllm-project/vllm: vllm/model_executor/models/qwen3_dflash.py, llama_eagle3.py; embedding and head are the model's own",
    example={"layers": 5, "hidden": 5120, "head_dim": 128, "heads": 32, "kv_heads": 8, "width": 17408, "taps": 5, "element_bytes": 2},
)
def draft_blocks_bytes(*, layers: Any, hidden: Any, head_dim: Any, heads: Any, kv_heads: Any, width: Any, taps: Any, element_bytes: Any) -> Any:
    """A draft of dense layers on one rank, with a projection of hidden states that every rank keeps whole.

    Parameters
    ----------
    layers : int
        Dense layers. [layers]
    hidden, head_dim : int
        Width of the model, and of a head. [elements]
    heads, kv_heads : int
        Query heads and key/value heads of this rank. [heads]
    width : int
        This rank's part of the feed-forward block. [elements]
    taps : int
        Layers of the model whose hidden states it reads. [layers]
    element_bytes : float
        Bytes of one element. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    z-lab/Qwen3.6-27B-DFlash: 3,310.7 MiB with its norms.

    >>> size = draft_blocks_bytes(layers=5, hidden=5120, head_dim=128, heads=32, kv_heads=8, width=17408, taps=5, element_bytes=2)
    >>> round(size / 2**20, 1)
    3300.0
    """
    of_layer = hidden * head_dim * 2 * (heads + kv_heads) + 3 * hidden * width
    return (layers * of_layer + taps * hidden * hidden) * element_bytes


@formula(
    "memory.weights.unlisted",
    unit="bytes",
    symbols={"published_bytes": "bytes", "listed_bytes": "bytes"},
    reference="arithmetic: size of the published checkpoint less what its configuration tells of",
    example={"published_bytes": 16582000000, "listed_bytes": 15000000000},
)
def unlisted_bytes(*, published_bytes: Any, listed_bytes: Any) -> Any:
    """What a published checkpoint holds beyond its configuration.

    Parameters
    ----------
    published_bytes, listed_bytes : int
        Size of the files; all tensors that the configuration tells of. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> unlisted_bytes(published_bytes=16582000000, listed_bytes=15000000000)
    1582000000
    """
    return published_bytes - listed_bytes


@formula(
    "memory.weights.offloaded",
    unit="bytes",
    symbols={"asked_bytes": "bytes", "layers_bytes": "bytes"},
    reference="vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu: parameters of decoder layers until so much is gone",
    example={"asked_bytes": 10737418240, "layers_bytes": 28000000000},
)
def offloaded_bytes(*, asked_bytes: Any, layers_bytes: Any) -> Any:
    """Weights that lie in host memory instead of on a GPU, as what the GPU is spared.

    Parameters
    ----------
    asked_bytes, layers_bytes : int
        What was asked for; the decoder layers of this GPU. [bytes]

    Returns
    -------
    int
        Bytes, below nothing. [bytes]

    Examples
    --------
    >>> offloaded_bytes(asked_bytes=10 * 2**30, layers_bytes=28000000000)
    -10737418240
    """
    return -minimum(asked_bytes, layers_bytes)


@formula(
    "memory.weights.absorbed_latent",
    unit="bytes",
    symbols={
        "layers": "layers",
        "heads": "heads",
        "qk_nope_head_dim": "elements",
        "v_head_dim": "elements",
        "kv_lora_rank": "elements",
        "element_bytes": "bytes per element",
        "tp": "ranks",
    },
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/attention/mla_attention.py, process_weights_after_loading",
    example={"layers": 61, "heads": 128, "qk_nope_head_dim": 128, "v_head_dim": 128, "kv_lora_rank": 512, "element_bytes": 2, "tp": 8},
)
def absorbed_latent_bytes(*, layers: Any, heads: Any, qk_nope_head_dim: Any, v_head_dim: Any, kv_lora_rank: Any, element_bytes: Any, tp: Any) -> Any:
    """Second copy of the latent's up-projections, dequantised, that decoding with absorbed matrices needs.

    Parameters
    ----------
    layers : int
        Layers with latent attention. [layers]
    heads : int
        Query heads. [heads]
    qk_nope_head_dim, v_head_dim, kv_lora_rank : int
        Unrotated width of a key head, width of a value head, and width of the latent. [elements]
    element_bytes : float
        Bytes of the activation format. [bytes per element]
    tp : int
        Tensor-parallel ranks. [ranks]

    Returns
    -------
    int
        Bytes on one rank. [bytes]

    Examples
    --------
    DeepSeek-V3 at TP8: 0.238 GiB on each GPU, on top of the loaded projection.

    >>> absorbed_latent_bytes(layers=61, heads=128, qk_nope_head_dim=128, v_head_dim=128, kv_lora_rank=512, element_bytes=2, tp=8)
    255852544
    """
    return layers * ceil_div(heads, tp) * (qk_nope_head_dim + v_head_dim) * kv_lora_rank * element_bytes


@formula(
    "memory.weights.rope_table",
    unit="bytes",
    symbols={"positions": "tokens", "rotary_dim": "elements", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/rotary_embedding/base.py, cos_sin_cache",
    example={"positions": 131072, "rotary_dim": 128, "element_bytes": 2},
)
def rope_table_bytes(*, positions: Any, rotary_dim: Any, element_bytes: Any) -> Any:
    """Table of cosines and sines of rotary positions, once for each distinct rotation.

    Parameters
    ----------
    positions : int
        Longest position that the model declares. [tokens]
    rotary_dim : int
        Rotated width of a head. [elements]
    element_bytes : int
        Bytes of the table's format. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B: 32 MiB.

    >>> rope_table_bytes(positions=131072, rotary_dim=128, element_bytes=2) // 2**20
    32
    """
    return positions * rotary_dim * element_bytes


@formula(
    "memory.weights.allocation_slack",
    unit="bytes",
    symbols={"size_bytes": "bytes", "smallest_bytes": "bytes", "segment_bytes": "bytes", "largest_rest_bytes": "bytes"},
    reference="pytorch/pytorch: c10/cuda/CUDACachingAllocator.cpp, get_allocation_size and should_split",
    example={"size_bytes": 271581184, "smallest_bytes": 10485760, "segment_bytes": 2097152, "largest_rest_bytes": 1048576},
)
def allocation_slack_bytes(*, size_bytes: Any, smallest_bytes: Any, segment_bytes: Any, largest_rest_bytes: Any) -> Any:
    """What the allocator counts beyond the size of one large matrix: segments are rounded up, and a small rest is not split off.

    Parameters
    ----------
    size_bytes : int
        The matrix. [bytes]
    smallest_bytes : int
        Matrices below this share segments. [bytes]
    segment_bytes : int
        Segments of larger ones are multiples of this. [bytes]
    largest_rest_bytes : int
        A larger rest is split off and given to others. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Gate and up of Qwen2.5-7B are 259 MiB; 260 are counted.

    >>> allocation_slack_bytes(size_bytes=271581184, smallest_bytes=10485760, segment_bytes=2097152, largest_rest_bytes=1048576) // 2**20
    1
    """
    rest = ceil_div(size_bytes, segment_bytes) * segment_bytes - size_bytes
    return where(size_bytes < smallest_bytes, 0, where(rest > largest_rest_bytes, 0, rest))


@formula(
    "memory.weights.adapters",
    unit="bytes",
    symbols={"slots": "adapters", "rank": "elements", "rows": "rows", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/lora/layers/, create_lora_weights",
    example={"slots": 4, "rank": 16, "rows": 1638400, "element_bytes": 2},
)
def adapter_bytes(*, slots: Any, rank: Any, rows: Any, element_bytes: Any) -> Any:
    """Slots for low-rank adapters: two thin matrices beside every linear layer.

    Parameters
    ----------
    slots : int
        Adapters that are held at once. [adapters]
    rank : int
        Largest rank. [elements]
    rows : int
        Inputs and outputs of all linear layers on this rank, added up. [rows]
    element_bytes : int
        Bytes of the adapters' format. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> adapter_bytes(slots=4, rank=16, rows=1638400, element_bytes=2) // 2**20
    200
    """
    return slots * rank * rows * element_bytes


@formula(
    "memory.weights.unfolded_scales",
    unit="bytes",
    symbols={"weights_bytes": "bytes", "block": "elements", "element_bytes": "bytes", "scale_bytes": "bytes"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/quantization/utils/marlin_utils_fp8.py, prepare_fp8_moe_layer_for_marlin",
    example={"weights_bytes": 32_212_254_720, "block": 128, "element_bytes": 2, "scale_bytes": 4},
)
def unfolded_scales_bytes(*, weights_bytes: Any, block: Any, element_bytes: Any, scale_bytes: Any) -> Any:
    """What scales of square blocks take beyond their stored size where a kernel wants one for each output and block of inputs.

    Parameters
    ----------
    weights_bytes : int
        Weights of one byte an element. [bytes]
    block : int
        Side of a block. [elements]
    element_bytes : int
        A scale as the kernel reads it. [bytes]
    scale_bytes : int
        A scale as it is stored, one for each block. [bytes]

    Returns
    -------
    int
        Bytes more. [bytes]

    Examples
    --------
    >>> unfolded_scales_bytes(weights_bytes=128 * 128, block=128, element_bytes=2, scale_bytes=4)
    252
    """
    return ceil_div(weights_bytes * element_bytes, block) - ceil_div(weights_bytes * scale_bytes, block * block)
