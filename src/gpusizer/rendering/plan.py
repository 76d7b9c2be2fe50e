"""A plan in one sentence: what was asked for, and what to take."""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.i18n import text
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.companions import beside_words
from gpusizer.rendering.devices import device_name, device_unit
from gpusizer.rendering.need import performance_words
from gpusizer.rendering.plan_options import cost_words
from gpusizer.rendering.prefill_workers import option_layout
from gpusizer.units import format_tokens

__all__ = ["plan_sentence", "precision_words", "servers_words", "weights_words"]


def plan_sentence(plan: Plan, language: str) -> str:
    """The sentence to copy into a mail."""
    need = plan.need
    said = {
        "model": plan.model.name,
        "precision": weights_words(plan, language),
        "load": _load(plan, language),
        "context": format_tokens(need.context_tokens),
    }
    best = plan.best
    if best is None:
        return text("ui", "plan-none", language, **said)
    servers = servers_words(best, language)
    layout = option_layout(best)
    said |= {"unit": device_unit(best.accelerator, language), "gpu": device_name(best.accelerator.name, language)}
    answer = text("ui", "plan-answer", language, **said, gpus=best.gpus, servers=servers, layout=layout)
    paid = best.cost or best.purchase
    code = "sentence-no-price" if paid is None else "sentence-price" if best.cost is not None else "sentence-purchase"
    priced = text("need", code, language, price=cost_words(paid, language)) if not best.is_there else ""
    if best.companions:
        answer += text("stack", "sentence", language, beside=beside_words(best.companions, language))
    return answer + performance_words(best, need, language) + priced


def servers_words(option: Option, language: str) -> str:
    """How many servers an option takes, or that it is a part of one."""
    if option.gpus < (option.accelerator.devices_per_node or 0) and option.accelerator.whole_nodes:
        return text("ui", "servers-part", language, devices=option.accelerator.devices_per_node)
    return text("ui", "servers-one" if option.nodes == 1 else "servers-many", language, nodes=option.nodes)


def _load(plan: Plan, language: str) -> str:
    rate, need = plan.request.request_rate, plan.need
    if rate is not None:
        return text("ui", "load-rate", language, rate=rate)
    if need.users is not None:
        return text("ui", "load-users", language, users=need.users, concurrency=need.concurrency)
    return text("ui", "load-concurrency-one" if need.concurrency == 1 else "load-concurrency", language, concurrency=need.concurrency)


def weights_words(plan: Plan, language: str) -> str:
    """The precision of the weights as people say it."""
    return precision_words(plan.request.precision if plan.best is None else plan.best.launch.precision, plan.architecture, language)


def precision_words(precision: str, architecture: Architecture, language: str) -> str:
    """A precision as people say it; of a checkpoint with the widest format of its weights.

    >>> from gpusizer.architecture.load import load_architecture
    >>> precision_words("checkpoint", load_architecture("deepseek-v3"), "en"), precision_words("int4", load_architecture("qwen3-8b"), "en")
    ('FP8 checkpoint', 'INT4')
    """
    if precision != "checkpoint":
        return precision.upper()
    formats = weight_formats(architecture)
    widest = formats[0].upper() if formats else architecture.dtype.upper()
    return text("ui", "precision-checkpoint", language, precision=widest)
