"""What an engine allows itself of a card, and what is left for the cache."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceiling, floor, formula, maximum

__all__ = [
    "decoder_buffer_bytes",
    "driver_reserved_bytes",
    "free_bytes",
    "invisible_bytes",
    "kv_cache_pool_bytes",
    "other_memory_bytes",
    "outside_budget_bytes",
    "reduction_workspace_bytes",
    "requested_bytes",
    "shortfall_bytes",
]


@formula(
    "memory.budget.driver_reserved",
    unit="bytes",
    symbols={"fixed_bytes": "bytes", "share": "share", "device_total_bytes": "bytes"},
    reference="fitted to pairs of nvidia-smi totals and torch.cuda.mem_get_info totals in start-up logs",
    example={"fixed_bytes": 440401920, "share": 0.0017, "device_total_bytes": 85520809984},
)
def driver_reserved_bytes(*, fixed_bytes: Any, share: Any, device_total_bytes: Any) -> Any:
    """Part of the card that the driver keeps for itself: what its tool reports less what a process sees.

    Parameters
    ----------
    fixed_bytes : int
        Whatever the size of the card. [bytes]
    share : float
        Of the card (page tables, spare rows). [share]
    device_total_bytes : int
        What the driver's tool reports. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    An 80 GB card; logs say 81,559 MiB and 79.1 to 79.2 GiB.

    >>> round((85520809984 - driver_reserved_bytes(fixed_bytes=440401920, share=0.0017, device_total_bytes=85520809984)) / 2**30, 2)
    79.1
    """
    return floor(fixed_bytes + share * device_total_bytes)


@formula(
    "memory.budget.driver_kept",
    unit="bytes",
    symbols={"device_total_bytes": "bytes", "visible_bytes": "bytes"},
    reference="arithmetic: nvidia-smi total less torch.cuda.mem_get_info total, both read on this card",
    example={"device_total_bytes": 85520809984, "visible_bytes": 84929150976},
)
def invisible_bytes(*, device_total_bytes: Any, visible_bytes: Any) -> Any:
    """Part of the card that the driver keeps for itself, where both totals were read.

    Parameters
    ----------
    device_total_bytes : int
        What the driver's tool reports. [bytes]
    visible_bytes : int
        What a process sees. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> invisible_bytes(device_total_bytes=85520809984, visible_bytes=84929150976)
    591659008
    """
    return device_total_bytes - visible_bytes


@formula(
    "memory.budget.other_memory",
    unit="bytes",
    symbols={"held_bytes": "bytes", "beside_bytes": "bytes"},
    reference="arithmetic: what others hold of a machine's memory less what lies where its GPU does not reach",
    example={"held_bytes": 10737418240, "beside_bytes": 0},
)
def other_memory_bytes(*, held_bytes: Any, beside_bytes: Any) -> Any:
    """Memory that others hold of what a GPU shares with its machine.

    Parameters
    ----------
    held_bytes : int
        Held by the system and other programs. [bytes]
    beside_bytes : int
        Memory of the machine that its GPU cannot have. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Ten GiB on a Mac whose GPU gets 96 of 128 GiB lie beside it, on a DGX Spark they do not.

    >>> other_memory_bytes(held_bytes=10 * 2**30, beside_bytes=32 * 2**30), other_memory_bytes(held_bytes=10 * 2**30, beside_bytes=0) // 2**30
    (0, 10)
    """
    return maximum(held_bytes - beside_bytes, 0)


@formula(
    "memory.budget.requested",
    unit="bytes",
    symbols={"device_total_bytes": "bytes", "utilization": "share"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/worker/gpu_worker.py, request_memory",
    example={"device_total_bytes": 85028765696, "utilization": 0.95},
)
def requested_bytes(*, device_total_bytes: Any, utilization: Any) -> Any:
    """Share of the card's whole memory that the engine takes for itself.

    Parameters
    ----------
    device_total_bytes : int
        What the driver reports, not the label. [bytes]
    utilization : float
        ``--gpu-memory-utilization``. [share]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> round(requested_bytes(device_total_bytes=85028765696, utilization=0.95) / 2**30, 2)
    75.23
    """
    return ceiling(device_total_bytes * utilization)


@formula(
    "memory.budget.kv_cache_pool",
    unit="bytes",
    symbols={
        "budget_bytes": "bytes",
        "weights_bytes": "bytes",
        "activation_peak_bytes": "bytes",
        "non_torch_bytes": "bytes",
        "cuda_graph_bytes": "bytes",
    },
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/worker/gpu_worker.py, determine_available_memory",
    example={
        "budget_bytes": 80777327412,
        "weights_bytes": 16094076928,
        "activation_peak_bytes": 2029372047,
        "non_torch_bytes": 268435456,
        "cuda_graph_bytes": 0,
    },
)
def kv_cache_pool_bytes(*, budget_bytes: Any, weights_bytes: Any, activation_peak_bytes: Any, non_torch_bytes: Any, cuda_graph_bytes: Any) -> Any:
    """What is left of the budget for the cache; negative where nothing is.

    Parameters
    ----------
    budget_bytes : int
        What the engine takes of the card. [bytes]
    weights_bytes, activation_peak_bytes : int
        Resident weights; peak of one step. [bytes]
    non_torch_bytes : int
        Growth outside the allocator after the baseline: communication workspaces, libraries. [bytes]
    cuda_graph_bytes : int
        Estimate of the graphs, where the version charges it. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B on one H100, vLLM 0.19.0; the log says 58.11 GiB.

    >>> round(kv_cache_pool_bytes(budget_bytes=80777327412, weights_bytes=16094076928, activation_peak_bytes=2029372047,
    ...                           non_torch_bytes=268435456, cuda_graph_bytes=0) / 2**30, 1)
    58.1
    """
    return budget_bytes - weights_bytes - activation_peak_bytes - non_torch_bytes - cuda_graph_bytes


@formula(
    "memory.budget.outside",
    unit="bytes",
    symbols={"context_bytes": "bytes", "communication_bytes": "bytes", "late_bytes": "bytes"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/worker/gpu_worker.py, init_device: what exists before the baseline is not charged",
    example={"context_bytes": 547608330, "communication_bytes": 0, "late_bytes": 977105060},
)
def outside_budget_bytes(*, context_bytes: Any, communication_bytes: Any, late_bytes: Any) -> Any:
    """Memory that the engine uses and does not charge to its budget.

    Parameters
    ----------
    context_bytes : int
        CUDA (or HIP) context and loaded modules. [bytes]
    communication_bytes : int
        Communicators that exist before the baseline. [bytes]
    late_bytes : int
        What is allocated after the pool is sized and was not estimated: graphs of older versions. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> outside_budget_bytes(context_bytes=547608330, communication_bytes=0, late_bytes=977105060)
    1524713390
    """
    return context_bytes + communication_bytes + late_bytes


@formula(
    "memory.budget.reduction_workspace",
    unit="bytes",
    symbols={"ranks": "count", "message_bytes": "bytes", "buffers": "count"},
    reference="NVIDIA/TensorRT-LLM@4fb601b9e: tensorrt_llm/_torch/distributed/allreduce_helper.py, allocate_allreduce_fusion_workspace",
    example={"ranks": 4, "message_bytes": 67108864, "buffers": 4},
)
def reduction_workspace_bytes(*, ranks: Any, message_bytes: Any, buffers: Any) -> Any:
    """Buffers that the ranks of a server open to each other for fused all-reduces: room for a message of every rank.

    Parameters
    ----------
    ranks : int
        Tensor-parallel ranks. [count]
    message_bytes : int
        The largest message of one rank. [bytes]
    buffers : int
        How often a message finds room: one exchange buffer, and three that take turns. [count]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    The source's own example: three buffers that take turns over four ranks are 768 MiB, 256 MiB more for the exchange buffer.

    >>> reduction_workspace_bytes(ranks=4, message_bytes=67108864, buffers=4) / 2**20
    1024.0
    """
    return ranks * message_bytes * buffers


@formula(
    "memory.budget.decoder_buffers",
    unit="bytes",
    symbols={"requests": "requests", "vocabulary": "count", "copies": "count", "element_bytes": "bytes per element"},
    reference="start-up logs of compiled engines: 'Allocated ... GPU memory for decoder'",
    example={"requests": 2048, "vocabulary": 32000, "copies": 3, "element_bytes": 4},
)
def decoder_buffer_bytes(*, requests: Any, vocabulary: Any, copies: Any, element_bytes: Any) -> Any:
    """Logits that the decoder of a compiled engine keeps for the most requests at once.

    Parameters
    ----------
    requests : int
        Most requests at once. [requests]
    vocabulary : int
        Entries of the vocabulary. [count]
    copies : int
        How often the logits are held. [count]
    element_bytes : int
        Of one logit. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Llama-2-70B, 2,048 requests; the log says 785.42 MB.

    >>> decoder_buffer_bytes(requests=2048, vocabulary=32000, copies=3, element_bytes=4)
    786432000
    """
    return requests * vocabulary * copies * element_bytes


@formula(
    "memory.budget.free",
    unit="bytes",
    symbols={"device_total_bytes": "bytes", "used_bytes": "bytes"},
    reference="arithmetic: the items of one GPU sum to what the driver reports",
    example={"device_total_bytes": 85028765696, "used_bytes": 82000000000},
)
def free_bytes(*, device_total_bytes: Any, used_bytes: Any) -> Any:
    """What nobody uses; negative where more is needed than the card has.

    Parameters
    ----------
    device_total_bytes, used_bytes : int
        What the driver reports; all other items. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> free_bytes(device_total_bytes=85028765696, used_bytes=82000000000)
    3028765696
    """
    return device_total_bytes - used_bytes


@formula(
    "memory.budget.shortfall",
    unit="bytes",
    symbols={"used_bytes": "bytes", "pool_bytes": "bytes", "device_total_bytes": "bytes", "later_bytes": "bytes"},
    reference="arithmetic: what must be there at the start, less what the driver reports",
    example={"used_bytes": 30000000000, "pool_bytes": 56000000000, "device_total_bytes": 85028765696, "later_bytes": 900000000},
)
def shortfall_bytes(*, used_bytes: Any, pool_bytes: Any, device_total_bytes: Any, later_bytes: Any) -> Any:
    """By how much a GPU is too small for the start; 0 or less where it is not.

    Parameters
    ----------
    used_bytes, pool_bytes : int
        Everything beside the cache; the pool as it is allocated. [bytes]
    device_total_bytes : int
        What the driver reports. [bytes]
    later_bytes : int
        What of it need not be there at the start. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> shortfall_bytes(used_bytes=30000000000, pool_bytes=56000000000, device_total_bytes=85028765696, later_bytes=900000000)
    71234304
    """
    return used_bytes + pool_bytes - device_total_bytes - later_bytes
