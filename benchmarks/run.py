"""Whole-process times of the commands that people wait for, beside the time of an empty Python, and the rate of the vectorised step time.

``python benchmarks/run.py [RUNS]``; bytecode must be cached (``PYTHONDONTWRITEBYTECODE`` unset), as it is after an installation.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GPUSIZER = str(Path(sys.executable).with_name("gpusizer"))
MACHINES = (
    *("t4-16gb:1", "a10-24gb:2", "a30-24gb:4", "l4-24gb:8", "l40-48gb:1"),
    *("h100-sxm-80gb:2", "h100-nvl-94gb:4", "h20-sxm-141gb:8", "h200-nvl-141gb:1", "gh200-144gb:2"),
    *("b300-sxm-288gb:4", "gb300-288gb:8", "rtx4090d-24gb:1", "rtx5080-16gb:2", "rtx5090d-32gb:4"),
    *("rtxa4000-16gb:8", "rtxa6000-48gb:1", "rtx5880ada-48gb:2", "rtxpro5000-48gb:4", "rtxpro6000-ws-96gb:8"),
    *("rtx6000d-84gb:1", "mi250x-128gb:2", "mi308x-192gb:4", "mi350x-288gb:8", "rx7900xtx-24gb:1"),
    *("ascend910b2-64gb:2", "ascend910b4-32gb:4", "ascend910c-128gb:8", "ascend310p3-48gb:1", "hygon-k100-ai-64gb:2"),
    *("hygon-bw1100-144gb:4", "mlu590-80gb:8", "metax-c500-64gb:1", "mtt-s5000-80gb:2", "iluvatar-mr-v100-32gb:4"),
    *("gaudi2-96gb:8", "arc-pro-b60-24gb:1", "rtx5000ada-32gb:2", "rtx4000ada-20gb:4", "rtx4500ada-24gb:8"),
)
"""All that a large house may have: every model of the catalogue is looked for on each."""
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "gpusizer --help": [GPUSIZER, "--help"],
    "gpusizer plan deepseek-v3 --users 1000": [GPUSIZER, "plan", "deepseek-v3", "--users", "1000"],
    "gpusizer plan deepseek-v3 --users 1000 --format json": [GPUSIZER, "plan", "deepseek-v3", "--users", "1000", "--format", "json"],
    "gpusizer plan deepseek-v3 --users 1000 --ttft 1s --tpot 30ms, two precisions": [
        GPUSIZER,
        *("plan", "deepseek-v3", "--users", "1000", "--ttft", "1s", "--tpot", "30ms", "--precision", "checkpoint,int4"),
    ],
    "gpusizer plan deepseek-v3 --request-rate 4 --ttft-p95 2s --tpot-p99 60ms, two precisions": [
        GPUSIZER,
        *("plan", "deepseek-v3", "--request-rate", "4", "--ttft-p95", "2s", "--tpot-p99", "60ms", "--precision", "checkpoint,int4"),
    ],
    "gpusizer simulate qwen3-32b --gpu h200-sxm-141gb --request-rate 4": [
        GPUSIZER,
        *("simulate", "qwen3-32b", "--gpu", "h200-sxm-141gb", "--request-rate", "4"),
    ],
    "gpusizer fit deepseek-v3 --gpu h200-sxm-141gb --tp 8": [GPUSIZER, "fit", "deepseek-v3", "--gpu", "h200-sxm-141gb", "--tp", "8"],
    "gpusizer run-on rtx-4090 --host-memory 128GB": [GPUSIZER, "run-on", "rtx-4090", "--host-memory", "128GB"],
    "gpusizer run-on, forty machines": [GPUSIZER, "run-on", *MACHINES],
    "gpusizer models list": [GPUSIZER, "models", "list"],
    "gpusizer accelerators list": [GPUSIZER, "accelerators", "list"],
    "gpusizer explain": [GPUSIZER, "explain"],
}
BARS_S = {
    "gpusizer run-on, forty machines": 1.5,
    "gpusizer --help": 0.15,
    "gpusizer plan deepseek-v3 --users 1000": 0.5,
    "gpusizer plan deepseek-v3 --users 1000 --ttft 1s --tpot 30ms, two precisions": 1.0,
    "gpusizer plan deepseek-v3 --request-rate 4 --ttft-p95 2s --tpot-p99 60ms, two precisions": 1.3,
}
COLUMN = 1_000_000  # configurations of the vectorised step time


def seconds(command: list[str], runs: int) -> float:
    """Median time of whole processes, after one that fills the caches."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        times.append(time.perf_counter() - start)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(command)} left with {done.returncode}: {done.stderr.decode()}")
    return statistics.median(times[1:])


def configurations_per_s() -> float:
    """Steps of DeepSeek-V3 on eight H200 at a million concurrencies and context lengths, computed as columns. [1/s]"""
    import numpy as np

    from gpusizer.architecture.load import load_architecture
    from gpusizer.engines.base.types import Deployment
    from gpusizer.facts.catalog import accelerator
    from gpusizer.performance.concurrency import memory_answer
    from gpusizer.performance.set_up import set_up
    from gpusizer.performance.step_time import Step, step_time
    from gpusizer.performance.types import Load

    model, device = load_architecture("deepseek-v3"), accelerator("h200-sxm-141gb")
    load = Load(1000, 1000, concurrency=1)
    rank = set_up(model, device, memory_answer(model, device, Deployment(model="deepseek-v3", gpu=device.id, tp=8), load), load)
    sequences, context = np.random.default_rng(0).uniform(1, 512, COLUMN), np.random.default_rng(1).uniform(100, 100_000, COLUMN)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        step_time(rank.work, rank.speeds, Step(sequences, context)).sum()
        times.append(time.perf_counter() - start)
    return COLUMN / min(times)


def main() -> None:
    """Print a table: median seconds, ratio to an empty Python, and the bar where there is one; then the rate of the vectorised step time."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    empty = 0.0
    print(f"{'command':80} {'median s':>9} {'x empty':>8} {'bar s':>6}")
    for name, command in COMMANDS.items():
        median = seconds(command, runs)
        empty = empty or median
        print(f"{name:80} {median:9.3f} {median / empty:8.1f} {BARS_S.get(name, ''):>6}")
    print(f"vectorised step time: {configurations_per_s():,.0f} configurations a second (bar 1,000,000)")


if __name__ == "__main__":
    main()
