"""What the API answers, as JSON Schema. More fields may come; what is named here stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.i18n import LANGUAGES

__all__ = ["ANSWERS"]

_Schema = Mapping[str, Any]

_UNITS = (
    ("_per_million_tokens_kwh", "kWh"),
    ("_bytes_per_token", "bytes"),
    ("_bytes_per_request", "bytes"),
    ("_bytes_per_s", "bytes per second"),
    ("_tokens_per_s", "tokens per second"),
    ("_requests_per_s", "requests per second"),
    ("_bytes", "bytes"),
    ("_tokens", "tokens"),
    ("_params", "parameters"),
    ("_s", "seconds"),
    ("_w", "watts"),
)
"""Names end in their unit; the first that ends a name is its."""


def _with_unit(name: str, schema: _Schema) -> _Schema:
    unit = next((words for ending, words in _UNITS if name.endswith(ending)), None)
    is_number = schema in (_WHOLE, _NUMBER, _WHOLE0, _NUMBER0)
    return {**schema, "description": unit} if unit and is_number else schema


def _some(**properties: _Schema) -> _Schema:
    """An object that may lack any of these."""
    return {"type": "object", "properties": {name: _with_unit(name, each) for name, each in properties.items()}}


def _all(**properties: _Schema) -> _Schema:
    """An object that has all of these."""
    return {**_some(**properties), "required": list(properties)}


def _list(entry: _Schema) -> _Schema:
    return {"type": "array", "items": entry}


def _or_null(schema: _Schema) -> _Schema:
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _is(name: str) -> _Schema:
    return {"type": "string", "const": f"gpusizer.{name}/1"}


_TEXT: _Schema = {"type": "string"}
_TEXTS = _list(_TEXT)
_WHOLE: _Schema = {"type": "integer"}
_NUMBER: _Schema = {"type": "number"}
_YES: _Schema = {"type": "boolean"}
_FREE: _Schema = {"type": "object"}
_TEXT0, _WHOLE0, _NUMBER0, _FREE0 = map(_or_null, (_TEXT, _WHOLE, _NUMBER, _FREE))
_VERDICT: _Schema = {"type": "string", "enum": ["fits", "tight"]}
_EVIDENCE: _Schema = {"type": "string", "enum": ["exact", "measured", "calibrated", "assumed"]}
_SENTENCE = _all(**dict.fromkeys(LANGUAGES, _TEXT))
_LAYOUT = _all(tp=_WHOLE, pp=_WHOLE, dp=_WHOLE, ep=_WHOLE)
_NOTICE = _all(code=_TEXT, parameters=_FREE, sentence=_SENTENCE)
_NAMED_FORMULA = _all(id=_TEXT, name=_TEXT, unit=_TEXT, expression=_TEXT, symbols=_FREE, valid=_FREE, reference=_TEXT, example=_FREE)

_NEED = _all(
    concurrency=_WHOLE,
    users=_WHOLE0,
    active_share=_NUMBER0,
    request_rate=_NUMBER0,
    input_tokens=_WHOLE0,
    output_tokens=_WHOLE0,
    context_tokens=_WHOLE,
    sentence=_SENTENCE,
)

_COST = _all(amount=_NUMBER, high=_NUMBER0, currency=_TEXT, per=_TEXT, kind=_TEXT, date=_TEXT0, source=_TEXT0)

_SPEED = _some(ttft_s=_ref("Band"), tpot_s=_ref("Band"), output_tokens_per_s=_ref("Band"), evidence=_EVIDENCE)

_OPTION = _some(
    rank=_WHOLE,
    verdict=_VERDICT,
    gpu=_TEXT,
    gpu_name=_TEXT,
    gpus=_WHOLE,
    gpus_to_order=_WHOLE,
    nodes=_WHOLE,
    replicas=_WHOLE,
    spare_replicas=_WHOLE,
    layout=_LAYOUT,
    precision=_TEXT,
    engine=_TEXT,
    engine_version=_TEXT,
    per_gpu=_ref("PerGpu"),
    kv_cache=_FREE,
    kv_cache_tokens=_NUMBER,
    max_concurrency=_NUMBER,
    max_concurrency_low=_NUMBER,
    ttft_s=_NUMBER0,
    tpot_s=_NUMBER0,
    output_tokens_per_s=_NUMBER0,
    speed=_or_null(_SPEED),
    cost=_or_null(_ref("Cost")),
    purchase=_or_null(_ref("Cost")),
    cost_per_million_tokens=_NUMBER0,
    energy_per_million_tokens_kwh=_NUMBER0,
    evidence=_EVIDENCE,
    items=_list(_ref("Item")),
    command=_TEXT,
    companions=_list(_ref("Companion")),
    why_not_first=_or_null(_ref("Notice")),
    warnings=_list(_ref("Notice")),
)

_COMPANION = _all(
    model=_TEXT,
    name=_TEXT,
    engine=_TEXT,
    engine_version=_TEXT,
    precision=_TEXT,
    gpu=_TEXT,
    gpus=_WHOLE,
    placed={"type": "string", "enum": ["shared", "own"]},
    server=_WHOLE,
    device=_WHOLE,
    held_bytes=_WHOLE,
    gpu_share=_NUMBER,
    max_model_len=_WHOLE0,
    max_concurrency=_WHOLE,
    per_gpu=_ref("PerGpu"),
    items=_list(_ref("Item")),
    command=_TEXT0,
)

_MODEL = _all(
    id=_TEXT,
    name=_TEXT,
    total_params=_WHOLE,
    activated_params=_WHOLE,
    mtp_params=_WHOLE,
    checkpoint_bytes=_WHOLE,
    kv_cache_bytes_per_token=_NUMBER,
    fixed_bytes_per_request=_NUMBER,
)

_PLAN = _all(
    schema=_is("plan"),
    request=_FREE,
    model=_MODEL,
    article=_FREE0,
    sentence=_SENTENCE,
    need=_NEED,
    options=_list(_ref("Option")),
    rejected=_list(_all(gpu=_TEXT, layout=_FREE0, code=_TEXT, parameters=_FREE, sentence=_SENTENCE)),
    warnings=_list(_ref("Notice")),
)

_LONE_REQUEST = _all(
    input_tokens=_WHOLE,
    output_tokens=_WHOLE,
    ttft_s=_ref("Band"),
    tpot_s=_ref("Band"),
    output_tokens_per_s=_ref("Band"),
    host_bandwidth_bytes_per_s=_NUMBER,
    host_bandwidth_origin={"type": "string", "enum": ["told", "assumed", "link"]},
    evidence=_EVIDENCE,
)

_FIT = _all(
    schema=_is("fit"),
    fits=_YES,
    reason=_or_null(_ref("Notice")),
    engine=_TEXT,
    engine_version=_TEXT,
    per_gpu=_ref("PerGpu"),
    kv_cache=_some(bytes_per_token=_NUMBER, fixed_bytes_per_request=_NUMBER, block_size=_WHOLE0, blocks=_WHOLE0, tokens=_NUMBER0),
    max_concurrency=_NUMBER0,
    evidence=_EVIDENCE,
    items=_list(_ref("Item")),
    ranks=_list(_FREE),
    host=_or_null(_ref("Host")),
    speed=_or_null(_LONE_REQUEST),
    command=_TEXT,
    sentence=_SENTENCE,
    deployment=_FREE,
    companions=_list(_ref("Companion")),
    remedies=_list(_FREE),
    expected_log=_list(_all(line=_TEXT, quantity=_TEXT, value=_NUMBER, low=_NUMBER, high=_NUMBER)),
    warnings=_list(_ref("Notice")),
)

_RUNNING_ALWAYS = _all(
    model=_TEXT,
    name=_TEXT,
    uses=_TEXTS,
    total_params=_WHOLE,
    activated_params=_WHOLE,
    released=_TEXT0,
    licence=_TEXT0,
    verdict={"type": "string", "enum": ["fits", "tight", "offloaded", "no"]},
    precision=_TEXT0,
    engine=_TEXT0,
    gpu=_TEXT0,
    gpus=_WHOLE0,
    devices=_or_null(_TEXTS),
    replicas=_WHOLE0,
    context_tokens=_WHOLE0,
    max_concurrency=_NUMBER0,
    gpu_bytes=_WHOLE0,
    host_bytes=_WHOLE0,
    ttft_s=_NUMBER0,
    tpot_s=_NUMBER0,
    output_tokens_per_s=_NUMBER0,
    command=_TEXT0,
    reason=_or_null(_ref("Notice")),
    remedies=_list(_ref("Notice")),
)
_RUNNING_TOO = _some(companions=_list(_FREE), files=_list(_all(mix=_TEXT, size_bytes=_WHOLE, source=_TEXT, by=_TEXT)), warnings=_list(_ref("Notice")))
_RUNNING = {**_RUNNING_ALWAYS, "properties": {**_RUNNING_ALWAYS["properties"], **_RUNNING_TOO["properties"]}}
_RUN_ON = _all(
    schema=_is("run-on"),
    machine=_list(_all(gpu=_TEXT, count=_WHOLE)),
    host_memory_bytes=_WHOLE0,
    host_bandwidth_bytes_per_s=_NUMBER0,
    need=_all(concurrency=_WHOLE, input_tokens=_WHOLE, output_tokens=_WHOLE, context_tokens=_WHOLE),
    sentence=_SENTENCE,
    models=_list(_ref("RunningModel")),
    by_use={"type": "object", "additionalProperties": _TEXTS},
    warnings=_list(_ref("Notice")),
)

_DEPLOY = _all(
    schema=_is("deploy"),
    target=_TEXT,
    rank=_WHOLE0,
    sentence=_SENTENCE,
    model=_TEXT,
    served_model=_TEXT,
    gpu=_TEXT,
    **dict.fromkeys(("gpus", "nodes", "replicas"), _WHOLE),
    engine=_TEXT,
    engine_version=_TEXT,
    image=_TEXT0,
    resource=_TEXT0,
    **dict.fromkeys(("checkpoint_bytes", "storage_bytes", "startup_s"), _WHOLE),
    commands=_TEXTS,
    file=_TEXT,
)

_ENTRY = _all(
    id=_TEXT,
    name=_TEXT,
    aliases=_TEXTS,
    licence=_TEXT0,
    commercial=_TEXT,
    released=_TEXT0,
    uses=_TEXTS,
    base=_YES,
    context_tokens=_WHOLE0,
    total_params=_WHOLE,
    activated_params=_WHOLE,
    copy_of=_TEXT0,
)
_ACCELERATOR = _all(
    id=_TEXT,
    vendor=_TEXT,
    name=_TEXT,
    aliases=_TEXTS,
    status=_TEXT,
    memory_bytes=_WHOLE,
    bandwidth_bytes_per_s=_NUMBER0,
    peak_flops=_FREE,
    tdp_w=_NUMBER0,
    sources=_FREE,
)
_ENGINE = _all(id=_TEXT, name=_TEXT, newest_version=_TEXT, flags=_TEXTS, sources=_TEXTS)
_SCENARIO = _all(id=_TEXT, input_tokens=_WHOLE, output_tokens=_WHOLE, users=_WHOLE0, active_share=_NUMBER, sources=_TEXTS)


def _one(name: str, schema: _Schema) -> _Schema:
    """One thing of a list, as an answer of its own."""
    return {**schema, "properties": {"schema": _is(name), **schema["properties"]}, "required": ["schema", *schema["required"]]}


_DIAGNOSE = _all(
    schema=_is("diagnose"),
    engine=_TEXT,
    engine_version=_TEXT0,
    model=_TEXT0,
    gpu=_TEXT0,
    gpus=_WHOLE0,
    flags=_FREE,
    outcome={"type": "string", "enum": ["starts", "out-of-memory", "refused", "unknown"]},
    sentence=_SENTENCE,
    measured=_FREE,
    predicted=_FREE0,
    compared=_FREE,
    explanation=_SENTENCE,
    findings=_list(_NOTICE),
    remedies=_list(_all(change=_TEXT, parameters=_FREE, cost=_TEXT, frees_bytes=_WHOLE, kv_cache_tokens=_WHOLE, command=_TEXT0, sentence=_SENTENCE)),
    events=_list(_all(code=_TEXT, parameters=_FREE, line=_WHOLE, times=_WHOLE, quote=_TEXT, sentence=_SENTENCE)),
    warnings=_list(_NOTICE),
    log=_all(lines=_WHOLE, bytes=_WHOLE, starts=_WHOLE, first_line=_WHOLE, last_line=_WHOLE, read_whole=_YES),
)

ANSWERS: Mapping[str, _Schema] = {
    "Plan": _PLAN,
    "Fit": _FIT,
    "RunOn": _RUN_ON,
    "Deploy": _DEPLOY,
    "Diagnose": _DIAGNOSE,
    "RunningModel": _RUNNING,
    "Models": _all(schema=_is("models"), models=_list(_ENTRY)),
    "Model": _one("model", {**_MODEL, "properties": {**_MODEL["properties"], "layers": _list(_FREE)}}),
    "Accelerators": _all(schema=_is("accelerators"), accelerators=_list(_ACCELERATOR)),
    "Accelerator": _one("accelerator", _ACCELERATOR),
    "Engines": _all(schema=_is("engines"), engines=_list(_ENGINE)),
    "Engine": _one("engine", _ENGINE),
    "Scenarios": _all(schema=_is("scenarios"), scenarios=_list(_SCENARIO)),
    "Scenario": _one("scenario", _SCENARIO),
    "Formulas": _all(schema=_is("formulas"), formulas=_list(_NAMED_FORMULA)),
    "Formula": _one("formula", _NAMED_FORMULA),
    "Accuracy": _all(schema=_is("accuracy"), date=_TEXT, files=_list(_all(subject=_TEXT, file=_TEXT, owners=_TEXTS, summary=_FREE))),
    "Option": _OPTION,
    "PerGpu": _some(
        **dict.fromkeys(("device_total_bytes", "weights_bytes", "kv_cache_pool_bytes", "activation_peak_bytes", "cuda_graph_bytes"), _NUMBER),
        **dict.fromkeys(("non_torch_bytes", "outside_budget_bytes", "free_bytes"), _NUMBER),
        budget_bytes=_NUMBER0,
    ),
    "Host": _all(
        memory_bytes=_WHOLE0,
        **dict.fromkeys(("weights_bytes", "kv_cache_bytes", "compute_buffer_bytes", "system_bytes", "total_bytes"), _WHOLE),
        mapped=_YES,
        items=_list(_ref("Item")),
    ),
    "Item": _all(id=_TEXT, bytes=_NUMBER, low_bytes=_NUMBER, high_bytes=_NUMBER, formula=_TEXT0, inputs=_FREE, sources=_TEXTS, evidence=_EVIDENCE),
    "Band": _or_null(_all(value=_NUMBER, low=_NUMBER, high=_NUMBER)),
    "Companion": _COMPANION,
    "Cost": _COST,
    "Notice": _NOTICE,
    "Problem": _all(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT, code=_TEXT, parameters=_FREE, hint=_TEXT0),
    "Health": _all(status={"type": "string", "const": "ok"}, version=_TEXT),
}
"""Schemas by name, as the OpenAPI document refers to them."""
