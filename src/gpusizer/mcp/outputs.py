"""What tools answer, as JSON Schema; what is unknown or empty is left out of an answer, so little is required."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpusizer.i18n import text

__all__ = ["OUTPUTS"]

_Schema = Mapping[str, Any]
_TEXT: _Schema = {"type": "string"}
_TEXTS: _Schema = {"type": "array", "items": _TEXT}
_WHOLE: _Schema = {"type": "integer"}
_NUMBER: _Schema = {"type": "number"}
_YES: _Schema = {"type": "boolean"}
_FREE: _Schema = {"type": "object"}
_BAND: _Schema = {"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3}


def _object(required: str = "", **properties: _Schema) -> _Schema:
    return {"type": "object", "properties": properties, **({"required": required.split()} if required else {})}


def _list(entry: _Schema) -> _Schema:
    return {"type": "array", "items": entry}


def _plan(language: str) -> _Schema:
    cost = _object("amount currency", amount=_NUMBER, high=_NUMBER, currency=_TEXT, per=_TEXT, kind=_TEXT)
    option = _object(
        "rank verdict gpu gpus layout engine evidence",
        rank=_WHOLE,
        verdict={"enum": ["fits", "tight"], "description": text("tool", "output-verdict", language)},
        gpu=_TEXT,
        gpus=_WHOLE,
        gpus_to_order=_WHOLE,
        nodes=_WHOLE,
        replicas=_WHOLE,
        spare_replicas=_WHOLE,
        companions=_list(_FREE),
        layout=_FREE,
        engine=_TEXT,
        precision=_TEXT,
        settings=_TEXTS,
        max_concurrency=_WHOLE,
        max_concurrency_low=_WHOLE,
        speed={
            **_object("ttft_s tpot_s output_tokens_per_s", ttft_s=_BAND, tpot_s=_BAND, output_tokens_per_s=_BAND),
            "description": text("tool", "output-band", language),
        },
        cost=cost,
        purchase=cost,
        cost_per_million_tokens=_NUMBER,
        evidence={"enum": ["exact", "measured", "calibrated", "assumed"]},
        command=_TEXT,
        why_not_first=_TEXT,
        warnings=_TEXTS,
    )
    assumed = {**_TEXTS, "description": text("tool", "output-assumed", language)}
    need = _object("sentence concurrency", sentence=_TEXT, concurrency=_WHOLE, assumed=assumed)
    return _object(
        "sentence fits need options left_out",
        sentence={**_TEXT, "description": text("tool", "output-sentence", language)},
        fits=_YES,
        need=need,
        options=_list(option),
        left_out=_WHOLE,
        near_misses=_TEXTS,
        nearest=_FREE,
        named=_list(_FREE),
        warnings=_TEXTS,
    )


def _fit(language: str) -> _Schema:
    return _object(
        "sentence fits engine per_gpu kv_cache max_concurrency evidence",
        sentence={**_TEXT, "description": text("tool", "output-sentence", language)},
        fits=_YES,
        reason=_TEXT,
        engine=_TEXT,
        engine_version=_TEXT,
        per_gpu=_FREE,
        kv_cache=_FREE,
        host=_FREE,
        speed=_FREE,
        bands={**_object(kv_cache_tokens=_BAND, max_concurrency=_BAND), "description": text("tool", "output-band", language)},
        max_concurrency=_NUMBER,
        evidence=_TEXT,
        command=_TEXT,
        companions=_list(_FREE),
        remedies=_list(_object("sentence", sentence=_TEXT, command=_TEXT, kv_cache_tokens=_WHOLE)),
        warnings=_TEXTS,
    )


def _run_on(language: str) -> _Schema:
    model = _object(
        "model verdict precision engine gpu gpus command",
        model=_TEXT,
        verdict={"enum": ["fits", "tight", "offloaded"], "description": text("tool", "output-verdict", language)},
        precision=_TEXT,
        engine=_TEXT,
        gpu=_TEXT,
        gpus=_WHOLE,
        devices=_TEXTS,
        replicas=_WHOLE,
        context_tokens=_WHOLE,
        max_concurrency=_NUMBER,
        host_bytes=_WHOLE,
        ttft_s=_NUMBER,
        tpot_s=_NUMBER,
        output_tokens_per_s=_NUMBER,
        command=_TEXT,
        warnings=_TEXTS,
    )
    return _object(
        "sentence need models",
        sentence={**_TEXT, "description": text("tool", "output-sentence", language)},
        need=_FREE,
        models=_list(model),
        by_use={"type": "object", "additionalProperties": _TEXTS},
        does_not_run=_list(_object("model reason", model=_TEXT, reason=_TEXT, remedies=_TEXTS)),
        warnings=_TEXTS,
    )


def _listed(name: str) -> Callable[[str], _Schema]:
    """A list of entries, or one of them whole."""
    properties = {name: _list(_object("id", id=_TEXT, name=_TEXT)), "left_out": _WHOLE, "id": _TEXT}
    schema = {"type": "object", "properties": properties, "anyOf": [{"required": [name]}, {"required": ["id"]}]}
    return lambda language: schema


OUTPUTS: Mapping[str, Callable[[str], _Schema]] = {
    "plan": _plan,
    "fit": _fit,
    "run_on": _run_on,
    "explain": _listed("formulas"),
    "models": _listed("models"),
    "accelerators": _listed("accelerators"),
}
"""The schema of each tool's answer in a language."""
