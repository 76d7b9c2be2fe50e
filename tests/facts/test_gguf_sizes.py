"""Sizes of GGUF files as their publishers state them: what we compute beside them, their order, and what a name that tells one is taken for."""

from __future__ import annotations

import re
import statistics

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision import asked
from gpusizer.architecture.precision.asked import asked_precision
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.facts.catalog import model_ids
from gpusizer.facts.gguf_files import GgufSize, gguf_models, gguf_sizes, published_file
from gpusizer.facts.types import is_source

EVERY = [(model, found) for model in gguf_models() for found in gguf_sizes(model)]
FEW_BITS_AS_MADE = {"gpt-oss-20b", "gpt-oss-120b", "deepseek-v4-flash-0731", "kimi-k3"}  # experts stay in the 4 bits that they were published in
OF_NO_RECIPE = {"Q4_X", "Q3_K_XL"}  # a patch of Q4_0; bartowski's word for Q3_K_L with a larger head


def computed_bytes(model: str, found: GgufSize) -> int:
    """Our size of a file of that name, without the tower for images."""
    architecture = load_architecture(model)
    precision = asked_precision(found.mix.removesuffix("-V2"), gguf=True, model=architecture).precision
    towers = 2 * architecture.parameters.groups.get("vision", 0)  # in 16 bits
    return checkpoint_bytes(with_precision(architecture, precision), mtp=found.drafts) - towers


def test_sizes_are_of_models_of_the_catalogue_and_sourced() -> None:
    assert set(gguf_models()) <= set(model_ids())
    assert len(EVERY) > 150
    assert all(is_source(found.source) and found.by for _, found in EVERY)
    assert gguf_sizes("qwen-72b") == ()


def test_a_weight_takes_between_one_bit_and_seventeen() -> None:
    for model, found in EVERY:
        bits = 8 * found.size_bytes / load_architecture(model).parameters.total
        assert 1.2 < bits < 17, (model, found)


def test_more_bits_in_the_name_of_one_publisher_take_more_bytes() -> None:
    for model in gguf_models():
        for by in {found.by for found in gguf_sizes(model)}:
            sizes = [(int(re.findall(r"Q(\d)", found.mix)[0]), found.size_bytes) for found in gguf_sizes(model) if found.by == by]
            steps = sorted({bits for bits, _ in sizes})
            means = [statistics.mean(size for bits, size in sizes if bits == step) for step in steps]
            assert means == sorted(means), (model, by)


def test_what_we_compute_from_a_name_is_near_what_its_publisher_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "published_file", lambda model, word: None)  # by the name alone
    compared = [(model, found) for model, found in EVERY if model not in FEW_BITS_AS_MADE and found.mix not in OF_NO_RECIPE]
    errors = sorted(abs(computed_bytes(model, found) / found.size_bytes - 1) for model, found in compared)
    assert len(errors) > 150
    assert statistics.median(errors) < 0.012
    assert errors[9 * len(errors) // 10] < 0.085
    assert errors[-1] < 0.2


def test_a_mix_of_which_the_size_is_stated_is_taken_for_that_size() -> None:
    for model, found in EVERY:
        if found.mix.startswith("UD-") and model not in FEW_BITS_AS_MADE:
            assert published_file(model, found.mix.removeprefix("UD-").lower()) == found
            one_bit = found.mix.startswith("UD-IQ1")  # of these a dense model's file may be smaller than that of any recipe
            assert computed_bytes(model, found) == pytest.approx(found.size_bytes, rel=0.2 if one_bit else 0.06), (model, found.mix)


@pytest.mark.parametrize(
    ("model", "mix", "stated_gib"),
    [("glm-4.6", "smol-IQ2_KS", 97.990), ("deepseek-v3.1", "smol-IQ4_KSS", 318.745), ("qwen3-235b-a22b", "mix-IQ6_K", 198.259)],
)
def test_mixes_of_the_fork_are_words_for_a_precision(model: str, mix: str, stated_gib: float) -> None:
    found = next(each for each in gguf_sizes(model) if each.mix == mix)
    assert found.size_bytes == pytest.approx(stated_gib * 2**30, rel=1e-6)
    assert computed_bytes(model, found) == pytest.approx(found.size_bytes, rel=0.06)
