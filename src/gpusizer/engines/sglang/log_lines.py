"""What SGLang will print of a start (sgl-project/sglang: model_executor/model_runner.py, mem_cache/memory_pool.py, managers/scheduler.py).

It writes GB for 2**30 bytes. Versions differ in what stands where nothing is predicted.
"""

from __future__ import annotations

from gpusizer.engines.base.log_lines import LogLine

__all__ = ["LINES"]

LINES = (
    LogLine("Load weight end. … avail mem=… GB, mem usage={weights_bytes:.2f} GB.", "weights_bytes", fits_only=False),
    LogLine("max_total_num_tokens={kv_cache_tokens:.0f}, … context_len={context_tokens:.0f}, available_gpu_mem=… GB", "kv_cache_tokens"),
)
