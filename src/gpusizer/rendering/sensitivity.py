"""How the answer moves with the need: three rows for readers, and as data."""

from __future__ import annotations

from typing import Any

from gpusizer.i18n import text
from gpusizer.planning.sensitivity import Sensitivity
from gpusizer.planning.types import Plan
from gpusizer.rendering.devices import device_name
from gpusizer.rendering.document import Block, Column, Table
from gpusizer.rendering.notices import notice_data, notice_words
from gpusizer.rendering.prefill_workers import option_layout

__all__ = ["sensitivity_blocks", "sensitivity_data"]


def sensitivity_blocks(plan: Plan, language: str) -> list[Block]:
    """A table of the need as it is, twice the share at work, and twice the context, on the device of the first option."""
    if plan.best is None or not plan.sensitivity:
        return []
    device = device_name(plan.best.accelerator.name, language)
    words = {name: text("need", f"sensitivity-{name}", language, gpu=device) for name in ("what", "concurrency", "tokens")}
    usual = {name: text("ui", f"option-{name}", language) for name in ("gpus", "layout", "ttft", "tpot", "rate")}
    columns = [
        Column(words["what"]),
        Column(words["concurrency"], right=True, spare=4),
        Column(words["tokens"], right=True, spare=5),
        Column(usual["gpus"], right=True),
        Column(usual["layout"]),
        *(Column(usual[name], right=True, spare=place) for place, name in enumerate(("ttft", "tpot", "rate"), 1)),
    ]
    return [Table(columns, [_row(each, language) for each in plan.sensitivity])]


def _row(each: Sensitivity, language: str) -> list[str]:
    heading = [text("need", f"sensitivity-{each.what}", language), f"{each.need.concurrency:,}", f"{each.need.context_tokens:,}"]
    option = each.option
    if option is None:
        return [*heading, "-", "-" if each.reason is None else notice_words(each.reason, "reason", language), "", "", ""]
    speed = option.performance
    figures = ["-"] * 3
    if speed is not None:
        figures = [f"{speed.ttft_s.value:.2f}", f"{1000 * speed.tpot_s.value:.1f}", f"{speed.output_tokens_per_s.value:,.0f}"]
    return [*heading, f"{option.gpus:,}", option_layout(option), *figures]


def sensitivity_data(plan: Plan) -> list[dict[str, Any]]:
    """The same rows as JSON."""
    return [_row_data(each) for each in plan.sensitivity]


def _row_data(each: Sensitivity) -> dict[str, Any]:
    option, speed = each.option, None if each.option is None else each.option.performance
    layout = None if option is None else {name: getattr(option.layout, name) for name in ("tp", "pp", "dp", "ep")}
    return {
        "what": each.what,
        "times": each.times,
        "concurrency": each.need.concurrency,
        "active_share": each.need.active_share,
        "input_tokens": each.need.input_tokens,
        "output_tokens": each.need.output_tokens,
        "context_tokens": each.need.context_tokens,
        "gpu": None if option is None else option.accelerator.id,
        "gpus": None if option is None else option.gpus,
        "gpus_to_order": None if option is None else option.gpus_to_order,
        "nodes": None if option is None else option.nodes,
        "replicas": None if option is None else option.replicas,
        "layout": layout,
        "ttft_s": None if speed is None else speed.ttft_s.value,
        "tpot_s": None if speed is None else speed.tpot_s.value,
        "output_tokens_per_s": None if speed is None else speed.output_tokens_per_s.value,
        "reason": None if each.reason is None else notice_data(each.reason, "reason"),
    }
