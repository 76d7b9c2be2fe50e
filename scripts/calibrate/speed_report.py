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
    """One line for each quantity: errors of aggregated runs of high confidence."""
    errors = predicted / np.array([run.measured for run in runs]) - 1
    scored = column(run.row["confidence"] == "high" and not run.row["disaggregated"] for run in runs) > 0
    return [f"{name:20s} {line(errors[scored, number])}" for number, name in enumerate(QUANTITIES)]


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
