"""One start that a plan may propose: the engine's own defaults, the context that is needed, and whatever is turned on top; what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import held_requests
from gpusizer.once import Remembered

if TYPE_CHECKING:
    from gpusizer.planning.wanted import Search

__all__ = ["Trial", "deployment_for", "held_range", "known_fit", "settled_fit", "too_close", "trial_of"]


NO_CHANGES: Mapping[str, Any] = MappingProxyType({})


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


def trial_of(wanted: Search, accelerator: Accelerator, layout: Layout, changes: Mapping[str, Any] = NO_CHANGES) -> Trial:
    """Start one layout, with fields changed or as the engine would by itself.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.
    layout : Layout
        A legal cut.
    changes : mapping
        Fields of the deployment.

    Returns
    -------
    Trial
        The start, its verdict, what it holds.
    """
    engine, architecture = wanted.engine, wanted.architecture
    asked = deployment_for(wanted, accelerator, layout, changes)
    launch, fit = settled_fit(engine.for_requests(asked, architecture, accelerator, wanted.need.concurrency), engine, architecture, accelerator)
    held, low = held_range(fit) if fit.fits else (0, 0)
    return Trial(launch, fit, held, low)


def deployment_for(wanted: Search, accelerator: Accelerator, layout: Layout, changes: Mapping[str, Any] = NO_CHANGES) -> Deployment:
    """The start that a plan proposes: the engine's own defaults, the context that is needed, and what is changed."""
    request = wanted.request
    fields: dict[str, Any] = dict(
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
        checkpoint_bytes=request.checkpoint_bytes,
        kv_precision=request.kv_precision,
        other_memory_bytes=request.other_memory_bytes,
        beside_bytes=wanted.beside_bytes(accelerator, layout),
        max_model_len=wanted.need.context_tokens,
        **wanted.draft_fields,
    )
    return Deployment(**fields | dict(changes))


def held_range(fit: Fit) -> tuple[int, int]:
    """Requests of full length that one replica holds: as predicted, and on the safe side of the band; never more than it runs at once."""
    most = (fit.deployment.max_num_seqs or 2**31) * fit.deployment.dp
    return min(int(held_requests(max_concurrency=fit.max_concurrency)), most), min(
        int(held_requests(max_concurrency=max(fit.low_concurrency, 0))), most
    )


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


def settled_fit(deployment: Deployment, engine: Engine, architecture: Architecture, accelerator: Accelerator) -> tuple[Deployment, Fit]:
    """The start and its verdict; where the engine's own share of the card is more than there is at the start or under load, on one that is not."""
    fit = known_fit(engine, deployment, architecture, accelerator)
    if fit.fits and fit.free_bytes < 0 and fit.deployment.memory_fraction is not None:
        share = floor_div(100 * (fit.deployment.memory_fraction * accelerator.memory_bytes + fit.free_bytes), accelerator.memory_bytes) / 100
    elif fit.reason is not None and fit.reason.code == "budget-above-free":
        share = floor_div(100 * fit.reason.parameters["free_bytes"], accelerator.memory_bytes) / 100
    else:
        return deployment, fit
    if share <= 0:
        return deployment, fit
    smaller = deployment.changed(memory_fraction=share)
    return smaller, known_fit(engine, smaller, architecture, accelerator)


def known_fit(engine: Engine, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
    """The engine's verdict on a start, kept for the next need that asks for the same one."""
    return _known_fits(architecture).once((engine, deployment, accelerator), lambda: engine.fit(deployment, architecture, accelerator))


@once_per_architecture
def _known_fits(architecture: Architecture) -> Remembered[tuple[Engine, Deployment, Accelerator], Fit]:
    """Verdicts by start: a plan asks for a few hundred, most of which do not depend on how many users there are."""
    return Remembered(2048)
