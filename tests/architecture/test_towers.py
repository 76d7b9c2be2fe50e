"""Vision and audio towers against counts that another library made, and a few sizes that their makers publish."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import SHARED, shared_lines
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.towers import read_towers, tower_readers
from gpusizer.architecture.readers.towers.kit import Shelf, Tower
from gpusizer.architecture.types import Split

QWEN3_VL_8B: dict[str, Any] = {
    "model_type": "qwen3_vl",
    "vision_config": {
        "deepstack_visual_indexes": [8, 16, 24],
        "depth": 27,
        "hidden_size": 1152,
        "in_channels": 3,
        "intermediate_size": 4304,
        "model_type": "qwen3_vl",
        "num_heads": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": 4096,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
SIGLIP_400M = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "image_size": 896,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "patch_size": 14,
    "vision_use_head": False,
}


def with_vision() -> list[dict[str, Any]]:
    """The counted models that have a tower, and those whose count leaves an undescribed one out."""
    return [line for line in shared_lines("model-oracle.jsonl") if line["config_file"] and (line["groups"] or {}).get("vision")]


def params_of(config: dict[str, Any], hidden_size: int) -> int:
    """Parameters of all towers of a configuration."""
    return sum(tensor.params for tensor in read_towers(Keys(config), hidden_size)[0])


@pytest.mark.shared
@pytest.mark.parametrize("line", with_vision(), ids=lambda line: line["id"])
def test_counts_are_those_of_the_library(line: dict[str, Any]) -> None:
    config = json.loads((SHARED / line["config_file"]).read_text(encoding="utf-8"))
    hidden_size = config.get("text_config", config)["hidden_size"]
    assert params_of(config, hidden_size) == line["groups"]["vision"]


# Counted by transformers 5.23.0 on the meta device.
@pytest.mark.parametrize(
    ("config", "hidden_size", "params"),
    [
        (QWEN3_VL_8B, 4096, 576_388_336),
        ({"model_type": "gemma3", "mm_tokens_per_image": 256, "vision_config": SIGLIP_400M}, 2560, 419_816_304),
        (
            {
                "model_type": "mistral3",
                "multimodal_projector_bias": False,
                "spatial_merge_size": 2,
                "vision_config": {"model_type": "pixtral", "patch_size": 14},
            },
            5120,
            438_958_080,
        ),
    ],
    ids=["qwen3-vl", "gemma3", "mistral3"],
)
def test_known_towers(config: dict[str, Any], hidden_size: int, params: int) -> None:
    assert params_of(config, hidden_size) == params


def test_a_deeper_tower_is_larger_by_its_blocks() -> None:
    deeper = {**QWEN3_VL_8B, "vision_config": {**QWEN3_VL_8B["vision_config"], "depth": 28}}
    width, inner = 1152, 4304
    block = 4 * width + 3 * width * width + 3 * width + width * width + width + 2 * width * inner + inner + width
    assert params_of(deeper, 4096) - params_of(QWEN3_VL_8B, 4096) == block


def test_text_models_have_no_tower_and_no_notice() -> None:
    assert read_towers(Keys({"model_type": "qwen3", "hidden_size": 4096}), 4096) == ((), ())


def test_an_unknown_tower_is_said() -> None:
    tensors, notices = read_towers(Keys({"model_type": "new", "vision_config": {"model_type": "compound_eye", "facets": 3}}), 4096)
    assert tensors == ()
    assert [(notice.code, notice.parameters["model_type"]) for notice in notices] == [("unknown-tower", "compound_eye")]


def test_a_known_encoder_with_an_unknown_projector_is_said() -> None:
    tensors, notices = read_towers(Keys({"model_type": "new", "vision_config": SIGLIP_400M}), 4096)
    assert (tensors, notices[0].code) == ((), "unknown-tower")


def test_a_tower_taken_from_the_class_is_said() -> None:
    tensors, notices = read_towers(Keys({"model_type": "llama4"}), 5120)
    assert tensors
    assert [notice.code for notice in notices] == ["implied-tower"]


def test_a_tower_under_another_name_is_said() -> None:
    notices = read_towers(Keys({"model_type": "qwen", "visual": {"width": 1664, "layers": 48}}), 4096)[1]
    assert [(notice.code, notice.parameters["model_type"]) for notice in notices] == [("unknown-tower", "visual")]


def test_a_tower_of_an_unknown_class_that_reads_like_another_is_said() -> None:
    strange = {**QWEN3_VL_8B, "vision_config": {**QWEN3_VL_8B["vision_config"], "model_type": "qwen9_vision"}}
    assert [notice.code for notice in read_towers(Keys(strange), 4096)[1]] == ["tower-by-keys"]


def test_blocks_stand_one_by_one_where_a_quantisation_names_them() -> None:
    together = read_towers(Keys(QWEN3_VL_8B), 4096)[0]
    apart = read_towers(Keys({**QWEN3_VL_8B, "quantization_config": {"quant_method": "fp8"}}), 4096)[0]
    assert sum(tensor.params for tensor in together) == sum(tensor.params for tensor in apart)
    assert "visual.blocks.26.attn.qkv.weight" in {tensor.name for tensor in apart}


def test_no_tower_is_claimed_twice() -> None:
    """Readers tell towers apart by keys; two that claim the same one would depend on the order of files."""
    seen = 0
    for line in with_vision():
        config = json.loads((SHARED / line["config_file"]).read_text(encoding="utf-8"))
        if "vision_config" not in config:
            continue
        part = Tower(Keys(config["vision_config"]), Keys(config), 4096)
        claims = [reader.name for reader in tower_readers() if reader.section == "vision" and reader.recognises(part)]
        assert len(claims) <= 1, (line["id"], claims)
        seen += 1
    assert seen or not SHARED.is_dir()


def test_matrices_are_cut_along_one_side_and_norms_are_not() -> None:
    for tensor in read_towers(Keys(QWEN3_VL_8B), 4096)[0]:
        if tensor.linear and ".attn." in tensor.name:
            assert tensor.split in (Split.COLUMN, Split.ROW)
        if "norm" in tensor.name:
            assert tensor.split is Split.REPLICATED


def test_hostile_towers_are_refused_in_one_line() -> None:
    from gpusizer.errors import UnsupportedArchitectureError

    for key, value in (("depth", -1), ("hidden_size", 10**18), ("depth", 10**9), ("spatial_merge_size", "2")):
        broken = {**QWEN3_VL_8B, "vision_config": {**QWEN3_VL_8B["vision_config"], key: value}}
        with pytest.raises(UnsupportedArchitectureError):
            read_towers(Keys(broken), 4096)


def test_a_toy_tower_registers_itself() -> None:
    from gpusizer.architecture.readers.towers.kit import READERS, register_tower

    @register_tower("toy", "vision", lambda it: it.part.has("facets"))
    def read(it: Tower, shelf: Shelf) -> bool:
        shelf.linear("toy", it.hidden_size, it.part.needed("facets"))
        return True

    try:
        tower_readers.cache_clear()
        assert params_of({"vision_config": {"facets": 3}}, 10) == 30
    finally:
        READERS.pop()
        tower_readers.cache_clear()
