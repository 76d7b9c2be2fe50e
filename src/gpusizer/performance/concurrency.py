"""How many requests run together: room in the cache, and the engine's own limits, as its answer about memory has them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

from gpusizer.architecture.model import Architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.concurrency import believed_room_requests, held_tokens, request_rows, room_requests, rough_room_requests
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.step_work import UNBOUNDED_ROWS, StepWork
from gpusizer.performance.types import Load

__all__ = ["completed", "memory_answer", "running_places"]

LEAST_CONTEXT = 16  # a start for requests of fewer tokens is refused by some engines


def _modelled_engine(name: str) -> Engine:
    """The engine of a name; for one whose memory is not modelled, the nearest that is."""
    try:
        return get_engine(name)
    except UnknownIdError as error:
        if error.code != "engine-not-modelled":
            raise
        return get_engine(error.parameters["nearest"][0])


def completed(architecture: Architecture, accelerator: Accelerator, deployment: Deployment) -> Deployment:
    """The deployment with every default that the operator left open, as the engine fills it in before memory is looked at."""
    return _modelled_engine(deployment.engine).complete(deployment, architecture, accelerator)


def memory_answer(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, load: Load) -> Fit:
    """What the engine says about requests of this length: its defaults, and how many fit.

    Where nothing fits by its account, limits that it read off the empty pool are none of its defaults.
    """
    held = max(ceil(_held(deployment, load, speed_constants(), unnoted)), LEAST_CONTEXT)
    asked = replace(deployment, max_model_len=held)
    fit = _modelled_engine(deployment.engine).fit(asked, architecture, accelerator)
    return fit if fit.max_concurrency >= 1 else replace(fit, deployment=completed(architecture, accelerator, asked))


def _held(deployment: Deployment, load: Load, constants: Constants, note: Note) -> float:
    """Tokens that a request keeps in the cache, on average over its life or reserved from the start. [tokens]"""
    share = constants.of("held_output", engine_family(deployment.engine), "other")
    return float(note("held_tokens", held_tokens)(input_tokens=load.input_tokens, output_tokens=load.output_tokens, output_share=share))


def running_places(work: StepWork, accelerator: Accelerator, fit: Fit, load: Load, note: Note = unnoted) -> float:
    """Requests of this load that one data-parallel rank runs together, one at least. [requests]

    Parameters
    ----------
    work : StepWork
        What a step must do.
    accelerator : Accelerator
        The device.
    fit : Fit
        The engine's own answer about memory.
    load : Load
        What is served.
    note : Note
        Writes down how the number came about.

    Returns
    -------
    float
        Requests. [requests]
    """
    deployment, constants = fit.deployment, speed_constants()
    held = _held(deployment, load, constants, note)
    rough = note("room_rough", rough_room_requests)(
        memory_bytes=accelerator.memory_bytes,
        device_share=constants.of("room", "device"),
        least_share=constants.of("room", "least"),
        weights_bytes=_weights_bytes(work, deployment),
        request_bytes=_request_bytes(work, deployment, held, load),
    )
    room = 0.0
    if fit.max_concurrency >= 1:  # where the engine says that nothing fits, the start that is asked about was mended with flags
        full = deployment.max_model_len or held
        room = note("room", room_requests)(pool_requests=fit.max_concurrency, full_tokens=full, held=held, ranks=deployment.dp)
    room = note("room_believed", believed_room_requests)(room=room, rough=rough, believed_share=constants.of("room", "believed"))
    return min(float(room), float(_modelled_engine(deployment.engine).rank_requests(deployment) or inf))


def _weights_bytes(work: StepWork, deployment: Deployment) -> float:
    dense = sum(float(linear.weight_bytes) for linear in work.linears) + 2 * float(work.head.weight_bytes)
    routed = sum(float(block.layers * block.experts * block.expert_bytes) for block in work.experts) / max(deployment.ep, 1)
    return (dense + routed) / deployment.pp


def _request_bytes(work: StepWork, deployment: Deployment, held: float, load: Load) -> float:
    whole = load.input_tokens + load.output_tokens
    size = 0.0
    for one in work.attention:
        window = one.cap_rows if not one.scan_bytes and one.ratio == 1 else UNBOUNDED_ROWS
        rows = request_rows(held=held, whole_tokens=whole, ratio=one.ratio, window_rows=window)
        size += one.layers * (rows * one.row_bytes + held * one.scan_bytes + one.state_bytes / 2)
    return size / deployment.pp
