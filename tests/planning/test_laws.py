"""What must never happen, whatever the figures are: more of what is good costs GPUs, or takes an answer away."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

import gpusizer
from gpusizer import Request

# Model, requests at once, tokens each: small and large, dense and of experts, short and long, alone and crowded.
NEEDS = [
    ("qwen3-8b", 50, 1024),
    ("qwen3-30b-a3b", 8, 32_000),
    ("deepseek-v2-lite", 60, 8192),
    ("gemma-3-27b-it", 1, 8192),
    ("gpt-oss-20b", 60, 32_000),
    ("llama-3.1-70b-instruct", 8, 8192),
]


def options(need: tuple[str, int, int], **more: Any) -> list[dict[str, Any]]:
    model, concurrency, tokens = need
    found: list[dict[str, Any]] = gpusizer.plan(Request(model=model, concurrency=concurrency, context_tokens=tokens, **more)).to_dict()["options"]
    return found


def gpus(need: tuple[str, int, int], **more: Any) -> float:
    """GPUs of the answer; no answer is more than any number of them."""
    found = options(need, **more)
    return float(found[0]["gpus"]) if found else float("inf")


def card(memory_gb: int = 48, bandwidth: int = 900, peak: int = 400) -> tuple[str]:
    return (f"{memory_gb}GB,{bandwidth}GB/s,{peak}TFLOPS,vendor=NVIDIA,compute-capability=9.0",)


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_a_better_card_never_costs_gpus(need: tuple[str, int, int]) -> None:
    """More memory, more bandwidth or a higher peak, with a target for each token."""
    plain = gpus(need, gpus=card(), tpot_s=0.04)
    for better in (card(memory_gb=72), card(bandwidth=1800), card(peak=800)):
        assert gpus(need, gpus=better, tpot_s=0.04) <= plain, better


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_fewer_bits_never_cost_gpus(need: tuple[str, int, int]) -> None:
    found = [gpus(need, precision=precision, gpus=("h100-sxm-80gb",)) for precision in ("fp32", "bf16", "fp8", "int4")]
    assert found == sorted(found, reverse=True)
    assert gpus(need, kv_precision="fp8", gpus=("h100-sxm-80gb",)) <= gpus(need, kv_precision="auto", gpus=("h100-sxm-80gb",))


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_more_gpus_at_hand_take_no_answer_away(need: tuple[str, int, int]) -> None:
    """What holds with few stays among the options with more; it may come second to one that holds the load on the safe side."""
    found = [{(each["gpus"], str(each["layout"])) for each in options(need, gpus=("l40s-48gb",), max_gpus=most)} for most in (1, 4, 16)]
    assert all(few <= many for few, many in pairwise(found))
    assert found[-1]
