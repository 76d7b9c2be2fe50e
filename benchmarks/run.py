"""Whole-process times of the commands that people wait for, beside the time of an empty Python: ``python benchmarks/run.py [RUNS]``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GPUSIZER = str(Path(sys.executable).with_name("gpusizer"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "gpusizer --help": [GPUSIZER, "--help"],
    "gpusizer plan deepseek-v3 --users 1000": [GPUSIZER, "plan", "deepseek-v3", "--users", "1000"],
    "gpusizer plan deepseek-v3 --users 1000 --format json": [GPUSIZER, "plan", "deepseek-v3", "--users", "1000", "--format", "json"],
    "gpusizer fit deepseek-v3 --gpu h200-sxm-141gb --tp 8": [GPUSIZER, "fit", "deepseek-v3", "--gpu", "h200-sxm-141gb", "--tp", "8"],
    "gpusizer models list": [GPUSIZER, "models", "list"],
    "gpusizer accelerators list": [GPUSIZER, "accelerators", "list"],
    "gpusizer explain": [GPUSIZER, "explain"],
}
BARS_S = {"gpusizer --help": 0.15, "gpusizer plan deepseek-v3 --users 1000": 0.5}


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


def main() -> None:
    """Print a table: median seconds, ratio to an empty Python, and the bar where there is one."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    empty = 0.0
    print(f"{'command':56} {'median s':>9} {'x empty':>8} {'bar s':>6}")
    for name, command in COMMANDS.items():
        median = seconds(command, runs)
        empty = empty or median
        print(f"{name:56} {median:9.3f} {median / empty:8.1f} {BARS_S.get(name, ''):>6}")


if __name__ == "__main__":
    main()
