"""TensorRT-LLM against its logs, and engines that are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator
from gpusizer.units import GiB
from gpusizer.validation.memory_cases import Case, deployment_of

ENGINE = get_engine("tensorrt-llm")


def started(model: str, gpu: str, version: str = "1.1.0", **fields: object) -> Fit:
    deployment = Deployment(model=model, gpu=gpu, engine="tensorrt-llm", engine_version=version, **fields)  # type: ignore[arg-type]
    return ENGINE.fit(deployment, with_precision(load_architecture(model), deployment.precision), accelerator(gpu))


def test_gpt_oss_on_gb10_as_logged() -> None:
    """63.52 GiB of weights, "kv size is 73728", 5.95 GiB in 86,720 tokens; layers with a window are held like the others."""
    fit = started("gpt-oss-120b", "gb10-128gb", max_num_seqs=64, max_num_batched_tokens=8192, flags={"moe_backend": "CUTLASS"})
    assert fit.kv_cache.bytes_per_token == 73_728
    assert fit.quantities["weights_bytes"].value / GiB == pytest.approx(63.52, rel=0.01)
    assert fit.quantities["kv_cache_pool_bytes"].value / GiB == pytest.approx(5.95, rel=0.03)
    assert fit.quantities["kv_cache_tokens"].value == pytest.approx(86_720, rel=0.03)
    assert "pages-count-as-used" in {notice.code for notice in fit.warnings}


def test_the_cache_is_a_share_of_the_rest_not_of_the_card() -> None:
    pools = {share: started("llama-3.1-8b", "h100-sxm-80gb", memory_fraction=share).quantities["kv_cache_pool_bytes"].value for share in (0.45, 0.9)}
    assert pools[0.9] == pytest.approx(2 * pools[0.45])


def test_defaults_of_the_newest_backend() -> None:
    deployment = started("llama-3.1-8b", "h100-sxm-80gb").deployment
    assert (deployment.block_size, deployment.max_num_batched_tokens, deployment.max_num_seqs, deployment.memory_fraction) == (32, 8192, 2048, 0.9)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "deepseek-v3", "qwen3.5-9b", "gpt-oss-120b"])
def test_items_of_a_gpu_sum_to_the_device(model: str) -> None:
    fit = started(model, "h200-sxm-141gb", tp=8)
    assert fit.fits, fit.reason
    for rank in fit.ranks:
        assert sum(line.bytes for line in rank.items) == accelerator("h200-sxm-141gb").memory_bytes


def test_a_model_that_is_too_large_is_refused_with_what_is_missing() -> None:
    fit = started("llama-3.1-70b", "h100-sxm-80gb")
    assert not fit.fits
    assert fit.reason is not None
    assert fit.reason.parameters["missing_bytes"] > 50 * GiB


def test_a_cap_on_tokens_is_kept_to() -> None:
    fit = started("llama-3.1-8b", "h100-sxm-80gb", flags={"max_tokens": 10_000})
    assert 10_000 <= fit.kv_cache.tokens < 10_032


def test_the_options_file_says_what_the_command_cannot() -> None:
    deployment = replace(started("deepseek-v3", "h200-sxm-141gb", dp=8, ep=8).deployment, kv_precision="fp8")
    words = ENGINE.command(deployment)
    assert words[words.index("--tp_size") + 1] == "8"
    assert "--extra_llm_api_options" in words
    file = ENGINE.options_file(deployment)
    assert file is not None
    assert file[1]["enable_attention_dp"] is True


def line_bytes(fit: Fit, name: str) -> int:
    return sum(line.bytes for line in fit.ranks[0].items if line.id == name)


@pytest.mark.parametrize(("version", "tp", "mib"), [("1.2.0", 1, 0), ("1.2.0", 2, 512), ("1.2.0", 4, 1024), ("1.2.0", 8, 2048), ("1.2.0", 16, 0)])
def test_buffers_for_all_reduces_as_the_source_sizes_them(version: str, tp: int, mib: int) -> None:
    """768 MiB of three buffers and 256 MiB of one over four ranks: the comment of max_workspace_size_auto; ranks of two servers open none."""
    fit = started("llama-3.1-70b", "h100-sxm-80gb", version, tp=tp, precision="fp8")
    assert line_bytes(fit, "reduction_workspace") == mib * 2**20


def test_buffers_for_all_reduces_were_smaller_before() -> None:
    sizes = [line_bytes(started("llama-3.1-70b", "h100-sxm-80gb", "1.1.0", tp=tp, precision="fp8"), "reduction_workspace") for tp in (2, 8)]
    assert sizes == [2 * 16_000_000 * 4, 8 * 8_000_000 * 4]


def test_an_older_version_runs_the_backend_that_is_named() -> None:
    """Llama-3.1-8B in FP8 on one H100, 0.20.0 with --backend pytorch at 0.9: the log says 61.18 GiB."""
    alone = started("llama-3.1-8b", "h100-sxm-80gb", "0.20.0", precision="fp8", max_num_seqs=2048, flags={"backend": "pytorch"})
    assert alone.quantities["kv_cache_pool_bytes"].value / GiB == pytest.approx(61.18, rel=0.015)
    assert alone.quantities["weights_bytes"].value / GiB == pytest.approx(8.55, rel=0.01)
    assert "compiled-engine-rough" not in {notice.code for notice in alone.warnings}
    assert alone.deployment.block_size == 32
    assert "compiled-engine-rough" in {notice.code for notice in started("llama-3.1-8b", "h100-sxm-80gb", "0.20.0", precision="fp8").warnings}


@pytest.mark.parametrize(
    ("version", "page_tokens"), [("0.20.0 (PyTorch backend)", 32), ("1.0.0rc1 (TensorRT engine)", 64), ("0.20.0", 64), ("1.1.0", 32)]
)
def test_a_measured_case_may_say_its_backend_beside_the_version(version: str, page_tokens: int) -> None:
    case = deployment_of(
        {"engine": "tensorrt-llm", "engine_version": version, "model": "meta-llama/Llama-3.1-8B", "gpu": "H100-80GB", "gpu_count": 1}
    )
    assert isinstance(case, Case)
    fit = ENGINE.fit(case.deployment, case.architecture, case.accelerator)
    assert fit.deployment.block_size == page_tokens
    assert ("compiled-engine-rough" in {notice.code for notice in fit.warnings}) == (page_tokens == 64)


def test_the_command_names_the_backend_once() -> None:
    for flags, backend in (({}, "pytorch"), ({"backend": "tensorrt"}, "tensorrt")):
        words = ENGINE.command(started("llama-3.1-8b", "h100-sxm-80gb", flags=flags).deployment)
        assert words.count("--backend") == 1
        assert words[words.index("--backend") + 1] == backend


def test_a_compiled_engine_limits_its_tokens_by_itself() -> None:
    """From 0.11 on max_num_tokens is 8,192 where nothing is said; 0.5 sized its workspace for whole batches of prompts."""
    left_open = started("llama-3.1-8b", "h100-sxm-80gb", "0.16.0", max_num_seqs=2048)
    said = started("llama-3.1-8b", "h100-sxm-80gb", "0.16.0", max_num_seqs=2048, max_num_batched_tokens=8192)
    assert left_open.fits
    assert left_open.quantities["kv_cache_pool_bytes"] == said.quantities["kv_cache_pool_bytes"]
    assert not started("llama-3.1-8b", "h100-sxm-80gb", "0.5.0", max_num_seqs=2048).fits


def test_the_decoder_of_a_compiled_engine_as_logged() -> None:
    """Llama-3.1-70B, 2,048 requests, 0.16.0: 3.30 GB for the decoder."""
    fit = started("llama-3.1-70b", "h100-sxm-80gb", "0.16.0", tp=8, precision="fp8", max_num_seqs=2048)
    assert line_bytes(fit, "decoder_buffers") == pytest.approx(3.30e9, rel=0.05)
    assert not line_bytes(started("llama-3.1-70b", "h100-sxm-80gb", tp=8, precision="fp8"), "decoder_buffers")


@pytest.mark.parametrize("name", ["lmdeploy", "MindIE", "vllm-ascend", "ktransformers", "ik_llama.cpp"])
def test_engines_without_a_model_are_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownIdError) as refused:
        get_engine(name)
    assert refused.value.code == "engine-not-modelled"
    assert refused.value.parameters["nearest"][0] in engine_ids()


@pytest.mark.parametrize(("model", "precision", "bytes_per_token"), [("llama-3.1-8b", "fp8", 65_536), ("llama-3.1-8b", "nvfp4", 65_536)])
def test_a_checkpoint_of_modelopt_keeps_its_cache_in_fp8(model: str, precision: str, bytes_per_token: int) -> None:
    """nvidia/Llama-3.1-8B-Instruct-FP8 on one H100, "kv size is 65536" with the format of the cache left open; what is told stays."""
    assert started(model, "h100-sxm-80gb", precision=precision).kv_cache.bytes_per_token == bytes_per_token
    assert started(model, "h100-sxm-80gb", precision=precision, kv_precision="bf16").kv_cache.bytes_per_token == 2 * bytes_per_token
    assert started(model, "h100-sxm-80gb").kv_cache.bytes_per_token == 2 * bytes_per_token


def test_a_copy_that_a_name_tells_of_is_modelopts() -> None:
    row = {"engine": "tensorrt-llm", "engine_version": "0.20.0", "model": "nvidia/Llama-3.1-8B-Instruct-FP8", "quantization": "fp8"}
    case = deployment_of({**row, "gpu": "H100-80GB-SXM", "gpu_count": 1, "tp": 1, "kv_cache_dtype": "auto", "other_flags": "--backend pytorch"})
    assert isinstance(case, Case)
    assert ENGINE.fit(case.deployment, case.architecture, case.accelerator).kv_cache.bytes_per_token == 65_536
