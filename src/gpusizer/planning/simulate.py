"""A deployment under arrivals, request by request: what is asked, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError, InputError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.device_speeds import provenance, unmeasured
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.simulation.deployed import Served
from gpusizer.performance.simulation.requests import Requests, drawn
from gpusizer.performance.simulation.side_by_side import BACKENDS, side_by_side
from gpusizer.performance.simulation.summary import Summary, summary_of
from gpusizer.performance.simulation.trace import read_trace
from gpusizer.performance.types import Load, PrefillPool
from gpusizer.planning.fields import CALIBRATE, Field
from gpusizer.planning.verdict import Verdict, make_fit

__all__ = ["FIELDS", "Simulation", "SimulationRequest", "make_simulation", "make_simulations", "requests_from"]

MOST_REQUESTS = 1_000_000
MOST_RANKS = 1024
LEAST_REQUESTS, ROUNDS = 1000, 20  # of a run whose length nobody said: at least, and for each client
INPUT_TOKENS, OUTPUT_TOKENS = 1024, 256  # where nobody says how long requests are

FIELDS: tuple[Field, ...] = (
    Field("trace", "word", "--trace", many=True),
    Field("request_rate", "rate", "--request-rate"),
    Field("concurrency", "count", "--concurrency"),
    Field("burst", "count", "--burst"),
    Field("arrivals", "choice", "--arrivals", ("poisson", "constant")),
    Field("requests", "count", "--requests"),
    Field("input_tokens", "tokens", "--input-tokens"),
    Field("output_tokens", "tokens", "--output-tokens"),
    Field("shared_prefix_tokens", "tokens", "--shared-prefix-tokens", lowest=0),
    Field("length_spread", "spread", "--length-spread"),
    Field("replicas", "count", "--replicas", many=True),
    Field("prefill_workers", "count", "--prefill-workers"),
    Field("ttft_s", "seconds", "--ttft"),
    Field("tpot_s", "seconds", "--tpot"),
    Field("seed", "count", "--seed"),
    CALIBRATE,
    Field("jobs", "count", "--jobs"),
    Field("backend", "choice", "--backend", BACKENDS),
)
"""Inputs of ``simulate`` beside the deployment, in the order of the help; with several traces or numbers of replicas each pair is a run."""

_OF_ALL = frozenset({"trace", "replicas", "jobs", "backend"})  # they are not of one run


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """One run: a deployment and what arrives; exactly one of ``trace``, ``request_rate``, ``concurrency`` and ``burst`` is given.

    Parameters
    ----------
    deployment : Deployment
        One replica; with ``prefill_workers`` each of the workers.
    trace : str or None
        File of timestamps and lengths.
    request_rate : float or None
        Arrivals, by ``arrivals`` at random moments or at equal distances. [requests/s]
    concurrency : int or None
        Clients of which each sends its next request when it has its answer. [requests]
    burst : int or None
        Requests that all arrive at once. [requests]
    arrivals : str
        "poisson" or "constant".
    requests : int or None
        Length of the run; of a trace its first. [requests]
    input_tokens, output_tokens : int
        Mean lengths. [tokens]
    shared_prefix_tokens : int
        Tokens at the start of every prompt that the cache holds. [tokens]
    length_spread : float
        Standard deviation of lengths over their mean.
    replicas : int
        Copies of the deployment, each with its own requests.
    prefill_workers : int
        Workers that only compute prompts; then ``replicas`` only decode.
    ttft_s, tpot_s : float or None
        Targets of the goodput. [s]
    seed : int
        The same gives the same run.
    calibrate : str or None
        A file of own measured cases that moves the speeds of the device.
    """

    deployment: Deployment
    trace: str | None = None
    request_rate: float | None = None
    concurrency: int | None = None
    burst: int | None = None
    arrivals: str = "poisson"
    requests: int | None = None
    input_tokens: int = INPUT_TOKENS
    output_tokens: int = OUTPUT_TOKENS
    shared_prefix_tokens: int = 0
    length_spread: float = 0.0
    replicas: int = 1
    prefill_workers: int = 0
    ttft_s: float | None = None
    tpot_s: float | None = None
    seed: int = 1
    calibrate: str | None = None

    def __post_init__(self) -> None:
        for each in FIELDS:
            if each.name in _OF_ALL - {"replicas", "trace"}:
                continue
            value = getattr(self, each.name)
            if value is None or (value == 0 and each.name == "prefill_workers"):
                continue
            read = each.read((value,))[0] if each.many else each.read(value)
            object.__setattr__(self, each.name, read)
        said = [name for name in ("trace", "request_rate", "concurrency", "burst") if getattr(self, name) is not None]
        if len(said) != 1:
            raise FlagError("one-of-arrivals", found=["--" + name.replace("_", "-") for name in said])
        for name in ("requests", "burst", "concurrency"):
            value = getattr(self, name)
            if value is not None and value > MOST_REQUESTS:
                raise FlagError("out-of-bounds", option=f"--{name}", low=1, high=MOST_REQUESTS, found=value)
        ranks = (self.replicas + self.prefill_workers) * self.deployment.dp
        if ranks > MOST_RANKS:
            raise FlagError("out-of-bounds", option="--replicas", low=1, high=MOST_RANKS // self.deployment.dp, found=self.replicas)

    @property
    def count(self) -> int | None:
        """Requests of the run; None where a trace says. [requests]"""
        if self.requests is not None or self.trace is not None:
            return self.requests
        return self.burst or min(max(LEAST_REQUESTS, ROUNDS * (self.concurrency or 0)), MOST_REQUESTS)


@dataclass(frozen=True)
class Simulation:
    """One run and what came of it.

    Parameters
    ----------
    request : SimulationRequest
        What was asked.
    verdict : Verdict
        The deployment: whether it starts, and how it was understood.
    summary : Summary or None
        What requests saw; None where the deployment does not start.
    sustainable_per_s : float or None
        Highest rate that can be held. [requests/s]
    notices : tuple of Notice
        What must be said.
    """

    request: SimulationRequest
    verdict: Verdict
    summary: Summary | None
    sustainable_per_s: float | None
    notices: tuple[Notice, ...]

    @property
    def overloaded(self) -> bool:
        """Whether more arrives than can be served."""
        offered = self.summary.offered_per_s if self.summary is not None else None
        return offered is not None and self.sustainable_per_s is not None and offered > self.sustainable_per_s


def make_simulation(request: SimulationRequest, progress: Callable[[int, int], None] | None = None) -> Simulation:
    """Simulate one run.

    Parameters
    ----------
    request : SimulationRequest
        A deployment and what arrives.
    progress : callable, optional
        Is told how many requests have ended, of how many.

    Returns
    -------
    Simulation
        With a summary where the deployment starts.
    """
    return make_simulations([request], progress=progress)[0]


def make_simulations(
    requests: Sequence[SimulationRequest],
    *,
    notices: Sequence[Notice] = (),
    backend: str = "loky",
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Simulation]:
    """Simulate several runs, side by side where ``jobs`` allows it.

    Parameters
    ----------
    requests : sequence of SimulationRequest
        The runs.
    notices : sequence of Notice
        What must be said of how the deployment was typed.
    backend, jobs : str, int
        As in :func:`gpusizer.performance.simulation.side_by_side.side_by_side`.
    progress : callable, optional
        Is told how many requests have ended, of how many, where runs follow one another.

    Returns
    -------
    list of Simulation
        In their order.
    """
    traces = {each.trace: read_trace(each.trace) for each in requests if each.trace is not None}  # before anything is computed
    tasks = [_Task(each, _arriving(each, traces.get(each.trace) if each.trace else None)) for each in requests]
    if progress is not None and backend == "loky" and (jobs == 1 or len(tasks) == 1):
        done, whole = 0, sum(len(task.arriving.arrival_s) for task in tasks)
        found: list[Simulation] = []
        for task in tasks:
            found.append(_simulated(task, _counted(progress, done, whole)))
            done += len(task.arriving.arrival_s)
    else:
        found = side_by_side(_simulated, tasks, backend=backend, jobs=jobs)
    return [replace(each, notices=(*notices, *each.notices)) for each in found]


def _counted(progress: Callable[[int, int], None], before: int, whole: int) -> Callable[[int], None]:
    return lambda ended: progress(before + ended, whole)


@dataclass(frozen=True)
class _Task:
    request: SimulationRequest
    arriving: Requests


def _simulated(task: _Task, progress: Callable[[int], None] | None = None) -> Simulation:
    request, arriving = task.request, task.arriving
    verdict = make_fit(request.deployment, calibrate=request.calibrate)
    if not verdict.fit.fits:
        return Simulation(request, verdict, None, None, ())
    question = _question(request, arriving, verdict)
    served = Served(question)
    _all_fit(arriving, served, request)
    saturated = answer(question._replace(load=replace(question.load, concurrency=float("inf"))))
    outcome = served.run(arriving, progress)
    summary = summary_of(arriving, outcome, ttft_s=request.ttft_s, tpot_s=request.tpot_s)
    most = saturated.output_tokens_per_s.value / question.load.output_tokens
    return Simulation(request, verdict, summary, most, (*verdict.fit.warnings, *_said(verdict.accelerator, served.fit, summary, most)))


def _said(accelerator: Accelerator, fit: Fit, summary: Summary, most: float) -> list[Notice]:
    found = unmeasured(accelerator, fit.deployment.engine, provenance(accelerator, fit.deployment.engine))
    if fit.deployment.speculative_tokens:
        found.append(Notice("speculation-assumed", {"drafts": fit.deployment.speculative_tokens}))
    if summary.offered_per_s is not None and summary.offered_per_s > most:
        found.append(Notice("overloaded", {"request_rate_per_s": summary.offered_per_s, "limit_requests_per_s": most}))
    return found


def _question(request: SimulationRequest, arriving: Requests, verdict: Verdict) -> Question:
    """The deployment with the mean load of the run: its defaults, its room and its constants follow from it."""
    load = _load(request, arriving)
    pool = PrefillPool(request.deployment, request.prefill_workers) if request.prefill_workers else None
    fit = memory_answer(verdict.architecture, verdict.accelerator, verdict.launch, load)
    return Question(verdict.architecture, verdict.accelerator, verdict.launch, load, request.replicas, fit, pool)


def _load(request: SimulationRequest, arriving: Requests) -> Load:
    count = len(arriving.arrival_s)
    mean_in, mean_out = sum(arriving.input_tokens) / count, sum(arriving.output_tokens) / count
    spread = (sum((each - mean_out) ** 2 for each in arriving.output_tokens) / count) ** 0.5 / mean_out
    prefix = min(request.shared_prefix_tokens, min(arriving.input_tokens) - 1)
    return Load(mean_in, mean_out, concurrency=float("inf"), shared_prefix_tokens=float(max(prefix, 0)), length_spread=spread)


def _arriving(request: SimulationRequest, trace: Requests | None) -> Requests:
    if trace is not None:
        most = request.requests or len(trace.arrival_s)
        return Requests(trace.arrival_s[:most], trace.input_tokens[:most], trace.output_tokens[:most])
    kind = "closed" if request.concurrency else "burst" if request.burst else request.arrivals
    return drawn(
        request.count or 0,
        request.input_tokens,
        request.output_tokens,
        arrivals=kind,
        pace=request.concurrency or request.request_rate or 0.0,
        spread=request.length_spread,
        seed=request.seed,
    )


def _all_fit(arriving: Requests, served: Served, request: SimulationRequest) -> None:
    """Refuse a request that the engine would refuse: longer than the context that was asked for, or than the whole cache."""
    longest = max(map(sum, zip(arriving.input_tokens, arriving.output_tokens, strict=True)))
    room = int(served.limits.cache_tokens) if served.limits.cache_tokens < float("inf") else longest
    most = min(room, request.deployment.max_model_len or longest)
    if longest > most:
        raise InputError("request-too-long", longest=longest, most=most)


def requests_from(deployment: Deployment, values: Mapping[str, Any]) -> list[SimulationRequest]:
    """The runs of one command line: every trace with every number of replicas."""
    one = {name: value for name, value in values.items() if value is not None and name not in _OF_ALL}
    traces: Sequence[str | None] = values.get("trace") or (None,)
    replicas: Sequence[int] = values.get("replicas") or (1,)
    return [SimulationRequest(deployment, trace=trace, replicas=count, **one) for trace in traces for count in replicas]
