"""What llama.cpp says when something does not fit: at the start, while ``--fit`` looks for what does, and while it serves."""

from __future__ import annotations

import re

from gpusizer.engines.base.log import LogPattern, LogRecord

__all__ = ["ERRORS"]


def _no_room(_match: re.Match[str], record: LogRecord) -> None:
    """Nothing was allocated; whether that ended the start shows later: some buffers are tried again, smaller."""
    record.state["no_room"] = True


def _refused(_match: re.Match[str], record: LogRecord) -> None:
    record.state["refused"] = True


_ALLOCATION = (
    LogPattern(
        r"allocating (?P<failed_alloc_mib>[\d.]{1,12}) MiB on device (?P<_device>\d{1,3}): \w{3,24} failed",
        " MiB on device ",
        event="device-allocation-failed",
        read=_no_room,
    ),
    LogPattern(
        r"failed to allocate (?P<_device>[A-Za-z]\w{0,31}) buffer of size (?P<failed_alloc_mib>\d{1,15})(?P<failed_alloc_mib__unit>)",
        " buffer of size ",
        event="device-allocation-failed",
        read=_no_room,
    ),
    LogPattern(
        r"Device memory allocation of size (?P<failed_alloc_mib>\d{1,15})(?P<failed_alloc_mib__unit>) failed",
        "Device memory allocation of size",
        event="device-allocation-failed",
        read=_no_room,
    ),
    LogPattern(
        r"failed to allocate buffer, size = +(?P<failed_alloc_mib>[\d.]{1,12}) MiB",
        "failed to allocate buffer, size",
        event="device-allocation-failed",
        read=_no_room,
    ),
    LogPattern(
        r"unable to allocate (?P<_device>[A-Za-z]\w{0,31})(?: [\w()]{1,32}){0,4}? buffer",
        "unable to allocate",
        event="model-allocation-failed",
        read=_no_room,
    ),
    LogPattern(r"allocateMemory: ErrorOutOfDeviceMemory", "ErrorOutOfDeviceMemory", event="device-allocation-failed", read=_no_room),
    LogPattern(
        r"insufficient memory \(attempted to allocate (?P<failed_alloc_mib>[\d.]{1,12}) MB\)",
        "insufficient memory (attempted",
        event="host-allocation-failed",
        read=_no_room,
    ),
    LogPattern(r"failed to allocate buffer for kv cache", "buffer for kv cache", event="kv-allocation-failed", read=_no_room),
    LogPattern(r"failed to allocate buffer for rs cache", "buffer for rs cache", event="state-allocation-failed", read=_no_room),
    LogPattern(r"failed to allocate compute (?:\w{2} )?buffers", "failed to allocate compute", event="compute-allocation-failed", read=_no_room),
    LogPattern(r"failed to allocate (?P<_pinned_mib>[\d.]{1,12}) MiB of pinned memory", "of pinned memory", event="pinned-allocation-failed"),
    LogPattern(r"compute buffer allocation failed, retrying without pipeline", "retrying without pipeline", event="retry-without-pipeline"),
)

_FIT = (
    LogPattern(
        r"projected to use (?P<total_self_mib>\d{1,9}) MiB of (?:device|host) memory vs\. (?P<projected_free_mib>\d{1,9}) MiB",
        "projected to use ",
        event="fit-projected",
    ),
    LogPattern(
        r"will leave (?P<_left_mib>-?\d{1,9}) >= (?P<_target_mib>\d{1,9}) MiB of [\w ]{4,24}, no changes needed",
        "no changes needed",
        event="fit-unchanged",
    ),
    LogPattern(r"targets for free memory can be met on all devices, no changes needed", "no changes needed", event="fit-unchanged"),
    LogPattern(
        r"context size reduced from (?P<_before>\d{1,10}) to (?P<_after>\d{1,10}) -> need (?P<_saved_mib>\d{1,9}) MiB less",
        "context size reduced from",
        event="fit-reduced-context",
    ),
    LogPattern(r"failed to fit params to free device memory: (?P<_reason>[^|\n]{1,160})", "failed to fit params", event="fit-failed"),
)

_REFUSED = (
    LogPattern(r"pipeline parallelism enabled(?: \(n_copies=(?P<_copies>\d{1,2})\))?", "pipeline parallelism enabled", event="pipeline-copies"),
    LogPattern(
        r"n_ctx(?:_per|_pre)?_seq \((?P<_context>\d{1,10})\) < n_ctx_train \((?P<_trained>\d{1,10})\)",
        ") < n_ctx_train (",
        event="context-below-training",
    ),
    LogPattern(
        r"n_ctx(?:_per|_pre)?_seq \((?P<_context>\d{1,10})\) > n_ctx_train \((?P<_trained>\d{1,10})\)",
        ") > n_ctx_train (",
        event="context-above-training",
    ),
    LogPattern(r"no usable GPU found, --gpu-layers option will be ignored", "no usable GPU found", event="no-gpu-used"),
    LogPattern(r"not compiled with (?:support for )?GPU offload", "not compiled with", event="no-gpu-used"),
    LogPattern(r"ggml_cuda_init: failed to initialize (?:CUDA|ROCm)", "failed to initialize", event="no-gpu-used"),
    LogPattern(r"failed to mlock \d{1,15}-byte buffer", "failed to mlock", event="lock-failed"),
    LogPattern(
        r"(?:V cache quantization requires flash_attn|quantized V cache was requested, but this requires Flash Attention)",
        "V cache",
        event="v-cache-needs-flash-attention",
        read=_refused,
    ),
    LogPattern(r"error loading model: (?P<_reason>[^|\n]{1,200})", "error loading model: ", event="model-load-failed", read=_refused),
    LogPattern(r"failed to create[ _]context with model", "failed to create", event="context-creation-failed", read=_refused),
)

_SERVING = (
    LogPattern(
        r"failed to find (?:a memory slot for batch of size (?P<_batch_tokens>\d{1,9})|free space in the KV cache)",
        "failed to find ",
        event="no-cache-slot",
        later=True,
    ),
    *(
        LogPattern(words, words, event="device-out-of-memory", read=_no_room, own=False, later=True)
        for words in (" error: out of memory", "kIOGPUCommandBufferCallbackErrorOutOfMemory")
    ),
)

ERRORS = (*_ALLOCATION, *_FIT, *_REFUSED, *_SERVING)
