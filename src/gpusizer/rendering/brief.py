"""Answers cut to what an agent needs: one language, sentences instead of codes with parameters, four digits, nothing that is unknown or empty.

Cut from the documents that every other form writes, so a figure here is the figure there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from gpusizer.i18n import LANGUAGES
from gpusizer.planning.types import Plan
from gpusizer.rendering.forms.json import plain
from gpusizer.rendering.plan_data import plan_data

__all__ = [
    "accelerator_brief",
    "accelerators_brief",
    "fit_brief",
    "formula_brief",
    "formulas_brief",
    "model_brief",
    "models_brief",
    "plan_brief",
    "run_on_brief",
]

_DIGITS = 4
_ALWAYS = ("options", "models", "accelerators", "formulas")
_SPEEDS = ("ttft_s", "tpot_s", "output_tokens_per_s")
_COST = ("amount", "high", "currency", "per", "kind")
_OPTION = (
    *("rank", "verdict", "gpu", "gpus", "gpus_to_order", "nodes", "replicas", "engine", "precision"),
    *("max_concurrency", "max_concurrency_low", "cost_per_million_tokens", "evidence", "command", "why_not_first", "warnings"),
)
_MORE = ("gpu_name", "engine_version", "per_gpu", "cost", "purchase")  # of an option, where details are asked for
_NAMED = ("gpu", "gpus", "verdict", "max_concurrency_low", "reason")
_NEED = ("sentence", "concurrency", "input_tokens", "output_tokens", "context_tokens")
_FIT = (
    "sentence",
    "fits",
    "reason",
    "engine",
    "engine_version",
    "per_gpu",
    "kv_cache",
    "max_concurrency",
    "speed",
    "evidence",
    "command",
    "remedies",
    "warnings",
)
_HOST = ("memory_bytes", "weights_bytes", "kv_cache_bytes", "compute_buffer_bytes", "total_bytes")
_RUNS = (
    *("model", "verdict", "precision", "engine", "gpu", "gpus", "devices", "replicas", "context_tokens"),
    *("max_concurrency", "host_bytes", "ttft_s", "tpot_s", "output_tokens_per_s", "command", "warnings"),
)
_COMPANION = ("model", "engine", "placed", "device", "held_bytes", "gpu_share", "max_model_len", "max_concurrency", "command")
_BANDS = ("kv_cache_tokens", "max_concurrency")
_LEDGER = ("id", "bytes", "low_bytes", "high_bytes", "evidence", "formula")
_MODEL = ("id", "name", "total_params", "activated_params", "checkpoint_bytes", "licence")
_ARCHITECTURE = (
    *("id", "name", "total_params", "activated_params", "mtp_params", "layers", "max_position_embeddings", "dtype", "quantization"),
    *("checkpoint_bytes", "kv_cache_bytes_per_token", "fixed_bytes_per_request", "warnings"),
)
_CATALOGUE = ("aliases", "licence", "published_source", "checkpoint_source", "config_source")
_CARD = ("id", "name", "vendor", "status", "memory_bytes", "bandwidth_bytes_per_s")
_CARD_WHOLE = (
    *_CARD,
    *(
        "architecture",
        "compute_capability",
        "form_factor",
        "memory_evidence",
        "memory_type",
        "peak_flops",
        "interconnect",
        "interconnect_bytes_per_s",
    ),
    *("devices_per_node", "whole_nodes", "tdp_w", "release_year", "engines", "notes", "unverified"),
)
_PEAKS = ("bf16", "fp8")


def plan_brief(plan: Plan, language: str, top: int, *, detail: bool = False) -> dict[str, Any]:
    """A plan: the sentence, the need and what of it was assumed, the first options, what is close, warnings.

    Parameters
    ----------
    plan : Plan
        The answer.
    language : str
        Of its sentences.
    top : int
        So many options.
    detail : bool
        Whether each option shows one GPU's memory, and whether it is said why the other devices will not do.
    """
    data = plan_data(plan, None if detail else top)
    need, options = data["need"], data["options"]
    assumed = [name for name, origin in need["origin"].items() if origin != "given"]
    found = {
        "sentence": data["sentence"],
        "fits": bool(options),
        "need": {**_picked(need, _NEED), "assumed": assumed, "scenario": need["scenario"] if assumed else None},
        "options": [_option(each, detail=detail) for each in options[:top]],
        "left_out": len(plan.options) - len(options[:top]),
        "near_misses": data["near_misses"],
        "nearest": data["nearest"],
        "named": [_picked(each, _NAMED) for each in data["named"]],
        "warnings": data["warnings"],
    }
    if detail:
        found |= {"rejected": [_picked(each, ("gpu", "sentence")) for each in data["rejected"]], "article": _article(data)}
    return _said(found, language)


def fit_brief(data: Mapping[str, Any], language: str, *, detail: bool = False) -> dict[str, Any]:
    """A verdict on one start, from the document of ``fit``; with ``detail`` one GPU's memory item by item."""
    bands = {name: _band(band) for name in _BANDS if (band := data["quantities"].get(name)) is not None}
    remedies = [_picked(each, ("sentence", "command", "kv_cache_tokens")) for each in data["remedies"]]
    beside = {"host": _picked(data["host"] or {}, _HOST), "companions": _companions(data)}
    found = {**_picked(data, _FIT), **beside, "bands": bands, "remedies": remedies}
    if detail:
        found["items"] = [_picked(item, _LEDGER) for item in data["items"]]
    return _said(found, language)


def run_on_brief(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """What runs, from the document of ``run-on``: models with their starts, which of them for what use, and what does not run."""
    runs = [each for each in data["models"] if each["command"] is not None]
    found = {
        "sentence": data["sentence"],
        "need": data["need"],
        "models": [{**_picked(each, _RUNS), "companions": [_picked(one, _COMPANION) for one in each["companions"]]} for each in runs],
        "by_use": data["by_use"],
        "does_not_run": [_picked(each, ("model", "reason", "remedies")) for each in data["models"] if each not in runs],
        "warnings": data["warnings"],
    }
    return _said(found, language)


def models_brief(data: Mapping[str, Any], language: str, top: int) -> dict[str, Any]:
    """The first models of a list."""
    found = data["models"]
    return _said({"models": [_picked(each, _MODEL) for each in found[:top]], "left_out": max(len(found) - top, 0)}, language)


def model_brief(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """One model, as it was understood and published."""
    return _said({**_picked(data, _ARCHITECTURE), **_picked(data["catalogue"], _CATALOGUE)}, language)


def accelerators_brief(data: Mapping[str, Any], language: str, top: int) -> dict[str, Any]:
    """The first accelerators of a list."""
    found = data["accelerators"]
    return _said({"accelerators": [_card(plain(each), _CARD) for each in found[:top]], "left_out": max(len(found) - top, 0)}, language)


def accelerator_brief(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """One accelerator with its figures and prices; the sources are in the document itself."""
    prices = [_picked(each, ("low", "high", "currency", "per", "kind", "date", "source")) for each in plain(data["prices"])]
    return _said({**_picked(plain(data), _CARD_WHOLE), "prices": prices}, language)


def formulas_brief(data: Mapping[str, Any], language: str, wish: str, top: int) -> dict[str, Any]:
    """The first formulas whose id or name has these words."""
    words = wish.lower().split()
    found = [each for each in data["formulas"] if all(word in f"{each['id']} {each['name']}".lower() for word in words)]
    return _said({"formulas": [_picked(each, ("id", "name", "unit")) for each in found[:top]], "left_out": max(len(found) - top, 0)}, language)


def formula_brief(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """One formula with its worked example."""
    return _said({name: value for name, value in data.items() if name != "schema"}, language)


def _option(option: Mapping[str, Any], *, detail: bool) -> dict[str, Any]:
    speed = option["speed"]
    found = {
        **_picked(option, _OPTION),
        "layout": {name: size for name, size in option["layout"].items() if size > 1 or name == "tp"},
        "spare_replicas": option["spare_replicas"] or None,
        "companions": _companions(option),
        "settings": option["flags"],
        "speed": None if speed is None else {name: _band(speed[name]) for name in _SPEEDS},
        "cost": _picked(option["cost"] or {}, _COST),
        "purchase": _picked(option["purchase"] or {}, _COST[:3]),
    }
    return found | _picked(option, _MORE) | {"items": [_picked(item, _LEDGER) for item in option["items"]]} if detail else found


def _companions(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Models beside it."""
    return [_picked(each, _COMPANION) for each in data["companions"]]


def _band(band: Mapping[str, float]) -> list[float]:
    """Low end, value, high end."""
    return [band["low"], band["value"], band["high"]]


def _article(data: Mapping[str, Any]) -> dict[str, Any] | None:
    return None if data["article"] is None else _picked(data["article"], ("total_bytes", "bytes_per_user"))


def _card(card: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**_picked(card, names), "peak_flops": _picked(card["peak_flops"], _PEAKS)}


def _picked(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}


def _said(found: Mapping[str, Any], language: str) -> dict[str, Any]:
    """In one language, short, and without what is unknown or empty; an empty list of options says that there is none."""
    whole = {name: _spoken(entry, language) for name, entry in plain(found).items()}
    return {name: entry for name, entry in whole.items() if name in _ALWAYS or not _is_empty(entry)}


def _spoken(value: Any, language: str) -> Any:
    if isinstance(value, dict):
        if value.keys() == set(LANGUAGES):
            return value[language]
        if "code" in value and "sentence" in value:
            return value["sentence"][language]
        spoken = {name: _spoken(entry, language) for name, entry in value.items()}
        return {name: entry for name, entry in spoken.items() if not _is_empty(entry)}
    if isinstance(value, list):
        return [_spoken(entry, language) for entry in value]
    return _short(value) if isinstance(value, float) else value


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _short(number: float) -> float:
    """With four digits; before the point none is lost.

    >>> _short(0.2481315), _short(1424.1443), _short(256000.0), _short(0.0)
    (0.2481, 1424.0, 256000.0, 0.0)
    """
    return round(number, max(0, _DIGITS - 1 - floor(log10(abs(number))))) if number else number
