"""A server under load: distinct plans, repeated ones, and a minute of everything at once with the memory that it takes.

``python benchmarks/web.py [SECONDS]``; it starts a server of its own with as many workers as there are processors. The load takes processors as well.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

CLIENTS = 8
BARS = {"distinct plans a second": 50.0, "their p99, s": 0.3, "repeated plans a second": 500.0}
MODELS = ("deepseek-v3", "qwen3-8b", "qwen3-30b-a3b", "qwen3-32b", "llama-3.3-70b-instruct", "glm-4.5", "kimi-k2-instruct", "gpt-oss-120b")
ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers")
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}

Asked = tuple[str, bytes]
"""An address, and a JSON body; empty for GET."""


class Server:
    """A server of its own on a free port."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "gpusizer", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://([\d.]+):(\d+)", self.process.stdout.readline())
        assert found, "the server does not start"
        self.host, self.port = found[1], int(found[2])

    def memory_mb(self) -> tuple[float, float]:
        """What the process that serves holds, and what its workers hold together. [MB]"""
        front, workers = self._sums("rss")
        return front / 1000, workers / 1000

    def processor_s(self) -> float:
        """What all of its processes have computed. [s]"""
        return sum(self._sums("cputimes"))

    def _sums(self, column: str) -> tuple[float, float]:
        listed = subprocess.run(["ps", "-eo", f"pid=,ppid=,{column}="], capture_output=True, text=True, check=True).stdout
        rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
        own = self.process.pid
        return sum(value for pid, _, value in rows if pid == own), sum(value for _, parent, value in rows if parent == own)


@contextmanager
def serving() -> Iterator[Server]:
    """A server that ends with the load."""
    server = Server()
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


async def client(server: Server, questions: Iterator[Asked], until: float, took: list[float], statuses: Counter[int]) -> None:
    """Ask one question after the other on one connection."""
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1 << 24)
        try:
            while time.perf_counter() < until:
                path, body = next(questions)
                began = time.perf_counter()
                kind = b"POST" if body else b"GET"
                sent = b"\r\nContent-Type: application/json\r\nContent-Length: %d" % len(body) if body else b""
                writer.write(kind + b" " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip" + sent + b"\r\n\r\n" + body)
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"\r\ncontent-length: (\d+)", head)
                await reader.readexactly(int(size[1]) if size else 0)
                took.append(time.perf_counter() - began)
                statuses[int(head.split(b" ", 2)[1])] += 1
                if b"\r\nconnection: close" in head:
                    break
        finally:
            writer.close()


def load(server: Server, question: Callable[[int], Asked], seconds: float) -> tuple[float, list[float], Counter[int]]:
    """Requests a second, sorted times, and how many were answered how."""
    questions = (question(number) for number in itertools.count())
    took: list[float] = []
    statuses: Counter[int] = Counter()

    async def all_clients() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(server, questions, until, took, statuses) for _ in range(CLIENTS)))

    began = time.perf_counter()
    asyncio.run(all_clients())
    return len(took) / (time.perf_counter() - began), sorted(took), statuses


def plan(number: int, **further: object) -> Asked:
    """A plan over the whole catalogue that nobody has asked for yet."""
    return f"/api/v1/plan?{urlencode({'model': MODELS[number % len(MODELS)], 'users': 100 + number, 'top': 10, **further})}", b""


def anything(number: int) -> Asked:
    """Every kind of question by turns: plans of every engine, with targets, as files and pages, starts, lists, pasted models, and mistakes."""
    draw = random.Random(number)
    model, users = draw.choice(MODELS), draw.randint(1, 10**6)
    shape = {**CONFIG, "num_hidden_layers": draw.randint(1, 200), "hidden_size": 128 * draw.randint(1, 128)}
    return draw.choice(
        (
            plan(number, engine=draw.choice(ENGINES)),
            plan(number, ttft_s="2s", tpot_s="50ms", gpus="h200"),
            (f"/?model={model}&users={users}&gpus=h200", b""),
            (f"/answer?model={model}&users={users}&lang=zh", b""),
            (f"/api/v1/plan.xlsx?model={model}&users={users}&gpus=h20", b""),
            (f"/api/v1/plan.md?model={model}&users={users}", b""),
            (f"/fit?model={model}&gpu=h200&tp=8&max-model-len={users}", b""),
            (f"/models?filter={draw.choice(('moe', 'dense', 'mla'))}+{draw.randint(1, 9)}", b""),
            (f"/models/{model}", b""),
            ("/api/v1/accelerators", b""),
            ("/api/v1/plan", json.dumps({"config": shape, "users": users, "top": 5}).encode()),
            ("/api/v1/plan", b'{"a":' * draw.randint(1, 20_000)),
            (f"/api/v1/plan?model={'x' * draw.randint(1, 3000)}", b""),
            (f"/models/{'y' * draw.randint(1, 3000)}", b""),
            ("/api/v1/plan?" + "z" * 20_000, b""),
        )
    )


def measured(server: Server, name: str, question: Callable[[int], Asked], seconds: float) -> None:
    """Print what a load gives; processor time says the same on a machine that does other work as well."""
    before = server.processor_s()
    rate, took, statuses = load(server, question, seconds)
    each_ms = 1000 * (server.processor_s() - before) / len(took)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"{name}: {rate:.0f} a second, p50 {p50:.3f} s, p99 {p99:.3f} s, {each_ms:.1f} ms of a processor each, {dict(statuses)}", flush=True)


def main(seconds: float) -> None:
    """Print what each load gives, and what the server holds while everything is asked at once."""
    print(f"bars: {BARS}")
    with serving() as server:
        load(server, lambda number: plan(number, tuning="off"), seconds)  # every worker has seen every model
        measured(server, "distinct plans", plan, seconds)
        load(server, repeated, seconds)
        measured(server, "repeated plans", repeated, seconds)
        load(server, anything, seconds)
        for minute in (False, True):
            front, workers = server.memory_mb()
            print(f"memory: {front:.0f} MB in the process that serves, {workers:.0f} MB in its workers", flush=True)
            if not minute:
                measured(server, "everything at once", lambda number: anything(random.randrange(10**9)), 4 * seconds)


def repeated(number: int) -> Asked:
    """One of a few plans."""
    return plan(number % len(MODELS), sort="cost")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 15.0)
