"""A plan: JSON by the contract, and the page that people read: a sentence, one GPU, the options, why the rest will not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.ledger import per_gpu, worst_evidence
from gpusizer.engines.base.types import Evidence
from gpusizer.i18n import LANGUAGES, text
from gpusizer.performance.types import Performance
from gpusizer.planning.rank import SHOWN, runner_up_reason, target_words
from gpusizer.planning.request import to_mapping
from gpusizer.planning.types import Cost, Option, Plan, Rejected
from gpusizer.rendering.article import article_blocks, article_data
from gpusizer.rendering.costs import cost_data, price_remark
from gpusizer.rendering.document import Block, Column, Heading, Paragraph, Table
from gpusizer.rendering.fit import fit_data
from gpusizer.rendering.launch import command_blocks, command_line, launch_notices, layout_words, version_of
from gpusizer.rendering.ledger import budget_paragraphs, ledger_bar, ledger_table
from gpusizer.rendering.named import named_blocks, named_data, nearest_blocks, nearest_data
from gpusizer.rendering.need import near_miss_blocks, need_blocks, need_data, performance_words
from gpusizer.rendering.notices import notice_data, notice_words, warning_paragraphs
from gpusizer.rendering.prefill_workers import launch_of, option_layout, prefill_blocks, prefill_data
from gpusizer.rendering.sensitivity import sensitivity_blocks, sensitivity_data
from gpusizer.rendering.speculation import speculative_blocks, speculative_data
from gpusizer.units import GiB, format_tokens

if TYPE_CHECKING:
    from gpusizer.planning.finalists import Simulated

__all__ = ["PlanDocument", "plan_data", "plan_sentence"]

NAMED = 8

# Columns that a narrow terminal leaves out, the last first.
_SPARE = {
    name: place
    for place, name in enumerate(
        ("why-not-first", "rent", "rate", "ttft", "evidence", "million", "servers", "order", "cache-gib", "weights-gib", "saturated"), 1
    )
}


def plan_sentence(plan: Plan, language: str) -> str:
    """The sentence to copy into a mail."""
    need = plan.need
    said = {
        "model": plan.model.name,
        "precision": _precision(plan, language),
        "load": _load(plan, language),
        "context": format_tokens(need.context_tokens),
    }
    best = plan.best
    if best is None:
        return text("ui", "plan-none", language, **said)
    servers = text("ui", "servers-one" if best.nodes == 1 else "servers-many", language, nodes=best.nodes)
    if best.gpus < (best.accelerator.devices_per_node or 0) and best.accelerator.whole_nodes:
        servers = text("ui", "servers-part", language, devices=best.accelerator.devices_per_node)
    layout = option_layout(best)
    answer = text("ui", "plan-answer", language, **said, gpus=best.gpus, gpu=best.accelerator.name, servers=servers, layout=layout)
    code = "sentence-no-price" if best.cost is None else "sentence-price"
    priced = text("need", code, language, price=cost_words(best.cost, language))
    return answer + performance_words(best, need, language) + priced


def _load(plan: Plan, language: str) -> str:
    rate, need = plan.request.request_rate, plan.need
    if rate is not None:
        return text("ui", "load-rate", language, rate=rate)
    if need.users is not None:
        return text("ui", "load-users", language, users=need.users, concurrency=need.concurrency)
    return text("ui", "load-concurrency-one" if need.concurrency == 1 else "load-concurrency", language, concurrency=need.concurrency)


def _precision(plan: Plan, language: str) -> str:
    precision = plan.request.precision if plan.best is None else plan.best.launch.precision
    if precision != "checkpoint":
        return precision.upper()
    formats = weight_formats(plan.architecture)
    widest = formats[0].upper() if formats else plan.architecture.dtype.upper()
    return text("ui", "precision-checkpoint", language, precision=widest)


def plan_data(plan: Plan) -> dict[str, Any]:
    """The whole plan as the contract's JSON."""
    figures, need = plan.figures, plan.need
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
        "options": [_option_data(plan, option) for option in plan.options],
        "named": named_data(plan),
        "nearest": nearest_data(plan),
        "near_misses": [notice_data(each, "need") for each in plan.near_misses],
        "sensitivity": sensitivity_data(plan),
        "rejected": [_rejected_data(each) for each in plan.rejected],
        "warnings": [notice_data(each, "warning") for each in plan.warnings],
    }


def _option_data(plan: Plan, option: Option) -> dict[str, Any]:
    fit = fit_data(option.fit, option.launch)
    speed = option.performance
    reason = None if plan.best is None or option is plan.best else runner_up_reason(option, plan.best, plan.request)
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
        "layout": {name: getattr(option.layout, name) for name in ("tp", "pp", "dp", "ep")},
        "precision": option.launch.precision,
        "engine": option.fit.deployment.engine,
        "engine_version": version_of(option.fit.deployment),
        "speculative": speculative_data(plan, option),
        "per_gpu": fit["per_gpu"],
        "kv_cache": fit["kv_cache"],
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
        "items": fit["items"],
        "ranks": fit["ranks"],
        "command": command_line(launch_of(option)),
        "prefill": prefill_data(option),
        "why_not_first": None if reason is None else notice_data(reason, "reason"),
        "warnings": [notice_data(each, "warning") for each in (*_said_of(plan, option), *option.fit.warnings, *launch_notices(launch_of(option)))],
    }


def _said_of(plan: Plan, option: Option) -> tuple[Notice, ...]:
    """What must be said of an option; of the best also what would be quicker."""
    said = (*option.notices, *option.slow)
    return (*said, *plan.advice) if option is plan.best else said


def evidence_of(option: Option) -> str:
    """The least sure evidence of an option, memory and speed together."""
    return Evidence.ASSUMED if option.assumed or option.drafts is not None else worst_evidence(option.fit.ranks[option.fit.worst].items)


def _speed_data(speed: Performance) -> dict[str, Any]:
    names = ("ttft_s", "tpot_s", "tpot_p95_s", "output_tokens_per_s")
    return {
        **{name: {"value": (each := getattr(speed, name)).value, "low": each.low, "high": each.high} for name in names},
        "regime": speed.regime,
        "limit_requests_per_s": speed.limit_requests_per_s,
        "evidence": speed.evidence,
        "owners": speed.owners,
        "items": list(speed.items),
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


def knob_blocks(option: Option, language: str) -> list[Block]:
    """The settings that were turned before GPUs were added."""
    if not option.knobs:
        return []
    return [Paragraph(text("ui", "plan-knobs", language, knobs=[notice_words(each, "knob", language) for each in option.knobs]))]


def _speed_blocks(speed: Performance | None, language: str) -> list[Block]:
    """Times of one request with the ranges that measured runs lay in."""
    if speed is None:
        return []
    times = {"ttft": speed.ttft_s, "tpot": speed.tpot_s}
    words = {
        f"{name}_{end}": f"{getattr(each, end):.2g}" if name == "ttft" else f"{1000 * getattr(each, end):.3g}"
        for name, each in times.items()
        for end in ("value", "low", "high")
    }
    return [Paragraph(text("ui", "plan-speed", language, **words, owners=f"{speed.owners:,}"))]


def _simulated_blocks(option: Option, language: str) -> list[Block]:
    """Percentiles of an option that was simulated, and the targets that it misses."""
    if option.simulated is None:
        return []
    one = option.simulated.summary
    seconds = {f"ttft_{name}": f"{getattr(one.ttft_s, name):.2f}" for name in ("p50", "p95", "p99")}
    pace = {f"tpot_{name}": f"{1000 * getattr(one.tpot_s, name):.1f}" for name in ("p50", "p95", "p99")}
    missed = [Notice("misses-percentile", target_words(each)) for each in option.simulated.missed]
    return [Paragraph(text("ui", "plan-simulated", language, requests=one.requests, **seconds, **pace)), *warning_paragraphs(missed, language)]


def _rejected_data(rejected: Rejected) -> dict[str, Any]:
    layout = rejected.layout
    return {
        "gpu": rejected.accelerator.id,
        "layout": None if layout is None else {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep")},
        **notice_data(rejected.reason, "reason"),
    }


@dataclass(frozen=True)
class PlanDocument:
    """The plan for people and programs, each part worked out when a form asks for it."""

    plan: Plan
    language: str

    @cached_property
    def data(self) -> dict[str, Any]:
        """The contract's JSON."""
        return plan_data(self.plan)

    @cached_property
    def csv(self) -> Table:
        """Every option."""
        return _options_table(self.plan, self.plan.options, self.language)

    @cached_property
    def blocks(self) -> list[Block]:
        """Sentence, need, one GPU, the first options, what is near to them, why the rest will not do, the article's figures, warnings."""
        plan, language = self.plan, self.language
        blocks: list[Block] = [Heading(plan_sentence(plan, language)), *need_blocks(plan, language)]
        article = article_blocks(plan, language)
        if plan.request.method == "article":
            blocks += article
        if plan.best is not None:
            blocks += _one_gpu(plan, plan.best, language)
        if plan.options:
            blocks.append(_options_table(plan, plan.options[:SHOWN], language))
        if len(plan.options) > SHOWN:
            more = [f"{each.gpus} x {each.accelerator.name}" for each in plan.options[SHOWN:]]
            code = "more-options" if len(more) <= NAMED else "many-more-options"
            blocks.append(Paragraph(text("ui", code, language, count=len(more), gpus=more[:NAMED])))
        blocks += [*near_miss_blocks(plan, language), *nearest_blocks(plan, language), *named_blocks(plan, language)]
        blocks += sensitivity_blocks(plan, language)
        blocks += _rejected_blocks(plan, language)
        if plan.request.method != "article":
            blocks += article
        blocks += warning_paragraphs(plan.warnings, language)
        return blocks


def _one_gpu(plan: Plan, best: Option, language: str) -> list[Block]:
    items = best.fit.ranks[best.fit.worst].items
    need = plan.need
    spare = best.held_requests_low / need.concurrency
    words = {
        "held": best.held_requests,
        "low": best.held_requests_low,
        "concurrency": need.concurrency,
        "context": format_tokens(need.context_tokens),
    }
    blocks: list[Block] = [
        ledger_bar(per_gpu(items), language),
        ledger_table(items, language),
        *budget_paragraphs(best.fit, language),
        Paragraph(text("ui", "plan-margin" if best.held_requests > need.concurrency else "plan-sized", language, **words, times=f"{spare:,.1f}")),
        *knob_blocks(best, language),
        *_speed_blocks(best.performance, language),
        *_simulated_blocks(best, language),
        *command_blocks(launch_of(best), language),
        *prefill_blocks(best, language),
        *speculative_blocks(plan, best, language),
    ]
    own = [each for each in best.fit.warnings if each not in plan.warnings]  # the model's stand below the whole answer
    blocks += warning_paragraphs((*_said_of(plan, best), *own), language)
    return blocks


def _options_table(plan: Plan, options: Sequence[Option], language: str) -> Table:
    numbers = ("gpus", "order", "weights-gib", "cache-gib", "holds", "ttft", "tpot", "rate", "saturated", "rent", "million")
    several = len({(option.launch.engine, option.launch.precision) for option in plan.options}) > 1
    names = (
        "rank",
        "gpus",
        "gpu",
        "order",
        *(("engine", "precision") if several else ()),
        "layout",
        "servers",
        *numbers[2:],
        "evidence",
        "why-not-first",
    )
    rows: list[list[str]] = []
    for option in options:
        sums = per_gpu(option.fit.ranks[option.fit.worst].items)
        reason = None if option.rank == 1 else runner_up_reason(option, plan.options[0], plan.request)
        rows.append(
            [
                str(option.rank),
                str(option.gpus),
                option.accelerator.name,
                str(option.gpus_to_order),
                *((engine_name(option.launch.engine), option.launch.precision) if several else ()),
                option_layout(option),
                str(option.nodes),
                f"{sums['weights_bytes'] / GiB:,.1f}",
                f"{sums['kv_cache_pool_bytes'] / GiB:,.1f}",
                f"{option.held_requests_low:,}",
                *_speed_words(option.performance),
                "" if option.saturated is None else f"{option.saturated.output_tokens_per_s.value:,.0f}",
                cost_words(option.cost, language),
                "" if option.cost_per_million_tokens is None else f"{option.cost_per_million_tokens:,.2f}",
                text("ui", f"evidence-{evidence_of(option)}", language),
                "" if reason is None else notice_words(reason, "reason", language),
            ]
        )
    return Table([Column(text("ui", f"option-{name}", language), right=name in numbers, spare=_SPARE.get(name, 0)) for name in names], rows)


def _speed_words(speed: Performance | None) -> list[str]:
    if speed is None:
        return ["", "", ""]
    return [f"{speed.ttft_s.value:.2f}", f"{1000 * speed.tpot_s.value:.1f}", f"{speed.output_tokens_per_s.value:,.0f}"]


def cost_words(cost: Cost | None, language: str) -> str:
    """A cost as a range with its currency; that it is unknown is said."""
    if cost is None:
        return text("ui", "price-unknown", language)
    amount = f"{cost.amount:,.2f}" if cost.amount == cost.high else f"{cost.amount:,.2f} - {cost.high:,.2f}"
    return f"{amount} {cost.currency}{price_remark(cost, language)}"


def _rejected_blocks(plan: Plan, language: str) -> list[Block]:
    """Why the rest will not do: one line a device; devices with the same reason share it."""
    chosen = {option.accelerator.id for option in plan.options}
    grouped: dict[str, list[str]] = {}
    for each in plan.rejected:
        words, name = notice_words(each.reason, "reason", language), each.accelerator.name
        if each.accelerator.id not in chosen:
            grouped.setdefault(words, []).append(name if each.layout is None else f"{each.layout.gpus} x {name} ({layout_words(each.layout)})")
    rows = [[", ".join(names), reason] for reason, names in grouped.items()]
    if not rows:
        return []
    heading = [Column(text("ui", "rejected-gpu", language)), Column(text("ui", "rejected-why", language))]
    return [Table(heading, rows)]
