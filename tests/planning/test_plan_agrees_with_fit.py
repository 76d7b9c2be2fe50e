"""Plan and fit are one judgement: over random models, devices, engines, precisions and layouts neither says yes where the other says no.

A plan's option passes ``fit`` with its printed command at the same bytes; what the support table refuses, both refuse with the same code; a layout
that a plan does not consider is refused by ``fit`` for the same reason.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerators, model_ids
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.launch import command_line

SEED = 20261127
GROUPS = 20
CASES = int(os.environ.get("GPUSIZER_AGREEMENT_CASES", "240"))  # 2,000 by the variable
PRECISIONS = ("checkpoint", "checkpoint", "bf16", "fp8", "int8", "int4", "mxfp4", "nvfp4")
GGUF = ("checkpoint", "q4_k_m", "q8_0")
PARALLEL = ("llama.cpp", "ollama", "transformers")  # engines that place a model over devices by themselves


@dataclass(frozen=True)
class Case:
    """One combination."""

    model: str
    gpu: str
    engine: str
    precision: str
    layout: Layout
    concurrency: int
    context_tokens: int


def cases() -> Iterator[Case]:
    draw = random.Random(SEED)
    models, devices, engines = model_ids(), [each.id for each in accelerators()], engine_ids()
    for _ in range(CASES):
        engine = draw.choice((*engines, "vllm", "vllm", "sglang", "tensorrt-llm"))
        tp, pp = draw.choice((1, 2, 4, 8, 16)), draw.choice((1, 1, 2))
        yield Case(
            model=draw.choice(models),
            gpu=draw.choice(devices),
            engine=engine,
            precision=draw.choice(GGUF if engine in ("llama.cpp", "ollama") else PRECISIONS),
            layout=Layout(tp=tp, pp=pp, ep=draw.choice((1, 1, 2, tp))),
            concurrency=draw.choice((1, 4, 32)),
            context_tokens=draw.choice((2048, 8192)),
        )


def plan_of(case: Case) -> Plan:
    need = {"concurrency": case.concurrency, "context_tokens": case.context_tokens}
    return make_plan(Request(model=case.model, engine=case.engine, precision=case.precision, gpus=(case.gpu,), **need))  # type: ignore[arg-type]


def disagreements(case: Case) -> list[str]:
    """What plan and fit say differently."""
    try:
        plan = plan_of(case)
    except GpusizerError:
        return []  # the same command is refused before either judges
    found = [f"printed command: {words}" for words in _of_options(plan)]
    found += [f"support: {words}" for words in _of_support(case, plan)]
    return [*found, *(f"layout: {words}" for words in _of_layout(case))]


def _of_options(plan: Plan) -> Iterator[str]:
    for option in plan.options:
        line = command_line(option.launch)
        assert line is not None
        launch = launch_of_command([line], gpu=option.accelerator.id, **_beside(option.launch))
        again = make_fit(launch.deployment).fit
        if not again.fits:
            yield f"{line}: fit says {again.reason}"
        elif _figures(again) != _figures(option.fit):
            yield f"{line}: {_figures(again)}, the plan {_figures(option.fit)}"


def _figures(fit: Fit) -> tuple[object, ...]:
    """Bytes of every GPU, the cache and what it holds; a band is wider where a precision is named that the checkpoint has anyhow."""
    return tuple(tuple((item.id, item.bytes) for item in rank.items) for rank in fit.ranks), fit.kv_cache, fit.max_concurrency


def _beside(launch: Deployment) -> dict[str, Any]:
    """What a command does not say: Ollama's server loads what its clients name."""
    return {"model": launch.model, "given": {"precision": launch.precision}} if launch.engine == "ollama" else {}


def _of_support(case: Case, plan: Plan) -> Iterator[str]:
    """What the table refuses, both refuse with the same code; what it converts, the plan converts and fit refuses as it is."""
    device = next(each for each in accelerators() if each.id == case.gpu)
    start = Deployment(model=case.model, gpu=case.gpu, engine=case.engine, precision=case.precision)
    support = get_engine(case.engine).support(start, with_precision(load_architecture(case.model), case.precision), device)
    reason = make_fit(start).fit.reason
    if support.refusal is not None and (reason is None or reason.code != support.refusal.code):
        yield f"the table refuses ({support.refusal.code}), fit says {reason}"
    if support.refusal is None and reason is not None and reason.code.endswith(("-not-on-device", "-not-on-device-alone")):
        yield f"fit refuses ({reason.code}), the table does not"
    if support.refusal is not None:
        codes = {each.reason.code for each in plan.rejected}
        converted = any(each.launch.precision != case.precision for each in plan.options)
        may = case.precision == "checkpoint" and bool(support.instead)
        if support.refusal.code not in codes and not (may and (converted or codes)):
            yield f"the table refuses ({support.refusal.code}), the plan says {codes}"


def _of_layout(case: Case) -> Iterator[str]:
    """A layout that a search does not consider is refused by fit, and for the same reason."""
    if case.engine in PARALLEL:
        return
    engine, layout = get_engine(case.engine), case.layout
    device = next(each for each in accelerators() if each.id == case.gpu)
    architecture = with_precision(load_architecture(case.model), case.precision)
    refused = engine.layout_refusal(architecture, device, layout)
    start = Deployment(
        case.model,
        case.gpu,
        tp=layout.tp,
        pp=layout.pp,
        ep=layout.ep,
        engine=case.engine,
        precision=case.precision,
        max_model_len=case.context_tokens,
    )
    reason = make_fit(start).fit.reason
    runs = engine.support(start, architecture, device).refusal is None
    if runs and refused is not None and (reason is None or reason.code != refused.code):
        yield f"{layout}: a search refuses it ({refused.code}), fit says {reason}"


@pytest.mark.parametrize("group", range(GROUPS))
def test_plan_and_fit_are_one_judgement(group: int) -> None:
    found = {case: said for number, case in enumerate(cases()) if number % GROUPS == group and (said := disagreements(case))}
    assert not found, found
