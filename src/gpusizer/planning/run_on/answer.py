"""The whole story: machines become a list of models, each started as its engine would, and what the next larger ones lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.facts.model_list import ListedModel
from gpusizer.facts.service_floor import usual_floor
from gpusizer.facts.types import USES, ServiceFloor
from gpusizer.planning.companions import POOLING_ENGINES
from gpusizer.planning.need import Need, need_of
from gpusizer.planning.request import Request
from gpusizer.planning.run_on.beyond import lacking, remedies
from gpusizer.planning.run_on.machine import Machine
from gpusizer.planning.run_on.request import RunOnRequest
from gpusizer.planning.run_on.shortlist import Candidate, Trial, candidates, surely_slow, trials
from gpusizer.planning.run_on.starts import started
from gpusizer.planning.run_on.types import Row, RunOn
from gpusizer.planning.service import below_floor
from gpusizer.planning.types import TIGHT

__all__ = ["run_on"]

CONTEXT_TOKENS = 8192
"""Room for a conversation where nobody says how long one is."""
TURN_TOKENS = 2048, 512  # of a question with what is new in it, and of its answer: the turns before it are in the cache
MOST_TRIED = 6  # ways to start one model
MOST_NAMED = 512  # models that are asked for by name
MOST_BEYOND = 3  # models that do not run and are said
FOUR_BITS = 4.0  # of a parameter: what has fewer loses its place
MOST_SLOW = 1  # of each use
UNSURE = 0.5  # share of its place that a model keeps which holds the load by the middle of the estimate only, or one user on a server of many
REACHED = 0.6  # share of the bandwidth of a host and a card that a step with weights on both reaches at best
PATIENCE = 3  # times the floor of service: what is slower still is not worth a line
ENGINES = ("vllm", "llama.cpp")
_READING = ("embedding", "rerank", "speech")


def run_on(request: RunOnRequest, notices: Iterable[Notice] = ()) -> RunOn:
    """What runs on the machines that somebody has?

    Parameters
    ----------
    request : RunOnRequest
        Machines, need and limits.
    notices : iterable of Notice
        What must be said of the machines, words under "warning".

    Returns
    -------
    RunOn
        Models by use, the best first, and what the next larger ones lack.

    Examples
    --------
    >>> answer = run_on(RunOnRequest(machine=("rtx 4090",), models=("qwen3-8b",)))
    >>> [(row.model.id, row.verdict) for row in answer.rows]
    [('qwen3-8b', 'fits')]
    """
    machine, need = replace(request.machines, notices=tuple(notices)), _need(request)
    uses, most = request.use or USES, max(request.per_use, MOST_NAMED if request.models else 0)
    rows: dict[str, list[Row]] = {use: [] for use in uses}
    slow: dict[str, list[Row]] = {use: [] for use in uses}
    beyond: list[tuple[Row, Candidate]] = []

    def is_open(model: ListedModel, *, slow_alone: bool) -> bool:
        mine = [use for use in uses if use in uses_of(model) and len(rows[use]) < most]
        return any(len(slow[use]) < MOST_SLOW for use in mine) if slow_alone and not request.models else bool(mine)

    for row, candidate in _by_place(request, machine, need, is_open):
        if row.start is None:
            beyond.append((row, candidate))
            continue
        if row.slow and below_floor(waits(PATIENCE), row.start.performance) and not request.models:
            continue
        open_uses = [use for use in uses if use in uses_of(row.model) and len(rows[use]) < most]
        for use in open_uses:
            mine = slow[use] if row.slow else rows[use]
            if len(mine) < (MOST_SLOW if row.slow and not request.models else most):
                mine.append(row)
    by_use = tuple((use, (*rows[use], *slow[use])) for use in uses if rows[use] or slow[use])
    distinct = {row.model.id: row for _, found in by_use for row in found}
    asked = [pair for pair in beyond if request.models or _is_next(*pair, by_use)] if by_use else beyond
    nearest = sorted(asked, key=lambda pair: pair[0].model.total_params)[: MOST_NAMED if request.models else MOST_BEYOND]
    lacks = [replace(row, remedies=remedies(each, machine, need, _engines(request, each), request)) for row, each in nearest]
    return RunOn(request, machine, need, tuple(distinct.values()), tuple(lacks), by_use)


def _need(request: RunOnRequest) -> Need:
    """The load: one request, and room for a conversation of which each turn is a question and an answer, where nothing was said."""
    people = request.users is not None or request.concurrency is not None
    asked = Request(
        model="any",
        concurrency=request.concurrency if people else 1,
        users=request.users,
        active_share=request.active_share,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        context_tokens=request.context_tokens,
    )
    if request.input_tokens is not None and request.output_tokens is not None:
        return need_of(asked)
    tokens_in, tokens_out = request.input_tokens or TURN_TOKENS[0], request.output_tokens or TURN_TOKENS[1]
    context = max(request.context_tokens or CONTEXT_TOKENS, 1)
    if context <= tokens_in + tokens_out:
        return need_of(replace(asked, context_tokens=context if request.context_tokens else tokens_in + tokens_out))
    return replace(need_of(asked), input_tokens=tokens_in, output_tokens=tokens_out, context_tokens=context)


def _engines(request: RunOnRequest, candidate: Candidate) -> tuple[str, ...]:
    """Engines that may serve a model."""
    if request.engine is not None:
        return (declaration(request.engine).id,)
    return POOLING_ENGINES if set(candidate.model.uses) & set(_READING) else ENGINES


def _by_place(request: RunOnRequest, machine: Machine, need: Need, is_open: Callable[..., bool]) -> Iterator[tuple[Row, Candidate]]:
    """Models of uses that are open, started, the best first: few bits lower the place as fewer parameters do.

    A model stands at first where its best way would put it, and comes again where the way that holds the load puts it.
    """
    longest, likely = waits(PATIENCE), waits(REACHED)
    waiting: list[tuple[float, int, Row | None]] = []
    known = [(each, trials(each, machine, need, _engines(request, each))) for each in candidates(request)]
    for number, (candidate, ways) in enumerate(known):
        heappush(waiting, (-candidate.standing * (kept(ways[0].offer.bits) if ways else 1.0), number, None))
    while waiting:
        place, number, row = heappop(waiting)
        candidate, ways = known[number]
        if not request.models and ways and all(surely_slow(way, candidate, machine, need, longest) for way in ways):
            continue
        hosted = [way for way in ways if way.offloaded]
        slow_alone = len(hosted) == len(ways) > 0 and all(surely_slow(way, candidate, machine, need, likely) for way in hosted)
        if not is_open(candidate.model, slow_alone=slow_alone):
            continue
        if row is None:
            row, bits = _row(candidate, ways, request, machine, need)
            later = -candidate.standing * kept(bits) * _sure(row)
            if later > place:
                heappush(waiting, (later, number, row))
                continue
        yield row, candidate


def uses_of(model: ListedModel) -> tuple[str, ...]:
    """What a model is for; a base model that was asked for by its name continues what one writes."""
    return model.uses or ("chat",)


def kept(bits: float) -> float:
    """Share of the place that a model keeps: below four bits of a parameter it falls with their third power.

    13 billion parameters in 3.2 bits (Q2_K of then) have about the perplexity of 7 billion in 16 (ggml-org/llama.cpp: pull 1684).

    >>> kept(8), kept(2)
    (1.0, 0.125)
    """
    return min(bits / FOUR_BITS, 1.0) ** 3


def _sure(row: Row) -> float:
    if row.start is None:
        return 1.0
    alone = declaration(row.start.launch.engine).takes_gguf and row.start.group.serves_many
    return UNSURE if alone or row.verdict == TIGHT else 1.0


def _row(candidate: Candidate, ways: Sequence[Trial], request: RunOnRequest, machine: Machine, need: Need) -> tuple[Row, float]:
    """The first way that holds the load, is quick enough and sure, else one that is less so, else why none is; and the bits of a parameter."""
    second: tuple[Row, float] | None = None
    reason: Notice | None = None
    floor = usual_floor()
    quick = [way for way in ways if not surely_slow(way, candidate, machine, need, floor)]
    for way in (quick or ways)[:MOST_TRIED]:
        found = started(way, candidate.model, need, machine, request.with_models)
        if isinstance(found, Notice):
            reason = found
            continue
        row = Row(candidate.model, found, standing=candidate.standing * kept(way.offer.bits), slow=below_floor(floor, found.performance))
        if request.min_speed is not None and found.tokens_per_s < request.min_speed:
            reason = reason or Notice("slower-than-asked", {"tokens_per_s": found.tokens_per_s, "min_speed": request.min_speed})
            continue
        if found.verdict != TIGHT and not row.slow:
            return row, way.offer.bits
        second = second or (row, way.offer.bits)
        if row.slow and found.performance is not None and found.performance.ttft_s.value > floor.ttft_s:
            break  # fewer bits read sooner and compute no sooner
    return second or (Row(candidate.model, None, reason or lacking(candidate, machine, need, _engines(request, candidate))), FOUR_BITS)


def waits(times: float) -> ServiceFloor:
    """The floor of service, so many times as long."""
    usual = usual_floor()
    return replace(usual, ttft_s=times * usual.ttft_s, tpot_s=times * usual.tpot_s)


def _is_next(row: Row, candidate: Candidate, by_use: Sequence[tuple[str, Sequence[Row]]]) -> bool:
    """Whether memory alone keeps it from standing before everything that runs for one of its uses."""
    if row.reason is None or row.reason.code not in _MEMORY:
        return False
    first = {use: rows[0].standing for use, rows in by_use}
    return any(candidate.standing > first.get(use, 0.0) for use in uses_of(row.model))


_MEMORY = frozenset(
    {"larger-than-machine", "larger-with-host", "out-of-memory", "weights-too-large", "no-memory-for-cache", "context-too-long", "more-than-max-gpus"}
)
