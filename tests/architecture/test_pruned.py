"""Models whose experts were pruned: the numbers of experts that their makers publish, and names that mean something else."""

from __future__ import annotations

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.types import MixtureOfExperts
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import model_entry
from gpusizer.validation.models import model_of

# Model cards of cerebras and of those who quantise its copies; what the cards give as a part is the part of the experts that is gone, rounded down.
PUBLISHED = {
    "cerebras/GLM-4.6-REAP-218B-A32B": 96,
    "cerebras/GLM-4.6-REAP-252B-A32B-FP8": 112,
    "AImhotep/GLM-4.7-REAP-265B-mixed-AutoRound": 119,
    "cerebras/GLM-4.5-Air-REAP-82B-A12B": 96,
    "cerebras/Qwen3-Coder-REAP-246B-A35B-FP8": 80,
    "cyankiwi/MiniMax-M2-REAP-162B-A10B-AWQ-4bit": 180,
    "0xSero/MiniMax-M2.1-REAP-40": 154,
    "0xSero/GLM-4.6-218B-W4A16": 96,
}


@pytest.mark.parametrize(("name", "experts"), PUBLISHED.items())
def test_as_many_experts_are_left_as_the_maker_says(name: str, experts: int) -> None:
    entry, _ = model_of(name)
    model = load_architecture(entry.id)
    kept = {block.experts for layer in model.layers for block in layer.feed_forwards if isinstance(block, MixtureOfExperts)}
    assert max(kept) == pytest.approx(experts, abs=1)
    said = next(notice for notice in model.warnings if notice.code == "experts-pruned")
    assert said.parameters["kept"] == max(kept)


def test_a_name_and_the_id_that_it_is_given_mean_the_same() -> None:
    for name in PUBLISHED:
        entry, _ = model_of(name)
        assert model_entry(entry.id) == entry


def test_the_whole_model_stays_whole() -> None:
    for name in ("deepseek-ai/DeepSeek-V3", "zai-org/GLM-4.6", "MiniMaxAI/MiniMax-M2", "deepseek-r1:70b", "DeepSeek-V3 685B"):
        assert not model_of(name)[0].pruned


@pytest.mark.parametrize("name", ["someone/Qwen3-8B-REAP-50", "someone/GLM-4.6-REAP-3B", "someone/GLM-4.6-32B"])
def test_what_no_pruning_leaves_is_unknown(name: str) -> None:
    with pytest.raises(UnknownIdError):
        load_architecture(name)
