"""What llama.cpp and its forks print when they load a model, and what they say when memory runs out."""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar

__all__ = ["CODES", "LOG"]

CODES = (
    "device-allocation-failed",
    "model-allocation-failed",
    "kv-allocation-failed",
    "state-allocation-failed",
    "compute-allocation-failed",
    "pinned-allocation-failed",
    "retry-without-pipeline",
    "fit-projected",
    "fit-unchanged",
    "fit-reduced-context",
    "fit-failed",
    "pipeline-copies",
    "context-below-training",
    "context-above-training",
    "no-gpu-used",
    "lock-failed",
    "v-cache-needs-flash-attention",
    "model-load-failed",
    "context-creation-failed",
    "no-cache-slot",
    "device-out-of-memory",
)
"""What may happen, with the parameters that its line tells:

device-allocation-failed
    ``failed_alloc_mib``, ``device``: the driver gave no buffer of that size.
model-allocation-failed, kv-allocation-failed, state-allocation-failed, compute-allocation-failed
    What the buffer was for: weights, cache, recurrent state, workspace of the graph. ``device`` where it is told.
pinned-allocation-failed
    ``pinned_mib``: host memory could not be pinned; it runs, slower.
retry-without-pipeline
    The copies of the pipeline found no room; one copy is tried.
fit-projected
    ``projected_mib``, ``free_mib``: what it reckoned before it loaded.
fit-unchanged
    ``left_mib``, ``target_mib``: it fits as asked.
fit-reduced-context
    ``before``, ``after``, ``saved_mib``: the context was cut by ``--fit``.
fit-failed
    ``reason``.
pipeline-copies
    ``copies``: workspaces are kept several times to overlap devices.
context-below-training, context-above-training
    ``context``, ``trained``.
no-gpu-used
    All of it runs on the processor: no device was found, or the build knows none.
lock-failed
    Host memory could not be locked.
v-cache-needs-flash-attention
    A quantised V cache was asked for without flash attention: it does not start.
model-load-failed, context-creation-failed
    ``reason`` where it is told.
no-cache-slot
    ``batch_tokens`` where it is told: a request found no cells while serving.
device-out-of-memory
    The device ran out of memory while it computed.
"""

LOG = LogGrammar(engine="llama.cpp", patterns=())
