"""What vLLM measures while it starts: weights, peaks, cache, graphs; and the lines that prove that it is up.

Templates of: vllm/worker/worker.py, vllm/executor (V0, 0.6 to 0.9); vllm/v1/worker/gpu_worker.py, gpu_model_runner.py,
vllm/v1/core/kv_cache_utils.py, vllm/v1/metrics/loggers.py,
vllm/utils/mem_utils.py (V1, 0.8 to 0.33); vllm_ascend/worker. Sizes are GiB, where old versions print "GB" too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpusizer.engines.base.log import LogPattern, LogRecord
from gpusizer.units import GiB

__all__ = ["MEMORY"]

_X = r"-?\d{1,7}(?:\.\d{1,6})?"
_N = r"\d[\d,]{0,20}"
_GB = r"\s?G(?:i)?B"


def _npu_memory(match: re.Match[str], record: LogRecord) -> None:
    """vLLM-Ascend prints bytes."""
    record.put("kv_available_gib_per_gpu", int(match["_available"]) / GiB)
    record.put("total_gpu_memory_gib", int(match["_total"]) / GiB)


def _old_budget() -> Iterator[LogPattern]:
    """The budget of V0, one sentence or a table by version."""
    yield LogPattern(rf"total_gpu_memory \((?P<total_gpu_memory_gib>{_X}){_GB}\)", "total_gpu_memory (")
    yield LogPattern(r"x gpu_memory_utilization \((?P<gpu_memory_utilization>[\d.]{1,8})\)", "x gpu_memory_utilization (")
    yield LogPattern(rf"total_gpu_memory\s{{2,12}}(?P<total_gpu_memory_gib>{_X}){_GB}", "total_gpu_memory  ")
    yield LogPattern(r"gpu_memory_utilization\s{2,12}(?P<gpu_memory_utilization>[\d.]{1,8})", "gpu_memory_utilization  ")
    yield LogPattern(rf"model weights take\s{{1,12}}(?P<weights_gib_per_gpu>{_X}){_GB}", "model weights take ")
    yield LogPattern(rf"non_torch_memory(?: takes|)\s{{1,12}}(?P<non_torch_gib>{_X}){_GB}", "non_torch_memory")
    yield LogPattern(rf"PyTorch activation peak memory(?: takes|)\s{{1,12}}(?P<activation_peak_gib>{_X}){_GB}", "PyTorch activation peak memory")
    yield LogPattern(rf"memory reserved for KV Cache is\s{{1,4}}(?P<kv_available_gib_per_gpu>{_X}){_GB}", "reserved for KV Cache is")
    yield LogPattern(rf"available_kv_cache_memory\s{{1,12}}(?P<kv_available_gib_per_gpu>{_X}){_GB}", "available_kv_cache_memory")
    yield LogPattern(
        rf"Memory profiling results: (?:duration=[\d.]{{1,12}} seconds, )?total_gpu_memory=(?P<total_gpu_memory_gib>{_X})GiB,? "
        rf"initial_memory_usage={_X}GiB,? peak_torch_memory={_X}GiB,? memory_usage_post_profile={_X}GiB,? "
        rf"non_torch_memory=(?P<non_torch_gib>{_X})GiB,? kv_cache_size=(?P<kv_available_gib_per_gpu>{_X})GiB,? "
        r"gpu_memory_utilization=(?P<gpu_memory_utilization>[\d.]{1,8})",
        "Memory profiling results:",
    )


def _budget() -> Iterator[LogPattern]:
    """The budget of V1, at the levels INFO and DEBUG."""
    yield LogPattern(
        rf"init memory snapshot: .{{0,60}}?free_memory=(?P<initial_free_gib>{_X})GiB, total_memory=(?P<total_gpu_memory_gib>{_X})GiB",
        "memory snapshot: ",
    )
    yield LogPattern(rf"worker requested memory: (?P<requested_gib>{_X})GiB", "worker requested memory")
    yield LogPattern(
        rf"Total non KV cache memory: (?P<total_non_kv_gib>{_X})GiB; torch peak memory increase: (?P<activation_peak_gib>{_X})GiB; "
        rf"non-torch forward increase memory: (?P<non_torch_gib>{_X})GiB; weights memory: (?P<weights_gib_per_gpu>{_X})GiB",
        "Total non KV cache memory",
    )
    yield LogPattern(
        rf"total consumed \(from mem_get_info\): (?P<weights_plus_non_torch_gib>{_X})GiB; weights memory: (?P<weights_gib_per_gpu>{_X})GiB",
        "total consumed",
    )
    yield LogPattern(
        rf"Free memory on device(?: [\w:]{{1,16}})? \((?P<initial_free_gib>{_X})/(?P<total_gpu_memory_gib>{_X}) GiB\) on startup",
        "Free memory on device",
    )
    yield LogPattern(
        rf"[Dd]esired GPU memory utilization (?:is )?\((?P<gpu_memory_utilization>[\d.]{{1,8}}), (?P<requested_gib>{_X}) GiB\)",
        "esired GPU memory utiliz",
    )
    yield LogPattern(rf"Actual usage is (?P<weights_gib_per_gpu>{_X}) GiB for weight\b", "Actual usage is")
    yield LogPattern(rf"Actual usage is (?P<weights_plus_non_torch_gib>{_X}) GiB for consumed memory", "Actual usage is", outcome="starts")
    yield LogPattern(
        rf"Initial free memory: (?P<initial_free_gib>{_X}) GiB; "
        rf"Requested memory: (?P<gpu_memory_utilization>[\d.]{{1,8}}) \(util\), (?P<requested_gib>{_X})",
        "Requested memory: ",
    )
    yield LogPattern(rf"(?P<activation_peak_gib>{_X}) GiB for peak activation", "for peak activation")
    yield LogPattern(rf"(?P<non_torch_gib>{_X}) GiB for non-torch memory", "for non-torch memory", outcome="starts")
    yield LogPattern(rf"(?P<cuda_graph_gib>{_X}) GiB for CUDAGraph memory", "for CUDAGraph memory")
    yield LogPattern(rf"Current kv cache memory in use is (?P<kv_available_gib_per_gpu>{_X}) GiB", "Current kv cache memory")
    yield LogPattern(
        rf"Initial free memory (?P<initial_free_gib>{_X}) GiB,? reserved (?P<kv_available_gib_per_gpu>{_X}) GiB (?:memory )?for KV",
        "Initial free memory",
    )
    yield LogPattern(
        r"The current --gpu-memory-utilization=(?P<gpu_memory_utilization>[\d.]{1,8}) is equivalent to "
        r"--gpu-memory-utilization=(?P<gpu_memory_utilization_without_graphs>[\d.]{1,8}) without",
        "The current --gpu-memory-utilization",
    )


def _cache() -> Iterator[LogPattern]:
    """The pool of the cache."""
    yield LogPattern(rf"Available KV cache memory:? {{1,12}}(?P<kv_available_gib_per_gpu>{_X}){_GB}", "Available KV cache memory")
    yield LogPattern(r"Available memory: (?P<_available>\d{6,16}), total memory: (?P<_total>\d{6,16})", "Available memory: ", read=_npu_memory)
    yield LogPattern(rf"(?:GPU|[A-Z]{{2,6}})(?: \+ host)? KV cache size:? {{1,20}}(?P<kv_tokens>{_N}) tokens", "KV cache size")
    yield LogPattern(
        rf"Maximum concurrency for (?P<max_model_len>{_N}) tokens(?: per |/)request:? {{1,4}}(?P<max_concurrency>[\d,]{{1,12}}(?:\.\d+)?)x",
        "Maximum concurrency",
    )
    yield LogPattern(rf"# \w{{2,12}} blocks: (?P<kv_blocks>{_N}), # CPU blocks: (?P<cpu_blocks>{_N})", "# CPU blocks")
    yield LogPattern(rf"num_gpu_blocks is: (?P<kv_blocks>{_N})", "num_gpu_blocks is")
    yield LogPattern(r"Auto-fit max_model_len: reduced from \d{1,12} to (?P<max_model_len>\d{1,12}) to fit", "Auto-fit max_model_len", keep="last")
    yield LogPattern(r"may waste at most (?P<padding_waste_percent>[\d.]{1,6})% KV cache", "padding layers")
    yield LogPattern(r"Padding mamba page size by (?P<mamba_padding_percent>[\d.]{1,6})%", "Padding mamba page")
    yield LogPattern(r"KV cache size by the [dp]?cp_world_size (?P<cp>\d{1,4})", "cp_world_size")


def _weights_and_graphs() -> Iterator[LogPattern]:
    yield LogPattern(rf"[Mm]odel loading took `?(?P<weights_gib_per_gpu>{_X}){_GB}", "odel loading took")
    yield LogPattern(rf"[Ll]oading model weights took `?(?P<weights_gib_per_gpu>{_X}){_GB}", "oading model weights took")
    yield LogPattern(rf"Estimated (?:MRV2 )?CUDA graph memory:? (?P<cuda_graph_estimated_gib>{_X}) GiB", "Estimated ")
    yield LogPattern(
        rf"CUDA graph pool memory: (?P<cuda_graph_gib>{_X}) GiB \(actual\), (?P<cuda_graph_estimated_gib>{_X}) GiB", "CUDA graph pool memory"
    )
    yield LogPattern(rf"Graph capturing (?:finished[^|]{{0,40}}? )?took (?P<cuda_graph_gib>{_X}) Gi?B", "Graph capturing ")
    yield LogPattern(r"Graph capturing finished", "Graph capturing finished", outcome="starts")
    yield LogPattern(
        r"Encoder cache will be initialized with a budget of (?P<encoder_cache_tokens>\d{1,9}) tokens, "
        r"and profiled with (?P<profiled_items>\d{1,6}) ",
        "Encoder cache will be",
    )
    yield LogPattern(rf"init engine \(profile, create kv cache, warmup model\) took (?P<engine_init_s>{_X}) s", "init engine (", outcome="starts")


def _served() -> Iterator[LogPattern]:
    """Lines of a server that is up."""
    yield LogPattern(r"Starting vLLM API server", "Starting vLLM API server", outcome="starts", serves=True)
    yield LogPattern(r"Application startup complete", "Application startup complete", outcome="starts", serves=True, own=False)
    yield LogPattern(
        r"Running: (?P<requests_running_most>\d{1,6}) reqs, (?:Swapped: \d{1,6} reqs, )?(?:Waiting|Pending): (?P<requests_waiting_most>\d{1,6}) reqs,"
        r"[^|]{0,120}? KV cache usage: (?P<kv_usage_most_percent>[\d.]{1,6})%",
        "KV cache usage: ",
        keep="most",
        outcome="starts",
        serves=True,
    )


MEMORY = (*_weights_and_graphs(), *_budget(), *_cache(), *_old_budget(), *_served())
