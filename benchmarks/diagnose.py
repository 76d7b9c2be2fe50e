"""A log of gigabytes: seconds and memory of ``diagnose``, with one start and endless requests, and with a start that comes again and again.

``python benchmarks/diagnose.py [GB]``; nothing is written, the log is made while it is read.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from gpusizer.diagnosis.diagnose import diagnose
from gpusizer.diagnosis.row import Given

BAR_S = 60.0
PART = 1 << 20
START = b"""\
(APIServer pid=1) INFO 11-02 10:00:00 [api_server.py:1912] vLLM API server version 0.11.0
(APIServer pid=1) INFO 11-02 10:00:00 [utils.py:233] non-default args: {'model': 'Qwen/Qwen3-8B', 'max_model_len': 32768}
(EngineCore_DP0 pid=9) INFO 11-02 10:00:40 [gpu_model_runner.py:2653] Model loading took 15.2683 GiB and 9.0 seconds
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [gpu_worker.py:298] Available KV cache memory: 22.81 GiB
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [kv_cache_utils.py:1087] GPU KV cache size: 166,096 tokens
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 5.07x
(EngineCore_DP0 pid=9) INFO 11-02 10:01:40 [gpu_model_runner.py:3480] Graph capturing finished in 4 secs, took 0.60 GiB
(APIServer pid=1) INFO:     Application startup complete.
"""
REQUESTS = (
    b'(APIServer pid=1) INFO:     10.0.0.5:43210 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    * 9
    + b"(APIServer pid=1) INFO 11-02 10:02:10 [loggers.py:127] Engine 000: Avg prompt throughput: 812.1 tokens/s, Running: 12 reqs, Waiting: 0 reqs, "
    b"GPU KV cache usage: 31.2%, Prefix cache hit rate: 12.0%\n"
)
KINDS = {
    "one start, then requests": (START, REQUESTS),
    "a start, requests, and so on": (b"", START + REQUESTS * 20),
    "progress bars on one line": (START, b"Loading safetensors checkpoint shards:  25% Completed | 1/4\r"),
    "one endless line": (START, b"x" * 1000),
    "every line is an event": (
        START,
        b"(EngineCore_DP0 pid=9) WARNING [scheduler.py:99] Sequence group 1 is preempted by recompute, out of memory\n",
    ),
}


def log(first: bytes, again: bytes, size_bytes: int) -> Iterator[bytes]:
    """So many bytes, in parts of a pipe."""
    yield first
    part = again * (PART // len(again) + 1)
    for _ in range(size_bytes // len(part)):
        yield part


def main() -> int:
    """Print a line for each kind of log; 1 where one takes longer than the bar."""
    size_bytes = int(float(sys.argv[1]) * 1e9) if len(sys.argv) > 1 else 2_000_000_000
    slow = 0
    for name, (first, again) in KINDS.items():
        begun = time.perf_counter()
        found = diagnose(log(first, again, size_bytes), Given(gpus=("l40s-48gb",)))
        taken = time.perf_counter() - begun
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        slow += taken > BAR_S
        print(f"{name:32} {size_bytes / 1e9:.1f} GB  {taken:6.1f} s  peak {peak_mb:.0f} MB  {found.reading.starts:,} starts, {found.outcome}")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
