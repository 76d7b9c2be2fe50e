"""From a need to deployments: on each accelerator the smallest legal one that holds model and load, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device_support import Support
from gpusizer.engines.base.layout_rules import dimensions
from gpusizer.engines.base.ledger import worst_evidence
from gpusizer.engines.base.types import Evidence, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import replicas_needed, servers_needed
from gpusizer.performance.batch import Ask
from gpusizer.performance.device_speeds import provenance, speed_unknown
from gpusizer.planning.device_notices import device_notices
from gpusizer.planning.launch_length import rounded_start
from gpusizer.planning.option_speeds import OptionSpeeds, load_of
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.service import floor_of
from gpusizer.planning.sizes import MOST_NODES, first_guess, replica_sizes, smallest_index
from gpusizer.planning.standing import MOST_SERVERS, joins_servers
from gpusizer.planning.starts import Trial, too_close
from gpusizer.planning.tuning import HOPELESS, best_safe, best_tight, tried_trials
from gpusizer.planning.types import FITS, TIGHT, Found, Option, Rejected
from gpusizer.planning.wanted import Candidate, Search, Tried

__all__ = [
    "best_layout",
    "candidate_of",
    "layouts_of",
    "option_of",
    "search",
    "spread_candidates",
    "too_large",
    "tried_layout",
]

LARGER_TRIED = 4  # sizes from the smallest that holds the model: a larger replica may hold the load with fewer GPUs in all
LAYOUTS_TRIED = 2
BUSY_RANKS = 2  # requests for each rank, below which some ranks would often idle


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
    support = wanted.support(accelerator)
    if support.refusal is not None:
        return Found(None, Rejected(accelerator, None, support.refusal))
    weights_bytes = wanted.weights_bytes
    sizes = [gpus for gpus in replica_sizes(accelerator, wanted.most_gpus) if gpus * accelerator.memory_bytes > weights_bytes]
    if wanted.usual and not joins_servers(accelerator) and sizes:
        most = MOST_SERVERS * accelerator.node_size
        if sizes[0] > most:
            nodes = int(servers_needed(gpus=sizes[0], devices_per_node=accelerator.node_size))
            return Found(None, Rejected(accelerator, None, Notice("nobody-runs-it", {"nodes": nodes})))
        sizes = [gpus for gpus in sizes if gpus <= most]
    tried: dict[int, Tried] = {}

    def attempt(index: int) -> Tried:
        if index not in tried:
            known = (each.safe.gpus for each in tried.values() if each.safe is not None)
            tried[index] = best_layout(wanted, accelerator, sizes[index], min(known, default=None))
        return tried[index]

    smallest = smallest_index(len(sizes), first_guess(sizes, accelerator, weights_bytes), lambda index: attempt(index).safe is not None)
    allowed = wanted.request.max_gpus
    if smallest is None:
        tight = _fewest_tight(tried.values(), allowed)
        largest = tried.get(len(sizes) - 1)
        refused = too_large(wanted, accelerator, None if largest is None else largest.rejected)
        return Found(None, refused, _closer(wanted, tight, accelerator, support, None))
    below = attempt(smallest - 1).rejected if smallest else None
    found = (attempt(index).safe for index in _worth_trying(sizes, smallest, attempt))
    best = min((each for each in found if each is not None), key=_order)
    tight = _fewest_tight(tried.values(), min(best.gpus - 1, allowed or best.gpus))
    if allowed is not None and best.gpus > allowed:
        beyond = search(replace(wanted, request=replace(wanted.request, max_gpus=None)), accelerator).option
        needed = best.gpus if beyond is None else min(best.gpus, beyond.gpus)
        reason = Notice("more-than-max-gpus", {"gpus": needed, "max_gpus": allowed})
        return Found(None, Rejected(accelerator, best.layout, reason), _closer(wanted, tight, accelerator, support, needed))
    closer = _closer(wanted, tight, accelerator, support, best.gpus)
    return Found(option_of(wanted, best, accelerator, support), below, closer)


def _worth_trying(sizes: Sequence[int], smallest: int, attempt: Callable[[int], Tried]) -> Iterator[int]:
    """Sizes from the smallest that holds the model, while a larger replica may still take fewer GPUs in all."""
    fewest: int | None = None
    left = LARGER_TRIED
    for index in range(smallest, len(sizes)):
        if left == 0 or (fewest is not None and sizes[index] >= fewest):
            return
        yield index
        safe = attempt(index).safe
        if safe is not None:
            fewest = safe.gpus if fewest is None else min(fewest, safe.gpus)
            left -= not safe.knobs or safe.plain is not None  # counted from the size that holds the model as the engine starts it


def _fewest_tight(tried: Iterable[Tried], allowed: int | None) -> Candidate | None:
    """The fewest GPUs that hold the load by the middle of the estimate, within a limit."""
    found = (each.tight for each in tried if each.tight is not None and (allowed is None or each.tight.gpus <= allowed))
    return min(found, key=_order, default=None)


def _closer(wanted: Search, tight: Candidate | None, accelerator: Accelerator, support: Support, sure: int | None) -> Option | None:
    """What holds the load by the middle of the estimate, with both numbers and how many GPUs are sure."""
    if tight is None:
        return None
    option = option_of(wanted, tight, accelerator, support)
    figures = {"held": option.held_requests, "low": option.held_requests_low, "concurrency": wanted.need.concurrency, "next": sure}
    return replace(option, notices=(*option.notices, Notice("tight" if sure else "tight-alone", figures)))


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


def best_layout(wanted: Search, accelerator: Accelerator, gpus: int, fewest: int | None = None) -> Tried:
    """The widest legal tensor-parallel cut of so many GPUs that holds the model, the next one where it does not, or why neither will do."""
    refused: Rejected | None = None
    tight: Candidate | None = None
    for found in tried_layouts(wanted, accelerator, gpus, most=LAYOUTS_TRIED, fewest=fewest):
        tight = min((each for each in (tight, found.tight) if each is not None), key=_order, default=None)
        if found.safe is not None:
            spread = [] if found.safe.replicas == 1 else spread_candidates(wanted, accelerator, gpus)
            return found._replace(safe=min(found.safe, *spread, found.safe, key=_order), tight=tight)
        rejected = found.rejected
        assert rejected is not None  # one of them is said
        if rejected.reason.parameters.get("missing_bytes", 0) > HOPELESS * accelerator.memory_bytes:
            return found._replace(tight=tight)
        refused = rejected if refused is None or rejected.reason.code not in _LAYOUT_CODES else refused
    return Tried(None, tight, refused or Rejected(accelerator, None, Notice("no-layout", {"gpus": gpus})))


_LAYOUT_CODES = ("tp-heads", "tp-kv-heads", "tp-state-heads", "tp-width", "tp-expert-width", "tp-quantisation-block", "pp-more-than-layers")


def layouts_of(wanted: Search, accelerator: Accelerator, gpus: int, *, most: int) -> Iterator[Candidate | Rejected]:
    """What :func:`tried_layouts` gives: each layout as a candidate that is sure, or with the reason."""
    return (each.answer for each in tried_layouts(wanted, accelerator, gpus, most=most))


def tried_layouts(wanted: Search, accelerator: Accelerator, gpus: int, *, most: int, fewest: int | None = None) -> Iterator[Tried]:
    """Layouts of one size, the widest tensor-parallel cut first: what each comes to.

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
    fewest : int or None
        GPUs that are known to do. [GPUs]

    Yields
    ------
    Tried
        In the order of :meth:`Engine.layouts`.
    """
    legal = 0
    for choice in wanted.engine.layouts(wanted.architecture, accelerator, gpus):
        if choice.reason is not None:
            yield Tried(None, None, Rejected(accelerator, choice.layout, choice.reason))
            continue
        if legal == most:
            return
        legal += 1
        yield tried_layout(wanted, accelerator, choice.layout, fewest)


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
    return tried_layout(wanted, accelerator, layout).answer


def tried_layout(wanted: Search, accelerator: Accelerator, layout: Layout, fewest: int | None = None) -> Tried:
    """One legal layout with the cheapest settings that hold the load with the fewest replicas: on the safe side, and by the middle."""
    need, reserve = wanted.need.concurrency, wanted.reserve(accelerator)
    trials = tried_trials(wanted, accelerator, layout, fewest)
    safe, middle = best_safe(trials, need), best_tight(trials, need)
    sure = None if safe is None else _candidate(layout, safe, int(replicas_needed(concurrency=need, held=safe.held_low)), verdict=FITS, **reserve)
    if sure is not None and sure.knobs and trials[0].held_low:
        plain = trials[0]
        sure = replace(sure, plain=_candidate(layout, plain, int(replicas_needed(concurrency=need, held=plain.held_low)), verdict=FITS, **reserve))
    tight = None if middle is None else _candidate(layout, middle, int(replicas_needed(concurrency=need, held=middle.held)), verdict=TIGHT, **reserve)
    if tight is not None and sure is not None and tight.gpus >= sure.gpus:
        tight = None
    return Tried(sure, tight, None if sure is not None else Rejected(accelerator, layout, _reason(trials)))


def _candidate(layout: Layout, trial: Trial, replicas: int, **more: Any) -> Candidate:
    return Candidate(layout, trial.launch, trial.fit, trial.held, trial.held_low, replicas, knobs=trial.knobs, **more)


def _reason(trials: Sequence[Trial]) -> Notice:
    """Why nothing holds a request on the safe side: what the last start lacks, or that it is too close."""
    last = trials[-1].fit
    return too_close(last) if last.fits else last.reason or Notice("does-not-fit")


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
    exact, best = best, _with_rounded_length(wanted, best, accelerator)
    node = accelerator.node_size
    nodes = int(servers_needed(gpus=best.gpus, devices_per_node=node))
    unit = order_unit(accelerator)
    bought = not wanted.request.owned
    order = int(servers_needed(gpus=best.gpus, devices_per_node=unit)) * unit if bought else 0
    known = provenance(accelerator, best.launch.engine)
    measured = known.device_measured and known.engine_measured
    assumed = accelerator.own or not measured or worst_evidence(best.fit.ranks[best.fit.worst].items) == Evidence.ASSUMED
    there = not bought or accelerator.status == "shipping"
    status = None if there else Notice("not-shipping", {"gpu": accelerator.id, "status": accelerator.status})
    slow = speed_unknown(accelerator)
    said = (
        *support.notices,
        *((status,) if status else ()),
        *wanted.notices(accelerator),
        *device_notices(accelerator, wanted.request.gpus, order or best.gpus),
    )
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
        cost=rent_of(accelerator, best.gpus) if bought else None,
        purchase=purchase_of(accelerator, order) if bought else None,
        notices=said if slow is None or slow in said else (*said, slow),
        tier=support.tier + 2 * (status is not None),
        verdict=best.verdict,
        knobs=best.knobs,
        assumed=assumed,
        drafts=wanted.drafts,
        speeds=OptionSpeeds(wanted.architecture, Ask(accelerator, exact.launch, exact.replicas, exact.fit), load_of(wanted.request, wanted.need)),
        floor=floor_of(wanted.request),
        spare_replicas=best.spare,
        companions=wanted.companions(accelerator, best),
    )


def _with_rounded_length(wanted: Search, best: Candidate, accelerator: Accelerator) -> Candidate:
    """The candidate with the length of its launch line rounded up, where it still holds the load; requests are counted at the need's length."""
    rounded = rounded_start(wanted.engine, wanted.architecture, accelerator, best.launch, best.fit) if not best.beside else None
    if rounded is None:
        return best
    held, low = int(best.held * rounded.share), int(best.held_low * rounded.share)
    if any(now * best.replicas < min(before * best.replicas, wanted.need.concurrency) for now, before in ((held, best.held), (low, best.held_low))):
        return best
    return replace(best, launch=rounded.launch, fit=rounded.fit, held=held, held_low=low)
