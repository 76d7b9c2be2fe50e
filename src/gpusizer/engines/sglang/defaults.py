"""What SGLang chooses where the operator says nothing: share of memory, chunk, graphs, cache format, pages; by version and device.

Read from the released packages 0.4.6 to 0.5.23 (sgl-project/sglang: python/sglang/srt/server_args.py, later arg_groups/memory_hook.py; for Ascend
hardware_backend/npu/utils.py, set_default_server_args).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.cache import asks_for_fp8
from gpusizer.engines.base.device import visible_bytes
from gpusizer.engines.base.kinds import Kinds, kinds_of
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.shares import reserved_for_activations_mib, share_with_towers, static_share
from gpusizer.units import MiB

__all__ = [
    "DRAFTING_REQUESTS",
    "NEWEST",
    "captures_prefill",
    "complete",
    "decode_graph_sizes",
    "is_ascend",
    "page_tokens",
    "prefill_graph_limit",
    "prefill_graph_sizes",
    "read_mib",
    "steps_by_memory",
    "takes_stored_scales",
    "tower_size",
    "verified_tokens",
]

NEWEST = (0, 5, 23)
# Card below so many MiB: prefill chunk, largest captured batch with fewer than four ranks, and with more. The first row that fits holds.
_Row = tuple[float, int, int, int]
_SINCE_0_5_20: tuple[_Row, ...] = (
    (20 * 1024, 2048, 8, 8),
    (35 * 1024, 4096, 48, 160),
    (60 * 1024, 4096, 32, 160),
    (160 * 1024, 8192, 256, 512),
    (float("inf"), 16384, 512, 512),
)
_SINCE_0_5_3: tuple[_Row, ...] = (
    (20 * 1024, 2048, 8, 8),
    (35 * 1024, 2048, 24, 80),
    (60 * 1024, 4096, 32, 160),
    (160 * 1024, 8192, 256, 512),
    (float("inf"), 16384, 512, 512),
)
_SINCE_0_4_7: tuple[_Row, ...] = (
    (35 * 1024, 2048, 8, 80),
    (90 * 1024, 8192, 160, 160),
    (160 * 1024, 8192, 256, 256),
    (float("inf"), 16384, 512, 512),
)
_BEFORE: tuple[_Row, ...] = ((25_000, 2048, 8, 80), (float("inf"), 8192, 160, 160))
_ASCEND: tuple[_Row, ...] = ((32 * 1024 + 1, 4096, 16, 64), (64 * 1024 + 1, 8192, 64, 256), *_SINCE_0_5_20[-2:])
_ASCEND_SINCE = (0, 5, 7)
_ASCEND_PAGE = 128
_MODELOPT_SCALES_SINCE, _COMPRESSED_SCALES_SINCE = (0, 5, 4), (0, 5, 19)

DRAFTING_REQUESTS = 48  # at once where steps draft and nobody says how many


def is_ascend(accelerator: Accelerator) -> bool:
    """Whether a device is an NPU: the engine reads its memory from the process, and has defaults of its own for it."""
    return accelerator.vendor == "Huawei"


def steps_by_memory(accelerator: Accelerator, version: tuple[int, ...]) -> _Row:
    """The row of the table for a card: its limit, prefill chunk, largest captured batch with fewer than four ranks, and with more."""
    table, device_mib = _BEFORE, read_mib(accelerator)
    for since, rows in (((0, 4, 7), _SINCE_0_4_7), ((0, 5, 3), _SINCE_0_5_3), ((0, 5, 19), _SINCE_0_5_20)):
        if version >= since:
            table = rows
    if is_ascend(accelerator) and version >= _ASCEND_SINCE:
        table = _ASCEND
    return next(row for row in table if device_mib < row[0])


def read_mib(accelerator: Accelerator) -> float:
    """The size of a device as the engine reads it: what the driver's tool names, for an NPU what a process sees. [MiB]"""
    return (visible_bytes(accelerator) if is_ascend(accelerator) else accelerator.memory_bytes) / MiB


def verified_tokens(deployment: Deployment) -> int:
    """Tokens of a request that one step verifies: its drafts and the token before them; 0 without drafts. [tokens]"""
    return deployment.speculative_tokens + 1 if deployment.speculative_tokens else 0


@lru_cache(maxsize=256)
def decode_graph_sizes(limit: int, *, drafts: bool) -> int:
    """How many batch sizes are captured for decoding, up to a limit. [graphs]

    >>> decode_graph_sizes(512, drafts=False), decode_graph_sizes(256, drafts=False), decode_graph_sizes(32, drafts=True)
    (52, 36, 20)
    """
    if drafts:
        sizes = [*range(1, 9), *range(10, 33, 2), *range(40, 65, 4), *range(72, 257, 8), *range(272, limit + 1, 16)]
    else:
        sizes = [1, 2, 4, 8, 12, *range(16, 257, 8), *range(272, 512, 16), *range(512, limit + 1, 32)]
    return sum(1 for size in sizes if size <= limit)


@lru_cache(maxsize=256)
def prefill_graph_sizes(limit: int) -> int:
    """How many token counts are captured for prefill, up to a limit. [graphs]

    >>> prefill_graph_sizes(8192), prefill_graph_sizes(16384)
    (58, 74)
    """
    sizes = [
        *range(4, 33, 4),
        *range(48, 257, 16),
        *range(288, 513, 32),
        *range(576, 1025, 64),
        *range(1280, 4097, 256),
        *range(4608, limit + 1, 512),
    ]
    return sum(1 for size in sizes if size <= limit)


def prefill_graph_limit(kinds: Kinds, chunk: int, version: tuple[int, ...]) -> int:
    """Most tokens of a captured prefill step: a chunk, less for latent attention. [tokens]"""
    if not kinds.latent:
        return chunk
    return min(chunk, 8192 if version >= (0, 5, 14) else 2048)


def captures_prefill(deployment: Deployment, kinds: Kinds, accelerator: Accelerator, version: tuple[int, ...]) -> bool:
    """Whether prefill steps are captured by default."""
    flags = deployment.flags
    off = ("disable_piecewise_cuda_graph", "disable_prefill_cuda_graph", "disable_cuda_graph")
    if version < (0, 5, 10) or deployment.enforce_eager or any(flags.get(name) for name in off):
        return False
    if accelerator.vendor.lower() != "nvidia" or deployment.pp > 1 or kinds.compressed or kinds.channel_gates:
        return False
    if version < (0, 5, 14):
        without = ("enable_lora", "enable_symm_mem", "enable_eplb", "enable_hierarchical_cache", "cpu_offload_gb", "disaggregation_mode")
        plain = not any(flags.get(name) for name in without) and flags.get("moe_a2a_backend", "none") == "none"
        return plain and not (kinds.towers or _attention_dp(deployment))
    return not kinds.towers or kinds.states or kinds.latent


def _attention_dp(deployment: Deployment) -> bool:
    return deployment.dp > 1 or bool(deployment.flags.get("enable_dp_attention", False))


def _step_share(device_mib: float, gpus: int, version: tuple[int, ...]) -> float:
    """Fixed steps by number of GPUs, before the rule of thumb."""
    steps = next(share for least, share in ((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (0, 0.88)) if gpus >= least)
    if version < (0, 4, 6):
        return steps
    share = steps if device_mib <= 80 * 1024 else 0.88
    if device_mib > 96 * 1024:
        share = min(share + 48 * 1024 * (1 - share) / device_mib, (device_mib - 18 * 1024) / device_mib)
    return share


def _bucket_share(device_mib: float, gpus: int, *, drafts: bool, attention_dp: bool) -> float:
    """By the size of the card, 0.4.7 to 0.5.2."""
    reserved = 32.0 * 1024
    for below, fixed, each in ((35, 2.8, 0.1), (90, 9.5, 0.5), (160, 12.0, 0.5)):
        if device_mib < below * 1024:
            reserved = (fixed + gpus * each) * 1024
            break
    reserved += (2 * 1024 if drafts else 0) + (4 * 1024 if attention_dp else 0)
    return float(static_share(device_mib=device_mib, reserved_mib=reserved))


def _share(
    deployment: Deployment, architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...], chunk: int, graph_limit: int
) -> float:
    """``--mem-fraction-static`` where nobody gave it."""
    kinds = kinds_of(architecture)
    device_mib, gpus = read_mib(accelerator), deployment.tp * deployment.dp * deployment.pp
    drafts, attention_dp = deployment.speculative_tokens > 0, _attention_dp(deployment)
    if version < (0, 4, 7):
        return _step_share(device_mib, gpus, version)
    if version < (0, 5, 3):
        share = _bucket_share(device_mib, gpus, drafts=drafts, attention_dp=attention_dp)
    else:
        prefill = 0.0
        if captures_prefill(deployment, kinds, accelerator, version):
            prefill = 1536.0 if kinds.latent else 8.0 * prefill_graph_sizes(chunk)
        decode = 0 if deployment.enforce_eager else graph_limit
        further = 0.0
        if drafts and version < (0, 5, 14):
            further += (4 if version >= (0, 5, 10) else 2) * 1024
        if deployment.flags.get("moe_a2a_backend") == "deepep" and decode and version >= (0, 5, 17):
            further += 2048
        per_request = (4.5 if graph_limit > 300 else 3.0) if attention_dp else 0.0
        reserved = reserved_for_activations_mib(
            activation_tokens=max(chunk, 2048),
            gpus=gpus,
            decode_graph_limit=decode,
            attention_dp=deployment.dp,
            dp_mib_per_request=per_request,
            prefill_graphs_mib=prefill,
            floor_mib=10 * 1024 if device_mib > 60 * 1024 else 0,
            further_mib=further,
        )
        share = float(static_share(device_mib=device_mib, reserved_mib=reserved))
    if kinds.towers and not deployment.flags.get("language_model_only", False):
        layers, width = tower_size(architecture)
        share = float(share_with_towers(share=share, tower_layers=layers, tower_width=width))
    return share


def tower_size(architecture: Architecture) -> tuple[int, int]:
    """Depth and width of the vision tower as the engine looks them up; where it finds none it takes 24 layers of 1,024."""
    section = architecture.config.get("vision_config")
    if not isinstance(section, dict):
        return 24, 1024
    layers = _whole(section, "num_hidden_layers", "vt_num_hidden_layers")
    width = _whole(section, "hidden_size", "vt_hidden_size")
    return (layers, width or 1024) if layers else (24, 1024)


def _whole(section: dict[str, Any], *names: str) -> int:
    for name in names:
        value = section.get(name)
        if isinstance(value, int) and 0 < value < 10**6:
            return value
    return 0


def page_tokens(deployment: Deployment, kinds: Kinds, accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Tokens of a page of the attention kernel that is the default. [tokens]"""
    if deployment.block_size:
        return deployment.block_size
    if kinds.compressed:
        return 256
    if is_ascend(accelerator) and version >= _ASCEND_SINCE:
        return _ASCEND_PAGE
    major = int(accelerator.capability)
    if kinds.sparse:
        return 64 if major else 1
    if major == 10 and version >= (0, 5, 6) and not kinds.states:
        return 64
    return 1


def _cache_precision(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...]) -> str:
    name, kinds = deployment.kv_precision.lower(), kinds_of(architecture)
    if kinds.compressed:
        return "fp8_e4m3"  # rows are packed whatever the option says
    if name == "auto" and (takes_stored_scales(deployment, architecture, version) or (kinds.sparse and accelerator.capability >= 10)):
        return "fp8_e4m3"
    return name


def takes_stored_scales(deployment: Deployment, architecture: Architecture, version: tuple[int, ...]) -> bool:
    """Whether "auto" means FP8, as the checkpoint has scales for it: configure_kv_cache_dtype of srt/model_executor reads what ModelOpt writes, and
    since sgl-project/sglang pull 35455 what compressed-tensors does. A copy that another one stands for says nothing of it.
    """
    if deployment.precision != "checkpoint" or architecture.quantization.ends or not asks_for_fp8(architecture):
        return False
    method = str(architecture.config.get("quantization_config", {}).get("quant_method", ""))
    return version >= (_COMPRESSED_SCALES_SINCE if method.startswith("compressed") else _MODELOPT_SCALES_SINCE)


def complete(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...]) -> Deployment:
    """Fill in every default that the operator left open; the number of requests follows from the pool, if nobody gave it."""
    kinds = kinds_of(architecture)
    ranks = deployment.tp * deployment.dp
    _, chunk, few, many = steps_by_memory(accelerator, version)
    chunk = deployment.max_num_batched_tokens or chunk
    requests = deployment.max_num_seqs
    if requests is None and deployment.speculative_tokens:
        requests = DRAFTING_REQUESTS
    if requests is None and kinds.compressed and version >= (0, 5, 12):
        requests = 256
    given = deployment.flags.get("cuda_graph_max_bs")
    graph_limit = int(given) if given else (few if ranks < 4 else many)
    if not given and deployment.max_num_seqs and version >= (0, 5, 21):
        graph_limit = min(graph_limit, deployment.max_num_seqs)
    share = deployment.memory_fraction
    if share is None:
        share = _share(deployment, architecture, accelerator, version, chunk, graph_limit)
    return replace(
        deployment,
        engine="sglang",
        max_model_len=deployment.max_model_len or architecture.max_position_embeddings or 4096,
        max_num_seqs=requests,
        max_num_batched_tokens=chunk,
        memory_fraction=share,
        block_size=page_tokens(deployment, kinds, accelerator, version),
        kv_precision=_cache_precision(deployment, architecture, accelerator, version),
        enforce_eager=deployment.enforce_eager or bool(deployment.flags.get("disable_cuda_graph", False)),
        flags={**deployment.flags, "cuda_graph_max_bs": graph_limit},
    )
