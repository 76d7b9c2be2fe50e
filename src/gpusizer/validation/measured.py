"""What a case measured, by the names of ``validate`` and in plain units. Predictions never see this."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from gpusizer.units import GiB, MiB

__all__ = ["LARGEST_NUMBER", "MEMORY_QUANTITIES", "PERFORMANCE_QUANTITIES", "QUANTITY_FIELDS", "measured_memory", "measured_performance"]

LARGEST_NUMBER = 10**18
"""No case has a larger number; one beyond it (or no number at all) is a slip of the pen and would end in an infinity."""

MEMORY_QUANTITIES = (
    "weights_bytes",
    "kv_cache_pool_bytes",
    "kv_cache_tokens",
    "max_concurrency",
    "activation_peak_bytes",
    "cuda_graph_bytes",
    "cuda_graph_estimated_bytes",
    "non_torch_bytes",
    "kv_buffer_bytes",
    "compute_buffer_bytes",
    "model_buffer_bytes",
    "fits",
)
PERFORMANCE_QUANTITIES = ("ttft_s", "tpot_s", "output_tokens_per_s")

# Quantity -> fields of ``measured``, the first that is there, and their unit.
_FIELDS: dict[str, tuple[tuple[str, ...], float]] = {
    "weights_bytes": (("weights_gib_per_gpu",), GiB),
    "kv_cache_pool_bytes": (("kv_available_gib_per_gpu", "kv_gib_per_gpu"), GiB),
    "kv_cache_tokens": (("kv_tokens",), 1),
    "max_concurrency": (("max_concurrency",), 1),
    "activation_peak_bytes": (("activation_peak_gib",), GiB),
    "cuda_graph_bytes": (("cuda_graph_gib",), GiB),
    "cuda_graph_estimated_bytes": (("cuda_graph_estimated_gib",), GiB),
    "non_torch_bytes": (("non_torch_gib",), GiB),
    "kv_buffer_bytes": (("kv_total_mib",), MiB),
    "compute_buffer_bytes": (("compute_buffer_mib",), MiB),
}
QUANTITY_FIELDS = frozenset(name for fields, _ in _FIELDS.values() for name in fields) | {
    "model_buffer_mib_by_device",
    "compute_buffer_mib_by_device",
}
"""Fields of ``measured`` that are one of the quantities."""

_HOST = ("CPU", "CUDA_Host", "Vulkan_Host", "ROCm_Host")  # buffers beside the GPUs
_FIRST = re.compile(r"[A-Za-z]+0")  # the first GPU as llama.cpp names it: CUDA0, Vulkan0, ROCm0
# Of free memory: engines print them below nothing too.
_DIFFERENCES = ("kv_cache_pool_bytes", "cuda_graph_bytes", "cuda_graph_estimated_bytes", "non_torch_bytes")


def measured_memory(row: Mapping[str, Any]) -> dict[str, float | bool]:
    """What a memory case measured.

    Parameters
    ----------
    row : mapping
        The case.

    Returns
    -------
    dict
        Bytes, tokens and requests by quantity; "fits" from the outcome.

    Examples
    --------
    >>> measured_memory({"measured": {"weights_gib_per_gpu": 0.5, "kv_tokens": 476000, "outcome": "starts"}})
    {'weights_bytes': 536870912.0, 'kv_cache_tokens': 476000, 'fits': True}
    >>> measured_memory({"measured": {"outcome": "oom_load"}}), measured_memory({"measured": "nothing"})
    ({'fits': False}, {})
    """
    measured = row.get("measured")
    if not isinstance(measured, Mapping):
        return {}
    found: dict[str, float | bool] = {}
    for name, (fields, unit) in _FIELDS.items():
        least = -LARGEST_NUMBER if name in _DIFFERENCES else 0.0
        value = next((number for field in fields if (number := _number(measured.get(field), least)) is not None), None)
        if value is not None:
            found[name] = value if unit == 1 else value * unit
    buffers = measured.get("model_buffer_mib_by_device")
    if isinstance(buffers, Mapping):
        sizes = [size for device, value in buffers.items() if not str(device).startswith(_HOST) and (size := _number(value)) is not None]
        if sizes:
            found["model_buffer_bytes"] = math.fsum(sizes) * MiB
    buffers = measured.get("compute_buffer_mib_by_device")
    if isinstance(buffers, Mapping):  # a case may put the largest in the field of its own; what is predicted is that of the first GPU
        size = next((size for device, value in buffers.items() if _FIRST.fullmatch(str(device)) and (size := _number(value)) is not None), None)
        if size is not None:
            found["compute_buffer_bytes"] = size * MiB
    fits = _started(measured.get("outcome"))
    if fits is not None:
        found["fits"] = fits
    return found


def _number(value: Any, least: float = 0.0) -> float | None:
    """A figure that can be: no size, time or number is below nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LARGEST_NUMBER:
        return None
    return value


def _started(outcome: Any) -> bool | None:
    if not isinstance(outcome, str):
        return None
    if outcome.startswith(("starts", "pool allocated")):
        return True
    return False if outcome.startswith(("oom", "kv_too_small")) else None


def measured_performance(row: Mapping[str, Any]) -> dict[str, float]:
    """What a performance case measured, of the whole deployment: of several figures of one time, the mean or median that stands first.

    Parameters
    ----------
    row : mapping
        The case.

    Returns
    -------
    dict
        Seconds and tokens per second by quantity; what was only derived does not count.

    Examples
    --------
    >>> measured_performance({"gpu_count": 4, "measured": {"ttft_ms_mean_or_p50": 250, "output_tok_s_per_gpu": 100.0}})
    {'ttft_s': 0.25, 'output_tokens_per_s': 400.0}
    >>> measured_performance({"measured": {"tpot_ms_p99": 90, "tpot_ms_p50": 12, "tpot_ms_mean": 19}})
    {'tpot_s': 0.012}
    """
    measured = row.get("measured")
    if not isinstance(measured, Mapping):
        return {}
    found: dict[str, float] = {}
    for name, stem in (("ttft_s", "ttft_ms"), ("tpot_s", "tpot_ms")):
        keys = (str(key) for key in measured if str(key).startswith(stem) and ("mean" in str(key) or "p50" in str(key)))
        value = next((number for key in keys if (number := _number(measured.get(key))) is not None), None)
        if value is not None:
            found[name] = value / 1000
    rate, gpus = _number(measured.get("output_tok_s_per_gpu")), _number(row.get("gpu_count"))
    if rate is not None and gpus:
        found["output_tokens_per_s"] = rate * gpus
    return found
