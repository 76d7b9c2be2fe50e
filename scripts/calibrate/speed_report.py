#!/usr/bin/env python3
"""Errors of predicted against measured speeds, as lines of text: by quantity, device, engine and model, and the order of layouts.

    scripts/calibrate/speed_report.py CASES.jsonl

Prints them with the constants in use; ``speed.py`` prints them with groups left out as well. Needs NumPy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpusizer.performance.device_speeds import speed_known
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of
from gpusizer.validation.speed_load import LARGE_BURST

QUANTITIES = ("ttft_s", "tpot_s", "output_tokens_per_s")


def column(values: Iterable[float]) -> Any:
    return np.array(list(values), float)


def line(errors: Any) -> str:
    errors = errors[np.isfinite(errors)]
    if not len(errors):
        return "-"
    size = np.abs(errors)
    values = (np.median(size), size.mean(), np.quantile(size, 0.9), np.median(errors))
    return f"n {len(errors):4d}  median {values[0]:6.1%}  mean {values[1]:6.1%}  P90 {values[2]:6.1%}  bias {values[3]:+6.1%}"


def report(runs: Sequence[Any], predicted: Any, title: str) -> None:
    measured = np.array([run.measured for run in runs])
    errors = predicted / measured - 1
    scored = column(run.row["confidence"] == "high" and not run.row["disaggregated"] for run in runs) > 0
    print(f"\n{title}")
    for number, name in enumerate(QUANTITIES):
        print(f"  {name:20s} high, aggregated: {line(errors[scored, number])}")
        print(f"  {'':20s} all:              {line(errors[:, number])}")
    for label, key in (("gpu", 1), ("engine", 2), ("model", 0)):
        for value in sorted({run.group[key] for run in runs}):
            rows = column(run.group[key] == value for run in runs) > 0
            rows &= scored
            if np.isfinite(errors[rows]).sum(axis=0).max(initial=0) >= 20:
                print(f"  {label} {value}: " + "; ".join(f"{name} {line(errors[rows, number])}" for number, name in enumerate(QUANTITIES)))


def ranks_of(values: Any) -> Any:
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def ranking(runs: Sequence[Any], predicted: Any) -> None:
    """Spearman's correlation of predicted and measured within one model, GPU and pair of lengths."""
    measured = np.array([run.measured for run in runs])
    for number, name in enumerate(QUANTITIES):
        groups: dict[Any, list[int]] = {}
        for index, run in enumerate(runs):
            if np.isfinite(measured[index, number]) and run.row["confidence"] == "high" and not run.row["disaggregated"]:
                groups.setdefault((*run.group[:2], run.row["isl"], run.row["osl"]), []).append(index)
        found = []
        for rows in groups.values():
            pair = ranks_of(predicted[rows, number]), ranks_of(measured[rows, number])
            if len(rows) >= 4 and min(each.std() for each in pair) > 0:
                found.append(float(np.corrcoef(*pair)[0, 1]))
        if found:
            print(f"  ranking {name}: median Spearman {np.median(found):.3f} in {len(found)} groups")


def scores(runs: Sequence[Any], predicted: Any) -> list[str]:
    """Two lines for each quantity, large bursts and the rest apart: over all runs, and with one voice for each owner."""
    errors = predicted / np.array([run.measured for run in runs]) - 1
    found = []
    for title, burst in (("", False), ("large bursts", True)):
        rows = column(((run.case.load.burst or 0) >= LARGE_BURST) == burst for run in runs) > 0
        for number, name in enumerate(QUANTITIES):
            owners: dict[str, list[float]] = {}
            for run, error, chosen in zip(runs, errors[:, number], rows, strict=True):
                if chosen and np.isfinite(error):
                    owners.setdefault(run.owner, []).append(abs(float(error)))
            voices = [float(np.median(each)) for each in owners.values()]
            voice = f"  owners {np.median(voices):6.1%} of {len(voices)}" if voices else ""
            found.append(f"{name:20s} {title:12s} {line(errors[rows, number])}{voice}")
    return found


def medians(runs: Sequence[Any], predicted: Any) -> dict[str, float]:
    """Median error by quantity, large bursts left out."""
    errors = np.abs(predicted / np.array([run.measured for run in runs]) - 1)
    rows = column((run.case.load.burst or 0) < LARGE_BURST for run in runs) > 0
    return {name: float(np.nanmedian(errors[rows, number])) for number, name in enumerate(QUANTITIES)}


def coverage(runs: Sequence[Any], predicted: Any, found: Sequence[Sequence[Any]]) -> None:
    """How many measured values lie in their band, by owner with twenty of them."""
    ratio = np.array([run.measured for run in runs]) / predicted
    inside = (np.array([[band.low for band in row] for row in found]) <= ratio) & (ratio <= np.array([[band.high for band in row] for row in found]))
    for owner in sorted({run.owner for run in runs}):
        rows = column(run.owner == owner for run in runs) > 0
        told = [(name, inside[rows, number][np.isfinite(ratio[rows, number])]) for number, name in enumerate(QUANTITIES)]
        if any(len(each) >= 20 for _, each in told):
            print(f"  inside, {owner}: " + "; ".join(f"{name} {each.mean():.0%} of {len(each)}" for name, each in told if len(each) >= 20))


@dataclass(frozen=True)
class Scored:
    """A measured run beside what is predicted of it."""

    row: Mapping[str, Any]
    measured: tuple[float, ...]

    @property
    def group(self) -> tuple[str, str, str]:
        return str(self.row["model"]), str(self.row["gpu"]), str(self.row["engine"])


def main(path: str) -> None:
    """Print the errors of the constants in use."""
    runs, predicted = [], []
    for text in Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(text) if text.strip() else {}
        case = performance_case(row)
        if isinstance(case, PerformanceCase) and speed_known(case.accelerator):
            speed, measured = speed_of(case), measured_performance(row)
            runs.append(Scored(row, tuple(measured.get(name, np.nan) for name in QUANTITIES)))
            predicted.append([getattr(speed, name).value for name in QUANTITIES])
    report(runs, np.array(predicted), "constants in use")
    ranking(runs, np.array(predicted))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/calibrate/speed_report.py CASES.jsonl")
    main(sys.argv[1])
