"""Measured runs of speeds as columns, to be predicted together under any constants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from speed_report import QUANTITIES, column

from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.performance.batch import columns, rows_of
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.constants import Constants
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.serving import burst, closed_loop, open_loop
from gpusizer.performance.set_up import engine_state, served_rank, set_up
from gpusizer.performance.split_serving import Handover, split_loop
from gpusizer.performance.step_speeds import speeds_of
from gpusizer.performance.step_work import Parallelism
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case

OWNER = 0.7  # curves of one owner count as so many: their number to one less this
CONFIDENCE = {"high": 1.0, "medium": 0.25}


@dataclass(frozen=True)
class Worker:
    """Workers of one kind: what memory says of them, and one rank with the constants in use."""

    case: PerformanceCase
    fit: Fit
    rank: ServedRank

    @classmethod
    def of(cls, case: PerformanceCase, deployment: Deployment) -> Worker:
        """Asked once: places and budgets do not depend on what is fitted."""
        fit = memory_answer(case.architecture, case.accelerator, deployment, case.load)
        return cls(case, fit, set_up(case.architecture, case.accelerator, fit, case.load, built=case.date, host=case.host))

    @property
    def key(self) -> Any:
        """What speeds, fixed costs and drafts depend on."""
        deployment, work, load = self.fit.deployment, self.rank.work, self.case.load
        kinds = (
            tuple(one[:1] + one[3:] for one in work.linears),
            tuple((one.storage, one.top_k, one.on_host) for one in work.experts),
            (work.head.storage, work.head.on_host),
        )
        latents = tuple(one.layers for one in work.attention if one.latent)
        flags = (
            deployment.flags.get("stream_interval"),
            deployment.flags.get("scheduler_recv_interval"),
            deployment.speculative_tokens,
            load.acceptance,
        )
        state = engine_state(deployment, self.case.date, self.case.host, self.fit.on_host)
        return self.case.accelerator.id, state, Parallelism.of(deployment.layout), kinds, work.kernels, latents, flags

    def with_constants(self, constants: Constants) -> ServedRank:
        """The rank with other constants."""
        deployment, work = self.fit.deployment, self.rank.work
        state, cut = engine_state(deployment, self.case.date, self.case.host, self.fit.on_host), Parallelism.of(deployment.layout)
        speeds = speeds_of(work, self.case.accelerator, state, cut, constants)
        return served_rank(work, speeds, deployment, self.case.load, self.rank.traffic.places, constants, state.age_years)


class Workers:
    """Many workers as columns, under any constants."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        places: dict[Any, int] = {}
        self.index = np.array([places.setdefault(worker.key, len(places)) for worker in workers])
        self.distinct = [workers[int(np.argmax(self.index == number))] for number in range(len(places))]
        self.work = columns([worker.rank.work for worker in workers])
        self.traffic = columns([worker.rank.traffic for worker in workers])

    def with_constants(self, constants: Constants) -> ServedRank:
        """One rank of each, as columns."""
        found = [worker.with_constants(constants) for worker in self.distinct]
        speeds = rows_of(columns([rank.speeds for rank in found]), self.index)
        costs = rows_of(columns([rank.constants for rank in found]), self.index)
        won = column(rank.traffic.tokens_per_step for rank in found)[self.index]
        return ServedRank(self.work, speeds, self.traffic._replace(tokens_per_step=won), costs)


@dataclass
class Run:
    """One measured run: what was run, what it must do, what was measured."""

    row: Mapping[str, Any]
    case: PerformanceCase
    measured: tuple[float, ...]
    mode: str
    worker: Worker
    requests: float
    regime: str = "arrivals"

    @property
    def group(self) -> tuple[str, str, str]:
        return str(self.row["model"]), str(self.row["gpu"]), str(self.row["engine"])

    @property
    def owner(self) -> str:
        """Whose measurement it is; runs of one publication by others and by itself count apart."""
        word = re.split(r"[\s@#]", str(self.row["source"]))[0]
        owner = "/".join(word.split("/")[:2])
        return owner + ("/inferencex" if "InferenceX" in str(self.row.get("flags_source")) or "InferenceX" in str(self.row["notes"]) else "")

    @property
    def curve(self) -> tuple[str, ...]:
        """Runs that differ in the load alone."""
        return self.owner, *(str(self.row[name]) for name in ("model", "gpu", "engine", "quantization", "parallelism", "isl", "osl"))

    @property
    def ranks(self) -> int:
        """Data-parallel ranks of all replicas."""
        return self.case.deployment.dp * self.case.replicas


def run_of(row: Mapping[str, Any]) -> Run | None:
    case = performance_case(row)
    if not isinstance(case, PerformanceCase):
        print("refused:", row["id"], case.code)
        return None
    load, measured, worker = case.load, measured_performance(row), Worker.of(case, case.deployment)
    mode = "split" if case.prefill else "burst" if load.burst else "open" if load.request_rate_per_s else "closed"
    wanted = load.burst or load.request_rate_per_s or load.concurrency or 1.0
    requests = wanted if isfinite(wanted) else worker.rank.traffic.places * case.deployment.dp * case.replicas
    return Run(row, case, tuple(measured.get(name, np.nan) for name in QUANTITIES), mode, worker, requests)


class Batch:
    """Runs of one kind of load, predicted together."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.mode = runs, runs[0].mode
        self.workers = Workers([run.worker for run in runs])
        pools = [(run.case, run.case.prefill) for run in runs if run.case.prefill is not None]
        self.prompts = Workers([Worker.of(case, pool.deployment) for case, pool in pools]) if pools else None
        self.prompt_ranks = column(pool.workers * pool.deployment.dp for _, pool in pools)
        self.ranks = column(run.ranks for run in runs)
        self.requests = column(run.requests for run in runs)

    def predict(self, constants: Constants) -> Any:
        """Time to the first token, time between tokens, tokens a second of each run."""
        rank, each = self.workers.with_constants(constants), self.requests / self.ranks
        busy = np.minimum(each, 1.0)
        if self.mode == "closed":
            service = closed_loop(rank, np.maximum(each, 1.0))
        elif self.mode == "burst":
            limits = column(run.case.load.concurrency or run.requests for run in self.runs)
            service = burst(rank, np.maximum(each, 1.0), np.maximum(limits / self.ranks, 1.0))
        elif self.mode == "open":
            service, most = open_loop(rank, each)
            busy = 1.0
            for run, over in zip(self.runs, each > most, strict=True):
                run.regime = "overloaded" if over else "arrivals"
        else:
            assert self.prompts is not None
            tokens = column(run.case.load.input_tokens for run in self.runs)
            handover = Handover(tokens, constants.of("split_wait", "all"), network_bytes_per_s(constants))
            service = split_loop(rank, self.ranks, self.prompts.with_constants(constants), self.prompt_ranks, self.requests, handover)
            busy = 1.0
        rate, size = service.output_tokens_per_s * self.ranks * busy, len(self.runs)
        return np.stack([np.broadcast_to(value, size) for value in (service.ttft_s, service.tpot_s, rate)], axis=1)


class Data:
    """All runs, by kind of load."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        modes = sorted({run.mode for run in runs})
        self.rows = [[number for number, run in enumerate(runs) if run.mode == mode] for mode in modes]
        self.batches = [Batch([runs[number] for number in rows]) for rows in self.rows]
        self.measured = np.array([run.measured for run in runs])
        counts = Counter(run.curve for run in runs)
        curves = Counter(owner for owner, *_ in counts)
        self.weights = column(_weight(run) * (counts[run.curve] * curves[run.owner] ** OWNER) ** -0.5 for run in runs)

    def predict(self, values: Mapping[str, float]) -> Any:
        found = np.full((len(self.runs), len(QUANTITIES)), np.nan)
        for rows, batch in zip(self.rows, self.batches, strict=True):
            found[rows] = batch.predict(Constants(values))
        return found

    def errors(self, values: Mapping[str, float]) -> Any:
        with np.errstate(all="ignore"):
            found = np.log(self.predict(values) / self.measured)
        return np.where(np.isfinite(found), found, 0.0)


def _weight(run: Run) -> float:
    weight = CONFIDENCE.get(str(run.row["confidence"]), 0.0)
    return weight * (0.55 if run.mode == "burst" else 0.25 if run.mode == "split" else 1.0)
