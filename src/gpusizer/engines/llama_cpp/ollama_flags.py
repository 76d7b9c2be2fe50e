"""Ollama's settings: ollama/ollama, envconfig/config.go, and the options of a request (docs/modelfile.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.engines.llama_cpp.flags import BACKEND, DEVICES, devices_of, settle_backend

__all__ = ["FLAGS", "settle", "settle_case"]

FLAGS: tuple[Flag, ...] = (
    DEVICES,
    BACKEND,
    Flag("--num-ctx", "tokens", "max_model_len", ("OLLAMA_CONTEXT_LENGTH", "--context-length"), 1, MAX_TOKENS, case=("context_len",)),
    Flag("--num-parallel", "count", "max_num_seqs", ("OLLAMA_NUM_PARALLEL",), 1, 1 << 16),
    Flag("--kv-cache-type", "word", also=("OLLAMA_KV_CACHE_TYPE",)),
    Flag("--flash-attention", "setting", also=("OLLAMA_FLASH_ATTENTION",)),
    Flag("--gpu-overhead", "bytes", also=("OLLAMA_GPU_OVERHEAD",), high=1 << 50),
    Flag("--n-gpu-layers", "setting", also=("--num-gpu", "OLLAMA_NUM_GPU")),
    Flag("--device", "word"),
    Flag("--model", "word", effect=Effect.NOTHING),
    Flag("--quantization", "word"),
    Flag("--sched-spread", "setting", also=("OLLAMA_SCHED_SPREAD",), effect=Effect.NOTHING),
    Flag("--keepalive", "word", also=("OLLAMA_KEEP_ALIVE",), effect=Effect.NOTHING),
    *passed_over(switches="--verbose --insecure --nowordwrap --hidethinking", settings="--think", values="--format --dimensions"),
)
"""Every setting that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields: the number of devices.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        Nothing: all of it is counted.
    """
    settle_backend(values)
    count = devices_of(values) or values.pop("visible_gpus", 0)
    if count and not {"gpus", "tp", "pp"} & values.keys():
        values["pp"] = count
    return ()


def settle_case(row: Mapping[str, Any], fields: dict[str, Any], flags: dict[str, Any]) -> None:
    """A measured case names its backend in words of its own."""
    settle_backend(flags)
