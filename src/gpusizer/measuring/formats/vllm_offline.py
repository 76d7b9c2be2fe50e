"""What ``vllm bench latency`` and ``vllm bench throughput`` write with ``--output-json``: times of whole batches, without lengths.

Fields read in vllm-project/vllm vllm/benchmarks/latency.py and throughput.py in November 2026. Lengths and the size of the batch are not in the
files: who reads them says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.errors import InputError
from gpusizer.measuring.fields import number
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

__all__ = ["recognises", "runs"]


def recognises(table: Mapping[str, Any]) -> bool:
    """Whether it is one of the two."""
    return _of_latency(table) or ("elapsed_time" in table and "tokens_per_second" in table)


def runs(table: Mapping[str, Any], told: ToldLoad) -> list[MeasuredRun]:
    """The run of a table.

    Parameters
    ----------
    table : mapping
        As the tool wrote it.
    told : ToldLoad
        Lengths; of a run of ``latency`` also the size of the batch.

    Returns
    -------
    list of MeasuredRun
        One, with the rate alone: these tools do not see single tokens.

    Raises
    ------
    InputError
        What the file does not hold was not said.
    """
    if _of_latency(table):
        return [_latency(table, told)]
    return [_throughput(table, told)]


def _of_latency(table: Mapping[str, Any]) -> bool:
    return "avg_latency" in table and "latencies" in table


def _latency(table: Mapping[str, Any], told: ToldLoad) -> MeasuredRun:
    missing = [name for name, value in zip(("--input-tokens", "--output-tokens", "--concurrency"), told, strict=True) if value is None]
    if missing:
        raise InputError("bench-needs", tool="vllm bench latency", options=missing)
    seconds = number(table.get("avg_latency"))
    tokens = (told.concurrency or 0.0) * (told.output_tokens or 0.0)
    return MeasuredRun(
        tool="vllm bench latency",
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        burst=told.concurrency,
        requests=told.concurrency,
        length_spread=0.0,
        e2e_s=seconds,
        output_tokens_per_s=None if seconds is None else tokens / seconds,
        engine="vllm",
    )


def _throughput(table: Mapping[str, Any], told: ToldLoad) -> MeasuredRun:
    requests, tokens, seconds = (number(table.get(name)) for name in ("num_requests", "total_num_tokens", "elapsed_time"))
    both = None if requests is None or tokens is None else tokens / requests
    output = told.output_tokens or (None if both is None or told.input_tokens is None else number(both - told.input_tokens))
    if output is None:
        raise InputError("bench-needs", tool="vllm bench throughput", options=["--output-tokens"])
    return MeasuredRun(
        tool="vllm bench throughput",
        input_tokens=told.input_tokens or (None if both is None else number(both - output)),
        output_tokens=output,
        burst=requests,
        requests=requests,
        output_tokens_per_s=None if requests is None or seconds is None else output * requests / seconds,
        engine="vllm",
    )
