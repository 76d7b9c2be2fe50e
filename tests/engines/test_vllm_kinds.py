"""vLLM: starts of other kinds, each held to the lines of its log: the old engine, pooling, towers in Mistral's own format, graphs on Hopper."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.units import GiB


def fit(model: str, gpu: str, *, precision: str = "checkpoint", **fields: Any) -> Fit:
    architecture = with_precision(load_architecture(model), precision)
    return get_engine("vllm").fit(Deployment(model=model, gpu=gpu, precision=precision, **fields), architecture, accelerator(gpu))


def gib(result: Fit, name: str) -> float:
    return result.quantities[name].value / GiB


def test_the_tower_of_mistrals_own_format_is_on_every_rank() -> None:
    """mistralai/Ministral-3-14B-Reasoning-2512 on H200, 0.13.0: 7.208 GiB on four ranks, 4.033 on eight."""
    model = "mistral-small-3.1-24b-instruct-2503"
    sizes = []
    for version in ("0.11.0", "0.13.0"):
        lines = fit(model, "h200-sxm-141gb", engine_version=version, tp=8).ranks[0].items
        sizes.append(next(line.bytes for line in lines if line.id == "weights_towers"))
    assert 7 < sizes[1] / sizes[0] <= 8


def test_the_old_engine_takes_whole_prompts_on_rocm() -> None:
    """VLLM_USE_V1=0 with 0.9.2 on MI300X: 14.63 GiB at the peak, 122.99 GiB for the cache, "rocm blocks: 62971"."""
    fields: dict[str, Any] = {"engine_version": "0.9.2", "precision": "fp16", "max_model_len": 131072, "memory_fraction": 0.8}
    result = fit("llama-3.1-8b-instruct", "mi300x-192gb", flags={"use_v1": 0}, **fields)
    assert gib(result, "activation_peak_bytes") == pytest.approx(14.63, rel=0.03)
    assert gib(result, "kv_cache_pool_bytes") == pytest.approx(122.99, rel=0.02)
    newer = fit("llama-3.1-8b-instruct", "mi300x-192gb", **fields)
    assert gib(newer, "activation_peak_bytes") < 6


def test_a_pooling_runner_without_images_holds_neither_tower_nor_logits() -> None:
    """Qwen3-VL-Embedding-2B on a T4 with 0.11.0: "Model loading took 3.4554 GiB", 8.21 GiB for the cache."""
    flags = {"runner": "pooling", "limit_mm_per_prompt": {"image": 0, "video": 0}}
    fields: dict[str, Any] = {"engine_version": "0.11.0", "precision": "fp16", "max_model_len": 2048, "memory_fraction": 0.8, "enforce_eager": True}
    pooled = fit("qwen3-vl-embedding-2b", "t4-16gb", flags=flags, **fields)
    assert gib(pooled, "weights_bytes") == pytest.approx(3.4554, rel=0.005)
    assert gib(pooled, "kv_cache_pool_bytes") == pytest.approx(8.21, rel=0.02)
    assert gib(fit("qwen3-vl-embedding-2b", "t4-16gb", flags={"limit_mm_per_prompt": {"image": 0}}, **fields), "weights_bytes") > 4  # videos are left
    assert (
        gib(fit("qwen3-8b", "h100-sxm-80gb", flags={"task": "embed"}), "weights_bytes") < gib(fit("qwen3-8b", "h100-sxm-80gb"), "weights_bytes") - 1
    )


# "Graph capturing finished ... took": logs of 0.19.0 on H100, 102 graphs. What more ranks save are the partial results of split attention.
@pytest.mark.parametrize(
    ("model", "fields", "logged"),
    [
        ("llama-3.1-8b-instruct", {}, 0.91),
        ("llama-3.1-8b-instruct", {"tp": 2}, 0.76),
        ("llama-3.1-8b-instruct", {"tp": 4}, 0.67),
        ("llama-3.1-8b-instruct", {"pp": 2}, 0.65),
        ("llama-3.1-8b-instruct", {"pp": 4}, 0.51),
        ("qwen2.5-7b-instruct", {"tp": 4}, 0.64),
        ("deepseek-v2-lite", {}, 1.57),
    ],
)
def test_graphs_as_logs_of_hopper_print_them(model: str, fields: dict[str, Any], logged: float) -> None:
    result = fit(model, "h100-sxm-80gb", engine_version="0.19.0", max_model_len=8192, **fields)
    assert gib(result, "cuda_graph_bytes") == pytest.approx(logged, rel=0.3)


def test_partial_results_of_split_attention_are_shared_by_ranks() -> None:
    one, two = (fit("llama-3.1-8b-instruct", "h100-sxm-80gb", engine_version="0.19.0", tp=tp) for tp in (1, 2))
    assert gib(one, "cuda_graph_bytes") - gib(two, "cuda_graph_bytes") == pytest.approx(0.91 - 0.76, abs=0.03)


# "Estimated CUDA graph memory": FlashInfer's own kernels ask for a work buffer where decoding is captured whole; with drafts it is not.
@pytest.mark.parametrize(
    ("model", "gpu", "fields", "logged"),
    [
        ("qwen3.6-35b-a3b", "gb10-128gb", {"engine_version": "0.20.0", "flags": {"max_cudagraph_capture_size": 1}}, 0.47),
        ("qwen3.6-35b-a3b", "rtx5090-32gb", {"engine_version": "0.20.0", "flags": {"max_cudagraph_capture_size": 4}, "max_num_seqs": 2}, 0.42),
        ("qwen3.6-27b", "rtx5090-32gb", {"engine_version": "0.24.0", "max_num_seqs": 1, "speculative_tokens": 3}, 0.08),
    ],
)
def test_a_work_buffer_comes_with_the_first_whole_graph(model: str, gpu: str, fields: dict[str, Any], logged: float) -> None:
    result = fit(model, gpu, kv_precision="fp8", max_model_len=8192, **fields)
    assert gib(result, "cuda_graph_estimated_bytes") == pytest.approx(logged, abs=0.1)
