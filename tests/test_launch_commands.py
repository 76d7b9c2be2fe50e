"""Launch commands: what we print reads back to the same start; what people paste is understood, or answered with the reason."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import declarations, engine_ids
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import InputError
from gpusizer.facts.catalog import model_entry
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.pipeline import make_fit
from gpusizer.rendering.launch import command_line

MODELS = ("qwen3-8b", "deepseek-v3", "qwen3-30b-a3b", "gpt-oss-20b", "gemma-3-27b-it")
CARDS = ("rtx4090-24gb", "h100-sxm-80gb", "h200-sxm-141gb", "mi300x-192gb")
GGUF = tuple(each.id for each in declarations() if each.takes_gguf)
SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def verdict(deployment_json: str) -> Fit:
    told = json.loads(deployment_json)
    return make_fit(Deployment(**told))[2]


def fit(deployment: Deployment) -> Fit:
    return make_fit(deployment)[2]


def completed(fit: Fit) -> dict[str, Any]:
    """Every field of the start that was predicted; what the engine settled among the further flags is its own."""
    told = {each.name: getattr(fit.deployment, each.name) for each in fields(Deployment) if each.name != "flags"}
    stored = load_architecture(told["model"])
    as_stored = told["precision"] in (stored.quantization.method, *weight_formats(stored)[:1])
    return {**told, "model": model_entry(told["model"]).id, "precision": "checkpoint" if as_stored else told["precision"]}


def read_back(deployment: Deployment) -> Deployment:
    """The start that its own command describes; Ollama's names no model."""
    line = command_line(deployment)
    named = {"model": deployment.model, "given": {"precision": deployment.precision}} if "ollama" in line else {}
    launch = launch_of_command([line], gpu=deployment.gpu, **named)  # type: ignore[arg-type]
    assert {notice.code for notice in launch.notices} <= {"flags-neutral"}, line
    return launch.deployment


def flags_of(engine: str) -> st.SearchStrategy[dict[str, Any]]:
    options: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "vllm": {
            "enable_prefix_caching": st.booleans(),
            "cpu_offload_gb": st.sampled_from((1.0, 2.5)),
            "kv_cache_memory_bytes": st.sampled_from((1 << 30, 3 * 10**9)),
            "compilation_config": st.sampled_from(({"cudagraph_mode": "PIECEWISE"}, {"cudagraph_capture_sizes": [1, 2, 4]})),
            "cudagraph_capture_sizes": st.just((1, 2, 4, 8)),
        },
        "sglang": {"max_total_tokens": st.just(100_000), "cuda_graph_max_bs": st.sampled_from((4, 64)), "disable_radix_cache": st.just(True)},
        "tensorrt-llm": {"max_tokens": st.just(50_000)},
        "llama.cpp": {
            "cache_type_k": st.sampled_from(("q8_0", "f16")),
            "swa_full": st.just(True),
            "batch_size": st.just(1024),
            "override_tensor": st.just(("blk.1.ffn=CPU", "exps=CPU")),
            "n_gpu_layers": st.sampled_from((8, 99)),
        },
        "ollama": {"kv_cache_type": st.just("q8_0"), "flash_attention": st.sampled_from((True, False))},
        "transformers": {"attn_implementation": st.just("eager"), "prefill_chunk_size": st.just(512)},
    }
    return st.fixed_dictionaries({}, optional=options[engine])


@st.composite
def starts(draw: st.DrawFn) -> Deployment:
    engine = draw(st.sampled_from(engine_ids()))
    gguf, ranks = engine in GGUF, draw(st.sampled_from((1, 2, 4, 8)))
    by_devices = gguf or engine == "transformers"
    rows = draw(st.booleans())
    layout = {"tp": ranks if rows else 1, "pp": 1 if rows else ranks} if by_devices else {"tp": ranks, "pp": draw(st.sampled_from((1, 2)))}
    if engine in ("vllm", "sglang") and draw(st.booleans()):
        layout["ep"] = layout["tp"]
    if engine in ("vllm", "sglang", "tensorrt-llm") and draw(st.booleans()):
        layout |= {"tp": 1, "dp": 8, "pp": 1, "ep": 8 if engine == "vllm" else 1}
    flags = draw(flags_of(engine))
    caches = ("auto", "fp8") if not by_devices else ("auto", "q8_0") if engine == "llama.cpp" and "cache_type_k" not in flags else ("auto",)
    return Deployment(
        model=draw(st.sampled_from(MODELS)),
        gpu=draw(st.sampled_from(CARDS)),
        engine=engine,
        precision=draw(st.sampled_from(("q4_k_m", "checkpoint", "q8_0") if gguf else ("checkpoint", "fp8", "int4", "bf16"))),
        kv_precision=draw(st.sampled_from(caches)),
        max_model_len=draw(st.sampled_from((None, 4096, 20_000))),
        max_num_seqs=draw(st.sampled_from((None, 4, 32))),
        max_num_batched_tokens=None if by_devices else draw(st.sampled_from((None, 4096))),
        memory_fraction=None if by_devices else draw(st.sampled_from((None, 0.85, 0.5))),
        block_size=None if by_devices else draw(st.sampled_from((None, 64))),
        enforce_eager=False if by_devices else draw(st.booleans()),
        speculative_tokens=draw(st.sampled_from((0, 0, 2))) if engine in ("vllm", "sglang") else 0,
        flags=flags,
    )


@SMALL
@given(starts())
def test_every_command_that_we_print_reads_back_to_the_same_start(deployment: Deployment) -> None:
    again = read_back(deployment)
    try:
        first = fit(deployment)
    except InputError as refused:  # an engine may refuse a start; then it refuses the same start again
        with pytest.raises(type(refused)):
            fit(again)
        return
    second = fit(again)
    assert completed(second) == {**completed(first), "max_num_batched_tokens": second.deployment.max_num_batched_tokens}
    assert [[(line.id, line.bytes) for line in rank.items] for rank in second.ranks] == [
        [(line.id, line.bytes) for line in rank.items] for rank in first.ranks
    ]
    assert (second.fits, second.kv_cache, second.max_concurrency) == (first.fits, first.kv_cache, first.max_concurrency)
