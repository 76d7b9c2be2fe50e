"""Encoders: counts that another library and publishers give, attention both ways, what stands behind the last layer, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import ENCODERS, lines_of
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.types import EncoderAttention
from gpusizer.errors import UnsupportedArchitectureError

COUNTED = lines_of(ENCODERS)[1:]
# Totals of the stored files, as the hub or a loaded model gives them.
PUBLISHED = {
    "all-MiniLM-L6-v2": 22_713_216,
    "bge-m3": 567_754_752,
    "bge-reranker-large": 559_891_457,
    "bge-reranker-v2-m3": 567_755_777,
    "gte-modernbert-base": 149_014_272,
    "gte-multilingual-base": 305_368_320,
    "gte-Qwen2-7B-instruct": 7_069_121_024,
    "jina-embeddings-v3": 572_310_396,
    "jina-reranker-v2-base-multilingual": 278_437_633,
    "mxbai-embed-large-v1": 335_141_888,
    "mxbai-rerank-large-v1": 435_062_785,
    "multilingual-e5-large-instruct": 559_890_432,
    "nomic-embed-text-v1.5": 136_731_648,
    "Qwen3-Embedding-8B": 7_567_295_488,
    "Qwen3-Reranker-8B": 8_188_548_096,
    "snowflake-arctic-embed-l-v2.0": 567_754_752,
    "whisper-large-v3": 1_543_490_560,
}
SMALL: dict[str, Any] = next(row["config"] for row in COUNTED if row["name"] == "bert-model")


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row["name"])
def test_the_library_counts_the_same(row: dict[str, Any]) -> None:
    model = read_config(row["config"])
    assert model.parameters.total == row["total_params"]
    assert not model.warnings


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_the_stored_files_hold_as_many(name: str, total: int) -> None:
    assert load_architecture(name).parameters.total == total


def test_a_gate_in_the_blocks_follows_its_key() -> None:
    jina = dict(SMALL, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, vocab_size=30528)
    model = read_config({**jina, "max_position_embeddings": 8192, "position_embedding_type": "alibi", "feed_forward_type": "geglu"})
    assert model.parameters.total == 137_368_320  # embeddings-benchmark/mteb: jinaai/jina-embeddings-v2-base-en


def test_an_encoder_keeps_nothing_and_writes_nothing() -> None:
    model = load_architecture("bge-m3")
    assert model.pooled
    assert not model.head
    assert model.mixer_kinds == ("encoder",)
    assert not any(mixer.caches for mixer in model.mixers_of(EncoderAttention))
    assert model.max_position_embeddings == 8192  # of 8,194 positions two stand for padding


def test_windows_of_alternating_layers_in_both_spellings() -> None:
    older = load_architecture("gte-modernbert-base")
    assert [mixer.seen_tokens for mixer in older.mixers][:4] == [0, 128, 128, 0]
    config = {key: value for key, value in older.config.items() if key != "global_attn_every_n_layers"}
    words = ["sliding_attention" if index % 3 else "full_attention" for index in range(22)]
    newer = read_config({**config, "layer_types": words})
    assert [mixer.seen_tokens for mixer in newer.mixers] == [mixer.seen_tokens for mixer in older.mixers]


def test_a_decoder_that_embeds_caches_and_has_no_head() -> None:
    embeds, scores = load_architecture("Qwen3-Embedding-8B"), load_architecture("Qwen3-Reranker-8B")
    assert embeds.mixer_kinds == scores.mixer_kinds == ("attention",)
    assert (bool(embeds.head), bool(scores.head)) == (False, True)


def test_a_decoder_that_is_told_to_see_both_ways_is_an_encoder() -> None:
    assert load_architecture("gte-Qwen2-1.5B-instruct").mixer_kinds == ("encoder",)


@pytest.mark.parametrize("key", ["is_decoder", "add_cross_attention", "is_encoder_decoder"])
def test_what_reads_and_writes_is_refused(key: str) -> None:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**SMALL, key: True})
    assert caught.value.parameters["key"] == key


def test_a_decoder_keeps_what_the_encoder_heard() -> None:
    """Of each layer keys and values of 1,500 positions, whatever the length of the text."""
    model = load_architecture("whisper-large-v3")
    kept = [mixer.state for mixer in model.mixers if mixer.state is not None]
    assert len(kept) == 32
    assert sum(each.columns * each.channels for each in kept) == 32 * 1500 * 2 * 1280
    assert model.max_position_embeddings == 448
    assert load_architecture("whisper-large-v3-turbo").parameters.total == pytest.approx(809e6, rel=0.001)
