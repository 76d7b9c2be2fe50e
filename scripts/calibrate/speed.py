#!/usr/bin/env python3
"""Fit the constants of speed anew from measured runs, and print the errors of what was left out: groups, engine and GPU, owners.

    scripts/calibrate/speed.py CASES.jsonl [CASES.jsonl ...] [--fresh] [--folds 7] [--write]

The files have the format that ``gpusizer validate`` reads. Constants start from the priors that stand beside them; a regularised, robust
least-squares fit (Gauss-Newton on logarithms) moves them. A curve (runs that differ in the load alone) has one voice, and an owner few more than one;
runs of low confidence count for nothing. What is left out is fitted anew without it, from the slopes of the whole fit until nothing moves, so that
all takes minutes. Bands are quantiles of the errors that left-out owners had. ``--write`` writes ``performance/constants.toml`` whole. Needs NumPy.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
from constants_file import updated, written
from speed_bands import Band, bands, bands_of
from speed_report import QUANTITIES, column, coverage, medians, report, scores
from speed_runs import CONFIDENCE, Data, Run, run_of

from gpusizer.performance.constants import FILE, Constant, ConstantTable, Measured, about_constants, constant_tables, speed_constants
from gpusizer.performance.device_speeds import engine_family, generation
from gpusizer.performance.step_work import bulk_storages

WEIGHTS = (0.9, 0.8, 0.9)
SCALE = 0.1  # an error of 10 % counts as one standard deviation
# Of steps the runs say little that holds elsewhere: owners that were left out are predicted best with their constants held ten times harder.
HARDER = 10.0
LOOSE = (
    *("admission_s", "eager_s", "latent_kernels", "latent_s", "age.prompt", "age.blocks", "first_burst", "dp_wait", "stream_s", "request_s"),
    *("short_answer_weight", "long_answer_weight", "desynchronisation", "split_wait", "sequence_s", "step_s", "acceptance", "attention.prompt"),
    "products_blocks",
)
SHARES = (1.0, 0.5, 0.25, 0.1, 0.03)  # of a step that are tried
CHORDS = 30  # steps with the same slopes
ROBUST = (0.3, 0.12, 0.15)  # errors beyond this (in logarithms) count ever less
MANY_RUNS = 20  # of an owner that is left out alone
NOTHING = 1e-6


def priors() -> dict[str, tuple[float, float]]:
    """Every constant that is fitted, with its value and spread before the fit."""
    found = {}
    for table in constant_tables():
        for each in table.constants:
            if each.prior is not None and each.prior_spread is not None:
                found[each.name] = (each.prior, each.prior_spread)
    return found


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

    @property
    def errors(self) -> dict[str, float]:
        """Standard deviations of the logarithms after the fit: what runs and priors say, however hard a constant was held."""
        deviations = np.sqrt(np.diag(np.linalg.inv(self.jacobian.T @ self.jacobian + np.eye(len(self.names)))))
        known = priors()
        return {name: float(each * known[name][1]) for name, each in zip(self.names, deviations, strict=True)}


def penalties(names: Sequence[str]) -> Any:
    """How hard each constant is held to its prior."""
    return column(1.0 if name.startswith(LOOSE) else HARDER for name in names)


def slopes(data: Data, found: Fitted, current: Any) -> Any:
    """How the residuals move with each constant."""
    return np.stack([(residuals(data, found.at(found.vector + 0.05 * unit)) - current) / 0.05 for unit in np.eye(len(found.names))], axis=1)


def settle(data: Data, found: Fitted, kept: Any, steps: int = CHORDS) -> Fitted:
    """Gauss-Newton on the residuals that are kept, with the slopes that are known, until nothing moves."""
    jacobian, vector = found.jacobian[kept], found.vector
    current = residuals(data, found.at(vector))[kept]
    held = penalties(found.names)
    matrix = jacobian.T @ jacobian + np.diag(held)
    size = current @ current + held @ vector**2
    for _ in range(steps):
        move = np.clip(-np.linalg.solve(matrix, jacobian.T @ current + held * vector), -1.5, 1.5)
        for share in SHARES:
            tried = residuals(data, found.at(vector + share * move))[kept]
            after = tried @ tried + held @ (vector + share * move) ** 2
            if after < size:
                break
        if after > size * (1 - 1e-6):
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
        before = current @ current + penalties(names) @ found.vector**2
        found = settle(data, replace(found, residuals=current, jacobian=slopes(data, found, current)), everything)
        after = found.residuals @ found.residuals + penalties(names) @ found.vector**2
        print(f"  step {step}: {before:.1f} -> {after:.1f}", flush=True)
        if before - after < 2e-3 * before:
            break
    return replace(found, jacobian=slopes(data, found, residuals(data, found.at(found.vector))))


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


def as_file(
    fitted: Fitted,
    bears: Mapping[str, tuple[int, int]],
    found: Mapping[str, Band],
    runs: Sequence[Run],
    lines: Sequence[str],
    unseen: Mapping[str, float],
) -> str:
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
    counts = {"runs": len(runs), "groups": len({run.group for run in runs}), "owners": len({run.owner for run in runs})}
    record = {"date": date.today().isoformat(), **counts, "unseen": unseen, "errors": lines}
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
    coverage(runs, predicted["owner left out"], [bands_of(run, found) for run in runs])
    if options.write:
        bears, unseen = bearing(runs, data, fitted.values, known), medians(runs, predicted["owner left out"])
        FILE.write_text(as_file(fitted, bears, found, runs, lines, unseen), encoding="utf-8")


if __name__ == "__main__":
    main()
