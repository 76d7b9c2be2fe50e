"""One start that is to be deployed, from the words that may also ask for a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.errors import FlagError
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.deploy import ToRun, of_verdict
from gpusizer.planning.request import FIELDS
from gpusizer.planning.verdict import make_fit

__all__ = ["start_to_run"]

_NAMED = ("engine", "engine_version", "precision", "checkpoint_bytes", "kv_precision", "hub")
_AS_FLAGS = ("other_memory_bytes", "with_models")
_OF_A_START = frozenset({"model", "gpus", "calibrate", *_NAMED, *_AS_FLAGS})


def start_to_run(values: Mapping[str, Any], flags: Mapping[str, Any], command: Sequence[str]) -> ToRun:
    """The start that flags of an engine or a launch command describe.

    Parameters
    ----------
    values : mapping
        Fields of a request by name, as far as they were said: those of a start alone.
    flags : mapping
        Flags of the engine.
    command : sequence of str
        A launch command, empty without one.

    Raises
    ------
    FlagError
        A need was said as well: who names a start has made the choice that a need is for.

    Examples
    --------
    >>> run = start_to_run({"model": "qwen3-8b", "gpus": ("h200",)}, {"--tp": "2"}, [])
    >>> run.launch.tp, run.launch.memory_fraction
    (2, 0.92)
    """
    said = {name: value for name, value in values.items() if value is not None}
    need = next((each.option for each in FIELDS if each.name in said and each.name not in _OF_A_START), None)
    if need is not None:
        raise FlagError("deploy-need-and-start", option=need, flags=[*flags] or ["--"])
    own = {next(each.option for each in FIELDS if each.name == name): said[name] for name in _AS_FLAGS if name in said}
    named = {name: said[name] for name in _NAMED if name in said}
    launch = asked_start(said.get("model"), said.get("gpus", ()), command=command, named=named, flags={**flags, **own})
    return of_verdict(make_fit(launch.deployment, launch.notices, calibrate=said.get("calibrate")))
