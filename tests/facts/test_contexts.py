"""Context lengths against published ones: figures of vendors and of public recipes, none of which comes from this catalogue."""

from __future__ import annotations

import pytest

from gpusizer.architecture.load import load_architecture

PUBLISHED = {
    # vllm-project/recipes@8959cf641: models/*/*.yaml, context_length
    "glm-4.6": 202_752,
    "glm-4.7": 202_752,
    "glm-4.7-flash": 202_752,
    "kimi-k2-instruct": 131_072,
    "kimi-k2-thinking": 262_144,
    "step-3.5-flash": 262_144,
    "step-3.7-flash": 262_144,
    "phi-4-reasoning": 32_768,
    "seed-oss-36b-instruct": 524_288,
    "qwen2.5-32b": 131_072,
    "qwen2.5-72b": 131_072,
    "qwen2.5-vl-7b-instruct": 128_000,
    "qwen3-4b": 40_960,
    "qwen3-coder-480b-a35b-instruct": 262_144,
    "hunyuan-a13b-instruct": 32_768,
    # the models' own pages
    "qwen3-coder-30b-a3b-instruct": 262_144,
    "qwen3-4b-instruct-2507": 262_144,
    "kimi-k2-instruct-0905": 262_144,
    "phi-3-mini-128k-instruct": 131_072,
    "phi-3-mini-4k-instruct": 4_096,
    "phi-3.5-mini-instruct": 131_072,
    "gemma-3-4b-it": 131_072,
    "gemma-3-12b-it": 131_072,
    "gemma-3-27b-it": 131_072,
    "mistral-7b-v0.1": 32_768,
    "qwen2.5-7b-instruct": 32_768,
    "qwen2.5-14b-instruct": 32_768,
    "qwen2.5-32b-instruct": 32_768,
    "qwen2.5-72b-instruct": 32_768,
    "c4ai-command-r-v01": 131_072,
    "c4ai-command-r-plus": 131_072,
    "c4ai-command-r7b-12-2024": 132_096,
    "olmo-3-7b-instruct": 65_536,
    "starcoder2-3b": 16_384,
    "starcoder2-15b": 16_384,
    "llama-3.3-70b-instruct": 131_072,
    "deepseek-v3": 163_840,
}


@pytest.mark.parametrize(("id", "tokens"), PUBLISHED.items())
def test_the_longest_context_is_the_published_one(id: str, tokens: int) -> None:
    assert load_architecture(id).max_position_embeddings == tokens


@pytest.mark.parametrize("id", ["mistral-7b-instruct-v0.2", "mistral-7b-instruct-v0.3", "mistral-large-instruct-2407", "mistral-large-instruct-2411"])
def test_later_mistral_models_keep_the_whole_context(id: str) -> None:
    assert {getattr(mixer, "window", None) for layer in load_architecture(id).layers for mixer in layer.mixers} == {None}
