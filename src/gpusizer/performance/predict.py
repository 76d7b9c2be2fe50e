"""How fast a deployment serves a load: times to the first token and between tokens, tokens per second, each with its band.

The story: what a step must do (``step_work``), how fast this device and engine do it (``step_speeds``), how long a step takes (``step_time``), how
requests queue, start and decode together (``serving``), and how far measured runs lay from such predictions (``constants.toml``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from functools import partial
from math import inf, isfinite
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines import find_declaration
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.releases import month_of
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Quantity, Section
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import maximum, minimum
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.formulas.serving.rates import deployment_rate_tokens_per_s
from gpusizer.performance.concurrency import completed, memory_answer, running_places
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.device_speeds import engine_family, provenance
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.notes import Note, Notes, unnoted
from gpusizer.performance.served_rank import ServedRank, Service, ServingConstants, Traffic
from gpusizer.performance.serving import burst, closed_loop, open_loop
from gpusizer.performance.step_speeds import EngineState, speeds_of
from gpusizer.performance.step_time import Speeds, Step, step_time
from gpusizer.performance.step_work import OnHost, Parallelism, StepWork, bulk_storages, latent_layers, step_work
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
    "engine_state",
    "predict",
    "quickest_token_s",
    "serve",
    "served_rank",
    "set_up",
]

UNBOUNDED_TOKENS = 1e9  # of a step, for an engine that computes a prompt in one piece
HALF_A_STEP = 0.5  # what is left on average of the step that runs when a prompt comes
MOST_ACCEPTED = 0.999  # probability that a draft is accepted: the sum over drafts has no closed form at 1
_MEASURED_ALONE_APART = frozenset({"mindie"})  # its speeds are measured, its memory is not modelled; prompts have steps of their own
_MONTH = re.compile(r"(20\d{2})-(\d{2})")


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
        The memory beside the cards, where weights lie in it.
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
        Nobody states the bandwidth of the device ("speed-unknown"), or an engine that nobody knows.
    """
    return answer(Question(architecture, accelerator, deployment, load, replicas, fit, prefill))


def answer(question: Question) -> Performance:
    """Times and rates, as :func:`predict` gives them."""
    deployment, load = question.deployment, question.load
    known = question.fit or memory_answer(question.architecture, question.accelerator, deployment, load)
    rank = set_up(question.architecture, question.accelerator, known, load, built=question.built, host=question.host)
    asked = Asked(rank, deployment.dp * question.replicas, question.accelerator, known, load)
    if question.prefill is not None:
        return _split(asked, question, question.prefill)
    service, limit = serve(rank, load, asked.ranks)
    return conclude(asked, service, limit)


def serve(rank: ServedRank, load: Load, ranks: Any, note: Note = unnoted) -> tuple[Service, Any]:
    """What one of ``ranks`` delivers, and the highest rate that it holds (None unless requests arrive at a rate); numbers or columns."""
    if load.request_rate_per_s is not None:
        return open_loop(rank, load.request_rate_per_s / ranks, note)
    if load.burst is not None:
        limit = load.burst if load.concurrency is None else load.concurrency
        return burst(rank, maximum(load.burst / ranks, 1.0), maximum(limit / ranks, 1.0), note), None
    wanted = load.concurrency or 1.0
    return closed_loop(rank, rank.traffic.places if wanted == inf else maximum(wanted / ranks, 1.0), note), None


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
    return _answer(asked, service, regime, most, notices, partial(_explained, asked))


def _busy_share(load: Load, ranks: int) -> float:
    """Share of the ranks that have a request at all."""
    wanted = load.burst if load.burst is not None else inf if load.request_rate_per_s is not None else load.concurrency or 1.0
    return min(wanted / ranks, 1.0)


def _explained(asked: Asked) -> tuple[SpeedItem, ...]:
    """Every figure that decides the answer: the same calls, written down."""
    notes = Notes()
    running_places(asked.rank.work, asked.accelerator, asked.fit, asked.load, notes)
    service, _ = serve(asked.rank, asked.load, asked.ranks, notes)
    _whole_rate(asked, service, notes, _busy_share(asked.load, asked.ranks))
    return tuple(notes.items)


def _whole_rate(asked: Asked, service: Service, note: Note, busy_share: float) -> float:
    rate = float(service.output_tokens_per_s)
    return float(note("output_tokens_per_s", deployment_rate_tokens_per_s)(rank_rate=rate, ranks=asked.ranks, busy_share=busy_share))


def set_up(
    architecture: Architecture,
    accelerator: Accelerator,
    fit: Fit,
    load: Load,
    *,
    constants: Constants | None = None,
    built: str = "",
    host: Host | None = None,
) -> ServedRank:
    """One rank as it is served: work, speeds, what it is asked to do by the defaults of the engine's own answer, and its fixed costs."""
    known = constants or speed_constants()
    state = engine_state(fit.deployment, built, host)
    work, speeds = _work_and_speeds(architecture, accelerator, fit.deployment, state, known, on_host_of(fit))
    places = running_places(work, accelerator, fit, load)
    return served_rank(work, speeds, fit.deployment, load, places, known, age_years(fit.deployment, built))


def quickest_token_s(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, *, context_tokens: float) -> float:
    """Time of one token of a single request, nothing beside it: no load is served faster. [s]"""
    known = completed(architecture, accelerator, deployment)
    work, speeds = _work_and_speeds(architecture, accelerator, known, engine_state(known), speed_constants(), OnHost())
    drafts = float(deployment.speculative_tokens)
    step = Step(sequences=1.0 / speeds.pp, context_tokens=context_tokens / 2, verified_tokens=1.0 + drafts)
    return float(step_time(work, speeds, step)) / (1.0 + drafts)


def _work_and_speeds(
    architecture: Architecture, accelerator: Accelerator, deployment: Deployment, state: EngineState, constants: Constants, on_host: OnHost
) -> tuple[StepWork, Speeds]:
    cut = Parallelism.of(deployment.layout)
    work = step_work(architecture, cut, cache_element_bytes=state.cache_bits / 8, on_host=on_host)
    known, key = _known_speeds(architecture), (id(accelerator), state, cut, on_host)  # one deployment is asked under several loads
    found = known.get(key)
    if found is None or found[0] is not accelerator or found[1] is not constants:
        found = known[key] = (accelerator, constants, speeds_of(work, accelerator, state, cut, constants))
    return work, found[2]


@once_per_architecture
def _known_speeds(architecture: Architecture) -> dict[Hashable, tuple[Accelerator, Constants, Speeds]]:
    """Speeds by device, engine and layout, with what they were computed from."""
    return {}


def on_host_of(fit: Fit) -> OnHost:
    """What of the weights lies in the memory of the host, by the engine's own answer."""
    if fit.host_layers or fit.host_experts:
        return OnHost(fit.host_layers, fit.host_experts)
    sizes = [(item.id, item.bytes) for item in fit.ranks[fit.worst].items if item.section is Section.WEIGHTS] if fit.deployment.flags else []
    moved = -sum(size for name, size in sizes if name == "weights_on_host")
    return OnHost(layers=moved / sum(size for _, size in sizes if size > 0)) if moved > 0 else OnHost()


def engine_state(deployment: Deployment, built: str = "", host: Host | None = None) -> EngineState:
    """What of a deployment's engine bears on the speed of its steps."""
    form = cache_format(deployment.kv_precision, "bf16")
    bits = 8 * form.element_bytes if form else 16.0
    computes = engine_family(deployment.engine) == "llama.cpp"
    bandwidth = None if host is None else host.bandwidth_bytes_per_s
    fused = "flashinfer" in str(deployment.flags.get("moe_runner_backend"))  # SGLang's default runs experts, and sums over ranks, in more pieces
    return EngineState(deployment.engine, age_years(deployment, built), bits, deployment.enforce_eager, fused, bandwidth, computes)


def served_rank(
    work: StepWork, speeds: Speeds, deployment: Deployment, load: Load, places: Any, constants: Constants, years: float = 0.0
) -> ServedRank:
    """One rank of a deployment whose defaults are filled in, with so many requests at once."""
    drafts = float(deployment.speculative_tokens)
    # the first draft is accepted more often than those that build on it: the mean falls with their number
    fitted = constants.of("acceptance", "all") * constants.of("acceptance_fade", "all") ** max(drafts - 1, 0)
    acceptance = min(fitted if load.acceptance is None else load.acceptance, MOST_ACCEPTED)
    prefix = minimum(load.shared_prefix_tokens, maximum(load.input_tokens - 1, 0.0))
    traffic = Traffic(
        prompt_tokens=maximum(load.input_tokens - prefix, 1.0),
        prefix_tokens=prefix,
        output_tokens=maximum(load.output_tokens, 1.0),
        places=places,
        budget_tokens=float(deployment.max_num_batched_tokens or UNBOUNDED_TOKENS),
        shares_steps=_shares_steps(deployment.engine),
        verified_tokens=1.0 + drafts,
        tokens_per_step=speculative_tokens(acceptance=acceptance, drafts=drafts),
        draft_steps=drafts,
        first_burst_share=load.first_burst_share,
        spread=load.length_spread,
    )
    return ServedRank(work, speeds, traffic, _serving_constants(work, deployment, constants, years))


def _shares_steps(engine: str) -> bool:
    """Whether prompts share a step with requests that already generate."""
    declared = find_declaration(engine)
    return declared.shares_steps if declared is not None else engine.lower() not in _MEASURED_ALONE_APART


def _serving_constants(work: StepWork, deployment: Deployment, constants: Constants, years: float) -> ServingConstants:
    family = engine_family(deployment.engine)
    return ServingConstants(
        admission_s=(constants.of("admission_s", family, "other") + latent_layers(work) * constants.of("latent_s", "prompt"))
        * constants.of("age", "prompt") ** years,
        request_s=constants.of("request_s", "host"),
        stream_s=constants.of("stream_s", "all") * deployment.dp / stream_interval(deployment),
        waited_steps=max(constants.of("dp_wait", family, "other") if deployment.dp > 1 else HALF_A_STEP, polled_steps(deployment) * HALF_A_STEP),
        first_burst=constants.of("first_burst", "all"),
        desynchronisation=constants.of("desynchronisation", "all"),
        short_answer_weight=constants.of("short_answer_weight", "all"),
        long_answer_weight=constants.of("long_answer_weight", "all"),
        room_share=constants.of("prompt_room", "least"),
        added_share=constants.of("prompt_added", "least"),
        burst_running=constants.of("burst_running", "share"),
        last_wave=constants.of("last_wave", "share"),
        most_arrivals=constants.of("arrivals", "most"),
        most_utilisation=constants.of("utilisation", "most"),
        slow_deviations=constants.of("slow_requests", "deviations"),
    )


def polled_steps(deployment: Deployment) -> float:
    """Steps between two looks for new requests (SGLang's ``--scheduler-recv-interval``), 1 by default. [steps]"""
    return _whole_flag(deployment, "scheduler_recv_interval")


def stream_interval(deployment: Deployment) -> float:
    """Tokens that the server hands over at once (``--stream-interval``), 1 by default. [tokens]"""
    return _whole_flag(deployment, "stream_interval")


def _whole_flag(deployment: Deployment, name: str) -> float:
    words = str(deployment.flags.get(name, "1"))
    return max(float(words), 1.0) if words.isdecimal() and len(words) < 10 else 1.0


def age_years(deployment: Deployment, built: str = "") -> float:
    """Years between the engine's release and the time that the constants describe; 0 where no date is known. [years]

    The date is that of the build where it is known (``built``), else that of the release.
    """
    month = _MONTH.match(built) or _MONTH.match(month_of(deployment.engine, deployment.engine_version or "") or "")
    if month is None:
        return 0.0
    constants = speed_constants()
    years = constants.of("reference", "year") - int(month[1]) - int(month[2]) / 12
    return min(max(years, 0.0), constants.of("reference", "years"))


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
    if not known.device_measured:
        notices.append(Notice("speed-from-data-sheet", {"gpu": asked.accelerator.id}))
    if not known.engine_measured:
        notices.append(Notice("speed-of-engine-assumed", {"engine": deployment.engine}))
    if deployment.speculative_tokens:
        wider *= constants.of("widening", "drafts")
        notices.append(Notice("speculation-assumed", {"drafts": deployment.speculative_tokens}))

    family = engine_family(deployment.engine)

    def band(name: str, value: float) -> Quantity:
        kind = _BAND_OF.get(regime, regime)
        kinds = f"{name}.{kind}.{family}", f"{name}.{kind}", f"{name}.steady"
        low, high = (constants.of(side, *kinds) ** wider for side in ("band_low", "band_high"))
        return Quantity(value, value * low, value * high)

    return Performance(
        ttft_s=band("ttft", float(service.ttft_s)),
        tpot_s=band("tpot", float(service.tpot_s)),
        tpot_p95_s=band("tpot", float(service.tpot_p95_s)),
        output_tokens_per_s=band("rate", _whole_rate(asked, service, unnoted, busy_share)),
        regime=regime,
        running=float(service.running) * asked.ranks,
        limit_requests_per_s=limit,
        evidence=Evidence.CALIBRATED if known.device_measured and known.engine_measured else Evidence.ASSUMED,
        notices=tuple(notices),
        explain=explain,
    )


_BAND_OF = {"cache-limited": "saturated"}
