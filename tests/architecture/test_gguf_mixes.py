"""Mixes of types by the names of GGUF files, against sizes that start-up logs and publishers print."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.gguf_mixes import told_mix, usual_mix
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.units import GiB
from gpusizer.validation.validate import validate

# Model, name of the file, GiB as printed, whether the file holds layers of multi-token prediction.
PRINTED = [
    # ikawrakow/ik_llama.cpp, github-data: issues/437, pull_requests/370, discussions/258
    ("qwen3-235b-a22b", "Qwen3-235B-A22B-mix-IQ3_K-00001-of-00003.gguf", 106.830, False),
    ("qwen3-30b-a3b", "Qwen3-30B-A3B-mix-IQ4_K.gguf", 17.679, False),
    ("deepseek-r1-0528", "DeepSeek-R1-0528-IQ3_K_R4-00001-of-00007.gguf", 300.938, False),
    ("deepseek-r1-0528", "DeepSeek-R1-0528-IQ4_KS_R4-00001-of-00009.gguf", 367.774, False),
    ("deepseek-v3-0324", "IQ2_K_R4 - 2.375 bpw", 226.003, False),
    ("deepseek-v3-0324", "IQ4_K_R4 - 4.5 bpw", 386.183, False),
    # pull_requests/612, 529, 616, 492; issues/749
    ("kimi-k2-instruct", "Kimi-K2-Instruct-IQ2_KL.gguf", 345.687, False),
    ("deepseek-r1-0528", "DeepSeek-R1-0528-IQ3_KT", 272.527, False),
    ("kimi-k2-instruct", "Kimi-K2-Instruct-IQ1_KT.gguf", 228.948, False),
    ("deepseek-v3-0324", "DeepSeek-V3-0324-UD-Q4_K_XL-00001-of-00008.gguf", 357.623, False),
    ("deepseek-r1-0528", "DeepSeek-R1-0528-IQ1_S_R4-00001-of-00003.gguf", 130.203, False),
    ("glm-4.5-air", "GLM-4.5-Air-IQ4_KSS-00001-of-00002.gguf", 54.801, True),
    # model card of AesSedai/GLM-4.5-GGUF, whose names tell all four types
    ("glm-4.5", "GLM-4.5-Q6_K-IQ2_S-IQ2_S-IQ3_S-00001-of-00004.gguf", 128.18, True),
    # ik_llama.cpp discussions/357
    ("qwen3-235b-a22b", "Qwen3-235B-A22B-mix-IQ6_K-00001-of-00005.gguf", 198.259, False),
]


@pytest.mark.parametrize(("model", "name", "printed_gib", "drafts"), PRINTED)
def test_a_mix_has_the_size_that_logs_print(model: str, name: str, printed_gib: float, *, drafts: bool) -> None:
    architecture = load_architecture(model)
    mix = told_mix(name) or usual_mix(name, architecture)
    assert mix is not None
    assert checkpoint_bytes(with_precision(architecture, mix), mtp=drafts) == pytest.approx(printed_gib * GiB, rel=0.012)


def test_a_name_that_spells_its_types_out_is_taken_at_its_word() -> None:
    # github.com/ikawrakow/ik_llama.cpp/issues/245: 314.197 GiB, in its first six layers one type more than the name says
    architecture = load_architecture("deepseek-r1")
    mix = told_mix("DeepSeek-R1-GGUF-IQ4_K__IQ3_S_Q8.gguf")
    assert mix == "iq3_s.iq4_k+q8_0"
    assert checkpoint_bytes(with_precision(architecture, mix), mtp=False) == pytest.approx(314.197 * GiB, rel=0.03)


def test_smol_files_have_one_type_for_all_matrices_of_the_experts() -> None:
    # ikawrakow/ik_llama.cpp, github-data/discussions/477: 1.792 bits a weight beside 1.915 with larger matrices out of the experts
    architecture = load_architecture("kimi-k2-instruct")
    mix = usual_mix("Kimi-K2-Instruct-smol-IQ1_KT", architecture)
    assert mix == "iq1_kt+iq4_kt"
    size = checkpoint_bytes(with_precision(architecture, mix), mtp=False)
    assert 8 * size / architecture.parameters.total == pytest.approx(1.792, rel=0.01)


@pytest.mark.parametrize("name", ["DeepSeek-V3-Q4_K_M.gguf", "Qwen3-8B-IQ4_XS.gguf", "gpt-oss-120b-mxfp4.gguf", "UD-IQ2_XXS", ""])
def test_names_of_plain_recipes_tell_no_mix(name: str) -> None:
    architecture = load_architecture("deepseek-v3")
    assert told_mix(name) is None
    assert usual_mix(name, architecture) is None


def test_dynamic_files_of_split_linear_attention_have_one_type_more_out_of_the_experts() -> None:
    # github.com/joryirving/home-ops/pull/9398: 21.28 GiB with a layer of drafts and without its tower for images
    architecture = load_architecture("qwen3.6-35b-a3b")
    mix = usual_mix("Qwen3.6-35B-A3B-UD-Q4_K_XL.gguf", architecture)
    assert mix == "q4_k.q5_k+q8_0"
    towers = architecture.parameters.groups.get("vision", 0) * 2
    assert checkpoint_bytes(with_precision(architecture, mix), mtp=True) - towers == pytest.approx(21.28 * GiB, rel=0.015)
    assert usual_mix("UD-Q4_K_XL", load_architecture("qwen3-next-80b-a3b-instruct")) == "q4_k_s+q4_k_m"


# ikawrakow/ik_llama.cpp, github-data/issues: 398 and 455; the second without the experts, which lay on the host, and without the embedding.
def test_dynamic_files_of_four_bits_have_experts_of_four_bits_and_latent_projections_of_eight() -> None:
    experts = load_architecture("qwen3-30b-a3b")
    mix = usual_mix("Qwen3-30B-A3B-UD-Q4_K_XL.gguf", experts)
    assert mix is not None
    assert checkpoint_bytes(with_precision(experts, mix), mtp=False) == pytest.approx(16.493 * GiB, rel=0.02)
    row: dict[str, Any] = {"engine": "llama.cpp", "model": "DeepSeek-V3-0324-UD-Q4_K_XL-00001-of-00008.gguf", "quantization": "Q4_K - Medium"}
    row |= {
        "gpu": "RTX 3090-24GB",
        "gpu_count": 1,
        "other_flags": "-ngl 99 -c 8192 -ot exps=CPU",
        "measured": {"model_buffer_mib_by_device": {"CUDA0": 9996.68}},
    }
    (case,) = validate([row]).cases
    assert abs(case.quantities["model_buffer_bytes"].error or 1) < 0.01
