"""llama.cpp and Ollama against lines of public start-up logs: caches to the printed digit, model and compute buffers, placement, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.ledger import per_gpu, total_bytes
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request

MiB = 1024 * 1024


@cache
def model(id: str, precision: str) -> Architecture:
    return with_precision(load_architecture(id), precision)


def start(
    id: str, precision: str, build: str = "11250", *, gpu: str = "h200-sxm-141gb", engine: str = "llama.cpp", gpus: int = 1, **flags: Any
) -> Fit:
    told = {name: flags.pop(name) for name in ("fork", "devices") if name in flags}
    deployment = Deployment(model=id, gpu=gpu, pp=gpus, engine=engine, engine_version=build, precision=precision, flags=flags, **told)
    return get_engine(engine).fit(deployment, model(id, precision), accelerator(gpu))


def mib(fit: Fit, name: str) -> float:
    return fit.quantities[name].value / MiB


# (model, precision, build, flags) -> what the log prints in MiB.
PRINTED: list[tuple[str, str, str, Mapping[str, Any], Mapping[str, float]]] = [
    # latent alone in Q8_0 and F16 (ikawrakow/ik_llama.cpp issues 437 and 235)
    ("deepseek-r1", "q2_k", "3745", {"fork": "ik", "ctx_size": 32768, "cache_type_k": "q8_0", "mla": 3}, {"kv_buffer_bytes": 1166.62}),
    ("deepseek-r1", "q2_k", "3542", {"fork": "ik", "ctx_size": 32768, "mla": 2}, {"kv_buffer_bytes": 2196.00}),
    ("deepseek-r1", "q2_k", "3745", {"fork": "ik", "ctx_size": 40960, "cache_type_k": "q8_0", "mla": 3}, {"kv_buffer_bytes": 1458.28}),
    # every head's keys and values before latents were cached (ik_llama.cpp issue 285, build 4905; ollama issue 8447)
    ("deepseek-r1", "q8_0", "4905", {"ctx_size": 2048, "device": "none"}, {"kv_buffer_bytes": 9760.00}),
    # windows: 18 of 36 layers, four sequences over one cache
    ("gpt-oss-120b", "mxfp4_moe", "11250", {"ctx_size": 65535}, {"kv_buffer_bytes": 2340.00}),
    # no window cache in the fork (ik_llama.cpp issue 539)
    ("gemma-3-27b-it", "q4_0", "3745", {"fork": "ik", "ctx_size": 131072, "device": "none"}, {"kv_buffer_bytes": 63488.00}),
    # keys in IQ4_NL beside values in F16: 18 + 64 (ik_llama.cpp issue 103)
    ("llama-3.1-8b", "q5_k_s", "3475", {"fork": "ik", "ctx_size": 1024, "cache_type_k": "iq4_nl", "parallel": 1}, {"kv_buffer_bytes": 82.00}),
    # padded to 256: 16,768 asked for (ik_llama.cpp issue 503)
    (
        "qwen3-32b",
        "q4_k_m",
        "3732",
        {"fork": "ik", "ctx_size": 16768, "cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attn": True},
        {"kv_buffer_bytes": 2244.00},
    ),
    # a hybrid: 16 attention layers, 48 of gated delta nets; 0.3 MiB a token of the micro-batch
    ("qwen3.5-27b", "q4_k_m", "10809", {"ctx_size": 32768, "parallel": 1}, {"kv_buffer_bytes": 2048.00, "state_buffer_bytes": 149.62}),
    ("qwen3.5-27b", "q4_k_m", "11258", {"ctx_size": 196608, "parallel": 1}, {"kv_buffer_bytes": 12288.00}),
    ("qwen3-4b", "q4_k_m", "11250", {"ctx_size": 8192}, {"kv_buffer_bytes": 1152.00, "model_buffer_bytes": 2375.91}),
]


@pytest.mark.parametrize(("id", "precision", "build", "flags", "printed"), PRINTED)
def test_caches_are_those_of_the_log_to_the_printed_digit(
    id: str, precision: str, build: str, flags: Mapping[str, Any], printed: Mapping[str, float]
) -> None:
    fit = start(id, precision, build, **flags)
    for name, value in printed.items():
        assert mib(fit, name) == pytest.approx(value, abs=0.0051), name


# Compute buffers of public logs. Builds: the day of the log.
COMPUTE: list[tuple[str, str, str, Mapping[str, Any], float]] = [
    ("llama-3.1-8b", "q4_k_m", "2800", {"ctx_size": 8192}, 560.00),  # scores, mask, two rows each of residual and queries
    ("llama-3.1-8b", "q4_k_m", "2800", {"ctx_size": 8192, "n_gpu_layers": 20}, 669.48),  # a copy of the output matrix and the logits
    ("llama-3.1-8b", "q4_k_m", "7900", {"ctx_size": 133120, "parallel": 10, "batch_size": 512}, 258.48),
    ("qwen3.5-27b", "q4_k_m", "10809", {"ctx_size": 32768, "parallel": 1}, 154.02),
    ("qwen3.5-27b", "q4_k_m", "10809", {"ctx_size": 32768, "parallel": 1, "ubatch_size": 128}, 38.50),
    ("qwen3.5-27b", "q4_k_m", "11258", {"ctx_size": 196608, "parallel": 1}, 314.02),
    ("phi-3-mini-4k-instruct", "q4_k_m", "5500", {"ctx_size": 4096, "batch_size": 256, "ubatch_size": 256}, 150.00),
    ("deepseek-r1", "q8_0", "4905", {"ctx_size": 2048, "device": "none"}, 670.01),
    ("qwen3-32b", "q4_0", "3745", {"fork": "ik", "ctx_size": 40960, "device": "none"}, 5252.01),
    ("gemma-3-27b-it", "q4_0", "3745", {"fork": "ik", "ctx_size": 131072, "device": "none"}, 8743.51),
    ("deepseek-r1", "q2_k", "3542", {"fork": "ik", "ctx_size": 20480, "mla": 2, "flash_attn": False}, 5718.01),
]


FAR = {"phi-3-mini-4k-instruct": 0.085}  # queries, keys and values in one piece: its parts are freed in another order than here


@pytest.mark.parametrize(("id", "precision", "build", "flags", "printed"), COMPUTE)
def test_compute_buffers_are_close_to_the_log(id: str, precision: str, build: str, flags: Mapping[str, Any], printed: float) -> None:
    assert mib(start(id, precision, build, **flags), "compute_buffer_bytes") == pytest.approx(printed, rel=FAR.get(id, 0.03))


def test_model_buffers_leave_the_embedding_on_the_host() -> None:
    # Reflection-Llama-3.1-70B Q4_K_S over two devices: 18,764.46 + 19,142.56 MiB, 563.65 on the host
    fit = start("llama-3.1-70b", "q4_k_s", "3270", gpu="rtx4090-24gb", gpus=2, ctx_size=8192)
    assert mib(fit, "model_buffer_bytes") == pytest.approx(37907.02, rel=1e-4)
    # DeepSeek-R1 Q2_K over 15 cards: 232,863 MiB
    assert mib(start("deepseek-r1", "q2_k", "4610", gpus=4, ctx_size=512), "model_buffer_bytes") == pytest.approx(232863, rel=5e-3)


def caches(fit: Fit) -> list[float]:
    return [sum(line.bytes for line in rank.items if line.id == "kv_cache_pool") / MiB for rank in fit.ranks]


def test_layers_go_to_the_cards_as_the_logs_show() -> None:
    # 48 layers and the output over two equal cards: 25 and 23 layers of 64 MiB
    assert caches(start("qwen3-30b-a3b", "q4_k_m", "5240", gpu="t4-16gb", gpus=2, ctx_size=32768)) == [1600.0, 1472.0]
    # 94 layers over 32 and 24 GB: 3,520 and 2,496 MiB
    unequal: dict[str, Any] = {"devices": ("rtx5090-32gb", "rtx4090-24gb"), "ctx_size": 32768}
    assert caches(start("qwen3-235b-a22b", "q2_k", "5790", gpu="rtx5090-32gb", gpus=2, **unequal)) == [3520.0, 2496.0]
    # 61 layers over one card of 32 and two of 24 GB: 25, 19 and 17 of 18 MiB
    three: dict[str, Any] = {"devices": ("rtx5090-32gb", "rtx3090-24gb", "rtx3090-24gb"), "ctx_size": 16384, "fork": "ik", "mla": 3}
    assert caches(start("deepseek-r1", "q2_k", "3775", gpu="rtx5090-32gb", gpus=3, **three)) == [450.0, 342.0, 306.0]
    # an older build puts the last layers of few on the cards: three cards with a layer of 40 MiB each
    few = start("deepseek-r1", "fp16", "3576", gpu="rtx3090-24gb", gpus=3, fork="ik", ctx_size=512, n_gpu_layers=3)
    assert caches(few) == [40.0, 40.0, 40.0]


@pytest.mark.parametrize(
    ("id", "precision", "flags", "gpus"),
    [
        ("qwen3-4b", "q4_k_m", {"ctx_size": 8192}, 1),
        ("deepseek-r1", "q4_k_m", {"ctx_size": 8192, "n_cpu_moe": 30}, 4),
        ("qwen3.5-27b", "q8_0", {"ctx_size": 8192, "n_gpu_layers": 30}, 1),
        ("deepseek-v4-flash", "mxfp4_moe", {"ctx_size": 65536, "parallel": 2}, 2),
        ("llama-3.1-8b", "q8_0", {"ctx_size": 8192, "tensor_split": "3,1"}, 2),
    ],
)
def test_the_items_of_a_card_are_its_total(id: str, precision: str, flags: Mapping[str, Any], gpus: int) -> None:
    fit = start(id, precision, gpus=gpus, **flags)
    for rank in fit.ranks:
        assert total_bytes(rank.items) == accelerator("h200-sxm-141gb").memory_bytes == sum(per_gpu(rank.items).values())
    again = get_engine("llama.cpp").fit(fit.deployment, model(id, precision), accelerator("h200-sxm-141gb"))
    assert again.ranks == fit.ranks  # with every default filled in it is the same start


def test_experts_and_layers_on_the_host_leave_the_cards() -> None:
    whole = start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192)
    none = start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192, cpu_moe=True)
    half = start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192, n_cpu_moe=24)
    by_pattern = start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192, override_tensor="exps=CPU")
    assert mib(none, "model_buffer_bytes") < 0.12 * mib(whole, "model_buffer_bytes")
    assert mib(none, "model_buffer_bytes") < mib(half, "model_buffer_bytes") < mib(whole, "model_buffer_bytes")
    assert mib(by_pattern, "model_buffer_bytes") == mib(none, "model_buffer_bytes")
    assert mib(none, "kv_buffer_bytes") == mib(whole, "kv_buffer_bytes")
    assert [notice.code for notice in none.warnings] == ["experts-on-host"]
    assert start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192, n_gpu_layers=0).warnings[0].code == "layers-on-host"


def test_expert_matrices_that_are_placed_one_by_one_lie_apart() -> None:
    # github.com/ikawrakow/ik_llama.cpp/issues/749: 10,678.72 and 9,620.91 MiB on two cards with all but the gates of the experts on the host
    flags: dict[str, Any] = {"fork": "ik", "ctx_size": 4096, "override_tensor": ".ffn_(up|down)_exps.=CPU"}
    gates = start("glm-4.5-air", "iq4_kss.iq4_ks+iq5_ks", "3871", **flags)
    assert mib(gates, "model_buffer_bytes") == pytest.approx(10678.72 + 9620.91, rel=0.015)
    whole, none = (start("glm-4.5-air", "q8_0", override_tensor=pattern, ctx_size=4096) for pattern in ("blk=CUDA0", "exps=CPU"))
    two = start("glm-4.5-air", "q8_0", override_tensor="ffn_gate_exps=CPU", ctx_size=4096)
    experts = mib(whole, "model_buffer_bytes") - mib(none, "model_buffer_bytes")
    assert mib(two, "model_buffer_bytes") - mib(none, "model_buffer_bytes") == pytest.approx(experts * 2 / 3, rel=1e-6)


def test_an_open_context_shrinks_until_a_gib_is_free() -> None:
    fit = start("llama-3.1-8b", "q8_0", gpu="rtx4090-24gb")
    assert fit.fits
    assert fit.warnings[-1].code == "context-fitted"
    tokens = fit.kv_cache.tokens
    assert 4096 < tokens < 131072
    assert tokens % 256 == 0
    free = fit.ranks[0].items[-1].bytes
    assert 1024 * MiB <= free < 1024 * MiB + 512 * fit.kv_cache.bytes_per_token
    said = start("llama-3.1-8b", "q8_0", gpu="rtx4090-24gb", ctx_size=131072)
    assert not said.fits
    assert said.reason is not None
    assert said.reason.code == "out-of-memory"


def test_streams_and_quantised_values() -> None:
    shared = start("gemma-3-12b-it", "q4_k_m", ctx_size=8192, parallel=4, kv_unified=True)
    apart = start("gemma-3-12b-it", "q4_k_m", ctx_size=8192, parallel=4)
    # 8 layers see everything, 40 see 1,024 tokens: 4,608 cells in one stream, or four of 1,536; 8 heads of 256, two tensors of two bytes
    assert mib(shared, "kv_buffer_bytes") == (8 * 8192 + 40 * 4608) * 8 * 256 * 4 / MiB
    assert mib(apart, "kv_buffer_bytes") == (8 * 8192 + 40 * 4 * 1536) * 8 * 256 * 4 / MiB
    assert start("qwen3-4b", "q4_k_m", "5200", ctx_size=8192, cache_type_v="q8_0").quantities["compute_buffer_bytes"].value < 400 * MiB


@pytest.mark.parametrize(
    "flags", [{"n_gpu_layers": "many"}, {"tensor_split": "1;rm"}, {"cache_type_k": "q9"}, {"cache_type_k": "fp8"}, {"ctx_size": "1e9"}]
)
def test_values_that_cannot_be_read_are_refused(flags: Mapping[str, Any]) -> None:
    with pytest.raises(FlagError):
        start("qwen3-4b", "q4_k_m", **flags)


def test_compressed_and_sparse_attention_cache_keys_alone() -> None:
    # DeepSeek-V4-Flash, one sequence of 65,536 tokens: 43 windows of 768 cells, 21 layers with a row of 4 tokens and index keys, 20 with one of 128
    flash = start("deepseek-v4-flash", "mxfp4_moe", ctx_size=65536, parallel=1)
    rows = 43 * 768 * 512 + 21 * 16384 * (512 + 128) + 20 * 512 * 512
    assert flash.quantities["kv_buffer_bytes"].value == 2 * rows
    # unfinished rows, value and score in F32: 8 x 1,024 and 8 x 256, 128 x 512
    assert flash.quantities["state_buffer_bytes"].value == 2 * 4 * (21 * (8 * 1024 + 8 * 256) + 20 * 128 * 512)
    # DeepSeek-V3.2: 576 of the latent and 128 of the index in 61 layers
    assert start("deepseek-v3.2", "q4_k_m", ctx_size=32768, gpus=4).quantities["kv_buffer_bytes"].value == 61 * 32768 * (576 + 128) * 2


def test_layers_without_any_block_are_placed_like_the_others() -> None:
    # Nemotron Ultra leaves out attention in some layers, the feed-forward in others: the host may hold any of them
    few = start("llama-3.1-nemotron-ultra-253b-v1", "q4_k_m", gpus=2, ctx_size=8192, n_gpu_layers=20)
    whole = start("llama-3.1-nemotron-ultra-253b-v1", "q4_k_m", gpus=2, ctx_size=8192)
    assert few.warnings[-1].code == "layers-on-host"
    assert mib(few, "model_buffer_bytes") < mib(whole, "model_buffer_bytes")
    assert mib(few, "kv_buffer_bytes") == mib(whole, "kv_buffer_bytes")


def test_data_parallelism_is_refused() -> None:
    deployment = Deployment(model="qwen3-4b", gpu="t4-16gb", dp=2, engine="llama.cpp", precision="q4_k_m")
    fit = get_engine("llama.cpp").fit(deployment, model("qwen3-4b", "q4_k_m"), accelerator("t4-16gb"))
    assert not fit.fits
    assert fit.reason is not None
    assert fit.reason.code == "layers-or-rows-only"


def test_no_more_cards_than_the_program_knows() -> None:
    # llama_max_devices() and GGML_CUDA_MAX_DEVICES are 16; ggml stops where a server has more
    assert start("deepseek-r1", "q4_k_m", gpus=16, ctx_size=512).fits
    for engine in ("llama.cpp", "ollama"):
        fit = start("deepseek-r1", "q4_k_m", gpus=17, engine=engine, ctx_size=512)
        assert fit.reason is not None
        assert (fit.reason.code, fit.reason.parameters) == ("more-devices-than-engine", {"gpus": 17, "most": 16})
    # 1.3 TB in 16 bits: 24 cards of 80 GB would hold them, 16 do not
    found = make_plan(Request(model="deepseek-v3", engine="llama.cpp", precision="bf16", gpus=("h100",), concurrency=1, context_tokens=512))
    assert not found.options
    refused = found.rejected[0]
    assert refused.layout is not None
    assert refused.layout.gpus == 16


def test_ollama_takes_its_defaults_by_release_and_memory() -> None:
    def context(release: str, gpu: str) -> tuple[int | None, int | None]:
        fit = start("llama-3.2-1b", "q8_0", release, gpu=gpu, engine="ollama")
        return fit.deployment.max_model_len, fit.deployment.max_num_seqs

    assert context("0.5.4", "t4-16gb") == (2048, 4)
    assert context("0.9.0", "t4-16gb") == (4096, 4)
    assert context("0.12.0", "t4-16gb") == (4096, 1)
    assert context("0.30", "t4-16gb") == (4096, 1)
    assert context("0.30", "rtx4090-24gb") == (32768, 1)
    assert context("0.30", "h100-sxm-80gb") == (262144, 1)


def test_ollama_sends_to_the_host_what_does_not_fit() -> None:
    # qwen3-30b-a3b in Q8_0 on an A10: 18.5 of 30.2 GiB and 1.9 of 3.0 GiB of cache on the card
    deployment = Deployment(model="qwen3-30b-a3b", gpu="a10-24gb", engine="ollama", engine_version="0.12.0", precision="q8_0", max_model_len=32768)
    fit = get_engine("ollama").fit(deployment, model("qwen3-30b-a3b", "q8_0"), accelerator("a10-24gb"))
    assert fit.fits
    assert fit.warnings[-1].code == "layers-on-host"
    assert mib(fit, "weights_bytes") / 1024 == pytest.approx(18.5, rel=0.06)
    assert mib(fit, "kv_cache_pool_bytes") / 1024 == pytest.approx(1.9, rel=0.06)
    assert mib(fit, "kv_buffer_bytes") / 1024 == 3.0


def test_a_split_by_tensors_cuts_caches_as_well() -> None:
    # github.com/ggml-org/llama.cpp/pull/19378; by rows they lie on the first card
    def fit(mode: str) -> Fit:
        flags = {"ctx_size": 32768, "split_mode": mode}
        two = Deployment(model="qwen3-32b", gpu="rtx3090-24gb", tp=2, engine="llama.cpp", engine_version="11250", precision="q4_k_m", flags=flags)
        return get_engine("llama.cpp").fit(two, model("qwen3-32b", "q4_k_m"), accelerator("rtx3090-24gb"))

    assert caches(fit("tensor")) == [4096.0, 4096.0]
    assert caches(fit("row")) == [8192.0, 0]
    assert mib(fit("tensor"), "kv_buffer_bytes") == mib(fit("row"), "kv_buffer_bytes") == 8192.0


def test_layers_that_draft_have_a_context_of_their_own() -> None:
    # github.com/ggml-org/llama.cpp/pull/22673, a log of Qwen3.5-4B: 8,192 cells of one layer are 32.00 MiB, its buffer holds 490.00
    flags = {"ctx_size": 8192, "parallel": 1, "flash_attn": "on"}
    plain = Deployment(model="qwen3.5-4b", gpu="rtx3090-24gb", engine="llama.cpp", engine_version="9200", precision="q8_0", flags=flags)
    fit, without = (
        get_engine("llama.cpp").fit(each, model("qwen3.5-4b", "q8_0"), accelerator("rtx3090-24gb"))
        for each in (replace(plain, speculative_tokens=3), plain)
    )
    lines = {item.id: item.bytes / MiB for item in fit.ranks[0].items}
    assert (lines["draft_cache"], lines["draft_buffer"]) == (32.0, 490.0)
    assert mib(fit, "kv_buffer_bytes") == mib(without, "kv_buffer_bytes")
    assert lines["weights_draft"] > 0
    assert not any("draft" in item.id for item in without.ranks[0].items)
