"""What vLLM says when it does not start, or when memory runs short while it serves, as codes.

Templates of: vllm/v1/core/kv_cache_utils.py, vllm/v1/worker/gpu_worker.py, gpu_model_runner.py, vllm/v1/engine/core.py, vllm/v1/metrics/loggers.py,
vllm/worker/worker.py, vllm/core/scheduler.py (V0), vllm/config, of 0.6 to 0.33.
"""

from __future__ import annotations

from gpusizer.engines.base.log import LogPattern, Outcome

__all__ = ["CODES", "ERRORS"]

CODES = (
    "no-cache-memory",
    "request-too-long",
    "not-enough-free",
    "profiling-disturbed",
    "sampler-out-of-memory",
    "mamba-blocks-too-few",
    "graph-capture-failed",
    "preempted",
    "preempted-count",
    "engine-failed",
    "engine-died",
    "heads-not-divided",
    "dtype-unsupported",
    "quantization-unsupported",
    "architecture-unsupported",
    "context-beyond-model",
    "batch-below-context",
    "gpus-too-few",
    "unknown-argument",
)
"""Codes of events of vLLM's own, with their parameters; those that all engines share stand in ``engines/base/log_common.py``:

no-cache-memory           - (a negative ``kv_available_gib_per_gpu`` is among the figures where it was printed)
request-too-long          max_model_len, kv_needed_gib, kv_available_gib_per_gpu, estimated_max_model_len; V0: max_model_len, kv_tokens
not-enough-free           initial_free_gib, total_gpu_memory_gib, gpu_memory_utilization, requested_gib
profiling-disturbed       initial_free_gib, free_now_gib: somebody else's memory changed during the profile run
sampler-out-of-memory     requests
mamba-blocks-too-few      max_num_seqs, mamba_blocks
graph-capture-failed      -
preempted                 total (V0's cumulative count); the event's ``count`` is how often it was said
preempted-count           preemptions (of an interval, V1)
engine-failed             - the engine core did not come up: the cause stands in the lines before or behind it
engine-died               - the engine core ended while serving
heads-not-divided         heads, tp
dtype-unsupported         name (dtype), capability, gpu
quantization-unsupported  name, capability, needed_capability
architecture-unsupported  name
context-beyond-model      max_model_len, derived_max_model_len
batch-below-context       max_num_batched_tokens, max_model_len (chunked prefill off)
gpus-too-few              gpus_asked, gpus_found
unknown-argument          name
"""

_X = r"-?\d{1,7}(?:\.\d{1,20})?"


def _refused(pattern: str, needs: str, event: str, *, outcome: Outcome = "refused") -> LogPattern:
    return LogPattern(pattern, needs, outcome=outcome, event=event)


_MEMORY = (
    _refused(r"No available memory for the cache blocks", "No available memory for the cache", "no-cache-memory"),
    _refused(
        rf"with the model(?:'s|s's|)? max seq len \((?P<max_model_len>\d{{1,12}})\), \(?(?P<kv_needed_gib>{_X}) Gi?B KV cache is ?needed, "
        rf"which is larger than the available KV [Cc]ache memory\s?\((?P<kv_available_gib_per_gpu>{_X}) Gi?B\)"
        r"(?:[^|]{0,80}?estimated maximum model length is (?P<estimated_max_model_len>\d{1,12}))?",
        "larger than the available KV",
        "request-too-long",
    ),
    _refused(
        r"max seq len \((?P<max_model_len>\d{1,12})\) is larger than the maximum number of tokens that can be stored in KV cache \((?P<kv_tokens>\d{1,12})\)",
        "can be stored in KV cache",
        "request-too-long",
    ),
    LogPattern(r"estimated maximum model length is (?P<estimated_max_model_len>\d{1,12})", "estimated maximum model length is"),
    _refused(
        rf"Free memory on device(?: [\w:]{{1,16}})? \((?P<_initial_free_gib>{_X})/(?P<_total_gpu_memory_gib>{_X}) GiB\) on startup is less than "
        rf"desired GPU memory utilization \((?P<_gpu_memory_utilization>[\d.]{{1,8}}), (?P<_requested_gib>{_X}) GiB\)",
        "is less than desired GPU memory",
        "not-enough-free",
    ),
    _refused(
        rf"Error in memory profiling\. Initial free memory (?P<initial_free_gib>{_X})(?: GiB)?, current free memory (?P<_free_now_gib>{_X})",
        "Error in memory profiling",
        "profiling-disturbed",
    ),
    _refused(
        r"out of memory occurred when warming up sampler with (?P<_requests>\d{1,7}) dummy requests",
        "warming up sampler with",
        "sampler-out-of-memory",
        outcome="out-of-memory",
    ),
    _refused(
        r"max_num_seqs \((?P<max_num_seqs>\d{1,7})\) exceeds available Mamba cache blocks \((?P<mamba_blocks>\d{1,9})\)",
        "available Mamba cache blocks",
        "mamba-blocks-too-few",
    ),
    LogPattern(
        r"is preempted by PreemptionMode\.\w{4,12} mode[^|]{0,300}?total_num_cumulative_preemption=(?P<_total>\d{1,9})",
        "is preempted by",
        event="preempted",
    ),
)

_ENGINE = (
    _refused(r"EngineCore failed to start|Engine core initialization failed|Engine process failed to start", "failed", "engine-failed"),
    LogPattern(r"EngineCore encountered (?:a fatal error|an issue)|EngineDeadError|AsyncEngineDeadError", "Engine", event="engine-died"),
    _refused(
        r"Total number of (?:attention )?heads \((?P<_heads>\d{1,5})\) must be divisible by tensor parallel size \((?P<_tp>\d{1,4})\)",
        "must be divisible by tensor",
        "heads-not-divided",
    ),
    _refused(
        r"(?P<_name>[Bb]f?loat16) is only supported on GPUs with compute capability of at least [\d.]{1,5}\. "
        r"Your (?P<gpu>[^|]{3,48}?) GPU has compute capability (?P<_capability>[\d.]{1,5})",
        "is only supported on GPUs with",
        "dtype-unsupported",
    ),
    _refused(
        r"The quantization method (?P<_name>[\w-]{1,40}) is not supported for the current GPU\. [Mm]inimum capability: (?P<_needed_capability>\d{1,3})\. "
        r"Current capability: (?P<_capability>\d{1,3})",
        "The quantization method",
        "quantization-unsupported",
    ),
    _refused(
        r"Model architectures \['(?P<_name>\w{1,80})'\] (?:are not supported|failed to be inspected)",
        "Model architectures",
        "architecture-unsupported",
    ),
    _refused(
        r"User-specified max_model_len \((?P<max_model_len>\d{1,12})\) is greater than the derived max_model_len "
        r"\([\w.]{1,60}=(?P<_derived_max_model_len>[\d.]{1,12})",
        "greater than the derived max_model_len",
        "context-beyond-model",
    ),
    _refused(
        r"max_num_batched_tokens \((?P<max_num_batched_tokens>\d{1,9})\) is smaller than max_model_len \((?P<max_model_len>\d{1,12})\)",
        "is smaller than max_model_len",
        "batch-below-context",
    ),
    _refused(r"error: unrecognized arguments: (?P<_name>[^|\n]{1,200})", "unrecognized arguments", "unknown-argument"),
)

ERRORS = (*_MEMORY, *_ENGINE)
