"""What ``vllm bench serve`` and ``sglang.bench_serving`` write: one table a run, times in milliseconds, almost the same names.

Fields read in vllm-project/vllm vllm/benchmarks/serve.py (``--save-result``, also the lines of ``--append-result``) and
sgl-project/sglang python/sglang/bench_serving.py (``--output-file``), both in November 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.measuring.fields import day, inner, number, spread_of, word
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

__all__ = ["recognises", "runs"]

_MILLI = 1000
_OF_SGLANG = ("mean_e2e_latency_ms", "server_info", "random_range_ratio")
_ENGINES = {"sglang": "sglang", "tensorrt": "tensorrt-llm", "trt": "tensorrt-llm", "llama": "llama.cpp", "lmdeploy": "lmdeploy"}
_TIMES = ("ttft", "tpot", "itl")
_POINTS = ("median", "p90", "p95", "p99")


def recognises(table: Mapping[str, Any]) -> bool:
    """Whether it is a run of one of the two."""
    return "mean_ttft_ms" in table and "total_output_tokens" in table


def runs(table: Mapping[str, Any], told: ToldLoad) -> list[MeasuredRun]:
    """The run of a table.

    Parameters
    ----------
    table : mapping
        As the tool wrote it.
    told : ToldLoad
        Not used: the file holds its load.

    Returns
    -------
    list of MeasuredRun
        One.
    """
    sglang = any(name in table for name in _OF_SGLANG)
    completed = number(table.get("completed"))
    server = inner(table, "server_info")
    engine, load = _engine(word(table.get("backend")) or word(table.get("endpoint_type")), sglang=sglang), _load(table)
    failed = number(table.get("failed"))
    return [
        MeasuredRun(
            tool="sglang.bench_serving" if sglang else "vllm bench serve",
            input_tokens=_mean(table, "total_input_tokens", completed),
            output_tokens=_mean(table, "total_output_tokens", completed),
            requests=completed,
            length_spread=spread_of(table.get("output_lens")),
            ttft_s=_seconds(table, "mean_ttft_ms"),
            tpot_s=_seconds(table, "mean_tpot_ms"),
            e2e_s=_seconds(table, "mean_e2e_latency_ms" if sglang else "mean_e2el_ms"),
            output_tokens_per_s=number(table.get("output_throughput")),
            percentiles_s=_percentiles(table),
            model=word(table.get("model_id")) or word(server.get("model_path")),
            engine=engine,
            engine_version=word(server.get("version")),
            date=day(table.get("date")),
            notices=() if failed is None else (Notice("requests-failed", {"failed": int(failed), "requests": int(failed + (completed or 0))}),),
            **load,
        )
    ]


def _load(table: Mapping[str, Any]) -> dict[str, Any]:
    """Kept in flight, at a rate, or all at once; of a run at a rate the client's limit says nothing where it is never reached."""
    prompts = number(table.get("num_prompts")) or number(table.get("completed"))
    limit, rate = number(table.get("max_concurrency")), table.get("request_rate")
    at_once = rate == "inf" or (isinstance(rate, float) and math.isinf(rate))
    if not at_once and (found := number(rate)) is not None:
        return {"request_rate_per_s": found}
    if limit is not None and (prompts is None or limit < prompts):
        return {"concurrency": limit}
    return {"burst": prompts}


def _engine(backend: str, *, sglang: bool) -> str:
    """Whom the client spoke to; "openai" is what the own engine of the tool is called as well."""
    lower = backend.lower()
    found = next((engine for name, engine in _ENGINES.items() if name in lower), "")
    return found or ("sglang" if sglang and "vllm" not in lower else "vllm")


def _mean(table: Mapping[str, Any], name: str, count: float | None) -> float | None:
    whole = number(table.get(name))
    return None if whole is None or count is None else whole / count


def _seconds(table: Mapping[str, Any], name: str) -> float | None:
    found = number(table.get(name))
    return None if found is None else found / _MILLI


def _percentiles(table: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{time}_{'p50' if point == 'median' else point}": seconds
        for time in _TIMES
        for point in _POINTS
        if (seconds := _seconds(table, f"{point}_{time}_ms")) is not None
    }
