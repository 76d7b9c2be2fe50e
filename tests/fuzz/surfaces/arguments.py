"""Command lines: words of every command in any order, with values that none of them takes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence

from hypothesis import strategies as st

from fuzz.given import command
from fuzz.laws import hold
from fuzz.mutate import ODD_WORDS, json_bytes, one_of
from fuzz.surface import Surface
from gpusizer.engines import engine_ids
from gpusizer.engines.base.flags import flag_table
from gpusizer.planning.request import FIELDS

_NEVER = ("--output", "--hub", "serve", "mcp", "here", "--gpu=here")  # what writes, asks a network, waits, or asks this machine
_LINES = (
    "plan qwen3-8b --gpu h100-sxm-80gb --concurrency 4 --format json",
    "plan qwen3-8b --owned l40s:4 --users 100 --active-share 2% --input-tokens 1k --output-tokens 256 --ttft 2s --engine sglang",
    "fit qwen3-8b --gpu h100-sxm-80gb --tp 2 --max-model-len 32k --gpu-memory-utilization 0.9 --format json",
    "fit qwen3-30b-a3b --gpu rtx4090-24gb --engine llama.cpp --n-gpu-layers 20 --ctx-size 8192 --override-tensor exps=CPU",
    "fit --gpu h200 -- vllm serve qwen3-8b --tensor-parallel-size 2 --max-num-seqs 64 --kv-cache-dtype fp8",
    "fit --gpu h200 -- python -m sglang.launch_server --model-path qwen3-8b --tp 2 --mem-fraction-static 0.8",
    "simulate qwen3-8b --gpu h100-sxm-80gb --request-rate 1/s --input-tokens 512 --output-tokens 32 --requests 20 --format json",
    "largest-context qwen3-8b --gpu h100-sxm-80gb --tp 2 --format json",
    "deploy qwen3-8b --gpu h200 --concurrency 8 --target compose",
    "deploy qwen3-8b --gpu h200 --tp 8 --target kubernetes --registry registry.example:5000/mirror --offline on",
    "deploy --target command --leader host-1 --gpu h200 -- vllm serve qwen3-8b --tensor-parallel-size 2",
    "run-on l40s:4 --model qwen3-8b --context-tokens 16k --host-memory 128GB --format json",
    "models show qwen3-8b",
    "models list --filter qwen3 --use code",
    "models check qwen3-8b --format markdown",
    "accelerators show h100-sxm-80gb --language zh",
    "engines show vllm",
    "scenarios list --format csv",
    "explain memory.kv_cache.pool",
    "validate cases.jsonl",
    "measure bench.json --gpu h100 --model qwen3-8b",
    "completion bash",
    "--help",
)
_FLAGS = sorted({spelling for id in engine_ids() for flag in flag_table(id).flags for spelling in flag.spellings if spelling.startswith("-")})
_OPTIONS = sorted({each.option for each in FIELDS if each.option} - set(_NEVER))
_VALUES = [
    "0",
    "1",
    "2",
    "8",
    "1e9",
    "16384",
    "128k",
    "80G",
    "80GB",
    "0.5",
    "2s",
    "50ms",
    "100%",
    "auto",
    "off",
    "fp8",
    "Q4_K_M",
    "json",
    "zh",
    "vllm",
]
_VALUES += ["deepseek-v3", "h100", "l40s:4", "cn", "EUR", "--", "-", "=", "--x", "-h", "--tp=2", "{}", '{"method":"mtp"}', *ODD_WORDS]


def _seeds() -> list[bytes]:
    return [json_bytes(line.split()) for line in _LINES]


@st.composite
def _changed_line(draw: st.DrawFn, known: Sequence[bytes]) -> list[str]:
    words = list(json.loads(one_of(draw, known)))
    for _ in range(draw(_few)):
        place = draw(st.integers(0, len(words)))
        kind = draw(_kind)
        if kind <= 1:
            words[place:place] = [one_of(draw, _OPTIONS), draw(_word)]
        elif kind <= 3:
            words[place:place] = [one_of(draw, _FLAGS), draw(_word)]
        elif kind == 4:
            words[place : place + 1] = []
        elif kind == 5:
            words[place:place] = words[place : place + 2]
        else:
            words[place : place + 1] = [draw(_word)]
    return words


_few, _kind = st.integers(1, 4), st.integers(0, 7)
_word = st.sampled_from(_VALUES) | st.text(max_size=6)


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return _changed_line(known).map(json_bytes)


def _answer(content: bytes) -> Hashable:
    words = json.loads(content)
    if any(word.startswith(_NEVER) or "://" in word for word in words):
        return "not fed"
    printed = command(words)
    if printed.startswith("{"):
        hold(printed)
    return words[0] if words else "", bool(printed)


SURFACE = Surface("arguments", _seeds, _changed, _answer, weight=4)
