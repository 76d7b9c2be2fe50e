"""Knobs before servers: what a start holds when its settings are turned, cheapest first, before a plan adds GPUs or refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.knobs import Knobs, Rung, rungs
from gpusizer.engines.base.types import Deployment, Layout, Section
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import replicas_needed
from gpusizer.planning.starts import Trial, trial_of

if TYPE_CHECKING:
    from gpusizer.planning.wanted import Search

__all__ = ["HOPELESS", "PLAIN_CACHES", "best_safe", "best_tight", "has_smaller_cache", "smaller_cache_runs", "tried_trials"]

TURNED_SERVERS = 2
"""Servers of a replica up to which settings are turned: what spans more is built, not squeezed."""

HOPELESS = 0.1
"""Share of a GPU that is missing, beyond which no setting and no other cut of the same size helps."""

PLAIN_CACHES = ("auto", "bf16", "fp16", "f16")
"""Cache formats of 16 bits, and none that was asked for."""


def tried_trials(wanted: Search, accelerator: Accelerator, layout: Layout, fewest: int | None = None) -> list[Trial]:
    """The start as the engine makes it, and with the cheapest settings that save replicas, or without which it does not start.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.
    layout : Layout
        A legal cut.
    fewest : int or None
        GPUs that are known to do: settings that cannot take fewer are not tried. [GPUs]

    Returns
    -------
    list of Trial
        The plain one first.
    """
    plain = trial_of(wanted, accelerator, layout)
    need = wanted.need.concurrency
    if plain.held_low >= need or wanted.request.tuning == "off" or _hopeless(plain) or layout.gpus > TURNED_SERVERS * accelerator.node_size:
        return [plain]
    smaller = wanted.request.kv_precision == "auto" and smaller_cache_runs(wanted, accelerator, plain)
    ladder = list(rungs(wanted.engine.knobs, plain.fit.deployment, need, smaller_cache=smaller))
    most = _most_held(plain, ladder, accelerator)
    if not ladder or not most or (fewest is not None and layout.gpus * _replicas(need, most) >= fewest):
        return [plain]
    climb = _Climb(wanted, accelerator, layout, {})
    return [plain, *(climb.one_replica(ladder, need) if most >= need else ()), *climb.fewer_replicas(ladder, need, plain)]


def _most_held(plain: Trial, ladder: Sequence[Rung], accelerator: Accelerator) -> float:
    """More requests than settings can give: activations and graphs for the cache, the largest share of the card, half the bytes a token."""
    items = plain.fit.ranks[plain.fit.worst].items
    gained: float = sum(item.bytes for item in items if item.section in (Section.ACTIVATION, Section.GRAPHS))
    changes = [rung.changes for rung in ladder]
    share = max((each.get("memory_fraction", 0.0) for each in changes), default=0.0) - (plain.fit.deployment.memory_fraction or 1.0)
    gained += max(share, 0.0) * accelerator.memory_bytes
    halved = 2 if any("kv_precision" in each for each in changes) else 1
    if not plain.held:
        return inf if _missing_bytes(plain, halved) <= gained else 0.0
    pool = sum(item.bytes for item in items if item.section == Section.CACHE)
    return (plain.held + 1) * halved * (pool + gained) / max(pool, 1)


def _missing_bytes(plain: Trial, halved: int) -> float:
    """What a start lacks at least, where a token may take half the bytes. [bytes]"""
    said = {} if plain.fit.reason is None else plain.fit.reason.parameters
    context = said.get("needed_bytes", 0) / halved - said.get("available_bytes", 0)
    return float(max(said.get("missing_bytes", 0), said.get("bytes", 0), context))


def best_safe(trials: Sequence[Trial], need: int) -> Trial | None:
    """The cheapest settings that hold the load with the fewest replicas on the safe side; None where nothing starts so."""
    return min((each for each in trials if each.held_low and not each.risky), key=lambda each: _replicas(need, each.held_low), default=None)


def best_tight(trials: Sequence[Trial], need: int) -> Trial | None:
    """The cheapest settings that hold the load with the fewest replicas by the middle of the estimate; None where nothing starts."""
    return min((each for each in trials if each.held), key=lambda each: _replicas(need, each.held), default=None)


def has_smaller_cache(knobs: Knobs, complete: Deployment, accelerator: Accelerator) -> bool:
    """Whether the engine has a cache of half the bytes, does not take it by itself, and the device has units for it."""
    return bool(knobs.cache_format) and complete.kv_precision in PLAIN_CACHES and "fp8" in accelerator.peak_flops


def smaller_cache_runs(wanted: Search, accelerator: Accelerator, plain: Trial) -> bool:
    """Whether a cache of half the bytes is another one than the engine takes by itself, and the device has units for it."""
    knobs = wanted.engine.knobs
    if not has_smaller_cache(knobs, plain.fit.deployment, accelerator):
        return False
    asked = wanted.support(accelerator, knobs.cache_format)
    return asked.refusal is None and asked.tier == wanted.support(accelerator).tier


class _Climb(NamedTuple):
    """Settings of one layout, each start made once."""

    wanted: Search
    accelerator: Accelerator
    layout: Layout
    known: dict[tuple[tuple[str, Any], ...], Trial]

    def one_replica(self, ladder: Sequence[Rung], need: int) -> list[Trial]:
        """The cheapest settings with which one replica holds the load: on the safe side, else by the middle, else further than documents go."""
        calm, risky = _parted(ladder)
        top = self.trial(calm)
        if top.held_low >= need:
            return [self.first(calm, lambda trial: trial.held_low >= need)]
        if top.held >= need:
            return [self.first(calm, lambda trial: trial.held >= need)]
        further = ([*calm[:-1], *risky], [*calm, *risky]) if risky and top.held else ()
        return [trial for trial in map(self.trial, further) if trial.held >= need][:1]

    def fewer_replicas(self, ladder: Sequence[Rung], need: int, plain: Trial) -> list[Trial]:
        """The cheapest settings with the fewest replicas. Those that cost speed shave none off many: they are for a start that fails without them."""
        calm, _ = _parted(ladder)
        cheap = [rung for rung in calm if not rung.slows]
        for some in (cheap, calm) if not plain.held_low else (cheap,):
            top = self.trial(some) if some else plain
            fewest = _replicas(need, top.held_low)
            if fewest < _replicas(need, plain.held_low):
                return [self.first(some, partial(_few, need, fewest))]
        return []

    def first(self, ladder: Sequence[Rung], enough: Callable[[Trial], bool]) -> Trial:
        """The fewest rungs that are enough, where all are: each rung leaves more to the cache than the one before."""
        low, high = 1, len(ladder)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(self.trial(ladder[:middle])) else (middle + 1, high)
        return self.trial(ladder[:low])

    def trial(self, ladder: Sequence[Rung]) -> Trial:
        """The start with every rung of a ladder."""
        changes: dict[str, Any] = {}
        said: dict[str, Notice] = {}  # a setting that is turned twice is said once
        for rung in ladder:
            changes |= rung.changes
            said |= dict.fromkeys(rung.changes, rung.notice)
        key = tuple(changes.items())
        if key not in self.known:
            found = trial_of(self.wanted, self.accelerator, self.layout, changes)
            self.known[key] = found._replace(knobs=tuple(said.values()), risky=any(rung.risky for rung in ladder))
        return self.known[key]


def _parted(ladder: Sequence[Rung]) -> tuple[list[Rung], list[Rung]]:
    return [rung for rung in ladder if not rung.risky], [rung for rung in ladder if rung.risky]


def _few(need: int, fewest: float, trial: Trial) -> bool:
    return _replicas(need, trial.held_low) <= fewest


def _replicas(need: int, held: float) -> float:
    return inf if not held else 1 if held >= need else int(replicas_needed(concurrency=need, held=int(held)))


def _hopeless(plain: Trial) -> bool:
    """Whether no setting mends it: the layout itself is refused."""
    return plain.fit.reason is not None and plain.fit.reason.code not in _MENDED


_MENDED = frozenset({"no-memory-for-cache", "context-too-long", "fewer-blocks-than-requests", "out-of-memory", "budget-above-free"})
