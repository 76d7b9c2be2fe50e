"""The OpenAPI document: every address of the API, made from the tables that the server itself reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from gpusizer.i18n import LANGUAGES, text
from gpusizer.rendering.render import form_names
from gpusizer.web.addresses import API, LISTS, QUESTIONS, addresses
from gpusizer.web.documented_answers import ANSWERS
from gpusizer.web.documented_inputs import EXAMPLES, body_schema, parameters
from gpusizer.web.file_names import ENDINGS
from gpusizer.web.problems import PROBLEM
from gpusizer.web.replies import MEDIA_TYPES

__all__ = ["api_schema"]

_ANYWHERE = (400, 408, 413, 414, 421, 422, 431, 500, 503)
_NAMED = (*_ANYWHERE, 404)
_MORE_FORMS: Mapping[str, Sequence[str]] = {"plan": ("mail", "xlsx"), "deploy": ("yaml", "sh")}
"""Forms that an answer has beside those of every document."""


@lru_cache(maxsize=8)
def api_schema(language: str = "en", root_path: str = "") -> dict[str, Any]:
    """The document.

    Parameters
    ----------
    language : str
        Of the descriptions.
    root_path : str
        Where a proxy has put the server.

    Examples
    --------
    >>> sorted(api_schema()["paths"]["/api/v1/plan"])
    ['get', 'post']
    """
    about = {"description": text("api", "about", language), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "gpusizer", "version": version("gpusizer"), **about},
        "servers": [{"url": root_path or "/"}],
        "tags": [{"name": name, "description": text("api", f"tag-{name}", language)} for name in ("questions", "catalogue", "server")],
        "paths": {**_questions(language), **_lists(language), **_server(language)},
        "components": {"schemas": {**ANSWERS, **{_body(kind): body_schema(kind, language) for kind in QUESTIONS}}},
    }


def _questions(language: str) -> dict[str, Any]:
    """What takes many inputs."""
    found: dict[str, Any] = {}
    for kind in QUESTIONS:
        for path, ending in ((f"{API}/{kind}", None), (f"{API}/{kind}.{{ending}}", _ending(kind, language))):
            answers = _answer(kind, language) if ending is None else _files(kind, language)
            statuses = _ANYWHERE if ending is None else _NAMED
            beside = [_language(language), *([ending] if ending else [])]
            named = kind.replace("-", "_") if ending is None else f"{kind.replace('-', '_')}_file"
            found[path] = {
                "get": _operation(f"get_{named}", kind, language, [*parameters(kind, language), *beside], _responses(answers, statuses, language)),
                "post": {
                    **_operation(f"post_{named}", kind, language, beside, _responses(answers, (*statuses, 415), language, kept=False)),
                    "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(_body(kind)), "example": EXAMPLES[kind]}}},
                },
            }
    return found


def _lists(language: str) -> dict[str, Any]:
    """What there is, and each thing of it."""
    found: dict[str, Any] = {}
    listed = dict.fromkeys(each.kind for each in addresses() if each.path == f"{API}/{each.kind}" and each.kind not in QUESTIONS)
    for kind in listed:
        inputs = [*parameters(kind, language), _language(language)]
        found[f"{API}/{kind}"] = _get(kind, kind, language, inputs, _responses(_answer(kind, language), _ANYWHERE, language))
        inputs = [*inputs, _ending(kind, language)]
        found[f"{API}/{kind}.{{ending}}"] = _get(f"{kind}_file", kind, language, inputs, _responses(_files(kind, language), _NAMED, language))
    for kind, one in LISTS.items():
        inputs = [_id(one, language), _language(language)]
        found[f"{API}/{kind}/{{id}}"] = _get(one, one, language, inputs, _responses(_answer(one, language), _NAMED, language))
    return found


def _get(name: str, about: str, language: str, inputs: Sequence[Mapping[str, Any]], responses: Mapping[str, Any]) -> dict[str, Any]:
    return {"get": _operation(f"get_{name}", about, language, inputs, responses, "catalogue")}


def _id(one: str, language: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": text("api", "id", language),
        "schema": schema,
        "example": EXAMPLES[one]["id"],
    }


def _server(language: str) -> dict[str, Any]:
    """What it says of itself."""
    health = {"description": text("api", "health", language), "content": {"application/json": {"schema": _ref("Health")}}}
    metrics = {"description": text("api", "metrics", language), "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        path: {"get": _operation(f"get_{name}", name, language, [], {"200": answer, **_problems(_ANYWHERE, language)}, "server")}
        for path, name, answer in (("/healthz", "health", health), ("/metrics", "metrics", metrics))
    }


def _operation(
    name: str, about: str, language: str, inputs: Sequence[Mapping[str, Any]], responses: Mapping[str, Any], tag: str = "questions"
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [tag],
        "summary": text("api", about, language),
        **({"parameters": inputs} if inputs else {}),
        "responses": responses,
    }


def _responses(answer: Mapping[str, Any], statuses: Sequence[int], language: str, *, kept: bool = True) -> dict[str, Any]:
    """The answer, what says that the asker's copy is good, and every refusal."""
    if not kept:
        return {"200": answer, **_problems(statuses, language)}
    tag = {"ETag": {"description": text("api", "etag", language), "schema": {"type": "string"}}}
    return {"200": {**answer, "headers": tag}, "304": {"description": text("api", "same", language)}, **_problems(statuses, language)}


def _problems(statuses: Sequence[int], language: str) -> dict[str, Any]:
    content = {PROBLEM: {"schema": _ref("Problem")}}
    return {str(each): {"description": text("api", f"status-{each}", language), "content": content} for each in sorted(statuses)}


def _answer(kind: str, language: str) -> dict[str, Any]:
    return {"description": text("api", "answer", language), "content": {"application/json": {"schema": _ref(_name(kind))}}}


def _files(kind: str, language: str) -> dict[str, Any]:
    """The answer in the form that the ending asks for."""
    content: dict[str, Any] = {}
    for ending in _endings(kind):
        form = ENDINGS[ending]
        content[MEDIA_TYPES[form]] = {"schema": _ref(_name(kind)) if form == "json" else {"type": "string"}}
    return {"description": text("api", "answer", language), "content": content}


def _endings(kind: str) -> list[str]:
    """Endings that an answer of this kind has."""
    forms = (*form_names(), *_MORE_FORMS.get(kind, ()))
    return [ending for ending, form in ENDINGS.items() if form in forms]


def _ending(kind: str, language: str) -> dict[str, Any]:
    schema = {"type": "string", "enum": _endings(kind)}
    return {"name": "ending", "in": "path", "required": True, "description": text("api", "ending", language), "schema": schema, "example": "csv"}


def _language(language: str) -> dict[str, Any]:
    schema = {"type": "string", "enum": list(LANGUAGES)}
    return {"name": "lang", "in": "query", "description": text("api", "lang", language), "schema": schema}


def _name(kind: str) -> str:
    """The schema of an answer.

    >>> _name("run-on")
    'RunOn'
    """
    return kind.title().replace("-", "")


def _body(kind: str) -> str:
    return f"{_name(kind)}Request"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
