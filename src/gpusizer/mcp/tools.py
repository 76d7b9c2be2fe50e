"""The six tools: each reads its arguments, asks the library, and cuts the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpusizer.answers import accelerator_answer, accelerators_answer, fit_answer, formula_answer, model_answer, models_answer
from gpusizer.errors import GpusizerError, InputError
from gpusizer.facts.filters import memory_bound
from gpusizer.i18n import text
from gpusizer.mcp.outputs import OUTPUTS
from gpusizer.mcp.parameters import DETAIL, FLAGS, GPU, LANGUAGE, START_FLAGS, Parameter, asked_fields, own, owned_fields, read_all
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import from_mapping
from gpusizer.planning.run_on.answer import run_on
from gpusizer.planning.run_on.request import from_mapping as machines_from_mapping
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering import brief
from gpusizer.rendering.run_on import run_on_data

__all__ = ["Tool", "tools"]

_PLAN_TOP = 5
_LIST_TOP = 20
_USE_TOP = 2  # models of each use
_MOST = 50  # entries of one answer
_START = ("engine", "engine_version", "precision", "checkpoint_bytes", "kv_precision", "hub")
_Values = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """One tool.

    Parameters
    ----------
    name : str
        Its name; its words are ``tool.NAME``.
    parameters : tuple of Parameter
        What it takes beside the language.
    required : tuple of str
        What must be given.
    answer : callable
        From values and a language to the answer.
    """

    name: str
    parameters: tuple[Parameter, ...]
    required: tuple[str, ...]
    answer: Callable[[_Values, str], _Values]

    def input_schema(self, language: str) -> _Values:
        """What it takes, as JSON Schema."""
        properties = {each.name: each.schema(language) for each in (*self.parameters, LANGUAGE)}
        return {"type": "object", "properties": properties, "required": list(self.required), "additionalProperties": False}

    def output_schema(self, language: str) -> Mapping[str, Any]:
        """What it answers, as JSON Schema."""
        return OUTPUTS[self.name](language)

    def description(self, language: str) -> str:
        """What it is for."""
        return text("tool", self.name, language)

    def call(self, arguments: Mapping[str, Any], language: str) -> _Values:
        """Answer, in the language that is asked for or else in this one.

        Raises
        ------
        GpusizerError
            Arguments that cannot be used, under the names that they have here.
        """
        try:
            values = read_all((*self.parameters, LANGUAGE), arguments)
            return self.answer(values, values.pop("language", language))
        except GpusizerError as error:
            names = {each.label: each.name for each in self.parameters}
            said = {key: names.get(value, value) if key in ("option", "name") else value for key, value in error.parameters.items()}
            raise type(error)(error.code, **said) from error


def tools(hub: str | None) -> tuple[Tool, ...]:
    """All tools.

    Parameters
    ----------
    hub : str or None
        Where models may be looked up; None, and nothing touches a network.
    """
    top, query, id_ = own("top", "count"), own("query", "word"), own("id", "word")
    vendor = asked_fields(None, "vendor")
    start = (*asked_fields(hub, "model", *_START), GPU, *START_FLAGS, own("command", "word"), FLAGS)
    return (
        Tool("plan", (*asked_fields(hub), top, DETAIL), ("model",), _plan),
        Tool("fit", (*start, DETAIL), ("gpu",), _fit),
        Tool("run_on", (*owned_fields(), top), ("machine",), _run_on),
        Tool("explain", (id_, query, top), (), _explain),
        Tool("models", (id_, query, top), (), _models),
        Tool("accelerators", (id_, query, *vendor, own("memory", "word"), top), (), _accelerators),
    )


def _plan(values: _Values, language: str) -> _Values:
    top, detail = _top(values, _PLAN_TOP), values.pop("detail", False)
    return brief.plan_brief(make_plan(from_mapping(values)), language, top, detail=detail)


def _fit(values: _Values, language: str) -> _Values:
    detail, model, gpus = values.pop("detail", False), values.pop("model", None), values.pop("gpu", ())
    named = {name: values.pop(name) for name in _START if name in values}
    command, further = values.pop("command", None), values.pop("flags", {})
    launched = asked_start(model, gpus, command=() if command is None else [command], named=named, flags={**further, **values})
    verdict = make_fit(launched.deployment, launched.notices)
    return brief.fit_brief(fit_answer(verdict, language).data, language, detail=detail)


def _run_on(values: _Values, language: str) -> _Values:
    if not values.get("machine"):
        raise InputError("missing-field", name="machine")
    top = _top(values, _USE_TOP)
    return brief.run_on_brief(run_on_data(run_on(machines_from_mapping({**values, "per_use": top}))), language)


def _explain(values: _Values, language: str) -> _Values:
    if "id" in values:
        return brief.formula_brief(formula_answer(values["id"], language).data, language)
    return brief.formulas_brief(formula_answer(None, language).data, language, values.get("query", ""), _top(values, _LIST_TOP))


def _models(values: _Values, language: str) -> _Values:
    if "id" in values:
        return brief.model_brief(model_answer(values["id"], language).data, language)
    return brief.models_brief(models_answer(language, values.get("query")).data, language, _top(values, _LIST_TOP))


def _accelerators(values: _Values, language: str) -> _Values:
    if "id" in values:
        return brief.accelerator_brief(accelerator_answer(values["id"], language).data, language)
    memory = memory_bound(values["memory"]) if "memory" in values else None
    found = accelerators_answer(language, values.get("vendor"), memory, values.get("query"))
    return brief.accelerators_brief(found.data, language, _top(values, _LIST_TOP))


def _top(values: _Values, usual: int) -> int:
    return min(int(values.pop("top", usual)), _MOST)
