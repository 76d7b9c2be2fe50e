"""What TensorRT-LLM will print of a start (NVIDIA/TensorRT-LLM: cpp/tensorrt_llm/batch_manager/kvCacheManager.cpp); the last such line counts."""

from __future__ import annotations

from gpusizer.engines.base.log_lines import LogLine

__all__ = ["LINES"]

LINES = (
    LogLine(
        "[MemUsageChange] Allocated {kv_cache_pool_bytes:.2f} GiB for max tokens in paged KV cache ({kv_cache_tokens:.0f}).", "kv_cache_pool_bytes"
    ),
)
