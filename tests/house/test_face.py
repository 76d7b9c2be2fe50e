"""The Python face: what a program relies on, and how it refuses what makes no sense."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

import gpusizer
from gpusizer import Deployment, GpusizerError, Request

START = Deployment(model="qwen3-8b", gpu="h100-sxm-80gb", max_model_len=4096)


def test_the_face_is_what_the_contract_says() -> None:
    architecture = gpusizer.load_architecture("deepseek-v3")
    assert architecture.parameters.total == sum(architecture.parameters.groups.values())
    assert architecture.parameters.mtp > 0
    assert architecture.parameters.activated < architecture.parameters.total
    plan = gpusizer.plan(Request(model="deepseek-v3", concurrency=10, context_tokens=2048, gpus=("h200-sxm-141gb",)))
    fit = gpusizer.fit(Deployment(model="deepseek-v3", gpu="h200-sxm-141gb", tp=8, engine="vllm"))
    assert json.loads(plan.to_json()) == json.loads(json.dumps(plan.to_dict()))
    assert json.loads(fit.to_json()) == json.loads(json.dumps(fit.to_dict()))
    assert (plan.to_dict()["schema"], fit.to_dict()["schema"]) == ("gpusizer.plan/1", "gpusizer.fit/1")
    assert all(hasattr(gpusizer, name) for name in gpusizer.__all__)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tp": 0}, "out-of-bounds"),
        ({"tp": -3}, "out-of-bounds"),
        ({"tp": "8"}, "out-of-bounds"),
        ({"tp": 2.0}, "out-of-bounds"),
        ({"pp": True}, "out-of-bounds"),
        ({"dp": 10**9}, "out-of-bounds"),
        ({"max_model_len": -5}, "out-of-bounds"),
        ({"max_model_len": 10**30}, "out-of-bounds"),
        ({"max_num_seqs": 0}, "out-of-bounds"),
        ({"block_size": 0}, "out-of-bounds"),
        ({"speculative_tokens": -1}, "out-of-bounds"),
        ({"memory_fraction": math.nan}, "out-of-bounds"),
        ({"memory_fraction": 0.0}, "out-of-bounds"),
        ({"memory_fraction": 5}, "out-of-bounds"),
        ({"engine": "vlm"}, "unknown-engine"),
        ({"engine": None}, "bad-word"),
        ({"gpu": "no-such-card"}, "unknown-accelerator"),
        ({"model": ""}, "bad-word"),
        ({"precision": "fp9"}, "unknown-precision"),
        ({"kv_precision": "fp9"}, "unknown-cache-format"),
        ({"engine_version": "newest"}, "bad-version"),
    ],
    ids=str,
)
def test_a_deployment_that_makes_no_sense_is_refused_by_code(changes: dict[str, Any], code: str) -> None:
    assert gpusizer.fit(START).fits
    with pytest.raises(GpusizerError) as refused:
        gpusizer.fit(replace(START, **changes))
    assert (refused.value.code, refused.value.exit_code) == (code, 2)


@pytest.mark.parametrize("fields", [{"model": None}, {"model": "qwen3-8b", "concurrency": 1.5}, {"model": "qwen3-8b", "users": -1}], ids=str)
def test_a_request_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(GpusizerError):
        Request(**fields)


def test_more_of_anything_never_holds_more_requests() -> None:
    """A longer context, a wider cache, a smaller share of the card: none can make room."""
    base = gpusizer.fit(START).to_dict()["max_concurrency"]
    for changes in ({"max_model_len": 8192}, {"memory_fraction": 0.8}, {"precision": "fp32"}):
        assert gpusizer.fit(replace(START, **changes)).to_dict()["max_concurrency"] < base
    assert gpusizer.fit(replace(START, kv_precision="fp8")).to_dict()["max_concurrency"] > base
