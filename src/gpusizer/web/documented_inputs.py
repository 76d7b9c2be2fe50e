"""What the API takes, as JSON Schema: made from the fields of a request, for a query and for a JSON body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.i18n import LANGUAGES, has, text
from gpusizer.planning.deploy import FIELDS as DEPLOY_FIELDS
from gpusizer.planning.fields import Field
from gpusizer.planning.run_on.request import FIELDS as RUN_ON_FIELDS
from gpusizer.rendering.input_schema import field_schema
from gpusizer.web.asked import OWN, PLAN_FIELDS

__all__ = ["EXAMPLES", "body_schema", "parameters"]

_NUMBER = r"[0-9][0-9,_]*(\.[0-9]+)?"
_WORDS: Mapping[str, str] = {
    "count": r"^[0-9][0-9,_]*$",
    "tokens": rf"^{_NUMBER} ?[kKmM]?$",
    "share": rf"^{_NUMBER} ?%?$",
    "spread": rf"^{_NUMBER} ?%?$",
    "rate": r"^[0-9]+(\.[0-9]+)?(/s)?$",
    "seconds": rf"^{_NUMBER} ?(us|ms|s|min|h)$",
}
"""How quantities are written as words: "128k", "5%", "2.5/s", "50ms"."""

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "plan": {"model": "deepseek-v3", "users": 1000, "gpus": ["h200-sxm-141gb", "h20-sxm-141gb"], "top": 3},
    "fit": {"model": "deepseek-v3", "gpu": ["h200-sxm-141gb"], "flags": {"tensor-parallel-size": 8, "max-model-len": "32k"}},
    "deploy": {"model": "qwen3-32b", "users": 200, "gpus": ["h200-sxm-141gb"], "option": 1},
    "diagnose": {
        "log": "INFO Available KV cache memory: 22.81 GiB\nINFO GPU KV cache size: 166,096 tokens",
        "model": "qwen3-8b",
        "gpu": ["l40s-48gb"],
    },
    "run-on": {"machine": ["l40s:4", "rtx-4090:2"], "use": ["code"], "users": 20, "per_use": 3},
    "models": {"filter": "moe mla"},
    "accelerators": {"vendor": "nvidia", "memory": ">=80GB"},
    "model": {"id": "deepseek-v3"},
    "accelerator": {"id": "h200-sxm-141gb"},
    "engine": {"id": "vllm"},
    "scenario": {"id": "rag-knowledge-base"},
    "formula": {"id": "article.activation.dense"},
}
"""A question of each kind that takes any inputs."""

_FIT: Sequence[Field] = (
    Field("model", "word", ""),
    Field("command", "word", "command"),
    Field("config", "json", ""),
    Field("gpu", "gpu", "--gpu", many=True),
    Field("engine", "word", "--engine"),
    Field("engine_version", "word", "--engine-version"),
    Field("precision", "word", "--precision"),
    Field("kv_precision", "word", "--kv-precision"),
)

_DIAGNOSE: Sequence[Field] = (
    Field("log", "word", ""),
    *(each for each in _FIT if each.name in ("model", "command", "gpu", "engine", "engine_version")),
)

_INPUTS: Mapping[str, Sequence[Field]] = {
    "plan": (*PLAN_FIELDS, *OWN),
    "fit": _FIT,
    "deploy": (*PLAN_FIELDS, *DEPLOY_FIELDS, *(each for each in _FIT if each.name in ("command", "config", "gpu"))),
    "run-on": RUN_ON_FIELDS,
    "diagnose": _DIAGNOSE,
    "models": (Field("filter", "word", "--filter"),),
    "accelerators": (Field("filter", "word", "--filter"), Field("vendor", "word", "--vendor"), Field("memory", "word", "--memory")),
}
_WITH_FLAGS = ("fit", "deploy", "diagnose")
_OTHER_TEXTS = {"memory": "memory-bound", "command": "pasted-command"}


def parameters(kind: str, language: str) -> list[dict[str, Any]]:
    """What stands in the query of an address.

    Parameters
    ----------
    kind : str
        What is asked.
    language : str
        Of the descriptions.
    """
    example = EXAMPLES.get(kind, {})
    found = []
    for each in _INPUTS.get(kind, ()):
        entry: dict[str, Any] = {"name": each.name, "in": "query", "allowEmptyValue": True, "schema": _asked(each)}
        entry |= {"description": words} if (words := _words(each, language)) else {}
        entry |= {"example": example[each.name]} if each.name in example else {}
        entry |= {"style": "form", "explode": True} if each.many else {}
        found.append(entry)
    if kind in _WITH_FLAGS:
        found.append(_flags(example, language))
    return found


def body_schema(kind: str, language: str) -> dict[str, Any]:
    """The JSON object that asks the same.

    Parameters
    ----------
    kind : str
        What is asked.
    language : str
        Of the descriptions.
    """
    properties = {}
    for each in _INPUTS[kind]:
        words = _words(each, language)
        properties[each.name] = {"anyOf": [_schema(each), {"type": "null"}], **({"description": words} if words else {})}
    if kind in _WITH_FLAGS:
        properties["flags"] = {**_FLAGS, "description": text("api", "flags", language)}
    return {"type": "object", "properties": properties, "additionalProperties": kind in _WITH_FLAGS, "example": EXAMPLES[kind]}


_FLAGS: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def _flags(example: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Names that the engine knows, each as a name of the query."""
    named = {"name": "flags", "in": "query", "style": "form", "explode": True, "schema": _FLAGS}
    return {**named, "description": text("api", "flags", language), **({"example": example["flags"]} if "flags" in example else {})}


def _asked(field: Field) -> dict[str, Any]:
    """A field in a query, where a form leaves empty what nobody filled in."""
    schema = _schema(field, typed=field.kind != "seconds")
    return schema if field.many else {"anyOf": [schema, {"type": "string", "maxLength": 0}]}


def _words(field: Field, language: str) -> str:
    names = (field.name, f"argument-{field.name}", _OTHER_TEXTS.get(field.name, ""))
    code = next((each for each in names if has("option", each, language)), None)
    return text("option", code, language) if code else ""


def _schema(field: Field, *, typed: bool = True) -> dict[str, Any]:
    """A field as a number with its bounds, or as words; a list of either where several may be given."""
    if field.kind == "json":
        return {"type": ["object", "string"], "contentMediaType": "application/json"}
    known = {name: value for name, value in field_schema(field, LANGUAGES[0]).items() if name not in ("description", "default")}
    one = known["items"] if field.many else known
    if field.kind in _WORDS:
        words = {"type": "string", "pattern": _WORDS[field.kind]}
        one = {"anyOf": [one, words]} if typed else words
    return {"type": "array", "items": one} if field.many else one
