"""Plans with targets: which layout and how many replicas keep the times that are asked for, over all accelerators at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.formulas.load import replicas_needed
from gpusizer.performance.acceptance import MOST_ACCEPTED, assumed_acceptance
from gpusizer.performance.batch import Ask, Sweep
from gpusizer.performance.device_speeds import speed_unknown
from gpusizer.performance.set_up import quickest_token_s
from gpusizer.performance.types import Performance
from gpusizer.planning.drafts import OFF, own_drafts
from gpusizer.planning.option_speeds import load_of
from gpusizer.planning.search import best_layout, candidate_of, layouts_of, option_of, spread_candidates, too_large, tried_layout
from gpusizer.planning.sizes import first_guess, replica_sizes, smallest_index
from gpusizer.planning.starts import deployment_for
from gpusizer.planning.types import Found, Rejected, Undrafted
from gpusizer.planning.wanted import Candidate, Search

__all__ = ["search_targets"]

LAYOUTS_TRIED = 3  # the widest cut, whole experts, and the next narrower one
STEPS = 10  # numbers of replicas that are tried between what memory needs and one request each
MOST_REPLICAS = 4096
NO_ROOM = frozenset({"no-memory-for-cache", "out-of-memory", "context-too-long", "fewer-blocks-than-requests", "too-close-to-call"})
FULLEST = 0.95  # share of the devices beyond which weights leave nothing


_Size = tuple[int, list[Candidate | Rejected]]
_Seen = dict[int, dict[int, list[Candidate | Rejected]]]  # by device, then by GPUs of a replica


@dataclass(frozen=True, slots=True)
class _Answer:
    candidate: Candidate
    speed: Performance
    kept: bool
    order: tuple[float, ...]


def search_targets(wanted: Search, devices: Sequence[Accelerator]) -> list[Found]:
    """On each accelerator the smallest deployment that keeps the targets (with ``sort`` "speed": the fastest of its server).

    Parameters
    ----------
    wanted : Search
        Targets and limits, load, engine and model.
    devices : sequence of Accelerator
        The accelerators to consider.

    Returns
    -------
    list of Found
        An option, or the reason, for each accelerator.
    """
    refused: dict[int, Rejected] = {}
    seen: _Seen = {}
    quickest = wanted.request.sort == "speed"  # settings are for room: there they matter only where nothing starts without
    best = _smallest(wanted if quickest else replace(wanted, request=replace(wanted.request, tuning=OFF)), devices, refused, seen)
    if wanted.request.tuning != OFF and not quickest:
        best |= _better_with_settings(wanted, devices, best, seen)
    own = own_drafts(wanted.request.speculative, wanted.engine, wanted.bare, wanted.architecture)
    if own is None:
        return [_found(wanted, devices[number], best.get(number), refused.get(number)) for number in range(len(devices))]
    drafting = replace(wanted, drafts=own)
    better = _better_with_drafts(drafting, devices, best, seen)
    return [
        _with_drafts(drafting, devices[number], better[number], best.get(number))
        if number in better
        else _found(wanted, devices[number], best.get(number), refused.get(number))
        for number in range(len(devices))
    ]


def _smallest(wanted: Search, devices: Sequence[Accelerator], refused: dict[int, Rejected], seen: _Seen) -> dict[int, _Answer]:
    """By device: the best of what was tried, size after size until no larger one can be better."""
    sort = wanted.request.sort
    waiting = {number: _sizes(wanted, device) for number, device in enumerate(devices)}
    best: dict[int, _Answer] = {}
    while waiting:
        rows: list[tuple[int, Candidate]] = []
        for number, sizes in list(waiting.items()):
            known = best.get(number)
            most = known.candidate.gpus if known is not None and known.kept and sort != "speed" else inf
            found = _next(sizes, most, refused, seen.setdefault(number, {}), number)
            if found is None:
                del waiting[number]
                continue
            starts = [start for each in found for start in (each, each.plain) if start is not None]
            rows.extend((number, replace(start, replicas=replicas)) for start in starts for replicas in _ladder(wanted, start))
        for number, answer in _best(wanted, devices, rows).items():
            if number not in best or answer.order < best[number].order:
                best[number] = answer
    return best


def _better_with_settings(wanted: Search, devices: Sequence[Accelerator], best: Mapping[int, _Answer], seen: _Seen) -> dict[int, _Answer]:
    """By device: what takes fewer GPUs once settings are turned: the widest cut of each size that memory, not speed, kept from doing."""
    rows: list[tuple[int, Candidate]] = []
    for number, device in enumerate(devices):
        known = best.get(number)
        kept = known.candidate if known is not None and known.kept else None
        for gpus, tried in seen.get(number, {}).items():
            layout = next((each.layout for each in tried if each.layout is not None and _memory_decides(each, kept)), None)
            if layout is None or (kept is not None and gpus > kept.gpus):
                continue
            turned = tried_layout(wanted, device, layout, None if kept is None else kept.gpus).safe
            if turned is not None and turned.knobs:
                most = inf if kept is None else kept.gpus
                rows += [(number, replace(turned, replicas=count)) for count in _ladder(wanted, turned) if count * layout.gpus < most]
    answers = _best(wanted, devices, rows)
    return {number: each for number, each in answers.items() if each.kept and (number not in best or each.order < best[number].order)}


def _memory_decides(tried: Candidate | Rejected, kept: Candidate | None) -> bool:
    """Whether a layout does not start for want of memory, or holds so few requests that it takes as many GPUs as the best that is known."""
    if isinstance(tried, Rejected):
        return tried.reason.code in NO_ROOM
    return kept is None or tried.gpus >= kept.gpus


def _better_with_drafts(drafting: Search, devices: Sequence[Accelerator], best: Mapping[int, _Answer], seen: _Seen) -> dict[int, _Answer]:
    """By device: what drafts make better. The best layout again, and one layout of each size that holds the model and was too slow."""
    rows: list[tuple[int, Candidate]] = []
    for number, device in enumerate(devices):
        known = best.get(number)
        kept = known.candidate if known is not None and known.kept else None
        layouts = [] if kept is None else [kept.layout]
        for gpus, tried in seen.get(number, {}).items():
            if kept is None or gpus < kept.layout.gpus:
                layouts += [each.layout for each in tried if each.layout is not None and _may_be_quick_enough(drafting, device, each)][:1]
        for layout in layouts:
            found = candidate_of(drafting, device, layout)
            if isinstance(found, Candidate):
                most = inf if kept is None else kept.gpus
                rows += [(number, replace(found, replicas=count)) for count in _ladder(drafting, found) if count * layout.gpus <= most]
    answers = _best(drafting, devices, rows)
    return {number: each for number, each in answers.items() if each.kept and (number not in best or each.order < best[number].order)}


def _may_be_quick_enough(drafting: Search, device: Accelerator, tried: Candidate | Rejected) -> bool:
    """Whether drafts could bring a layout within the target: a single request alone, as many drafts accepted as are taken to be."""
    wish = drafting.request.tpot_s
    if isinstance(tried, Rejected) and tried.reason.code != "too-slow-alone":
        return False
    if wish is None or tried.layout is None or drafting.drafts is None:
        return True
    drafts = drafting.drafts.tokens
    share = assumed_acceptance(drafts).value if drafting.request.acceptance is None else drafting.request.acceptance
    alone = deployment_for(drafting, device, tried.layout)
    all_accepted = quickest_token_s(drafting.architecture, device, alone, context_tokens=drafting.need.context_tokens)
    return all_accepted * (1 + drafts) <= wish * float(speculative_tokens(acceptance=min(share, MOST_ACCEPTED), drafts=drafts))


def _next(
    sizes: Iterator[_Size], most: float, refused: dict[int, Rejected], seen: dict[int, list[Candidate | Rejected]], number: int
) -> list[Candidate] | None:
    """Candidates of the next size that holds the model; None where no further one can take fewer GPUs than are known to do."""
    for gpus, found in sizes:
        if gpus >= most:
            return None
        seen[gpus] = found
        candidates = [each for each in found if isinstance(each, Candidate)]
        if candidates:
            return candidates
        refused[number] = next(each for each in reversed(found) if isinstance(each, Rejected))
    return None


def _sizes(wanted: Search, device: Accelerator) -> Iterator[_Size]:
    """Layouts by size: every size inside a server; where none holds the model, the first sizes beyond it that do."""
    support = wanted.support(device)
    weights_bytes = wanted.weights_bytes
    if support.refusal is not None:
        yield 1, [Rejected(device, None, support.refusal)]
        return
    if (unknown := speed_unknown(device)) is not None:
        yield 1, [Rejected(device, None, unknown)]
        return
    node = device.node_size
    sizes = list(replica_sizes(device, wanted.most_gpus))
    inside = [gpus for gpus in sizes if gpus <= node]
    held = False
    for gpus in inside:
        if weights_bytes > gpus * device.memory_bytes * FULLEST:
            parameters = {"gpus": gpus, "weights_bytes": weights_bytes, "memory_bytes": gpus * device.memory_bytes}
            yield gpus, [Rejected(device, None, Notice("weights-too-large", parameters))]
            continue
        if (slow := _hopeless(wanted, device, gpus)) is not None:
            yield gpus, [slow]
            continue
        found: list[Candidate | Rejected] = []
        for each in layouts_of(wanted, device, gpus, most=LAYOUTS_TRIED):
            found.append(each)
            if isinstance(each, Rejected) and each.layout is not None and each.reason.code in NO_ROOM:
                break  # the widest cut holds the most
        else:
            found += spread_candidates(wanted, device, gpus)
        held = held or any(isinstance(each, Candidate) for each in found)
        yield gpus, found or [Rejected(device, None, Notice("no-layout", {"gpus": gpus}))]
    if held or len(sizes) == len(inside):
        return
    yield from _across(wanted, device, [gpus for gpus in sizes if gpus > node])


def _across(wanted: Search, device: Accelerator, sizes: list[int]) -> Iterator[_Size]:
    """The smallest replica over several servers. Pipeline stages follow one another, so more servers bring room and not speed."""
    sizes = [gpus for gpus in sizes if gpus * device.memory_bytes > wanted.weights_bytes]
    guess = first_guess(sizes, device, wanted.weights_bytes)
    if sizes and (slow := _hopeless(wanted, device, sizes[guess])) is not None:
        yield sizes[guess], [slow]
        return
    tried: dict[int, Candidate | Rejected] = {}

    def holds(index: int) -> bool:
        if index not in tried:
            tried[index] = best_layout(wanted, device, sizes[index]).answer
        return isinstance(tried[index], Candidate)

    first = smallest_index(len(sizes), guess, holds)
    if first is None:
        yield MOST_REPLICAS, [too_large(wanted, device, tried.get(len(sizes) - 1))]
        return
    for index in range(first, min(first + 2, len(sizes))):
        stages = tried[first] if index == first else best_layout(wanted, device, sizes[index]).answer
        yield sizes[index], [stages, *spread_candidates(wanted, device, sizes[index])]


def _hopeless(wanted: Search, device: Accelerator, gpus: int) -> Rejected | None:
    """Why no layout of so many GPUs keeps the time per token: not even a single request alone does. Computed before memory, because it is quick."""
    wish = wanted.request.mean_tpot_s
    if wish is None:
        return None
    best: tuple[float, Layout] | None = None
    for choice in wanted.engine.layouts(wanted.architecture, device, gpus):
        if choice.reason is None:
            bare = deployment_for(wanted, device, choice.layout)
            alone = quickest_token_s(wanted.architecture, device, bare, context_tokens=wanted.need.context_tokens)
            if alone <= wish:
                return None
            best = min(best, (alone, choice.layout), key=lambda pair: pair[0]) if best is not None else (alone, choice.layout)
    if best is None:
        return None
    return Rejected(device, best[1], Notice("too-slow-alone", {"best_tpot_ms": 1000 * best[0], "tpot_ms": 1000 * wish}))


def _ladder(wanted: Search, candidate: Candidate) -> list[int]:
    """Numbers of replicas to try: from what memory needs to one request for each replica, in growing steps."""
    request, need = wanted.request, wanted.need
    least = candidate.replicas if request.request_rate is None else 1
    most = MOST_REPLICAS if request.request_rate is not None else max(need.concurrency, least)
    if request.max_gpus is not None:
        most = min(most, request.max_gpus // candidate.layout.gpus)
    if most < least:
        return []
    growth = (most / least) ** (1 / STEPS)
    return sorted({min(round(least * growth**step), most) for step in range(STEPS + 1)})


def _best(wanted: Search, devices: Sequence[Accelerator], rows: list[tuple[int, Candidate]]) -> dict[int, _Answer]:
    """By device: the candidate to take. A second pass looks between the steps of the first, for every start that may take fewer GPUs."""
    best, kept = _pass(wanted, devices, rows)
    if wanted.request.sort == "speed":
        return best
    finer_best, _ = _pass(wanted, devices, list(_between(best, rows, kept)))
    for number, finer in finer_best.items():
        if finer.order < best[number].order:
            best[number] = finer
    return best


def _between(best: Mapping[int, _Answer], rows: Sequence[tuple[int, Candidate]], kept: Sequence[bool]) -> Iterator[tuple[int, Candidate]]:
    """Numbers of replicas between the fewest that keep the targets and the next lower one that was tried."""
    starts: dict[tuple[int, int], list[tuple[int, bool, Candidate]]] = {}
    for (number, row), good in zip(rows, kept, strict=True):
        starts.setdefault((number, id(row.fit)), []).append((row.replicas, good, row))
    for (number, _), tried in starts.items():
        fewest = min((count for count, good, _ in tried if good), default=None)
        lower = None if fewest is None else max((count for count, _, _ in tried if count < fewest), default=None)
        if fewest is None or lower is None:
            continue
        row, most = tried[0][2], best[number].candidate.gpus  # one is kept, so the best of this device is
        for count in range(lower + 1, fewest, max((fewest - lower) // STEPS, 1)):
            if count * row.layout.gpus < most:
                yield number, replace(row, replicas=count)


def _sane_gpus(wanted: Search, candidate: Candidate, device: Accelerator) -> int:
    """GPUs up to which more of them are spent on speed that nobody set a limit for: one server, or what memory needs."""
    least = int(replicas_needed(concurrency=wanted.need.concurrency, held=candidate.held_low)) * candidate.layout.gpus
    return max(least, device.node_size)


def _pass(wanted: Search, devices: Sequence[Accelerator], rows: list[tuple[int, Candidate]]) -> tuple[dict[int, _Answer], list[bool]]:
    """By device the best of some rows, and which rows keep the targets."""
    if not rows:
        return {}, []
    request, asks = wanted.request, [Ask(devices[number], row.launch, row.replicas, row.fit) for number, row in rows]
    sweep = Sweep(wanted.architecture, asks, load_of(request, wanted.need))
    kept = sweep.holds_rate
    for wish, figures in ((request.mean_ttft_s, sweep.ttft_s), (request.mean_tpot_s, sweep.tpot_s)):
        if wish is not None:
            kept = kept & (figures <= wish)
    chosen: dict[int, tuple[tuple[float, ...], int]] = {}
    goods: list[bool] = kept.tolist()
    for index, ((number, row), good, tpot, ttft) in enumerate(zip(rows, goods, sweep.tpot_s.tolist(), sweep.ttft_s.tolist(), strict=True)):
        spent = float(request.sort == "speed" and row.gpus > _sane_gpus(wanted, row, devices[number]))
        size = (float(row.gpus), tpot) if request.sort != "speed" else (spent, tpot, float(row.gpus))
        order = (0.0, *size) if good else (1.0, tpot + ttft, float(row.gpus))
        if number not in chosen or order < chosen[number][0]:
            chosen[number] = (order, index)
    answers = {number: _Answer(rows[index][1], sweep.performance(index), order[0] == 0.0, order) for number, (order, index) in chosen.items()}
    return answers, goods


def _with_drafts(drafting: Search, device: Accelerator, chosen: _Answer, alone: _Answer | None) -> Found:
    """The option that drafts, with the best that does not."""
    found = _found(drafting, device, chosen, None)
    assert found.option is not None  # it keeps the targets
    without = Undrafted(alone.candidate.gpus, alone.speed.tpot_s.value) if alone is not None and alone.kept else None
    return replace(found, option=replace(found.option, undrafted=without))


def _found(wanted: Search, device: Accelerator, best: _Answer | None, refused: Rejected | None) -> Found:
    request = wanted.request
    if best is None:
        return Found(None, refused or Rejected(device, None, Notice("does-not-fit")))
    candidate, speed = best.candidate, best.speed
    if not best.kept:
        if speed.regime == "overloaded":
            reason = Notice("cannot-hold-rate", {"gpus": candidate.gpus, "limit": speed.limit_requests_per_s, "rate": request.request_rate})
        else:
            pace = request.mean_tpot_s
            wished = {"ttft_s": request.mean_ttft_s, "tpot_ms": None if pace is None else 1000 * pace}
            reached = {"best_ttft_s": speed.ttft_s.value, "best_tpot_ms": 1000 * speed.tpot_s.value, "gpus": candidate.gpus}
            reason = Notice("too-slow", {**wished, **reached})
        return Found(None, Rejected(device, candidate.layout, reason))
    return Found(option_of(wanted, candidate, device, wanted.support(device)), None)
