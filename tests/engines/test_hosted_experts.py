"""KTransformers in SGLang: experts in host memory, against its documents and against the model's own bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import NOTHING_ON_HOST, Deployment, Fit
from gpusizer.facts.catalog import accelerator

SGLANG = get_engine("sglang")


def start(model: str, gpu: str = "h200-sxm-141gb", tp: int = 1, **flags: Any) -> Fit:
    told = {"kt_weight_path": "/weights", **flags}
    deployment = Deployment(model, gpu, tp=tp, engine="sglang", max_num_batched_tokens=8192, max_model_len=8192, flags=told)
    return SGLANG.fit(deployment, load_architecture(model), accelerator(gpu))


def line(found: Fit, name: str) -> int:
    return sum(item.bytes for item in (*found.ranks[0].items, *found.host_items) if item.id == name)


@pytest.mark.parametrize(("model", "method", "documented"), [("minimax-m2.1", "FP8", 3.6e9), ("kimi-k2-thinking", "RAWINT4", 9e9)])
def test_long_prompts_take_what_the_tutorials_say(model: str, method: str, documented: float) -> None:
    """kvcache-ai/ktransformers: "requires extra VRAM (~3.6GB ...)" of MiniMax-M2.1, "9GB+" of Kimi-K2-Thinking."""
    found = start(model, kt_method=method, kt_num_gpu_experts=0, kt_gpu_prefill_token_threshold=4096)
    assert line(found, "prefill_experts") == pytest.approx(documented, rel=0.06)
    assert line(start(model, kt_method=method, kt_num_gpu_experts=0), "prefill_experts") == 0


def test_host_memory_of_deepseek_stays_within_what_its_command_line_tool_asks_for() -> None:
    """kt-kernel/python/cli/utils/model_registry.py: 350 GB of memory for DeepSeek-V3 with AMXINT4."""
    assert 300e9 < line(start("deepseek-v3", kt_method="AMXINT4", kt_num_gpu_experts=1), "weights_hosted") < 350e9


@pytest.mark.parametrize("tp", [1, 2])
def test_experts_are_on_the_gpus_or_on_the_host(tp: int) -> None:
    whole = load_architecture("minimax-m2.1")
    experts = whole.parameters.groups["routed_experts"]
    sizes = []
    for kept in (0, 64, 256):
        found = start("minimax-m2.1", tp=tp, kt_method="FP8", kt_num_gpu_experts=kept)
        gpus, host = line(found, "weights_experts") * tp, line(found, "weights_hosted")
        sizes.append(gpus + host)
        assert host == pytest.approx(experts * (1 - kept / 256), rel=0.01)  # a byte a weight, and scales
    assert sizes == pytest.approx([sizes[0]] * 3, rel=1e-3)


def test_all_experts_kept_is_a_start_without_any_of_it() -> None:
    found = start("qwen3-30b-a3b", kt_num_gpu_experts=128)
    plain = SGLANG.fit(replace(found.deployment, flags={}), load_architecture("qwen3-30b-a3b"), accelerator("h200-sxm-141gb"))
    assert found.on_host == plain.on_host == NOTHING_ON_HOST
    assert line(found, "weights_experts") == line(plain, "weights_experts")
    assert not found.host_items


def test_methods_store_as_many_bits_as_they_say() -> None:
    sizes = {
        method: line(start("qwen3-30b-a3b", kt_method=method, kt_num_gpu_experts=0), "weights_hosted")
        for method in ("AMXINT4", "AMXINT8", "BF16", "LLAMAFILE")
    }
    assert sizes["AMXINT8"] / sizes["AMXINT4"] == pytest.approx(2, rel=0.01)
    assert sizes["BF16"] / sizes["AMXINT8"] == pytest.approx(2, rel=0.01)
    assert sizes["AMXINT4"] < sizes["LLAMAFILE"] < sizes["AMXINT8"]


def test_a_share_of_all_experts_says_the_same_as_their_number() -> None:
    number, share = (start("qwen3-30b-a3b", **told) for told in ({"kt_num_gpu_experts": 32}, {"kt_gpu_experts_ratio": 0.25}))
    assert number.on_host == share.on_host
    assert number.on_host.experts == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("model", "flags", "code"), [("qwen3-14b", {"kt_num_gpu_experts": 1}, "kt-without-experts"), ("qwen3-30b-a3b", {}, "kt-experts-unsaid")]
)
def test_what_cannot_be_is_refused(model: str, flags: dict[str, Any], code: str) -> None:
    found = start(model, **flags)
    assert not found.fits
    assert found.reason is not None
    assert found.reason.code == code


def test_a_host_without_room_is_refused() -> None:
    flags = {"kt_weight_path": "/weights", "kt_method": "FP8", "kt_num_gpu_experts": 10}
    asked = Deployment("minimax-m2.1", "h200-sxm-141gb", engine="sglang", max_model_len=8192, host_memory_bytes=128 * 10**9, flags=flags)
    found = SGLANG.fit(asked, load_architecture("minimax-m2.1"), accelerator("h200-sxm-141gb"))
    assert found.reason is not None
    assert found.reason.code == "host-memory-too-small"
    assert SGLANG.fit(replace(asked, host_memory_bytes=512 * 10**9), load_architecture("minimax-m2.1"), accelerator("h200-sxm-141gb")).fits


@pytest.mark.parametrize(
    ("gpus", "experts", "tokens", "chunk"), [(1, 0, 30000, 30000), (2, 8, 65536, 65536), (4, 30, 80000, 65536), (8, 80, 100000, 65536)]
)
def test_recommended_starts_hold_their_cache(gpus: int, experts: int, tokens: int, chunk: int) -> None:
    """kvcache-ai/ktransformers: doc/en/kt-kernel/Kimi-K2-Thinking-Native.md, Recommended Parameters on RTX 4090 of 48 GB."""
    flags = {"kt_weight_path": "/weights", "kt_method": "RAWINT4", "kt_num_gpu_experts": experts, "kt_gpu_prefill_token_threshold": 400}
    deployment = Deployment(
        "kimi-k2-thinking",
        "rtx4090-48gb",
        tp=gpus,
        engine="sglang",
        max_num_batched_tokens=chunk,
        memory_fraction=0.94,
        flags=flags | {"max_total_tokens": tokens},
    )
    found = SGLANG.fit(deployment, load_architecture("kimi-k2-thinking"), accelerator("rtx4090-48gb"))
    assert found.fits, found.reason
    assert found.kv_cache.tokens == tokens
    assert 1 - found.on_host.experts == pytest.approx(experts / 384)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("tp", [1, 2])
def test_offloaded_weights_are_pinned_on_the_host_by_every_rank(engine: str, tp: int) -> None:
    deployment = Deployment("qwen3-14b", "h200-sxm-141gb", tp=tp, engine=engine, max_model_len=8192, flags={"cpu_offload_gb": 4})
    found = get_engine(engine).fit(deployment, load_architecture("qwen3-14b"), accelerator("h200-sxm-141gb"))
    assert line(found, "weights_pinned_on_host") == tp * 4 * 2**30
    assert -line(found, "weights_on_host") * tp == line(found, "weights_pinned_on_host")
    full = get_engine(engine).fit(replace(deployment, host_memory_bytes=4 * 2**30), load_architecture("qwen3-14b"), accelerator("h200-sxm-141gb"))
    assert full.reason is not None
    assert full.reason.code == "host-memory-too-small"
