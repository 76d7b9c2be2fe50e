#!/usr/bin/env python3
"""Kernel times of one CUDA card: products by format and rows, grouped products of experts, attention over a prompt, norms, launch, bandwidth.

    python scripts/measure/kernels.py > rows.jsonl

Prints lines of JSON as in ``tests/data/kernels_h200.jsonl``. Needs torch and nvidia-ml-py, and a card that nobody else uses.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from card import Card, say

SHAPES = ((1024, 4096), (4096, 4096), (6144, 4096), (24576, 4096), (4096, 12288), (8192, 8192), (57344, 8192), (151936, 4096))
ROWS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
EXPERTS = ((128, 8, 2048, 1536), (256, 8, 7168, 512), (32, 4, 2880, 5760))  # experts, top_k, inner, out
EXPERT_TOKENS = tuple(2**power for power in range(14))
PROMPTS = tuple(2**power for power in range(10, 16))
COLD_BYTES = 400e6  # of weights together: no L2 holds them
MOST_RESULTS = 1.3e9
BF16 = {"device": "cuda", "dtype": torch.bfloat16}


class Work(NamedTuple):
    """A call, and the inputs that it goes through in turn."""

    call: Callable[..., Any]
    inputs: Sequence[tuple[Any, ...]]


def seconds_in_graph(work: Work, repeat: int = 24, rounds: int = 5) -> float:
    """One call inside a CUDA graph: the median of some replays."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for each in work.inputs[:3]:
            work.call(*each)
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for index in range(repeat):
            work.call(*work.inputs[index % len(work.inputs)])
    return seconds_alone(graph.replay, rounds) / repeat


def seconds_alone(call: Callable[[], Any], rounds: int = 5) -> float:
    """One call by itself: the median of some, after a first."""
    call()
    torch.cuda.synchronize()
    found = []
    for _ in range(rounds):
        begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begun.record()
        call()
        ended.record()
        torch.cuda.synchronize()
        found.append(begun.elapsed_time(ended) / 1e3)
    return float(median(found))


def us(seconds: float) -> float:
    """Microseconds, as rows give them."""
    return round(seconds * 1e6, 3)


# ---- products ---------------------------------------------------------------------------------------------------------


def bf16(out: int, inner: int, rows: int, copies: int) -> Work:
    """Plain products."""
    state = torch.randn(rows, inner, **BF16)
    return Work(lambda weight: functional.linear(state, weight), [(torch.randn(out, inner, **BF16),) for _ in range(copies)])


def fp8(out: int, inner: int, rows: int, copies: int) -> Work:
    """Scaled products of FP8 by FP8."""
    state, one = torch.randn(rows, inner, **BF16).to(torch.float8_e4m3fn), torch.ones((), device="cuda")
    weights = [(torch.randn(out, inner, **BF16).to(torch.float8_e4m3fn),) for _ in range(copies)]
    return Work(lambda weight: torch._scaled_mm(state, weight.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16), weights)


def int4(out: int, inner: int, rows: int, copies: int) -> Work:
    """Products of BF16 by four-bit integers in groups of 128, as torch brings them."""
    state, operations = torch.randn(rows, inner, **BF16), torch.ops.aten
    packed = [torch.randint(0, 255, (out, inner // 2), device="cuda", dtype=torch.uint8) for _ in range(copies)]
    weights = [(operations._convert_weight_to_int4pack(each, 8), torch.randn(inner // 128, out, 2, **BF16)) for each in packed]
    return Work(lambda weight, scales: operations._weight_int4pack_mm(state, weight, 128, scales), weights)


FORMATS: dict[str, tuple[Callable[[int, int, int, int], Work], tuple[int, ...]]] = {
    "bf16": (bf16, ROWS),
    "fp8-per-tensor": (fp8, ROWS[4:]),
    "int4-tinygemm": (int4, ROWS[:13]),
}


def products() -> None:
    """Every format, shape and number of rows."""
    for name, (make, all_rows) in FORMATS.items():
        for out, inner in SHAPES:
            copies = max(2, min(24, math.ceil(COLD_BYTES / (out * inner * 2))))
            for rows in all_rows:
                if out * rows > MOST_RESULTS or (out > 100_000 and rows > 1024):
                    continue
                try:
                    found = us(seconds_in_graph(make(out, inner, rows, copies), 12 if out * inner * rows > 1e12 else 24))
                except RuntimeError as error:  # a card, or a release of torch, without this format
                    say(kind="product", format=name, out=out, inner=inner, rows=rows, failed=str(error)[:120])
                    break
                say(kind="product", format=name, out=out, inner=inner, rows=rows, us=found)
            gc.collect()
            torch.cuda.empty_cache()


def grouped() -> None:
    """Products of tokens that chose experts at random."""
    for experts, top_k, inner, out in EXPERTS:
        weights = [torch.randn(experts, inner, out, **BF16) for _ in range(2)]
        for tokens in EXPERT_TOKENS:
            chosen = torch.rand(tokens, experts, device="cuda").topk(top_k, dim=1).indices.flatten()
            counts = torch.bincount(chosen, minlength=experts)
            ends, state = counts.cumsum(0).to(torch.int32), torch.randn(tokens * top_k, inner, **BF16)
            inputs = [(weight, ends, state) for weight in weights]
            work = Work(lambda weight, ends, state: torch._grouped_mm(state, weight, offs=ends), inputs)
            row = {"format": "bf16", "experts": experts, "top_k": top_k, "inner": inner, "out": out, "tokens": tokens}
            say(kind="grouped", **row, touched=int((counts > 0).sum()), us=us(seconds_in_graph(work, 10)))


# ---- the rest ---------------------------------------------------------------------------------------------------------


def bandwidth() -> None:
    """Copying and reading 2 GiB."""
    big = torch.randn(1 << 30, **BF16)
    copy = torch.empty_like(big)
    copied, read = seconds_alone(lambda: copy.copy_(big)), seconds_alone(lambda: big.view(torch.int16).amax())
    say(kind="bandwidth", copy_bytes_per_s=round(2 * big.nbytes / copied), read_bytes_per_s=round(big.nbytes / read))


def attention(heads: int = 32, kv_heads: int = 8, head_dim: int = 128) -> None:
    """Causal attention over whole prompts."""
    for tokens in PROMPTS:
        query, keys = torch.randn(1, heads, tokens, head_dim, **BF16), torch.randn(1, kv_heads, tokens, head_dim, **BF16)

        def call(query: Any = query, keys: Any = keys) -> Any:
            return functional.scaled_dot_product_attention(query, keys, keys, is_causal=True, enable_gqa=True)

        say(kind="attention-prompt", heads=heads, kv_heads=kv_heads, head_dim=head_dim, tokens=tokens, us=us(seconds_alone(call)))


def norms() -> None:
    """RMS norms."""
    for width in (4096, 8192):
        for rows in (1, 64, 1024, 8192):
            state, weight = torch.randn(rows, width, **BF16), torch.ones(width, **BF16)
            work = Work(lambda state, weight: functional.rms_norm(state, (state.shape[-1],), weight), [(state, weight)])
            say(kind="rms-norm", rows=rows, width=width, us=us(seconds_in_graph(work)))


def launch(calls: int = 2000) -> None:
    """The smallest kernel, called from Python."""
    few = torch.zeros(8, device="cuda")
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(calls):
        few.add_(1)
    torch.cuda.synchronize()
    say(kind="launch", us=us((time.perf_counter() - begun) / calls))


def main() -> None:
    """Everything, the quickest first."""
    card = Card()
    say(**card.set_up())
    for part in (bandwidth, launch, norms, attention, grouped, products):
        part()
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
