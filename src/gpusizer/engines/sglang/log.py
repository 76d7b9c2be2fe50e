"""What SGLang prints when it starts, and what it says when memory runs out. It writes GB for 2**30 bytes.

Templates: sgl-project/sglang, python/sglang/srt/mem_cache/kv_cache_configurator.py, memory_pool.py, swa_memory_pool.py and allocation.py,
model_executor/model_runner.py and pool_configurator.py, managers/scheduler.py; older ones of releases since 0.3.
"""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar, LogPattern
from gpusizer.engines.base.log_common import COMMON, command_pattern
from gpusizer.engines.sglang.log_errors import ERRORS
from gpusizer.engines.sglang.log_pools import (
    compressed_sized,
    finish,
    free_before,
    graph_began,
    graph_ended,
    pool_allocated,
    pool_ended,
    pool_of_windows,
    tokens_sized,
    weights_loaded,
    weights_without_head,
)
from gpusizer.engines.sglang.log_start import cache_type, device_of_kernels, free_in_the_end, limits, server_arguments

__all__ = ["CODES", "LOG"]

CODES = tuple(dict.fromkeys(each.event for each in ERRORS))
"""What may happen, with the parameters that its line tells (each may be absent):

no-memory-for-cache
    ``mem_fraction_static``: no token finds room beside the weights.
weights-leave-nothing
    ``mem_fraction_static``, ``min_mem_fraction_static``: the weights alone pass the share; from the second share on it would do.
swa-pool-too-small
    ``swa_tokens``, ``window``: the pool of the window layers holds not even one request.
state-cache-too-small
    ``left_gib``, ``mamba_slots``: no room for the states of linear-attention layers.
token-limit-above-profiled
    ``max_total_tokens``, ``profiled_max_total_tokens``: more tokens were asked for than fit; below zero nothing fits.
requests-limited-by-state
    ``running_requests``, ``mamba_slots``, ``slots_per_request``: fewer requests run at once, because states find no room.
requests-limited-by-cache
    ``asked``, ``running_requests``: fewer requests run at once than was asked for.
memory-unbalanced
    ``least_free_gib``, ``own_free_gib``: another process sits on one of the GPUs.
graph-capture-failed
    ``reason``.
prefill-out-of-memory, decode-out-of-memory
    The cache ran out while serving and nothing could be evicted.
requests-retracted
    ``retracted_requests``: running requests went back to the queue because the cache was full.
pool-leak
    The engine counts its own pool wrong and ends.
"""

_RANK = r"(?:(?P<_rank>(?:[A-Z]{2,8}\d{1,4} ?){1,6})\] ?)?"  # behind the time: "DP0 TP0]"
_FREE = r"avail mem=(?P<_free>-?\d{1,5}\.\d{1,4})"
_REST = r"(?P<_rest>[^|\n]{0,4000})"
_GB = r"\d{1,5}\.\d{1,4}"
_HEAD = _RANK + r"(?:(?:Post-capture KV sizing: )?KV [Cc]ache(?: is)? allocated\. ?)?(?:dtype: [\w.]{1,32}, )?(?:#tokens: (?P<_tokens>\d{1,12}), )?"

_START = (
    LogPattern(r"server_args=ServerArgs\((?P<_args>[^|]{1,60000})", "server_args=", read=server_arguments),
    LogPattern(r"\bsglang(?:==|[ -]?v|:v)(?P<engine_version>\d{1,2}\.\d{1,3}\.\d{1,3}(?:\.?(?:post|dev|rc)\d{1,4})?)", "sglang", own=False),
    LogPattern(r"sglang/srt/\w", "sglang/srt/"),
    LogPattern(r"\bsglang\.(?:launch_server|bench_\w)", "sglang."),
    LogPattern(r"device_name=(?P<_device>[\w.-]{2,64}?)(?:,|\.json|$)", "device_name=", read=device_of_kernels, own=False),
    LogPattern(r"(?:Using KV cache dtype: |KV Cache is allocated\. dtype: )torch\.(?P<_type>\w{4,24})", "KV ", read=cache_type),
)

_MEMORY = (
    LogPattern(rf"(?:Init torch distributed ends\.|Memory baseline taken\.)[^|\n]{{0,40}} mem usage=(?P<init_dist_gib>{_GB})", "mem usage="),
    LogPattern(rf"Load weight begin\. {_FREE}", "Load weight begin.", read=free_before),
    LogPattern(rf"{_RANK}Load weight end\.{_REST}", "Load weight end.", read=weights_loaded),
    LogPattern(rf"(?:^|\| )mem usage=(?P<_used>{_GB}) GB, {_FREE}", "mem usage=", read=weights_without_head),
    LogPattern(r"\bavailable memory for KV cache is (?P<kv_budget_gib>-?\d{1,5}\.\d{1,4}) GB", "available memory for KV cache is"),
    LogPattern(
        r"Memory profiling: available_gpu_memory=(?P<avail_after_weights_gib>[\d.]{3,9}) GB, "
        r"total_gpu_memory=(?P<total_gpu_memory_gib>[\d.]{3,9}) GB, "
        r"mem_fraction_static=(?P<mem_fraction_static>[\d.]{1,9}), rest_memory=(?P<kv_budget_gib>-?[\d.]{3,9}) GB",
        "Memory profiling:",
    ),
    LogPattern(rf"{_HEAD}KV size: (?P<_keys>{_GB}) ?GB(?P<_values>)", " KV size: ", read=pool_allocated),
    LogPattern(rf"{_HEAD}K size: (?P<_keys>{_GB}) ?GB, V size: (?P<_values>{_GB}) ?GB", "K size: ", read=pool_allocated),
    LogPattern(
        rf"SWAKVPool mem usage: (?P<_used>{_GB}) GB, swa size: (?P<swa_tokens>\d{{1,12}}), full size: (?P<_tokens>\d{{1,12}})",
        "SWAKVPool mem",
        read=pool_of_windows,
    ),
    LogPattern(
        r"full_layer_tokens=(?P<_tokens>\d{1,12}), swa_layer_tokens=(?P<swa_tokens>\d{1,12})", "full_layer_tokens=", "last", read=tokens_sized
    ),
    LogPattern(
        r"DS[Vv]4 memory calculation: bytes_per_full_token=(?P<bytes_per_full_token>[\d.]{3,12}), available_bytes=(?P<_used>\d{1,5}\.\d{1,4}) GB, "
        r"(?:\w{2,40}=[\d.]{1,9} GB, ){0,4}full_token=(?P<_tokens>\d{1,12})",
        "4 memory calculation:",
        read=compressed_sized,
    ),
    LogPattern(r"DSV4 pool sizes: full=(?P<_tokens>\d{1,12}), swa=(?P<swa_tokens>\d{1,12})", "DSV4 pool sizes:", "last", read=tokens_sized),
    LogPattern(
        rf"Mamba Cache is allocated\. max_mamba_cache_size: (?P<mamba_slots>\d{{1,9}}), conv_state size: (?P<mamba_conv_gib>{_GB}) ?GB,? "
        rf"ssm_state size: (?P<mamba_ssm_gib>{_GB}) ?GB,?"
        rf"(?: intermediate_ssm_state_cache size: (?P<mamba_drafts_ssm_gib>{_GB}) ?GB,? "
        rf"intermediate_conv_window_cache size: (?P<mamba_drafts_conv_gib>{_GB}))?",
        "Mamba Cache is allocated.",
    ),
    LogPattern(rf"{_RANK}Memory pool end\. {_FREE}", "Memory pool end.", read=pool_ended),
    LogPattern(rf"Capture (?P<_kind>[\w ()/-]{{1,60}}?) begin[.,]{_REST}", "Capture ", read=graph_began),
    LogPattern(rf"{_RANK}Capture (?P<_kind>[\w ()/-]{{1,60}}?) end\.{_REST}", "Capture ", read=graph_ended),
    LogPattern(r"Reserving (?P<multimodal_reserve_gib>[\d.]{3,9}) GB of the KV budget", "of the KV budget"),
    LogPattern(
        r"['\"]weight['\"]: (?P<weights_gib_per_gpu>[\d.]{1,9}), ['\"]kvcache['\"]: (?P<kv_gib_per_gpu>[\d.]{1,9}), "
        r"['\"]token_capacity['\"]: (?P<kv_tokens>\d{1,12}), ['\"]graph['\"]: (?P<cuda_graph_gib>[\d.]{1,9})",
        "token_capacity",
    ),
    LogPattern(
        rf"max_total_num_tokens['\"]?[=: ]{{1,2}}(?P<_tokens>\d[\d,]{{0,15}}\b){_REST}", "max_total_num_tokens", outcome="starts", read=limits
    ),
    LogPattern(rf"available_gpu_mem=(?P<_free>-?{_GB}) ?GB", "available_gpu_mem=", read=free_in_the_end),
    LogPattern(r"The server is fired up and ready to roll!", "ready to roll!", outcome="starts", serves=True),
)

_LAUNCHED = command_pattern(r"(?:python[\d.]{0,5} -m )?sglang(?:\.launch_server|\.bench_\w{2,32}|\s+serve)", "sglang")

LOG = LogGrammar(
    engine="sglang",
    patterns=(*_START, *_MEMORY, *ERRORS, _LAUNCHED, *COMMON),
    words=frozenset({"_rank", "_rest", "_args", "_kind", "_device", "_reason", "_values", "_command"}),
    finish=finish,
    begins=("server_args=ServerArgs(",),
)
