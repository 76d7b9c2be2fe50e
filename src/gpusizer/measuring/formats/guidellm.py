"""What GuideLLM writes as JSON: a list of benchmarks, each with distributions of its successful requests.

Fields read in vllm-project/guidellm src/guidellm/benchmark/schemas (base.py, generative/metrics.py) in November 2026, and in a parser of its files,
cloud-bulldozer/guidellm-results-parser. What it calls time per output token is the whole time over all tokens, and it counts tokens that come in one
packet as no time apart; the time per token after the first follows from the means of the whole time and of the first token.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gpusizer.measuring.fields import inner, number, word
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

__all__ = ["recognises", "runs"]

MOST_BENCHMARKS = 2_000
_MILLI = 1000
_LAST_SECOND = 4_102_444_800  # the end of this century: what lies beyond is no date


def recognises(table: Mapping[str, Any]) -> bool:
    """Whether it is a report of GuideLLM."""
    benchmarks = table.get("benchmarks")
    return isinstance(benchmarks, list) and any("time_to_first_token_ms" in inner(each, "metrics") for each in benchmarks[:MOST_BENCHMARKS])


def runs(table: Mapping[str, Any], told: ToldLoad) -> list[MeasuredRun]:
    """The runs of a report.

    Parameters
    ----------
    table : mapping
        As the tool wrote it.
    told : ToldLoad
        Not used: the file holds its load.

    Returns
    -------
    list of MeasuredRun
        One for each benchmark with requests that succeeded.
    """
    return [_run(table, each) for each in table["benchmarks"][:MOST_BENCHMARKS] if isinstance(each, Mapping)]


def _run(report: Mapping[str, Any], one: Mapping[str, Any]) -> MeasuredRun:
    tokens_in, tokens_out, latency, ttft, rate = (
        _mean(one, name)
        for name in ("prompt_token_count", "output_token_count", "request_latency", "time_to_first_token_ms", "output_tokens_per_second")
    )
    first = None if ttft is None else ttft / _MILLI
    steps = None if tokens_out is None else number(tokens_out - 1)
    deviation = inner(one, "metrics", "output_token_count", "successful").get("std_dev")
    spread = 0.0 if deviation in (0, 0.0) else number(deviation)
    requests = number(inner(one, "metrics", "request_totals").get("successful"))
    return MeasuredRun(
        tool="GuideLLM",
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        requests=requests,
        length_spread=None if spread is None or tokens_out is None else spread / tokens_out,
        ttft_s=first,
        tpot_s=None if latency is None or first is None or steps is None else number((latency - first) / steps),
        e2e_s=latency,
        output_tokens_per_s=rate,
        model=word(inner(one, "config", "backend").get("model")) or word(inner(report, "args").get("model")),
        date=_day(one.get("start_time")),
        **_load(one, requests),
    )


def _mean(one: Mapping[str, Any], name: str) -> float | None:
    return number(inner(one, "metrics", name, "successful").get("mean"))


def _load(one: Mapping[str, Any], requests: float | None) -> dict[str, Any]:
    strategy = inner(one, "config", "strategy") or inner(one, "args", "strategy")
    kind = word(strategy.get("type_"))
    if kind == "synchronous":
        return {"concurrency": 1.0}
    if kind in ("constant", "poisson", "async"):
        return {"request_rate_per_s": number(strategy.get("rate"))}
    if kind == "throughput":
        return {"concurrency": number(strategy.get("max_concurrency"))} if strategy.get("max_concurrency") else {"burst": requests}
    return {"concurrency": number(strategy.get("streams")) or _mean(one, "request_concurrency")}


def _day(value: object) -> str:
    seconds = number(value)
    return "" if seconds is None or seconds > _LAST_SECOND else datetime.fromtimestamp(seconds, UTC).date().isoformat()
