"""Files of load generators, as ``measure FILE`` reads them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import fields
from math import isfinite
from typing import Any

from hypothesis import strategies as st

from fuzz.given import command, file, once_in
from fuzz.laws import read_back
from fuzz.mutate import changed_bytes, changed_json, json_bytes, mixed
from fuzz.surface import Surface
from gpusizer.measuring.files import read_runs
from gpusizer.measuring.formats.told import ToldLoad

_MS = ("ttft", "tpot", "itl", "e2e_latency")
_SERVE: dict[str, Any] = {"backend": "openai", "model_id": "org/model", "date": "20261127-101500", "duration": 50.0, "completed": 40}
_SERVE |= {"num_prompts": 40, "request_rate": "inf", "max_concurrency": 4, "total_input_tokens": 40960, "total_output_tokens": 5120}
_SERVE |= {"output_throughput": 102.4, "output_lens": [128] * 4, "random_input_len": 1024, "server_info": {"model_path": "org/model"}}
_SERVE |= {f"{kind}_{name}_ms": 12.5 for name in _MS for kind in ("mean", "median", "p99")}
_LLAMA: dict[str, Any] = {"build_commit": "0123abcd", "build_number": 6900, "gpu_info": "RTX 4090", "model_filename": "x-Q4_K_M.gguf"}
_LLAMA |= {"model_type": "qwen3 8B Q4_K - Medium", "type_k": "f16", "n_gpu_layers": 99, "n_prompt": 512, "n_gen": 0, "n_depth": 0}
_LLAMA |= {"test_time": "2026-11-27T10:15:00Z", "avg_ts": 10000.0, "stddev_ts": 5.0, "n_batch": 2048, "backends": "CUDA"}
_OFFLINE = {"avg_latency": 2.0, "latencies": [2.0, 2.0], "percentiles": {"50": 2.0}}
_THROUGHPUT = {"elapsed_time": 10.0, "num_requests": 100, "total_num_tokens": 64000, "requests_per_second": 10.0, "tokens_per_second": 6400.0}
_SPREAD = {"successful": {"mean": 13.0, "median": 13.0, "std_dev": 0.0, "percentiles": {"p99": 20.0}}}
_GUIDE_NAMES: tuple[str, ...] = ("request_concurrency", "request_latency", "prompt_token_count", "output_token_count", "time_to_first_token_ms")
_GUIDE_NAMES += ("time_per_output_token_ms", "inter_token_latency_ms", "output_tokens_per_second")
_GUIDE = {
    "config": {"strategy": {"type_": "concurrent", "streams": 8}, "backend": {"model": "org/model"}},
    "metrics": {"request_totals": {"successful": 50, "total": 52}, **dict.fromkeys(_GUIDE_NAMES, _SPREAD)},
    "start_time": 1764236000.0,
}
_VALUES: tuple[Any, ...] = (_SERVE, [_LLAMA, {**_LLAMA, "n_prompt": 0, "n_gen": 128}], _OFFLINE, _THROUGHPUT, {"benchmarks": [_GUIDE]})
_MARKDOWN = b"""
| model                  |     size |   params | backend | ngl |          test |              t/s |
| ---------------------- | -------: | -------: | ------- | --: | ------------: | ---------------: |
| qwen3 8B Q4_K - Medium | 4.68 GiB |   8.19 B | CUDA    |  99 |         pp512 | 10000.00 \xc2\xb1 12.34 |
| qwen3 8B Q4_K - Medium | 4.68 GiB |   8.19 B | CUDA    |  99 | tg128 @ d4096 |    125.00 \xc2\xb1 0.50 |

build: 0123abcd (6900)
"""
_CSV = b"build_number,gpu_info,model_type,n_prompt,n_gen,n_depth,avg_ts\n6900,RTX 4090,qwen3 8B Q4_K,512,0,0,10000.0\n"
_KEYS = sorted({*_SERVE, *_LLAMA, *_OFFLINE, *_THROUGHPUT, *_GUIDE, *_GUIDE_NAMES, "benchmarks", "successful", "mean", "tag", "version"})


def _seeds() -> list[bytes]:
    return [*map(json_bytes, _VALUES), _MARKDOWN, _CSV]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    values = [each for each in known if each[:1] in (b"{", b"[")]
    return mixed((1, changed_bytes(known)), (2, changed_json(values, _KEYS).map(json_bytes)))


def _answer(content: bytes) -> Hashable:
    path = file("bench", content)
    if once_in(10, content):
        for line in command(["measure", path, "--model", "qwen3-8b", "--gpu", "h100-sxm-80gb", "--input-tokens", "512"]).splitlines():
            read_back(line)
    runs = read_runs(path, ToldLoad(512, 128, 8))
    for run in runs:
        for field in fields(run):
            value = getattr(run, field.name)
            assert not isinstance(value, float) or (isfinite(value) and value >= 0), (field.name, value)
        json.dumps(dict(run.flags), allow_nan=False)
        assert all(isfinite(each) and each >= 0 for each in run.percentiles_s.values())
    return frozenset((run.tool, run.ttft_s is None, run.tpot_s is None, run.concurrency is None, run.burst is None) for run in runs)


SURFACE = Surface("benches", _seeds, _changed, _answer, weight=10)
