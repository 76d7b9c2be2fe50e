"""Configurations that leave something out, contradict themselves or say what nobody knows: refused, or said by name, never read in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.parts import TEXT_PARTS
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Attention
from gpusizer.errors import UnreadableFileError, UnsupportedArchitectureError
from gpusizer.facts.catalog import model_entry

PLAIN: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}
# A class that has no number of experts of its own, with dense layers first and a shared expert.
MIXED: dict[str, Any] = {
    **PLAIN,
    "model_type": "bailing_moe",
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
}
SPARSE: dict[str, Any] = {**PLAIN, "model_type": "qwen3_moe", "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def said(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Notices by code."""
    return {notice.code: dict(notice.parameters) for notice in read_config(config).warnings}


def refused(config: dict[str, Any]) -> UnsupportedArchitectureError:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config(config)
    return caught.value


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in names}


def attentions(model: Architecture) -> list[Attention]:
    return [mixer for layer in model.layers for mixer in layer.mixers if isinstance(mixer, Attention)]


@pytest.mark.parametrize("config", [PLAIN, MIXED, SPARSE], ids=lambda config: config["model_type"])
def test_the_sound_ones_say_nothing(config: dict[str, Any]) -> None:
    assert said(config) == {}


# --- a mixture never becomes dense without a word -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [None, [], [[]], "8", {}, False, 1.5])
def test_experts_without_a_count_are_refused(count: Any) -> None:
    assert refused({**MIXED, "num_experts": count}).code in ("missing-keys", "bad-config-value")


def test_the_missing_count_is_named() -> None:
    """That of Kimi K2: without its count 1,026 billion parameters became 33."""
    kimi = {
        **PLAIN,
        "model_type": "kimi_k2",
        "kv_lora_rank": 512,
        "q_lora_rank": 1536,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 2048,
        "moe_layer_freq": 1,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
    }
    error = refused(kimi)
    assert (error.code, error.parameters["missing"]) == ("missing-keys", ["n_routed_experts"])
    assert refused(without(MIXED, "num_experts")).code == "missing-keys"


@pytest.mark.parametrize(("count", "counted"), [(0, 0), (1, 1), (0.0, 0)])
def test_one_expert_or_none_beside_words_of_several_is_said(count: Any, counted: int) -> None:
    notice = said({**MIXED, "num_experts": count})["experts-not-counted"]
    assert notice["experts"] == counted
    assert "moe_intermediate_size" in notice["keys"]


def test_a_dense_model_of_a_class_with_experts_is_plain() -> None:
    dense = {**without(SPARSE, "moe_intermediate_size"), "num_experts": 0, "num_experts_per_tok": 0}
    assert "experts-not-counted" not in said(dense)
    one = {**PLAIN, "model_type": "hunyuan_v1_dense", "num_experts": 1, "moe_topk": 1, "num_shared_expert": 1}
    assert "experts-not-counted" not in said(one)


@pytest.mark.parametrize("config", [without(MIXED, "moe_intermediate_size"), {**SPARSE, "moe_intermediate_size": None}], ids=["absent", "null"])
def test_a_width_that_is_taken_for_experts_is_said(config: dict[str, Any]) -> None:
    assert said(config)["expert-width-assumed"] == {"key": "intermediate_size", "width": 96}


# --- contradictions -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({**SPARSE, "num_experts_per_tok": 9}, "num_experts_per_tok"),
        ({**MIXED, "first_k_dense_replace": 5}, "first_k_dense_replace"),
        ({**SPARSE, "decoder_sparse_step": 0}, "decoder_sparse_step"),
        ({**SPARSE, "decoder_sparse_step": 5}, "decoder_sparse_step"),
        ({**MIXED, "moe_layer_freq": 0}, "moe_layer_freq"),
        ({**MIXED, "moe_layer_freq": 5}, "moe_layer_freq"),
        ({**MIXED, "interleave_moe_layer_step": 5}, "interleave_moe_layer_step"),
        ({**MIXED, "expert_layer_period": 2, "expert_layer_offset": 2}, "expert_layer_offset"),
        ({**PLAIN, "intermediate_size": 0}, "intermediate_size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_true_is_refused_by_name(config: dict[str, Any], key: str) -> None:
    error = refused(config)
    assert (error.code, error.parameters["key"]) == ("bad-config-value", key)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({**SPARSE, "mlp_only_layers": [0, 1, 2, 3]}, "mlp_only_layers"),
        ({**MIXED, "first_k_dense_replace": 4}, "first_k_dense_replace"),
        ({**MIXED, "mlp_layer_types": ["dense"] * 4}, "mlp_layer_types"),
    ],
    ids=["all-dense-by-list", "all-dense-first", "all-dense-by-word"],
)
def test_experts_in_no_layer_are_said(config: dict[str, Any], key: str) -> None:
    assert key in said(config)["no-expert-layers"]["keys"]


def test_a_list_for_more_layers_is_said() -> None:
    types = ["full_attention"] * 4 + ["sliding_attention"] * 4
    assert said({**PLAIN, "layer_types": types, "sliding_window": 16})["list-longer"] == {"key": "layer_types", "found": 8, "layers": 4}


def test_a_list_that_names_a_layer_that_is_not_there_is_said() -> None:
    assert said({**SPARSE, "mlp_only_layers": [0, 9]})["layer-beyond"] == {"key": "mlp_only_layers", "found": 9, "layers": 4}
    assert said({**MIXED, "moe_layers_enum": "1,2,17"})["layer-beyond"]["found"] == 17


def test_heads_that_do_not_divide_the_hidden_size_are_said() -> None:
    assert said({**PLAIN, "num_attention_heads": 6})["head-width-uneven"] == {"hidden_size": 64, "heads": 6, "head_dim": 10}
    assert "head-width-uneven" not in said({**PLAIN, "num_attention_heads": 6, "head_dim": 16})


@pytest.mark.parametrize("value", ["true", "yes", "no", 2, ["x"], {"a": 1}, 0.5])
@pytest.mark.parametrize("key", ["attention_bias", "use_sliding_window", "use_qk_norm", "qkv_bias", "mlp_bias", "tie_word_embeddings", "use_cla"])
def test_a_yes_or_no_of_another_type_is_refused(key: str, value: Any) -> None:
    assert refused({**PLAIN, key: value}).parameters["key"] == key


def test_two_names_of_one_quantity_that_differ_are_said() -> None:
    assert said({**PLAIN, "num_kv_heads": 4})["two-values"] == {"key": "num_key_value_heads", "found": "2", "others": ["num_kv_heads"]}
    assert said({**MIXED, "n_routed_experts": 16})["two-values"]["others"] == ["num_experts"]
    assert "two-values" not in said({**PLAIN, "num_kv_heads": 2})


def test_a_text_part_beside_the_keys_of_another_model_is_said() -> None:
    both = {**PLAIN, "hidden_size": 128, "text_config": PLAIN}
    assert said(both)["parts-contradict"]["keys"] == ["hidden_size"]
    assert "parts-contradict" not in said({**PLAIN, "text_config": PLAIN})
    two = {"text_config": PLAIN, "llm_config": {**PLAIN, "num_hidden_layers": 2}}
    assert said(two)["two-parts"] == {"key": "text_config", "others": ["llm_config"]}


def test_a_key_that_stands_twice_in_the_file_is_refused(tmp_path: Path) -> None:
    text = json.dumps(PLAIN)
    path = tmp_path / "config.json"
    path.write_text(text[:-1] + ', "num_hidden_layers": 2}', encoding="utf-8")
    with pytest.raises(UnreadableFileError) as caught:
        load_architecture(str(path))
    assert (caught.value.code, caught.value.parameters["key"]) == ("key-twice", "num_hidden_layers")
    path.write_text(text[:-1] + ', "num_hidden_layers": 4}', encoding="utf-8")
    assert len(load_architecture(str(path)).layers) == 4


# --- number formats -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", ["zzz", "auto", 5, ["bfloat16"], "torch.float77"])
def test_an_unknown_number_format_is_said(found: Any) -> None:
    assert said({**PLAIN, "torch_dtype": found})["unknown-dtype"]["assumed"] == "bf16"


@pytest.mark.parametrize(("found", "factor"), [("float64", 4), ("torch.float64", 4), ("float32", 2), ("float8_e4m3fn", 0.5), ("int8", 0.5)])
def test_a_known_number_format_has_its_bits(found: str, factor: float) -> None:
    sixteen = checkpoint_bytes(read_config(PLAIN))
    assert checkpoint_bytes(read_config({**PLAIN, "torch_dtype": found})) == factor * sixteen
    assert ("stored-dtype" in said({**PLAIN, "torch_dtype": found})) == (found != "float32")


def test_a_state_of_an_unknown_number_format_is_said() -> None:
    mamba = {**PLAIN, "model_type": "mamba2", "num_heads": 4, "head_dim": 32, "state_size": 16, "expand": 2, "mamba_ssm_dtype": "zzz"}
    assert said(mamba)["unknown-dtype"]["found"] == "zzz"


# --- quantisation -------------------------------------------------------------------------------------------------------------------------------

FOUR_BITS: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int"}}},
}


def quantised(block: Any) -> dict[str, Any]:
    return {**PLAIN, "quantization_config": block}


def group(**weights: Any) -> dict[str, Any]:
    return {**FOUR_BITS, "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", **weights}}}}


@pytest.mark.parametrize("part", TEXT_PARTS)
def test_quantisation_is_found_in_every_text_part(part: str) -> None:
    flat = read_config(quantised({"quant_method": "fp8"}))
    nested = read_config({part: quantised({"quant_method": "fp8"})})
    assert checkpoint_bytes(nested) == checkpoint_bytes(flat) < checkpoint_bytes(read_config(PLAIN))


@pytest.mark.parametrize("name", ["model", "model.*"])
@pytest.mark.parametrize("method", ["fp8", "awq"])
def test_the_name_of_the_whole_model_leaves_everything_below_it_as_it_is(name: str, method: str) -> None:
    block = {"quant_method": method, "modules_to_not_convert": [name]}
    assert checkpoint_bytes(read_config(quantised(block))) == checkpoint_bytes(read_config(PLAIN))
    one_layer = {**block, "modules_to_not_convert": ["model.layers.0"]}
    assert checkpoint_bytes(read_config(quantised(one_layer))) < checkpoint_bytes(read_config(PLAIN))


@pytest.mark.parametrize(
    "block",
    [
        {"quant_method": "modelopt"},
        {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {"nowhere": {"quant_algo": "FP8"}}},
        {"quant_method": "compressed-tensors"},
        {"quant_method": "compressed-tensors", "config_groups": {"g": {"targets": ["linear"], "weights": {"num_bits": 4, "type": "int"}}}},
        {**FOUR_BITS, "ignore": ["re:.*"]},
        {"quant_method": "mxfp4"},
        {"quant_method": "quark"},
        {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": False},
        {"quant_method": "gptq", "bits": 4, "dynamic": {"-:.*": {}}},
        {"some": "thing"},
    ],
    ids=lambda block: str(block)[:60],
)
def test_settings_that_fit_no_weight_are_said(block: dict[str, Any]) -> None:
    assert said(quantised(block))["quantization-without-effect"]["assumed"] == "bf16"


@pytest.mark.parametrize("block", ["fp8", ["fp8"], 5])
def test_settings_that_are_no_object_are_said(block: Any) -> None:
    assert said(quantised(block))["unknown-quantization"]["assumed"] == "bf16"


@pytest.mark.parametrize(
    ("block", "key"),
    [
        (group(type="zz"), "config_groups.g.weights.type"),
        (group(strategy="zz"), "config_groups.g.weights.strategy"),
        ({**FOUR_BITS, "format": "zz"}, "format"),
        ({**FOUR_BITS, "config_groups": [4]}, "config_groups"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "zz"}}}, "global_quant_config.weight.dtype"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "int8", "qscheme": "zz"}}}, "global_quant_config.weight.qscheme"),
        ({"quant_method": "fp8", "bits": 4}, "bits"),
        ({"quant_method": "fp8", "fmt": "zz"}, "fmt"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf5"}, "bnb_4bit_quant_type"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": "yes"}, "load_in_4bit"),
        ({"quant_method": "gptq"}, "bits"),
        ({"quant_method": "hqq"}, "quant_config"),
        ({"quant_method": "gptq", "bits": 4, "checkpoint_format": "zz"}, "checkpoint_format"),
        ({"quant_method": "auto-round", "bits": 4, "data_type": "zz"}, "data_type"),
        ({"quant_method": "auto-round", "bits": 4, "packing_format": "zz"}, "packing_format"),
        ({"quant_method": "mlx", "bits": 4, "mode": "zz"}, "mode"),
        ({"quant_method": "quanto", "weights": "zz"}, "weights"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("quant_method", ""),
)
def test_a_word_that_a_method_does_not_have_is_said(block: dict[str, Any], key: str) -> None:
    assert said(quantised(block))["quantization-word"]["key"] == key


@pytest.mark.parametrize(
    "block", [None, {}, {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"}, group(strategy="group", group_size=32)]
)
def test_sound_settings_say_nothing(block: Any) -> None:
    assert said(quantised(block)) == {}


# --- keys that nobody read ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        *("kv_sharing_factor", "ffn_mult", "total_ut_steps", "num_loops", "recurrent_depth", "engram_size", "ngram_table_rows", "num_codebooks"),
        *("mm_vision_tower", "vision_layers", "image_cache", "kv_repeat_rate", "topk_cache", "memory_scale", "state_limit", "moe_rows", "mamba_rows"),
    ],
)
def test_an_invented_key_is_said_by_name(key: str) -> None:
    assert said({**PLAIN, key: 4}) == {"unknown-key": {"keys": [key]}}
    assert said({"text_config": {**PLAIN, key: 4}})["unknown-key"]["keys"] == [key]
    assert said({"text_config": PLAIN, key: 4})["unknown-key"]["keys"] == [key]


def test_invented_keys_are_one_notice_and_a_long_list_is_cut() -> None:
    many = {f"bank_{number:03}": 1 for number in range(200)}
    keys = said({**PLAIN, **many})["unknown-key"]["keys"]
    assert keys[0] == "bank_000"
    assert keys[-1] == "..."
    assert len(keys) < 60


def test_a_tower_inside_the_text_part_is_said() -> None:
    tower = {"model_type": "clip_vision_model", "hidden_size": 32, "num_hidden_layers": 2}
    assert said({"llm_config": {**PLAIN, "vision_config": tower}})["unknown-key"]["keys"] == ["vision_config"]


def test_a_part_of_its_own_is_said() -> None:
    assert said({**PLAIN, "memory_config": {"rows": 10**9}})["unknown-key"]["keys"] == ["memory_config"]
    assert said({"text_config": PLAIN, "memory_config": {"rows": 10**9}})["unknown-key"]["keys"] == ["memory_config"]


def test_layers_that_share_keys_and_values() -> None:
    """``use_cla``: of every two layers the second has neither projections nor a cache of its own, but norms the shared keys itself."""
    hunyuan = {**PLAIN, "model_type": "hunyuan_v1_dense", "head_dim": 16, "use_qk_norm": True}
    whole, shared = read_config(hunyuan), read_config({**hunyuan, "use_cla": True, "cla_share_factor": 2})
    assert [mixer.caches for mixer in attentions(shared)] == [True, False, True, False]
    keys_and_values = 2 * (2 * 16) * 64  # two matrices of two heads of 16
    assert whole.parameters.total - shared.parameters.total == 2 * keys_and_values
    assert read_config({**hunyuan, "use_cla": False, "cla_share_factor": 2}).parameters == whole.parameters
    assert shared.warnings == whole.warnings == ()


# --- what a class supplies ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ({**PLAIN, "model_type": "qwen3_moe", "head_dim": 16}, {"num_experts", "num_experts_per_tok", "moe_intermediate_size"}),
        (
            {**without(PLAIN, "num_key_value_heads"), "model_type": "mistral", "num_attention_heads": 32, "sliding_window": None},
            {"num_key_value_heads"},
        ),
        ({**PLAIN, "model_type": "mistral"}, {"sliding_window"}),
        ({**PLAIN, "model_type": "gemma", "tie_word_embeddings": True}, {"head_dim"}),
    ],
    ids=["experts", "kv-heads", "window", "head-width"],
)
def test_what_the_class_supplies_is_said(config: dict[str, Any], keys: set[str]) -> None:
    assert set(said(config)["class-default"]["keys"]) == keys


def test_a_window_that_is_not_used_is_not_said() -> None:
    assert said({**PLAIN, "model_type": "qwen2", "use_sliding_window": False}) == {}


@pytest.mark.parametrize("word", ["quantum_attention", "full_attention", "linear_attention"])
def test_layer_types_that_contradict_the_ratios_of_compression_are_refused(word: str) -> None:
    config = dict(model_entry("deepseek-v4-flash").config)
    layers = config["num_hidden_layers"]
    words = ["compressed_sparse_attention" if ratio else "sliding_attention" for ratio in config["compress_ratios"][:layers]]
    sound = read_config({**config, "layer_types": words})
    assert sound.parameters.total == load_architecture("deepseek-v4-flash").parameters.total
    with pytest.raises(UnsupportedArchitectureError) as caught:
        read_config({**config, "layer_types": [*words[:20], word, *words[21:]]})
    assert caught.value.parameters["key"].endswith("layer_types")
