"""What an address or a body asks of one start: a model and flags, or a launch command, from a stranger, who may name no file and no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from gpusizer.architecture.load import pasted_name, read_pasted
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.arguments import read_arguments
from gpusizer.engines.base.flag import Flag
from gpusizer.engines.base.flags import FlagTable, Launch, flag_table
from gpusizer.engines.base.pasted import engine_of, read_command
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.own_card import split_gpus
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.fields import WITH_MODELS
from gpusizer.web.asked import catalogued, refuse_files

__all__ = ["NAMED", "FitAsked", "applied", "fit_asked", "plain_name", "spelled", "typed_value"]

NAMED = ("engine", "engine_version", "precision", "kv_precision")
"""What is said of a start beside its model, its accelerators and its flags."""

_LAYOUT = ("tp", "pp", "dp", "ep")
_LONGEST_WORD = 200  # characters


@dataclass(frozen=True, slots=True)
class FitAsked:
    """One start as it came over HTTP.

    Parameters
    ----------
    model : str or None
        In words that mean one of the catalogue; None where a command or a configuration tells it.
    gpus : tuple of str
        Accelerators, one for all or one by one.
    named : mapping
        Those of :data:`NAMED` that were said.
    flags : tuple of (str, str)
        Flags by their names without dashes, and their values.
    command : str or None
        A launch command.
    config : str or None
        A ``config.json`` that was pasted instead of naming a model.
    """

    model: str | None
    gpus: tuple[str, ...]
    named: Mapping[str, str]
    flags: tuple[tuple[str, str], ...]
    command: str | None = None
    config: str | None = None

    @property
    def query(self) -> str:
        """The query that asks the same, in one order."""
        told = [("model", self.model), ("command", self.command), ("config", self.config)]
        pairs = [(name, value) for name, value in told if value is not None]
        pairs += [("gpu", gpu) for gpu in self.gpus]
        return urlencode([*pairs, *((name, self.named[name]) for name in NAMED if name in self.named), *self.flags])

    @property
    def engine(self) -> str:
        """Id of the engine that is asked."""
        if "engine" in self.named:
            return declaration(self.named["engine"]).id
        return engine_of([self.command]) if self.command is not None else declaration("vllm").id

    def launch(self) -> Launch:
        """The start, and what must be said of the words that made it."""
        if self.config is not None:
            read_pasted(self.config)
        model = self.model if self.config is None else pasted_name(self.config)
        flags = _values(self.flags, flag_table(self.engine))
        launch = asked_start(model, self.gpus, named=self.named, flags=flags, command=() if self.command is None else (self.command,))
        start = launch.deployment
        own = () if self.config is not None else (start.model,)  # what somebody else pasted is nobody's to name
        catalogued(*own, *WITH_MODELS.read(start.with_models))
        return launch


def fit_asked(pairs: Iterable[tuple[str, Any]]) -> FitAsked:
    """The start that names and values state.

    Parameters
    ----------
    pairs : iterable of (str, object)
        ``model`` or ``config`` (text of a ``config.json``) or ``command``; ``gpu`` (again for several); those of :data:`NAMED`; every other name is
        a flag of the engine without its dashes. Values are text, or what JSON holds; there flags may stand together under ``flags``.

    Returns
    -------
    FitAsked
        A start that touches no file and no network.

    Raises
    ------
    InputError
        ``given-twice``, and ``not-over-http`` for what names a file.

    Examples
    --------
    >>> asked = fit_asked([("model", "qwen3-8b"), ("gpu", "h200"), ("tp", 2), ("max-model-len", "8k"), ("enforce-eager", True)])
    >>> asked.query
    'model=qwen3-8b&gpu=h200&tp=2&max-model-len=8k&enforce-eager=true'
    >>> start = asked.launch().deployment
    >>> start.tp, start.max_model_len, start.enforce_eager
    (2, 8192, True)
    """
    values: dict[str, Any] = {}
    gpus: list[str] = []
    flags: list[tuple[str, str]] = []
    for name, value in _flat(pairs):
        plain = name.replace("-", "_")
        if plain == "gpu":
            gpus += [
                word for entry in (value if isinstance(value, list | tuple) else [value]) for word in split_gpus(str(entry)[: _LONGEST_WORD * 8])
            ]
        elif plain in (*NAMED, "model", "command", "config", "hub"):
            if plain in values:
                raise InputError("given-twice", name=plain)
            words = _words(value)[0]
            values[plain] = words if plain in ("command", "config") else words[:_LONGEST_WORD]
        else:
            flags += [(name, words) for words in _words(value)]
    refuse_files({**values, "gpu": gpus}, ("model", "gpu"))
    config, model = values.get("config"), values.get("model")
    if config is None and model is not None:
        model_meant(model)
    named = {name: values[name] for name in NAMED if name in values}
    return FitAsked(None if config is not None else model, tuple(gpus), named, tuple(flags), values.get("command"), config)


def _flat(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Flags of a JSON object that holds them apart, beside everything else."""
    for name, value in pairs:
        told = value.items() if name == "flags" and isinstance(value, Mapping) else ((name, value),)
        yield from ((each, said) for each, said in told if said is not None and said != [])


def _words(value: Any) -> list[str]:
    """A value of JSON as it would be typed, several of a list."""
    if isinstance(value, list | tuple):
        return [word for each in value for word in _words(each)]
    if isinstance(value, str):
        return [value.strip()]
    return [json.dumps(value, ensure_ascii=False)]


def _values(given: Iterable[tuple[str, str]], table: FlagTable) -> dict[str, Any]:
    """Values of flags by their spelling, taken apart as on the command line."""
    words: list[str] = []
    environment: dict[str, Any] = {}
    once: set[str] = set()
    for name, value in given:
        spelling, flag = spelled(name, table)
        several = flag is not None and (flag.repeats or flag.kind in ("numbers", "words"))
        if not several and spelling in once:
            raise InputError("given-twice", name=name[:40])
        once.add(spelling)
        if not spelling.startswith("-"):
            environment[spelling] = value
        elif flag is not None and flag.kind in ("numbers", "words"):
            words += [*(() if spelling in words else (spelling,)), *value.replace(",", " ").split()]
        else:
            words.append(f"{spelling}={value}")
    return {**read_arguments(words, table).values, **environment}


def spelled(name: str, table: FlagTable) -> tuple[str, Flag | None]:
    """A flag that came without its dashes as it is spelled."""
    spelling = name if name.startswith("-") else f"-{name}" if len(name) == 1 else f"--{name}"
    if (flag := table.find(name) or table.find(spelling)) is not None:
        return flag.spelling, flag
    flag = table.named(name)
    return (spelling, None) if flag is None else (flag.spelling, flag)


def plain_name(flag: Flag) -> str:
    """The name of a flag in an address: its spelling without dashes."""
    return flag.spelling.lstrip("-")


def applied(asked: FitAsked, before: Deployment, after: Deployment) -> FitAsked:
    """The same question with the changes between two starts.

    Parameters
    ----------
    asked : FitAsked
        What asks for the first.
    before, after : Deployment
        The start as it was asked for, and a changed one.

    Examples
    --------
    >>> asked = fit_asked([("command", "vllm serve Qwen/Qwen3-14B"), ("gpu", "rtx4090-24gb")])
    >>> start = asked.launch().deployment
    >>> applied(asked, start, replace(start, tp=2, max_model_len=4096)).query
    'command=vllm+serve+Qwen%2FQwen3-14B&gpu=rtx4090-24gb&tensor-parallel-size=2&max-model-len=4096'
    """
    table = flag_table(before.engine)
    changes = _changed(before, after)
    named, gpus = dict(asked.named), asked.gpus
    if "precision" in changes:
        named["precision"] = str(changes.pop("precision"))
    flags = list(asked.flags)
    if any(name in changes for name in _LAYOUT):
        flags, gpus = _without(flags, "gpus", table), gpus[:1]
        changes |= {name: size for name in _LAYOUT if (size := getattr(after, name)) > 1}
    for name, value in changes.items():
        flag = next((each for each in table.flags if each.target == name), None)
        said = _as_commanded(before, after, table) if flag is None else {flag: value}
        for each, new in said.items():
            flags = [*_without(flags, each.target, table), (plain_name(each), typed_value(new))]
    return replace(asked, named=named, flags=tuple(flags), gpus=gpus)


def _changed(before: Deployment, after: Deployment) -> dict[str, Any]:
    """Fields and further flags that differ, with their new values."""
    names = [each.name for each in fields(Deployment) if each.name != "flags"]
    found = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    return found | {name: value for name, value in after.flags.items() if before.flags.get(name) != value}


def _without(flags: list[tuple[str, str]], target: str, table: FlagTable) -> list[tuple[str, str]]:
    """Flags but for those that say the same."""
    return [(name, value) for name, value in flags if (flag := spelled(name, table)[1]) is None or flag.target != target]


def _as_commanded(before: Deployment, after: Deployment, table: FlagTable) -> dict[Flag, Any]:
    """What no flag says alone, as the launch command says it: a context of all sequences together."""
    told = [read_command(get_engine(each.engine).command(each), each.engine).flags for each in (before, after)]
    differing = {spelling: value for spelling, value in told[1].items() if told[0].get(spelling) != value}
    return {flag: value for spelling, value in differing.items() if (flag := table.find(spelling)) is not None}


def typed_value(value: Any) -> str:
    """The value of a field or further flag as somebody would type it."""
    return _words(value)[0] if not isinstance(value, list | tuple) else ",".join(_words(value))
