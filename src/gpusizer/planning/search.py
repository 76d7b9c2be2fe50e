"""From a need to deployments: on each accelerator the smallest legal one that holds model and load, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device_support import Support, device_support, other_checkpoint
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.layout_rules import dimensions
from gpusizer.engines.base.ledger import worst_evidence
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import held_requests, replicas_needed, servers_needed
from gpusizer.performance.batch import Ask
from gpusizer.performance.device_speeds import provenance, speed_known
from gpusizer.planning.drafts import Drafts, draft_flags
from gpusizer.planning.need import Need
from gpusizer.planning.option_speeds import OptionSpeeds, load_of
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.request import Request
from gpusizer.planning.sizes import MOST_NODES, first_guess, replica_sizes, smallest_index
from gpusizer.planning.types import Found, Option, Rejected

__all__ = [
    "Candidate",
    "Search",
    "best_layout",
    "candidate_of",
    "deployment_for",
    "layouts_of",
    "option_of",
    "search",
    "spread_candidates",
    "too_large",
]

LARGER_TRIED = 4  # sizes from the smallest that holds the model: a larger replica may hold the load with fewer GPUs in all
LAYOUTS_TRIED = 2
BUSY_RANKS = 2  # requests for each rank, below which some ranks would often idle
HOPELESS = 0.1  # share of a GPU that is missing, beyond which no other cut of the same size helps


@dataclass(frozen=True)
class Search:
    """What is looked for: limits, load, who serves, and the model in one precision.

    Parameters
    ----------
    request : Request
        Limits; one engine and one precision.
    need : Need
        The load with every part filled in.
    engine : Engine
        Who serves.
    stored, architecture : Architecture
        The model as its checkpoint stores it, and in the precision that is wanted.
    drafts : Drafts or None
        What each step drafts.
    """

    request: Request
    need: Need
    engine: Engine
    stored: Architecture
    architecture: Architecture
    drafts: Drafts | None = None

    @property
    def bare(self) -> Deployment:
        """A start of this engine in the version that is asked for, with nothing else said."""
        return Deployment(self.request.model, "", engine=self.engine.id, engine_version=self.request.engine_version)

    @cached_property
    def draft_fields(self) -> Mapping[str, Any]:
        """What a start says of its drafts."""
        if self.drafts is None:
            return {}
        return {"speculative_tokens": self.drafts.tokens, "flags": draft_flags(self.drafts, self.engine, self.bare, self.architecture)}

    @cached_property
    def weights_bytes(self) -> int:
        """Stored tensors of the model: fewer GPUs than hold them are not tried. [bytes]"""
        return checkpoint_bytes(self.architecture, mtp=False)

    @property
    def most_gpus(self) -> int | None:
        """GPUs that one replica may have: what is allowed and what the engine takes; None where neither says."""
        return min((most for most in (self.request.max_gpus, self.engine.most_devices) if most is not None), default=None)

    @cached_property
    def notices(self) -> tuple[Notice, ...]:
        """What is said of every option: the precision is that of another checkpoint."""
        other = other_checkpoint(self.engine.id, self.stored, self.request.precision)
        return () if other is None else (other,)


@dataclass(frozen=True)
class Candidate:
    """One layout that starts, with the requests that it holds, the replicas that hold the load, and GPUs of workers beside it."""

    layout: Layout
    launch: Deployment
    fit: Fit
    held: int
    held_low: int
    replicas: int
    beside: int = 0

    @property
    def gpus(self) -> int:
        """GPUs of all replicas, and those beside."""
        return self.layout.gpus * self.replicas + self.beside


def search(wanted: Search, accelerator: Accelerator) -> Found:
    """Find the smallest deployment on one accelerator.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.

    Returns
    -------
    Found
        An option, the reason why smaller ones will not do, or both.
    """
    support = device_support(wanted.engine.id, wanted.architecture, accelerator)
    if support.refusal is not None:
        return Found(None, Rejected(accelerator, None, support.refusal))
    weights_bytes = wanted.weights_bytes
    sizes = [gpus for gpus in replica_sizes(accelerator, wanted.most_gpus) if gpus * accelerator.memory_bytes > weights_bytes]
    tried: dict[int, Candidate | Rejected] = {}

    def attempt(index: int) -> Candidate | Rejected:
        if index not in tried:
            tried[index] = best_layout(wanted, accelerator, sizes[index])
        return tried[index]

    smallest = smallest_index(len(sizes), first_guess(sizes, accelerator, weights_bytes), lambda index: isinstance(attempt(index), Candidate))
    if smallest is None:
        return Found(None, too_large(wanted, accelerator, tried.get(len(sizes) - 1)))
    best: Candidate | None = None
    for index in range(smallest, min(smallest + LARGER_TRIED, len(sizes))):
        if best is not None and sizes[index] >= best.gpus:
            break
        candidate = attempt(index)
        if isinstance(candidate, Candidate) and (best is None or _order(candidate) < _order(best)):
            best = candidate
    assert best is not None  # the smallest is one
    allowed = wanted.request.max_gpus
    if allowed is not None and best.gpus > allowed:
        reason = Notice("more-than-max-gpus", {"gpus": best.gpus, "max_gpus": allowed})
        return Found(None, Rejected(accelerator, best.layout, reason))
    below = attempt(smallest - 1) if smallest else None
    return Found(option_of(wanted, best, accelerator, support), below if isinstance(below, Rejected) else None)


def too_large(wanted: Search, accelerator: Accelerator, largest: Candidate | Rejected | None) -> Rejected:
    """Why nothing on this accelerator will do: the reason of the largest deployment that was tried."""
    if isinstance(largest, Rejected):
        return largest
    node = accelerator.node_size
    gpus = min(wanted.most_gpus or MOST_NODES * node, MOST_NODES * node)
    memory = gpus * accelerator.memory_bytes
    return Rejected(accelerator, None, Notice("weights-too-large", {"gpus": gpus, "weights_bytes": wanted.weights_bytes, "memory_bytes": memory}))


def _order(candidate: Candidate) -> tuple[int, int]:
    """Fewest GPUs, then fewest engines to run."""
    return candidate.gpus, candidate.replicas


def best_layout(wanted: Search, accelerator: Accelerator, gpus: int) -> Candidate | Rejected:
    """The widest legal tensor-parallel cut of so many GPUs that holds the model, the next one where it does not, or why neither will do."""
    refused: Rejected | None = None
    for found in layouts_of(wanted, accelerator, gpus, most=LAYOUTS_TRIED):
        if isinstance(found, Candidate):
            return found if found.replicas == 1 else min(found, *spread_candidates(wanted, accelerator, gpus), found, key=_order)
        if found.reason.parameters.get("missing_bytes", 0) > HOPELESS * accelerator.memory_bytes:
            return found
        refused = found if refused is None or found.reason.code not in _LAYOUT_CODES else refused
    return refused or Rejected(accelerator, None, Notice("no-layout", {"gpus": gpus}))


_LAYOUT_CODES = ("tp-heads", "tp-kv-heads", "tp-state-heads", "tp-width", "tp-expert-width", "tp-quantisation-block", "pp-more-than-layers")


def layouts_of(wanted: Search, accelerator: Accelerator, gpus: int, *, most: int) -> Iterator[Candidate | Rejected]:
    """Layouts of one size, the widest tensor-parallel cut first: each as a candidate, or with the reason why it will not do.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    accelerator : Accelerator
        The device.
    gpus : int
        GPUs of one replica.
    most : int
        Legal layouts that are tried.

    Yields
    ------
    Candidate or Rejected
        In the order of :meth:`Engine.layouts`.
    """
    legal = 0
    for choice in wanted.engine.layouts(wanted.architecture, accelerator, gpus):
        if choice.reason is not None:
            yield Rejected(accelerator, choice.layout, choice.reason)
            continue
        if legal == most:
            return
        legal += 1
        yield candidate_of(wanted, accelerator, choice.layout)


def spread_candidates(wanted: Search, accelerator: Accelerator, gpus: int) -> list[Candidate]:
    """Layouts whose ranks each hold requests of their own: for caches that a tensor-parallel cut would copy, and more requests than ranks.

    Latent caches are whole on every rank, and so are key/value heads once there are more ranks than heads.
    """
    request, need = wanted.request, wanted.need
    many = request.request_rate is not None or need.concurrency >= BUSY_RANKS * gpus
    if gpus < 2 or not many:
        return []
    heads = min(dimensions(wanted.architecture).kv_heads, default=1)
    if gpus <= heads:
        return []
    version = wanted.engine.version_of(wanted.bare)
    whole = [each for each in wanted.engine.attention_layouts(wanted.architecture, accelerator, gpus, version) if each.ep > 1]
    uncopied = [each for each in whole if each.tp <= heads][-1:]  # the widest cut that copies no cache
    found = (candidate_of(wanted, accelerator, layout) for layout in dict.fromkeys((*whole[:1], *uncopied)))
    return [each for each in found if isinstance(each, Candidate)]


def candidate_of(wanted: Search, accelerator: Accelerator, layout: Layout) -> Candidate | Rejected:
    """One legal layout: what it holds and how many replicas the load takes, or the reason why it will not do."""
    engine, architecture, concurrency = wanted.engine, wanted.architecture, wanted.need.concurrency
    wish = engine.for_requests(deployment_for(wanted, accelerator, layout), architecture, accelerator, concurrency)
    launch, fit = _fit(wish, engine, architecture, accelerator)
    if not fit.fits:
        return Rejected(accelerator, layout, fit.reason or Notice("does-not-fit"))
    held, low = held_range(fit)
    if low >= 1:
        return Candidate(layout, launch, fit, held, low, int(replicas_needed(concurrency=concurrency, held=low)))
    return Rejected(accelerator, layout, _too_close(fit))


def _too_close(fit: Fit) -> Notice:
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


def order_unit(accelerator: Accelerator) -> int:
    """GPUs that are ordered together: one, or a whole server, or the rack that one fabric joins. [GPUs]"""
    return max(accelerator.node_size, accelerator.fabric_devices or 0) if accelerator.whole_nodes else 1


def option_of(wanted: Search, best: Candidate, accelerator: Accelerator, support: Support) -> Option:
    """A candidate as an option: servers, prices, and what must be said about it.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    best : Candidate
        Layout, start, verdict and replicas.
    accelerator : Accelerator
        The device.
    support : Support
        How engine and number format run on it.

    Returns
    -------
    Option
        Without its rank.
    """
    node = accelerator.node_size
    nodes = int(servers_needed(gpus=best.gpus, devices_per_node=node))
    unit = order_unit(accelerator)
    order = int(servers_needed(gpus=best.gpus, devices_per_node=unit)) * unit
    known = provenance(accelerator, best.launch.engine)
    measured = known.device_measured and known.engine_measured
    assumed = not measured or worst_evidence(best.fit.ranks[best.fit.worst].items) == Evidence.ASSUMED
    status = Notice("not-shipping", {"gpu": accelerator.id, "status": accelerator.status}) if accelerator.status != "shipping" else None
    slow = None if speed_known(accelerator) else Notice("speed-unknown", {"gpu": accelerator.id})
    said = (*support.notices, *((status,) if status else ()), *wanted.notices)
    return Option(
        rank=0,
        accelerator=accelerator,
        gpus=best.gpus,
        gpus_to_order=order,
        nodes=nodes,
        replicas=best.replicas,
        layout=best.layout,
        architecture=wanted.architecture,
        launch=best.launch,
        fit=best.fit,
        held_requests=best.held * best.replicas,
        held_requests_low=best.held_low * best.replicas,
        cost=rent_of(accelerator, best.gpus),
        purchase=purchase_of(accelerator, order),
        notices=said if slow is None or slow in said else (*said, slow),
        tier=support.tier + 2 * (status is not None),
        assumed=assumed,
        drafts=wanted.drafts,
        speeds=OptionSpeeds(wanted.architecture, Ask(accelerator, best.launch, best.replicas, best.fit), load_of(wanted.request, wanted.need)),
    )
