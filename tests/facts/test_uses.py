"""What a model is for, as data: words that are known, with a source where somebody noted them."""

from __future__ import annotations

import pytest

from gpusizer.facts.catalog import model_entry, model_ids
from gpusizer.facts.types import USES


def test_uses_are_known_words_with_a_source() -> None:
    for entry in map(model_entry, model_ids()):
        assert set(entry.uses) <= set(USES), entry.id
        assert bool({"embedding", "rerank", "speech"} & set(entry.uses)) == bool(entry.uses_source), entry.id


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("BAAI/bge-m3", ("embedding",)),
        ("Qwen/Qwen3-Reranker-4B", ("rerank",)),
        ("openai/whisper-large-v3", ("speech",)),
        ("deepseek-r1", ("chat", "reasoning")),
        ("llama-3.1-8b-instruct", ("chat",)),
    ],
)
def test_what_models_are_for(name: str, uses: tuple[str, ...]) -> None:
    assert model_entry(name).uses == uses
