"""Models whose shapes were put together from public copies, class defaults and cards: totals that somebody else counted or published."""

from __future__ import annotations

import pytest

from gpusizer.architecture.load import load_architecture

# Parameters of the library's own model of the same configuration, built without memory (transformers 5.24.0, torch 2.13.0).
BY_LIBRARY = {
    "bloom": 176_247_271_424,
    "bloom-560m": 559_214_592,
    "ernie-4.5-vl-28b-a3b-pt": 29_399_294_336,
    "exaone-4.5-33b": 33_813_987_328,
    "glm-4.1v-9b-thinking": 10_292_777_472,
    "gpt2": 124_439_808,
    "gpt2-large": 774_030_080,
    "gpt2-medium": 354_823_168,
    "gpt2-xl": 1_557_611_200,
    "jais-2-8b-chat": 8_090_401_280,
    "k-exaone-236b-a23b": 236_571_150_336,
    "lfm2.5-vl-1.6b": 1_596_625_904,
    "ling-3.0-tiny": 7_893_389_856,
    "llama-3.2-90b-vision": 88_593_355_323,
    "mellum2-12b-a2.5b-instruct": 12_149_923_072,
    "minicpm5-2b": 2_516_756_480,
    "nvidia-nemotron-nano-12b-v2": 12_310_001_152,
    "opt-1.3b": 1_315_758_080,
    "opt-125m": 125_239_296,
    "opt-13b": 12_853_473_280,
    "opt-6.7b": 6_658_473_984,
    "opt-66b": 65_719_701_504,
    "pythia-1.4b": 1_414_647_808,
    "pythia-12b": 11_846_072_320,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "qwen2-vl-2b-instruct": 2_208_985_600,
    "qwen2-vl-72b-instruct": 73_405_560_320,
    "qwen2-vl-7b-instruct": 8_291_375_616,
    "qwen2.5-vl-32b-instruct": 33_452_718_336,
    "qwen2.5-vl-3b-instruct": 3_754_622_976,
    "qwen3-embedding-0.6b": 595_776_512,
    "qwen3-embedding-4b": 4_021_774_336,
    "qwen3-embedding-8b": 7_567_295_488,  # the class without a head, as it is stored
    "qwen3.8-2.4t-a95b": 2_419_804_697_984,
    "sarvam-30b": 32_152_648_064,
    "solar-open-100b": 102_651_793_408,
    "trinity-large-thinking": 398_635_286_016,
    "trinity-mini": 26_123_974_400,
}
# Model cards and the hub, in the digits that they print; the layers of multi-token prediction are in the hub's figures.
PUBLISHED = {
    "deepseek-v4-flash-vision-exp": (304.6e9, 0.05e9),
    "glm-4.6v-flash": (10.3e9, 0.05e9),
    "intern-s1": (241e9, 0.5e9),
    "intern-s1-mini": (8.54e9, 0.005e9),
    "internvl3-14b": (15.12e9, 0.005e9),
    "internvl3-38b": (38.39e9, 0.005e9),
    "internvl3-78b": (78.41e9, 0.005e9),
    "internvl3-8b": (7.94e9, 0.005e9),
    "internvl3.5-14b": (15.12e9, 0.005e9),
    "internvl3.5-1b": (1.06e9, 0.005e9),
    "internvl3.5-241b-a28b": (240.70e9, 0.005e9),
    "internvl3.5-2b": (2.35e9, 0.005e9),
    "internvl3.5-30b-a3b": (30.85e9, 0.005e9),
    "internvl3.5-38b": (38.39e9, 0.005e9),
    "internvl3.5-4b": (4.73e9, 0.005e9),
    "internvl3.5-8b": (8.53e9, 0.005e9),
    "ling-1t": (999.705e9, 0.0005e9),  # as llama.cpp prints it
    "minicpm-v-2.6": (8.10e9, 0.005e9),
    "minicpm-v-4.5": (8.70e9, 0.005e9),
}


@pytest.mark.parametrize(("id", "total"), BY_LIBRARY.items())
def test_the_library_counts_as_many(id: str, total: int) -> None:
    assert load_architecture(id).parameters.total == total


@pytest.mark.parametrize(("id", "published"), PUBLISHED.items())
def test_a_card_prints_as_many(id: str, published: tuple[float, float]) -> None:
    total, half_a_digit = published
    found = load_architecture(id).parameters
    assert min(abs(found.total - total), abs(found.total + found.mtp - total)) <= half_a_digit


def test_the_largest_qwen_is_as_large_as_its_bf16_files() -> None:
    found = load_architecture("qwen3.8-2.4t-a95b").parameters
    assert 2 * (found.total + found.mtp) == pytest.approx(4.89e12, abs=0.005e12)  # unsloth.ai/docs/models/qwen3.8


def test_a_tower_that_nobody_read_is_said_and_is_what_is_missing() -> None:
    model = load_architecture("mimo-v2.5")
    counted = model.parameters.total + model.parameters.mtp
    assert [notice.code for notice in model.warnings] == ["unknown-tower", "unknown-tower"]
    assert counted + 729e6 + 261e6 == pytest.approx(311e9, abs=0.5e9)  # its card, vllm-project/recipes


def test_minicpm_has_one_attention_of_learned_queries_over_the_tower() -> None:
    """openbmb/MiniCPM-V: modeling_minicpmv.py, resampler.py; the tower is SigLIP without its pooling head."""
    model = load_architecture("minicpm-v-4.5")
    width, queries, patches = 4096, 64, 1152
    resampler = queries * width + patches * width + 4 * width * (width + 1) + 6 * width + width * width
    assert sum(tensor.params for tensor in model.towers if tensor.name.startswith("resampler.")) == resampler
    assert not any("head" in tensor.name for tensor in model.towers)
    assert model.warnings == ()
