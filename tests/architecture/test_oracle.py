"""Parameters, group by group, and bytes of checkpoints: compared with counts that another library made and with published file sizes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pytest

from conftest import DATA, SHARED, lines_of, shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice

SMALL = lines_of(DATA / "small_models.jsonl")
COUNTED = [line for line in shared_lines("model-oracle.jsonl") if line["config_file"] and line["groups"]]

# The configuration says 128,896 rows; the library did not look at that key of the flattened copy and took its default of 128,815.
OTHER_VOCABULARY = "step3p7"
# These notices name what the oracle leaves out as well: a tower that the copy of the configuration does not describe.
TOWER_NOTICES = {"implied-tower", "unknown-tower"}


def rightly_assumed(notice: Notice, config: dict[str, Any]) -> bool:
    """Whether a notice names keys that our copy of a configuration leaves to its class, and only such."""
    text = config.get("text_config", config)
    return notice.code == "class-default" and not any(key in text for key in notice.parameters["keys"])


@lru_cache(maxsize=256)
def read(file: str) -> Architecture:
    return load_architecture(str(SHARED / file))


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["id"] for line in lines]


@pytest.mark.parametrize("line", SMALL, ids=[f"{number}-{line['config']['model_type']}" for number, line in enumerate(SMALL)])
def test_small_models_count_as_the_library_counts_them(line: dict[str, Any]) -> None:
    """Small made-up configurations of every dialect, built with transformers 5.23.0 on the meta device; no warnings either."""
    model = read_config(line["config"])
    assert model.parameters.total == line["total"]
    assert dict(model.parameters.groups) == line["groups"]
    assert [notice for notice in model.warnings if not rightly_assumed(notice, line["config"])] == []


@pytest.mark.shared
@pytest.mark.parametrize("line", COUNTED, ids=ids(COUNTED))
def test_parameters_equal_the_oracle_group_by_group(line: dict[str, Any]) -> None:
    model = read(line["config_file"])
    found, expected = dict(model.parameters.groups), dict(line["groups"])
    for groups in (found, expected):  # the towers have a test of their own
        groups.pop("vision", None)
    if model.config["model_type"] == OTHER_VOCABULARY:
        extra = (model.vocab_size - 128_815) * model.hidden_size
        expected = {group: count + (extra if group in ("embedding", "lm_head") else 0) for group, count in expected.items()}
    assert found == expected


@pytest.mark.shared
@pytest.mark.parametrize("line", [line for line in COUNTED if line["activated_params"]], ids=lambda line: line["id"])
def test_activated_parameters_equal_the_oracle(line: dict[str, Any]) -> None:
    model = read(line["config_file"])
    extra = 2 * (model.vocab_size - 128_815) * model.hidden_size if model.config["model_type"] == OTHER_VOCABULARY else 0
    assert model.parameters.activated == line["activated_params"] + extra


@pytest.mark.shared
@pytest.mark.parametrize("line", [line for line in COUNTED if (line["mtp_params"] or {}).get("unique")], ids=lambda line: line["id"])
def test_multi_token_prediction_equals_the_oracle(line: dict[str, Any]) -> None:
    model, expected = read(line["config_file"]), line["mtp_params"]
    if "dspark_block_size" in model.config:
        pytest.skip("the oracle leaves the drafter of this release out; the size of its files holds it below")
    if "approximation" in expected["formula"]:  # it copies the last layer, with a compressor that this one lacks (compress_ratios ends in 0)
        assert model.parameters.mtp == pytest.approx(expected["unique"], rel=0.004)
        assert model.parameters.mtp < expected["unique"]
    else:
        assert model.parameters.mtp == expected["unique"]
        assert model.parameters.mtp_with_copies == expected["with_checkpoint_copies"]


@pytest.mark.shared
@pytest.mark.parametrize("line", COUNTED, ids=ids(COUNTED))
def test_known_configurations_raise_no_false_warning(line: dict[str, Any]) -> None:
    model = read(line["config_file"])
    kept = [notice for notice in model.warnings if notice.code not in TOWER_NOTICES and not rightly_assumed(notice, dict(model.config))]
    assert kept == []


# id: bytes of tensors that the file sizes hold on top of ours, where the stored type differs from what the configuration tells.
EXACT = {
    "01-ai/Yi-1.5-6B-Chat": 0,
    "MiniMaxAI/MiniMax-M1-80k": 0,
    "MiniMaxAI/MiniMax-M2": 0,
    "Qwen/Qwen-72B": 0,
    "Qwen/Qwen2.5-14B": 0,
    "google/gemma-3-27b-it": 0,
    "mistralai/Devstral-Small-2507": 0,
    "mistralai/Mixtral-8x22B-v0.1": 0,
    "tiiuae/falcon-180B-chat": 0,
    "deepseek-ai/DeepSeek-R1": 688_586_727_753 - 688_574_839_360,  # headers of 91,991 tensors
    "meta-llama/Llama-2-13b-hf": 10_240,  # an older converter stored rotary frequencies: 40 layers x 64 x 4 bytes
}
# The same for models of the catalogue, so that this holds without the shared facts: bytes published with the checkpoints.
PUBLISHED = {
    "deepseek-r1": 688_574_839_360,
    "deepseek-v4.1-flash": 510_286_023_000,
    "devstral-small-2507": 47_144_806_400,
    "falcon-180b-chat": 359_045_130_240,
    "glm-5.3-flash": 328_326_771_576,
    "mimo-7b-base": 15_666_819_072,
    "minimax-m1-80k": 912_210_767_872,
    "minimax-m2": 230_121_630_720,
    "mixtral-8x22b-v0.1": 281_241_268_224,
    "qwen-72b": 144_575_840_256,
    "yi-1.5-6b-chat": 12_122_071_040,
}
UNTOUCHED = {  # conversions to BF16 without multi-token prediction
    "zai-org/GLM-5": 0,
    "Qwen/Qwen3.6-27B": 0,
    "Qwen/Qwen3.6-35B-A3B": 0,
    "Qwen/Qwen3.5-122B-A10B": 4_608,  # decay terms kept in F32
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 2_944,  # the same
}
LINES = {line["id"]: line for line in shared_lines("model-oracle.jsonl")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_catalogue_models_have_the_bytes_of_their_checkpoints(name: str) -> None:
    assert checkpoint_bytes(load_architecture(name)) == PUBLISHED[name]


@pytest.mark.shared
@pytest.mark.parametrize("name", EXACT)
def test_checkpoints_close_to_the_byte(name: str) -> None:
    line = LINES[name]
    assert line["checkpoint_bytes"] - checkpoint_bytes(read(line["config_file"])) == EXACT[name]


@pytest.mark.shared
@pytest.mark.parametrize("name", UNTOUCHED)
def test_conversions_to_16_bits_close_to_the_byte(name: str) -> None:
    line = LINES[name]
    found = re.search(r"BF16 conversion without MTP tensors: (\d+)", line["notes"])
    assert found is not None
    model = with_precision(read(line["config_file"]), "bf16")
    assert int(found.group(1)) - checkpoint_bytes(model, mtp=False) == UNTOUCHED[name]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "files_tensors"),
    [
        ("deepseek-ai/DeepSeek-V4-Pro", 2 * 62 * 384 * 3),
        ("deepseek-ai/DeepSeek-V4-Flash-0731", 2 * 46 * 256 * 3),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", 41 * 512 * 2),
    ],
)
def test_rounded_file_sizes_close_within_their_headers(name: str, files_tensors: int) -> None:
    """Sizes rounded to 0.01 GiB, headers of 80 to 160 bytes a tensor included: this holds drafters and what stays out of FP8."""
    line, rounding = LINES[name], 0.005 * 2**30
    missing = line["checkpoint_bytes"] - checkpoint_bytes(read(line["config_file"]))
    assert 80 * files_tensors - rounding < missing < 160 * files_tensors + rounding


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("deepseek-ai/DeepSeek-V3", 70_272),
        ("Qwen/Qwen3-8B", 147_456),
        ("Qwen/Qwen3-30B-A3B", 98_304),
        ("microsoft/phi-4", 204_800),
        ("microsoft/Phi-4-mini-instruct", 131_072),
        ("mistralai/Mistral-7B-Instruct-v0.3", 131_072),
        ("tiiuae/falcon-7b", 8_192),
        ("mistralai/Ministral-3-8B-Base-2512", 139_264),
        ("google/gemma-3-4b-it", 139_264),
    ],
)
def test_cache_geometry_gives_the_published_bytes_per_token(name: str, bytes_per_token: int) -> None:
    """Published 16-bit figures, every layer taken as if it saw all tokens."""
    total = 0
    for layer in read(LINES[name]["config_file"]).layers:
        for mixer in layer.mixers:
            if mixer.kind == "latent":
                total += 2 * (mixer.kv_lora_rank + mixer.qk_rope_head_dim)  # type: ignore[union-attr]
            else:
                total += 2 * mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)  # type: ignore[union-attr]
    assert total == bytes_per_token
