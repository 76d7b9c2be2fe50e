"""How a measured case is read: words of launch commands, names of models, cards and precisions, fields, and the deployment they make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpusizer.architecture.precision.precision_words import precision_of_words
from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.units import GiB
from gpusizer.validation.command_lines import launch_words
from gpusizer.validation.devices import devices_of
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.models import model_of
from gpusizer.validation.speed_cases import KNOWN_BEFORE, PerformanceCase, performance_case
from gpusizer.validation.validate import validate
from own_cases import OWN, own_cases


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-ctk q8_0 -ngl 99 -ot a=CPU -ot b=CUDA0", {"cache_type_k": "q8_0", "n_gpu_layers": 99, "override_tensor": ["a=CPU", "b=CUDA0"]}),
        ("VLLM_PP_LAYER_PARTITION=16,32 --enable-chunked-prefill", {"VLLM_PP_LAYER_PARTITION": "16,32", "enable_chunked_prefill": True}),
        ("{'dtype': 'half', 'max_model_len': 8192", {"dtype": "half", "max_model_len": 8192}),
        ("'quantization': 'modelopt', 'limit_mm_per_prompt': {'image': 2}", {"quantization": "modelopt", "limit_mm_per_prompt": {"image": 2}}),
        ("--ctx-size $((112 * 1024)) -fa", {"ctx_size": 114688, "flash_attn": True}),
        ("$(rm -rf ~) `reboot` --a 1", {"a": 1}),
        ("", {}),
    ],
)
def test_launch_words(words: str, expected: dict[str, Any]) -> None:
    found = launch_words(words, "llama.cpp" if "-ngl" in words or "-fa" in words else None)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "model", "precision"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b-instruct", "int4"),
        ("DeepSeek-R1-0528-IQ4_KS_R4-00001-of-00009.gguf", "deepseek-r1-0528", None),
        ("Qwen3 235B A22B", "qwen3-235b-a22b", None),
        ("Qwen3.8-27B NVFP4 (single-nvfp4)", "qwen3.8-27b", "nvfp4"),
        ("gpt-oss:120b", "gpt-oss-120b", None),
        ("Qwen 3.6 35B A3B FP8", "qwen3.6-35b-a3b-fp8", None),
        ("Nemotron 120B (NIM; checkpoint not named)", "nvidia-nemotron-3-super-120b-a12b-bf16", None),
        ("Devstral Small 2", "devstral-small-2-24b-instruct-2512", None),
        ("MiniMax M2.5 230B A10B", "minimax-m2.5", None),
    ],
)
def test_names_of_models(words: str, model: str, precision: str | None) -> None:
    entry, found = model_of(words)
    assert entry.id == model
    assert precision is None or found == precision


@pytest.mark.parametrize("words", ["DeepSeek-V3-Draft-1B", "Llama-3.1-8B-Distill-Of-Something-3B", "Qwen3", "", "((((", "a/b/c/d"])
def test_another_model_is_not_taken_for_a_known_one(words: str) -> None:
    with pytest.raises(UnknownIdError):
        model_of(words)


def test_devices() -> None:
    assert [device.id for device in devices_of("H100-80GB-SXM", 4, optional=False).each] == ["h100-sxm-80gb"] * 4
    assert devices_of("RTX 5090-32GB + RTX 4090-24GB", 2, optional=True).unequal
    assert not devices_of("CUDA (name not seen)", 1, optional=True).memory_known
    assert devices_of("40GB class (A100 inferred)", 1, optional=True).first.marketing_memory_gb == 40
    small = devices_of("8GB class (name not given)", 1, optional=True)
    assert 7.5 * GiB < small.first.memory_bytes <= 8 * GiB
    assert [notice.code for notice in small.notices] == ["device-by-size"]
    with pytest.raises(InputError):
        devices_of("none (CPU run)", 0, optional=False)


def test_on_a_card_that_nobody_names_only_weights_are_predicted() -> None:
    row = json.loads(OWN.read_text(encoding="utf-8").splitlines()[0])
    named, unnamed = validate([row, {**row, "gpu": "not stated"}]).cases
    assert set(unnamed.quantities) == {"weights_bytes"}
    assert unnamed.quantities["weights_bytes"].predicted == named.quantities["weights_bytes"].predicted


@pytest.mark.parametrize(
    ("words", "precision"),
    [("IQ4_XS - 4.25 bpw", "iq4_xs"), ("Q5_K - Small", "q5_k_s"), ("int4-compressed-tensors", "int4"), ("w8a8-int8", "int8"), ("nothing", None)],
)
def test_words_for_precisions(words: str, precision: str | None) -> None:
    assert precision_of_words(words)[0] == precision


def test_measured_fields_by_the_contract() -> None:
    measured = measured_memory(
        {
            "measured": {
                "kv_gib_per_gpu": 2.0,
                "cuda_graph_gib": 0.5,
                "kv_total_mib": 3.0,
                "compute_buffer_mib": 1.0,
                "model_buffer_mib_by_device": {"CUDA0": 1.0, "CUDA1": 2.0, "CUDA_Host": 50.0},
                "outcome": "kv_too_small",
            }
        }
    )
    assert measured == {
        "kv_cache_pool_bytes": 2 * 2**30,
        "cuda_graph_bytes": 2**29,
        "kv_buffer_bytes": 3 * 2**20,
        "compute_buffer_bytes": 2**20,
        "model_buffer_bytes": 3 * 2**20,
        "fits": False,
    }
    assert "fits" not in measured_memory({"measured": {"outcome": "loads, then segmentation fault"}})


def launched(**fields: Any) -> Any:
    """The deployment of a case of Llama 3.1 8B on H100s with these fields."""
    case = deployment_of({**own_cases()[0], **fields})
    assert isinstance(case, Case), case
    return case.deployment


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"gpu_count": 8, "tp": 8, "other_flags": "--enable-expert-parallel", "model": "openai/gpt-oss-120b"}, {"tp": 8, "ep": 8, "dp": 1}),
        ({"gpu_count": 8, "tp": 1, "dp": 8, "ep": True, "model": "openai/gpt-oss-120b"}, {"tp": 1, "dp": 8, "ep": 8}),
        ({"engine": "sglang", "gpu_count": 8, "tp": 8, "dp": 8, "dp_attention": True}, {"tp": 1, "dp": 8}),
        ({"engine": "sglang", "gpu_count": 8, "tp": 4, "dp": 2}, {"tp": 4, "dp": 1}),
        ({"engine": "sglang", "gpu_count": 8, "tp": 8, "dp": 8}, {"tp": 1, "dp": 8}),
        ({"gpu_count": 8, "tp": 8, "other_flags": "--decode-context-parallel-size 4"}, {"tp": 8, "dcp": 4}),
        ({"engine": "llama.cpp", "gpu_count": 3, "tp": None, "quantization": "Q8_0"}, {"tp": 1, "pp": 3, "precision": "q8_0"}),
        ({"engine": "llama.cpp", "gpu_count": 2, "tp": None, "other_flags": "-sm row"}, {"tp": 2, "pp": 1}),
        ({"dtype": "float32"}, {"precision": "fp32"}),
        ({"dtype": "float16"}, {"precision": "fp16"}),
        ({"quantization": "fp8"}, {"precision": "fp8"}),
        ({"quantization": "none", "model": "openai/gpt-oss-20b"}, {"precision": "checkpoint"}),
        ({"quantization": "mxfp4", "model": "openai/gpt-oss-20b"}, {"precision": "checkpoint"}),
        ({"kv_cache_dtype": "fp8_e4m3"}, {"kv_precision": "fp8_e4m3"}),
        ({"speculative": "{'method': 'mtp', 'num_speculative_tokens': 3}"}, {"speculative_tokens": 3}),
        ({"speculative": "eagle3 org/draft-model, 4 tokens"}, {"speculative_tokens": 4}),
        ({"engine": "sglang", "other_flags": "--speculative-algorithm EAGLE"}, {"speculative_tokens": 3}),
        ({"engine": "sglang", "other_flags": "--context-length 4096; MTP/EAGLE enabled"}, {"speculative_tokens": 3}),
        ({"engine": "sglang", "other_flags": "--context-length 4096; no speculation, no MTP"}, {"speculative_tokens": 0}),
        ({"engine": "sglang", "other_flags": "server_args: page_size=128 device=npu"}, {"block_size": 128}),
        ({"engine_version": "main of 2026-07-03 (after 0.5.14)"}, {"engine_version": "0.5.15.dev0"}),
        ({"other_flags": "quantization fp8 speculative_config (method cut)"}, {"speculative_tokens": 1}),
        ({"engine_version": "rocm/image:v0.5.8.post1-x"}, {"engine_version": "0.5.8"}),
        ({"engine_version": None, "date": "2025-07-22"}, {"engine_version": "0.9.2"}),
        ({"engine_version": None, "date": None}, {"engine_version": None}),
        ({"enforce_eager": True}, {"enforce_eager": True}),
    ],
    ids=lambda part: str(part)[:60],
)
def test_what_a_case_says_becomes_the_deployment(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    deployment = launched(**fields)
    assert {name: getattr(deployment, name) for name in expected} == expected


def test_flags_of_a_case_reach_the_engine_by_their_own_names() -> None:
    words = "VLLM_PP_LAYER_PARTITION=12,20 VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 --pipeline-parallel-size 2 --language-model-only"
    flags = launched(gpu_count=2, pp=2, other_flags=words, speculative="{'method': 'eagle3', 'model': 'a/b', 'num_speculative_tokens': 2}").flags
    assert flags["pp_layer_partition"] == (12, 20)
    assert flags["memory_profiler_estimate_cudagraphs"] == 0
    assert flags["language_model_only"] is True
    assert (flags["speculative_method"], flags["speculative_model"]) == ("eagle3", "a/b")


def test_unequal_cards_keep_their_order_and_sizes() -> None:
    start = launched(engine="llama.cpp", gpu="RTX 5090-32GB + RTX 3090-24GB x2", gpu_count=3, quantization="Q8_0")
    assert start.devices == ("rtx5090-32gb", "rtx3090-24gb", "rtx3090-24gb")
    assert start.device_memory_bytes[0] > start.device_memory_bytes[1] == start.device_memory_bytes[2]


def test_a_launch_word_cannot_name_the_devices() -> None:
    start = launched(other_flags="--devices 7 VLLM_DEVICES=7")
    assert "devices" not in start.flags
    assert not start.devices


_LOCAL: dict[str, Any] = {
    **dict.fromkeys(KNOWN_BEFORE),
    "date": "2026-05", "model": "meta-llama/Llama-3.1-8B-Instruct", "quantization": "Q4_K_M", "gpu": "RTX 4090 24GB", "gpu_count": 1,
    "engine": "llama.cpp", "isl": 512, "osl": 128, "concurrency": 1,
}  # fmt: skip


@pytest.mark.parametrize("gpu", ["RTX 5070 Ti SUPER 24GB", "Radeon RX 9999 20GB", "24GB class (name not given)", "96GB unified NVIDIA"])
def test_no_device_stands_in_by_its_size_where_a_speed_is_asked(gpu: str) -> None:
    with pytest.raises(UnknownIdError):
        devices_of(gpu, 1, optional=False)
    refused = performance_case({**_LOCAL, "gpu": gpu})
    assert isinstance(refused, Notice)
    assert refused.code == "unknown-accelerator"


@pytest.mark.parametrize(
    ("model", "words", "precision", "codes"),
    [
        ("Qwen/Qwen3.6-27B", "Q4_K_M", "q4_k_m", ()),
        ("Qwen/Qwen3.6-27B", "UD-Q4_K_XL", "q4_k_m", ("similar-precision",)),
        ("Qwen/Qwen3.6-27B", "UD-Q8_K_XL", "q8_0", ("similar-precision",)),
        ("Qwen/Qwen3.6-27B", "UD-IQ2_M", "iq2_m", ("similar-precision",)),
        ("Qwen/Qwen3.6-27B", "IQ3_XXS", "iq3_xxs", ()),
        ("Qwen/Qwen3.6-35B-A3B", "UD-Q3_K_XL", "q3_k_m+q4_k_m", ("similar-precision",)),  # small experts beside a rest of four bits
        ("deepseek-ai/DeepSeek-R1", "IQ1_S", "iq1_s", ()),
        ("openai/gpt-oss-20b", "Q8_0", "mxfp4_moe", ()),  # experts stay in MXFP4, whatever the file is called
        ("openai/gpt-oss-20b", "MXFP4", "mxfp4_moe", ()),
        ("openai/gpt-oss-20b", "F16", "checkpoint", ()),
        ("meta-llama/Llama-3.1-8B-Instruct", "F16", "checkpoint", ()),
    ],
)
def test_recipes_of_local_files_are_what_they_are(model: str, words: str, precision: str, codes: tuple[str, ...]) -> None:
    case = performance_case({**_LOCAL, "model": model, "quantization": words, "gpu": "RTX 5090 32GB"})
    assert isinstance(case, PerformanceCase)
    assert case.deployment.precision == precision
    assert tuple(notice.code for notice in case.notices) == codes


def test_a_repository_named_after_its_format_is_stored_in_it() -> None:
    row = {**_LOCAL, "engine": "vLLM", "model": "Qwen/Qwen3.6-35B-A3B-NVFP4-Fast", "quantization": "BF16", "gpu": "RTX 5880 Ada 48GB"}
    case = performance_case(row)
    assert isinstance(case, PerformanceCase)
    assert case.deployment.precision == "checkpoint"


def test_an_organisation_before_a_version_is_no_pair_of_models() -> None:
    assert isinstance(performance_case({**_LOCAL, "model": "Qwen/qwen3.5", "gpu": "Iris Xe (integrated)"}), PerformanceCase)


def test_a_case_that_does_not_name_its_files_tells_no_weights() -> None:
    row = {"engine": "vllm", "model": "Qwen3.8-27B (checkpoint not named)", "gpu": "RX-7900-XT-20GB", "gpu_count": 2, "tp": 2}
    case = deployment_of(row)
    assert isinstance(case, Case)
    assert {"weights_bytes", "kv_cache_pool_bytes", "fits"} <= case.unpredictable


def test_a_share_that_was_typed_decides_over_one_in_a_table() -> None:
    row = {"engine": "vllm", "model": "Qwen3-8B", "gpu": "H100-80GB", "gpu_count": 1, "tp": 1, "gpu_memory_utilization": 0.9}
    for words, share in (("gpu-memory-utilization: 0.92", 0.92), ("", 0.9)):
        case = deployment_of({**row, "other_flags": words})
        assert isinstance(case, Case)
        assert case.deployment.memory_fraction == share


def test_a_start_that_only_runs_with_its_tables_in_a_file_had_them_there() -> None:
    """Qwen3.8-Flash-Next: 126 GiB with a table of 47.7, on one DGX Spark and on two (sgl-project/sglang pull 37995)."""
    spark = {"engine": "sglang", "model": "RadixArk/Qwen3.8-Flash-Next-NVFP4", "quantization": "nvfp4", "gpu": "GB10 (DGX Spark) 128GB unified"}
    alone, two = (launched(**spark, gpu_count=count, tp=count) for count in (1, 2))
    assert (alone.flags.get("ple_offload_backend"), two.flags.get("ple_offload_backend")) == ("file", None)
