"""How many requests run together: room in the cache, and the engine's own limits, as its answer about memory has them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf, sqrt

from gpusizer.architecture.model import Architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.step_work import UNBOUNDED_ROWS, Work
from gpusizer.performance.types import Load

__all__ = ["completed", "memory_answer", "running_slots"]

_TIGHT = 0.6  # the engine's answer against the rough estimate
_TIGHT_SHARE, _LEAST_SHARE = 0.96, 0.02
# TensorRT-LLM keeps room for the whole answer from the start (GUARANTEED_NO_EVICT); the others let a request grow.
_RESERVED_OUTPUT = {"tensorrt-llm": 1.0}


def modelled_engine(name: str) -> Engine:
    """The engine of a name; for one whose memory is not modelled, the nearest that is."""
    try:
        return get_engine(name)
    except UnknownIdError as error:
        if error.code != "engine-not-modelled":
            raise
        return get_engine(error.parameters["nearest"][0])


def completed(architecture: Architecture, accelerator: Accelerator, deployment: Deployment) -> Deployment:
    """The deployment with every default that the operator left open, as the engine fills it in before memory is looked at."""
    return modelled_engine(deployment.engine).complete(deployment, architecture, accelerator)


def memory_answer(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, load: Load) -> Fit:
    """What the engine says about requests of this length: its defaults, and how many fit.

    Where nothing fits by its account, limits that it read off the empty pool are none of its defaults.
    """
    held = max(ceil(_held_tokens(engine_family(deployment.engine), load)), 16)
    asked = replace(deployment, max_model_len=held)
    fit = modelled_engine(deployment.engine).fit(asked, architecture, accelerator)
    return fit if fit.max_concurrency >= 1 else replace(fit, deployment=completed(architecture, accelerator, asked))


def _held_tokens(family: str, load: Load) -> float:
    """Tokens that a request keeps in the cache, on average over its life or reserved from the start. [tokens]"""
    return load.input_tokens + load.output_tokens * _RESERVED_OUTPUT.get(family, 0.5)


def running_slots(work: Work, accelerator: Accelerator, load: Load, fit: Fit) -> float:
    """Requests of this load that one data-parallel rank runs together, one at least. [requests]"""
    deployment = fit.deployment
    held = _held_tokens(engine_family(deployment.engine), load)
    most = float(modelled_engine(deployment.engine).rank_requests(deployment) or inf)
    room = rough = max(_pool_bytes(work, accelerator, deployment) / max(_request_bytes(work, deployment, held, load), 1.0), 1.0)
    if fit.max_concurrency >= 1:  # where the engine says that nothing fits, the start that is asked about was mended with flags
        room = fit.max_concurrency * (deployment.max_model_len or held) / max(held, 1.0) / deployment.dp
        if room < _TIGHT * rough:  # weights fill the device: a small difference of large figures, which operators mend with flags
            room = sqrt(room * rough)
    return min(max(room, 1.0), most)


def _pool_bytes(work: Work, accelerator: Accelerator, deployment: Deployment) -> float:
    """Room for the cache of a start that is known to have worked. [bytes]"""
    dense = sum(float(linear.weight_bytes) for linear in work.linears) + 2 * float(work.head.weight_bytes)
    routed = sum(float(block.layers * block.experts * block.expert_bytes) for block in work.experts) / max(deployment.ep, 1)
    weights = (dense + routed) / deployment.pp
    return max(accelerator.memory_bytes * _TIGHT_SHARE - weights, accelerator.memory_bytes * _LEAST_SHARE)


def _request_bytes(work: Work, deployment: Deployment, held: float, load: Load) -> float:
    whole = load.input_tokens + load.output_tokens
    size = 0.0
    for one in work.attends:
        bounded = one.cap_rows < UNBOUNDED_ROWS and not one.scan_bytes and one.ratio == 1
        rows = min(one.cap_rows, whole) if bounded else held / one.ratio
        size += one.layers * (rows * one.row_bytes + held * one.scan_bytes + one.state_bytes / 2)
    return size / deployment.pp
