"""One start that a plan may propose: the engine's own defaults, the context that is needed, and whatever is turned on top; what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import held_requests

if TYPE_CHECKING:
    from gpusizer.planning.wanted import Search

__all__ = ["Trial", "deployment_for", "held_range", "too_close", "trial_of"]


class Trial(NamedTuple):
    """One start and what becomes of it.

    Parameters
    ----------
    launch : Deployment
        Only what differs from the engine's defaults.
    fit : Fit
        The verdict.
    held, held_low : int
        Requests of full length that one replica holds, and on the safe side of the band; 0 where it does not start. [requests]
    knobs : tuple of Notice
        What was turned, words under "knob".
    risky : bool
        Something was turned further than the engine's documents go.
    """

    launch: Deployment
    fit: Fit
    held: int
    held_low: int
    knobs: tuple[Notice, ...] = ()
    risky: bool = False


def trial_of(wanted: Search, accelerator: Accelerator, layout: Layout, changes: Mapping[str, Any] | None = None) -> Trial:
    """Start one layout, with fields changed or as the engine would by itself.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.
    layout : Layout
        A legal cut.
    changes : mapping or None
        Fields of the deployment.

    Returns
    -------
    Trial
        The start, its verdict, what it holds.
    """
    engine, architecture = wanted.engine, wanted.architecture
    asked = replace(deployment_for(wanted, accelerator, layout), **(changes or {}))
    launch, fit = _fit(engine.for_requests(asked, architecture, accelerator, wanted.need.concurrency), engine, architecture, accelerator)
    held, low = held_range(fit) if fit.fits else (0, 0)
    return Trial(launch, fit, held, low)


def deployment_for(wanted: Search, accelerator: Accelerator, layout: Layout) -> Deployment:
    """The start that a plan proposes: the engine's own defaults, and the context that is needed."""
    request = wanted.request
    return Deployment(
        model=request.model,
        gpu=accelerator.id,
        tp=layout.tp,
        pp=layout.pp,
        dp=layout.dp,
        ep=layout.ep,
        dcp=layout.dcp,
        engine=wanted.engine.id,
        engine_version=request.engine_version,
        precision=request.precision,
        kv_precision=request.kv_precision,
        max_model_len=wanted.need.context_tokens,
        **wanted.draft_fields,
    )


def held_range(fit: Fit) -> tuple[int, int]:
    """Requests of full length that one replica holds: as predicted, and on the safe side of the band; never more than it runs at once."""
    low = fit.quantities["max_concurrency"].low * fit.deployment.dp if "max_concurrency" in fit.quantities else fit.max_concurrency
    most = (fit.deployment.max_num_seqs or 2**31) * fit.deployment.dp
    return min(int(held_requests(max_concurrency=fit.max_concurrency)), most), min(int(held_requests(max_concurrency=max(low, 0))), most)


def too_close(fit: Fit) -> Notice:
    """Why a start that fits by the middle of the estimate is not proposed: what the fullest GPU may lack."""
    tightest = min(fit.ranks, key=lambda rank: min((line.low_bytes for line in rank.items if line.id == "kv_cache_pool"), default=0)).items
    pool = next((line for line in tightest if line.id == "kv_cache_pool"), None)
    if pool is not None and pool.low_bytes < pool.bytes:
        return Notice("too-close-to-call", {"low_bytes": pool.low_bytes, "value_bytes": pool.bytes})
    items = fit.ranks[fit.worst].items
    free = sum(line.bytes for line in items if line.id == "free")
    spread = sum(line.high_bytes - line.bytes for line in items if line.id != "free")
    return Notice("too-close-to-start", {"low_bytes": free - spread, "value_bytes": free})


def _short_bytes(fit: Fit) -> int:
    """What the fullest GPU of a start that fits lacks under full load. [bytes]"""
    return max((-line.bytes for rank in fit.ranks for line in rank.items if line.id == "free"), default=0)


def _fit(deployment: Deployment, engine: Engine, architecture: Architecture, accelerator: Accelerator) -> tuple[Deployment, Fit]:
    """The start and its verdict; where the engine's own share of the card is more than there is at the start or under load, on one that is not."""
    fit = engine.fit(deployment, architecture, accelerator)
    if fit.fits and (short := _short_bytes(fit)) > 0 and fit.deployment.memory_fraction is not None:
        share = floor_div(100 * (fit.deployment.memory_fraction * accelerator.memory_bytes - short), accelerator.memory_bytes) / 100
    elif fit.reason is not None and fit.reason.code == "budget-above-free":
        share = floor_div(100 * fit.reason.parameters["free_bytes"], accelerator.memory_bytes) / 100
    else:
        return deployment, fit
    if share <= 0:
        return deployment, fit
    smaller = replace(deployment, memory_fraction=share)
    return smaller, engine.fit(smaller, architecture, accelerator)
