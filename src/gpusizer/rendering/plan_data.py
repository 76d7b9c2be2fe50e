"""A plan as the JSON of the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpusizer.i18n import LANGUAGES
from gpusizer.performance.types import Performance
from gpusizer.planning.request import to_mapping
from gpusizer.planning.types import Option, Plan, Rejected
from gpusizer.rendering.article import article_data
from gpusizer.rendering.companions import companions_data
from gpusizer.rendering.costs import cost_data
from gpusizer.rendering.fit import memory_data
from gpusizer.rendering.launch import launch_command, version_of
from gpusizer.rendering.named import named_data, nearest_data
from gpusizer.rendering.need import need_data
from gpusizer.rendering.notices import notice_data
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_options import evidence_of, said_of, why_not_first
from gpusizer.rendering.prefill_workers import launch_of, prefill_data
from gpusizer.rendering.sensitivity import sensitivity_data
from gpusizer.rendering.speculation import speculative_data

if TYPE_CHECKING:
    from gpusizer.planning.finalists import Simulated

__all__ = ["option_data", "plan_data"]


def plan_data(plan: Plan, top: int | None = None) -> dict[str, Any]:
    """The whole plan as the contract's JSON.

    Parameters
    ----------
    plan : Plan
        The answer.
    top : int or None
        So many options alone; "left_out" then says how many more there are, and how many devices were rejected.
    """
    figures, need = plan.figures, plan.need
    shown = plan if top is None else replace(plan, options=plan.options[:top], rejected=())
    request = to_mapping(plan.request, defaults=True)
    request |= {
        "currency": plan.request.money,
        "concurrency": need.concurrency,
        "users": need.users,
        "active_share": need.active_share,
        "input_tokens": need.input_tokens,
        "output_tokens": need.output_tokens,
        "context_tokens": need.context_tokens,
        "scenario": need.scenario,
    }
    return {
        "schema": "gpusizer.plan/1",
        "request": request,
        "model": {
            "id": plan.architecture.id,
            "name": plan.model.name,
            "total_params": figures.total_params,
            "activated_params": figures.activated_params,
            "mtp_params": figures.mtp_params,
            "checkpoint_bytes": figures.checkpoint_bytes,
            "kv_cache_bytes_per_token": figures.kv_cache_bytes_per_token,
            "fixed_bytes_per_request": figures.fixed_bytes_per_request,
            "groups": dict(plan.architecture.parameters.groups),
        },
        "article": None if plan.article is None else article_data(plan.article),
        "sentence": {language: plan_sentence(plan, language) for language in LANGUAGES},
        "need": need_data(plan),
        "options": [option_data(plan, option) for option in shown.options],
        "named": named_data(plan),
        "nearest": nearest_data(plan),
        "near_misses": [notice_data(each, "need") for each in plan.near_misses],
        "sensitivity": sensitivity_data(plan),
        "rejected": [_rejected_data(each) for each in shown.rejected],
        "warnings": [notice_data(each, "warning") for each in plan.warnings],
        **({} if top is None else {"left_out": {"options": len(plan.options) - len(shown.options), "rejected": len(plan.rejected)}}),
    }


def option_data(plan: Plan, option: Option) -> dict[str, Any]:
    """One option as the contract's JSON."""
    memory, command = memory_data(option.fit), launch_command(launch_of(option))
    speed = option.performance
    reason = why_not_first(plan, option)
    return {
        "rank": option.rank,
        "verdict": option.verdict,
        "flags": [notice_data(each, "knob") for each in option.knobs],
        "gpu": option.accelerator.id,
        "gpu_name": option.accelerator.name,
        "gpus": option.gpus,
        "gpus_to_order": option.gpus_to_order,
        "nodes": option.nodes,
        "replicas": option.replicas,
        "spare_replicas": option.spare_replicas,
        "layout": {name: getattr(option.layout, name) for name in ("tp", "pp", "dp", "ep")},
        "precision": option.launch.precision,
        "engine": option.fit.deployment.engine,
        "engine_version": version_of(option.fit.deployment),
        "speculative": speculative_data(plan, option),
        "per_gpu": memory["per_gpu"],
        "kv_cache": memory["kv_cache"],
        "kv_cache_tokens": option.fit.kv_cache.tokens,
        "max_concurrency": option.held_requests,
        "max_concurrency_low": option.held_requests_low,
        "ttft_s": None if speed is None else speed.ttft_s.value,
        "tpot_s": None if speed is None else speed.tpot_s.value,
        "output_tokens_per_s": None if speed is None else speed.output_tokens_per_s.value,
        "speed": None if speed is None else _speed_data(speed),
        "simulated": None if option.simulated is None else _simulated_data(option.simulated),
        "saturated": None if option.saturated is None else _speed_data(option.saturated),
        "cost_per_million_tokens": option.cost_per_million_tokens,
        "energy_per_million_tokens_kwh": option.energy_per_million_tokens_kwh,
        "pareto": option.rank in plan.front,
        "cost": cost_data(option.cost),
        "purchase": cost_data(option.purchase),
        "evidence": evidence_of(option),
        "items": memory["items"],
        "ranks": memory["ranks"],
        "command": command.line,
        "prefill": prefill_data(option),
        "companions": companions_data(option.companions),
        "why_not_first": None if reason is None else notice_data(reason, "reason"),
        "warnings": [notice_data(each, "warning") for each in (*said_of(plan, option), *option.fit.warnings, *command.notices)],
    }


def _speed_data(speed: Performance) -> dict[str, Any]:
    names = ("ttft_s", "tpot_s", "tpot_p95_s", "output_tokens_per_s")
    return {
        **{name: {"value": (each := getattr(speed, name)).value, "low": each.low, "high": each.high} for name in names},
        "regime": speed.regime,
        "limit_requests_per_s": speed.limit_requests_per_s,
        "evidence": speed.evidence,
        "owners": speed.owners,
        "items": [{"id": id, "value": value, "unit": unit, "formula": formula, "inputs": inputs} for id, value, unit, formula, inputs in speed.items],
        "notices": [notice_data(each, "warning") for each in speed.notices],
    }


def _simulated_data(simulated: Simulated) -> dict[str, Any]:
    one = simulated.summary
    names = ("requests", "output_tokens_per_s", "goodput_per_s", "goodput_share", "preemptions", "peak_kv_share")
    return {
        **{name: getattr(one, name)._asdict() for name in ("ttft_s", "tpot_s", "e2e_s")},
        **{name: getattr(one, name) for name in names},
        "missed": [each._asdict() for each in simulated.missed],
    }


def _rejected_data(rejected: Rejected) -> dict[str, Any]:
    layout = rejected.layout
    return {
        "gpu": rejected.accelerator.id,
        "layout": None if layout is None else {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep")},
        **notice_data(rejected.reason, "reason"),
    }
