"""What SGLang says when memory runs out: at the start, and while it serves."""

from __future__ import annotations

import re

from gpusizer.engines.base.log import LogPattern, LogRecord

__all__ = ["ERRORS"]


def _nothing_fits(match: re.Match[str], record: LogRecord) -> None:
    """A pool of less than no tokens ends the start."""
    if int(match["profiled_max_total_tokens"]) <= 0:
        record.outcome = "out-of-memory"


def _capture_failed(match: re.Match[str], record: LogRecord) -> None:
    if "out of memory" in match["_reason"]:
        record.outcome = "out-of-memory"


ERRORS = (
    LogPattern(
        r"Not enough memory[.;] [Pp]lease try to increase --mem-fraction-static(?:\.? Current value: (?P<_mem_fraction_static>0?\.\d{1,9}))?",
        "to increase --mem-fraction-static",
        outcome="out-of-memory",
        event="no-memory-for-cache",
    ),
    LogPattern(
        r"weights leave no GPU memory for the KV cache under --mem-fraction-static=(?P<mem_fraction_static>0?\.\d{1,9})",
        "leave no GPU memory for the KV cache",
        outcome="out-of-memory",
        event="weights-leave-nothing",
    ),
    LogPattern(
        r"\(minimum viable = (?:1 - available/pre = )?(?P<min_mem_fraction_static>0?\.\d{1,9}|1\.\d{1,9})",
        "(minimum viable = ",
        outcome="out-of-memory",
        event="weights-leave-nothing",
    ),
    LogPattern(
        r"SWA pool \((?P<_swa_tokens>-?\d{1,12}) tokens\) cannot hold even one request(?:[^|\n]{0,80}sliding_window_size \((?P<_window>\d{1,9})\))?",
        "SWA pool (",
        outcome="out-of-memory",
        event="swa-pool-too-small",
    ),
    LogPattern(
        r"Not enough GPU memory for hybrid \(mamba/linear-attention\) state cache(?:[^|]{0,200}total_rest_memory=(?P<_left_gib>-?[\d.]{1,9}))?",
        "Not enough GPU memory for hybrid",
        outcome="out-of-memory",
        event="state-cache-too-small",
    ),
    LogPattern(
        r"state cache is too small to serve any requests\. max_mamba_cache_size=(?P<_mamba_slots>-?\d{1,9})",
        "state cache is too small",
        outcome="out-of-memory",
        event="state-cache-too-small",
    ),
    LogPattern(
        r"max_total_tokens=(?P<_max_total_tokens>\d{1,12}) is larger than the profiled value (?P<profiled_max_total_tokens>-?\d{1,12})",
        "larger than the profiled value",
        event="token-limit-above-profiled",
        read=_nothing_fits,
    ),
    LogPattern(
        r"max_running_requests is capped to (?P<_running_requests>\d{1,9}) by the mamba state cache "
        r"\(max_mamba_cache_size=(?P<_mamba_slots>\d{1,9}), (?P<_slots_per_request>\d{1,4})",
        "is capped to",
        event="requests-limited-by-state",
    ),
    LogPattern(
        r"max_running_requests was reduced from the requested (?P<_asked>\d{1,9}) to (?P<_running_requests>\d{1,9})",
        "was reduced from the requested",
        event="requests-limited-by-cache",
    ),
    LogPattern(
        r"The memory capacity is unbalanced\.(?:[^|\n]{0,80}(?:min_per_gpu_memory|pre_model_load_memory)=(?P<_least_free_gib>[\d.]{1,20}), "
        r"local_gpu_memory=(?P<_own_free_gib>[\d.]{1,20}))?",
        "memory capacity is unbalanced",
        outcome="refused",
        event="memory-unbalanced",
    ),
    LogPattern(
        r"Capture (?:cuda|npu|cpu|xpu) graph failed: (?P<_reason>[^|\n]{1,300})",
        "graph failed: ",
        outcome="refused",
        event="graph-capture-failed",
        read=_capture_failed,
    ),
    LogPattern(r"Prefill out of memory\. Try to lower your batch size", "Prefill out of memory.", event="prefill-out-of-memory", later=True),
    LogPattern(r"Decode out of memory\. Try to lower your batch size", "Decode out of memory.", event="decode-out-of-memory", later=True),
    LogPattern(
        r"KV cache pool is full\. Retract requests\.(?: #retracted_reqs: (?P<_retracted_requests>\d{1,6}))?",
        "Retract requests.",
        event="requests-retracted",
        later=True,
    ),
    LogPattern(r"(?:memory|KV cache pool|req_to_token_pool) leak detected", "leak detected", event="pool-leak", later=True),
)
