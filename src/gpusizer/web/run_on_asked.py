"""What an address or a body asks of somebody's machines, from a stranger, who may name no file, and not the machine that answers."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

from gpusizer.errors import InputError
from gpusizer.planning.run_on.request import FIELDS, RunOnRequest, from_mapping
from gpusizer.web.asked import refuse_files

__all__ = ["NUMBER", "as_command", "as_query", "counted", "run_on_asked"]

NUMBER = "count"
"""Input of the form behind a device: how many there are."""

_MANY = {each.name for each in FIELDS if each.many}
_DEFAULTS = {each.name: each.default for each in fields(RunOnRequest)}


def counted(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values of the form as those of a request: a number goes to the device before it.

    >>> counted([("machine", "L40S"), ("count", "4"), ("machine", "rtx 4090"), ("users", "10")])
    [('machine', 'L40S:4'), ('machine', 'rtx 4090'), ('users', '10')]
    """
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        if name == NUMBER and found and found[-1][0] == "machine":
            found[-1] = ("machine", f"{found[-1][1].strip()}:{value.strip()}")
        else:
            found.append((name, value))
    return found


def run_on_asked(pairs: Iterable[tuple[str, Any]]) -> RunOnRequest:
    """The request that names and values state.

    Parameters
    ----------
    pairs : iterable of (str, object)
        Names and values of a query or of a JSON object.

    Returns
    -------
    RunOnRequest
        One that touches no file and asks no driver.

    Raises
    ------
    InputError
        Every mistake that the command line refuses as well, ``not-over-http`` for what names a file, and ``here-elsewhere`` for the machine that
        answers.

    Examples
    --------
    >>> as_query(run_on_asked([("machine", "4 x L40S"), ("machine", "rtx 4090"), ("use", ["code", "chat"])]))
    'machine=L40S%3A4&machine=rtx+4090%3A1&use=code&use=chat'
    """
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values and name not in _MANY:
            raise InputError("given-twice", name=name[:40])
        entries = (*values.get(name, ()), *(value if isinstance(value, list | tuple) else [value])) if name in _MANY else value
        values[name] = entries
    if not values.get("machine"):
        raise InputError("missing-field", name="machine")
    refuse_files(values, ("machine", "models", "with_models"))
    return from_mapping(values)


def as_query(request: RunOnRequest) -> str:
    """The query that asks the same, in one order."""
    return urlencode([(field, words) for field, _, words in _written(request)])


def as_command(request: RunOnRequest) -> str:
    """The same question for a terminal.

    >>> as_command(RunOnRequest(machine=("4 x L40S",), use=("code",), min_speed=20))
    'gpusizer run-on L40S:4 --min-speed 20.0 --use code'
    """
    words = [word for _, option, words in _written(request) for word in ((option, words) if option else (words,))]
    return shlex.join(["gpusizer", "run-on", *words])


def _written(request: RunOnRequest) -> Iterator[tuple[str, str, str]]:
    """What was said: field, option, words."""
    for field in FIELDS:
        value = getattr(request, field.name)
        if value != _DEFAULTS[field.name]:
            for entry in value if field.many else (value,):
                yield field.name, field.option, field.write(entry)
