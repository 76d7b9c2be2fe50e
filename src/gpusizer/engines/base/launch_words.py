"""A deployment as the words of a launch command: every field and every further flag by the spelling that its engine declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpusizer.engines.base.flag import Flag
from gpusizer.engines.base.flags import flag_table
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import UnknownIdError

__all__ = ["TORCH_NAMES", "device_names", "printed_values", "visible_devices", "words_for"]

TORCH_NAMES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}  # as engines that stand on PyTorch take a number format
_NO_FLAGS = frozenset(
    (
        *("model", "gpu", "engine", "engine_version", "precision", "checkpoint_bytes"),
        *("flags", "devices", "device_memory_bytes", "other_memory_bytes", "fork", "build", "similar_precision"),
        *("host_memory_bytes", "host_bandwidth_bytes_per_s", "host_sockets", "offload", "with_models", "beside_bytes"),
    )
)
# Vendor -> the variable that limits what a process sees, and llama.cpp's name of its backend (ggml-org/llama.cpp: ggml/src).
_VISIBLE = {"AMD": "HIP_VISIBLE_DEVICES", "Huawei": "ASCEND_RT_VISIBLE_DEVICES", "Moore Threads": "MUSA_VISIBLE_DEVICES", "Intel": "ZE_AFFINITY_MASK"}
_BACKENDS = {"NVIDIA": "CUDA", "AMD": "ROCm", "Apple": "MTL", "Intel": "SYCL", "Moore Threads": "MUSA", "Huawei": "CANN"}


def printed_values(deployment: Deployment) -> dict[str, Any]:
    """What of a deployment differs from the defaults, by field and further flag; 1 of a kind of parallelism is the default.

    >>> printed_values(Deployment("m", "g", tp=2, kv_precision="fp8", flags={"max_loras": 4}))
    {'tp': 2, 'kv_precision': 'fp8', 'max_loras': 4}
    """
    found = {each.name: getattr(deployment, each.name) for each in fields(deployment) if each.name not in _NO_FLAGS}
    found = {
        name: value
        for name, value in found.items()
        if value not in (None, False, "auto") and not (name in ("tp", "pp", "dp", "ep", "dcp") and value == 1)
    }
    if not found.get("speculative_tokens"):
        found.pop("speculative_tokens", None)
    return found | {name: value for name, value in deployment.flags.items() if value is not None}


def words_for(values: Mapping[str, Any], engine_id: str) -> tuple[list[str], list[str]]:
    """Values as the words of a command, in the order of the engine's declarations.

    Parameters
    ----------
    values : mapping
        By field and further flag.
    engine_id : str
        The engine.

    Returns
    -------
    tuple of (list of str, list of str)
        Variables of the environment, and arguments.

    Examples
    --------
    >>> words_for({"tp": 2, "enforce_eager": True, "pp_layer_partition": (12, 20)}, "vllm")
    (['VLLM_PP_LAYER_PARTITION=12,20'], ['--tensor-parallel-size', '2', '--enforce-eager'])
    """
    environment: list[str] = []
    words: list[str] = []
    for target, flag in flag_table(engine_id).by_target.items():
        if target not in values:
            continue
        value = values[target]
        if not flag.spelling.startswith("-"):
            environment.append(f"{flag.spelling}={_text(value)}")
        else:
            words += _argument(flag, value)
    return environment, words


def _argument(flag: Flag, value: object) -> list[str]:
    if value is False:
        return [f"--no-{flag.spelling.lstrip('-')}"] if flag.kind == "switch" else [flag.spelling, "off"]
    if value is True:
        return [flag.spelling] if flag.kind == "switch" else [flag.spelling, "on"]
    if flag.repeats and isinstance(value, list | tuple):
        return [word for each in value for word in (flag.spelling, _text(each))]
    if flag.kind in ("numbers", "words") and isinstance(value, list | tuple):
        return [flag.spelling, *map(_text, value)]
    return [flag.spelling, _text(value)]


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _vendor(gpu: str) -> str:
    from gpusizer.facts.catalog import accelerator

    try:
        return accelerator(gpu).vendor
    except UnknownIdError:
        return "NVIDIA"


def visible_devices(gpu: str, count: int, first: int = 0) -> str:
    """The variable that lets a process see ``count`` devices, from the first of them on.

    >>> visible_devices("mi300x-192gb", 2), visible_devices("h200-sxm-141gb", 1, 7)
    ('HIP_VISIBLE_DEVICES=0,1', 'CUDA_VISIBLE_DEVICES=7')
    """
    return f"{_VISIBLE.get(_vendor(gpu), 'CUDA_VISIBLE_DEVICES')}={','.join(map(str, range(first, first + count)))}"


def device_names(gpu: str, count: int) -> str:
    """The devices of llama.cpp by the names of its backend.

    >>> device_names("rtx4090-24gb", 2)
    'CUDA0,CUDA1'
    """
    backend = _BACKENDS.get(_vendor(gpu), "Vulkan")
    return ",".join(f"{backend}{number}" for number in range(count))
