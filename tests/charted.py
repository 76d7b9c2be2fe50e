"""Plans whose charts tests look at, each chart of them, and an SVG read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

from gpusizer.planning.memory_lines import in_flight
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.rendering.charts import cost_chart, latency_chart, memory_bar, memory_chart

__all__ = ["REQUESTS", "SVG", "charts_of", "hostile", "plan_of", "read"]

SVG = "{http://www.w3.org/2000/svg}"

REQUESTS = {
    "large": Request(model="deepseek-v3", users=1000),
    "middle": Request(model="qwen3-32b", users=200, context_tokens=8192),
    "one-card": Request(model="qwen3-8b", concurrency=1, gpus=("rtx4090-24gb",)),
    "llama.cpp": Request(model="qwen3-8b", concurrency=4, engine="llama.cpp"),
    "chinese": Request(model="deepseek-v3", users=1000, market="cn-domestic"),
    "ascend": Request(model="deepseek-v3", users=1000, market="cn-domestic", vendor="huawei"),
    "no-price": Request(model="qwen3-32b", concurrency=20, gpus=("h200-nvl-141gb",)),
    "rate": Request(model="qwen3-32b", request_rate=2.0),
    "targets": Request(model="qwen3-32b", concurrency=20, ttft_s=2.0, tpot_s=0.05),
    "sglang": Request(model="deepseek-v3", users=1000, engine="sglang"),
}


@cache
def plan_of(name: str) -> Plan:
    """One of the plans, made once."""
    return make_plan(REQUESTS[name])


def hostile(plan: Plan) -> Plan:
    """The same plan from parts whose names somebody made up."""
    name = "<script>alert(1)</script>\"'&]]>\x07\n" + "x" * 90
    return replace(plan, options=tuple(replace(option, accelerator=replace(option.accelerator, name=name)) for option in plan.options))


def charts_of(plan: Plan, language: str) -> Iterator[tuple[str, str]]:
    """Each chart that there is of a plan, with its kind."""
    option = plan.options[0]
    found = {
        "memory-bar": memory_bar(option, language, concurrency=in_flight(plan, option)),
        "memory": memory_chart(plan, option, language),
        "latency": latency_chart(plan, option, language),
        "cost": cost_chart(plan, language),
    }
    return ((kind, svg) for kind, svg in found.items() if svg)


def read(svg: str) -> ElementTree.Element:
    """A chart as XML."""
    return ElementTree.fromstring(svg)
