"""How fast the simulator is: ``python benchmarks/simulate.py [REQUESTS]`` runs so many (100,000) of 1,000 tokens in and 200 out, some 200 at once."""

from __future__ import annotations

import sys
import time

from gpusizer.architecture.load import load_architecture
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator
from gpusizer.performance.predict import Question
from gpusizer.performance.simulation.deployed import Served
from gpusizer.performance.simulation.requests import drawn
from gpusizer.performance.types import Load

BAR_S = 60.0  # of one core, for 100,000 requests
MODEL, GPU = "qwen3-32b", "h200-sxm-141gb"
PROMPT, ANSWER, AT_ONCE, SPREAD = 1000, 200, 200, 0.3


def main() -> None:
    """Print seconds of the processor, simulated time over real time, and requests a second."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'engine':14} {'arrivals':9} {'seconds':>8} {'simulated/real':>15} {'requests/s':>11} {'bar s':>6}")
    for engine in ("vllm", "sglang", "tensorrt-llm"):
        load = Load(PROMPT, ANSWER, concurrency=AT_ONCE, length_spread=SPREAD)
        served = Served(Question(load_architecture(MODEL), accelerator(GPU), Deployment(model=MODEL, gpu=GPU, engine=engine), load))
        for arrivals, pace in (("closed", AT_ONCE), ("poisson", 5.5)):
            requests = drawn(count, PROMPT, ANSWER, arrivals=arrivals, pace=pace, spread=SPREAD)
            start = time.process_time()
            outcome = served.run(requests)
            seconds = time.process_time() - start
            span = max(outcome.end_s) - min(outcome.arrival_s)
            print(f"{engine:14} {arrivals:9} {seconds:8.2f} {span / seconds:15,.0f} {count / seconds:11,.0f} {BAR_S * count / 100_000:6.0f}")


if __name__ == "__main__":
    main()
