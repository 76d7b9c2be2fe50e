"""What llama.cpp will print of a start, also where Ollama runs it.

Source: ggml-org/llama.cpp: src/llama-model.cpp, llama-kv-cache.cpp, llama-context.cpp.
"""

from __future__ import annotations

from gpusizer.engines.base.log_lines import LogLine
from gpusizer.units import MiB

__all__ = ["LINES"]

LINES = (
    LogLine("{device} model buffer size = {model_buffer_bytes:8.2f} MiB", "model_buffer_bytes", unit_bytes=MiB, one_device=True),
    LogLine("{device} KV buffer size = {kv_buffer_bytes:8.2f} MiB", "kv_buffer_bytes", unit_bytes=MiB, one_device=True),
    LogLine("{device} compute buffer size = {compute_buffer_bytes:8.2f} MiB", "compute_buffer_bytes", unit_bytes=MiB),
)
