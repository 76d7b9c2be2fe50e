"""The reference of the HTTP API as a page of ours: made from the OpenAPI document, without a script."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gpusizer.errors import GpusizerError
from gpusizer.i18n import LANGUAGES, table
from gpusizer.web.documented import api_schema
from gpusizer.web.job import Job
from gpusizer.web.plan_links import ORIGIN
from gpusizer.web.problems import STATUSES
from gpusizer.web.templating import rendered

__all__ = ["page"]

PATH = "/docs"
_METHODS = ("get", "post")
_LONGEST_EXAMPLE = 400


class Parameter(NamedTuple):
    """One input of an address."""

    name: str
    where: str
    kind: str
    is_required: bool
    description: str
    example: str


class Operation(NamedTuple):
    """One way to ask one address."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: Sequence[Parameter]
    body: str
    curl: str
    responses: Sequence[tuple[str, str]]


class Failure(NamedTuple):
    """One error: its code, its status, and its sentence in every language."""

    code: str
    status: str
    sentences: Sequence[tuple[str, str]]


def page(job: Job, error: GpusizerError | None = None) -> str:
    """Every address with its inputs, an example, its answers, and every error by its code."""
    schema = api_schema(job.language, job.root_path)
    operations = list(_operations(schema, job))
    return rendered("docs.html", job, PATH, operations=operations, failures=_failures(), title=schema["info"]["title"], error=error)


def _operations(schema: Mapping[str, Any], job: Job) -> Iterator[Operation]:
    for path, ways in schema["paths"].items():
        shared = ways.get("parameters", ())
        for method in _METHODS:
            if method in ways:
                yield _operation(schema, path, method, {**ways[method], "parameters": [*shared, *ways[method].get("parameters", ())]}, job)


def _operation(schema: Mapping[str, Any], path: str, method: str, said: Mapping[str, Any], job: Job) -> Operation:
    parameters = [_followed(schema, each) for each in said["parameters"]]
    body = _body_example(schema, said.get("requestBody"))
    return Operation(
        f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        method.upper(),
        path,
        said.get("summary", ""),
        said.get("description", ""),
        [_parameter(schema, each) for each in parameters],
        body,
        _curl(path, parameters, body, job),
        [(status, _followed(schema, each).get("description", "")) for status, each in said.get("responses", {}).items()],
    )


def _parameter(schema: Mapping[str, Any], said: Mapping[str, Any]) -> Parameter:
    shape = _followed(schema, said.get("schema", {}))
    described = said.get("description") or shape.get("description", "")
    return Parameter(said["name"], said.get("in", ""), _kind(schema, shape), bool(said.get("required")), described, _example(said, shape))


def _kind(schema: Mapping[str, Any], shape: Mapping[str, Any]) -> str:
    """The type in the words of JSON Schema; the values of a choice."""
    if "enum" in shape:
        return " | ".join(map(str, shape["enum"]))
    if "anyOf" in shape or "oneOf" in shape:
        kinds = (_kind(schema, _followed(schema, each)) for each in (*shape.get("anyOf", ()), *shape.get("oneOf", ())))
        return " | ".join(dict.fromkeys(word for kind in kinds for word in kind.split(" | ") if word != "null"))
    kind = shape.get("type", "")
    names = [kind] if isinstance(kind, str) else [each for each in kind if each != "null"]
    inner = _kind(schema, _followed(schema, shape["items"])) if "items" in shape else ""
    return " | ".join(f"({inner})[]" if name == "array" and inner else name for name in names)


def _example(said: Mapping[str, Any], shape: Mapping[str, Any]) -> str:
    """The first example; the default where there is none."""
    several = [each.get("value") for each in said.get("examples", {}).values()] if isinstance(said.get("examples"), Mapping) else []
    found = next(
        (
            each
            for each in (said.get("example"), *several, shape.get("example"), *shape.get("examples", ()), shape.get("default"))
            if each is not None
        ),
        None,
    )
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _body_example(schema: Mapping[str, Any], body: Mapping[str, Any] | None) -> str:
    """An example of what is sent as JSON; empty without any."""
    if body is None:
        return ""
    content = _followed(schema, body).get("content", {}).get("application/json", {})
    found = _example(content, _followed(schema, content.get("schema", {})))
    return found if len(found) <= _LONGEST_EXAMPLE else ""


def _curl(path: str, parameters: Sequence[Mapping[str, Any]], body: str, job: Job) -> str:
    """The address with the examples of its parameters, for a shell."""
    pairs: list[tuple[str, Any]] = []
    for each in parameters:
        example = each.get("example")
        if each.get("in") == "path":
            path = path.replace(f"{{{each['name']}}}", str(example or "ID"))
        elif isinstance(example, Mapping):
            pairs += example.items()
        elif example is not None:
            pairs.append((each["name"], example))
    address = f"{ORIGIN}{job.root_path}{path}"
    if body:
        return f"curl -H 'Content-Type: application/json' -d {shlex.quote(body)} {shlex.quote(address)}"
    return f"curl {shlex.quote(address + ('?' + urlencode(pairs, doseq=True) if pairs else ''))}"


def _followed(schema: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to."""
    for _ in range(8):
        reference = said.get("$ref")
        if reference is None:
            break
        found: Any = schema
        for part in str(reference).lstrip("#/").split("/"):
            found = found[part]
        said = found
    return said


def _failures() -> list[Failure]:
    """Every error by its code, those first that HTTP has a number for."""
    codes = sorted(table("error", "en"), key=lambda code: (STATUSES.get(code, 422), code))
    return [Failure(code, str(STATUSES.get(code, "")), [(each, table("error", each).get(code, "")) for each in LANGUAGES]) for code in codes]
