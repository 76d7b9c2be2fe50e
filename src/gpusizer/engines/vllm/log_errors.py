"""What vLLM says when it does not start, or when memory runs short while it serves, as codes.

Templates of: vllm/v1/core/kv_cache_utils.py, vllm/v1/worker/gpu_worker.py, gpu_model_runner.py, vllm/v1/engine/core.py, vllm/v1/metrics/loggers.py,
vllm/worker/worker.py, vllm/core/scheduler.py (V0), vllm/config, of 0.6 to 0.33.
"""

from __future__ import annotations

import re

from gpusizer.engines.base.log import LogPattern, LogRecord, Outcome

__all__ = ["CODES", "ERRORS", "STAGES"]

STAGES = {
    "load_model": "weights",
    "determine_available_memory": "profile",
    "determine_num_available_blocks": "profile",
    "profile_run": "profile",
    "initialize_from_config": "cache",
    "initialize_kv_cache": "cache",
    "initialize_cache": "cache",
    "capture_model": "graphs",
    "_dummy_sampler_run": "sampler",
    "execute_model": "request",
}
"""What the engine was at, by the function that a traceback passes through. The profile run of V0 passes through ``execute_model`` too."""

CODES = (
    "no-cache-memory",
    "request-too-long",
    "not-enough-free",
    "profiling-disturbed",
    "sampler-out-of-memory",
    "load-out-of-memory",
    "mamba-blocks-too-few",
    "preempted",
    "request-never-fits",
    "engine-failed",
    "engine-died",
    "heads-not-divided",
    "dtype-unsupported",
    "attention-unsupported",
    "quantization-unsupported",
    "architecture-unsupported",
    "context-beyond-model",
    "batch-below-context",
    "utilization-beyond-one",
    "gpus-too-few",
    "worker-failed",
    "worker-died",
    "unknown-argument",
    "raised",
    "raised-serving",
)
"""Codes of events of vLLM's own, with their parameters; those that all engines share stand in ``engines/base/log_common.py``:

no-cache-memory           - (a negative ``kv_available_gib_per_gpu`` is among the figures where it was printed)
request-too-long          max_model_len, kv_needed_gib, kv_available_gib_per_gpu, estimated_max_model_len; V0: max_model_len, kv_tokens
not-enough-free           initial_free_gib, total_gpu_memory_gib, gpu_memory_utilization, requested_gib
profiling-disturbed       initial_free_gib, free_now_gib (absent in V0): somebody else's memory changed during the profile run
sampler-out-of-memory     requests (of the sampler's or the pooler's warm-up)
load-out-of-memory        - (the weights did not fit)
mamba-blocks-too-few      max_num_seqs, mamba_blocks
preempted                 preemptions, of all intervals that were logged; also among the figures
torch-out-of-memory       has ``stage`` besides, one of :data:`STAGES`, where a traceback tells it
request-never-fits        - (V0: a request was given up, there are not enough blocks for it)
engine-failed             - the engine core did not come up: the cause stands in the lines before or behind it
engine-died               - the engine core ended while serving
heads-not-divided         heads, tp
dtype-unsupported         name (dtype), capability, gpu
attention-unsupported     gpu (no attention backend takes this model, type of cache and device)
quantization-unsupported  name, capability, needed_capability
architecture-unsupported  name
context-beyond-model      max_model_len, derived_max_model_len
batch-below-context       max_num_batched_tokens, max_model_len (chunked prefill off)
utilization-beyond-one    gpu_memory_utilization
gpus-too-few              gpus_asked, gpus_found (each may be absent)
worker-failed             method (V0, may be absent): a worker raised an error, which stands behind it
worker-died               exit_code (may be absent): the cause stands in the lines before
unknown-argument          name
raised                    name, reason: the first error of Python's, whatever it was; what explains it stands among the other events
raised-serving            name, reason: the first after the server was up, often of one request alone
"""


def _traced(match: re.Match[str], record: LogRecord) -> None:
    """The innermost function that tells what the engine was at."""
    stage = STAGES[match["_function"]]
    if stage != "request" or "stage" not in record.state:
        record.state["stage"] = stage


def _new_trace(_: re.Match[str], record: LogRecord) -> None:
    record.state.pop("stage", None)


def _ran_out(_: re.Match[str], record: LogRecord) -> None:
    if "stage" in record.state:
        record.state.setdefault("out_of_memory_stage", record.state["stage"])


_TRACE = (
    LogPattern(r"Traceback \(most recent call last\)", "Traceback (most", read=_new_trace, own=False),
    LogPattern(rf"line \d{{1,6}}, in (?P<_function>{'|'.join(STAGES)})\b", ", in ", read=_traced, own=False),
    LogPattern(r"out of memory\. Tried to allocate", "out of memory. Tried to allocate", read=_ran_out, own=False),
)

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
        r"max seq len \((?P<max_model_len>\d{1,12})\) is larger than the maximum number of tokens that can be stored in KV cache "
        r"\((?P<kv_tokens>\d{1,12})\)",
        "can be stored in KV cache",
        "request-too-long",
    ),
    LogPattern(r"estimated maximum model length is (?P<estimated_max_model_len>\d{1,12})", "estimated maximum model length is"),
    _refused(
        rf"Free memory on device(?: [\w:]{{1,16}})? \((?P<_initial_free_gib>{_X})/(?P<_total_gpu_memory_gib>{_X}) GiB\) on startup is less than "
        r"(?:desired GPU memory utilization|the engine's budget after excluding external process's weights) "
        rf"\((?P<_gpu_memory_utilization>[\d.]{{1,8}}), (?P<_requested_gib>{_X}) GiB\)",
        "on startup is less than",
        "not-enough-free",
    ),
    _refused(
        rf"Error in memory profiling\. Initial free memory (?P<_initial_free_gib>{_X}) GiB, current free memory (?P<_free_now_gib>{_X}) GiB",
        "Error in memory profiling",
        "profiling-disturbed",
    ),
    _refused(r"Error in memory profiling\. Initial (?:free|used) memory \d{8,16}, current", "Error in memory profiling", "profiling-disturbed"),
    _refused(
        r"out of memory occurred when warming up (?:sampler|pooler \(task=\w{1,40}\)) with (?P<_requests>\d{1,7}) dummy requests",
        "occurred when warming up",
        "sampler-out-of-memory",
        outcome="out-of-memory",
    ),
    _refused(r"Failed to load model - not enough GPU memory", "Failed to load model - not", "load-out-of-memory", outcome="out-of-memory"),
    _refused(r"Cannot auto-fit max_model_len: not enough GPU memory", "Cannot auto-fit max_model_len", "no-cache-memory"),
    _refused(
        r"max_num_seqs \((?P<max_num_seqs>\d{1,7})\) exceeds available Mamba cache blocks \((?P<mamba_blocks>\d{1,9})\)",
        "available Mamba cache blocks",
        "mamba-blocks-too-few",
    ),
    LogPattern(
        r"is preempted by PreemptionMode\.\w{4,12} mode[^|]{0,300}?total_num_cumulative_preemption=(?P<preemptions>\d{1,9})",
        "is preempted by",
        keep="most",
        event="preempted",
        later=True,
    ),
    LogPattern(r" reqs, (?:[^|]{1,60}, )?Preemptions: (?P<preemptions>\d{1,9})", "Preemptions: ", keep="sum", event="preempted", later=True),
    LogPattern(r"because there's not enough kv cache blocks to run the entire sequence", "not enough kv cache blocks", event="request-never-fits"),
)

_ENGINE = (
    _refused(r"EngineCore(?:Proc)? failed to start", "failed to start", "engine-failed"),
    _refused(r"Engine core initialization failed", "Engine core initialization failed", "engine-failed"),
    _refused(r"Engine process failed to start", "Engine process failed", "engine-failed"),
    LogPattern(r"EngineCore hit an exception", "EngineCore hit", outcome="refused", event="engine-failed", event_serving="engine-died"),
    _refused(r"WorkerProc hit an exception", "WorkerProc hit an", "worker-failed"),
    _refused(r"Exception in worker \w{1,40} while processing method (?P<_method>\w{1,40})", "while processing method", "worker-failed"),
    LogPattern(r"EngineCore encountered (?:a fatal error|an issue)", "EngineCore encountered", event="engine-died", later=True),
    LogPattern(r"\b(?:Async)?EngineDeadError\b", "EngineDeadError", event="engine-died"),
    LogPattern(r"AsyncLLMEngine has failed, terminating", "AsyncLLMEngine has failed", event="engine-died", later=True),
    LogPattern(
        r"(?:Worker|Engine core) proc \S{1,64} died unexpectedly(?: \(exit code: (?P<_exit_code>-?\d{1,4})\))?",
        "died unexpectedly",
        event="worker-died",
        later=True,
    ),
    _refused(
        r"World size \((?P<_gpus_asked>\d{1,5})\) is larger than the number of available GPUs \((?P<_gpus_found>\d{1,4})\)",
        "is larger than the number of available",
        "gpus-too-few",
    ),
    _refused(
        r"please set tensor_parallel_size \((?P<_gpus_asked>\d{1,5})\) to less than max local gpu count \((?P<_gpus_found>\d{1,4})\)",
        "max local gpu count",
        "gpus-too-few",
    ),
    _refused(
        r"available GPUs in the placement group\."
        r"(?: ?Required number of devices: (?P<_gpus_asked>\d{1,5})\. Total number of devices: (?P<_gpus_found>\d{1,5}))?",
        "in the placement group",
        "gpus-too-few",
    ),
    _refused(
        r"GPU memory utilization must be less than 1\.0\. Got (?P<_gpu_memory_utilization>[\d.]{1,12})",
        "must be less than 1.0",
        "utilization-beyond-one",
    ),
    _refused(r"No valid attention backend found for (?P<gpu>[^|]{2,48}?) with ", "No valid attention backend", "attention-unsupported"),
    _refused(
        r"Unknown quantization method: (?P<_name>[\w-]{1,40})\.",
        "Unknown quantization method",
        "quantization-unsupported",
    ),
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
        r"The quantization method (?P<_name>[\w-]{1,40}) is not supported for the current GPU\. "
        r"[Mm]inimum capability: (?P<_needed_capability>\d{1,3})\. "
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
    LogPattern(
        r"(?:^|[\]\)>|] {1,4})(?P<_name>(?:[a-z_]\w{0,30}\.){0,6}[A-Z]\w{0,40}Error): (?P<_reason>[^|\n]{1,300})",
        "Error: ",
        event="raised",
        event_serving="raised-serving",
        own=False,
    ),
    _refused(r"error: unrecognized arguments: (?P<_name>[^|\n]{1,200})", "unrecognized arguments", "unknown-argument"),
)

ERRORS = (*_TRACE, *_MEMORY, *_ENGINE)
