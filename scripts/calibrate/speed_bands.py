"""Bands of speeds: how far measured runs lay from predictions that had not seen their owner, by quantity, regime and engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, inf
from typing import Any, NamedTuple

import numpy as np
from speed_report import column

from gpusizer.performance.device_speeds import engine_family

REGIMES = ("steady", "saturated", "burst", "arrivals", "overloaded", "disaggregated")
FEWEST, FEW_RUNS, FEW_OWNERS = 12, 40, 2  # runs, and runs and owners of one engine, below which nothing is said apart


def regime_of(run: Any) -> str:
    """Of whose band a run is: as :func:`gpusizer.performance.predict.conclude` tells them apart."""
    if run.mode != "closed":
        return {"burst": "burst", "open": str(run.regime), "split": "disaggregated"}[str(run.mode)]
    if run.case.load.concurrency == inf or run.requests / run.ranks > run.worker.rank.traffic.places:
        return "saturated"
    return "steady"


class Band(NamedTuple):
    """Measured over predicted: the ends that hold nine of ten, and how many runs and owners say so."""

    low: float
    high: float
    runs: int
    owners: int


def bands(runs: Sequence[Any], predicted: Any) -> dict[str, Band]:
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
            rows = [row for row in rows if np.isfinite(ratio[row, number])]
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


def bands_of(run: Any, found: Mapping[str, Band]) -> list[Band]:
    """Those of a run, by quantity."""
    regime, family = regime_of(run), engine_family(run.case.deployment.engine)
    return [found.get(f"{name}.{regime}.{family}", found[f"{name}.{regime}"]) for name in ("ttft", "tpot", "rate")]


def quantile(values: Any, weights: Any, share: float) -> float:
    """The value that so much of the weight lies below."""
    order = np.argsort(values)
    places = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return float(np.interp(share, places, values[order]))
