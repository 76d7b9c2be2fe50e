"""vLLM on devices that charge its budget differently: AMD cards, NPUs, and machines whose GPU shares their memory."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.flags import checked_deployment
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.units import GiB


def fit(model: str, gpu: str, **fields: Any) -> Fit:
    deployment = Deployment(model, gpu, **fields)
    return get_engine("vllm").fit(deployment, with_precision(load_architecture(model), deployment.precision), accelerator(gpu))


def lines(found: Fit) -> dict[str, int]:
    return {line.id: line.bytes for line in found.ranks[0].items}


@pytest.mark.parametrize(
    ("model", "tp", "version", "logged_gib"),
    [
        ("qwen3-vl-30b-a3b-instruct", 1, "0.13.0", 79.29),  # start-up logs of ashishkamra on MI300X; the tensors alone are 58.2 and 93.8 GiB
        ("qwen3-vl-30b-a3b-instruct", 1, "0.18.0", 79.29),
        ("llama-4-maverick-17b-128e-instruct", 8, "0.11.2", 126.72),
    ],
)
def test_unquantised_experts_leave_blocks_unused_on_rocm(model: str, tp: int, version: str, logged_gib: float) -> None:
    weights = fit(model, "mi300x-192gb", tp=tp, engine_version=version, max_model_len=8192).quantities["weights_bytes"]
    assert weights.value == pytest.approx(logged_gib * GiB, rel=0.015)
    assert weights.low <= logged_gib * GiB <= weights.high


def test_experts_are_padded_nowhere_else() -> None:
    assert "weights_padded" not in lines(fit("qwen3-vl-30b-a3b-instruct", "h200-sxm-141gb", max_model_len=8192))
    assert "weights_padded" not in lines(fit("qwen3-30b-a3b", "mi300x-192gb", precision="fp8", max_model_len=8192))


@pytest.mark.parametrize(
    ("version", "pool_gib"),
    [("0.11.2", 39.07), ("0.14.1", 39.07), ("0.18.0", 41.88)],  # Llama-3.3-70B on one MI300X at 0.92: the sampler sorts until 0.16
)
def test_the_sampler_sorts_on_rocm_as_elsewhere(version: str, pool_gib: float) -> None:
    found = fit("llama-3.3-70b-instruct", "mi300x-192gb", engine_version=version, max_model_len=8192, memory_fraction=0.92)
    assert found.quantities["kv_cache_pool_bytes"].value == pytest.approx(pool_gib * GiB, rel=0.02)


def test_npus_charge_all_that_is_used_and_keep_blocks_of_128_tokens() -> None:
    """Qwen3-8B on a 910B4, vllm-ascend 0.11: 72,448 tokens, 7.16 requests of 10,000."""
    found = fit("qwen3-8b", "ascend910b4-32gb", engine_version="0.11.0", max_model_len=10000, memory_fraction=0.9, enforce_eager=True)
    assert found.deployment.block_size == 128
    assert found.quantities["kv_cache_tokens"].value == pytest.approx(72_448, rel=0.03)
    assert found.max_concurrency == pytest.approx(7.16, rel=0.03)


def test_npus_take_no_graphs_off_the_budget() -> None:
    eager, captured = (fit("qwen3-8b", "ascend910b3-64gb", engine_version="0.30.0", enforce_eager=each, max_model_len=8192) for each in (True, False))
    assert eager.quantities["kv_cache_pool_bytes"] == captured.quantities["kv_cache_pool_bytes"]


def test_a_310p_makes_half_of_what_is_left_a_cache() -> None:
    """vllm-ascend since 0.18 (vllm_ascend/_310p/worker_310p.py); Qwen3-4B with 0.11 had 25.1 GiB at 0.8."""
    whole, half = (fit("qwen3-4b", "ascend310p3-48gb", engine_version=each, max_model_len=4096, memory_fraction=0.8) for each in ("0.17.0", "0.18.0"))
    pools = [each.quantities["kv_cache_pool_bytes"].value for each in (whole, half)]
    assert pools[1] == pytest.approx(pools[0] / 2, rel=1e-6)
    assert fit("qwen3-4b", "ascend310p3-48gb", engine_version="0.11.0", max_model_len=4096, memory_fraction=0.8, enforce_eager=True).quantities[
        "kv_cache_pool_bytes"
    ].value == pytest.approx(25.1 * GiB, rel=0.04)


def test_a_communicator_of_npus_keeps_two_buffers() -> None:
    """HCCL_BUFFSIZE is 200 MB: 400 MiB for each communicator."""
    usual, larger = (fit("qwen3-8b", "ascend910b3-64gb", tp=2, max_model_len=8192, flags=flags) for flags in ({}, {"hccl_buffsize": 1024}))
    assert lines(larger)["non_torch"] - lines(usual)["non_torch"] == 2 * 2 * (1024 - 200) * 2**20


# ---- machines whose GPU shares their memory ---------------------------------------------------------------------------


def test_what_others_hold_decides_whether_a_share_starts() -> None:
    """DGX Spark: starts at 0.89 are logged (sostrowsk); with 20 GiB held, 0.87 never passed the check (GLM-5.3-Flash-EXL3 issue 47)."""
    assert fit("qwen3-8b", "gb10-128gb", max_model_len=8192, memory_fraction=0.89).fits
    refused = fit("qwen3-8b", "gb10-128gb", max_model_len=8192, memory_fraction=0.87, other_memory_bytes=round(19.6 * GiB))
    assert refused.reason is not None
    assert refused.reason.code == "budget-above-free"
    assert fit("qwen3-8b", "gb10-128gb", max_model_len=8192, memory_fraction=0.82, other_memory_bytes=round(19.6 * GiB)).fits


def test_what_is_said_has_no_band_and_what_is_usual_has() -> None:
    told, usual = (fit("qwen3-8b", "gb10-128gb", max_model_len=8192, memory_fraction=0.8, other_memory_bytes=each) for each in (6 * GiB, None))
    held, assumed = (next(line for line in each.ranks[0].items if line.id == "system_memory") for each in (told, usual))
    assert (held.bytes, held.low_bytes, held.high_bytes) == (6 * GiB,) * 3
    assert assumed.low_bytes < 8.7 * GiB < 11.7 * GiB < assumed.high_bytes  # free before a load in four logs
    assert [each.code for each in told.warnings] == ["shared-memory-said"]
    assert [each.code for each in usual.warnings] == ["shared-memory"]


def test_the_pool_does_not_depend_on_others_and_discrete_cards_do_not_either() -> None:
    pools = [
        fit("qwen3-8b", gpu, max_model_len=8192, memory_fraction=0.7, other_memory_bytes=held).quantities["kv_cache_pool_bytes"].value
        for gpu in ("gb10-128gb", "h100-sxm-80gb")
        for held in (None, 0, 12 * GiB)
    ]
    assert len(set(pools[:3])) == len(set(pools[3:])) == 1


def test_what_lies_beside_the_reach_of_a_gpu_costs_it_nothing() -> None:
    """A Ryzen with 128 GB gives its GPU 120 GiB: eight lie beside."""
    found = [
        lines(fit("qwen3-8b", "ryzen-ai-max-395-128gb", max_model_len=8192, other_memory_bytes=each * GiB)).get("system_memory", 0)
        for each in (6, 11)
    ]
    assert found == [0, 3 * GiB]


def test_a_plan_proposes_a_share_that_starts() -> None:
    usual, crowded = (
        make_plan(Request(model="qwen3-8b", concurrency=4, context_tokens=8192, gpus=("gb10-128gb",), other_memory_bytes=held)).best
        for held in (None, 25 * GiB)
    )
    assert usual is not None
    assert crowded is not None
    assert crowded.launch.memory_fraction is not None
    assert crowded.launch.memory_fraction < (usual.launch.memory_fraction or 1) < 0.92
    assert crowded.fit.fits
    assert "--other-memory" not in " ".join(get_engine("vllm").command(crowded.launch))


@pytest.mark.parametrize("held", [-1, True, 2**43])
def test_memory_of_others_has_bounds(held: Any) -> None:
    with pytest.raises(FlagError):
        checked_deployment(Deployment("qwen3-8b", "gb10-128gb", other_memory_bytes=held))
