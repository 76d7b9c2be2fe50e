"""The article's method against the figures that the article prints, and the true figures beside it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.article.answer import ArticleResult, article_bytes_per_element, article_gpus, article_of, cache_bytes_of_request
from gpusizer.facts.catalog import accelerator, model_entry, model_ids
from gpusizer.formulas.core import REGISTRY
from gpusizer.i18n import has
from gpusizer.rendering.article import article_data


def figures(model: str, precision: str = "fp16", concurrency: int = 10, context_tokens: int = 2048) -> ArticleResult:
    entry = model_entry(model)
    result = article_of(with_precision(load_architecture(model), precision), entry, precision, concurrency, context_tokens)
    assert result is not None
    return result


# The table of the article: DeepSeek-V3, FP16, 10 users, 2,048 tokens.
TABLE = {
    "article_weights": 74_000_000_000,
    "article_kv_cache_dense": 176_160_768,
    "article_kv_cache_experts": 1_946_157_056,
    "article_activation_dense": 88_080_384,
    "article_activation_experts": 973_078_528,
}


@pytest.mark.parametrize("precision", ["fp16", "bf16", "checkpoint"])
def test_the_worked_example_to_the_byte(precision: str) -> None:
    result = figures("deepseek-v3", precision)
    assert {item.id: item.bytes for item in result.items} == TABLE
    assert result.bytes_per_user == 3_183_476_736
    assert result.total_bytes == 105_834_767_360
    assert all(isinstance(item.bytes, int) for item in result.items)


@pytest.mark.parametrize(("precision", "weights"), [("int8", 37e9), ("fp8", 37e9), ("int4", 18.5e9), ("fp32", 148e9), ("q4_k_m", 18.5e9)])
def test_weights_follow_the_number_format(precision: str, weights: float) -> None:
    assert figures("deepseek-v3", precision).weights_bytes == weights


def test_llama_13b_in_bf16_takes_26_gb() -> None:
    result = figures("LLaMA 13B", "bf16")
    assert result.weights_bytes == 26_000_000_000
    assert {item.id for item in result.items} == {"article_weights", "article_kv_cache_dense", "article_activation_dense"}
    # 2 x 1 x 2,048 x 5,120 x 2 x 40
    assert result.kv_cache_bytes_per_user == 1_677_721_600 == 2 * result.activation_bytes_per_user


def test_a_dense_file_without_published_figures_counts_all_its_parameters() -> None:
    architecture = load_architecture("llama-13b")
    result = article_of(architecture, None, "bf16", 1, 2048)
    assert result is not None
    assert result.weights_bytes == 2 * 13_015_864_320  # the count of the checkpoint


def test_experts_without_a_latent_compress_nothing_and_that_is_said() -> None:
    result = figures("mixtral-8x7b-v0.1")
    experts = next(item for item in result.items if item.id == "article_kv_cache_experts")
    assert experts.inputs["compressed_dimension"] == 4096
    assert experts.bytes == 2 * 2048 * 2 * 4096 * 2 * 32  # two experts of a token in each of 32 layers
    assert result.notices[0].code == "article-no-latent"
    assert "article-no-latent" not in [notice.code for notice in figures("deepseek-v3").notices]


@pytest.mark.parametrize(("model", "width", "top_k"), [("deepseek-v2-lite", 512, 6), ("kimi-k2-instruct", 512, 8), ("glm-5", 512, 8)])
def test_the_compressed_dimension_is_the_latent(model: str, width: int, top_k: int) -> None:
    experts = next(item for item in figures(model).items if item.id == "article_kv_cache_experts")
    assert (experts.inputs["compressed_dimension"], experts.inputs["activated_experts"]) == (width, top_k)


def test_the_truth_stands_beside_it() -> None:
    result = figures("deepseek-v3", "bf16")
    notices = {notice.code: notice.parameters for notice in result.notices}
    assert set(notices) == {"article-weights", "article-kv-cache", "article-activations", "article-overhead"}
    assert notices["article-weights"]["true_bytes"] == pytest.approx(1342e9, rel=0.001)  # all 671 billion in 16 bits
    assert notices["article-kv-cache"]["true_bytes"] == 70_272 * 2048  # latent and rotary key of 61 layers
    assert all(has("warning", code, language) for code in notices for language in ("en", "zh"))


@pytest.mark.parametrize(
    ("model", "bytes_per_token"),
    [("qwen3-8b", 147_456), ("phi-4", 204_800), ("mistral-7b-v0.3", 131_072), ("qwen3-coder-30b-a3b-instruct", 98_304), ("deepseek-v3", 70_272)],
)
def test_true_cache_of_a_request_is_what_was_published(model: str, bytes_per_token: int) -> None:
    assert cache_bytes_of_request(load_architecture(model), 3000) == 3000 * bytes_per_token


def test_windows_and_states_do_not_grow_without_end() -> None:
    windowed, recurrent = load_architecture("gemma-3-27b-it"), load_architecture("qwen3.5-9b")
    assert cache_bytes_of_request(windowed, 65536) < 2 * 65536 / 2048 * cache_bytes_of_request(windowed, 2048) / 2
    assert cache_bytes_of_request(recurrent, 1) > 1_000_000  # the state is there from the first token


def test_the_cards_that_its_reader_would_buy() -> None:
    cards = article_gpus(figures("deepseek-v3"), [accelerator("H100"), accelerator("H200"), accelerator("RTX 4090")])
    assert [number for _, number in cards] == [2, 1, 5]  # 105.8 GB over 80, 141 and 24


@given(
    concurrency=st.integers(1, 10**6),
    context_tokens=st.integers(1, 10**7),
    model=st.sampled_from(["deepseek-v3", "llama-3.1-8b", "mixtral-8x22b-v0.1", "gpt-oss-20b", "qwen3.5-9b"]),
    precision=st.sampled_from(["fp32", "fp16", "fp8", "int4", "q5_k_m"]),
)
@settings(max_examples=30, deadline=None)
def test_users_and_tokens_enter_linearly(concurrency: int, context_tokens: int, model: str, precision: str) -> None:
    entry, architecture = model_entry(model), load_architecture(model)
    one = article_of(architecture, entry, precision, 1, context_tokens)
    many = article_of(architecture, entry, precision, concurrency, context_tokens)
    twice = article_of(architecture, entry, precision, 1, 2 * context_tokens)
    assert one is not None
    assert many is not None
    assert twice is not None
    assert many.total_bytes == one.weights_bytes + concurrency * one.bytes_per_user
    assert twice.bytes_per_user in range(2 * one.bytes_per_user - 8, 2 * one.bytes_per_user + 1)  # half bytes round up
    assert sum(item.bytes for item in one.items) == one.weights_bytes + one.bytes_per_user


def test_every_model_of_the_catalogue_is_read() -> None:
    for id in model_ids():
        entry, architecture = model_entry(id), load_architecture(id)
        result = article_of(architecture, entry, "checkpoint", 10, 2048)
        assert result is not None, id
        assert result.total_bytes > 0
        assert sum(item.inputs.get("layers", 0) for item in result.items if "kv_cache" in item.id) == len(architecture.layers), id


def test_a_format_without_bits_in_its_name_is_not_read() -> None:
    assert article_bytes_per_element("nf4x") is None
    assert article_bytes_per_element("iq2_xxs") == Fraction(1, 4)
    assert article_of(load_architecture("deepseek-v3"), None, "nf4x", 1, 1) is None


def test_items_name_registered_formulas_that_give_their_bytes() -> None:
    for item in figures("deepseek-v3").items:
        assert REGISTRY[item.formula].function(**item.inputs) == item.bytes
    document = article_data(figures("deepseek-v3", "int4"))
    assert json.loads(json.dumps(document))["items"][0]["inputs"]["bytes_per_element"] == 0.5
    assert document["weights_bytes"] == 18_500_000_000
    assert {"weights_bytes", "kv_cache_bytes_per_user", "activation_bytes_per_user", "bytes_per_user", "total_bytes", "items"} <= set(document)
