#!/usr/bin/env python3
"""Fit the constants of speed anew from measured runs, and print the errors with groups of model, GPU and engine left out.

    scripts/calibrate/speed.py CASES.jsonl [--folds 7] [--write]

CASES.jsonl has the format that ``gpusizer validate`` reads. Constants start from the priors that stand beside them; a regularised, robust
least-squares fit (Gauss-Newton on logarithms) moves them. A group of one model, GPU and engine counts for less than its number of rows; runs of low
confidence count for nothing. Groups are left out by one more Newton step without their residuals, so that the whole takes minutes. Bands are
quantiles of the errors that left-out groups had. ``--write`` writes ``performance/constants.toml`` whole. Needs NumPy.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import exp, inf, isfinite, log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from constants_file import updated, written
from speed_report import QUANTITIES, column, coverage, report, scores

from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.performance.batch import columns, rows_of
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.constants import FILE, Constant, Constants, ConstantTable, Measured, about_constants, constant_tables, speed_constants
from gpusizer.performance.device_speeds import engine_family, generation
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.predict import engine_state, served_rank, set_up
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.serving import burst, closed_loop, open_loop
from gpusizer.performance.split_serving import Handover, split_loop
from gpusizer.performance.step_speeds import speeds_of
from gpusizer.performance.step_work import Parallelism, bulk_storages
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case

WEIGHTS = (0.9, 0.8, 0.9)
SCALE = 0.15  # an error of 15 % counts as one standard deviation
CHORDS = 12  # steps with the same slopes
OWNER = 0.35  # curves of one owner count as so many: their number to one less this
ROBUST = (0.3, 0.12, 0.15)  # errors beyond this (in logarithms) count ever less
REGIMES = ("steady", "saturated", "burst", "arrivals", "overloaded", "disaggregated")
FEWEST, FEW_RUNS, FEW_OWNERS, MANY_RUNS = 12, 40, 2, 20  # runs or owners below which nothing is said apart
NOTHING = 1e-6
CONFIDENCE = {"high": 1.0, "medium": 0.25}


def priors() -> dict[str, tuple[float, float]]:
    """Every constant that is fitted, with its value and spread before the fit."""
    found = {}
    for table in constant_tables():
        for each in table.constants:
            if each.prior is not None and each.prior_spread is not None:
                found[each.name] = (each.prior, each.prior_spread)
    return found


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
            work.head.storage,
        )
        latents = tuple(one.layers for one in work.attention if one.latent)
        flags = (
            deployment.flags.get("stream_interval"),
            deployment.flags.get("scheduler_recv_interval"),
            deployment.speculative_tokens,
            load.acceptance,
        )
        state = engine_state(deployment, self.case.date, self.case.host)
        return self.case.accelerator.id, state, Parallelism.of(deployment.layout), kinds, work.kernels, latents, flags

    def with_constants(self, constants: Constants) -> ServedRank:
        """The rank with other constants."""
        deployment, work = self.fit.deployment, self.rank.work
        state, cut = engine_state(deployment, self.case.date, self.case.host), Parallelism.of(deployment.layout)
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


def residuals(data: Data, values: Mapping[str, float]) -> Any:
    found = []
    errors = data.errors(values)
    for number, (weight, bend) in enumerate(zip(WEIGHTS, ROBUST, strict=True)):
        error = errors[:, number]
        soft = np.sign(error) * bend * np.sqrt(np.log1p((error / bend) ** 2))  # Cauchy: what lies far off pulls no more
        found.append(soft * data.weights * weight / SCALE)
    return np.concatenate(found)


@dataclass
class Fitted:
    """Constants, and what the last step of the fit knew: enough to tell how they move when some runs are left out."""

    names: list[str]
    values: dict[str, float]
    rows: dict[str, int]  # that bear on a constant
    vector: Any  # logarithms of the constants over their priors, in spreads
    residuals: Any
    jacobian: Any

    def at(self, vector: Any) -> dict[str, float]:
        known = priors()
        return {**self.values, **{name: known[name][0] * exp(value * known[name][1]) for name, value in zip(self.names, vector, strict=True)}}

    def matrix(self, rows: Any) -> Any:
        """Curvature of the sum of squares over some residuals, priors included."""
        return self.jacobian[rows].T @ self.jacobian[rows] + np.eye(len(self.names))

    @property
    def errors(self) -> dict[str, float]:
        """Standard deviations of the logarithms after the fit."""
        deviations = np.sqrt(np.diag(np.linalg.inv(self.matrix(np.ones(len(self.residuals), bool)))))
        known = priors()
        return {name: float(each * known[name][1]) for name, each in zip(self.names, deviations, strict=True)}


def slopes(data: Data, found: Fitted, current: Any) -> Any:
    """How the residuals move with each constant."""
    return np.stack([(residuals(data, found.at(found.vector + 0.05 * unit)) - current) / 0.05 for unit in np.eye(len(found.names))], axis=1)


def settle(data: Data, found: Fitted, kept: Any, steps: int = CHORDS) -> Fitted:
    """Gauss-Newton on the residuals that are kept, with the slopes that are known, until nothing moves."""
    jacobian, vector = found.jacobian[kept], found.vector
    current = residuals(data, found.at(vector))[kept]
    matrix = jacobian.T @ jacobian + np.eye(len(vector))
    size = current @ current + vector @ vector
    for _ in range(steps):
        move = np.clip(-np.linalg.solve(matrix, jacobian.T @ current + vector), -1.5, 1.5)
        for share in (1.0, 0.5, 0.25):
            tried = residuals(data, found.at(vector + share * move))[kept]
            after = tried @ tried + (vector + share * move) @ (vector + share * move)
            if after < size:
                break
        if after > size * (1 - 1e-4):
            break
        vector, current, size = vector + share * move, tried, after
    return replace(found, vector=vector, values=found.at(vector), residuals=residuals(data, found.at(vector)))


def fit(data: Data, start: Mapping[str, float], steps: int) -> Fitted:
    """Gauss-Newton on the logarithms of the constants, in units of their spread before the fit; slopes are taken anew a few times."""
    known = priors()
    given = {name: value for name, value in speed_constants().values.items() if name not in known}
    values = given | {name: start.get(name, value) for name, (value, _) in known.items()}
    base = data.errors(values)
    rows = {}
    for name in known:
        moved = np.abs(data.errors({**values, name: values[name] * 1.05}) - base)
        rows[name] = int((np.nanmax(moved, axis=1) > NOTHING).sum())
    names = [name for name in known if rows[name]]
    values |= {name: known[name][0] for name in known if not rows[name]}  # nothing bears on them
    vector = column(log(values[name] / known[name][0]) / known[name][1] for name in names)
    found = Fitted(names, values, rows, vector, np.zeros(0), np.zeros((0, len(names))))
    everything = np.ones(len(data.runs) * len(QUANTITIES), bool)
    for step in range(steps):
        current = residuals(data, found.at(found.vector))
        before = current @ current + found.vector @ found.vector
        found = settle(data, replace(found, residuals=current, jacobian=slopes(data, found, current)), everything)
        after = found.residuals @ found.residuals + found.vector @ found.vector
        print(f"  step {step}: {before:.1f} -> {after:.1f}", flush=True)
        if before - after < 2e-3 * before:
            break
    return found


def left_out(data: Data, fitted: Fitted, part: Callable[[Run], int]) -> Any:
    """Predictions of each run by constants that never saw its part."""
    parts = np.array([part(run) for run in data.runs])
    seen, found = np.tile(parts, len(QUANTITIES)), np.full((len(parts), len(QUANTITIES)), np.nan)
    for number in sorted(set(parts)):
        rows = parts == number
        found[rows] = data.predict(settle(data, fitted, seen != number).values)[rows]
    return found


def in_folds(runs: Sequence[Run], key: Callable[[Run], Any], folds: int) -> Callable[[Run], int]:
    """Which fold a run belongs to: runs of one key together."""
    keys = sorted({key(run) for run in runs})
    random.Random(4).shuffle(keys)
    number = {each: place % folds for place, each in enumerate(keys)}
    return lambda run: number[key(run)]


def regime_of(run: Run) -> str:
    """Of whose band a run is: as :func:`gpusizer.performance.predict.conclude` tells them apart."""
    if run.mode != "closed":
        return {"burst": "burst", "open": run.regime, "split": "disaggregated"}[run.mode]
    if run.case.load.concurrency == inf or run.requests / run.ranks > run.worker.rank.traffic.places:
        return "saturated"
    return "steady"


class Band(NamedTuple):
    """Measured over predicted: the ends that hold nine of ten, and how many runs and owners say so."""

    low: float
    high: float
    runs: int
    owners: int


def bands(runs: Sequence[Run], predicted: Any) -> dict[str, Band]:
    """Bands by quantity and regime, and by engine where enough runs of several owners say so, from errors of owners that were left out.

    An owner counts for the square root of its runs: many runs of one set-up are wrong together.
    """
    measured = np.array([run.measured for run in runs])
    for row, run in enumerate(runs):  # a fixed concurrency gives the rate by Little's law
        if run.mode in ("closed", "split") and not np.isfinite(measured[row, 2]):
            seconds = measured[row, 0] + (run.case.load.output_tokens - 1) * measured[row, 1]
            measured[row, 2] = run.requests * run.case.load.output_tokens / seconds
    ratio = np.log(measured / predicted)
    kinds = [(regime_of(run), engine_family(run.case.deployment.engine)) for run in runs]
    found: dict[str, Band] = {}
    for kind in sorted({*kinds, *((regime, "") for regime in REGIMES)}):
        for number, name in enumerate(("ttft", "tpot", "rate")):
            rows = [row for row, each in enumerate(kinds) if each == kind or (not kind[1] and each[0] == kind[0])]
            rows = [row for row in rows if np.isfinite(ratio[row, number]) and runs[row].row["confidence"] in CONFIDENCE]
            owners = Counter(runs[row].owner for row in rows)
            if kind[1] and (len(rows) < FEW_RUNS or len(owners) < FEW_OWNERS):
                continue
            if len(rows) < FEWEST:  # too few to tell: those of all regimes
                rows = [row for row in range(len(runs)) if np.isfinite(ratio[row, number])]
                owners = Counter(runs[row].owner for row in rows)
            weights = column(owners[runs[row].owner] ** -0.5 for row in rows)
            low, high = (quantile(ratio[rows, number], weights, share) for share in (0.05, 0.95))
            found[".".join(filter(None, (name, *kind)))] = Band(exp(min(low, -0.05)), exp(max(high, 0.05)), len(rows), len(owners))
    return found


def bands_of(run: Run, found: Mapping[str, Band]) -> list[Band]:
    """Those of a run, by quantity."""
    regime, family = regime_of(run), engine_family(run.case.deployment.engine)
    return [found.get(f"{name}.{regime}.{family}", found[f"{name}.{regime}"]) for name in ("ttft", "tpot", "rate")]


def quantile(values: Any, weights: Any, share: float) -> float:
    """The value that so much of the weight lies below."""
    order = np.argsort(values)
    places = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return float(np.interp(share, places, values[order]))


def bearing(runs: Sequence[Run], data: Data, values: Mapping[str, float], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Constant -> runs and owners that it bears on."""
    base = data.errors(values)
    found = {}
    for name in names:
        moved = np.nanmax(np.abs(data.errors({**values, name: values[name] * 1.05}) - base), axis=1) > NOTHING
        found[name] = int(moved.sum()), len({run.owner for run, bears in zip(runs, moved, strict=True) if bears})
    return found


def measured_by(runs: Sequence[Run]) -> Measured:
    """Owners of measurements by generation and storage class, and by engine."""
    devices: dict[str, set[str]] = {}
    engines: dict[str, set[str]] = {}
    for run in runs:
        for storage in bulk_storages(run.worker.rank.work):
            devices.setdefault(f"{generation(run.case.accelerator)}.{storage}", set()).add(run.owner)
        engines.setdefault(engine_family(run.case.deployment.engine), set()).add(run.owner)
    return Measured(*({name: len(owners) for name, owners in each.items()} for each in (devices, engines)))


def as_file(fitted: Fitted, bears: Mapping[str, tuple[int, int]], found: Mapping[str, Band], runs: Sequence[Run], lines: Sequence[str]) -> str:
    """The file of constants, whole."""
    errors = fitted.errors
    known = {
        name: Constant(name, fitted.values[name], *bears.get(name, (0, 0)), errors.get(name, spread), value, spread)
        for name, (value, spread) in priors().items()
    }
    tables = [table for table in updated(constant_tables(), known) if not table.constants[0].name.startswith("band_")]
    for side, words, end in (("low", "5th", 0), ("high", "95th", 1)):
        comment = f"Measured over predicted of owners left out: the {words} of a hundred, by quantity, regime and engine."
        rows = tuple(Constant(f"band_{side}.{name}", band[end], band.runs, band.owners) for name, band in found.items())
        tables.append(ConstantTable("CALIBRATED: bands", "factor", "calibrated", comment, rows))
    record = {"date": date.today().isoformat(), "runs": len(runs), "groups": len({run.group for run in runs}), "errors": lines}
    return written(about_constants(), record, measured_by(runs), tables)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the constants of speed.")
    parser.add_argument("cases", type=Path, nargs="+")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="start from the priors rather than from the constants in use")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    texts = [text for path in options.cases for text in path.read_text(encoding="utf-8").splitlines() if text.strip()]
    runs = [run for run in (run_of(json.loads(text)) for text in texts) if run and run.row["confidence"] in CONFIDENCE]
    data = Data(runs)
    fitted = fit(data, {} if options.fresh else speed_constants().values, options.steps)
    known = priors()
    many = {owner: number for number, (owner, count) in enumerate(Counter(run.owner for run in runs).most_common()) if count >= MANY_RUNS}
    parts = {
        "group left out": in_folds(runs, lambda run: run.group, options.folds),
        "engine and GPU left out": in_folds(runs, lambda run: run.group[1:], options.folds),
        "owner left out": lambda run: many.get(run.owner, len(many)),
    }
    predicted = {"priors alone": data.predict({**fitted.values, **{name: value for name, (value, _) in known.items()}})}
    predicted |= {"in sample": data.predict(fitted.values)} | {title: left_out(data, fitted, part) for title, part in parts.items()}
    lines = [f"{title}: {text}" for title, each in predicted.items() for text in scores(runs, each)]
    print("\n".join(lines))
    report(runs, predicted["in sample"], "fitted on all")
    found = bands(runs, predicted["owner left out"])
    coverage(
        runs,
        predicted["owner left out"],
        [
            [found.get(f"{name}.{'.'.join(kind)}", found[f"{name}.{kind[0]}"]) for name in ("ttft", "tpot", "rate")]
            for kind in ((regime_of(run), engine_family(run.case.deployment.engine)) for run in runs)
        ],
    )
    if options.write:
        FILE.write_text(as_file(fitted, bearing(runs, data, fitted.values, known), found, runs, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
