"""The Transformers engine against caches that transformers 5.23.0 really built (tiny models, run on a processor), and against its own rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines import get_engine
from gpusizer.engines.base.ledger import per_gpu, total_bytes
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.transformers.memory import Batch, stage_cache
from gpusizer.facts.catalog import accelerator

TINY: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 64,
}
LATENT = {
    "moe_intermediate_size": 32,
    "num_key_value_heads": 4,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "kv_lora_rank": 32,
    "q_lora_rank": 24,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "first_k_dense_replace": 1,
    "head_dim": None,
}
WINDOWS = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
DELTA = {
    "num_hidden_layers": 4,
    "moe_intermediate_size": 32,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "shared_expert_intermediate_size": 32,
    "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
}
MAMBA = {"num_heads": 8, "head_dim": 16, "expand": 2, "state_size": 16, "n_groups": 2, "conv_kernel": 4, "num_attention_heads": None}

# Bytes of past_key_values after a prompt of 13 tokens in a batch of 2, layer by layer, as the library held them.
HELD = [
    ("llama", {}, [3328, 3328]),
    ("gemma3_text", WINDOWS, [1792, 3328]),  # a window of 8 keeps 7
    ("gpt_oss", WINDOWS | {"num_local_experts": 4, "num_experts_per_tok": 2}, [1792, 3328]),
    ("deepseek_v3", LATENT, [2080, 2080]),  # latent and rotary key
    ("deepseek_v2", LATENT, [2080, 2080]),
    ("qwen3_next", DELTA, [10240, 10240, 10240, 3328]),  # four columns of convolution, state in FP32
    ("mamba2", MAMBA, [19456, 19456]),
]


@pytest.mark.parametrize(("model_type", "keys", "held"), HELD)
def test_a_cache_holds_what_the_library_held(model_type: str, keys: dict[str, Any], held: list[int]) -> None:
    config = {name: value for name, value in (TINY | keys | {"model_type": model_type}).items() if value is not None}
    layers = read_config(config).layers
    found = [stage_cache([layer], tp=1, element_bytes=2, latents=True).bytes_of(Batch(2, 13)) for layer in layers]
    assert found == held


def fit(model: str, gpu: str = "h100-sxm-80gb", **fields: Any) -> Fit:
    deployment = Deployment(model=model, gpu=gpu, engine="transformers", **fields)
    return get_engine("transformers").fit(deployment, with_precision(load_architecture(model), deployment.precision), accelerator(gpu))


def line(found: Fit, id: str) -> int:
    return sum(item.bytes for item in found.ranks[found.worst].items if item.id == id)


def test_older_releases_keep_every_head_of_a_latent_model() -> None:
    # 128 heads x (192 + 128) x 2 bytes over 61 layers, against 70,272 bytes of latents
    new, old = (fit("deepseek-v3", "h200-sxm-141gb", pp=8, max_model_len=4096, engine_version=version) for version in ("5.23.0", "4.57.1"))
    assert sum(_cache(rank) for rank in new.ranks) == 70272 * 4096
    assert sum(_cache(rank) for rank in old.ranks) == 61 * 81920 * 4096
    assert old.max_concurrency < new.max_concurrency


def _cache(rank: Any) -> int:
    return sum(item.bytes for item in rank.items if item.id == "kv_cache_pool")


def test_older_releases_load_in_fp32_unless_they_are_told() -> None:
    stored = checkpoint_bytes(load_architecture("llama-3.1-8b"))
    weights = {
        version: fit("llama-3.1-8b", engine_version=version, max_model_len=4096).quantities["weights_bytes"].value for version in ("4.46", "5.0")
    }
    assert weights == {"4.46": 2 * stored, "5.0": stored}
    told = fit("llama-3.1-8b", engine_version="4.46", max_model_len=4096, flags={"torch_dtype": "auto"})
    assert told.quantities["weights_bytes"].value == stored


def test_fp8_is_dequantised_where_the_card_has_no_kernels() -> None:
    hopper = fit("qwen3-30b-a3b-fp8", max_model_len=4096)
    ampere = fit("qwen3-30b-a3b-fp8", "a100-sxm-80gb", max_model_len=4096)
    assert hopper.quantities["weights_bytes"].value < 0.55 * ampere.quantities["weights_bytes"].value
    assert "dequantised-on-load" in [notice.code for notice in ampere.warnings]


def test_eager_attention_writes_scores_of_the_whole_prompt() -> None:
    # 32 heads x 8,192^2 x (2 + 4 + 2) bytes = 16 GiB: scores, their softmax in FP32, its copy in BF16; and what a token has beside
    eager = fit("llama-3.1-8b", max_model_len=8192, flags={"attn_implementation": "eager"})
    sdpa = fit("llama-3.1-8b", max_model_len=8192)
    assert 16 * 1024**3 < line(eager, "activation_peak") < 17 * 1024**3
    assert line(sdpa, "activation_peak") < 2 * 1024**3
    chunked = fit("llama-3.1-8b", max_model_len=8192, flags={"prefill_chunk_size": 512})
    assert line(chunked, "activation_peak") < line(sdpa, "activation_peak") / 8


def test_heads_with_sinks_are_eager_until_a_kernel_is_named() -> None:
    plain = fit("gpt-oss-20b", max_model_len=8192)
    fused = fit("gpt-oss-20b", max_model_len=8192, flags={"attn_implementation": "kernels-community/vllm-flash-attn3"})
    assert line(plain, "activation_peak") > 24 * 1024**3 > 5 * line(fused, "activation_peak")
    assert ["eager-for-sinks" in [notice.code for notice in found.warnings] for found in (plain, fused)] == [True, False]


@pytest.mark.parametrize(
    ("fields", "evidence"),
    [
        ({}, "calibrated"),
        ({"pp": 2}, "assumed"),
        ({"engine_version": "4.57.0"}, "assumed"),
        ({"precision": "fp8"}, "assumed"),
        ({"flags": {"attn_implementation": "eager"}}, "assumed"),
    ],
)
def test_only_what_was_measured_is_called_so(fields: dict[str, Any], evidence: str) -> None:
    (peak,) = (item for item in fit("llama-3.1-8b", max_model_len=4096, **fields).ranks[0].items if item.id == "activation_peak")
    assert (peak.evidence.value, bool(peak.sources)) == (evidence, evidence == "calibrated")


def test_a_batch_of_several_prompts_has_masks_of_its_own() -> None:
    # one byte for each pair of tokens and request, beside four times what one prompt takes
    one, four = (fit("llama-3.1-8b", max_model_len=8192, max_num_seqs=requests) for requests in (1, 4))
    rotary = 8192 * (2 * 128 * 2 + 8)  # positions are shared
    assert line(four, "activation_peak") == 4 * (line(one, "activation_peak") - rotary) + rotary + 4 * 8192**2
    assert ["padded-batch" in [notice.code for notice in found.warnings] for found in (one, four)] == [False, True]


def test_steps_copy_the_experts_that_were_chosen_since_5_0() -> None:
    # 64 requests x 8 experts x 3 matrices of 2,048 x 768 in BF16
    new, old = (fit("qwen3-30b-a3b", max_model_len=64, max_num_seqs=64, engine_version=version, precision="bf16") for version in ("5.17.0", "4.57.0"))
    assert line(new, "activation_peak") > 64 * 8 * 3 * 2048 * 768 * 2 > line(old, "activation_peak")


def test_what_it_says_would_fit_does_fit_and_one_more_does_not() -> None:
    found = fit("llama-3.1-8b", max_model_len=8192)
    most = int(found.max_concurrency)
    assert most > 1
    assert fit("llama-3.1-8b", max_model_len=8192, max_num_seqs=most).fits
    one_more = fit("llama-3.1-8b", max_model_len=8192, max_num_seqs=most + 1)
    assert not one_more.fits
    too_long = fit("llama-3.1-8b", "rtx4090-24gb", max_model_len=131072)
    assert too_long.reason is not None
    assert too_long.reason.code == "context-too-long"
    longest = too_long.reason.parameters["longest_tokens"]
    assert fit("llama-3.1-8b", "rtx4090-24gb", max_model_len=longest).fits
    assert not fit("llama-3.1-8b", "rtx4090-24gb", max_model_len=longest + 1).fits


@pytest.mark.parametrize("fields", [{}, {"tp": 2}, {"pp": 3}, {"max_num_seqs": 16}])
def test_the_items_of_a_card_are_its_total(fields: dict[str, Any]) -> None:
    found = fit("qwen3-32b", max_model_len=4096, **fields)
    for rank in found.ranks:
        assert total_bytes(rank.items) == accelerator("h100-sxm-80gb").memory_bytes == sum(per_gpu(rank.items).values())
        assert all(item.low_bytes <= item.bytes <= item.high_bytes for item in rank.items)


def test_a_tensor_parallel_plan_halves_weights_and_cache() -> None:
    one, two = fit("qwen3-32b", max_model_len=4096), fit("qwen3-32b", max_model_len=4096, tp=2)
    assert two.quantities["weights_bytes"].value == pytest.approx(one.quantities["weights_bytes"].value / 2, rel=0.01)
    assert line(two, "kv_cache_pool") == line(one, "kv_cache_pool") // 2


def test_a_batch_is_sized_on_the_safe_side() -> None:
    engine, architecture, device = get_engine("transformers"), load_architecture("llama-3.1-8b"), accelerator("h100-sxm-80gb")
    wish = Deployment(model="llama-3.1-8b", gpu=device.id, engine="transformers", max_model_len=8192)
    few, many = (engine.for_requests(wish, architecture, device, requests) for requests in (3, 10_000))
    assert few == replace(wish, max_num_seqs=3)
    assert 3 < (many.max_num_seqs or 0) < engine.fit(wish, architecture, device).max_concurrency
