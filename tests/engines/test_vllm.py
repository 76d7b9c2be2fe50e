"""vLLM: what its source and its start-up logs say, for models of every kind of cache."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.launch import stage_layers
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.vllm.cache import CacheRequest, cache_layout
from gpusizer.engines.vllm.constants import SAMPLER_COPIES
from gpusizer.engines.vllm.engine import ENGINE
from gpusizer.engines.vllm.graphs import captured_graphs, estimates, graph_modes, graph_sizes
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator
from gpusizer.units import GiB, MiB


def fit(model: str, gpu: str, *, precision: str = "checkpoint", **fields: Any) -> Fit:
    architecture = with_precision(load_architecture(model), precision)
    deployment = Deployment(model=model, gpu=gpu, precision=precision, **fields)
    return get_engine("vllm").fit(deployment, architecture, accelerator(gpu))


def gib(result: Fit, name: str) -> float:
    return result.quantities[name].value / GiB


# "Model loading took": lines of logs, H100 and the like.
@pytest.mark.parametrize(
    ("model", "precision", "fields", "logged"),
    [
        ("llama-3.1-8b-instruct", "checkpoint", {}, 14.99),
        ("llama-3.1-8b-instruct", "checkpoint", {"tp": 2}, 7.51),
        ("llama-3.1-8b-instruct", "checkpoint", {"tp": 4}, 3.77),
        ("llama-3.1-8b-instruct", "checkpoint", {"pp": 2}, 7.51),
        ("llama-3.1-8b-instruct", "checkpoint", {"pp": 4}, 4.26),
        ("llama-3.1-8b-instruct", "fp8", {}, 8.49),
        ("llama-3.1-8b-instruct", "int4", {}, 5.38),
        ("llama-3.1-8b-instruct", "fp32", {}, 29.98),
        ("qwen2.5-7b-instruct", "checkpoint", {}, 14.25),  # the allocator rounds 259 MiB up to 260
        ("qwen2.5-7b-instruct", "checkpoint", {"tp": 2}, 7.12),
        ("qwen2.5-72b-instruct", "checkpoint", {"tp": 2}, 67.80),
        ("phi-4", "checkpoint", {}, 27.39),
        ("gemma-2-27b", "checkpoint", {}, 50.72),
        ("gemma-3-27b-it", "checkpoint", {}, 51.45),  # a table of a million positions
        ("gpt-oss-20b", "checkpoint", {}, 13.64),  # MXFP4 experts padded from 2,880 to 3,072 and 2,944
        ("gpt-oss-20b", "checkpoint", {"tp": 2}, 7.01),
        ("deepseek-v2-lite", "checkpoint", {}, 29.43),
        ("qwen3.6-35b-a3b", "checkpoint", {}, 65.53),
        ("qwen3.6-35b-a3b", "checkpoint", {"tp": 8, "speculative_tokens": 3, "flags": {"mm_encoder_tp_mode": "data"}}, 9.29),
        ("nvidia-nemotron-3-nano-30b-a3b-fp8", "checkpoint", {}, 31.40),  # experts of 1,856 widened to 1,920
        ("nvidia-nemotron-3-super-120b-a12b-fp8", "checkpoint", {"tp": 2}, 59.91),  # 1,344 on each rank to 1,408
        ("kimi-k2.6", "checkpoint", {"tp": 8, "flags": {"language_model_only": True}}, 71.16),
        ("kimi-k2.6", "checkpoint", {"dp": 8, "ep": 8, "flags": {"language_model_only": True}}, 88.44),  # nothing but experts is shared out
    ],
)
def test_weights_are_those_of_the_log(model: str, precision: str, fields: dict[str, Any], logged: float) -> None:
    result = fit(model, "h200-sxm-141gb", precision=precision, engine_version="0.19.0", **fields)
    quantity = result.quantities["weights_bytes"]
    assert quantity.value / GiB == pytest.approx(logged, rel=0.012)
    assert quantity.low <= quantity.value <= quantity.high


def test_deepseek_v3_takes_eighty_gib_of_each_of_eight() -> None:
    assert 79 < gib(fit("deepseek-v3", "h200-sxm-141gb", tp=8), "weights_bytes") < 80.5


def test_ten_users_of_deepseek_v3_need_h200s_or_sixteen_h100s() -> None:
    need: dict[str, Any] = {"max_model_len": 2048, "max_num_seqs": 10}
    assert fit("deepseek-v3", "h200-sxm-141gb", tp=8, **need).max_concurrency >= 10
    small = fit("deepseek-v3", "h100-sxm-80gb", tp=8, **need)
    assert not small.fits
    assert small.reason is not None
    assert small.reason.code == "no-memory-for-cache"
    two_nodes = fit("deepseek-v3", "h100-sxm-80gb", tp=8, pp=2, **need)
    assert two_nodes.fits
    assert two_nodes.max_concurrency >= 10


# ---- from a pool of known size to tokens: the arithmetic of the log alone ---------------------------------------------


@pytest.mark.parametrize(
    ("model", "pool_gib", "version", "fields", "tokens", "concurrency"),
    [
        ("llama-3.1-8b-instruct", 58.11, "0.19.0", {"max_model_len": 8192}, 476_000, 58.11),
        ("qwen3.6-35b-a3b", 57.73, "0.20.0", {"max_model_len": 65536}, 756_096, 43.42),
        ("qwen3.6-35b-a3b", 55.87, "0.20.0", {"max_model_len": 65536, "speculative_tokens": 3}, 664_640, 33.55),
        ("gemma-3-27b-it", 19.53, "0.19.0", {"max_model_len": 8192}, 36_560, 4.46),
        ("gpt-oss-20b", 7.11, "0.12.0", {"max_model_len": 16384, "max_num_batched_tokens": 2048}, 155_344, 16.73),
        ("deepseek-v4-flash", 6.47, "0.20.0", {"tp": 8, "max_model_len": 65536, "max_num_batched_tokens": 2048}, 5_284, 6.51),
        ("kimi-k2.6", 9.84, "0.20.0", {"tp": 8, "max_model_len": 131072}, 149_792, 1.14),
        ("glm-5.1", 19.55, "0.20.2", {"tp": 8, "max_model_len": 202752, "kv_precision": "fp8"}, 341_504, 1.68),
        ("glm-5.1", 19.47, "0.20.2", {"tp": 8, "dcp": 4, "max_model_len": 202752, "kv_precision": "fp8"}, 1_360_384, 6.71),
        ("glm-5.1", 18.51, "0.20.2", {"tp": 8, "max_model_len": 202752, "kv_precision": "fp8", "speculative_tokens": 3}, 319_232, 1.57),
        ("llama-4-scout-17b-16e-instruct", 16.75, "0.19.0", {"tp": 4, "max_model_len": 8192}, 365_968, 44.68),
    ],
)
def test_tokens_of_a_pool_are_those_of_the_log(
    model: str, pool_gib: float, version: str, fields: dict[str, Any], tokens: int, concurrency: float
) -> None:
    card = "rtxpro6000-server-96gb" if "dcp" in fields else "h200-sxm-141gb"  # decode context parallelism of sparse attention is Blackwell's
    result = fit(model, card, engine_version=version, flags={"kv_cache_memory_bytes": round(pool_gib * GiB)}, **fields)
    assert result.quantities["kv_cache_tokens"].value == pytest.approx(tokens, rel=0.004)  # a pool is logged with two digits
    assert result.quantities["max_concurrency"].value == pytest.approx(concurrency, abs=0.01, rel=0.002)


def test_a_token_of_glm_takes_788_bytes_in_each_layer() -> None:
    result = fit("glm-5.1", "h200-sxm-141gb", tp=8, max_model_len=202752, kv_precision="fp8")
    assert result.kv_cache.bytes_per_token == pytest.approx(61_468, abs=8)


# DeepSeek-V4-Flash: tables of the design, from the engine's own planning code.
@pytest.mark.parametrize(("in_flight", "blocks"), [(2048, 4954), (8192, 7450), (16384, 10778), (32768, 17434)])
def test_blocks_of_compressed_attention(in_flight: int, blocks: int) -> None:
    form = cache_format("fp8_ds_mla")
    assert form is not None
    layout = cache_layout(load_architecture("deepseek-v4-flash"), CacheRequest(form, 8, 256))
    assert layout.block_bytes(range(43), last=True, decoder_layers=43) == 1_002_240
    assert sum(group.blocks(1 << 20, in_flight, 1, 1) for group in layout.groups) == blocks


def test_an_error_of_the_log_names_the_memory_of_one_long_request() -> None:
    """6.66 GiB for 30,000 tokens and 16,384 in flight, vLLM of June 2026 on two GH200."""
    form = cache_format("fp8_ds_mla")
    assert form is not None
    layout = cache_layout(load_architecture("deepseek-v4-flash"), CacheRequest(form, 2, 256, tuples=True))
    needed = sum(group.blocks(30_000, 16384, 1, 1) for group in layout.groups) * layout.block_bytes(range(43), last=True, decoder_layers=43)
    assert needed / GiB == pytest.approx(6.66, abs=0.005)


# ---- what the engine decides ------------------------------------------------------------------------------------------


def test_layers_of_uneven_stages() -> None:
    """get_pp_indices: the remainder goes to the stages before the last."""
    assert [len(stage) for stage in stage_layers(61, 2)] == [31, 30]
    assert [len(stage) for stage in stage_layers(61, 8)] == [7, 7, 8, 8, 8, 8, 8, 7]


def test_captured_batch_sizes() -> None:
    """51 sizes with 1,024 requests; 83 on large Blackwell cards since July 2026 (vllm-project/vllm#49390), 67 in steps of 8 before 0.11.1."""
    deployment = Deployment(model="m", gpu="g", max_num_seqs=1024, max_num_batched_tokens=8192)
    counted = [len(graph_sizes(deployment, *device)) for device in ((9.0, (0, 33)), (10.0, (0, 33)), (10.0, (0, 18)), (9.0, (0, 10, 2)))]
    assert counted == [51, 83, 51, 67]
    assert len(graph_sizes(replace(deployment, flags={"max_cudagraph_capture_size": 256}), 9.0, (0, 33))) == 35
    assert graph_modes(replace(deployment, enforce_eager=True), (0, 33)) == (0, 0)


@pytest.mark.parametrize(
    ("requests", "drafts", "gpu", "kv", "printed"),
    [
        (32, 0, "rtx-4090-24gb", "auto", 11 + 7),
        (256, 0, "rtx-4090-24gb", "auto", 51 + 35),  # "PIECEWISE=51 (largest=512), FULL=35 (largest=256)": vllm-project/vllm pull 39559
        (32, 15, "h100-sxm-80gb", "auto", 32 + 32),
        (48, 3, "h100-sxm-80gb", "auto", 41 + 25),  # "PIECEWISE=41 (largest=384), FULL=25 (largest=192)": vllm-project/vllm issue 46367
        (2, 3, "rtx-3090-24gb", "fp8", 5),  # "PIECEWISE=5 (largest=16)", FlashInfer: noonghunna/club-3090 issue 584
    ],
)
def test_captured_graphs_as_logs_print_them(requests: int, drafts: int, gpu: str, kv: str, printed: int) -> None:
    """In pieces for every size, whole for those that all requests with their drafts reach."""
    asked = Deployment("qwen3-8b", gpu, engine_version="0.24.0", max_num_seqs=requests, speculative_tokens=drafts, kv_precision=kv)
    start = ENGINE.start(asked, load_architecture("qwen3-8b"), accelerator(gpu))
    assert captured_graphs(start) == printed


@pytest.mark.parametrize(("model", "version", "estimated"), [("qwen3-8b", "0.24.0", 1), ("qwen3-8b", "0.25.1", 0), ("qwen3-30b-a3b", "0.25.1", 1)])
def test_the_newer_runner_estimates_no_graphs(model: str, version: str, estimated: int) -> None:
    """vllm-project/vllm#49224: dense models run on it since 0.25, and nothing is set aside for graphs."""
    start = ENGINE.start(Deployment(model, "h100-sxm-80gb", engine_version=version), load_architecture(model), accelerator("h100-sxm-80gb"))
    assert estimates(start) == ENGINE.charges_graphs(start) == bool(estimated)


@pytest.mark.parametrize(
    ("tokens", "flags", "images"),
    [
        (16384, {}, 1),  # "profiled with 1 image items", "4 image items" at 65,536: start-up logs of Qwen3.6
        (65536, {}, 4),
        (65536, {"mm_processor_kwargs": {"max_pixels": 256 * 65536 // 2}}, 4),  # eight images of half the size
        (65536, {"limit_mm_per_prompt": {"image": {"count": 1}}}, 2),  # of two requests
        (65536, {"limit_mm_per_prompt": {"image": 0, "video": 0}}, 0),
    ],
)
def test_images_are_profiled_as_many_as_a_step_holds(tokens: int, flags: dict[str, Any], images: int) -> None:
    """The largest image that the tower takes is 65,536 patches."""
    found = fit("qwen3.6-35b-a3b", "h200-sxm-141gb", max_num_batched_tokens=tokens, max_num_seqs=2, flags=flags)
    alone = fit("qwen3.6-35b-a3b", "h200-sxm-141gb", max_num_batched_tokens=2048, max_num_seqs=2)
    peak, one = (next(line.inputs for line in each.ranks[0].items if line.id == "activation_peak") for each in (found, alone))
    assert peak["encoder_bytes"] == pytest.approx(images * one["encoder_bytes"])


@pytest.mark.parametrize(
    ("model", "flags", "layers"),
    [
        ("qwen3.6-27b", {"speculative_method": "dflash"}, 5),
        ("qwen3.5-122b-a10b", {"speculative_method": "draft", "speculative_model": "z-lab/Qwen3.5-122B-A10B-DFlash"}, 6),
        ("qwen3.6-27b", {"speculative_method": "ngram"}, 0),
    ],
)
def test_a_draft_caches_in_a_group_of_its_own(model: str, flags: dict[str, Any], layers: int) -> None:
    """Beside the 48 layers with states and the 16 with attention of Qwen3.6-27B: ten groups, four, and one of five layers each."""
    architecture, device = load_architecture(model), accelerator("h200-sxm-141gb")
    start = ENGINE.start(Deployment(model, device.id, speculative_tokens=5, flags=flags), architecture, device)
    groups = cache_layout(architecture, ENGINE.cache_request(start)).groups
    own = [group for group in groups if any(layer >= len(architecture.layers) for layer, _ in group.members)]
    assert sum(len(group.members) for group in own) == layers
    assert len({len(group.members) for group in groups if group.kind == "full" and group not in own}) <= 1 + bool(layers)
    if (model, layers) == ("qwen3.6-27b", 5):
        assert sorted(group.kind for group in groups) == ["full"] * 5 + ["state"] * 10


def test_a_state_for_every_request() -> None:
    """vllm-project/recipes pull 551: "max_num_seqs (1024) exceeds available Mamba cache blocks (856)" on an H100; 512 start, and so did 0.18."""
    asked = Deployment("qwen3.6-27b-fp8", "h100-sxm-80gb", engine_version="0.21.0", memory_fraction=0.95)
    architecture, device = load_architecture(asked.model), accelerator(asked.gpu)
    reason = ENGINE.fit(asked, architecture, device).reason
    assert reason is not None
    assert (reason.code, reason.parameters["requests"]) == ("fewer-blocks-than-requests", 1024)
    assert reason.parameters["blocks"] == pytest.approx(856, abs=3)
    others: list[dict[str, Any]] = [{"max_num_seqs": 512}, {"enforce_eager": True}, {"engine_version": "0.18.0"}]
    assert all(ENGINE.fit(replace(asked, **other), architecture, device).fits for other in others)


@pytest.mark.parametrize(
    ("gpu", "version", "tokens", "requests", "fraction"),
    [
        ("h100-sxm-80gb", "0.33.0", 8192, 1024, 0.92),
        ("b200-sxm-180gb", "0.33.0", 16384, 1024, 0.92),
        ("a100-sxm-80gb", "0.33.0", 2048, 256, 0.92),
        ("rtx4090-24gb", "0.33.0", 2048, 256, 0.92),
        ("h100-sxm-80gb", "0.19.0", 8192, 1024, 0.9),
    ],
)
def test_defaults_by_device_and_version(gpu: str, version: str, tokens: int, requests: int, fraction: float) -> None:
    deployment = fit("llama-3.1-8b-instruct", gpu, engine_version=version).deployment
    assert (deployment.max_num_batched_tokens, deployment.max_num_seqs, deployment.memory_fraction) == (tokens, requests, fraction)


def test_a_budget_above_what_is_free_is_refused() -> None:
    result = fit("qwen2.5-7b-instruct", "h100-sxm-80gb", memory_fraction=1.0)
    assert result.reason is not None
    assert result.reason.code == "budget-above-free"


def test_a_request_that_is_too_long_is_refused_with_the_longest_that_fits() -> None:
    result = fit("llama-3.1-8b-instruct", "rtx4090-24gb", max_model_len=131072)
    assert result.reason is not None
    assert result.reason.code == "context-too-long"
    longest = result.reason.parameters["longest_tokens"]
    assert fit("llama-3.1-8b-instruct", "rtx4090-24gb", max_model_len=longest).fits
    assert not fit("llama-3.1-8b-instruct", "rtx4090-24gb", max_model_len=longest + 16).fits


def test_windows_held_like_full_attention_take_much_more() -> None:
    fields: dict[str, Any] = {"max_model_len": 32768, "flags": {"kv_cache_memory_bytes": 20 * GiB}}
    apart = fit("gemma-3-27b-it", "h200-sxm-141gb", **fields)
    fields["flags"] = {**fields["flags"], "disable_hybrid_kv_cache_manager": True}
    alike = fit("gemma-3-27b-it", "h200-sxm-141gb", **fields)
    assert alike.max_concurrency < 0.8 * apart.max_concurrency
    assert alike.kv_cache.bytes_per_token == 62 * 2 * 16 * 128 * 2


def test_a_fraction_on_a_last_stage_is_charged_for_the_logits() -> None:
    """Llama-3.1-8B over two stages: the first rank prints 66.54 GiB, the pool is set by the last one (67,207 blocks of 16 layers)."""
    result = fit("llama-3.1-8b-instruct", "h100-sxm-80gb", pp=2, engine_version="0.19.0", max_model_len=8192, memory_fraction=0.95)
    assert gib(result, "kv_cache_pool_bytes") == pytest.approx(66.54, rel=0.005)
    assert result.kv_cache.blocks == pytest.approx(67_207, rel=0.005)
    assert result.worst == 1


def test_redundant_experts_are_shared_out_over_the_ranks() -> None:
    plain = fit("deepseek-v3", "h200-sxm-141gb", tp=8, ep=8)
    more = fit("deepseek-v3", "h200-sxm-141gb", tp=8, ep=8, flags={"num_redundant_experts": 32})
    expert = 3 * 7168 * 2048 * (1 + 4 / 128**2)
    assert gib(more, "weights_bytes") - gib(plain, "weights_bytes") == pytest.approx(58 * 32 / 8 * expert / GiB, rel=0.01)


def test_adapters_take_what_their_shapes_say() -> None:
    plain = fit("llama-3.1-8b-instruct", "h100-sxm-80gb")
    slots = fit("llama-3.1-8b-instruct", "h100-sxm-80gb", flags={"enable_lora": True, "max_loras": 4, "max_lora_rank": 16})
    rows = 32 * ((4096 + 4096) + 2 * (4096 + 1024) + (4096 + 4096) + 3 * (4096 + 14336))
    assert gib(slots, "weights_bytes") - gib(plain, "weights_bytes") == pytest.approx(4 * 16 * rows * 2 / GiB, rel=1e-6)


def test_adapters_stand_beside_every_routed_expert() -> None:
    setting = {"enable_lora": True, "max_lora_rank": 16}
    added = []
    for release in ("0.11.0", "0.20.0"):
        plain, slots = (fit("qwen3-30b-a3b", "h100-sxm-80gb", engine_version=release, flags=flags) for flags in ({}, setting))
        added.append(gib(slots, "weights_bytes") - gib(plain, "weights_bytes"))
    assert added[1] - added[0] == pytest.approx(16 * 48 * 128 * 3 * (2048 + 768) * 2 / GiB, rel=1e-6)


def test_launch_command_is_a_list_of_words() -> None:
    deployment = Deployment("deepseek-ai/DeepSeek-V3", "h200-sxm-141gb", tp=8, ep=8, max_model_len=4096, kv_precision="fp8", memory_fraction=0.9)
    assert ENGINE.command(deployment) == [
        "vllm",
        "serve",
        "deepseek-ai/DeepSeek-V3",
        "--tensor-parallel-size",
        "8",
        "--enable-expert-parallel",
        "--max-model-len",
        "4096",
        "--gpu-memory-utilization",
        "0.9",
        "--kv-cache-dtype",
        "fp8",
    ]


def test_rocm_cached_whole_heads_before_0_9() -> None:
    """DeepSeek-V3 on eight MI308X, vLLM of April 2025: 107,824 tokens, a tenth of what latents would give."""
    old = fit("deepseek-v3", "mi308x-192gb", tp=8, engine_version="0.8.3", max_model_len=32768)
    assert old.quantities["kv_cache_tokens"].value == pytest.approx(107_824, rel=0.15)
    new = fit("deepseek-v3", "mi308x-192gb", tp=8, engine_version="0.19.0", max_model_len=32768)
    assert new.kv_cache.bytes_per_token == 61 * 576 * 2


def test_prefix_caching_keeps_a_second_state() -> None:
    """Qwen3.6-35B-A3B in NVFP4 on one RTX 5090, vLLM 0.24 with prefix caching: 5.98 GiB hold 4.33 requests of 131,072 tokens."""
    flags = {"kv_cache_memory_bytes": round(5.98 * GiB), "enable_prefix_caching": True}
    result = fit("qwen3.6-35b-a3b", "rtx5090-32gb", precision="nvfp4", kv_precision="fp8", engine_version="0.24.0", max_model_len=131072, flags=flags)
    assert result.max_concurrency == pytest.approx(4.33, abs=0.01)


def test_launch_command_carries_drafts_and_further_flags() -> None:
    flags = {"speculative_method": "mtp", "enable_prefix_caching": True, "max_loras": 4, "compilation_config": {"cudagraph_mode": "PIECEWISE"}}
    words = ENGINE.command(Deployment("m", "g", precision="fp8", speculative_tokens=2, flags=flags))
    pairs = list(pairwise(words))
    assert words[:3] == ["vllm", "serve", "m"]
    assert ("--quantization", "fp8") in pairs
    assert ("--speculative-config", '{"method": "mtp", "num_speculative_tokens": 2}') in pairs
    assert "--enable-prefix-caching" in words
    assert ("--max-loras", "4") in pairs
    assert ("--compilation-config", '{"cudagraph_mode": "PIECEWISE"}') in pairs


def test_a_draft_that_is_not_known_is_said() -> None:
    unknown = fit("qwen3-32b", "h200-sxm-141gb", speculative_tokens=3, flags={"speculative_method": "draft", "speculative_model": "some/draft"})
    assert "draft-not-counted" in [notice.code for notice in unknown.warnings]
    unnamed = [notice.code for notice in fit("qwen3-32b", "h200-sxm-141gb", speculative_tokens=3).warnings]
    assert "draft-not-named" in unnamed
    assert "draft-not-counted" not in unnamed
    head = fit("qwen3-32b", "h200-sxm-141gb", speculative_tokens=3, flags={"speculative_method": "eagle3", "speculative_model": "some/head"})
    assert "draft-assumed" in [notice.code for notice in head.warnings]
    assert gib(head, "weights_bytes") > gib(unknown, "weights_bytes") + 1


def test_blocks_and_formats_that_the_operator_fixed() -> None:
    fixed = fit("llama-3.1-8b-instruct", "h100-sxm-80gb", max_model_len=4096, flags={"num_gpu_blocks_override": 1000})
    assert (fixed.kv_cache.blocks, fixed.kv_cache.tokens) == (1000, 16_000)
    plain = fit("qwen3.6-35b-a3b", "h200-sxm-141gb", max_model_len=65536)
    half = fit("qwen3.6-35b-a3b", "h200-sxm-141gb", max_model_len=65536, flags={"mamba_ssm_cache_dtype": "bfloat16"})
    assert plain.kv_cache.block_size == 1056  # 16 x ceil(2,146,304 / (16 x 2,048))
    assert half.kv_cache.block_size == 544  # 16 x ceil(1,097,728 / (16 x 2,048))


def test_a_number_among_the_flags_that_is_none_is_refused() -> None:
    with pytest.raises(FlagError):
        fit("llama-3.1-8b-instruct", "h100-sxm-80gb", flags={"num_redundant_experts": "many"})


def test_versions_that_were_not_studied_are_said() -> None:
    def codes(version: str | None) -> list[str]:
        return [notice.code for notice in fit("llama-3.1-8b-instruct", "h100-sxm-80gb", engine_version=version).warnings]

    assert "version-not-studied" in codes("0.6.5")
    assert "version-not-studied" in codes("1.2")
    assert "version-not-studied" not in codes(None) + codes("0.8.3") + codes("0.33.1")


@pytest.mark.parametrize(("kind", "measured_bytes"), [("sorting", 1.25 * GiB), ("fused", 384.33 * MiB)])
def test_sampler_takes_what_its_authors_measured(kind: str, measured_bytes: float) -> None:
    """vllm-project/vllm#32558: memory of top-k and top-p masking of 256 x 131,072 logits, with sorting and with kernels of its own."""
    assert measured_bytes / (256 * 131_072) == pytest.approx(SAMPLER_COPIES[kind], rel=0.15)
