"""What SGLang prints when it starts, and what it says when memory runs out. It writes GB for 2**30 bytes."""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar

__all__ = ["CODES", "LOG"]

CODES = (
    "no-memory-for-cache",
    "weights-leave-nothing",
    "swa-pool-too-small",
    "state-cache-too-small",
    "token-limit-above-profiled",
    "memory-unbalanced",
    "graph-capture-failed",
    "prefill-out-of-memory",
    "decode-out-of-memory",
    "requests-retracted",
    "pool-leak",
)
"""What may happen, with the parameters that its line tells:

no-memory-for-cache
    ``mem_fraction_static`` where the line repeats it: no token finds room beside the weights.
weights-leave-nothing
    ``mem_fraction_static``, ``min_mem_fraction_static``: the weights alone pass the share; from the second share on it would do.
swa-pool-too-small
    ``swa_tokens``: the pool of the window layers holds not even one request.
state-cache-too-small
    No room for the states of linear-attention layers.
token-limit-above-profiled
    ``max_total_tokens``, ``profiled_max_total_tokens``: more tokens were asked for than fit; below zero nothing fits.
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

LOG = LogGrammar(engine="sglang", patterns=())
