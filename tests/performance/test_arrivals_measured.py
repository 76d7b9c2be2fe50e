"""Runs with arrivals that others measured (``tests/data/arrival-runs.jsonl``): percentiles of the simulator, no factor fitted to them.

Requests of these runs repeat a few prompts, so that whole blocks of them come from the cache. They are sent at equal distances, stage after stage.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator
from gpusizer.performance.predict import Question
from gpusizer.performance.simulation.deployed import Served
from gpusizer.performance.simulation.requests import Requests
from gpusizer.performance.simulation.summary import Summary, summary_of
from gpusizer.performance.types import Load

RUNS = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "arrival-runs.jsonl").read_text().splitlines()]
BLOCK = 16
BARS = {"e2e": 0.13, "ttft": 0.25}  # median over the runs of each percentile


def simulated(run: dict[str, Any]) -> Summary:
    moments: list[float] = []
    start = 0.0
    for rate, seconds in run["stages"]:
        moments += [start + number / rate for number in range(round(rate * seconds))]
        start += seconds
    names = ("model", "gpu", "tp", "engine", "engine_version", "max_model_len", "max_num_seqs", "max_num_batched_tokens")
    prefix = (run["input_tokens"] - 1) // BLOCK * BLOCK
    load = Load(run["input_tokens"], run["output_tokens"], concurrency=1.0, shared_prefix_tokens=prefix)
    served = Served(Question(load_architecture(run["model"]), accelerator(run["gpu"]), Deployment(**{name: run[name] for name in names}), load))
    count = len(moments)
    requests = Requests(moments, [run["input_tokens"]] * count, [run["output_tokens"]] * count)
    return summary_of(requests, served.run(requests))


def test_percentiles_of_runs_that_others_measured() -> None:
    errors: dict[str, list[float]] = {}
    for run in RUNS:
        found = simulated(run)
        for name, measured in run["measured"].items():
            quantity, percentile, _ = name.split("_")
            value = getattr(getattr(found, f"{quantity}_s"), percentile)
            errors.setdefault(f"{quantity} {percentile}", []).append(abs(value / measured - 1))
    assert len(errors) == 6
    for name, each in errors.items():
        assert median(each) <= BARS[name.partition(" ")[0]], (name, sorted(each))
