"""Memory of one GPU against the requests in flight, for the context that is asked for and for shorter and longer ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpusizer.engines import get_engine
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.types import Fit, Section
from gpusizer.formulas.load import cache_in_use_bytes, replicas_needed
from gpusizer.planning.need import Need, need_in_flight
from gpusizer.planning.starts import held_range
from gpusizer.planning.types import Option, Plan

__all__ = ["TIMES", "MemoryLine", "MemoryPoint", "cache_used_bytes", "in_flight", "memory_lines"]

TIMES = (0.5, 1.0, 2.0, 4.0)
"""Contexts that are looked at, over the one that is asked for."""

_MOST_PLACED = 256  # requests of one replica up to which engines that place their cache are asked


@dataclass(frozen=True, slots=True)
class MemoryPoint:
    """What one GPU holds with so many requests in flight on the whole deployment."""

    concurrency: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """Memory of the fullest GPU for requests of one length.

    Parameters
    ----------
    context_tokens : int
        Length of a request. [tokens]
    times : float
        The same over the length that is asked for.
    points : tuple of MemoryPoint
        From an idle engine, or one request, to as many as it holds; none where it does not hold one request of this length.
    """

    context_tokens: int
    times: float
    points: tuple[MemoryPoint, ...]


def in_flight(plan: Plan, option: Option) -> int:
    """Requests in flight on an option: as asked for, or what the option's own speed makes of a request rate. [requests]"""
    return need_in_flight(plan.need, plan.request.request_rate, option.performance).concurrency


def cache_used_bytes(option: Option, concurrency: float) -> int:
    """Cache of the fullest GPU that so many requests take: all of it where more are in flight than fit, or where it is made to measure. [bytes]"""
    pool = _sums(option.fit)[Section.CACHE]
    if not isinstance(get_engine(option.launch.engine), PooledEngine):
        return pool
    return min(_used_bytes(option.speeds.ask.fit, concurrency, option.replicas), pool)


def memory_lines(plan: Plan, option: Option) -> tuple[MemoryLine, ...]:
    """How the memory of one GPU grows with the requests in flight.

    The engine is asked for each length: what a request takes, and what lies there before the first one, are its own figures.

    Parameters
    ----------
    plan : Plan
        An answer.
    option : Option
        One of its options.

    Returns
    -------
    tuple of MemoryLine
        The shortest context first; lengths that the model was not made for are left out.
    """
    longest = plan.architecture.max_position_embeddings
    asked, at_once = plan.need.context_tokens, in_flight(plan, option)
    lines = []
    for times in TIMES:
        tokens = int(asked * times)
        if times == 1 or 0 < tokens <= (longest or tokens):
            points = _pooled(option, tokens, at_once, plan.need) if _is_pooled(option) else _placed(option, tokens, at_once)
            lines.append(MemoryLine(tokens, times, tuple(points)))
    return tuple(lines)


def _is_pooled(option: Option) -> bool:
    return isinstance(get_engine(option.launch.engine), PooledEngine)


def _sums(fit: Fit) -> dict[str, int]:
    return per_gpu(fit.ranks[fit.worst].items)


def _used_bytes(fit: Fit, concurrency: float, replicas: int) -> int:
    pool = _sums(fit)[Section.CACHE]
    return int(cache_in_use_bytes(pool_bytes=pool, max_concurrency=fit.max_concurrency, concurrency=concurrency, replicas=replicas))


def _always_bytes(fit: Fit) -> int:
    """What lies on the GPU whether requests come or not. [bytes]"""
    return sum(size for section, size in _sums(fit).items() if section not in (Section.CACHE, Section.FREE))


def _pooled(option: Option, tokens: int, at_once: int, need: Need) -> Iterator[MemoryPoint]:
    """A straight line: requests fill a pool that is there from the start."""
    if tokens == need.context_tokens:
        fit, always, held = option.speeds.ask.fit, _always_bytes(option.fit), option.held_requests
    else:
        fit = _fit_of(option, tokens)
        always, held = _always_bytes(fit), held_range(fit)[0] * option.replicas if fit.fits else 0
    if held:
        for concurrency in sorted({0, held, *([at_once] if at_once < held else [])}):
            yield MemoryPoint(concurrency, always + _used_bytes(fit, concurrency, option.replicas))


def _placed(option: Option, tokens: int, at_once: int) -> Iterator[MemoryPoint]:
    """Start by start: such an engine makes its cache as large as the requests that it is told of."""
    ask = option.speeds.ask
    engine, architecture = get_engine(option.launch.engine), option.architecture
    start = replace(ask.deployment, max_model_len=tokens)
    most = engine.for_requests(start, architecture, option.accelerator, _MOST_PLACED).max_num_seqs or 1
    asked = int(replicas_needed(concurrency=at_once, held=option.replicas))
    for requests in sorted({1, *(each for each in (most // 4, most // 2, most, asked) if 1 <= each <= most)}):
        fit = engine.fit(replace(start, max_num_seqs=requests), architecture, option.accelerator)
        if fit.fits:
            yield MemoryPoint(requests * option.replicas, sum(size for name, size in _sums(fit).items() if name != Section.FREE))


def _fit_of(option: Option, tokens: int) -> Fit:
    start = replace(option.speeds.ask.deployment, max_model_len=tokens)
    return get_engine(start.engine).fit(start, option.architecture, option.accelerator)
