"""The OpenAPI document says what the server does: no 5xx, no answer outside its schema, every example answered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from gpusizer.facts.catalog import scenarios
from gpusizer.i18n import LANGUAGES, has
from gpusizer.planning.request import FIELDS
from gpusizer.planning.run_on.request import FIELDS as RUN_ON_FIELDS
from gpusizer.web.addresses import addresses
from gpusizer.web.documented import api_schema

STRANGERS_GIVE_NOT = {"trace", "prices", "calibrate", "hub"}
CONFIGURED = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "422"]  # a name that there is not, inputs that contradict each other

[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405", "413", "414", "415", "422", "431"]
"""


@pytest.fixture(scope="module")
def document(server: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(server + "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


@pytest.mark.parametrize(
    ("which", "phases", "examples"),
    [("^(?!.*(ending|deploy))", "examples,coverage,fuzzing", "2"), ("ending|deploy", "examples,fuzzing", "2")],
    ids=["addresses", "their other forms, and what takes the inputs of two"],
)
def test_nobody_finds_an_answer_that_is_not_described(server: str, tmp_path: Path, which: str, phases: str, examples: str) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURED)
    command = [str(Path(sys.executable).with_name("st")), "run", server + "/openapi.json", "--checks=all", "--continue-on-failure", "--no-color"]
    command += [f"--include-path-regex={which}", f"--phases={phases}", f"--max-examples={examples}", "--generation-deterministic"]
    found = subprocess.run(command, cwd=tmp_path, env={**os.environ, "COLUMNS": "150"}, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    assert "Test cases:" in found.stdout


def test_every_example_is_answered_and_keeps_its_schema(server: str, document: dict[str, Any]) -> None:
    seen = 0
    for path, method, operation in operations(document):
        given = [each for each in operation.get("parameters", ()) if "example" in each]
        address = path.format(**{each["name"]: each["example"] for each in given if each["in"] == "path"})
        query: dict[str, Any] = {}
        for each in (each for each in given if each["in"] == "query"):
            query |= each["example"] if isinstance(each["example"], dict) else {each["name"]: each["example"]}
        body = operation["requestBody"]["content"]["application/json"]["example"] if method == "post" else None
        found = httpx.request(method, server + address, params=query, json=body, timeout=60)
        assert found.status_code == 200, (method, address, found.text[:500])
        kind = found.headers["content-type"]
        content = operation["responses"]["200"]["content"]
        assert kind in content or kind.partition(";")[0] in content, (address, kind)
        if kind == "application/json":
            validated(found.json(), content[kind]["schema"], document)
            seen += 1
    assert seen >= 12


def validated(answer: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("plan?model=qwen3-30b-a3b&users=200&ttft_s=2s&tpot_s=50ms&top=5", "Plan"),
        ("plan?model=deepseek-v3&gpus=rtx-4090-24gb&max_gpus=1", "Plan"),
        ("plan?model=qwen3-8b&engine=llama.cpp&fields=gpu,gpus&top=2", "Plan"),
        ("plan?model=qwen3-32b&market=cn-domestic&method=article&top=2", "Plan"),
        ("plan?model=qwen3-8b&request_rate=2&gpus=h200", "Plan"),
        ("fit?model=deepseek-v3&gpu=h200&tp=1", "Fit"),
        ("fit?model=qwen3-8b&gpu=rtx-4090-24gb&engine=llama.cpp&ctx-size=8k", "Fit"),
        ("deploy?model=deepseek-v3&gpus=h100-sxm-80gb&target=kubernetes", "Deploy"),
        ("deploy?gpu=h200&command=vllm+serve+Qwen/Qwen3-8B&target=compose", "Deploy"),
        ("run-on?machine=l40s:4&machine=rtx-4090&use=code,chat&concurrency=8", "RunOn"),
        ("run-on?machine=rtx-3090:2&host_memory=64GB&host_bandwidth=60GB/s&per_use=2", "RunOn"),
        ("run-on?machine=h200&models=kimi-k2-instruct", "RunOn"),
        ("models/qwen3-8b", "Model"),
        ("models/deepseek-v3", "Model"),
        ("accelerators/rtx-4090-24gb", "Accelerator"),
        *((f"scenarios/{each.id}", "Scenario") for each in scenarios()),
        *((f"engines/{each}", "Engine") for each in ("sglang", "tensorrt-llm", "llama.cpp", "transformers")),
    ],
)
def test_real_answers_keep_their_schema(server: str, document: dict[str, Any], path: str, name: str) -> None:
    found = httpx.get(f"{server}/api/v1/{path}", timeout=60)
    assert found.status_code == 200, found.text[:500]
    validated(found.json(), {"$ref": f"#/components/schemas/{name}"}, document)


def test_problems_keep_their_schema(server: str, document: dict[str, Any]) -> None:
    for path in ("/nowhere", "/api/v1/plan", "/api/v1/models/nobody", "/api/v1/plan?model=qwen3-8b&users=x"):
        validated(httpx.get(server + path).json(), {"$ref": "#/components/schemas/Problem"}, document)


def test_every_input_of_a_plan_that_strangers_may_give_is_described(document: dict[str, Any]) -> None:
    fields = {each.name for each in FIELDS} - STRANGERS_GIVE_NOT
    query = {each["name"]: each for each in document["paths"]["/api/v1/plan"]["get"]["parameters"]}
    body = document["components"]["schemas"]["PlanRequest"]["properties"]
    for named in (query, body):
        assert fields <= named.keys()
        assert not STRANGERS_GIVE_NOT & named.keys()
        assert not [name for name in fields if has("option", name) and not named[name].get("description")]
    assert query["gpus"]["explode"]
    assert query["gpus"]["schema"]["type"] == "array"


def test_every_input_of_a_question_about_machines_is_described(document: dict[str, Any]) -> None:
    query = {each["name"]: each for each in document["paths"]["/api/v1/run-on"]["get"]["parameters"]}
    body = document["components"]["schemas"]["RunOnRequest"]["properties"]
    for named in (query, body):
        assert {each.name for each in RUN_ON_FIELDS} <= named.keys()
        assert all(named[each.name].get("description") for each in RUN_ON_FIELDS)
    assert "here asks" not in query["machine"]["description"]


def test_every_address_of_the_api_is_described(document: dict[str, Any]) -> None:
    served = {(each.path.replace(":path", ""), method.lower()) for each in addresses() for method in each.methods if each.path.startswith("/api")}
    described = {(path, method) for path, method, _ in operations(document)}
    assert {(path, method) for path, method in served if method != "head"} <= described
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_both_languages(language: str) -> None:
    """A text that is lacking would show its code."""
    for path, method, operation in operations(api_schema(language)):
        assert operation["summary"] != operation["operationId"].partition("_")[2], (path, method)
        assert all(each["description"] != f"status-{status}" for status, each in operation["responses"].items())
