"""Knobs before servers: what a start holds when its settings are turned, cheapest first, before a plan adds GPUs or refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.knobs import Rung, rungs
from gpusizer.engines.base.types import Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import replicas_needed
from gpusizer.planning.starts import Trial, trial_of

if TYPE_CHECKING:
    from gpusizer.planning.search import Search

__all__ = ["HOPELESS", "PLAIN_CACHES", "best_safe", "best_tight", "smaller_cache_runs", "tried_trials"]

HOPELESS = 0.1
"""Share of a GPU that is missing, beyond which no setting and no other cut of the same size helps."""

PLAIN_CACHES = ("auto", "bf16", "fp16", "f16")
"""Cache formats of 16 bits, and none that was asked for."""


def tried_trials(wanted: Search, accelerator: Accelerator, layout: Layout) -> list[Trial]:
    """The start as the engine makes it, then with settings turned: only where that may save a replica, or makes it start at all.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.
    layout : Layout
        A legal cut.

    Returns
    -------
    list of Trial
        The plain one first.
    """
    plain = trial_of(wanted, accelerator, layout)
    need = wanted.need.concurrency
    if plain.held_low >= need or wanted.request.tuning == "off" or _hopeless(plain):
        return [plain]
    smaller = wanted.request.kv_precision == "auto" and smaller_cache_runs(wanted, accelerator, plain)
    ladder = list(rungs(wanted.engine.knobs, plain.fit.deployment, need, smaller_cache=smaller))
    if not ladder:
        return [plain]
    climb = _Climb(wanted, accelerator, layout)
    everything = climb.trial(ladder)
    if not everything.held:
        return [plain]
    if everything.held >= need:
        return [plain, *climb.steps(ladder, need)]
    # Settings that cost speed are for one replica that holds the load, or for a start that fails without them; they shave no replicas off many.
    cheap = [rung for rung in ladder if not rung.slows and not rung.risky]
    if not cheap or _replicas(need, climb.trial(cheap).held_low) >= _replicas(need, plain.held_low):
        return [plain] if plain.held_low else [plain, *climb.steps(ladder, 1)]
    return [plain, *climb.steps(cheap, need)]


def best_safe(trials: Sequence[Trial], need: int) -> Trial | None:
    """The cheapest settings that hold the load with the fewest replicas on the safe side; None where nothing starts so."""
    return min((each for each in trials if each.held_low and not each.risky), key=lambda each: _replicas(need, each.held_low), default=None)


def best_tight(trials: Sequence[Trial], need: int) -> Trial | None:
    """The cheapest settings that hold the load with the fewest replicas by the middle of the estimate; None where nothing starts."""
    return min((each for each in trials if each.held), key=lambda each: _replicas(need, each.held), default=None)


def smaller_cache_runs(wanted: Search, accelerator: Accelerator, plain: Trial) -> bool:
    """Whether a cache of half the bytes is another one than the engine takes by itself, and the device has units for it."""
    wish = wanted.engine.knobs.cache_format
    return bool(wish) and plain.fit.deployment.kv_precision in PLAIN_CACHES and "fp8" in accelerator.peak_flops


class _Climb(NamedTuple):
    """Rungs on one layout."""

    wanted: Search
    accelerator: Accelerator
    layout: Layout

    def steps(self, ladder: Sequence[Rung], enough: int) -> list[Trial]:
        """One rung after the other, until so many requests are held on the safe side; what is risky is tried before the dearest rung, and with it."""
        found: list[Trial] = []
        calm, risky = [each for each in ladder if not each.risky], [each for each in ladder if each.risky]
        for count in range(1, len(calm) + 1):
            if risky and count == len(calm):
                found.append(self.trial([*calm[:-1], *risky]))
            found.append(self.trial(calm[:count]))
            if found[-1].held_low >= enough:
                return found
        return [*found, self.trial(ladder)] if risky else found

    def trial(self, ladder: Sequence[Rung]) -> Trial:
        """The start with every rung of a ladder."""
        changes: dict[str, Any] = {}
        said: dict[str, Notice] = {}  # a setting that is turned twice is said once
        for rung in ladder:
            changes |= rung.changes
            said |= dict.fromkeys(rung.changes, rung.notice)
        found = trial_of(self.wanted, self.accelerator, self.layout, changes)
        return found._replace(knobs=tuple(said.values()), risky=any(rung.risky for rung in ladder))


def _replicas(need: int, held: int) -> float:
    return int(replicas_needed(concurrency=need, held=held)) if held else float("inf")


def _hopeless(plain: Trial) -> bool:
    """Whether weights alone leave nothing, or the layout itself is refused."""
    reason = plain.fit.reason
    if reason is None:
        return False
    total = sum(item.bytes for item in plain.fit.ranks[plain.fit.worst].items) or 1
    missing = reason.parameters.get("missing_bytes", reason.parameters.get("bytes", 0))
    return reason.code not in _MENDED or missing > HOPELESS * total


_MENDED = frozenset({"no-memory-for-cache", "context-too-long", "out-of-memory", "budget-above-free"})
