"""Changes to a start that was measured: what each frees, how many tokens its cache then holds, and what it costs its user.

A start that fails although it was predicted to fit, and one whose cache is smaller than predicted, differ from the prediction by something that no
flag tells. What was measured says how much: the difference of the pool is carried over to every change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain
from math import floor

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import GpusizerError
from gpusizer.facts.types import Accelerator
from gpusizer.planning.remedies import Change, Remedy, changes_for
from gpusizer.planning.tuning import PLAIN_CACHES

__all__ = ["Cost", "Improvement", "MeasuredStart", "improvements_for"]

MOST = 6  # changes that are offered
_WORTH = 0.02  # share of the tokens below which a change is not worth saying
_LESS = (0.05, 0.1)  # of the card, left to what stands outside the pool
_SHORTEST_CONTEXT = 1024  # tokens below which a context serves nobody
_SHORTEST_STEP = 128  # tokens of a step below which prompts take too long
_SMALLER_CACHE = "q8_0"
_BY_MEMORY = frozenset({"no-memory-for-cache", "context-too-long", "fewer-blocks-than-requests"})


class Cost(IntEnum):
    """What a change costs who uses the server, the least first."""

    SETTING = 0
    SPEED = 1
    LOAD = 2  # fewer requests at once, a shorter context
    QUALITY = 3
    HOST = 4  # parts of the model answer from the memory of the host
    HARDWARE = 5


_COSTS = {
    "more-of-the-card": Cost.SETTING,
    "more-of-the-card-shorter-context": Cost.LOAD,
    "less-of-the-card": Cost.SETTING,
    "other-layout": Cost.SETTING,
    "fewer-requests": Cost.LOAD,
    "shorter-context": Cost.LOAD,
    "smaller-steps": Cost.SPEED,
    "no-graphs": Cost.SPEED,
    "other-cache": Cost.QUALITY,
    "smaller-cache": Cost.QUALITY,
    "smaller-weights": Cost.QUALITY,
    "smaller-weights-shorter-context": Cost.QUALITY,
    "convert-first": Cost.QUALITY,
    "convert-otherwise": Cost.QUALITY,
    "fewer-layers": Cost.HOST,
    "on-host": Cost.HOST,
    "more-gpus": Cost.HARDWARE,
}

# A change that goes beyond another, which is enough.
_FURTHER = {
    "smaller-weights-shorter-context": "smaller-weights",
    "more-of-the-card-shorter-context": "shorter-context",
    "fewer-layers": "on-host",
}


@dataclass(frozen=True)
class MeasuredStart:
    """What a log tells of a start.

    Parameters
    ----------
    started : bool
        It came up.
    pool_bytes : float or None
        What was left for the cache of one GPU, negative where nothing was. [bytes]
    tokens : int or None
        What its cache holds. [tokens]
    missing_bytes : float
        What an allocation asked for beyond what was free, 0 where none failed. [bytes]
    free_share : float or None
        Share of the card that was free, where the engine wanted more of it and refused.
    by_memory : bool
        It failed for lack of memory; for anything else no setting of memory helps.
    """

    started: bool
    pool_bytes: float | None = None
    tokens: int | None = None
    missing_bytes: float = 0
    free_share: float | None = None
    by_memory: bool = True


@dataclass(frozen=True, kw_only=True)
class Improvement(Remedy):
    """One change, and what it brings to a start that was measured.

    Parameters
    ----------
    frees_bytes : int
        Memory of one GPU that is free for the cache, or for what failed, beyond the start as it was. [bytes]
    kv_cache_tokens : int
        What the cache then holds, the difference from the prediction carried over. [tokens]
    cost : Cost
        What it costs.
    """

    frees_bytes: int
    kv_cache_tokens: int
    cost: Cost


def improvements_for(
    fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator, measured: MeasuredStart
) -> list[Improvement]:
    """Changes that make a start work, or its cache larger, those first that cost least.

    Parameters
    ----------
    fit : Fit
        What was predicted.
    launch : Deployment
        The start as it was launched, defaults left open.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device.
    measured : MeasuredStart
        What its log tells.

    Returns
    -------
    list of Improvement
        At most one of a kind, each judged by the engine.
    """
    if not measured.started and not measured.by_memory and fit.fits:
        return []
    ruler = Ruler(fit, measured)
    found: dict[str, Improvement] = {}
    candidates = _candidates(fit, launch, architecture, accelerator, measured)
    together = _more_and_shorter(fit, launch, architecture, accelerator, ruler)
    for code, parameters, deployment in chain(_held_context(fit, launch, ruler), candidates, together):
        if code in found or _FURTHER.get(code) in found:
            continue
        try:
            model = architecture if deployment.precision == fit.deployment.precision else with_precision(architecture, deployment.precision)
            after = get_engine(deployment.engine).judge(deployment, model, accelerator)
        except GpusizerError:
            continue  # this engine cannot be started so
        if ruler.helps(after):
            found[code] = Improvement(
                code,
                parameters,
                deployment,
                after,
                frees_bytes=ruler.frees_bytes(after),
                kv_cache_tokens=ruler.tokens(after),
                cost=_cost(code, after, ruler),
            )
    return sorted(found.values(), key=lambda each: (each.cost, -each.kv_cache_tokens))[:MOST]


def _candidates(fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator, measured: MeasuredStart) -> Iterator[Change]:
    """What makes a start work at all, then what is only worth it where a log says more than a prediction."""
    deployment, engine = fit.deployment, get_engine(fit.deployment.engine)
    for code, parameters, changed in changes_for(fit, launch, architecture, accelerator):
        yield code, parameters, _of_one_context(launch, changed)
    if engine.declared.layout_by_devices:
        yield from _placed_otherwise(launch, deployment, len(architecture.layers))
    steps = deployment.max_num_batched_tokens or 0
    for tokens in engine.knobs.step_tokens or _halves(steps, _SHORTEST_STEP):
        if tokens < steps:
            yield "smaller-steps", {"before": steps, "after": tokens}, replace(launch, max_num_batched_tokens=tokens)
    share = deployment.memory_fraction or 0.0
    lower = [share - less for less in _LESS] if measured.missing_bytes else []
    for after in (*((measured.free_share,) if measured.free_share is not None else ()), *lower):
        if 0 < (after := floor(after * 100) / 100) < share:
            yield "less-of-the-card", {"before": share, "after": after}, replace(launch, memory_fraction=after)


def _held_context(fit: Fit, launch: Deployment, ruler: Ruler) -> Iterator[Change]:
    """The longest context that the cache holds as it was measured."""
    tokens, context = _whole_blocks(fit, ruler), fit.deployment.max_model_len or 0
    if not ruler.measured.started and _SHORTEST_CONTEXT <= tokens < context:
        yield "shorter-context", {"before": context, "after": tokens}, replace(launch, max_model_len=tokens)


def _more_and_shorter(fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator, ruler: Ruler) -> Iterator[Change]:
    """As much of the card as is sensible, and the longest context that its cache then holds: where neither is enough alone."""
    engine, share, context = get_engine(fit.deployment.engine), fit.deployment.memory_fraction, fit.deployment.max_model_len or 0
    for more in (engine.knobs.safe_fraction, engine.knobs.most_fraction):
        if ruler.measured.started or share is None or more is None or more <= share:
            continue
        wider = replace(launch, memory_fraction=more)
        tokens = _whole_blocks(engine.judge(wider, architecture, accelerator), ruler)
        if _SHORTEST_CONTEXT <= tokens < context:
            both = {"before": share, "after": more, "context": context, "tokens": tokens}
            yield "more-of-the-card-shorter-context", both, replace(wider, max_model_len=tokens)


def _whole_blocks(fit: Fit, ruler: Ruler) -> int:
    """What a cache holds as it was measured, in whole blocks. [tokens]"""
    block = max(fit.kv_cache.block_size, 1)
    return ruler.tokens(fit) // block * block


def _of_one_context(launch: Deployment, changed: Deployment) -> Deployment:
    """A change of the context where a flag of its own told it as well."""
    if changed.max_model_len == launch.max_model_len or "ctx_size" not in changed.flags:
        return changed
    slots = max(changed.max_num_seqs or 1, 1)
    return replace(changed, flags={**changed.flags, "ctx_size": (changed.max_model_len or 0) * slots})


def _placed_otherwise(launch: Deployment, deployment: Deployment, layers: int) -> Iterator[Change]:
    """Of an engine that places what it is told to: a smaller cache, fewer layers on the GPUs."""
    if deployment.kv_precision in PLAIN_CACHES:
        smaller = {"cache_type_k": _SMALLER_CACHE, "cache_type_v": _SMALLER_CACHE, "flash_attn": "on"}
        changed = replace(launch, kv_precision=_SMALLER_CACHE, flags={**launch.flags, **smaller})
        yield "smaller-cache", {"before": deployment.kv_precision, "after": _SMALLER_CACHE}, changed
    said = launch.flags.get("n_gpu_layers", layers + 1)
    on_gpus = min(said, layers + 1) if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else layers + 1
    for eighths in range(7, 0, -1):
        if (fewer := on_gpus * eighths // 8) < on_gpus:
            yield "fewer-layers", {"before": on_gpus, "after": fewer}, replace(launch, flags={**launch.flags, "n_gpu_layers": fewer})


def _halves(number: int, least: int) -> Iterator[int]:
    while number // 2 >= least:
        number //= 2
        yield number


class Ruler:
    """Predictions of changed starts, corrected by what the start itself measured.

    Parameters
    ----------
    before : Fit
        What was predicted of the start.
    measured : MeasuredStart
        What its log tells.
    """

    def __init__(self, before: Fit, measured: MeasuredStart) -> None:
        self.before, self.measured = before, measured
        predicted = _pool(before)
        known = measured.pool_bytes is not None and predicted is not None
        self.offset_bytes = measured.pool_bytes - predicted if known and measured.pool_bytes is not None and predicted is not None else 0.0
        counted = self._counted(before)
        self._ratio = measured.tokens / counted if measured.tokens and counted else 1.0
        self.tokens_before = measured.tokens if measured.tokens is not None else round(counted)

    def _counted(self, fit: Fit) -> float:
        """Tokens of the corrected pool, by the engine's own counting where it counts any."""
        pool = _pool(fit)
        if pool is None or not self.offset_bytes:
            return fit.kv_cache.tokens
        left = max(pool + self.offset_bytes, 0)
        if pool > 0 and fit.kv_cache.tokens:
            return fit.kv_cache.tokens * left / pool
        return left / fit.kv_cache.bytes_per_token * fit.deployment.dp if fit.kv_cache.bytes_per_token else 0.0

    def tokens(self, fit: Fit) -> int:
        """What the cache of a changed start holds. [tokens]"""
        return int(self._counted(fit) * self._ratio)

    def frees_bytes(self, fit: Fit) -> int:
        """What a change leaves free beyond the start as it was. [bytes]"""
        before, after = _pool(self.before), _pool(fit)
        if self.measured.missing_bytes or before is None or after is None:
            return fit.free_bytes - self.before.free_bytes
        return round(after - before)

    def helps(self, fit: Fit) -> bool:
        """Whether a changed start works, and better than before."""
        if not self._starts(fit):
            return False
        if self.measured.free_share is not None:
            return (fit.deployment.memory_fraction or 0.0) <= self.measured.free_share
        if self.measured.missing_bytes:
            return self.frees_bytes(fit) >= self.measured.missing_bytes
        if not self.measured.started:
            return not self._starts(self.before) or self.frees_bytes(fit) > 0
        return self.tokens(fit) > self.tokens_before * (1 + _WORTH)

    def _starts(self, fit: Fit) -> bool:
        pool = _pool(fit)
        if pool is None or (not self.offset_bytes and self._ratio == 1):
            return fit.fits
        if not fit.fits and (fit.reason is None or fit.reason.code not in _BY_MEMORY):
            return False
        if not self.offset_bytes:  # the log tells tokens alone
            return fit.max_concurrency * self._ratio >= 1
        cache = fit.kv_cache
        longest = cache.bytes_per_token * (fit.deployment.max_model_len or 0) + cache.fixed_bytes_per_request
        left = pool + self.offset_bytes
        return left > 0 and (fit.max_concurrency * left / pool >= 1 if pool > 0 else left >= longest)


def _pool(fit: Fit) -> float | None:
    pool = fit.quantities.get("kv_cache_pool_bytes")
    return None if pool is None else pool.value


def _cost(code: str, after: Fit, ruler: Ruler) -> Cost:
    """Its cost; fewer requests cost nothing where the cache holds fewer anyway."""
    if code == "fewer-requests":
        context = after.deployment.max_model_len or 1
        return Cost.SETTING if ruler.tokens(after) / context <= (after.deployment.max_num_seqs or 0) * after.deployment.dp else Cost.LOAD
    return _COSTS[code]
