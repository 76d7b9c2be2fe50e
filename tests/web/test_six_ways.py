"""One question, six ways to ask it: the command line, Python, the HTTP API, the page, the report and the workbook give the same numbers."""

from __future__ import annotations

import html
import json
from urllib.parse import urlencode

import httpx
import pytest

import gpusizer
from command_line import run
from gpusizer.i18n import text
from gpusizer.planning.request import Request, to_arguments, to_query
from gpusizer.rendering.plan_options import option_cells, speed_bands
from report_reader import Page
from workbook_reader import results

REQUESTS = [
    Request(model="deepseek-v3", users=1000),
    Request(model="qwen3-32b", users=200, context_tokens=8192),
    Request(model="qwen3-8b", concurrency=1, gpus=("rtx4090-24gb",)),
    Request(model="qwen3-8b", concurrency=4, engine="sglang"),
    Request(model="gpt-oss-120b", users=100, market="cn"),
    Request(model="qwen3-235b-a22b", users=500, market="cn-domestic"),
    Request(model="qwen3-32b", concurrency=20, ttft_s=2.0, tpot_s=0.05),
    Request(model="qwen3-30b-a3b", request_rate=2.0),
    Request(model="llama-3.3-70b-instruct", users=300, precision="fp8", gpus=("h100-sxm-80gb", "l40s-48gb")),
    Request(model="deepseek-r1", concurrency=16, context_tokens=16384, vendor="amd"),
    Request(model="kimi-k2-instruct", users=2000, currency="EUR", sort="gpus"),
    Request(model="qwen3-14b", scenario="code-assistant", tuning="off"),
    Request(model="qwen3-8b", users=100, with_models=("bge-m3", "bge-reranker-v2-m3"), spare=1),
]

COUNTED = [each for each in REQUESTS if each.engine == "vllm" and not each.has_targets and each.tuning == "auto"]
"""What the cells of a workbook count."""


@pytest.mark.parametrize("request_", REQUESTS, ids=to_query)
def test_six_ways_to_ask_give_the_same_numbers(request_: Request, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = gpusizer.plan(request_)
    best, query = answer.options[0], to_query(request_)

    _, printed, _ = run(capsys, "plan", *to_arguments(request_), "--format", "json")
    told = httpx.get(f"{server}/api/v1/plan?{query}", timeout=60).json()
    assert answer.to_dict() == json.loads(printed) == told

    page = " ".join(html.unescape(httpx.get(f"{server}/?{query}&lang=en", timeout=60).text).split())
    assert answer.sentence() in page
    assert told["options"][0]["command"] in page
    cells = option_cells(answer.result, "en")
    for option in answer.options[:5]:
        for name in ("gpu", "holds", "million"):
            assert cells[name](option) in page
        assert all(band in page for band in speed_bands(option).values())

    report = Page(httpx.get(f"{server}/report?{query}&{urlencode({'lang': 'en', 'date': '2026-11-27'})}", timeout=60).text)
    assert answer.sentence() in report.words()
    held = report.row(text("report", "row-held", "en"))
    assert any(f"{best.held_requests:,}" in cell and f"{best.held_requests_low:,}" in cell for cell in held)


@pytest.mark.parametrize("request_", COUNTED, ids=to_query)
def test_a_workbook_gives_the_same_numbers(request_: Request, server: str) -> None:
    query = to_query(request_)
    told = httpx.get(f"{server}/api/v1/plan?{query}&speculative=off", timeout=60).json()
    first = next(option for option in told["options"] if option["layout"]["dp"] == 1)  # cells count no ranks that hold requests of their own
    said = results(httpx.get(f"{server}/plan.xlsx?{query}", timeout=60).content)
    assert said["out_gpus"] == first["gpus"]
    assert said["out_weights_bytes"] == first["per_gpu"]["weights_bytes"]
    assert said["out_kv_cache_tokens"] == first["kv_cache_tokens"]
    assert said["out_total_params"] == told["model"]["total_params"]
    assert said["out_concurrency"] == told["request"]["concurrency"]
