"""The longest context of a start: what it promises starts, what is longer does not, and several requests share it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpusizer import Deployment
from gpusizer.planning.largest_context import STEP_TOKENS, LongestContext, longest_context
from gpusizer.planning.verdict import make_fit

STARTS = (
    Deployment("qwen3-32b", "h100-sxm-80gb"),
    Deployment("deepseek-v3", "h200-sxm-141gb", tp=8),
    Deployment("qwen3-32b", "rtx4090-24gb", engine="llama.cpp", precision="q4_k_m"),
    Deployment("qwen3-8b", "rtx4090-24gb", engine="transformers"),
    Deployment("gemma-3-27b-it", "h100-sxm-80gb", engine="sglang"),
)


def rows_of(answer: LongestContext) -> list[tuple[int, int]]:
    return [(row.requests, row.context_tokens) for row in answer.rows]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: f"{start.model} {start.engine}")
def test_what_it_promises_starts_and_holds_the_requests(start: Deployment) -> None:
    answer = longest_context(start)
    assert answer.rows
    for row in answer.rows:
        fit = make_fit(row.launch).fit
        assert fit.fits
        assert fit.max_concurrency * (1 + 1e-9) >= row.requests
        assert row.context_tokens <= row.likely_tokens
    lengths = [row.likely_tokens for row in answer.rows]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("start", STARTS[:3], ids=lambda start: f"{start.model} {start.engine}")
def test_what_is_longer_does_not_hold_them(start: Deployment) -> None:
    answer = longest_context(start)
    for row in answer.rows[:2]:
        if row.whole or row.likely_tokens == answer.longest_tokens:
            continue
        longer = make_fit(replace(row.launch, max_model_len=row.likely_tokens + 2 * STEP_TOKENS)).fit
        assert not longer.fits or longer.max_concurrency < row.requests


def test_more_room_is_never_a_shorter_context() -> None:
    small, large, narrow = (
        longest_context(start)
        for start in (
            Deployment("qwen3-32b", "h100-sxm-80gb"),
            Deployment("qwen3-32b", "h200-sxm-141gb"),
            Deployment("qwen3-32b", "h100-sxm-80gb", kv_precision="fp8"),
        )
    )
    for wider in (large, narrow):
        assert wider.rows[0].context_tokens >= small.rows[0].context_tokens
        assert dict(rows_of(wider))[2] > 1.5 * dict(rows_of(small))[2]


def test_never_longer_than_the_model() -> None:
    answer = longest_context(Deployment("qwen3-0.6b", "h200-sxm-141gb"))
    assert answer.longest_tokens == 40960
    assert answer.rows[0].context_tokens == 40960
    assert answer.rows[0].whole


def test_what_does_not_start_says_why() -> None:
    answer = longest_context(Deployment("deepseek-v3", "rtx4090-24gb"))
    assert not answer.rows
    assert answer.reason is not None
