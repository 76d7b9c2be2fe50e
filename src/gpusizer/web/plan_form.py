"""The inputs of a plan as a form: one input for each field of a request, what is taken where nothing is typed, and what is wrong beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from gpusizer.architecture.precision.requantise import precision_ids
from gpusizer.engines import engine_ids, engine_name
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerators, model_entry, model_ids, scenarios
from gpusizer.facts.rates import read_rates
from gpusizer.i18n import has, text
from gpusizer.planning.need import DEFAULT_SCENARIO
from gpusizer.planning.request import FIELDS, Field, Request
from gpusizer.planning.types import Plan
from gpusizer.rendering.devices import device_name
from gpusizer.units import format_share

__all__ = ["GROUPS", "Group", "Input", "datalists", "field_of_error", "form_groups", "said_of_error", "taken"]

CONFIG = "config"

GROUPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "model": (("model", CONFIG, "precision", "engine", "with_models"), ("kv_precision", "engine_version")),
    "workload": (
        ("scenario", "users", "active_share", "input_tokens", "output_tokens"),
        ("concurrency", "request_rate", "context_tokens", "shared_prefix_tokens"),
    ),
    "hardware": (("gpus", "max_gpus", "market"), ("owned", "spare", "vendor", "include", "other_memory_bytes")),
    "targets": (("ttft_s", "tpot_s"), ("ttft_p50_s", "ttft_p95_s", "ttft_p99_s", "tpot_p95_s", "tpot_p99_s")),
    "more": ((), ("sort", "currency", "tuning", "speculative", "acceptance", "disaggregate", "service_floor", "method")),
}
"""Fields of each group: those that one sees, and those that are folded."""

LISTED = ("model", "with_models", "gpus", "vendor", "precision", "currency")
"""Fields that are searched in a list while one types."""

_FIELDS = {each.name: each for each in FIELDS}
_DEFAULTS = {each.name: each.default for each in fields(Request)}
_CACHES = ("bf16", "fp8")
_BESIDE = frozenset({"embedding", "rerank", "speech"})  # uses of models that stand beside another
_NUMBERS = {"count": "numeric", "rate": "decimal"}

_FIELD_OF_CODE = {  # what errors that name no option speak of
    "model": (
        "unknown-model",
        "ambiguous-model",
        "model-not-published",
        "model-format-elsewhere",
        "model-format-other-engine",
        "quantised-how",
        "missing-field",
    ),
    "gpus": (
        "unknown-accelerator",
        "ambiguous-accelerator",
        "several-accelerators",
        "count-in-name",
        "size-without-name",
        "processor-not-accelerator",
        "accelerator-not-modelled",
    ),
    "scenario": ("unknown-scenario",),
    "engine": ("unknown-engine", "engine-not-modelled"),
    "precision": ("unknown-precision", "precision-elsewhere", "precision-other-engine"),
    "kv_precision": ("unknown-kv-precision", "unknown-cache-format"),
    "vendor": ("unknown-vendor", "vendor-without-parts"),
    "context_tokens": ("tokens-contradict",),
    "engine_version": ("bad-version",),
    "disaggregate": ("not-with-workers",),
    "speculative": ("bad-drafts", "no-draft-layers"),
    CONFIG: (
        "not-json",
        "key-twice",
        "unreadable-config",
        "missing-keys",
        "unknown-mixer",
        "unknown-feed-forward",
        "bad-config-value",
        "file-too-large",
    ),
}


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the form.

    Parameters
    ----------
    name : str
        Of the field.
    kind : str
        "text", "choice", "several" (boxes to tick), "list" (a text for each entry) or "file" (a text that may be long).
    label, hint : str
        Words beside it; the hint may be empty.
    values : sequence of str
        What was typed.
    placeholder : str
        What is taken where nothing is typed.
    choices : sequence of (str, str)
        Values of a choice, and their words.
    listed : bool
        Whether a list is searched.
    numbers : str
        The keyboard of a phone.
    error : str
        What is wrong with it.
    """

    name: str
    kind: str
    label: str
    hint: str = ""
    values: Sequence[str] = ()
    placeholder: str = ""
    choices: Sequence[tuple[str, str]] = ()
    listed: bool = False
    numbers: str = "text"
    error: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Inputs that belong together: those that one sees, and those that are folded; ``open`` unfolds them."""

    name: str
    title: str
    inputs: Sequence[Input]
    folded: Sequence[Input] = field(default=())
    open: bool = False


def form_groups(typed: Sequence[tuple[str, str]], plan: Plan | None, error: GpusizerError | None, language: str) -> list[Group]:
    """The form.

    Parameters
    ----------
    typed : sequence of (str, str)
        Names and values as they were typed.
    plan : Plan or None
        The answer, whose need says what is taken where nothing was typed.
    error : GpusizerError or None
        Why there is no answer.
    language : str
        "en" or "zh".
    """
    values: dict[str, list[str]] = {}
    for name, value in typed:
        values.setdefault(name, []).append(value)
    instead = taken(plan, language)
    wrong = field_of_error(error, typed)

    def made(name: str) -> Input:
        said = said_of_error(error, language) if error is not None and name == wrong else ""
        return _input(name, values.get(name, []), instead.get(name, ""), said, language)

    groups = []
    for name, (seen, folded) in GROUPS.items():
        opened = any(values.get(each) for each in folded) or wrong in folded
        groups.append(Group(name, text("web", f"group-{name}", language), [made(each) for each in seen], [made(each) for each in folded], opened))
    return groups


def _input(name: str, values: Sequence[str], placeholder: str, error: str, language: str) -> Input:
    bare = Input(name, "text", text("web", f"field-{name}", language), _hint(name, language), values, error=error)
    choices = _choices(name, language)
    if name == CONFIG:
        return replace(bare, kind="file")
    if choices and _FIELDS[name].many:
        return replace(bare, kind="several", choices=choices)
    if choices:
        more = [(each, each) for each in values if each not in {value for value, _ in choices} and each != _DEFAULTS.get(name)]
        return replace(bare, kind="choice", choices=[*choices, *more])
    kind = "list" if _FIELDS[name].many else "text"
    return replace(bare, kind=kind, placeholder=placeholder, listed=name in LISTED, numbers=_NUMBERS.get(_FIELDS[name].kind, "text"))


def _hint(name: str, language: str) -> str:
    return text("web", f"hint-{name}", language) if has("web", f"hint-{name}", language) else ""


def _choices(name: str, language: str) -> list[tuple[str, str]]:
    """Values with their words; the empty value is the one that is taken without any."""
    if name == "scenario":
        names = [(each.id, text("scenario", each.id, language)) for each in scenarios()]
        return [("", text("scenario", DEFAULT_SCENARIO, language)), *(each for each in names if each[0] != DEFAULT_SCENARIO)]
    if name == "engine":
        return _with_default(name, [(each, engine_name(each)) for each in engine_ids()])
    if name == "kv_precision":
        return _with_default(name, [(str(_DEFAULTS[name]), text("web", "choice-auto", language)), *((each, each.upper()) for each in _CACHES)])
    known: Field | None = _FIELDS.get(name)
    if known is None or known.kind != "choice":
        return []
    named = [(each, text("web", f"choice-{name}-{each}", language)) for each in known.choices]
    return named if known.many else _with_default(name, named)


def _with_default(name: str, choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is taken without saying first, with an empty value: an address stays short."""
    usual = [("", words) for value, words in choices if value == _DEFAULTS[name]]
    return [*usual, *((value, words) for value, words in choices if value != _DEFAULTS[name])]


def taken(plan: Plan | None, language: str) -> dict[str, str]:
    """What an answer took where nothing was typed, by the names of fields.

    Parameters
    ----------
    plan : Plan or None
        The answer.
    language : str
        "en" or "zh".
    """
    worded = ("with_models", "gpus", "vendor", "max_gpus", "ttft_s", "tpot_s")
    found: dict[str, str] = {name: text("web", f"taken-{name}", language) for name in worded}
    found |= {name: str(_DEFAULTS[name]) for name in ("precision", "speculative", "spare")}
    if plan is None:
        return found
    need = plan.need
    counts: Mapping[str, Any] = {name: getattr(need, name) for name in ("users", "concurrency", "input_tokens", "output_tokens", "context_tokens")}
    found |= {name: f"{value:,}" for name, value in counts.items() if value is not None}
    if need.active_share is not None:
        found["active_share"] = format_share(need.active_share)
    return found | {"currency": plan.request.money, "shared_prefix_tokens": str(_DEFAULTS["shared_prefix_tokens"])}


def field_of_error(error: GpusizerError | None, typed: Sequence[tuple[str, str]]) -> str | None:
    """The field that an error speaks of; None where it speaks of none.

    >>> from gpusizer.errors import FlagError, UnitError
    >>> field_of_error(FlagError("bad-count", option="--users", found="x"), [])
    'users'
    >>> field_of_error(UnitError("bad-share", found="x"), [("active_share", "x")])
    'active_share'
    """
    if error is None:
        return None
    option, found, named = (error.parameters.get(each) for each in ("option", "found", "name"))
    by_option = next((each.name for each in FIELDS if option and each.label == option), None)
    by_code = next((name for name, codes in _FIELD_OF_CODE.items() if error.code in codes), None)
    by_value = next((name for name, value in typed if found and value.strip() == str(found)), None)
    return by_option or (str(named) if named in _FIELDS else None) or by_code or by_value


def said_of_error(error: GpusizerError, language: str) -> str:
    """The sentence of an error, with the label of an input where the command line has an option."""
    name = field_of_error(error, [])
    parameters = dict(error.parameters)
    if "option" in parameters and name is not None:
        parameters["option"] = text("web", f"field-{name}", language)
    words = text("error", error.code, language, **parameters)
    return words[:1].upper() + words[1:]


@cache
def datalists(language: str) -> Mapping[str, Sequence[tuple[str, str]]]:
    """What is searched in while one types: values, with words where they say more."""
    return {
        "model": [(each, "") for each in model_ids()],
        "with_models": [(each, "") for each in model_ids() if not _BESIDE.isdisjoint(model_entry(each).uses)],
        "gpus": [(each.id, device_name(each.name, language)) for each in accelerators() if each.usual],
        "vendor": [(each, "") for each in sorted({each.vendor for each in accelerators()})],
        "precision": [(each, "") for each in precision_ids()],
        "currency": [(each, "") for each in read_rates().per_usd],
    }
