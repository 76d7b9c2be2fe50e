"""Questions that people ask in public threads, and mistakes that other calculators make: each answered as a user would ask, against the truth.

The truths are published file sizes, logs of other people's starts and shapes of public configurations; none was computed by this package.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from gpusizer import Deployment, Request
from gpusizer.engines import writing_engines
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import model_entry

GB, GiB = 10**9, 2**30
SHARDED = ("vllm", "sglang", "tensorrt-llm")  # engines that cut attention over ranks
GROWING = ("transformers", "mlx")


def fit(model: str, gpu: str, **fields: Any) -> dict[str, Any]:
    return gpusizer.fit(Deployment(model=model, gpu=gpu, **{"max_model_len": 2048, **fields})).to_dict()


def plan(model: str, **fields: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(model=model, **{"concurrency": 10, "context_tokens": 2048, **fields})).to_dict()


# ---- how large a model is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "params_billion", "checkpoint_gb", "cache_bytes"),
    [
        ("deepseek-v3", 671.0, 688.57, 70_272),  # the index of its files; 61 x (512 + 64) x 2
        ("llama-3.1-70b-instruct", 70.55, 141.11, 327_680),  # 80 x 2 x 8 x 128 x 2
        ("qwen3-235b-a22b", 235.09, 470.19, 192_512),  # 94 x 2 x 4 x 128 x 2
        ("qwen3-8b", 8.19, 16.38, 147_456),  # heads of 128 that are not hidden size / heads
    ],
)
def test_sizes_are_the_published_ones(model: str, params_billion: float, checkpoint_gb: float, cache_bytes: int) -> None:
    """Not 472 billion (experts of two matrices), not half the cache (hidden size over heads), not 25 times the cache (latent attention as MHA)."""
    found = plan(model, gpus=("h200-sxm-141gb",))["model"]
    assert found["total_params"] / 1e9 == pytest.approx(params_billion, abs=0.05)
    assert found["checkpoint_bytes"] / GB == pytest.approx(checkpoint_gb, abs=0.006)
    assert found["kv_cache_bytes_per_token"] == cache_bytes


def test_all_experts_are_resident() -> None:
    """The commonest mistake: 37 B activated parameters fit a few cards, 671 B do not. A log of DeepSeek-R1 in FP8 at TP8 says 79.41 GiB a GPU."""
    found = fit("deepseek-r1-0528", "h200-sxm-141gb", tp=8)
    assert found["per_gpu"]["weights_bytes"] / GiB == pytest.approx(79.41, rel=0.01)


def test_gib_are_not_printed_as_gb(capsys: pytest.CaptureFixture[str]) -> None:
    from gpusizer.cli.main import main

    assert main(["models", "show", "deepseek-v3"]) == 0
    assert "(688.6 GB, 641.3 GiB)" in capsys.readouterr().out


# ---- the cache of one rank ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", SHARDED)
@pytest.mark.parametrize("tp", [1, 2, 8])
def test_every_rank_holds_the_whole_latent(engine: str, tp: int) -> None:
    """A log at TP2 shows 10,000 tokens as 0.65 GB on the first rank and 0.65 GB on the second."""
    cache = fit("deepseek-v3", "h200-sxm-141gb", engine=engine, tp=tp, pp=8 // tp)["kv_cache"]
    stages = 8 // tp
    if stages == 1:
        assert 10_000 * cache["bytes_per_token"] / GiB == pytest.approx(0.65, abs=0.01)
        assert 20_480 * cache["bytes_per_token"] / GB == pytest.approx(1.439, abs=0.001)
    else:  # layers are shared out, the latent of a layer is not: ceil(61 / stages) layers on the fullest
        assert cache["bytes_per_token"] >= 61 // stages * 576 * 2


def test_an_fp8_latent_is_half() -> None:
    cache = fit("deepseek-v3", "h200-sxm-141gb", tp=8, kv_precision="fp8")["kv_cache"]
    assert 20_480 * cache["bytes_per_token"] / GB == pytest.approx(0.720, abs=0.001)


@pytest.mark.parametrize("engine", SHARDED)
@pytest.mark.parametrize(("tp", "gb"), [(4, 0.986), (8, 0.986)])
def test_heads_that_are_fewer_than_the_ranks_are_copied(engine: str, tp: int, gb: float) -> None:
    """Qwen3-235B has 4 heads of keys and values: 20,480 tokens take 3.943 GB over 4 ranks, and as much a rank over 8, not half."""
    cache = fit("qwen3-235b-a22b", "h200-sxm-141gb", engine=engine, tp=tp)["kv_cache"]
    assert 20_480 * cache["bytes_per_token"] / GB == pytest.approx(gb, abs=0.001)


@pytest.mark.parametrize("engine", SHARDED)
def test_heads_that_are_enough_are_shared_out(engine: str) -> None:
    cache = fit("llama-3.1-70b-instruct", "h200-sxm-141gb", engine=engine, tp=8)["kv_cache"]
    assert cache["bytes_per_token"] == 327_680 // 8


def test_sparse_attention_caches_latent_and_index_keys() -> None:
    """V3.2 and GLM-5 are latent attention whatever the name of their class: 656 + 132 bytes a layer in FP8, not 25 times as much."""
    assert fit("glm-5", "b200-sxm-180gb", tp=8, precision="fp8", kv_precision="fp8_ds_mla")["kv_cache"]["bytes_per_token"] == 78 * 788
    assert fit("deepseek-v3.2", "h200-sxm-141gb", tp=8)["kv_cache"]["bytes_per_token"] == 61 * (576 * 2 + 132)


def test_llama_cpp_caches_the_latent_too() -> None:
    """Not 71 times as much, and not 44 % less: one row of 576 values of 16 bits a layer."""
    found = fit("deepseek-v3", "h200-sxm-141gb", engine="llama.cpp", pp=8, precision="q4_k_m", max_num_seqs=1)
    assert found["fits"]
    pools = sum(rank["per_gpu"]["kv_cache_pool_bytes"] for rank in found["ranks"])
    assert pools == pytest.approx(2048 * 70_272, rel=0.01)


# ---- which GPUs -----------------------------------------------------------------------------------------------------


def test_eight_h200_hold_deepseek_v3_and_eight_h100_do_not() -> None:
    """640 GB on the boxes of eight cards are no memory of one model, and one program says the same in both of its commands."""
    assert fit("deepseek-v3", "h200-sxm-141gb", tp=8)["fits"]
    assert not fit("deepseek-v3", "h100-sxm-80gb", tp=8)["fits"]
    options = {option["gpu"]: option for option in plan("deepseek-v3")["options"]}
    assert options["h200-sxm-141gb"]["gpus"] == 8
    assert options["h100-sxm-80gb"]["gpus"] == 16


@pytest.mark.parametrize(
    ("gpu", "most", "context"),
    [("rtxa6000-48gb", 8, 2048), ("rtx4090-24gb", 32, 128), ("a100-sxm-80gb", 8, 2048), ("h100-sxm-80gb", 8, 128)],
)
def test_what_people_tried_in_vain_is_refused_with_a_figure(gpu: str, most: int, context: int) -> None:
    """8 x A6000; 32 x 4090, out of memory at 128 tokens; 8 cards of 80 GB, "83 to 84 GB x 8"."""
    found = plan("deepseek-v3", gpus=(gpu,), max_gpus=most, concurrency=1, context_tokens=context)
    assert found["options"] == []
    (rejected,) = found["rejected"]
    assert any(isinstance(value, int) and value > 0 for value in rejected["parameters"].values()), rejected


def test_a_card_without_fp8_units_gets_an_answer_with_what_to_do_instead() -> None:
    found = plan("deepseek-v3", gpus=("a100-sxm-80gb",))
    (option,) = found["options"]
    (said,) = [each for each in option["warnings"] if each["code"] == "precision-not-native"]
    assert said["parameters"]["instead"] in ("int8", "int4")
    assert "A100" in said["sentence"]["en"]
    older = plan("deepseek-v3", gpus=("v100-sxm-32gb",), precision="fp8")
    (rejected,) = older["rejected"]
    assert (rejected["code"], rejected["parameters"]["instead"]) == ("precision-not-on-device", "int4")


def test_the_bf16_copy_takes_twice_the_cards() -> None:
    """About 1,342 GB without the MTP layer: 24 x A800 of 80 GB are three servers."""
    (option,) = plan("deepseek-v3", gpus=("a800-sxm-80gb",), precision="bf16")["options"]
    assert option["gpus"] == 24
    assert "other-checkpoint" in {each["code"] for each in option["warnings"]}


# ---- the load -------------------------------------------------------------------------------------------------------


def test_ten_users_are_ten_users() -> None:
    """Asked for 10, others size for 144 to 640 streams and never say what ten people will feel."""
    found = plan("deepseek-v3", users=1000, active_share=0.01, concurrency=None, gpus=("h200-sxm-141gb",))
    assert found["request"]["concurrency"] == 10
    (option,) = found["options"]
    rate = option["output_tokens_per_s"]
    assert 0.5 * 10 / option["tpot_s"] <= rate <= 10 / option["tpot_s"]


@pytest.mark.parametrize("concurrency", [32, 500, 3000])
def test_replicas_are_shown_and_hold_what_was_asked(concurrency: int) -> None:
    """Not "40 GPUs, TP8, 13 users" when 32 were asked."""
    for option in plan("llama-3.1-70b-instruct", gpus=("h100-sxm-80gb", "l40s-48gb"), concurrency=concurrency, context_tokens=8192)["options"]:
        layout = option["layout"]
        assert option["gpus"] == option["replicas"] * layout["tp"] * layout["pp"] * layout["dp"]
        assert option["max_concurrency_low" if option["verdict"] == "fits" else "max_concurrency"] >= concurrency
        assert option["kv_cache_tokens"] * option["replicas"] >= concurrency * 8192


@pytest.mark.parametrize("engine", writing_engines())
def test_pool_tokens_and_bytes_of_a_token_agree(engine: str) -> None:
    """Not 43 M tokens where 0.68 M are right: the pool of one GPU over a token's bytes on one GPU."""
    layout = {"tp": 2} if engine in SHARDED else {}
    found = fit("qwen3-8b", "m4-max-128gb" if engine == "mlx" else "h100-sxm-80gb", engine=engine, max_num_seqs=4, **layout)
    cache, pool = found["kv_cache"], found["per_gpu"]["kv_cache_pool_bytes"]
    assert found["fits"]
    assert cache["bytes_per_token"] in (147_456, 147_456 // 2)
    tokens = cache["tokens"] if engine not in GROWING else 4 * 2048  # the cache grows with the batch; tokens are what would fit
    assert tokens * cache["bytes_per_token"] == pytest.approx(pool, rel=0.02)


@pytest.mark.parametrize("engine", writing_engines())
@pytest.mark.parametrize("gpu", ["rtx4090-24gb", "h100-sxm-80gb"])
def test_plan_and_fit_are_one_model_of_memory(engine: str, gpu: str) -> None:
    gpu = {"rtx4090-24gb": "m4-pro-24gb", "h100-sxm-80gb": "m3-ultra-96gb"}[gpu] if engine == "mlx" else gpu
    precision = "q4_k_m" if engine in ("llama.cpp", "ollama") else "checkpoint"
    answer = gpusizer.plan(Request(model="qwen3-8b", engine=engine, gpus=(gpu,), concurrency=4, context_tokens=4096, precision=precision))
    (option,) = answer.options
    again = gpusizer.fit(option.launch).to_dict()
    (planned,) = answer.to_dict()["options"]
    assert again["fits"]
    assert again["per_gpu"] == planned["per_gpu"]
    assert again["items"] == planned["items"]


def test_no_cache_is_negative() -> None:
    for gpu in ("t4-16gb", "rtx3060-12gb", "rtx4090-24gb"):
        found = fit("qwen3-32b", gpu)
        assert not found["fits"]
        assert found["per_gpu"]["kv_cache_pool_bytes"] >= 0
        assert found["kv_cache"]["tokens"] >= 0


# ---- files and networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["num_routed_experts", "num_experts", "moe_num_experts", "expert_count_of_tomorrow"])
def test_experts_under_another_key_are_read_or_flagged(tmp_path: Path, written: str) -> None:
    """A calculator that reads another spelling than the file's drops the experts in silence: 13.4 GB a GPU instead of 85."""
    truth = gpusizer.load_architecture("deepseek-v3").parameters.total
    config = dict(model_entry("deepseek-v3").config)
    config[written] = config.pop("n_routed_experts")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    try:
        found = gpusizer.load_architecture(str(path))
    except GpusizerError:
        return  # refused: nobody is misled
    assert found.parameters.total == truth or found.warnings


def test_nothing_is_looked_up_on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert plan("deepseek-v3.1", gpus=("h200-sxm-141gb",))["options"]
