"""The set-up behind measurements, as somebody tells it: a device and flags, or the launch command pasted whole; on the machine itself, ``here``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.detect import detect
from gpusizer.engines.base.flags import FlagTable, flag_table
from gpusizer.engines.base.pasted import read_command
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.asked_start import asked_start
from gpusizer.units import GB
from gpusizer.validation.own_runs import SetUp

__all__ = ["HERE", "ToldSetUp", "devices_here", "measured_set_up"]

HERE = "here"
_SAID_ELSEWHERE = ("tp", "pp", "dp", "ep", "ep_all", "gpus", "devices", "host_memory_bytes", "host_bandwidth_bytes_per_s")
_AS_PUBLISHED = "checkpoint"


class ToldSetUp(NamedTuple):
    """What was typed.

    Parameters
    ----------
    gpus : tuple of str
        Accelerators, one for each card, or the one kind of all cards.
    command : tuple of str
        A launch command; empty without one.
    named : mapping of str to str
        ``engine``, ``engine_version``, ``precision``, ``checkpoint_bytes``, ``kv_precision``, where they were said.
    flags : mapping
        Flags of the engine by any spelling.
    """

    gpus: tuple[str, ...]
    command: tuple[str, ...]
    named: Mapping[str, str]
    flags: Mapping[str, Any]


def devices_here(told: ToldSetUp) -> ToldSetUp:
    """The same with the devices of this machine in the place of ``here``: all of them, unless flags say how many work.

    Raises
    ------
    InputError
        This machine shows no device, or several kinds.
    """
    if told.gpus != (HERE,):
        return told
    found = detect()
    if not found.gpus:
        raise InputError("here-without-gpu")
    if len(found.gpus) > 1:
        raise InputError("here-unclear", found=[f"{count} x {id}" for id, count in found.gpus], nearest=[id for id, _ in found.gpus])
    id, count = found.gpus[0]
    counted = told.flags or told.command
    host = {} if found.host_memory_bytes is None else {"--host-memory": found.host_memory_bytes}
    return told._replace(gpus=(id,) if counted else (id,) * count, flags={**host, **told.flags})


def measured_set_up(model: str, told: ToldSetUp, engine: str = "", precision: str = "") -> tuple[SetUp, tuple[Notice, ...]]:
    """What a case says of the set-up, and what must be said of the flags.

    Parameters
    ----------
    model : str
        As the server or the file names it; empty where nobody does.
    told : ToldSetUp
        What was typed.
    engine, precision : str
        As the file of a load generator names them; what was typed comes before.

    Returns
    -------
    tuple of (SetUp, tuple of Notice)
        Without a device only what was named.

    Raises
    ------
    InputError
        A device, a model or a flag that is not known.
    """
    if not told.gpus:
        named = [told.named.get(name, "") for name in ("precision", "engine", "engine_version")]
        return SetUp(model, named[0], engine=named[1], engine_version=named[2]), ()
    seen = {"precision": precision, "engine": "" if told.command else engine}
    said = {**{name: value for name, value in seen.items() if value}, **told.named}
    launch = asked_start(model or None, told.gpus, command=told.command, named=said, flags=told.flags)
    one, device = launch.deployment, accelerator(launch.deployment.gpu)
    pasted = read_command(told.command, told.named.get("engine")).flags if told.command else {}
    set_up = SetUp(
        model=one.model,
        precision="" if one.precision == _AS_PUBLISHED else one.precision,
        gpu=one.gpu if device.own else device.id,
        gpus=one.layout.gpus,
        engine=one.engine,
        engine_version=one.engine_version or "",
        parallelism=_words_of(one),
        flags=_flags(one, flag_table(one.engine), {**pasted, **told.flags}),
        host=_host(one),
    )
    return set_up, launch.notices


def _words_of(one: Deployment) -> str:
    """The layout in the words of cases."""
    return "".join(f"{name}{getattr(one.layout, name)}" for name in ("tp", "pp", "dp", "ep"))


def _host(one: Deployment) -> dict[str, Any]:
    """The memory beside the cards, in the words of cases."""
    size, rate = one.host_memory_bytes, one.host_bandwidth_bytes_per_s
    told = {"memory_gb": None if size is None else size / GB, "memory": None if rate is None else f"{rate / GB:g} GB/s measured"}
    return {name: value for name, value in told.items() if value is not None}


def _flags(one: Deployment, table: FlagTable, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Flags that were typed, by their names and in their own types; layout and host have fields of their own."""
    found: dict[str, Any] = {}
    for spelling, value in typed.items():
        flag = table.find(spelling)
        if flag is not None and flag.target not in _SAID_ELSEWHERE:
            found[flag.spelling.lstrip("-")] = flag.read(value)
    cache = table.named("kv_precision")
    if one.kv_precision != "auto" and cache is not None:
        found.setdefault(cache.spelling.lstrip("-"), one.kv_precision)
    return found
