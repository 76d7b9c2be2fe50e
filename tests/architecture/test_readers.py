"""Readers: behaviour by the shape of the keys, honest notices, hostile values, and a toy architecture that touches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import DATA, lines_of
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.registry import MixerReader, register_mixer, unregister
from gpusizer.architecture.readers.tensor_kit import column, row
from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, LinearAttention, MixtureOfExperts, Split, StateSpace
from gpusizer.errors import UnsupportedArchitectureError

PLAIN: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
}
SMALL: list[dict[str, Any]] = [line["config"] for line in lines_of(DATA / "small_models.jsonl")]


def small(model_type: str, number: int = 0) -> dict[str, Any]:
    return [config for config in SMALL if config["model_type"] == model_type][number]


def codes(config: dict[str, Any]) -> list[str]:
    return [notice.code for notice in read_config(config).warnings]


def attentions(config: dict[str, Any]) -> list[Attention]:
    return [mixer for layer in read_config(config).layers for mixer in layer.mixers if isinstance(mixer, Attention)]


# --- models of tomorrow -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["retention_slots", "attention_memory_tokens", "ring_kv_heads", "expert_bank_size", "state_expansion_dim"])
def test_an_unknown_key_that_may_change_memory_is_said(key: str) -> None:
    (notice,) = read_config({**PLAIN, key: 16}).warnings
    assert (notice.code, notice.parameters["keys"]) == ("unknown-key", [key])


@pytest.mark.parametrize("key", ["bos_token_id", "attention_dropout", "initializer_range", "transformers_version", "use_cache", "_name_or_path"])
def test_harmless_keys_are_not_said(key: str) -> None:
    assert codes({**PLAIN, key: 3}) == []


def test_switched_off_keys_are_not_said() -> None:
    assert codes({**PLAIN, "retention_slots": None, "use_ring_attention": False, "expert_bank_size": 0}) == []


def test_an_unknown_model_type_is_said_and_still_read() -> None:
    config = {**PLAIN, "model_type": "llama-of-tomorrow"}
    assert codes(config) == ["unknown-model-type"]
    assert read_config(config).layers == read_config(PLAIN).layers


@pytest.mark.parametrize("kind", ["quantum_attention", "retention", "sliding_quantum"])
def test_an_unknown_kind_of_layer_is_refused_and_never_taken_for_plain_attention(kind: str) -> None:
    types = ["full_attention"] * 5 + [kind]
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**PLAIN, "layer_types": types})
    assert (caught.value.code, caught.value.parameters["kind"], caught.value.parameters["layer"]) == ("unknown-mixer", kind, 5)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_what_is_needed_and_absent_is_named(key: str) -> None:
    config = {name: value for name, value in PLAIN.items() if name != key} | {"model_type": "never-heard-of"}
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config(config)
    assert caught.value.code in ("missing-keys", "unknown-mixer")


# --- a toy architecture, one reader and nothing else --------------------------------------------------------------------------------------------


@pytest.fixture
def toy_reader() -> Iterator[None]:
    def read(layer: LayerContext) -> tuple[LinearAttention, ...]:
        slots, width = layer.needed("toy_slots"), layer.needed("toy_width")
        tensors = column("toy.in_proj", slots * width, layer.hidden, "linear_attention", slots)
        tensors += row("toy.out_proj", layer.hidden, slots * width, "linear_attention", slots)
        return (LinearAttention(slots, slots, width, width, tensors),)

    reader = register_mixer(MixerReader("toy", lambda layer: layer.keys.has("toy_slots") and layer.mixer == "toy", read))
    yield
    unregister(reader)


def test_a_toy_architecture_is_one_reader(toy_reader: None) -> None:
    config = {**PLAIN, "model_type": "toy", "layer_types": ["toy"] * 4 + ["full_attention"] * 2, "toy_slots": 4, "toy_width": 16, "gpusizer": {}}
    model = read_config(config)
    assert [layer.mixers[0].kind for layer in model.layers] == ["linear"] * 4 + ["attention"] * 2
    assert model.parameters.groups["linear_attention"] == 4 * 2 * 64 * 64
    assert model.warnings == ()


def test_a_list_over_the_layers_reaches_each_layer(toy_reader: None) -> None:
    config = {**PLAIN, "model_type": "toy", "layer_types": ["toy"] * 6, "toy_slots": [1, 2, 3, 3, 2, 1], "toy_width": 8, "gpusizer": {}}
    assert [layer.mixers[0].key_heads for layer in read_config(config).layers] == [1, 2, 3, 3, 2, 1]  # type: ignore[union-attr]


def test_without_its_reader_the_toy_is_refused() -> None:
    with pytest.raises(UnsupportedArchitectureError):
        read_config({**PLAIN, "layer_types": ["toy"] * 6, "toy_slots": 4, "toy_width": 16})


# --- what each dialect means for memory ---------------------------------------------------------------------------------------------------------


def test_windows_are_those_of_the_listed_layers() -> None:
    windows = [mixer.window for mixer in attentions(small("gemma3_text"))]
    assert windows == [64, 64, 64, 64, 64, None]


def test_a_window_that_is_switched_off_is_none() -> None:
    config = {**small("qwen2"), "sliding_window": 32, "use_sliding_window": False, "max_window_layers": 4}
    assert {mixer.window for mixer in attentions(config)} == {None}
    assert [mixer.window for mixer in attentions({**config, "use_sliding_window": True})] == [None] * 4 + [32] * 2


def test_a_window_of_an_unknown_class_is_kept_whole_and_said() -> None:
    config = {**PLAIN, "model_type": "never-heard-of", "sliding_window": 32}
    assert "window-unclear" in codes(config)
    assert {mixer.window for mixer in attentions(config)} == {None}


def test_last_layers_share_caches() -> None:
    mixers = attentions(small("gemma4_text"))
    assert [mixer.caches for mixer in mixers] == [True] * 4 + [False] * 2
    assert not any("k_proj" in tensor.name for mixer in mixers[4:] for tensor in mixer.tensors)


def test_values_that_are_keys_have_no_projection() -> None:
    mixers = attentions(small("gemma4_text", 1))
    assert [mixer.stores_v for mixer in mixers] == [True, True, False] * 2
    assert [any("v_proj" in tensor.name for tensor in mixer.tensors) for mixer in mixers] == [True, True, False] * 2


def test_two_geometries_in_one_model() -> None:
    mixers = attentions(small("mimo_v2_flash"))
    assert [(mixer.kv_heads, mixer.head_dim, mixer.v_head_dim) for mixer in mixers[:2]] == [(2, 24, 16), (4, 24, 16)]


def test_an_indexer_that_is_shared_has_no_weights() -> None:
    mixers = [layer.mixers[0] for layer in read_config(small("glm_moe_dsa")).layers]
    assert all(isinstance(mixer, LatentAttention) and mixer.indexer for mixer in mixers)
    assert [mixer.indexer.caches for mixer in mixers] == [True, True, False, False, True, False]  # type: ignore[union-attr]
    assert [any(tensor.group == "indexer" for tensor in mixer.tensors) for mixer in mixers] == [True, True, False, False, True, False]


def test_every_fourth_index_as_a_number_and_as_a_list() -> None:
    config = {key: value for key, value in small("glm_moe_dsa").items() if key != "indexer_types"} | {"num_hidden_layers": 12}
    config["num_hidden_layers"] = 12
    told = {**config, "index_topk_freq": 4, "index_skip_topk_offset": 3}
    owners = [layer.mixers[0].indexer.caches for layer in read_config(told).layers]  # type: ignore[union-attr]
    assert owners == [True, True, True, False, False, False, True, False, False, False, True, False]


def test_compression_follows_its_list() -> None:
    mixers = [layer.mixers[0] for layer in read_config(small("deepseek_v4")).layers]
    assert all(isinstance(mixer, CompressedAttention) for mixer in mixers)
    assert [(mixer.ratio, mixer.indexer is not None) for mixer in mixers] == [  # type: ignore[union-attr]
        (0, False),
        (4, True),
        (128, False),
        (4, True),
        (128, False),
        (0, False),
    ]


def test_states_of_hybrids() -> None:
    first = read_config(small("jamba")).layers[0].mixers[0]
    second = read_config(small("granitemoehybrid")).layers[0].mixers[0]
    assert isinstance(first, StateSpace)
    assert isinstance(second, StateSpace)
    assert (first.heads, first.inner_dim, first.state_dim) == (0, 192, 8)
    assert (second.heads, second.head_dim, second.state_dim, second.groups) == (8, 24, 16, 2)


def test_one_character_is_one_block() -> None:
    layers = read_config(small("nemotron_h")).layers
    shapes = [("mixer" if layer.mixers else "") + ("block" if layer.feed_forwards else "") for layer in layers]
    assert shapes == ["mixer", "block", "mixer", "mixer", "block", "block"]
    experts = layers[1].feed_forwards[0]
    assert isinstance(experts, MixtureOfExperts)
    assert (experts.expert_hidden, experts.gated, experts.shared_width) == (32, False, 72)


def test_identity_experts_are_in_the_router_alone() -> None:
    config = {
        "model_type": "longcat_flash",
        "hidden_size": 64,
        "num_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "v_head_dim": 8,
        "ffn_hidden_size": 96,
        "expert_ffn_hidden_size": 32,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
        "max_position_embeddings": 128,
    }
    model = read_config(config)
    layer = model.layers[0]
    assert (len(layer.mixers), len(layer.feed_forwards)) == (2, 3)  # two attentions, two dense blocks and the experts
    assert model.parameters.groups["router"] == 2 * 6 * 64
    assert model.parameters.groups["routed_experts"] == 2 * 4 * 3 * 64 * 32


@pytest.mark.parametrize(
    ("config", "rotated"),
    [
        (PLAIN, 8),
        ({**PLAIN, "partial_rotary_factor": 0.25}, 2),
        ({**PLAIN, "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, 4),
        ({**PLAIN, "rotary_dim": 6}, 6),
        ({**PLAIN, "alibi": True}, 0),
    ],
)
def test_rotated_width(config: dict[str, Any], rotated: int) -> None:
    assert {mixer.rotary_dim for mixer in attentions(config)} == {rotated}


def test_the_whole_models_word_on_the_head_wins() -> None:
    text = {**PLAIN, "tie_word_embeddings": False}
    outer = {"model_type": "mistral3", "text_config": {**text, "model_type": "mistral"}, "tie_word_embeddings": True}
    assert read_config(outer).tied_head
    assert not read_config({**outer, "tie_word_embeddings": False}).tied_head


# --- cutting ------------------------------------------------------------------------------------------------------------------------------------


def test_what_every_rank_holds_whole() -> None:
    names = {tensor.name: tensor.split for layer in read_config(small("deepseek_v32")).layers for tensor in layer.all_tensors()}
    whole = {name for name, split in names.items() if split is Split.REPLICATED}
    for part in ("q_a_proj", "kv_a_proj_with_mqa", "indexer.wq_b", "indexer.wk", "indexer.weights_proj", "mlp.gate.", "layernorm"):
        assert {name for name in names if part in name} <= whole, part
    for part, split in (("q_b_proj", Split.COLUMN), ("kv_b_proj", Split.COLUMN), ("self_attn.o_proj", Split.ROW), ("down_proj", Split.ROW)):
        assert {names[name] for name in names if part in name} == {split}, part


def test_keys_and_values_are_never_cut_below_a_head() -> None:
    tensors = {tensor.name: tensor for tensor in read_config(PLAIN).layers[0].all_tensors()}
    for name in ("self_attn.k_proj.weight", "self_attn.v_proj.weight"):
        assert (tensors[name].split, tensors[name].units) == (Split.KV_HEADS, 2)
    assert tensors["self_attn.q_proj.weight"].units == 8
    assert read_config(PLAIN).embedding[0].split is Split.VOCABULARY


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config["model_type"])
def test_units_divide_what_is_cut(config: dict[str, Any]) -> None:
    for tensor in read_config(config).tensors():
        if tensor.units:
            side = tensor.shape[-1] if tensor.split is Split.ROW else tensor.shape[0]
            assert side % tensor.units == 0, tensor


def test_equal_layers_are_one_object() -> None:
    layers = read_config(small("deepseek_v3")).layers
    assert layers[2].mixers is layers[5].mixers
    assert layers[0].feed_forwards is not layers[5].feed_forwards


# --- hostile values -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [0, -3, 4097, 10**9, 2**60, "many", 1.5, True])
def test_numbers_of_layers_out_of_bounds(layers: Any) -> None:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**PLAIN, "num_hidden_layers": layers})
    assert caught.value.code == "bad-config-value"


def test_a_list_shorter_than_the_layers_is_refused() -> None:
    with pytest.raises(UnsupportedArchitectureError):
        read_config({**PLAIN, "layer_types": ["full_attention"] * 3})


def test_deep_nesting_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100):
        nested = {"deeper": nested}
    with pytest.raises(UnsupportedArchitectureError):
        read_config({**PLAIN, "extra": nested})


def test_keys_remember_what_was_read() -> None:
    keys = Keys({"a": 1, "b": None, "part": {"c": 2, "d": 3}})
    assert keys.integer("b", "a") == 1
    inner = keys.section("part")
    assert inner is not None
    assert inner.integer("c") == 2
    assert keys.unread() == ["part.d"]


@pytest.mark.parametrize("keys", [{"is_encoder_decoder": True}, {"type_vocab_size": 2}])
def test_encoders_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**PLAIN, **keys})
    assert caught.value.code == "encoder"


def test_heads_that_cannot_share_are_refused() -> None:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**PLAIN, "num_attention_heads": 16, "num_key_value_heads": 5, "head_dim": 8})
    assert caught.value.code == "kv-heads-uneven"
