"""Memory of one GPU: weights after sharding, cache rows and blocks, activation peak, and the budget that is left for the cache."""

from __future__ import annotations

from gpusizer.formulas.memory import (
    activation,
    budget,
    cache_blocks,
    constants,
    host,
    kv_cache,
    llama_cpp,
    loaded,
    pool_sizes,
    pools,
    shares,
    stages,
    step_peaks,
    steps,
    weights,
)

__all__ = [
    "activation",
    "budget",
    "cache_blocks",
    "constants",
    "host",
    "kv_cache",
    "llama_cpp",
    "loaded",
    "pool_sizes",
    "pools",
    "shares",
    "stages",
    "step_peaks",
    "steps",
    "weights",
]
