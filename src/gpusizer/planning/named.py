"""What becomes of hardware that was named: the single card and the single server always have a line, with the reason or what makes it start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.planning.conversion import by_precision
from gpusizer.planning.devices import devices_of
from gpusizer.planning.remedies import Remedy, remedies_for
from gpusizer.planning.request import alternatives
from gpusizer.planning.search import best_layout
from gpusizer.planning.stack import stack_on
from gpusizer.planning.tuning import tried_trials
from gpusizer.planning.wanted import Candidate, Search

if TYPE_CHECKING:
    from gpusizer.planning.types import Option, Plan

__all__ = ["NamedLine", "named_lines"]

MOST_NAMED = 4  # accelerators that get lines: who names more compares
NO = "no"
NARROWER = {"bf16": ("fp8", "int4"), "fp16": ("fp8", "int4"), "fp32": ("fp8", "int4"), "fp8": ("int4",), "int8": ("int4",)}
"""What is tried where weights of a format do not fit."""


@dataclass(frozen=True, slots=True)
class NamedLine:
    """One card or one server that was named, and what becomes of it.

    Parameters
    ----------
    accelerator : Accelerator
        The device.
    gpus : int
        1, or a whole server. [GPUs]
    verdict : str
        "fits", "tight" or "no".
    held, held_low : int
        Requests of full length that all of it holds, and on the safe side. [requests]
    knobs : tuple of Notice
        Settings that were turned, words under "knob".
    reason : Notice or None
        Why it will not do.
    remedy : Remedy or None
        The nearest change that makes it start.
    launch : Deployment or None
        How it is started; None where nothing starts.
    """

    accelerator: Accelerator
    gpus: int
    verdict: str
    held: int = 0
    held_low: int = 0
    knobs: tuple[Notice, ...] = ()
    reason: Notice | None = None
    remedy: Remedy | None = None
    launch: Deployment | None = None


def named_lines(plan: Plan) -> tuple[NamedLine, ...]:
    """Single card and single server of every accelerator that was named, where no option is just that.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    tuple of NamedLine
        In the order of the names; empty where none was named.
    """
    request = plan.request
    if not request.gpus or request.has_targets:
        return ()
    found: list[NamedLine] = []
    for device in devices_of(request)[:MOST_NAMED]:
        options = [each for each in plan.options if each.accelerator.id == device.id]
        taken = {each.gpus for each in options if each.replicas == 1 or each.gpus == device.node_size}
        sizes = [gpus for gpus in dict.fromkeys((1, device.devices_per_node or 1)) if gpus not in taken]
        found += _of_device(plan, device, sizes, options)
    return tuple(found)


def _of_device(plan: Plan, device: Accelerator, sizes: list[int], options: list[Option]) -> Iterator[NamedLine]:
    request = plan.request
    chosen = options[0].launch if options else None
    engine_id, precision = (chosen.engine, chosen.precision) if chosen else (alternatives(request.engine)[0], alternatives(request.precision)[0])
    one = replace(request, engine=engine_id, precision=precision, max_gpus=None)
    architecture = with_precision(plan.model.stored, precision)
    wanted = Search(one, plan.need, get_engine(engine_id), plan.model.stored, architecture)
    ((wanted, _),) = by_precision(wanted, [device])  # in what runs there
    stack = stack_on(wanted, device) if request.with_models else None
    if wanted.support(device).refusal is not None or isinstance(stack, Notice):
        return  # the table of reasons says it for the device as a whole
    wanted = wanted if stack is None else replace(wanted, stacks={device.id: stack})
    for gpus in sizes:
        sure = next((each for each in options if each.verdict == "fits" and each.prefill is None and each.layout.gpus <= gpus), None)
        yield _line(wanted, device, gpus) if sure is None or sure.gpus > gpus else _several(sure, device, gpus)


def _several(option: Option, device: Accelerator, gpus: int) -> NamedLine:
    """As many replicas of the answer as a server takes."""
    copies = (gpus - option.own_gpus) // option.layout.gpus - option.spare_replicas
    held, low = (copies * each // option.replicas for each in (option.held_requests, option.held_requests_low))
    return NamedLine(device, gpus, "fits", held, low, option.knobs, launch=option.launch)


def _line(wanted: Search, device: Accelerator, gpus: int) -> NamedLine:
    found = best_layout(wanted, device, gpus)
    need = wanted.need.concurrency
    for candidate in (found.safe, found.tight):
        if candidate is not None:
            return _held(candidate, device, gpus, need)
    rejected = found.rejected
    assert rejected is not None  # one of them is said
    return NamedLine(device, gpus, NO, reason=rejected.reason, remedy=_remedy(wanted, device, gpus, rejected.layout))


def _held(candidate: Candidate, device: Accelerator, gpus: int, need: int) -> NamedLine:
    """What one replica holds: it may start and hold less than the load."""
    held, low = candidate.held, candidate.held_low
    if held >= need:
        return NamedLine(device, gpus, candidate.verdict, held, low, candidate.knobs, launch=candidate.launch)
    short = Notice("holds-less", {"held": held, "low": low, "concurrency": need})
    return NamedLine(device, gpus, NO, held, low, candidate.knobs, reason=short, launch=candidate.launch)


def _remedy(wanted: Search, device: Accelerator, gpus: int, layout: Layout | None) -> Remedy | None:
    """The nearest change on the same cards, on top of every setting that a plan turns by itself."""
    if layout is None:
        legal = (each.layout for each in wanted.engine.layouts(wanted.architecture, device, gpus) if each.reason is None)
        layout = next(legal, None)
    if layout is None:
        return None
    last = tried_trials(wanted, device, layout)[-1]
    changes = remedies_for(last.fit, last.launch, wanted.architecture, device)
    same_cards = next((each for each in changes if each.launch.layout.gpus == gpus), None)
    return same_cards or _smaller_weights(wanted, device, gpus)


def _smaller_weights(wanted: Search, device: Accelerator, gpus: int) -> Remedy | None:
    """The widest precision below the one that was asked for that starts on these cards, with every setting that a plan turns by itself."""
    widest = weight_formats(wanted.architecture)[:1]
    for precision in NARROWER.get(widest[0] if widest else "", ()):
        narrow = with_precision(wanted.stored, precision)
        one = replace(wanted, request=replace(wanted.request, precision=precision), architecture=narrow)
        if one.support(device).refusal is not None:
            continue
        found = best_layout(one, device, gpus)
        started = found.safe or found.tight
        if started is not None:
            return Remedy("smaller-weights", {"before": widest[0], "after": precision}, started.launch, started.fit)
    return None
