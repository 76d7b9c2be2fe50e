"""From a need to deployments: on each accelerator the smallest legal one that holds model and load, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines.base import Engine
from gpusizer.engines.ledger import worst_evidence
from gpusizer.engines.support import device_support
from gpusizer.engines.types import Deployment, Evidence, Fit, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import held_requests, replicas_needed, servers_needed
from gpusizer.planning.need import Need
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option, Rejected

__all__ = ["Found", "search"]

ASSUMED_NODE = 8  # devices of a server where the facts give none
MOST_NODES = 16  # servers that one replica may span


@dataclass(frozen=True)
class Found:
    """The smallest deployment on one accelerator, and the largest one that was too small (or the only reason, where nothing will do)."""

    option: Option | None
    rejected: Rejected | None


@dataclass(frozen=True)
class _Candidate:
    layout: Layout
    fit: Fit
    held: int
    held_low: int
    replicas: int

    @property
    def gpus(self) -> int:
        return self.layout.gpus * self.replicas


def search(request: Request, need: Need, engine: Engine, architecture: Architecture, accelerator: Accelerator) -> Found:
    """Find the smallest deployment on one accelerator.

    Parameters
    ----------
    request, need : Request, Need
        Limits, and the load with every part filled in.
    engine : Engine
        Who serves.
    architecture : Architecture
        The model in the precision that is wanted.
    accelerator : Accelerator
        The device.

    Returns
    -------
    Found
        An option, the reason why smaller ones will not do, or both.
    """
    support = device_support(engine.id, architecture, accelerator)
    if support.refusal is not None:
        return Found(None, Rejected(accelerator, None, support.refusal))
    best: _Candidate | None = None
    refused: Rejected | None = None
    weights = checkpoint_bytes(architecture, mtp=False)
    for gpus in replica_sizes(accelerator, request.max_gpus):
        if best is not None and gpus >= best.gpus:
            break
        if weights > gpus * accelerator.memory_bytes:
            reason = Notice("weights-too-large", {"gpus": gpus, "weights_bytes": weights, "memory_bytes": gpus * accelerator.memory_bytes})
            refused = Rejected(accelerator, None, reason)
            continue
        for candidate in _candidates(request, need, engine, architecture, accelerator, gpus):
            if isinstance(candidate, Rejected):
                refused = candidate if best is None else refused
            elif request.max_gpus is not None and candidate.gpus > request.max_gpus:
                reason = Notice("more-than-max-gpus", {"gpus": candidate.gpus, "max_gpus": request.max_gpus})
                refused = Rejected(accelerator, candidate.layout, reason)
            elif best is None or _order(candidate) < _order(best):
                best = candidate
    if best is None:
        return Found(None, refused or Rejected(accelerator, None, Notice("more-than-max-gpus", {"gpus": 1, "max_gpus": request.max_gpus or 0})))
    return Found(_option(best, accelerator, support.notices, support.tier), refused)


def replica_sizes(accelerator: Accelerator, max_gpus: int | None) -> Iterator[int]:
    """GPUs of one replica, from one GPU over parts of a server to whole servers."""
    node = accelerator.devices_per_node or ASSUMED_NODE
    size = 1
    while size < node:
        if max_gpus is None or size <= max_gpus:
            yield size
        size *= 2
    for nodes in range(1, MOST_NODES + 1):
        if max_gpus is not None and nodes * node > max_gpus:
            return
        yield nodes * node


def _order(candidate: _Candidate) -> tuple[int, int]:
    """Fewest GPUs, then fewest engines to run."""
    return candidate.gpus, candidate.replicas


def _candidates(
    request: Request, need: Need, engine: Engine, architecture: Architecture, accelerator: Accelerator, gpus: int
) -> Iterator[_Candidate | Rejected]:
    """Every legal layout of one size, or why it will not do; the widest tensor-parallel cut that is legal stands for its kind."""
    tried = 0
    for choice in engine.layouts(architecture, accelerator, gpus):
        if choice.reason is not None:
            if not tried:
                yield Rejected(accelerator, choice.layout, choice.reason)
            continue
        if tried == 2:  # the widest cut, and the next (whole experts, or fewer ranks): narrower ones hold less
            return
        tried += 1
        fit = engine.fit(deployment_for(request, need, accelerator, choice.layout, engine), architecture, accelerator)
        if not fit.fits:
            yield Rejected(accelerator, choice.layout, fit.reason or Notice("no-memory-for-cache", {"missing_bytes": 0, "pp_rank": 0}))
            continue
        held, low = held_range(fit)
        if low < 1:
            spread = fit.quantities["kv_cache_pool_bytes"]
            yield Rejected(accelerator, choice.layout, Notice("too-close-to-call", {"low_bytes": round(spread.low), "value_bytes": round(spread.value)}))
            continue
        yield _Candidate(choice.layout, fit, held, low, int(replicas_needed(concurrency=need.concurrency, held=low)))


def deployment_for(request: Request, need: Need, accelerator: Accelerator, layout: Layout, engine: Engine) -> Deployment:
    """The start that a plan proposes: the engine's own defaults, and the context that is needed."""
    return Deployment(
        model=request.model,
        gpu=accelerator.id,
        tp=layout.tp,
        pp=layout.pp,
        dp=layout.dp,
        ep=layout.ep,
        dcp=layout.dcp,
        engine=engine.id,
        engine_version=request.engine_version,
        precision=request.precision,
        kv_precision=request.kv_precision,
        max_model_len=need.context_tokens,
    )


def held_range(fit: Fit) -> tuple[int, int]:
    """Requests of full length that one replica holds: as predicted, and on the safe side of the band; never more than it runs at once."""
    low = fit.quantities["max_concurrency"].low * fit.deployment.dp if "max_concurrency" in fit.quantities else fit.max_concurrency
    most = (fit.deployment.max_num_seqs or 2**31) * fit.deployment.dp
    return min(int(held_requests(max_concurrency=fit.max_concurrency)), most), min(int(held_requests(max_concurrency=max(low, 0))), most)


def _option(best: _Candidate, accelerator: Accelerator, notices: tuple[Notice, ...], tier: int) -> Option:
    node = accelerator.devices_per_node or ASSUMED_NODE
    nodes = int(servers_needed(gpus=best.gpus, devices_per_node=node))
    order = nodes * node if accelerator.whole_nodes else best.gpus
    assumed = worst_evidence(best.fit.ranks[best.fit.worst].items) == Evidence.ASSUMED
    status = Notice("not-shipping", {"gpu": accelerator.id, "status": accelerator.status}) if accelerator.status != "shipping" else None
    said = (*notices, *((status,) if status else ()))
    return Option(
        rank=0,
        accelerator=accelerator,
        gpus=best.gpus,
        gpus_to_order=order,
        nodes=nodes,
        replicas=best.replicas,
        layout=best.layout,
        fit=best.fit,
        held_requests=best.held * best.replicas,
        held_requests_low=best.held_low * best.replicas,
        cost=rent_of(accelerator, best.gpus),
        purchase=purchase_of(accelerator, order),
        notices=said,
        tier=tier + assumed + 2 * (status is not None),
    )
