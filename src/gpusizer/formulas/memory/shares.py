"""The share of memory that an engine takes for weights and cache when nobody says how much."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import floor, formula, maximum, minimum

__all__ = ["reserved_for_activations_mib", "share_with_towers", "static_share"]


@formula(
    "memory.pools.reserved",
    unit="MiB",
    symbols={
        "activation_tokens": "tokens",
        "gpus": "GPUs",
        "decode_graph_limit": "requests",
        "attention_dp": "ranks",
        "dp_mib_per_request": "MiB per request and rank",
        "prefill_graphs_mib": "MiB",
        "floor_mib": "MiB",
        "further_mib": "MiB",
    },
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/arg_groups/memory_hook.py, handle_gpu_memory_settings",
    example={
        "activation_tokens": 8192,
        "gpus": 1,
        "decode_graph_limit": 256,
        "attention_dp": 1,
        "dp_mib_per_request": 0,
        "prefill_graphs_mib": 464,
        "floor_mib": 10240,
        "further_mib": 0,
    },
)
def reserved_for_activations_mib(
    *,
    activation_tokens: Any,
    gpus: Any,
    decode_graph_limit: Any,
    attention_dp: Any,
    dp_mib_per_request: Any,
    prefill_graphs_mib: Any,
    floor_mib: Any,
    further_mib: Any,
) -> Any:
    """What the engine leaves free for activations and graphs when nobody says how much, by rule of thumb.

    Parameters
    ----------
    activation_tokens : int
        Tokens of one prefill step. [tokens]
    gpus : int
        GPUs of the replica. [GPUs]
    decode_graph_limit : int
        Largest batch that is captured for decoding, 0 without graphs. [requests]
    attention_dp : int
        Attention-data-parallel ranks. [ranks]
    dp_mib_per_request : float
        Padding of attention-data-parallel batches. [MiB per request and rank]
    prefill_graphs_mib : float
        Captured prefill graphs. [MiB]
    floor_mib, further_mib : float
        Least that is left free on a large card; buffers added on top. [MiB]

    Returns
    -------
    float
        Memory left free. [MiB]

    Examples
    --------
    One H100 with a dense model:

    >>> reserved_for_activations_mib(activation_tokens=8192, gpus=1, decode_graph_limit=256, attention_dp=1, dp_mib_per_request=0,
    ...                              prefill_graphs_mib=464, floor_mib=10240, further_mib=0)
    13904.0
    """
    by_size = 512 + 1.5 * activation_tokens + 1024 * gpus / 8 + 2 * decode_graph_limit
    padding = decode_graph_limit * attention_dp * dp_mib_per_request
    return maximum(by_size + padding + prefill_graphs_mib, floor_mib) + further_mib


@formula(
    "memory.pools.static_share",
    unit="share",
    symbols={"device_mib": "MiB", "reserved_mib": "MiB"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/arg_groups/memory_hook.py, handle_gpu_memory_settings",
    example={"device_mib": 81559, "reserved_mib": 13904},
)
def static_share(*, device_mib: Any, reserved_mib: Any) -> Any:
    """Share of free memory for weights and cache, to three digits as the engine takes it.

    Parameters
    ----------
    device_mib : int
        What the driver's tool reports in all. [MiB]
    reserved_mib : float
        What stays free for activations and graphs. [MiB]

    Returns
    -------
    float
        Share. [share]

    Examples
    --------
    An H100 alone, and eight H200 with latent attention:

    >>> static_share(device_mib=81559, reserved_mib=13904), static_share(device_mib=143771, reserved_mib=16384)
    (0.83, 0.886)
    """
    return floor((device_mib - reserved_mib) / device_mib * 1000 + 0.5) / 1000


@formula(
    "memory.pools.share_with_towers",
    unit="share",
    symbols={"share": "share", "tower_layers": "layers", "tower_width": "elements"},
    reference="sgl-project/sglang 0.5.23: python/sglang/srt/arg_groups/memory_hook.py, adjust_mem_fraction_for_vlm",
    example={"share": 0.908, "tower_layers": 27, "tower_width": 1152},
)
def share_with_towers(*, share: Any, tower_layers: Any, tower_width: Any) -> Any:
    """The static share where images are read: smaller, the larger the vision tower is beside one of 24 layers of 1,024.

    Parameters
    ----------
    share : float
        Share without a tower. [share]
    tower_layers, tower_width : int
        Depth and width of the tower. [layers, elements]

    Returns
    -------
    float
        Share. [share]

    Examples
    --------
    Kimi-K2.5 on MI355X; its log says 0.8260405859375.

    >>> round(share_with_towers(share=0.908, tower_layers=27, tower_width=1152), 10)
    0.8260405859
    """
    return share * 0.95 * maximum(0.8, minimum(1.05, 1 - 0.1 * (tower_layers * tower_width**2 / (24 * 1024**2) - 1)))
