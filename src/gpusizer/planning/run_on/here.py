"""The word "here": the machine at hand is asked what it holds. Only the command line of that machine calls this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError
from gpusizer.planning.owned import HERE
from gpusizer.planning.run_on.request import RunOnRequest, from_mapping

__all__ = ["with_here"]


def with_here(machine: Sequence[str], values: Mapping[str, Any]) -> tuple[RunOnRequest, tuple[Notice, ...]]:
    """The request, with what the machine at hand holds where it was asked for.

    Parameters
    ----------
    machine : sequence of str
        Devices, or "here".
    values : mapping
        Other inputs; what is said comes before what is seen.

    Returns
    -------
    tuple of (RunOnRequest, tuple of Notice)
        And what could not be told.

    Raises
    ------
    InputError
        The machine tells no device.
    """
    if HERE not in (word.strip().lower() for word in machine):
        return from_mapping({"machine": tuple(machine), **values}), ()
    from gpusizer.detect import detect  # here: most requests name their machines

    found = detect()
    others = [word for word in machine if word.strip().lower() != HERE]
    if not found.gpus and not others:
        raise InputError("nothing-detected", found=[each.code for each in found.untold])
    seen: dict[str, Any] = {}
    if found.host_memory_bytes is not None:
        seen["host_memory"] = f"{found.host_memory_bytes}B"
    if found.cpu and _tells_bandwidth(found.cpu):
        seen["host_bandwidth"] = found.cpu
    named = {name: value for name, value in values.items() if value is not None}
    words = (*(f"{name}:{count}" for name, count in found.gpus), *others)
    return from_mapping({**seen, **named, "machine": words}), tuple(Notice(each.code, dict(each.parameters)) for each in found.untold)


def _tells_bandwidth(cpu: str) -> bool:
    from gpusizer.facts.hosts import platform_of

    return platform_of(cpu) is not None
