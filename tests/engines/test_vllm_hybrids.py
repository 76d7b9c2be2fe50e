"""vLLM with models that see and keep states: towers over ranks, states that are cached, copies that bring scales for the cache."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.vllm.engine import ENGINE
from gpusizer.facts.catalog import accelerator
from gpusizer.units import GiB


def fit(model: str, gpu: str, **fields: Any) -> Fit:
    return ENGINE.fit(Deployment(model, gpu, **fields), load_architecture(model), accelerator(gpu))


def gib(result: Fit, name: str) -> float:
    return result.quantities[name].value / GiB


def test_ranks_share_a_towers_attention_but_each_holds_the_image() -> None:
    peaks = [gib(fit("qwen3.6-27b-fp8", "rtx3090-24gb", tp=tp, max_num_seqs=2), "activation_peak_bytes") for tp in (1, 2, 4)]
    assert peaks[0] / 2 < peaks[1] < peaks[0]
    assert peaks[1] / 2 < peaks[2] < peaks[1]
    whole = fit("qwen3.6-27b-fp8", "rtx3090-24gb", tp=4, max_num_seqs=2, flags={"mm_encoder_tp_mode": "data"})
    assert gib(whole, "activation_peak_bytes") == peaks[0]  # an image is one rank's work


@pytest.mark.parametrize(("version", "blocks"), [("0.26.0", 171), ("0.26.1rc1.dev608", 174), ("0.30.0", 174)])
def test_states_are_cached_by_themselves_since_august_2026(version: str, blocks: int) -> None:
    """A start of 0.26.0 needs 8.18 GiB for 131,072 tokens, 171 blocks of 49 MiB; one of a later build printed 920,517 tokens, 611 / 174 requests."""
    context = 131072 if version == "0.26.0" else 262144
    precision = "auto" if version == "0.26.0" else "fp8"
    deployment = Deployment("qwen3.8-27b", "l40s-48gb", engine_version=version, max_model_len=context, kv_precision=precision)
    start = ENGINE.start(deployment, load_architecture("qwen3.8-27b"), accelerator("l40s-48gb"))
    assert ENGINE.cache_plan(start, ENGINE.stages(start)[0]).counted(context) == blocks
    off = start.deployment.changed(flags={"enable_prefix_caching": False})
    fewer = ENGINE.start(off, start.architecture, start.accelerator)
    assert ENGINE.cache_plan(fewer, ENGINE.stages(fewer)[0]).counted(context) == 171


def test_a_copy_with_scales_for_it_keeps_its_cache_in_fp8() -> None:
    """2,192,477 tokens in 76.4 GiB on a machine of 121.63 GiB (github.com/sostrowsk/dgx-spark-local-llm)."""
    fields = {"max_model_len": 262144, "speculative_tokens": 3, "engine_version": "0.25.1", "flags": {"kv_cache_memory_bytes": int(76.4 * GiB)}}
    found = fit("unsloth/Qwen3.8-27B-NVFP4", "gb10-128gb", **fields)
    assert found.kv_cache.tokens == pytest.approx(2_192_477, rel=0.002)


def test_images_in_shared_memory_count_as_the_devices() -> None:
    grown = [gib(fit("qwen3.6-35b-a3b", "gb10-128gb", max_num_batched_tokens=tokens), "non_torch_bytes") for tokens in (2048, 65536)]
    assert grown[1] - grown[0] > 3 * 65536 * 1536 * 4 / GiB  # three more images, in FP32
    plain = [gib(fit("qwen3.6-35b-a3b", "h200-sxm-141gb", max_num_batched_tokens=tokens), "non_torch_bytes") for tokens in (2048, 65536)]
    assert plain[1] - plain[0] < grown[1] - grown[0]


def test_a_guess_at_the_size_of_blocks_refuses_no_cut() -> None:
    assert fit("somebody/Qwen3.8-Flash-Next-AWQ-W4A16", "rtx4090-24gb", tp=4, pp=2).reason is None


def test_a_tower_whose_inputs_may_not_be_sent_is_not_loaded() -> None:
    """Qwen3-VL-Embedding-2B on a T4 without images and videos: 3.4554 GiB loaded (github.com/zjpzhao/vllm-qwen3vl-cu118-t4)."""
    fields = {"max_model_len": 2048, "engine_version": "0.11.0", "enforce_eager": True}
    limits = {"limit_mm_per_prompt": {"image": 0, "video": 0}}
    found = fit("Qwen/Qwen3-VL-Embedding-2B", "t4-16gb", flags=limits, **fields)
    assert gib(found, "weights_bytes") == pytest.approx(3.4554, abs=0.005)
    for some in ({"image": 0}, {"image": 0, "video": 1}):
        assert gib(fit("Qwen/Qwen3-VL-Embedding-2B", "t4-16gb", flags={"limit_mm_per_prompt": some}, **fields), "weights_bytes") > 4
    pooled = fit("Qwen/Qwen3-VL-Embedding-2B", "t4-16gb", flags={**limits, "runner": "pooling"}, **fields)
    assert gib(pooled, "activation_peak_bytes") < 0.2 < gib(found, "activation_peak_bytes")  # no logits


def test_a_step_must_hold_a_block_whose_state_is_cached() -> None:
    """ "In Mamba cache align mode, block_size (2096) must be <= max_num_batched_tokens (2048)": Qwen3.5 and 3.6 with a cache in FP8."""
    start = {"kv_precision": "fp8", "max_model_len": 32768, "max_num_seqs": 8, "engine_version": "0.20.0"}
    refused = fit("qwen3.6-35b-a3b-fp8", "l40s-48gb", flags={"enable_prefix_caching": True}, **start).reason
    assert refused is not None
    assert (refused.code, *refused.parameters.values()) == ("block-above-step", 2096, 2048)
    for other in ({"max_num_batched_tokens": 2096, "flags": {"enable_prefix_caching": True}}, {}):
        assert fit("qwen3.6-35b-a3b-fp8", "l40s-48gb", **start, **other).fits


def test_a_dense_block_and_the_experts_buffers_follow_one_another() -> None:
    """Kimi-Linear in steps of 64,000 tokens starts on two cards of 24 GB; its author puts the activations at 5 to 6 GiB (vllm-project/vllm#28228)."""
    fields = {"tp": 2, "max_num_batched_tokens": 64000, "max_num_seqs": 8, "max_model_len": 120000, "engine_version": "0.11.0"}
    found = fit("cyankiwi/Kimi-Linear-48B-A3B-Instruct-AWQ-4bit", "rtx3090-24gb", memory_fraction=0.95, **fields)
    assert gib(found, "activation_peak_bytes") <= 6
    assert found.fits


@pytest.mark.parametrize(
    ("model", "size_bytes"),
    [
        ("poolside/Laguna-S-2.1-NVFP4", 2.2300e9),  # its 69 tensors
        ("gemma-4-26b-a4b-it", 0.80 * GiB),  # the checkpoint that a start-up log prints
        ("gemma-4-31b-it", 1.63e9 * 16 / 8.5),  # 1.63 GB in Q8_0
    ],
)
def test_the_draft_of_a_model_with_windows_has_its_attention(model: str, size_bytes: float) -> None:
    found = fit(model, "h200-sxm-141gb", speculative_tokens=7, flags={"speculative_method": "dflash"})
    assert sum(line.bytes for line in found.ranks[0].items if line.id == "weights_draft") == pytest.approx(size_bytes, rel=0.01)
