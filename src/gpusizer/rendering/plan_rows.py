"""A plan as flat rows: fields that are named alike in every language, numbers as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.errors import FlagError
from gpusizer.i18n import text
from gpusizer.planning.types import Cost, Option, Plan, Rejected
from gpusizer.rendering.companions import companions_data
from gpusizer.rendering.document import Column, Table
from gpusizer.rendering.forms.json import plain
from gpusizer.rendering.launch import command_line, version_of
from gpusizer.rendering.notices import notice_words
from gpusizer.rendering.plan_options import evidence_of, why_not_first
from gpusizer.rendering.prefill_workers import launch_of

__all__ = ["ROW_FIELDS", "picked", "plan_rows", "rows_table"]

_SPEEDS = ("ttft_s", "tpot_s", "output_tokens_per_s")
_COSTS = ("low", "high", "currency", "kind", "date")

ROW_FIELDS = (
    "rank",
    "verdict",
    "model",
    "gpu",
    "gpu_name",
    "vendor",
    "gpus",
    "gpus_to_order",
    "nodes",
    "replicas",
    "spare_replicas",
    *("tp", "pp", "dp", "ep"),
    "engine",
    "engine_version",
    "precision",
    "flags",
    "max_concurrency",
    "max_concurrency_low",
    "kv_cache_tokens",
    "device_total_bytes",
    "weights_bytes",
    "kv_cache_pool_bytes",
    *(f"{name}{end}" for name in _SPEEDS for end in ("", "_low", "_high")),
    "saturated_output_tokens_per_s",
    *(f"rent_{name}" for name in _COSTS),
    *(f"purchase_{name}" for name in _COSTS),
    "cost_per_million_tokens",
    "energy_per_million_tokens_kwh",
    "evidence",
    "pareto",
    "reason",
    "sentence",
    "command",
    "companions",
    "companion_commands",
)
"""Fields of a row, in their order. Rent is of an hour, purchase of all GPUs that must be ordered; ``reason`` and ``sentence`` say why an option is
not the first, or why a device will not do (its ``verdict`` is "no" and its rank empty)."""


def plan_rows(plan: Plan, language: str = "en", top: int | None = None) -> list[dict[str, Any]]:
    """Options, then what was rejected, as flat records.

    Parameters
    ----------
    plan : Plan
        The answer.
    language : str
        Of ``sentence`` and of nothing else.
    top : int or None
        So many options alone.

    Returns
    -------
    list of dict
        Every row has all of :data:`ROW_FIELDS`; what is not known is None.
    """
    rows = [_option_row(plan, option, language) for option in plan.options[:top]]
    return rows if top is not None else [*rows, *(_rejected_row(plan, each, language) for each in plan.rejected)]


def rows_table(plan: Plan, language: str, top: int | None, fields: Sequence[str]) -> Table:
    """The rows for a spreadsheet."""
    names = checked_fields(fields, ROW_FIELDS) or ROW_FIELDS
    rows = [[_cell(row[name]) for name in names] for row in plan_rows(plan, language, top)]
    return Table([Column(name) for name in names], rows)


def picked(data: Mapping[str, Any], plan: Plan, fields: Sequence[str]) -> dict[str, Any]:
    """The contract's JSON with some fields of each option: its own, or those of a row."""
    options = data["options"]
    known = list(dict.fromkeys([*(options[0] if options else ()), *ROW_FIELDS]))
    names = checked_fields(fields, known)
    rows = plan_rows(plan, "en", len(options))
    return {**data, "options": [{name: one.get(name, row.get(name)) for name in names} for one, row in zip(options, rows, strict=True)]}


def checked_fields(fields: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The fields that were asked for, each once.

    Raises
    ------
    FlagError
        One of them does not exist; the nearest are offered.
    """
    for name in fields:
        if name not in known:
            raise FlagError("unknown-output-field", id=name[:40], nearest=get_close_matches(name, known, 3, 0.5) or list(known[:8]))
    return tuple(dict.fromkeys(fields))


def _option_row(plan: Plan, option: Option, language: str) -> dict[str, Any]:
    sums = per_gpu(option.fit.ranks[option.fit.worst].items)
    reason, layout = why_not_first(plan, option), option.layout
    row = _empty(plan) | {
        "rank": option.rank,
        "verdict": option.verdict,
        **_device(option),
        "gpus": option.gpus,
        "gpus_to_order": option.gpus_to_order,
        "nodes": option.nodes,
        "replicas": option.replicas,
        "spare_replicas": option.spare_replicas,
        **{name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep")},
        "engine": option.launch.engine,
        "engine_version": version_of(option.fit.deployment),
        "precision": option.launch.precision,
        "flags": text("ui", "semicolon", language).join(notice_words(each, "knob", language) for each in option.knobs) or None,
        "max_concurrency": option.held_requests,
        "max_concurrency_low": option.held_requests_low,
        "kv_cache_tokens": option.fit.kv_cache.tokens,
        "device_total_bytes": sum(sums.values()),
        "weights_bytes": sums["weights_bytes"],
        "kv_cache_pool_bytes": sums["kv_cache_pool_bytes"],
        **_speed(option),
        **_cost("rent", option.cost),
        **_cost("purchase", option.purchase),
        "cost_per_million_tokens": option.cost_per_million_tokens,
        "energy_per_million_tokens_kwh": option.energy_per_million_tokens_kwh,
        "evidence": evidence_of(option),
        "pareto": option.rank in plan.front,
        "command": command_line(launch_of(option)),
        **_companions(option),
    }
    if reason is not None:
        row |= {"reason": reason.code, "sentence": notice_words(reason, "reason", language)}
    return {name: plain(value) for name, value in row.items()}


def _rejected_row(plan: Plan, rejected: Rejected, language: str) -> dict[str, Any]:
    layout = rejected.layout
    words = {"reason": rejected.reason.code, "sentence": notice_words(rejected.reason, "reason", language)}
    cut = {} if layout is None else {"gpus": layout.gpus, **{name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep")}}
    return _empty(plan) | {"verdict": "no", **_device(rejected), **cut, **words}


def _empty(plan: Plan) -> dict[str, Any]:
    return dict.fromkeys(ROW_FIELDS) | {"model": plan.architecture.id or plan.model.name}


def _device(found: Option | Rejected) -> dict[str, str]:
    device = found.accelerator
    return {"gpu": device.id, "gpu_name": device.name, "vendor": device.vendor}


def _companions(option: Option) -> dict[str, str]:
    """Models beside, and their commands, in the same order; empty where there are none."""
    found = companions_data(option.companions)
    words = {"companions": [each["model"] for each in found], "companion_commands": [each["command"] or "" for each in found]}
    return {name: "; ".join(each) for name, each in words.items()} if found else {}


def _speed(option: Option) -> dict[str, float]:
    speed, full = option.performance, option.saturated
    found: dict[str, float] = {}
    for name in _SPEEDS if speed is not None else ():
        value = getattr(speed, name)
        found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return found if full is None else found | {"saturated_output_tokens_per_s": full.output_tokens_per_s.value}


def _cost(kind: str, cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {}
    return {f"{kind}_{name}": value for name, value in zip(_COSTS, (cost.amount, cost.high, cost.currency, cost.kind, cost.date), strict=True)}


def _cell(value: Any) -> str:
    """A value in a spreadsheet: numbers bare, nothing where it is not known."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
