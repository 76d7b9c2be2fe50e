"""The workbook: change a cell, everything recomputes.

``tables`` writes what the engine's records say of models and devices; ``cells`` calls the engine's own account once with figures of the sheet, and
the tracer writes its cells; ``sheets`` show them. What an engine decides stands in its folder and nowhere here.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import account_sheet, get_engine
from gpusizer.engines.base.launch_words import words_for
from gpusizer.engines.base.sheet import AccountSheet
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry, model_ids
from gpusizer.facts.types import Accelerator
from gpusizer.i18n import printable
from gpusizer.planning.model import Model
from gpusizer.planning.own_cases import with_cases
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.workbook.beside import beside
from gpusizer.rendering.workbook.build import build
from gpusizer.rendering.workbook.cells.selected import MOST_STAGES
from gpusizer.rendering.workbook.sheets.start import Beginning
from gpusizer.rendering.workbook.tables.gather import KV_PRECISIONS, PRECISIONS, TPS, Source, gather

__all__ = ["catalogue_workbook", "listed_devices", "plan_workbook"]

FIRST_MODEL, FIRST_GPU, FIRST_TP = "deepseek-v3", "h200-sxm-141gb", 8


def catalogue_workbook(language: str, today: date | None = None, engine: str = "vllm", version: str | None = None) -> bytes:
    """A workbook with every model of the catalogue to choose from.

    Parameters
    ----------
    language : str
        "en" or "zh".
    today : date, optional
        What it says about when it was written.
    engine, version : str
        Whose account it records; the newest version that is known where none is given.

    Returns
    -------
    bytes
        The file.
    """
    sheet = _sheet(engine, version)
    with _undisturbed():
        sources = []
        for id in model_ids():
            entry, model = model_entry(id), load_architecture(id)
            writes = not Model(id, entry, model).only_reads  # what writes nothing has no load of requests and answers
            if writes and get_engine(engine).unknown_mixer(model) is None:
                sources.append(Source(id, entry.name, model, entry))
        facts = gather(sheet, sources, listed_devices(), language)
        return build(facts, Beginning(Request(model=FIRST_MODEL), FIRST_GPU, FIRST_TP), today or date.today())


def plan_workbook(plan: Plan, language: str, today: date | None = None) -> bytes:
    """A workbook with the model of a plan, its load, and the deployment that comes first.

    Parameters
    ----------
    plan : Plan
        The plan.
    language : str
        "en" or "zh".
    today : date, optional
        What it says about when it was written.

    Returns
    -------
    bytes
        The file.
    """
    request, need, best = plan.request, plan.need, _recorded(plan)
    if best is not None and best is not plan.best:  # the workbook's first is the first that its cells can say
        plan = replace(plan, options=(best, *(each for each in plan.options if each is not best)))
    devices = listed_devices(request.gpus, request.calibrate)
    reserve, shared = beside(plan, request.engine if best is None else best.launch.engine, devices)
    settings = settings_of(best) | shared | ({} if request.other_memory_bytes is None else {"other_memory_bytes": request.other_memory_bytes})
    engine = _sheet(request.engine if best is None else best.launch.engine, request.engine_version, settings)
    with _undisturbed():
        stored = load_architecture(request.model, request.checkpoint_bytes)
        key = plan.model.entry.id if plan.model.entry is not None else _plain_key(plan.model.name)
        precision = (request.precision if best is None else best.launch.precision).lower().replace("-", "_")
        precisions = PRECISIONS if precision in PRECISIONS else (*PRECISIONS, precision)
        cache = (request.kv_precision if best is None else best.launch.kv_precision).lower()
        caches = KV_PRECISIONS if cache in KV_PRECISIONS else (*KV_PRECISIONS, cache)
        name = printable(plan.model.name) or key  # a sheet is XML, which knows no control characters
        facts = gather(engine, [Source(key, name, stored, plan.model.entry)], devices, language, precisions, caches, reserve=reserve)
        by_users = need.users is not None
        wanted = replace(
            request,
            model=key,
            precision=precision,
            kv_precision=cache,
            users=need.users,
            active_share=need.active_share,
            concurrency=None if by_users else need.concurrency,
            input_tokens=need.input_tokens,
            output_tokens=need.output_tokens,
            scenario=need.scenario or request.scenario,
        )
        if best is None:
            gpu = plan.best.accelerator.id if plan.best is not None else next((accelerator(name).id for name in request.gpus), FIRST_GPU)
            return build(facts, Beginning(wanted, gpu, FIRST_TP), today or date.today(), plan)
        layout = best.layout
        start = Beginning(
            wanted,
            best.accelerator.id,
            layout.tp if layout.tp in TPS else 1,
            min(layout.pp, MOST_STAGES),
            layout.ep > 1,
            best.launch.memory_fraction,
            tuple(words_for(settings, best.launch.engine)[1]),
        )
        return build(facts, start, today or date.today(), plan)


def _recorded(plan: Plan) -> Option | None:
    """The first option of a layout that the cells can say; drafts and workers for prompts are refused, because no cell counts them."""
    if plan.model.stored.pooled:
        raise FlagError("workbook-without", found="--runner pooling")
    if plan.best is not None and plan.best.drafts is not None:
        raise FlagError("workbook-without", found="--speculative")
    if plan.best is not None and plan.best.prefill is not None:
        raise FlagError("workbook-without", found="--disaggregate")
    return next((each for each in plan.options if each.layout.dp == 1 and each.drafts is None and each.prefill is None), None)


def settings_of(option: Option | None) -> dict[str, Any]:
    """Settings that a plan turned and no cell can: every start of the workbook has them."""
    launch = None if option is None or not option.knobs else option.launch
    names = ("max_num_seqs", "max_num_batched_tokens", "enforce_eager")
    return {} if launch is None else {name: value for name in names if (value := getattr(launch, name))}


def _sheet(engine: str, version: str | None = None, settings: Mapping[str, Any] | None = None) -> AccountSheet:
    found = account_sheet(engine, version, settings)
    if found is None and settings and account_sheet(engine, version) is not None:
        options = {"other_memory_bytes": "--other-memory", "beside_bytes": "--with"}
        raise FlagError("workbook-without", found=next((option for name, option in options.items() if name in settings), "--tuning auto"))
    if found is None:
        raise FlagError("workbook-engine", found=" ".join(filter(None, (engine, version))))
    return found


def listed_devices(named: Sequence[str] = (), calibrate: str | None = None) -> tuple[Accelerator, ...]:
    """The devices that a workbook lets choose from: what plans look at, what is announced, and what the request names.

    Parameters
    ----------
    named : sequence of str
        Names of the request.
    calibrate : str or None
        A file of own cases that moves the speeds of some.

    Returns
    -------
    tuple of Accelerator
        In the order of the catalogue; cards that are described in the request come last.
    """
    wanted = {each.id: each for each in map(accelerator, named)}
    listed = (*(each for each in accelerators() if each.usual or each.id in wanted), *(each for each in wanted.values() if each.own))
    return tuple(with_cases(each, calibrate) for each in listed)


def _plain_key(name: str) -> str:
    """A stranger's name as a key that a sheet can look up: signs that stand for others are replaced."""
    words = "".join("_" if letter in "*?~" else letter for letter in printable(name))
    return words[:200] or "model"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A million small objects that all stay: looking for those that do not takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
