"""What a tool takes: each parameter with the schema that an agent sees and the reader that holds its bounds, from the fields and flags that exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from gpusizer.engines.base.flag import Flag
from gpusizer.engines.base.flags import COMMON, flag_table
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import GpusizerError, InputError
from gpusizer.i18n import LANGUAGES, text
from gpusizer.planning.owned import without_count
from gpusizer.planning.request import FIELDS, Field
from gpusizer.planning.run_on.request import FIELDS as RUN_ON_FIELDS
from gpusizer.rendering.input_schema import DEFAULTS, field_schema, flag_schema

__all__ = ["DETAIL", "FLAGS", "GPU", "LANGUAGE", "START_FLAGS", "Parameter", "asked_fields", "own", "owned_fields", "read_all"]

_FILES = ("trace", "prices", "calibrate")  # fields of a request that name a file of the machine
_NETWORK = "hub"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool.

    Parameters
    ----------
    name : str
        Its name.
    label : str
        What errors of its reader call it.
    schema : callable
        From a language to its JSON Schema.
    read : callable
        From what an agent sent to a value within bounds.
    """

    name: str
    label: str
    schema: Callable[[str], dict[str, Any]]
    read: Callable[[Any], Any]


def own(name: str, kind: str, choices: tuple[str, ...] = ()) -> Parameter:
    """A parameter that only tools have; its words are ``tool.argument-NAME``."""
    field = Field(name, kind, name, choices)

    def schema(language: str) -> dict[str, Any]:
        return {**field_schema(field, language), "description": text("tool", f"argument-{name}", language)}

    return Parameter(name, name, schema, field.read)


def asked_fields(hub: str | None, *names: str) -> tuple[Parameter, ...]:
    """Fields of a request, all without names, but those that read a file; ``hub`` only where the server was started with one."""
    wanted = [field for field in FIELDS if field.name not in _FILES and (not names or field.name in names)]
    if hub is None:
        return tuple(_of_field(field) for field in wanted if field.name != _NETWORK)
    return tuple(_of_field(replace(field, choices=(hub,)) if field.name == _NETWORK else field) for field in wanted)


def owned_fields() -> tuple[Parameter, ...]:
    """Fields of a question about machines that are there; how many models are shown is said as of other lists."""
    return tuple(_of_field(field, {}) for field in RUN_ON_FIELDS if field.name != "per_use")


def read_all(parameters: Sequence[Parameter], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument in its own type; what is null counts as not given.

    Raises
    ------
    InputError
        A name that is no parameter, a file or a network that is not for agents, a value that cannot be read.
    """
    known = {each.name: each for each in parameters}
    for name in arguments:
        if name not in known:
            raise _refused(str(name), list(known))
    return {name: _read(known[name], value) for name, value in arguments.items() if value is not None}


def _read(parameter: Parameter, value: Any) -> Any:
    """A value; an error says which argument it is about."""
    try:
        return parameter.read(value)
    except GpusizerError as error:
        raise type(error)(error.code, **{**error.parameters, "argument": parameter.name}) from error


def _of_field(field: Field, defaults: Mapping[str, Any] = DEFAULTS) -> Parameter:
    read = _no_files(field) if field.kind in ("gpu", "owned") else field.read
    return Parameter(field.name, field.label, lambda language: field_schema(field, language, defaults), read)


def _of_flag(flag: Flag, name: str = "") -> Parameter:
    return Parameter(name or flag.target, flag.spelling, lambda language: flag_schema(flag, language), flag.read)


def _no_files(field: Field) -> Callable[[Any], Any]:
    """The reader of accelerators, without cards that are described in a file."""

    def read(value: Any) -> Any:
        for words in value if isinstance(value, list) else [value]:
            if isinstance(words, str) and any(without_count(word).endswith(".toml") for word in words.split(",")):
                raise InputError("file-not-here", name=field.name, spelling=field.option or "--gpu")
        return field.read(value)

    return read


def _refused(name: str, known: Sequence[str]) -> InputError:
    field = next((field for field in FIELDS if field.name == name), None)
    if field is not None and name in _FILES:
        return InputError("file-not-here", name=name, spelling=field.option)
    if name == _NETWORK:
        return InputError("network-not-here", name=name)
    return InputError("unknown-field", id=name[:40], nearest=get_close_matches(name, known, 3, 0.4) or list(known)[:8])


def _start_flags() -> tuple[Parameter, ...]:
    """The fields of a deployment as flags, with the bounds of the usual engine; how many GPUs and how they share the model first."""
    named = {field.name for field in fields(Deployment)} - {field.name for field in FIELDS}
    flags = {flag.target: flag for flag in COMMON}
    flags |= {flag.target: flag for flag in flag_table("vllm").counted if flag.target in named}
    return tuple(map(_of_flag, flags.values()))


GPU = replace(
    _of_field(Field("gpu", "gpu", "--gpu")),
    read=_no_files(Field("gpu", "gpu", "--gpu", many=True)),
)
"""One kind of accelerator; several names with commas where they differ."""

LANGUAGE = own("language", "choice", LANGUAGES)
DETAIL = replace(
    _of_flag(Flag("detail", "switch")),
    schema=lambda language: {"type": "boolean", "default": False, "description": text("tool", "argument-detail", language)},
)
FLAGS = replace(
    _of_flag(Flag("flags", "json")),
    schema=lambda language: {"type": "object", "description": text("tool", "argument-flags", language)},
)
START_FLAGS = _start_flags()
