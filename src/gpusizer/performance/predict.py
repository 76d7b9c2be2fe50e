"""How fast a deployment serves a load: times to the first token and between tokens, tokens per second, each with its band.

The story: what a step must do (``step_work``), how fast this device and engine do it (``step_speeds``), how long a step takes (``step_time``), how
requests queue, start and decode together (``serving``), and how far measured runs lay from such predictions (``constants.toml``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isfinite
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Quantity
from gpusizer.errors import InputError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import maximum
from gpusizer.formulas.serving.rates import deployment_rate_tokens_per_s
from gpusizer.performance.concurrency import memory_answer, running_places
from gpusizer.performance.constants import owners_of, speed_constants
from gpusizer.performance.device_speeds import engine_family, provenance, shift_of, speed_unknown, unmeasured
from gpusizer.performance.hosts import host_of
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.notes import Note, Notes, unnoted
from gpusizer.performance.served_rank import ServedRank, Service
from gpusizer.performance.serving import burst, closed_loop, open_loop
from gpusizer.performance.set_up import set_up
from gpusizer.performance.step_work import bulk_storages
from gpusizer.performance.types import Host, Load, Performance, PrefillPool, SpeedItem

__all__ = [
    "Asked",
    "Load",
    "Performance",
    "PrefillPool",
    "Question",
    "SpeedItem",
    "answer",
    "conclude",
    "predict",
    "serve",
]


class Asked(NamedTuple):
    """What a prediction is about: one rank, how many there are, and what was asked.

    Parameters
    ----------
    rank : ServedRank
        One data-parallel rank, of the decode workers where prompts have workers of their own.
    ranks : int
        Of all replicas.
    accelerator : Accelerator
        The device.
    fit : Fit
        The engine's own answer about memory.
    load : Load
        What all ranks together serve.
    """

    rank: ServedRank
    ranks: int
    accelerator: Accelerator
    fit: Fit
    load: Load


class Question(NamedTuple):
    """What somebody wants to know of the speed of a deployment.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the deployment.
    accelerator : Accelerator
        The device.
    deployment : Deployment
        Layout and engine of one replica; with ``prefill``, of one decode worker.
    load : Load
        What all replicas together serve.
    replicas : int
        Equal copies of the deployment.
    fit : Fit or None
        The engine's own answer about memory: its defaults and the room of the cache; without it the engine is asked.
    prefill : PrefillPool or None
        Workers that only compute prompts.
    host : Host or None
        The memory beside the cards, where weights lie in it; None takes what the deployment says of it.
    built : str
        Month or day of the engine's build ("2026-03") where it is known better than by its version.
    """

    architecture: Architecture
    accelerator: Accelerator
    deployment: Deployment
    load: Load
    replicas: int = 1
    fit: Fit | None = None
    prefill: PrefillPool | None = None
    host: Host | None = None
    built: str = ""


def predict(
    architecture: Architecture,
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    *,
    replicas: int = 1,
    fit: Fit | None = None,
    prefill: PrefillPool | None = None,
) -> Performance:
    """Times and rates of a deployment under a load.

    Parameters
    ----------
    architecture, accelerator, deployment, load, replicas, fit, prefill
        As in :class:`Question`.

    Returns
    -------
    Performance
        Figures with bands, regime, notices and where the time of a step goes.

    Raises
    ------
    InputError
        Nobody states the bandwidth of the device ("speed-unknown") or a peak of it ("peak-unknown"), or an engine that nobody knows.
    """
    return answer(Question(architecture, accelerator, deployment, load, replicas, fit, prefill))


def answer(question: Question) -> Performance:
    """Times and rates, as :func:`predict` gives them."""
    deployment, load = question.deployment, question.load
    if (unknown := speed_unknown(question.accelerator)) is not None:
        raise InputError(unknown.code, **unknown.parameters)
    known = question.fit or memory_answer(question.architecture, question.accelerator, deployment, load)
    rank = set_up(question.architecture, question.accelerator, known, load, built=question.built, host=question.host or host_of(deployment))
    asked = Asked(rank, deployment.dp * question.replicas, question.accelerator, known, load)
    if question.prefill is not None:
        return _split(asked, question, question.prefill)
    service, limit = serve(rank, load, asked.ranks)
    return conclude(asked, service, limit)


def serve(rank: ServedRank, load: Load, ranks: Any, note: Note = unnoted, running: Any = None) -> tuple[Service, Any]:
    """What one rank delivers, and the highest rate that it holds; numbers or columns.

    Parameters
    ----------
    rank : ServedRank
        One of ``ranks``.
    load : Load
        What all of them serve.
    ranks : number
        Data-parallel ranks of all replicas.
    note : Note
        Writes down how the figures came about.
    running : number or None
        Requests that decode together on a rank, where an earlier answer to the same found them: they need not be sought again. [requests]

    Returns
    -------
    tuple of (Service, number or None)
        None unless requests arrive at a rate. [requests/s]
    """
    if load.request_rate_per_s is not None:
        return open_loop(rank, load.request_rate_per_s / ranks, note, running)
    if load.burst is not None:
        limit = load.burst if load.concurrency is None else load.concurrency
        return burst(rank, maximum(load.burst / ranks, 1.0), maximum(limit / ranks, 1.0), note, running), None
    wanted = load.concurrency or 1.0
    return closed_loop(rank, rank.traffic.places if wanted == inf else maximum(wanted / ranks, 1.0), note, running), None


def conclude(asked: Asked, service: Service, limit: float | None) -> Performance:
    """The answer of the whole deployment from what one rank delivers: rates of all ranks, the regime, what must be said."""
    load, places, ranks = asked.load, float(asked.rank.traffic.places), asked.ranks
    notices: list[Notice] = []
    most = None if limit is None else float(limit) * ranks
    regime = "steady"
    if load.request_rate_per_s is not None:
        regime = "arrivals"
        if most is not None and load.request_rate_per_s > most:
            regime = "overloaded"
            notices.append(Notice("overloaded", {"request_rate_per_s": load.request_rate_per_s, "limit_requests_per_s": most}))
    elif load.burst is not None:
        regime = "burst"
    elif load.concurrency == inf:
        regime = "saturated"
    elif (load.concurrency or 1.0) / ranks > places:
        regime = "cache-limited"
        notices.append(Notice("cache-limits-concurrency", {"concurrency": load.concurrency, "running": places * ranks}))
    return _answer(asked, service, regime, most, notices, partial(_explained, asked, service.running))


def _busy_share(load: Load, ranks: int) -> float:
    """Share of the ranks that have a request at all."""
    wanted = load.burst if load.burst is not None else inf if load.request_rate_per_s is not None else load.concurrency or 1.0
    return min(wanted / ranks, 1.0)


def _explained(asked: Asked, running: float) -> tuple[SpeedItem, ...]:
    """Every figure that decides the answer: the same calls, written down, with as many running as the answer found."""
    notes = Notes()
    running_places(asked.rank.work, asked.accelerator, asked.fit, asked.load, notes)
    service, _ = serve(asked.rank, asked.load, asked.ranks, notes, running)
    _whole_rate(asked, service, notes, _busy_share(asked.load, asked.ranks))
    return tuple(notes.items)


def _whole_rate(asked: Asked, service: Service, note: Note, busy_share: float) -> float:
    rate = float(service.output_tokens_per_s)
    return float(note("output_tokens_per_s", deployment_rate_tokens_per_s)(rank_rate=rate, ranks=asked.ranks, busy_share=busy_share))


def _split(asked: Asked, question: Question, pool: PrefillPool) -> Performance:
    """Prompts on workers of their own: two queues in one loop, and the cache moves between them."""
    from gpusizer.performance.split_serving import Handover, split_loop

    load, constants = asked.load, speed_constants()
    fit = memory_answer(question.architecture, question.accelerator, pool.deployment, load)
    prompts = set_up(question.architecture, question.accelerator, fit, load, built=question.built)
    prompt_ranks = pool.workers * pool.deployment.dp
    places = asked.rank.traffic.places * asked.ranks
    wanted = load.concurrency if load.concurrency is not None and isfinite(load.concurrency) else (load.burst or places)
    handover = Handover(load.input_tokens, constants.of("split_wait", "all"), network_bytes_per_s(constants))

    def served(note: Note = unnoted) -> Service:
        return split_loop(asked.rank, asked.ranks, prompts, prompt_ranks, wanted, handover, note)

    def explained() -> tuple[SpeedItem, ...]:
        notes = Notes()
        _whole_rate(asked, served(notes), notes, 1.0)
        return tuple(notes.items)

    return _answer(asked, served(), "disaggregated", None, [], explained)


def _answer(
    asked: Asked, service: Service, regime: str, limit: float | None, notices: list[Notice], explain: Callable[[], tuple[SpeedItem, ...]]
) -> Performance:
    busy_share = 1.0 if regime == "disaggregated" else _busy_share(asked.load, asked.ranks)
    deployment, constants = asked.fit.deployment, speed_constants()
    known = provenance(asked.accelerator, deployment.engine, bulk_storages(asked.rank.work))
    wider = known.widening
    notices += unmeasured(asked.accelerator, deployment.engine, known)
    if deployment.speculative_tokens:
        wider *= constants.of("widening", "drafts")
        notices.append(Notice("speculation-assumed", {"drafts": deployment.speculative_tokens}))

    family, known_owners = engine_family(deployment.engine), owners_of()
    shift = shift_of(asked.accelerator, deployment.engine)

    def kinds(name: str) -> tuple[str, ...]:
        kind = _BAND_OF.get(regime, regime)
        return f"{name}.{kind}.{family}", f"{name}.{kind}", f"{name}.steady"

    def band(name: str, value: float) -> Quantity:
        left = 1.0 if shift is None else shift.prefill_width if name == "ttft" else shift.decode_width
        low, high = (constants.of(side, *kinds(name)) ** (wider * left) for side in ("band_low", "band_high"))
        return Quantity(value, value * low, value * high)

    return Performance(
        ttft_s=band("ttft", float(service.ttft_s)),
        tpot_s=band("tpot", float(service.tpot_s)),
        tpot_p95_s=band("tpot", float(service.tpot_p95_s)),
        output_tokens_per_s=band("rate", _whole_rate(asked, service, unnoted, busy_share)),
        regime=regime,
        running=float(service.running) * asked.ranks,
        limit_requests_per_s=limit,
        evidence=Evidence.OWN if shift else Evidence.CALIBRATED if known.device_measured and known.engine_measured else Evidence.ASSUMED,
        owners=next((found for kind in kinds("tpot") if (found := known_owners.get(f"band_low.{kind}"))), 0),
        notices=tuple(notices),
        explain=explain,
    )


_BAND_OF = {"cache-limited": "saturated"}
