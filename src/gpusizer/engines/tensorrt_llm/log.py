"""What TensorRT-LLM prints when it starts, from PyTorch and from an engine file, and what it says when memory runs out.

Templates: NVIDIA/TensorRT-LLM, tensorrt_llm/_torch/pyexecutor/_util.py and resource_manager.py, cpp/tensorrt_llm/batch_manager/kvCacheManager.cpp,
cpp/tensorrt_llm/runtime; releases since 0.5. A pool is made twice: a small one for the profile, then the one that serves.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gpusizer.engines.base.flag import Effect
from gpusizer.engines.base.log import LogGrammar, LogPattern, LogRecord, number_of
from gpusizer.engines.base.log_common import COMMON, command_pattern
from gpusizer.engines.base.log_values import printed_items, printed_value
from gpusizer.engines.tensorrt_llm.flags import FLAGS
from gpusizer.units import GiB, MiB

__all__ = ["CODES", "LOG"]

CODES = (
    "context-cut-to-cache",
    "window-cut-to-cache",
    "no-memory-for-cache",
    "executor-failed",
    "cuda-out-of-memory",
    "engine-allocation-failed",
)
"""What may happen, with the parameters that its line tells:

context-cut-to-cache
    ``max_seq_len``: a longer request would not fit into the cache, so it is refused from now on.
window-cut-to-cache
    ``attention_window``, ``upper_bound``: the cache holds fewer tokens than one window.
no-memory-for-cache
    Not even one request finds room beside the weights and the peak.
executor-failed
    ``reason``: the executor did not start on a rank.
cuda-out-of-memory
    The driver gave no more memory to the C++ runtime.
engine-allocation-failed
    ``failed_alloc_mib`` where the line tells it: the engine file finds no room.
"""

_ARGUMENTS = {
    "model": "model",
    "tensor_parallel_size": "tp",
    "pipeline_parallel_size": "pp",
    "moe_expert_parallel_size": "ep",
    "max_seq_len": "context_len",
    "max_batch_size": "max_running_requests",
    "max_num_tokens": "max_num_batched_tokens",
}
_SPELLINGS = {
    spelling.lstrip("-").split(".")[-1]: flag.name for flag in FLAGS if flag.effect is not Effect.NOTHING for spelling in (*flag.also, flag.spelling)
}
_CUTS = ("context-cut-to-cache", "window-cut-to-cache")


def _arguments(match: re.Match[str], record: LogRecord) -> None:
    """LlmArgs or a mapping of them: fields of a case, and flags by their names."""
    for name, printed in printed_items(match["_args"]):
        value = printed_value(printed)
        if isinstance(value, bool | int | float | str) and value not in ("", "auto", False):
            if name in _ARGUMENTS:
                record.put(_ARGUMENTS[name], value)
            if name in _SPELLINGS:
                record.flags.setdefault(_SPELLINGS[name], value)


def _fraction(match: re.Match[str], record: LogRecord) -> None:
    """The share is a 32-bit number: 0.8999999761581421."""
    record.flags.setdefault("kv_cache_free_gpu_memory_fraction", round(float(match["_fraction"]), 6))


def _pool(match: re.Match[str], record: LogRecord) -> None:
    """A pool; what was cut to it was said before it, and what was cut to an earlier one no longer holds."""
    record.state["pool"] = (float(match["_size"]), int(match["_tokens"]))
    record.state["cut"] = record.state.pop("cutting", {})


def _quota(match: re.Match[str], record: LogRecord) -> None:
    """The newer manager of caches says bytes alone."""
    record.state["quota_gib"] = round(float(match["_size"]), 2)


def _cut(match: re.Match[str], record: LogRecord) -> None:
    said = {name.lstrip("_"): int(value) for name, value in match.groupdict().items() if value is not None}
    record.state.setdefault("cutting", {})[_CUTS["upper_bound" in said]] = said


def _managed(match: re.Match[str], record: LogRecord) -> None:
    record.put("weights_gib_per_gpu", round(int(match["_managed"]) * MiB / GiB, 3))


def _workspace(match: re.Match[str], record: LogRecord) -> None:
    record.put("activation_gib", round(float(match["_workspace"]) * MiB / GiB, 3))


def _failed(match: re.Match[str], record: LogRecord) -> None:
    if "out of memory" in match["_reason"] or "insufficient GPU memory" in match["_reason"]:
        record.outcome = "out-of-memory"


def _finish(record: LogRecord) -> None:
    """The pool that serves: the last one, if that is not the temporary one; else what was reckoned for it."""
    size, tokens = record.state.get("pool", (None, None))
    temporary = record.state.get("temporary_gib")
    if size is not None and size != temporary:
        record.put("kv_gib_per_gpu", size)
        record.put("kv_tokens", tokens)
        if record.outcome == "unknown":
            record.outcome = "starts"
    quota = record.state.get("quota_gib")
    if size in (None, temporary) and quota is not None and quota != temporary:
        record.put("kv_gib_per_gpu", quota)
    for name, told in (("kv_gib_per_gpu", "reckoned_gib"), ("kv_tokens", "reckoned_tokens"), ("weights_gib_per_gpu", "weights_without_rest_gib")):
        if told in record.state:
            record.put(name, record.state[told])
    if "tp" in record.launch:
        record.put("gpu_count", record.launch["tp"] * record.launch.get("pp", 1))
    cuts = record.state.get("cutting") or record.state.get("cut", {})
    record.events[:] = [
        replace(each, parameters=cuts[each.code]) if each.code in cuts else each
        for each in record.events
        if each.code not in _CUTS or each.code in cuts
    ]


def _remember(match: re.Match[str], record: LogRecord) -> None:
    """Figures that count only where no later line says better."""
    for name, printed in match.groupdict().items():
        if name.startswith("_") and printed is not None:
            record.state[name[1:]] = number_of(printed)


_NUMBER = r"-?\d{1,6}\.\d{1,4}"
_PROFILED = "in memory usage profiling: "

_START = (
    LogPattern(r"TensorRT[- ]LLM version: (?P<engine_version>\d[\w.+-]{1,40})", "LLM version: "),
    LogPattern(r"\[(?:TRT-LLM|TensorRT-LLM)\]", "LLM]"),
    LogPattern(r"\[MemUsageChange\]", "[MemUsageChange]"),
    LogPattern(r"LlmArgs\((?P<_args>[^|]{1,60000})", "LlmArgs(", read=_arguments),
    LogPattern(r"TensorRT-LLM engine args: \{(?P<_args>[^|]{1,60000})", "engine args: {", read=_arguments),
    LogPattern(
        r"\bmax_seq_len=(?P<context_len>\d{1,9}), max_num_requests=(?P<max_running_requests>\d{1,7}), max_num_tokens=(?P<max_num_tokens>\d{1,8})",
        "max_num_requests=",
        keep="last",
    ),
    LogPattern(r"TRTGptModel maxNumTokens: (?P<max_num_tokens>\d{1,8})", "maxNumTokens: "),
    LogPattern(r"TRTGptModel maxBatchSize: (?P<max_running_requests>\d{1,7})", "maxBatchSize: "),
    LogPattern(r"TRTGptModel maxSequenceLen: (?P<context_len>\d{1,9})", "maxSequenceLen: "),
    LogPattern(r"Number of tokens per block: (?P<block_size>\d{1,5})", "tokens per block: "),
    LogPattern(r"tokens per block=(?P<block_size>\d{1,5}), primary blocks=(?P<kv_blocks>\d{1,9})", "primary blocks=", keep="last"),
)

_MEMORY = (
    LogPattern(rf"(?:Use|Rank \d{{1,4}} uses) (?P<_weights_without_rest_gib>{_NUMBER}) GB for model weights", "GB for model weights", read=_remember),
    LogPattern(rf"loading model weights \(inside torch\) {_PROFILED}(?P<weights_gib_per_gpu>{_NUMBER}) GiB", "weights (inside torch)"),
    LogPattern(rf"during inference \(inside torch\) {_PROFILED}(?P<activation_gib>{_NUMBER}) GiB", "inference (inside torch)", keep="last"),
    LogPattern(
        rf"outside torch \(e\.g\., NCCL and CUDA graphs\) {_PROFILED}(?P<outside_torch_gib>{_NUMBER}) GiB", "NCCL and CUDA graphs)", keep="last"
    ),
    LogPattern(
        rf"Peak memory during memory usage profiling \(torch \+ non-torch\): (?P<peak_gib>{_NUMBER}) GiB, "
        rf"available KV cache memory when calculating max tokens: (?P<_reckoned_gib>{_NUMBER}) GiB",
        "Peak memory during memory usage profiling",
        keep="last",
        read=_remember,
    ),
    LogPattern(r"fraction is set (?P<_fraction>[01]\.\d{1,20})", "fraction is set ", read=_fraction),
    LogPattern(r"kv size(?: per token)? is (?P<kv_bytes_per_token>\d{1,9}(?:\.\d{1,6})?)[.,] device", "kv size", keep="last"),
    LogPattern(rf"device total memory (?P<total_gib>{_NUMBER}) GiB", "device total memory "),
    LogPattern(
        rf"(?:tmp kv_mem|temporary kv cache memory during profiling) (?P<_temporary_gib>{_NUMBER}) GiB", "device total memory ", read=_remember
    ),
    LogPattern(r"Estimated max tokens in KV cache ?: (?P<_reckoned_tokens>\d{1,12})", "Estimated max tokens in KV", read=_remember),
    LogPattern(rf"Estimated max memory in KV cache ?: (?P<_reckoned_gib>{_NUMBER}) GiB", "Estimated max memory in KV", read=_remember),
    LogPattern(
        rf"Allocated (?P<_size>{_NUMBER}) GiB for max tokens in paged KV cache \((?P<_tokens>\d{{1,12}})\)",
        "for max tokens in paged KV cache",
        read=_pool,
    ),
    LogPattern(r"KV cache manager v2 device quota set to (?P<_size>\d{1,6}(?:\.\d{1,24})?) ?GiB", "device quota set to", read=_quota),
    LogPattern(r"Allocate (?P<kv_gib_per_gpu>\d{1,15})(?P<kv_gib_per_gpu__unit>) bytes for k/v cache", "bytes for k/v cache"),
    LogPattern(r"Using (?P<kv_tokens>\d{1,12}) tokens in paged KV cache", "tokens in paged KV cache", outcome="starts"),
    LogPattern(r"(?:KV cache primary pool: |\.primaryBlocks=)(?P<kv_blocks>\d{1,9})", "rimary", keep="last"),
    LogPattern(
        rf"in paged kv cache: total: (?P<total_gib>{_NUMBER}) GiB, available: (?P<avail_before_pool_gib>{_NUMBER}) GiB", "in paged kv cache: total"
    ),
    LogPattern(r"Loaded engine size: (?P<loaded_engine_mib>\d{1,7}) MiB", "Loaded engine size"),
    LogPattern(
        r"TensorRT-managed allocation in IExecutionContext creation: [^|\n]{0,40} now: CPU \d{1,7}, GPU (?P<_managed>\d{1,7}) \(MiB\)",
        "IExecutionContext creation",
        read=_managed,
    ),
    LogPattern(rf"Allocated (?P<_workspace>{_NUMBER}) MiB for execution context memory", "for execution context memory", read=_workspace),
    LogPattern(
        rf"Allocated (?P<runtime_buffers_gib>{_NUMBER}) (?P<runtime_buffers_gib__unit>[KMG]B) GPU memory for runtime buffers", "for runtime buffers"
    ),
    LogPattern(rf"Allocated (?P<decoder_gib>{_NUMBER}) (?P<decoder_gib__unit>[KMG]B) GPU memory for decoder", "GPU memory for decoder"),
    LogPattern(r"Application startup complete", "startup complete", outcome="starts", own=False, serves=True),
)

_ERRORS = (
    LogPattern(r"Adjusted max_seq_len to (?P<_max_seq_len>\d{1,9})", "Adjusted max_seq_len", event="context-cut-to-cache", read=_cut),
    LogPattern(
        r"[Ww]indow size (?P<_attention_window>\d{1,9}) exceeds upper bound (?P<_upper_bound>\d{1,9})",
        "exceeds upper bound",
        event="window-cut-to-cache",
        read=_cut,
    ),
    LogPattern(r"Impossible to fit in any sequence in kvCache", "sequence in kvCache", outcome="out-of-memory", event="no-memory-for-cache"),
    LogPattern(
        r"Executor creation failed due to insufficient GPU memory", "insufficient GPU memory", outcome="out-of-memory", event="no-memory-for-cache"
    ),
    LogPattern(
        r"Failed to initialize executor on rank \d{1,5}: (?P<_reason>[^|\n]{1,160})",
        "Failed to initialize executor",
        outcome="refused",
        event="executor-failed",
        read=_failed,
    ),
    LogPattern(
        r"CUDA runtime error in [^|\n]{1,200}?: out of memory",
        "CUDA runtime error in",
        outcome="out-of-memory",
        event="cuda-out-of-memory",
        later=True,
    ),
    LogPattern(
        r"Requested amount of GPU memory \((?P<failed_alloc_mib>\d{1,15}) (?P<failed_alloc_mib__unit>bytes)\) could not be allocated",
        "Requested amount of GPU memory",
        outcome="out-of-memory",
        event="engine-allocation-failed",
    ),
)

_LAUNCHED = command_pattern(r"trtllm-(?:serve|bench|llmapi-launch)", "trtllm-")

LOG = LogGrammar(
    engine="tensorrt-llm",
    patterns=(*_START, *_MEMORY, *_ERRORS, _LAUNCHED, *COMMON),
    words=frozenset({"_args", "_reason", "_command"}),
    finish=_finish,
    begins=("LLM version: ",),
)
