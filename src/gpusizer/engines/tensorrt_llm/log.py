"""What TensorRT-LLM prints when it starts, from PyTorch and from an engine file, and what it says when memory runs out."""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar

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

LOG = LogGrammar(engine="tensorrt-llm", patterns=())
