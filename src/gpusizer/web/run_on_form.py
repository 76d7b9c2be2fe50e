"""The form of what runs: devices with their numbers, and the other inputs of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from gpusizer.engines import engine_ids, engine_name
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerators, model_ids
from gpusizer.i18n import has, text
from gpusizer.planning.owned import owned
from gpusizer.planning.run_on.request import FIELDS
from gpusizer.rendering.devices import device_name
from gpusizer.web.plan_form import Input, field_of_error, said_of_error

__all__ = ["Devices", "RunOnForm", "run_on_form", "run_on_lists"]

SEEN = ("host_memory", "host_bandwidth", "users", "concurrency", "context_tokens", "min_speed", "licence", "engine", "use")
FOLDED = ("models", "with_models", "disk_bytes", "active_share", "input_tokens", "output_tokens", "per_use")

_FIELDS = {each.name: each for each in FIELDS}
_NUMBERS = {"count": "numeric", "rate": "decimal"}
_HERE = {"gpus": "machine", "model": "models"}  # inputs of a plan that have another name here
_OF_MACHINE = ("here-elsewhere", "bad-machine", "missing-argument")


class Devices(NamedTuple):
    """Devices of one kind, as they were typed."""

    name: str
    number: str


class RunOnForm(NamedTuple):
    """The form.

    Parameters
    ----------
    machine : sequence of Devices
        What was typed, and an empty line.
    seen, folded : sequence of Input
        Other inputs: those that one sees, and those that are folded.
    is_open : bool
        Whether a folded input holds something.
    wrong : str or None
        The input that an error speaks of.
    said : str
        What is wrong; empty where nothing is.
    """

    machine: Sequence[Devices]
    seen: Sequence[Input]
    folded: Sequence[Input]
    is_open: bool
    wrong: str | None
    said: str


def run_on_form(typed: Sequence[tuple[str, str]], error: GpusizerError | None, language: str) -> RunOnForm:
    """The form with what was typed in it.

    Parameters
    ----------
    typed : sequence of (str, str)
        Names and values as they were typed.
    error : GpusizerError or None
        Why there is no answer.
    language : str
        "en" or "zh".
    """
    values: dict[str, list[str]] = {}
    for name, value in typed:
        values.setdefault(name, []).append(value)
    wrong = _wrong(error, typed)
    said = "" if error is None else _said(error, wrong, language)

    def made(name: str) -> Input:
        return _input(name, values.get(name, ()), said if name == wrong else "", language)

    machine = [*map(_devices, values.get("machine", ())), Devices("", "")]
    folded = [made(name) for name in FOLDED]
    return RunOnForm(machine, [made(name) for name in SEEN], folded, any(each.values or each.error for each in folded), wrong, said)


def _devices(words: str) -> Devices:
    """A device and its number as two inputs; what cannot be read stays as it was typed."""
    try:
        name, count = owned(words)
    except GpusizerError:
        return Devices(words, "")
    return Devices(name, str(count) if words.strip() != name else "")


def _input(name: str, values: Sequence[str], error: str, language: str) -> Input:
    group = "run-on-page" if has("run-on-page", f"field-{name}") else "web"
    label = text(group, f"field-{name}", language)
    hint = text("run-on-page", f"hint-{name}", language) if has("run-on-page", f"hint-{name}") else ""
    choices = _choices(name, language)
    kind = "text" if not choices else "several" if _FIELDS[name].many else "choice"
    shown = [word.strip() for value in values for word in value.split(",")] if kind == "several" else [",".join(values)] if values else []
    listed = name == "models"
    return Input(name, kind, label, hint, shown, choices=choices, listed=listed, numbers=_NUMBERS.get(_FIELDS[name].kind, "text"), error=error)


def _choices(name: str, language: str) -> list[tuple[str, str]]:
    """Values with their words; the empty one chooses none."""
    any_ = ("", text("site", "any", language))
    if name == "engine":
        return [any_, *((each, engine_name(each)) for each in engine_ids())]
    if name == "use":
        return [(each, text("ui", f"use-{each}", language)) for each in _FIELDS[name].choices]
    return []


def _wrong(error: GpusizerError | None, typed: Sequence[tuple[str, str]]) -> str | None:
    """The input that an error speaks of; None where it speaks of none."""
    if error is None:
        return None
    option = error.parameters.get("option")
    own = next((each.name for each in FIELDS if each.option and each.option == option), None)
    if own is None and error.code in _OF_MACHINE:
        return "machine"
    found = own or field_of_error(error, typed)
    return None if found is None else _HERE.get(found, found)


def _said(error: GpusizerError, wrong: str | None, language: str) -> str:
    """The sentence of an error, with the label of an input where the command line has an option."""
    if "option" not in error.parameters or wrong is None or has("web", f"field-{wrong}"):
        return said_of_error(error, language)
    label = text("run-on-page", f"field-{wrong}", language)
    words = text("error", error.code, language, **{**error.parameters, "option": label})
    return words[:1].upper() + words[1:]


@cache
def run_on_lists(language: str) -> Mapping[str, Sequence[tuple[str, str]]]:
    """What is searched in while one types: whatever somebody may have stands there, not only what is sold."""
    return {
        "machine": [(each.id, device_name(each.name, language)) for each in accelerators()],
        "models": [(each, "") for each in model_ids()],
    }
