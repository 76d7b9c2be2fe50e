"""The inputs of one start as a form: a command to paste, or a model, a GPU and the flags of an engine, which its declarations list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gpusizer.engines import engine_ids, engine_name
from gpusizer.engines.base.flag import Flag
from gpusizer.engines.base.flags import FlagTable, flag_table
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import GpusizerError, InputError
from gpusizer.i18n import has, text
from gpusizer.web.fit_asked import NAMED, FitAsked, applied, plain_name, spelled
from gpusizer.web.job import Job
from gpusizer.web.plan_form import Input, said_of_error
from gpusizer.web.templating import link

__all__ = ["FitForm", "Tab", "fit_form", "form_query"]

COMMAND, FIELDS = "command", "fields"
"""The two ways to ask."""

COMMON = (
    *("gpus", "tp", "pp", "dp", "ep", "ep_all", "max_model_len", "ctx_size", "num_ctx", "max_num_seqs", "num_parallel", "max_num_batched_tokens"),
    *("memory_fraction", "kv_precision", "cache_type_k", "kv_cache_type", "quantization", "block_size", "enforce_eager", "n_gpu_layers"),
    "with_models",
)
"""What most people set, by field or further flag, in this order; everything else is folded."""

_OWN = ("model", "config", "command", "gpu", *NAMED)
_NUMBERS = {"count": "numeric", "tokens": "text", "share": "decimal", "number": "decimal"}


class Tab(NamedTuple):
    """One of several ways, where it leads, and whether it is the one that is shown."""

    words: str
    href: str
    here: bool


@dataclass(frozen=True, slots=True)
class FitForm:
    """The form.

    Parameters
    ----------
    way : str
        "command" or "fields".
    ways, engines : sequence of Tab
        The two ways to ask; the engines, where the fields are shown.
    main, common, folded : sequence of Input
        What is asked first, the flags that most people set, and all others.
    engine : str
        Id of the engine.
    is_open : bool
        Whether a folded input holds something.
    wrong : str or None
        The input that an error speaks of.
    """

    way: str
    ways: Sequence[Tab]
    engines: Sequence[Tab]
    main: Sequence[Input]
    common: Sequence[Input]
    folded: Sequence[Input]
    engine: str
    is_open: bool
    wrong: str | None


def fit_form(job: Job, typed: Sequence[tuple[str, str]], asked: FitAsked | None, start: Deployment | None, error: GpusizerError | None) -> FitForm:
    """The form with what was typed in it.

    Parameters
    ----------
    job : Job
        Language and address.
    typed : sequence of (str, str)
        Names and values as they were typed.
    asked : FitAsked or None
        The question; None where it is none.
    start : Deployment or None
        What it means.
    error : GpusizerError or None
        Why there is no answer.
    """
    values: dict[str, list[str]] = {}
    for name, value in typed:
        values.setdefault(name.replace("-", "_") if name.replace("-", "_") in _OWN else name, []).append(value)
    engine = _engine(values, asked)
    table = flag_table(engine)
    way = COMMAND if "command" in values else FIELDS
    wrong = None if error is None else _field_of(error, list(values.items()))
    inputs = _Inputs(values, error, wrong, job.language)
    common, folded, used = ([], [], set()) if way == COMMAND else _flags(inputs, table)
    more = [inputs.word(name) for name in values if way == COMMAND and name not in ("command", "gpu")]
    more += [inputs.word(name) for name in values if way == FIELDS and name not in (*_OWN, *used)]
    names = ("command", "gpu") if way == COMMAND else ("model", "gpu", "precision", "engine_version", "config")
    names = (*names, "kv_precision") if way == FIELDS and "kv_precision" in values else names
    return FitForm(
        way,
        _ways(job, way, values, start),
        [] if way == COMMAND else _engines(job, engine, typed),
        [inputs.own(name) for name in names],
        [*common, *more],
        folded,
        engine,
        any(each.values or each.error for each in folded),
        inputs.wrong,
    )


def form_query(start: Deployment, gpus: Sequence[str], config: str | None) -> str:
    """The query that asks the same by fields.

    Parameters
    ----------
    start : Deployment
        The start as it was asked for.
    gpus : sequence of str
        Accelerators as they were named; unequal ones stand in the start.
    config : str or None
        A configuration that was pasted.
    """
    said = {"engine": start.engine, "engine_version": start.engine_version, "precision": start.precision}
    named = {name: value for name, value in said.items() if value not in (None, "checkpoint")}
    bare = Deployment(start.model, start.gpu, engine=start.engine, engine_version=start.engine_version, precision=start.precision)
    bare = replace(bare, with_models=start.with_models)
    if start.devices:  # named one by one, they say the layout
        bare, gpus = replace(bare, devices=start.devices, pp=start.pp), start.devices
    asked = FitAsked(start.model if config is None else None, tuple(gpus), named, tuple(_beside(start)), config=config)
    return applied(asked, bare, start).query


def _beside(start: Deployment) -> list[tuple[str, str]]:
    """Other models on the same GPUs, which no launch command names."""
    return [("with", each) for each in start.with_models]


def _engine(values: Mapping[str, Sequence[str]], asked: FitAsked | None) -> str:
    if asked is not None:
        return asked.engine
    from gpusizer.engines import find_declaration

    found = find_declaration(next(iter(values.get("engine", ())), "vllm"))
    return "vllm" if found is None else found.id


def _ways(job: Job, way: str, values: Mapping[str, Sequence[str]], start: Deployment | None) -> list[Tab]:
    """To the other way with what was said, as far as it was understood."""
    gpus = [("gpu", each) for each in values.get("gpu", ())]
    other = urlencode(gpus or [("gpu", "")])
    config = next(iter(values.get("config", ())), None)
    if start is not None and way == COMMAND:
        other = form_query(start, values.get("gpu", ()), config)
    elif start is not None and config is None:
        from gpusizer.rendering.launch import command_line

        other = urlencode([("command", command_line(start) or ""), *gpus[:1], *_beside(start)])
    elif way == FIELDS:
        other = urlencode([("command", ""), *gpus])
    here = urlencode([(name, each) for name, several in values.items() for each in several])
    queries = {way: here, (FIELDS if way == COMMAND else COMMAND): other}
    return [Tab(text("site", f"way-{each}", job.language), link(job, "/fit", queries[each]), each == way) for each in (COMMAND, FIELDS)]


def _engines(job: Job, engine: str, typed: Sequence[tuple[str, str]]) -> list[Tab]:
    """The same start with another engine: a flag goes along where the other has one that means the same."""
    table, found = flag_table(engine), []
    for each in engine_ids():
        other = flag_table(each)
        names = {flag.target: plain_name(flag) for flag in reversed(other.counted)}
        kept = []
        for name, value in typed:
            if name in ("engine", "engine_version"):
                continue
            flag = None if name in _OWN else spelled(name, table)[1]
            if name in _OWN or (flag is not None and flag.target in names):
                kept.append((name if flag is None else names[flag.target], value))
        found.append(Tab(engine_name(each), link(job, "/fit", urlencode([*kept, ("engine", each)])), each == engine))
    return found


def _flags(inputs: _Inputs, table: FlagTable) -> tuple[list[Input], list[Input], set[str]]:
    """Inputs of the flags that change a prediction: common ones, all others, and the names that they take up."""
    counted = [flag for flag in table.counted if flag.target != "context_to_fit"]
    places = {target: place for place, target in enumerate(COMMON)}
    first = sorted((flag for flag in counted if flag.target in places), key=lambda flag: places[flag.target])
    shown = {"common": first, "folded": [flag for flag in counted if flag.target not in places]}
    used: set[str] = set()
    made: dict[str, list[Input]] = {name: [] for name in shown}
    for name, flags in shown.items():
        for flag in flags:
            given = next((each for each in inputs.values if each not in _OWN and spelled(each, table)[1] == flag), plain_name(flag))
            used.add(given)
            made[name].append(inputs.flag(given, flag))
    return made["common"], made["folded"], used


@dataclass(frozen=True)
class _Inputs:
    """Makes inputs: what was typed, and what is wrong with it."""

    values: Mapping[str, Sequence[str]]
    error: GpusizerError | None
    wrong: str | None
    language: str

    def own(self, name: str) -> Input:
        """An input that is no flag."""
        code = "gpus" if name == "gpu" else name
        group = "site" if has("site", f"field-{name}") else "web"
        hint = text("site", f"hint-{name}", self.language) if has("site", f"hint-{name}") else ""
        values = self.values.get(name, ())
        kind = {"config": "file", "command": "command"}.get(name, "list" if name == "gpu" and len(values) > 1 else "text")
        said: dict[str, Any] = {"hint": hint, "values": values, "error": self._wrong(name)}
        return Input(
            name, kind, text(group, f"field-{name if group == 'site' else code}", self.language), listed=name in ("model", "gpu", "precision"), **said
        )

    def flag(self, name: str, flag: Flag) -> Input:
        """The input of a flag."""
        on_off = [
            ("", text("site", "engine-default", self.language)),
            *((each, text("site", f"switch-{each}", self.language)) for each in ("on", "off")),
        ]
        given = ["on" if str(each).lower() in ("true", "1", "yes") else each for each in self.values.get(name, ())]
        said: dict[str, Any] = {"hint": text("flag", flag.target, self.language), "error": self._wrong(name, flag)}
        if flag.kind == "switch":
            return Input(name, "choice", flag.spelling, values=given, choices=on_off, **said)
        values = self.values.get(name, ())
        joined = [",".join(values)] if len(values) > 1 and not flag.repeats else values
        kind = "list" if flag.repeats else "text"
        placeholder = text("site", f"kind-{flag.kind}", self.language) if has("site", f"kind-{flag.kind}") else ""
        return Input(name, kind, flag.spelling, values=joined, numbers=_NUMBERS.get(flag.kind, "text"), placeholder=placeholder, **said)

    def word(self, name: str) -> Input:
        """What was said beside the inputs of the form."""
        return Input(name, "text", name, values=self.values.get(name, ()), error=self._wrong(name))

    def _wrong(self, name: str, flag: Flag | None = None) -> str:
        """What is wrong with an input; empty where nothing is, or where it is wrong with another."""
        if self.error is None or self.wrong not in (name, *(() if flag is None else flag.spellings)):
            return ""
        return said_of_error(self.error, self.language)


_OF_CODE: Mapping[str, tuple[str, ...]] = {
    "command": ("no-launcher", "command-without-model", "command-too-long", "option-elsewhere"),
    "gpu": ("command-without-gpu", "unequal-gpus"),
}


def _field_of(error: GpusizerError, typed: Sequence[tuple[str, Sequence[str]]]) -> str | None:
    """The input that an error speaks of."""
    from gpusizer.web.plan_form import field_of_error

    option = error.parameters.get("option")
    names = [name for name, _ in typed]
    by_code = next((name for name, codes in _OF_CODE.items() if error.code in codes and (name in names or name == "gpu")), None)
    if by_code is not None:
        return by_code
    if isinstance(option, str) and isinstance(error, InputError):
        return "gpu" if option == "--gpu" else next((name for name in names if name == option.lstrip("-")), option)
    found = field_of_error(error, [(name, value) for name, several in typed for value in several])
    found = "gpu" if found == "gpus" else found
    return "command" if found == "model" and "model" not in names and "command" in names else found
