"""What vLLM will print of a start, version by version (vllm-project/vllm: v1/worker/gpu_worker.py, gpu_model_runner.py, v1/core/kv_cache_utils.py).

Versions 0.6.5 to 0.7 are those of the first engine (worker/worker.py).
"""

from __future__ import annotations

from gpusizer.engines.base.log_lines import LogLine

__all__ = ["LINES"]

_PROFILED = (
    "model weights take {weights_bytes:.2f}GiB; non_torch_memory takes {non_torch_bytes:.2f}GiB; PyTorch activation peak memory takes "
    "{activation_peak_bytes:.2f}GiB; the rest of the memory reserved for KV Cache is {kv_cache_pool_bytes:.2f}GiB."
)
_CONCURRENCY = "Maximum concurrency for {context_tokens:,.0f} tokens per request: {max_concurrency:.2f}x"

LINES = (
    LogLine(_PROFILED, "kv_cache_pool_bytes", (0, 6, 5), (0, 8), fits_only=False),
    LogLine("Model loading took {weights_bytes:.4f} GiB and … seconds", "weights_bytes", (0, 8), (0, 11, 1), fits_only=False),
    LogLine("Model loading took {weights_bytes:.4f} GiB memory and … seconds", "weights_bytes", (0, 11, 1), (0, 16), fits_only=False),
    LogLine("Model loading took {weights_bytes:short} GiB memory and … seconds", "weights_bytes", (0, 16), fits_only=False),
    LogLine("Estimated CUDA graph memory: {cuda_graph_estimated_bytes:.2f} GiB total", "cuda_graph_estimated_bytes", (0, 17), fits_only=False),
    LogLine("Available KV cache memory: {kv_cache_pool_bytes:.2f} GiB", "kv_cache_pool_bytes", (0, 8), (0, 16), fits_only=False),
    LogLine("Available KV cache memory: {kv_cache_pool_bytes:short} GiB", "kv_cache_pool_bytes", (0, 16), fits_only=False),
    LogLine("GPU KV cache size: {kv_cache_tokens:,.0f} tokens", "kv_cache_tokens", (0, 8), (0, 28)),
    LogLine(_CONCURRENCY, "max_concurrency", (0, 6), (0, 28)),
    LogLine("GPU KV cache size: {kv_cache_tokens:,.0f} tokens, " + _CONCURRENCY, "kv_cache_tokens", (0, 28)),
    LogLine("Graph capturing finished in … secs, took {cuda_graph_bytes:.2f} GiB", "cuda_graph_bytes", (0, 8)),
)
