"""What Ollama prints beside the llama.cpp inside of it: its own estimate, the runner that it starts, and why a load failed."""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar

__all__ = ["CODES", "LOG"]

CODES = (
    "host-memory-short",
    "runner-ended",
    "model-load-failed",
    "prompt-cut",
    "context-above-training",
    "kv-type-without-flash-attention",
    "no-gpu-used",
    "memory-not-returned",
)
"""What may happen beside what llama.cpp says (``gpusizer.engines.llama_cpp.log.CODES``), with the parameters that its line tells:

host-memory-short
    ``needed_gib``, ``available_gib``: the model was refused because the host has too little memory.
runner-ended
    ``reason``: the process that runs the model ended while it loaded or served.
model-load-failed
    ``reason``.
prompt-cut
    ``limit``, ``prompt_tokens``: the context is shorter than the prompt; its beginning was left out.
context-above-training
    ``context``, ``trained``.
kv-type-without-flash-attention
    The cache stays in 16 bits because flash attention is off.
no-gpu-used
    No usable device was found.
memory-not-returned
    Memory of the model that was unloaded did not come back in time.
"""

LOG = LogGrammar(engine="ollama", patterns=())
