#!/usr/bin/env python3
"""Fit the constants of speed anew from measured runs, and print the errors with groups of model, GPU and engine left out.

    scripts/calibrate_speed.py CASES.jsonl [--folds 7] [--write]

CASES.jsonl has the format that ``gpusizer validate`` reads. Constants start from ``speed_priors.py``; a regularised, robust least-squares fit
(Gauss-Newton on logarithms) moves them. A group of one model, GPU and engine counts for less than its number of rows; runs of low confidence count
for nothing. Groups are left out by one more Newton step without their residuals, so that the whole takes two minutes. Bands are quantiles of the
errors that left-out groups had. ``--write`` writes ``performance/constants.py``. Needs NumPy.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from math import exp, inf, isfinite, log
from pathlib import Path
from typing import Any

import numpy as np
from speed_priors import priors
from speed_report import QUANTITIES, column, ranking, report, scores

from gpusizer.engines.base.types import Deployment
from gpusizer.performance import constants as speed_calibration
from gpusizer.performance.concurrency import engine_fit
from gpusizer.performance.predict import age_years, traffic_of
from gpusizer.performance.serving import Traffic, burst, closed_loop, open_loop
from gpusizer.performance.split_serving import split_loop
from gpusizer.performance.step_speeds import speeds_of
from gpusizer.performance.step_time import ClassSpeed, Speeds
from gpusizer.performance.step_work import Attend, Cut, Experts, Linear, Work, latent_layers, step_work
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case

WEIGHTS = (0.45, 1.3, 0.9)
SCALE = 0.1  # an error of 10 % counts as one standard deviation
ROBUST = (0.25, 0.1, 0.12)  # errors beyond this (in logarithms) count linearly
CONFIDENCE = {"high": 1.0, "medium": 0.25}
NO_LINEAR = Linear("16", 0.0, 0.0)
NO_EXPERTS = Experts("16", 0.0, 1.0, 0.0, 0.0, 0.0)
NO_SPEED = ClassSpeed(1.0, 1.0, 1.0, 1.0)
KINDS = ("latent", "attention", "state")


@dataclass
class Run:
    """One measured run: what was run, what it must do, what was measured."""

    row: Mapping[str, Any]
    case: PerformanceCase
    measured: tuple[float, ...]
    mode: str
    traffic: Traffic
    requests: float
    regime: str = "arrivals"

    @property
    def group(self) -> tuple[str, str, str]:
        return str(self.row["model"]), str(self.row["gpu"]), str(self.row["engine"])


def run_of(row: Mapping[str, Any], theta: Mapping[str, float]) -> Run | None:
    case = performance_case(row)
    if not isinstance(case, PerformanceCase):
        print("refused:", row["id"], case.code)
        return None
    load, deployment = case.load, case.deployment
    measured = measured_performance(row)
    work = step_work(case.architecture, cut_of(deployment), cache_element_bytes=element_bytes(deployment))
    traffic = traffic_of(work, case.accelerator, deployment, load, engine_fit(case.architecture, case.accelerator, deployment, load), theta)
    ranks = deployment.dp * case.replicas
    mode = "split" if case.prefill else "burst" if load.burst else "open" if load.request_rate_per_s else "closed"
    wanted = load.burst or load.request_rate_per_s or load.concurrency or 1.0
    requests = wanted if isfinite(wanted) else traffic.slots * ranks
    return Run(row, case, tuple(measured.get(name, np.nan) for name in QUANTITIES), mode, traffic, requests)


def cut_of(deployment: Deployment) -> Cut:
    return Cut(deployment.tp, deployment.dp, deployment.ep, deployment.pp)


def element_bytes(deployment: Deployment) -> float:
    return 1.0 if deployment.kv_precision == "fp8" else 2.0


def stacked(parts: Sequence[Any], skip: str) -> dict[str, Any]:
    return {each.name: column(getattr(part, each.name) for part in parts) for each in fields(parts[0]) if each.name != skip}


def picked(value: Any, rows: Any) -> Any:
    """The same structure with some rows of every column."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{each.name: picked(getattr(value, each.name), rows) for each in fields(value)})
    if isinstance(value, tuple):
        return tuple(picked(each, rows) for each in value)
    return value[rows] if isinstance(value, np.ndarray) else value


class Side:
    """The works of many runs as columns, and their speeds under any constants."""

    def __init__(self, cases: Sequence[tuple[PerformanceCase, Deployment]]) -> None:
        self.cases = cases
        self.works = [step_work(case.architecture, cut_of(each), cache_element_bytes=element_bytes(each)) for case, each in cases]
        self.linears = max(len(work.linears) for work in self.works)
        self.experts = max(len(work.experts) for work in self.works)
        self.work = self._work()
        keys: dict[Any, int] = {}
        self.index = [keys.setdefault(self._key(case, each, work), len(keys)) for (case, each), work in zip(cases, self.works, strict=True)]
        self.first = [self.index.index(number) for number in range(len(keys))]

    def _key(self, case: PerformanceCase, each: Deployment, work: Work) -> Any:
        kinds = tuple(linear.storage for linear in work.linears), tuple((block.storage, block.top_k) for block in work.experts), work.head.storage
        return case.accelerator.id, each.engine, cut_of(each), age_years(each), each.kv_precision, kinds, work.kernels, latent_layers(work)

    def _work(self) -> Work:
        def slot(name: str, number: int, empty: Any) -> list[Any]:
            return [getattr(work, name)[number] if number < len(getattr(work, name)) else empty for work in self.works]

        linears = tuple(Linear(storage="", **stacked(slot("linears", number, NO_LINEAR), "storage")) for number in range(self.linears))
        experts = tuple(Experts(storage="", **stacked(slot("experts", number, NO_EXPERTS), "storage")) for number in range(self.experts))
        attends: list[Attend] = []
        for kind in KINDS:
            own = [[one for one in work.attends if one.kind == kind] for work in self.works]
            for number in range(max(len(each) for each in own)):
                empty = Attend(kind, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
                chosen = [each[number] if number < len(each) else empty for each in own]
                attends.append(Attend(kind=kind, **stacked(chosen, "kind")))
        names = ("layers", "expert_layers", "kernels", "quantised_products", "hidden_size", "draft_share")
        rest = {name: column(getattr(work, name) for work in self.works) for name in names}
        head = Linear(storage="", **stacked([work.head for work in self.works], "storage"))
        return Work(linears, head, experts, tuple(attends), **rest)

    def speeds(self, theta: Mapping[str, float]) -> Speeds:
        found = []
        for number in self.first:
            case, each = self.cases[number]
            bits = element_bytes(each) * 8
            found.append(
                speeds_of(self.works[number], case.accelerator, each.engine, cut_of(each), age_years=age_years(each), cache_bits=bits, theta=theta)
            )

        def many(name: str, count: int) -> tuple[ClassSpeed, ...]:
            slots = [[getattr(one, name)[number] if number < len(getattr(one, name)) else NO_SPEED for one in found] for number in range(count)]
            return tuple(picked(ClassSpeed(**stacked(slot, "")), self.index) for slot in slots)

        rest = {
            each.name: column(getattr(one, each.name) for one in found)[self.index]
            for each in fields(Speeds)
            if each.name not in ("linears", "experts", "head")
        }
        head = picked(ClassSpeed(**stacked([one.head for one in found], "")), self.index)
        return Speeds(linears=many("linears", self.linears), experts=many("experts", self.experts), head=head, **rest)


class Batch:
    """Runs of one kind of load, predicted together."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.mode = runs, runs[0].mode
        self.side = Side([(run.case, run.case.deployment) for run in runs])
        self.ahead = Side([(run.case, run.case.prefill.deployment) for run in runs if run.case.prefill]) if self.mode == "split" else None
        self.ranks = column(run.case.deployment.dp * run.case.replicas for run in runs)
        self.requests = column(run.requests for run in runs)
        self.static = stacked([run.traffic for run in runs], "")

    def traffic(self, theta: Mapping[str, float]) -> Traffic:
        """What depends on constants is computed anew; rooms and budgets stay."""
        fresh: dict[Any, Traffic] = {}
        rows = []
        for run, work in zip(self.runs, self.side.works, strict=True):
            deployment, load = run.case.deployment, run.case.load
            key = (
                deployment.engine,
                deployment.dp,
                deployment.flags.get("stream-interval"),
                deployment.speculative_tokens,
                latent_layers(work),
                load.first_burst_share,
                load.acceptance,
            )
            if key not in fresh:
                fresh[key] = traffic_of(work, run.case.accelerator, deployment, load, None, theta, slots=1.0)
            rows.append(fresh[key])
        changing = (
            "tokens_per_step",
            "front_s",
            "first_burst_share",
            "drift",
            "short_answers",
            "long_answers",
            "request_s",
            "waited_steps",
            "stream_s",
        )
        return Traffic(**{**self.static, **{name: column(getattr(row, name) for row in rows) for name in changing}})

    def predict(self, theta: Mapping[str, float]) -> Any:
        work, speeds, traffic = self.side.work, self.side.speeds(theta), self.traffic(theta)
        each = self.requests / self.ranks
        if self.mode == "closed":
            service = closed_loop(work, speeds, traffic, np.maximum(each, 1.0))
            rate = service.output_tokens_per_s * self.ranks * np.minimum(each, 1.0)
        elif self.mode == "burst":
            service = burst(work, speeds, traffic, np.maximum(each, 1.0))
            rate = service.output_tokens_per_s * np.minimum(self.ranks, self.requests)
        elif self.mode == "open":
            service, most = open_loop(work, speeds, traffic, each)
            for run, over in zip(self.runs, each > most, strict=True):
                run.regime = "overloaded" if over else "arrivals"
            rate = service.output_tokens_per_s * self.ranks
        else:
            assert self.ahead is not None
            prefill = [run.case.prefill for run in self.runs if run.case.prefill]
            ranks = column(side.workers * side.deployment.dp for side in prefill)
            inputs = column(run.case.load.input_tokens for run in self.runs)
            service, rate = split_loop(
                work, speeds, traffic, self.ranks, self.ahead.work, self.ahead.speeds(theta), traffic, ranks, self.requests, inputs,
                theta["split_wait.all"],
            )  # fmt: skip
        size = len(self.runs)
        return np.stack([np.broadcast_to(value, size) for value in (service.ttft_s, service.tpot_s, rate)], axis=1)


class Data:
    """All runs, by kind of load."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        modes = sorted({run.mode for run in runs})
        self.rows = [[number for number, run in enumerate(runs) if run.mode == mode] for mode in modes]
        self.batches = [Batch([runs[number] for number in rows]) for rows in self.rows]
        self.measured = np.array([run.measured for run in runs])
        counts = Counter(run.group for run in runs)
        self.weights = column(_weight(run) * counts[run.group] ** -0.3 for run in runs)

    def predict(self, theta: Mapping[str, float]) -> Any:
        found = np.full((len(self.runs), len(QUANTITIES)), np.nan)
        for rows, batch in zip(self.rows, self.batches, strict=True):
            found[rows] = batch.predict(theta)
        return found

    def errors(self, theta: Mapping[str, float]) -> Any:
        with np.errstate(all="ignore"):
            found = np.log(self.predict(theta) / self.measured)
        return np.where(np.isfinite(found), found, 0.0)


def told(run: Run) -> bool:
    """Whether the case says under what load it ran."""
    return "finite" not in str(run.row.get("request_rate"))


def _weight(run: Run) -> float:
    weight = CONFIDENCE.get(str(run.row["confidence"]), 0.0) * (1.0 if told(run) else 0.3)
    return weight * (0.55 if run.mode == "burst" else 0.25 if run.mode == "split" else 1.0)


def residuals(data: Data, theta: Mapping[str, float]) -> Any:
    found = []
    errors = data.errors(theta)
    for number, (weight, bend) in enumerate(zip(WEIGHTS, ROBUST, strict=True)):
        error = errors[:, number]
        soft = np.sign(error) * bend * np.sqrt(2 * (np.sqrt(1 + (error / bend) ** 2) - 1))
        found.append(soft * data.weights * weight / SCALE)
    return np.concatenate(found)


@dataclass
class Fitted:
    """Constants, and what the last step of the fit knew: enough to tell how they move when some runs are left out."""

    names: list[str]
    theta: dict[str, float]
    rows: dict[str, int]  # that bear on a constant
    vector: Any  # logarithms of the constants over their priors, in spreads
    residuals: Any
    jacobian: Any

    def at(self, vector: Any) -> dict[str, float]:
        known = priors()
        return {**self.theta, **{name: known[name][0] * exp(value * known[name][1]) for name, value in zip(self.names, vector, strict=True)}}

    def matrix(self, rows: Any) -> Any:
        """Curvature of the sum of squares over some residuals, priors included."""
        return self.jacobian[rows].T @ self.jacobian[rows] + np.eye(len(self.names))

    def without(self, rows: Any) -> dict[str, float]:
        """Constants that a fit without these residuals gives: one Newton step from the fit on all."""
        kept = ~rows
        gradient = self.jacobian[kept].T @ self.residuals[kept] + self.vector
        return self.at(self.vector + np.clip(-np.linalg.solve(self.matrix(kept), gradient), -2.0, 2.0))

    @property
    def errors(self) -> dict[str, float]:
        """Standard deviations of the logarithms after the fit."""
        deviations = np.sqrt(np.diag(np.linalg.inv(self.matrix(np.ones(len(self.residuals), bool)))))
        known = priors()
        return {name: float(each * known[name][1]) for name, each in zip(self.names, deviations, strict=True)}


def fit(data: Data, start: Mapping[str, float], steps: int) -> Fitted:
    """Gauss-Newton with Levenberg's damping on the logarithms of the constants, in units of their spread before the fit."""
    known = priors()
    theta = {**{name: value for name, (value, _) in known.items()}, **{name: start[name] for name in known if name in start}}
    base = data.errors(theta)
    rows = {}
    for name in known:
        moved = np.abs(data.errors({**theta, name: theta[name] * 1.05}) - base)
        rows[name] = int((np.nanmax(moved, axis=1) > 1e-6).sum())
    names = [name for name in known if rows[name]]
    theta |= {name: known[name][0] for name in known if not rows[name]}  # nothing bears on them
    vector = column(log(theta[name] / known[name][0]) / known[name][1] for name in names)
    found = Fitted(names, theta, rows, vector, np.zeros(0), np.zeros((0, len(names))))

    def slopes(vector: Any, current: Any) -> Any:
        return np.stack([(residuals(data, found.at(vector + 0.05 * unit)) - current) / 0.05 for unit in np.eye(len(names))], axis=1)

    current, damping = residuals(data, found.at(vector)), 1e-2
    for step in range(steps):
        jacobian = slopes(vector, current)
        matrix, gradient = jacobian.T @ jacobian + np.eye(len(names)), jacobian.T @ current + vector
        before = after = current @ current + vector @ vector
        for _ in range(6):
            move = np.clip(-np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), gradient), -1.5, 1.5)
            tried = residuals(data, found.at(vector + move))
            after = tried @ tried + (vector + move) @ (vector + move)
            if after < before:
                vector, current, damping = vector + move, tried, max(damping / 4, 1e-4)
                break
            damping *= 5
        print(f"  step {step}: {before:.1f} -> {after:.1f}", flush=True)
        if before - after < 1e-3 * before:
            break
    theta = found.at(vector)
    return Fitted(names, theta, rows, vector, current, slopes(vector, current))


def left_out(runs: Sequence[Run], used: Sequence[Run], fitted: Fitted, folds: int) -> Any:
    """Predictions of each run by constants that never saw its group; every group on its own with 0 folds."""
    groups = sorted({run.group for run in runs})
    random.Random(4).shuffle(groups)
    fold = {group: number % (folds or len(groups)) for number, group in enumerate(groups)}
    seen = np.tile([fold[run.group] for run in used], len(QUANTITIES))
    found, data = np.full((len(runs), len(QUANTITIES)), np.nan), Data(runs)
    for number in sorted(set(fold.values())):
        rows = [index for index, run in enumerate(runs) if fold[run.group] == number]
        found[rows] = data.predict(fitted.without(seen == number))[rows]
    return found


def regime_of(run: Run) -> str:
    if run.mode != "closed":
        return {"burst": "burst", "open": run.regime, "split": "disaggregated"}[run.mode]
    if run.case.load.concurrency == inf or run.requests / (run.case.deployment.dp * run.case.replicas) > run.traffic.slots:
        return "saturated"
    return "steady"


def bands(runs: Sequence[Run], predicted: Any) -> dict[str, tuple[float, int]]:
    """Factors that hold nine measured values of ten, by quantity and regime, from left-out errors."""
    measured = np.array([run.measured for run in runs])
    for row, run in enumerate(runs):  # a fixed concurrency gives the rate by Little's law
        if run.mode in ("closed", "split") and not np.isfinite(measured[row, 2]):
            seconds = measured[row, 0] + (run.case.load.output_tokens - 1) * measured[row, 1]
            measured[row, 2] = run.requests * run.case.load.output_tokens / seconds
    ratio = np.log(measured / predicted)
    found: dict[str, tuple[float, int]] = {}
    for regime in ("steady", "saturated", "burst", "arrivals", "overloaded", "disaggregated"):
        rows = column(regime_of(run) == regime and run.row["confidence"] in CONFIDENCE and told(run) for run in runs) > 0
        for number, name in enumerate(("ttft", "tpot", "rate")):
            values = ratio[rows, number]
            values = values[np.isfinite(values)]
            count = len(values)
            if count < 12:  # too few to tell: those of all regimes
                values = ratio[:, number][np.isfinite(ratio[:, number])]
            low, high = np.quantile(values, (0.05, 0.95))
            found[f"band_low.{name}.{regime}"] = (exp(min(low, -0.05)), count)
            found[f"band_high.{name}.{regime}"] = (exp(max(high, 0.05)), count)
    return found


def written(fitted: Fitted, factors: Mapping[str, tuple[float, int]], runs: Sequence[Run], tables: Mapping[str, list[str]]) -> str:
    """The module of constants."""
    source = Path(speed_calibration.__file__).read_text(encoding="utf-8")
    head = source.split("# Fitted on")[0]
    known = priors()
    groups = len({run.group for run in runs})
    lines = [
        f"# Fitted on {date.today().isoformat()} by scripts/calibrate_speed.py: {len(runs)} runs, {groups} groups of model, GPU and engine.",
        "# Aggregated runs of high confidence:",
        *(f"#   {title}: {text}" for title, texts in tables.items() for text in texts),
        "# Constant(value, before the fit, spread before, error after, rows that bear on it)",
        "CONSTANTS: Mapping[str, Constant] = {",
    ]
    for name, (value, spread) in known.items():
        error = fitted.errors.get(name, spread)
        lines.append(f'    "{name}": Constant({fitted.theta[name]:.4g}, {value:.4g}, {spread:.3g}, {error:.2g}, {fitted.rows[name]}),')
    lines.append("    # Measured over predicted of left-out groups: the 5th and the 95th of a hundred, by quantity and regime.")
    lines += [f'    "{name}": Constant({value:.4g}, 1.0, 0.0, 0.0, {count}),' for name, (value, count) in factors.items()]
    return head + "\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the constants of speed.")
    parser.add_argument("cases", type=Path)
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--fresh", action="store_true", help="start from the priors rather than from the constants in use")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    start = {} if options.fresh else {name: each.value for name, each in speed_calibration.CONSTANTS.items()}
    known = {name: value for name, (value, _) in priors().items()}
    lines = [text for text in options.cases.read_text(encoding="utf-8").splitlines() if text.strip()]
    runs = [run for run in (run_of(json.loads(text), {**known, **start}) for text in lines) if run]
    used = [run for run in runs if run.row["confidence"] in CONFIDENCE]
    fitted = fit(Data(used), start, options.steps)
    report(runs, Data(runs).predict(fitted.theta), "fitted on all")
    for name, (value, spread) in priors().items():
        moved = log(fitted.theta[name] / value) / spread
        if abs(moved) > 1.5:
            print(f"  {name} moved {moved:+.1f} spreads: {value:.3g} -> {fitted.theta[name]:.3g}")
    tables = {"in sample": scores(runs, Data(runs).predict(fitted.theta))}
    for folds in (0, options.folds):
        predicted = left_out(runs, used, fitted, folds)
        tables[f"left out in {folds} folds" if folds else "each group left out"] = scores(runs, predicted)
        report(runs, predicted, f"groups left out in {folds} folds" if folds else "every group left out on its own")
        ranking(runs, predicted)
        factors = bands(runs, predicted)
        if options.write and folds:
            Path(speed_calibration.__file__).write_text(written(fitted, factors, used, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
