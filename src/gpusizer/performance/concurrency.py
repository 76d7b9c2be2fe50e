"""How many requests run together: room in the cache, and the engine's own limits."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

from gpusizer.architecture.model import Architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import GpusizerError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.step_work import UNBOUNDED_ROWS, Work
from gpusizer.performance.types import Load
from gpusizer.units import GB

__all__ = ["budget_tokens", "running_slots"]

# Share of the device that an engine takes, without flags; what runs beside weights and cache.
_SHARE = {"vllm": 0.90, "sglang": 0.86, "tensorrt-llm": 0.92}
_BESIDE_BYTES = 3 * GB
_TIGHT = 0.6  # the engine's answer against the rough estimate
_TIGHT_SHARE, _LEAST_SHARE = 0.96, 0.02
# TensorRT-LLM keeps room for the whole answer from the start (GUARANTEED_NO_EVICT); the others let a request grow.
_RESERVED_OUTPUT = {"tensorrt-llm": 1.0}
_MOST_SEQUENCES = {"tensorrt-llm": 2048.0, "sglang": 2048.0}
_LARGE_BYTES = 70 * GB


def _large(accelerator: Accelerator) -> bool:
    """Devices for which vLLM raises its defaults: 70 GB and more, but not A100."""
    return accelerator.memory_bytes >= _LARGE_BYTES and accelerator.compute_capability != "8.0"


def budget_tokens(accelerator: Accelerator, deployment: Deployment) -> float:
    """Most tokens of one step, as asked for or by the engine's default. [tokens]"""
    if deployment.max_num_batched_tokens:
        return float(deployment.max_num_batched_tokens)
    family = engine_family(deployment.engine)
    if family == "vllm":
        return 8192.0 if _large(accelerator) else 2048.0
    if family == "sglang":
        return 16384.0 if accelerator.memory_bytes > 160 * GB else 8192.0
    return {"llama.cpp": 2048.0}.get(family, 8192.0)


def engine_fit(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, load: Load) -> Fit | None:
    """What the engine says about requests of this length; None where it is not modelled, refuses the layout, or does not fit by its own account."""
    held = ceil(_held_tokens(engine_family(deployment.engine), load))
    plain = replace(deployment, max_model_len=max(held, 16))
    try:
        fit = get_engine(deployment.engine).fit(plain, architecture, accelerator)
    except GpusizerError:
        return None
    return fit if fit.max_concurrency >= 1 else None


def _held_tokens(family: str, load: Load) -> float:
    """Tokens that a request keeps in the cache, on average over its life or reserved from the start. [tokens]"""
    return load.input_tokens + load.output_tokens * _RESERVED_OUTPUT.get(family, 0.5)


def running_slots(work: Work, accelerator: Accelerator, deployment: Deployment, load: Load, fit: Fit | None = None) -> float:
    """Requests of this load that one data-parallel rank runs together, one at least. [requests]"""
    family = engine_family(deployment.engine)
    held = _held_tokens(family, load)
    most = float(deployment.max_num_seqs or _MOST_SEQUENCES.get(family) or (1024.0 if _large(accelerator) else 256.0))
    room = rough = max(_pool_bytes(work, accelerator, deployment, family) / max(_request_bytes(work, deployment, held, load), 1.0), 1.0)
    if fit is not None and fit.max_concurrency > 0:
        room = fit.max_concurrency * (fit.deployment.max_model_len or held) / max(held, 1.0) / deployment.dp
        if room < _TIGHT * rough:  # weights fill the device: a small difference of large figures, which operators mend with flags
            room = sqrt(room * rough)
    return min(max(room, 1.0), most)


def _pool_bytes(work: Work, accelerator: Accelerator, deployment: Deployment, family: str) -> float:
    dense = sum(float(linear.weight_bytes) for linear in work.linears) + 2 * float(work.head.weight_bytes)
    routed = sum(float(block.layers * block.experts * block.expert_bytes) for block in work.experts) / max(deployment.ep, 1)
    share = deployment.memory_fraction or _SHARE.get(family, 0.88)
    weights = (dense + routed) / deployment.pp
    memory = accelerator.memory_bytes
    # a start that needs more than the usual share was given more: what is measured did start
    return max(memory * share - weights - _BESIDE_BYTES, memory * _TIGHT_SHARE - weights, memory * _LEAST_SHARE)


def _request_bytes(work: Work, deployment: Deployment, held: float, load: Load) -> float:
    whole = load.input_tokens + load.output_tokens
    size = 0.0
    for one in work.attends:
        bounded = one.cap_rows < UNBOUNDED_ROWS and not one.scan_bytes and one.ratio == 1
        rows = min(one.cap_rows, whole) if bounded else held / one.ratio
        size += one.layers * (rows * one.row_bytes + held * one.scan_bytes + one.state_bytes / 2)
    return size / deployment.pp
