"""Plans with targets: which layout and how many replicas keep the times that are asked for, over all accelerators at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base import Engine
from gpusizer.engines.support import device_support
from gpusizer.facts.types import Accelerator
from gpusizer.planning.choose import ASSUMED_NODE, Candidate, Found, layouts_of, option_of, replica_sizes
from gpusizer.planning.need import Need
from gpusizer.planning.performance_types import Performance
from gpusizer.planning.request import Request
from gpusizer.planning.speed import load_of
from gpusizer.planning.sweep import Ask, Sweep
from gpusizer.planning.types import Rejected

__all__ = ["has_targets", "search_targets"]

LAYOUTS_TRIED = 3  # the widest cut, whole experts, and the next narrower one
STEPS = 10  # numbers of replicas that are tried between what memory needs and one request each
MOST_REPLICAS = 4096


def has_targets(request: Request) -> bool:
    """Whether speed decides, not memory alone."""
    return request.ttft_s is not None or request.tpot_s is not None or request.request_rate is not None or request.sort == "speed"


def search_targets(
    request: Request, need: Need, engine: Engine, architecture: Architecture, devices: Sequence[Accelerator], *, weights_bytes: int
) -> list[Found]:
    """On each accelerator the smallest deployment that keeps the targets (with ``sort`` "speed": the fastest of its server).

    Parameters
    ----------
    request, need : Request, Need
        Targets and limits, and the load with every part filled in.
    engine : Engine
        Who serves.
    architecture : Architecture
        The model in the precision that is wanted.
    devices : sequence of Accelerator
        The accelerators to consider.
    weights_bytes : int
        Stored tensors of the model. [bytes]

    Returns
    -------
    list of Found
        An option, or the reason, for each accelerator.
    """
    rows: list[tuple[int, Candidate]] = []  # (device, candidate with its number of replicas)
    refused: dict[int, Rejected] = {}
    for number, device in enumerate(devices):
        for found in _candidates(request, need, engine, architecture, device, weights_bytes):
            if isinstance(found, Candidate):
                rows.extend((number, replace(found, replicas=replicas)) for replicas in _ladder(found, request, need))
            else:
                refused[number] = found
    best = _best(request, need, architecture, devices, rows)
    return [_found(devices[number], best.get(number), refused.get(number), request, engine, architecture) for number in range(len(devices))]


def _candidates(
    request: Request, need: Need, engine: Engine, architecture: Architecture, device: Accelerator, weights_bytes: int
) -> Iterator[Candidate | Rejected]:
    """Layouts that start: every size inside a server, and the first size beyond it where none does."""
    support = device_support(engine.id, architecture, device)
    if support.refusal is not None:
        yield Rejected(device, None, support.refusal)
        return
    node = device.devices_per_node or ASSUMED_NODE
    held = False
    for gpus in replica_sizes(device, request.max_gpus):
        if gpus > node and held:
            return
        if weights_bytes > gpus * device.memory_bytes:
            yield Rejected(
                device, None, Notice("weights-too-large", {"gpus": gpus, "weights_bytes": weights_bytes, "memory_bytes": gpus * device.memory_bytes})
            )
            continue
        for found in layouts_of(request, need, engine, architecture, device, gpus, most=LAYOUTS_TRIED):
            held = held or isinstance(found, Candidate)
            yield found


def _ladder(candidate: Candidate, request: Request, need: Need) -> list[int]:
    """Numbers of replicas to try: from what memory needs to one request for each replica, in growing steps."""
    least = candidate.replicas if request.request_rate is None else 1
    most = MOST_REPLICAS if request.request_rate is not None else max(need.concurrency, least)
    if request.max_gpus is not None:
        most = min(most, request.max_gpus // candidate.layout.gpus)
    if most < least:
        return []
    growth = (most / least) ** (1 / STEPS)
    return sorted({min(round(least * growth**step), most) for step in range(STEPS + 1)})


def _best(
    request: Request, need: Need, architecture: Architecture, devices: Sequence[Accelerator], rows: list[tuple[int, Candidate]]
) -> dict[int, tuple[Candidate, Performance, bool]]:
    """By device: the candidate to take with its speed, and whether it keeps the targets. A second pass looks between the steps of the first."""
    if not rows:
        return {}
    best = _pass(request, need, architecture, devices, rows)
    between: list[tuple[int, Candidate]] = []
    for number, (candidate, _, kept) in best.items():
        same = sorted(row.replicas for which, row in rows if which == number and row.fit is candidate.fit and row.replicas < candidate.replicas)
        if kept and same and request.sort != "speed":
            step = max((candidate.replicas - same[-1]) // STEPS, 1)
            between.extend((number, replace(candidate, replicas=count)) for count in range(same[-1] + 1, candidate.replicas, step))
    if between:
        for number, finer in _pass(request, need, architecture, devices, between).items():
            if finer[2]:
                best[number] = finer
    return best


def _pass(
    request: Request, need: Need, architecture: Architecture, devices: Sequence[Accelerator], rows: list[tuple[int, Candidate]]
) -> dict[int, tuple[Candidate, Performance, bool]]:
    sweep = Sweep(architecture, [Ask(devices[number], row.launch, row.replicas, row.fit) for number, row in rows], load_of(request, need))
    kept = sweep.holds_rate
    for wish, figures in ((request.ttft_s, sweep.ttft_s), (request.tpot_s, sweep.tpot_s)):
        if wish is not None:
            kept = kept & (figures <= wish)
    chosen: dict[int, tuple[tuple[float, ...], int]] = {}
    for index, (number, row) in enumerate(rows):
        speed = float(sweep.tpot_s[index])
        if request.sort == "speed":
            order: tuple[float, ...] = (not kept[index], speed, row.gpus)
        else:
            order = (not kept[index], row.gpus, speed) if kept[index] else (True, speed + float(sweep.ttft_s[index]), row.gpus)
        if number not in chosen or order < chosen[number][0]:
            chosen[number] = (order, index)
    return {number: (rows[index][1], sweep.performance(index), bool(kept[index])) for number, (_, index) in chosen.items()}


def _found(
    device: Accelerator,
    best: tuple[Candidate, Performance, bool] | None,
    refused: Rejected | None,
    request: Request,
    engine: Engine,
    architecture: Architecture,
) -> Found:
    if best is None:
        return Found(None, refused or Rejected(device, None, Notice("does-not-fit")))
    candidate, speed, kept = best
    if not kept:
        if speed.regime == "overloaded":
            reason = Notice("cannot-hold-rate", {"gpus": candidate.gpus, "limit": speed.limit_requests_per_s, "rate": request.request_rate})
        else:
            wished = {"ttft_s": request.ttft_s, "tpot_ms": None if request.tpot_s is None else 1000 * request.tpot_s}
            reached = {"best_ttft_s": speed.ttft_s.value, "best_tpot_ms": 1000 * speed.tpot_s.value, "gpus": candidate.gpus}
            reason = Notice("too-slow", {**wished, **reached})
        return Found(None, Rejected(device, candidate.layout, reason))
    support = device_support(engine.id, architecture, device)
    return Found(option_of(candidate, device, support.notices, support.tier), None)
