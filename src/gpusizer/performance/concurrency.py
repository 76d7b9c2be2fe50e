"""How many requests run together: room in the cache, and the engine's own limits, as its answer about memory has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.concurrency import believed_room_requests, held_tokens, request_rows, room_requests, rough_room_requests
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.step_work import UNBOUNDED_ROWS, StepWork
from gpusizer.performance.types import Load

__all__ = ["CacheRoom", "Room", "cache_room", "completed", "memory_answer", "places_of", "running_places"]

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
    held = max(ceil(_held(deployment.engine, load, unnoted)), LEAST_CONTEXT)
    asked = replace(deployment, max_model_len=held)
    fit = _modelled_engine(deployment.engine).fit(asked, architecture, accelerator)
    settled = fit.deployment if fit.max_concurrency >= 1 else completed(architecture, accelerator, asked)
    if settled.engine != deployment.engine:  # the memory of another stands in; its own speeds stay its own
        settled = replace(settled, engine=deployment.engine)
    return fit if settled is fit.deployment else replace(fit, deployment=settled)


def _held(engine: str, load: Load, note: Note) -> Any:
    """Tokens that a request keeps in the cache, on average over its life or reserved from the start. [tokens]"""
    share = speed_constants().of("held_output", engine_family(engine), "other")
    return note("held_tokens", held_tokens)(input_tokens=load.input_tokens, output_tokens=load.output_tokens, output_share=share)


@dataclass(frozen=True, slots=True)
class Room:
    """What decides how many requests run together, beside their work; numbers, or figures of a sheet.

    Parameters
    ----------
    engine : str
        Who serves.
    memory_bytes : number
        Of the device. [bytes]
    pool_requests, full_tokens : number
        Requests that the engine's own answer holds, and their length; below 1 where it does not fit. [requests, tokens]
    most_requests : number
        That the engine runs at once. [requests]
    dp, ep, pp : number
        How a replica is cut.
    """

    engine: str
    memory_bytes: Any
    pool_requests: Any
    full_tokens: Any
    most_requests: Any
    dp: Any
    ep: Any
    pp: Any


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """What bounds the requests of one data-parallel rank, whatever their lengths.

    Parameters
    ----------
    tokens : float
        That its cache holds, of requests like those of the load. [tokens]
    most_requests : float
        That the engine runs at once. [requests]
    reserves_answers : bool
        The whole answer has its room from the start.
    """

    tokens: float
    most_requests: float
    reserves_answers: bool


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
    return float(places_of(work, _room_of(accelerator, fit), load, note))


def _room_of(accelerator: Accelerator, fit: Fit) -> Room:
    deployment = fit.deployment
    return Room(
        deployment.engine,
        accelerator.memory_bytes,
        fit.max_concurrency,
        deployment.max_model_len,
        float(_modelled_engine(deployment.engine).rank_requests(deployment) or inf),
        deployment.dp,
        deployment.ep,
        deployment.pp,
    )


def cache_room(work: StepWork, accelerator: Accelerator, fit: Fit, load: Load) -> CacheRoom:
    """The room of one data-parallel rank in tokens, which requests of this load would fill as they fill their places.

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

    Returns
    -------
    CacheRoom
        Tokens, requests, and whether answers have their room from the start.
    """
    room, engine = _room_of(accelerator, fit), fit.deployment.engine
    places = float(places_of(work, replace(room, most_requests=inf), load))
    share = speed_constants().of("held_output", engine_family(engine), "other")
    return CacheRoom(places * float(_held(engine, load, unnoted)), float(room.most_requests), share >= 1.0)


def places_of(work: StepWork, room: Room, load: Load, note: Note = unnoted) -> Any:
    """Requests of this load that one data-parallel rank runs together, of numbers or of figures of a sheet. [requests]"""
    constants = speed_constants()
    held = _held(room.engine, load, note)
    rough = note("room_rough", rough_room_requests)(
        memory_bytes=room.memory_bytes,
        device_share=constants.of("room", "device"),
        least_share=constants.of("room", "least"),
        weights_bytes=_weights_bytes(work, room),
        request_bytes=_request_bytes(work, room, held, load),
    )
    # where the engine says that nothing fits, the start that is asked about was mended with flags
    pool = where(room.pool_requests >= 1, room.pool_requests, 0.0)
    full = held if room.full_tokens is None else room.full_tokens
    own = note("room", room_requests)(pool_requests=pool, full_tokens=full, held=held, ranks=room.dp)
    believed = note("room_believed", believed_room_requests)(room=own, rough=rough, believed_share=constants.of("room", "believed"))
    return minimum(believed, room.most_requests)


def _weights_bytes(work: StepWork, room: Room) -> Any:
    dense = sum(linear.weight_bytes for linear in work.linears if not linear.on_host) + 2 * work.head.weight_bytes
    routed = sum(block.layers * block.experts * block.expert_bytes for block in work.experts if not block.on_host) / maximum(room.ep, 1)
    return (dense + routed) / room.pp


def _request_bytes(work: StepWork, room: Room, held: Any, load: Load) -> Any:
    whole = load.input_tokens + load.output_tokens
    size: Any = 0.0
    for one in work.attention:
        window = one.cap_rows if not one.scan_bytes and one.ratio == 1 else UNBOUNDED_ROWS
        rows = request_rows(held=held, whole_tokens=whole, ratio=one.ratio, window_rows=window)
        size = size + one.layers * (rows * one.row_bytes + held * one.scan_bytes + one.state_bytes / 2)
    return size / room.pp
