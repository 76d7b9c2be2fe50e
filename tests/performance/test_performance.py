"""Speed: published kernel figures and checks, and limits that hold for any constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.compute import experts_touched, experts_touched_skewed
from gpusizer.performance.device_speeds import generation
from gpusizer.performance.predict import Load, Performance, PrefillPool, predict
from gpusizer.performance.serving import fixed_point
from gpusizer.performance.step_speeds import EngineState, speeds_of
from gpusizer.performance.step_time import Step, communication_seconds, step_time
from gpusizer.performance.step_work import Parallelism, step_work
from gpusizer.validation.speed_cases import PerformanceCase, performance_case

H100, H200, B200 = "h100-sxm-80gb", "h200-sxm-141gb", "b200-sxm-180gb"


@cache
def model(name: str, precision: str = "checkpoint") -> Architecture:
    return with_precision(load_architecture(name), precision)


def run(
    name: str, gpu: str | Accelerator, *, precision: str = "checkpoint", load: Load | None = None, concurrency: float = 1.0, **cut: Any
) -> Performance:
    device = accelerator(gpu) if isinstance(gpu, str) else gpu
    deployment = Deployment(model=name, gpu=device.id, precision=precision, **cut)
    return predict(model(name, precision), device, deployment, load or Load(1024, 1024, concurrency=concurrency))


# ---- what a step must do, against published figures -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("experts", "top_k", "tokens", "touched"),
    [(256, 8, 1, 8), (256, 8, 8, 57), (256, 8, 32, 163), (256, 8, 128, 252), (128, 4, 8, 29), (128, 4, 32, 82), (128, 4, 128, 126)],
)
def test_distinct_experts_follow_uniform_routing(experts: int, top_k: int, tokens: int, touched: int) -> None:
    assert round(experts_touched(experts=experts, top_k=top_k, tokens=tokens)) == touched


def test_deepseek_v3_caches_one_latent_for_all_ranks() -> None:
    for tp in (1, 8):
        work = step_work(model("deepseek-v3"), Parallelism(tp=tp))
        assert sum(one.layers * one.row_bytes for one in work.attention) == 61 * 576 * 2  # 70.3 kB, not divided by tp
    one = step_work(model("deepseek-v3"), Parallelism()).attention[0]
    assert one.row_flops == 2 * 128 * (576 + 512)  # the absorbed form
    assert one.pair_flops == 2 * 128 * (192 + 128)  # the expanded form of a prefill
    assert 235 < one.row_flops / one.row_bytes < 250  # FLOP per byte: at the ridge of Hopper


def test_a_step_reads_active_weights_only() -> None:
    """DeepSeek-V3 activates 37 B of 671 B: what one token multiplies, embedding lookups apart."""
    work = step_work(model("deepseek-v3"), Parallelism())
    flops = sum(linear.flops_per_token for linear in work.linears) + work.head.flops_per_token
    flops += sum(block.layers * block.top_k * block.expert_flops for block in work.experts)
    assert flops / 2 == pytest.approx(37e9 - 129280 * 7168, rel=0.02)


def test_sparse_attention_reads_what_its_indexer_picks() -> None:
    dense, sparse = step_work(model("deepseek-v3"), Parallelism()), step_work(model("deepseek-v3.2"), Parallelism())
    assert {one.cap_rows for one in sparse.attention} == {2048}
    assert all(one.scan_bytes > 0 for one in sparse.attention)
    assert all(one.cap_rows > 1e9 for one in dense.attention)


def test_windows_bound_what_is_read() -> None:
    caps = {one.cap_rows: one.layers for one in step_work(model("gpt-oss-120b"), Parallelism()).attention}
    assert caps[128.0] == 18
    assert len(caps) == 2


def test_linear_layers_move_a_state_and_no_cache() -> None:
    states = [one for one in step_work(model("qwen3-next-80b-a3b-instruct"), Parallelism()).attention if one.state_bytes]
    assert states
    assert all(one.row_bytes == 0 and one.state_bytes > 0 for one in states)


# Medians of custom all-reduce kernels, message in 2-byte elements (hardware tables of the design pages, section 4.3). [s]
@pytest.mark.parametrize(
    ("gpu", "tp", "elements", "low", "high"),
    [
        (H100, 8, 64 * 1024, 6e-6, 8e-6),
        (H100, 8, 32 * 1024**2, 320e-6, 345e-6),
        (H100, 2, 32 * 1024**2, 250e-6, 310e-6),
        (B200, 8, 64 * 1024, 6e-6, 9e-6),
        (B200, 8, 32 * 1024**2, 220e-6, 280e-6),
        (B200, 4, 32 * 1024**2, 150e-6, 190e-6),
    ],
)
def test_all_reduce_near_measured_kernels(gpu: str, tp: int, elements: int, low: float, high: float) -> None:
    architecture = model("llama-3.1-70b-instruct")
    work = step_work(architecture, Parallelism(tp=tp))
    speeds = speeds_of(work, accelerator(gpu), EngineState("vllm"), Parallelism(tp=tp))
    tokens = elements / architecture.hidden_size
    seconds = communication_seconds(work, speeds, tokens) / (2 * len(architecture.layers))
    assert low / 1.7 < seconds < high * 1.7


@pytest.mark.parametrize(("gpu", "low", "high"), [("a100-sxm-80gb", 0.66, 0.87), (H100, 0.72, 0.92), (H200, 0.72, 0.92), (B200, 0.68, 0.90)])
def test_weights_stream_at_measured_shares_of_bandwidth(gpu: str, low: float, high: float) -> None:
    """Section 4.1 of the design pages and the GEMV ceilings of section 7.1."""
    device = accelerator(gpu)
    speeds = speeds_of(step_work(model("qwen3-32b"), Parallelism()), device, EngineState("vllm"), Parallelism())
    assert low < speeds.linears[0].bytes_per_s / device.bandwidth_bytes_per_s < high


def test_columns_give_what_numbers_give() -> None:
    np = pytest.importorskip("numpy")
    work = step_work(model("deepseek-v3"), Parallelism(tp=8))
    speeds = speeds_of(work, accelerator(H200), EngineState("sglang"), Parallelism(tp=8))
    sequences, contexts = np.array([1.0, 16.0, 300.0]), np.array([10.0, 4096.0, 90000.0])
    together = step_time(work, speeds, Step(sequences, contexts, prefill_tokens=512.0))
    alone = [step_time(work, speeds, Step(b, s, prefill_tokens=512.0)) for b, s in zip(sequences, contexts, strict=True)]
    assert together == pytest.approx(alone, rel=1e-12)


# ---- limits ---------------------------------------------------------------------------------------------------------

CASES = [
    ("qwen3-32b", H100, {"tp": 2}),
    ("deepseek-v3", H200, {"tp": 8, "engine": "sglang"}),
    ("gpt-oss-120b", B200, {"tp": 1, "engine": "tensorrt-llm"}),
    ("llama-3.1-8b-instruct", "l40s-48gb", {"tp": 1}),
]


@pytest.mark.parametrize(("name", "gpu", "cut"), CASES)
@pytest.mark.parametrize("concurrency", [1, 16, 128])
def test_more_bandwidth_is_never_slower(name: str, gpu: str, cut: dict[str, Any], concurrency: int) -> None:
    device = accelerator(gpu)
    assert device.bandwidth_bytes_per_s
    faster = replace(device, bandwidth_bytes_per_s=device.bandwidth_bytes_per_s * 1.5)
    before, after = (run(name, each, concurrency=concurrency, **cut) for each in (device, faster))
    assert after.tpot_s.value <= before.tpot_s.value
    assert after.output_tokens_per_s.value >= before.output_tokens_per_s.value


@pytest.mark.parametrize(("name", "gpu", "cut"), CASES)
def test_a_better_device_serves_more_when_full(name: str, gpu: str, cut: dict[str, Any]) -> None:
    device = accelerator(gpu)
    assert device.bandwidth_bytes_per_s
    better = replace(
        device,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s * 1.3,
        peak_flops={name: peak * 1.3 for name, peak in device.peak_flops.items()},
        memory_bytes=device.memory_bytes * 13 // 10,
        torch_total_bytes=None,
    )
    full = Load(1024, 1024, concurrency=float("inf"))
    assert run(name, better, load=full, **cut).output_tokens_per_s.value >= run(name, device, load=full, **cut).output_tokens_per_s.value


@pytest.mark.parametrize(("name", "gpu", "cut"), CASES)
def test_alone_no_token_is_faster_than_the_bytes_it_reads(name: str, gpu: str, cut: dict[str, Any]) -> None:
    work = step_work(model(name), Parallelism(tp=cut["tp"]))
    read = sum(linear.weight_bytes for linear in work.linears) + work.head.weight_bytes
    read += sum(block.layers * block.top_k * block.expert_bytes for block in work.experts)
    assert run(name, gpu, concurrency=1, **cut).tpot_s.value > read / accelerator(gpu).bandwidth_bytes_per_s


def test_the_gain_of_tensor_parallelism_ends_where_all_reduce_takes_over() -> None:
    """Without NVLink eight cards are hardly faster than two for one user, and a small model gains less from each doubling."""
    pace = [run("llama-3.1-8b-instruct", "l40s-48gb", tp=tp, concurrency=64).tpot_s.value for tp in (1, 2, 4, 8)]
    gains = [before / after for before, after in pairwise(pace)]
    assert gains[-1] < gains[0]
    assert gains[-1] < 1.15
    fast = [run("llama-3.1-70b-instruct", H100, tp=tp, precision="fp8").tpot_s.value for tp in (1, 2, 4, 8)]
    assert all(after < before for before, after in pairwise(fast))
    assert fast[0] / fast[3] < 8


def test_more_users_wait_longer_and_get_more_together() -> None:
    found = [run("qwen3-32b", H100, tp=2, concurrency=users) for users in (1, 4, 16, 64, 256, 1024)]
    for before, after in pairwise(found):
        assert after.tpot_s.value >= before.tpot_s.value * 0.999
        assert after.ttft_s.value >= before.ttft_s.value * 0.999
        assert after.output_tokens_per_s.value >= before.output_tokens_per_s.value * 0.98


def test_a_full_cache_makes_requests_wait_and_says_so() -> None:
    crowded = run("qwen3-32b", H100, tp=1, load=Load(4096, 512, concurrency=200))
    assert crowded.regime == "cache-limited"
    assert [notice.code for notice in crowded.notices] == ["cache-limits-concurrency"]
    assert crowded.ttft_s.value > 20 * run("qwen3-32b", H100, tp=1, load=Load(4096, 512, concurrency=4)).ttft_s.value


def test_more_than_can_be_served_is_called_so_with_what_can() -> None:
    def at(rate: float) -> Performance:
        return run("qwen3-32b", H100, tp=2, load=Load(1024, 256, request_rate_per_s=rate))

    calm, drowned = at(0.5), at(500.0)
    assert calm.regime == "arrivals"
    assert drowned.regime == "overloaded"
    assert "overloaded" in {notice.code for notice in drowned.notices}
    assert drowned.limit_requests_per_s is not None
    assert drowned.output_tokens_per_s.value <= drowned.limit_requests_per_s * 256 * 1.001
    assert at(drowned.limit_requests_per_s * 0.9).regime == "arrivals"
    assert at(drowned.limit_requests_per_s * 1.1).regime == "overloaded"
    assert calm.output_tokens_per_s.value == pytest.approx(0.5 * 256)


def test_arrivals_by_littles_law() -> None:
    calm = run("qwen3-32b", H100, tp=2, load=Load(512, 512, request_rate_per_s=2.0))
    assert calm.running == pytest.approx(2.0 * 511 * calm.tpot_s.value, rel=0.02)


def test_a_shared_prefix_is_not_computed_again() -> None:
    cold = run("qwen3-32b", H100, tp=2, load=Load(8192, 256, concurrency=16))
    warm = run("qwen3-32b", H100, tp=2, load=Load(8192, 256, concurrency=16, shared_prefix_tokens=7168))
    assert warm.ttft_s.value < cold.ttft_s.value / 3
    assert warm.output_tokens_per_s.value > cold.output_tokens_per_s.value


def test_drafts_help_few_users_and_more_so_when_accepted() -> None:
    def at(drafts: int, acceptance: float) -> float:
        load = Load(1024, 1024, concurrency=2, acceptance=acceptance)
        return run("deepseek-v3", H200, tp=8, engine="sglang", load=load, speculative_tokens=drafts).tpot_s.value

    assert at(3, 0.9) < at(3, 0.6) < at(0, 0.6)
    assert at(3, 0.0) > at(0, 0.0)  # nothing accepted: only the cost is left


def test_prompts_elsewhere_do_not_disturb_decoding() -> None:
    device = accelerator(H200)
    deployment = Deployment(model="gpt-oss-120b", gpu=H200, tp=2)
    load = Load(8192, 512, concurrency=32)
    together = predict(model("gpt-oss-120b"), device, deployment, load)
    apart = predict(model("gpt-oss-120b"), device, deployment, load, prefill=PrefillPool(deployment, 4))
    assert apart.tpot_s.value < together.tpot_s.value
    few, many = (predict(model("gpt-oss-120b"), device, deployment, load, prefill=PrefillPool(deployment, workers)) for workers in (1, 4))
    assert many.ttft_s.value < few.ttft_s.value


def test_replicas_share_the_load() -> None:
    device, deployment = accelerator(H100), Deployment(model="qwen3-32b", gpu=H100, tp=2)
    one = predict(model("qwen3-32b"), device, deployment, Load(1024, 512, concurrency=16))
    four = predict(model("qwen3-32b"), device, deployment, Load(1024, 512, concurrency=64), replicas=4)
    assert four.tpot_s.value == pytest.approx(one.tpot_s.value)
    assert four.output_tokens_per_s.value == pytest.approx(4 * one.output_tokens_per_s.value)


@pytest.mark.parametrize("gpu", ["ascend910b2-64gb", "mi300x-192gb", "rtx4090-24gb", "arc-pro-b60-24gb", "hygon-k100-ai-64gb"])
def test_a_device_that_nobody_measured_has_a_wider_band_and_says_so(gpu: str) -> None:
    device = accelerator(gpu)
    found = run("llama-3.1-8b-instruct", device, concurrency=8)
    usual = run("llama-3.1-8b-instruct", H100, concurrency=8)
    assert found.tpot_s.low < found.tpot_s.value < found.tpot_s.high
    if generation(device) == "other":
        assert found.evidence == "assumed"
        assert "speed-from-data-sheet" in {notice.code for notice in found.notices}
        assert found.tpot_s.high / found.tpot_s.low > 1.3 * usual.tpot_s.high / usual.tpot_s.low


def test_an_engine_that_nobody_measured_is_answered_with_a_wider_band() -> None:
    found = run("llama-3.1-8b-instruct", H100, engine="transformers", concurrency=4)
    assert found.evidence == "assumed"
    assert "speed-of-engine-assumed" in {notice.code for notice in found.notices}


# ---- published runs that are no rows of the calibration -------------------------------------------------------------


def test_batch_one_on_a_small_unified_device() -> None:
    """DGX Spark, Llama-70B in FP8: 2.7 tokens/s, 70 % of 273 GB/s (LMSYS, 2025-10-13)."""
    found = run("llama-3.1-70b-instruct", "gb10-128gb", precision="fp8", engine="sglang", load=Load(128, 128, concurrency=1))
    assert 1 / found.tpot_s.value == pytest.approx(2.7, rel=0.35)


def test_batch_one_with_drafts_on_eight_h200() -> None:
    """DeepSeek-R1 in FP8 with three drafts on eight H200: 158 tokens/s for one user (TensorRT-LLM best-practice guide)."""
    load = Load(1024, 2048, concurrency=1, acceptance=0.68)
    found = run("deepseek-r1", H200, tp=8, engine="tensorrt-llm", kv_precision="fp8", speculative_tokens=3, load=load)
    assert found.tpot_s.low < 1 / 158 < found.tpot_s.high


# ---- the loop ---------------------------------------------------------------------------------------------------------


def test_what_runs_is_what_the_service_lets_run() -> None:
    """The loop stands still where it ends: a change of the number that runs changes nothing, from any start."""
    loops: tuple[tuple[Callable[[float], float], float, float], ...] = (
        (lambda x: 40 / (1 + x), 50.0, 45.0),
        (lambda x: 3 + 0.97 * x, 500.0, 450.0),
        (lambda x: min(7.0, x + 1), 9.0, 0.9),
    )
    for answer, most, start in loops:
        at = fixed_point(answer, start, most)
        assert answer(at) == pytest.approx(at, rel=1e-6)


def test_popular_experts_leave_others_unread() -> None:
    """Uniform routing is the limit of even popularity, and one token reads exactly those that it chose."""
    for tokens in (1, 8, 64, 1024):
        even = experts_touched_skewed(experts=256, top_k=8, tokens=tokens, evenness=1e7)
        assert even == pytest.approx(experts_touched(experts=256, top_k=8, tokens=tokens), rel=0.02)
        assert 8 <= experts_touched_skewed(experts=256, top_k=8, tokens=tokens, evenness=0.7) <= even * 1.0001
    assert experts_touched_skewed(experts=8, top_k=2, tokens=1, evenness=1.0) == pytest.approx(2.0)


# ---- what the vendor's tables describe, and one server ---------------------------------------------------------------


def _table_row(**fields: Any) -> PerformanceCase:
    row: dict[str, Any] = {"gpu": "B200 SXM 180GB", "gpu_count": 8, "engine": "TensorRT-LLM (PyTorch backend)", "parallelism": "tp8"}
    row |= {"quantization": "fp8", "isl": 2048, "osl": 2048, "batch_size": "max throughput (all requests queued at once)"}
    case = performance_case(row | fields)
    assert isinstance(case, PerformanceCase), case
    return case


def test_vendor_tables_run_experts_with_attention_data_parallelism() -> None:
    """TensorRT-LLM perf-overview: ``enable_attention_dp`` for mixtures of experts, tensor parallelism for dense models, as many at once as fit."""
    routed = _table_row(model="Qwen3-235B-A22B")
    dense = _table_row(model="Llama-3.3-70B-Instruct")
    assert (routed.deployment.tp, routed.deployment.dp, routed.deployment.ep) == (1, 8, 8)
    assert (dense.deployment.tp, dense.deployment.dp) == (8, 1)
    assert routed.load.concurrency == dense.load.concurrency == float("inf")


def test_one_server_hands_over_only_so_many_tokens() -> None:
    """However fast the device, a server that streams each token alone is the limit; tokens handed over together lift it."""
    load = Load(64, 512, concurrency=1024)
    alone = run("llama-3.1-8b-instruct", B200, load=load)
    together = run("llama-3.1-8b-instruct", B200, load=load, flags={"stream_interval": 50})
    assert together.output_tokens_per_s.value > alone.output_tokens_per_s.value
