"""A hundred families that the shared facts do not hold: totals and caches that another library gives, from our own choice of configuration keys."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from conftest import FAMILIES, lines_of
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.types import Attention, LatentAttention, LinearAttention, Mixer, StateSpace
from gpusizer.errors import UnsupportedArchitectureError

READ_FAMILIES = lines_of(FAMILIES)[1:]

# Counts that the makers publish with their checkpoints; none of these classes is in the library.
OWN_CODE: list[tuple[dict[str, Any], int]] = [
    (
        {
            "model_type": "internlm2",
            "hidden_size": 6144,
            "intermediate_size": 16384,
            "num_hidden_layers": 48,
            "num_attention_heads": 48,
            "num_key_value_heads": 8,
            "vocab_size": 92544,
            "bias": False,
        },
        19_861_149_696,
    ),
    (
        {
            "model_type": "chatglm",
            "num_layers": 28,
            "hidden_size": 4096,
            "ffn_hidden_size": 13696,
            "kv_channels": 128,
            "num_attention_heads": 32,
            "multi_query_attention": True,
            "multi_query_group_num": 2,
            "padded_vocab_size": 65024,
            "add_qkv_bias": True,
            "add_bias_linear": False,
        },
        6_243_584_000,
    ),
    (
        {
            "model_type": "minicpm",
            "hidden_size": 2304,
            "intermediate_size": 5760,
            "num_hidden_layers": 40,
            "num_attention_heads": 36,
            "vocab_size": 122753,
        },
        2_724_880_896,
    ),
    (
        {
            "model_type": "exaone",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 102400,
        },
        7_818_448_896,
    ),
    (
        {
            "model_type": "mimo",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 151680,
        },
        7_622_619_136,
    ),
    (
        {
            "model_type": "internvl_chat",
            "downsample_ratio": 0.5,
            "llm_config": {
                "model_type": "qwen2",
                "hidden_size": 3584,
                "intermediate_size": 18944,
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
                "vocab_size": 151674,
            },
            "vision_config": {
                "model_type": "intern_vit_6b",
                "hidden_size": 1024,
                "image_size": 448,
                "intermediate_size": 4096,
                "norm_type": "layer_norm",
                "num_attention_heads": 16,
                "num_hidden_layers": 24,
                "patch_size": 14,
                "qk_normalization": False,
                "qkv_bias": True,
            },
        },
        7_944_373_760,
    ),
]


def cached(mixer: Mixer) -> list[Any] | None:
    """What a mixer caches, in the words of the facts; None where it caches nothing."""
    if isinstance(mixer, Attention):
        return ["kv", mixer.kv_heads, mixer.head_dim, mixer.v_head_dim, mixer.window or mixer.chunk or 0] if mixer.caches else None
    if isinstance(mixer, LatentAttention):
        return ["latent", mixer.kv_lora_rank, mixer.qk_rope_head_dim]
    if isinstance(mixer, StateSpace):
        state = mixer.heads * mixer.head_dim * mixer.state_dim if mixer.heads else mixer.inner_dim * mixer.state_dim
        return ["state", state, mixer.inner_dim + 2 * mixer.groups * mixer.state_dim * bool(mixer.heads), mixer.conv_kernel]
    assert isinstance(mixer, LinearAttention)
    return ["state", mixer.value_heads * mixer.key_dim * mixer.value_dim, mixer.conv_channels, mixer.conv_kernel]


def runs_of(architecture: Architecture) -> list[list[Any]]:
    """Runs of layers that cache the same."""
    layers = [sorted(one for mixer in layer.mixers if (one := cached(mixer)) is not None) for layer in architecture.layers]
    return [[len(list(run)), key] for key, run in groupby(layers)]


@pytest.mark.parametrize("family", READ_FAMILIES, ids=lambda family: family["name"])
def test_count_and_cache_of(family: dict[str, Any]) -> None:
    architecture = read_config(family["config"])
    assert architecture.parameters.total == family["total_params"]
    if "cache" in family:
        assert runs_of(architecture) == family["cache"]


def test_most_families_leave_nothing_to_warn_of() -> None:
    """A notice on a plain configuration teaches people to overlook notices."""
    flagged = {family["name"] for family in READ_FAMILIES if read_config(family["config"]).warnings}
    # That of glm-4.5v leaves out head_dim, which the library then rounds down to 42.
    assert flagged <= {"gpt-neo-2.7b", "llava-1.5-7b", "mllama-11b", "glm-4.5v"}


@pytest.mark.parametrize(("config", "total"), OWN_CODE, ids=lambda value: value["model_type"] if isinstance(value, dict) else "")
def test_classes_of_a_checkpoint_s_own_code(config: dict[str, Any], total: int) -> None:
    assert read_config(config).parameters.total == total


@pytest.mark.parametrize("family", READ_FAMILIES[::4], ids=lambda family: family["name"])
def test_one_more_layer_is_never_free(family: dict[str, Any]) -> None:
    """A reader that forgets a kind of layer would count the same model twice."""
    config = family["config"]
    text = config.get("text_config", config)
    name = next((key for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if isinstance(text.get(key), int)), None)
    if name is None or "moe_layer_end_index" in text or any(isinstance(value, list) and len(value) == text[name] for value in text.values()):
        pytest.skip("layers are listed one by one, or left to the class")
    longer = {**text, name: text[name] + 1}
    grown = read_config({**config, "text_config": longer} if "text_config" in config else longer)
    per_layer = (grown.parameters.total - read_config(config).parameters.total) * text[name]
    assert 0.2 * family["total_params"] < per_layer < 2 * family["total_params"]


def test_a_class_that_nobody_knows_is_said() -> None:
    config = {**READ_FAMILIES[0]["config"], "model_type": "crystal_ball"}
    assert "unknown-model-type" in {notice.code for notice in read_config(config).warnings}


def test_sizes_taken_from_a_class_are_said() -> None:
    notices = read_config({"model_type": "llama", "vocab_size": 32064}).warnings
    assert [notice.code for notice in notices] == ["class-default"]
    assert "hidden_size" in notices[0].parameters["keys"]


def test_a_null_is_not_an_absent_key() -> None:
    """Mistral 7B v0.3 writes ``sliding_window: null``; its class would give 4,096."""
    mistral = next(one for one in READ_FAMILIES if one["name"] == "mistral-v0.1")
    base = {key: value for key, value in mistral["config"].items() if key != "sliding_window"}
    assert runs_of(read_config(base))[0][1][0][-1] == 4096
    assert runs_of(read_config({**base, "sliding_window": None}))[0][1][0][-1] == 0


def test_an_unknown_kind_of_layer_is_refused() -> None:
    config = {**READ_FAMILIES[0]["config"], "layer_types": ["dream_attention"] * 40}
    with pytest.raises(UnsupportedArchitectureError) as refusal:
        read_config(config)
    assert refusal.value.code == "unknown-mixer"
