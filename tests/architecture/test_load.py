"""The one door to a model: ids in any letter case, files and folders, and refusals of everything else in one line."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from file_bytes import gguf_bytes, safetensors_bytes
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.errors import GpusizerError, UnknownIdError, UnreadableFileError, UnsupportedArchitectureError
from gpusizer.facts.number_formats import GGUF_BLOCKS
from tiny_config import CONFIG, PARAMS, config_file


@pytest.mark.parametrize("name", ["deepseek-v3", "DeepSeek-V3", "deepseek-ai/DeepSeek-V3", "DEEPSEEK-AI/DEEPSEEK-V3"])
def test_an_id_in_any_letter_case_is_one_object(name: str) -> None:
    model = load_architecture(name)
    assert model is load_architecture("deepseek-v3")
    assert model.parameters.total == 671_026_404_352
    assert (len(model.layers), model.id) == (61, "deepseek-v3")


def test_a_configuration_file_a_folder_and_a_dictionary_are_the_same_model(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    for source in (path, tmp_path):
        model = load_architecture(str(source))
        assert (model.parameters.total, model.max_position_embeddings, model.dtype) == (PARAMS, 512, "bf16")
        assert model.name == tmp_path.name
        assert model.header_bytes is None


def checkpoint(folder: Path, router: str = "BF16") -> int:
    """A checkpoint as a publisher writes it; its bytes."""
    layer = {
        "self_attn.q_proj.weight": [64, 64],
        "self_attn.k_proj.weight": [32, 64],
        "self_attn.v_proj.weight": [32, 64],
        "self_attn.o_proj.weight": [64, 64],
        "mlp.gate_proj.weight": [96, 64],
        "mlp.up_proj.weight": [96, 64],
        "mlp.down_proj.weight": [64, 96],
        "input_layernorm.weight": [64],
        "post_attention_layernorm.weight": [64],
    }
    shapes = {f"model.layers.{index}.{name}": shape for index in range(2) for name, shape in layer.items()}
    shapes |= {"model.embed_tokens.weight": [100, 64], "model.norm.weight": [64], "lm_head.weight": [100, 64]}
    entries: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        dtype = router if name == "lm_head.weight" else "BF16"
        size = (4 if dtype == "F32" else 2) * shape[0] * (shape[1] if len(shape) > 1 else 1)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    (folder / "model.safetensors").write_bytes(safetensors_bytes(entries, end))
    return end


def test_a_folder_has_the_bytes_of_its_files(tmp_path: Path) -> None:
    config_file(tmp_path)
    stored = checkpoint(tmp_path)
    model = load_architecture(str(tmp_path))
    assert stored == 2 * PARAMS
    assert checkpoint_bytes(model) == stored
    assert model.warnings == ()


def test_what_a_file_stores_wider_is_counted_wider(tmp_path: Path) -> None:
    config_file(tmp_path)
    stored = checkpoint(tmp_path, router="F32")
    model = load_architecture(str(tmp_path))
    assert checkpoint_bytes(model) == stored == 2 * PARAMS + 2 * 6400
    assert model.quantization.format_of("lm_head.weight", model.head[0]).id == "fp32"
    assert model.warnings == ()


def test_files_that_contradict_their_configuration_are_said(tmp_path: Path) -> None:
    config_file(tmp_path, {**CONFIG, "num_hidden_layers": 1})
    checkpoint(tmp_path)
    assert [notice.code for notice in load_architecture(str(tmp_path)).warnings] == ["headers-differ"]


def gguf(folder: Path, quantised: str = "Q8_0", name: str = "tiny.gguf") -> Path:
    """A GGUF file of the same model; the vocabulary is 128 wide so that blocks fit."""

    def number(value: int) -> tuple[int, bytes]:
        return 4, struct.pack("<I", value)

    keys = {"block_count": 2, "embedding_length": 64, "feed_forward_length": 96, "context_length": 512}
    keys |= {"attention.head_count": 4, "attention.head_count_kv": 2, "vocab_size": 100}
    metadata = [("general.architecture", 8, struct.pack("<Q", 5) + b"llama")] + [(f"llama.{key}", *number(value)) for key, value in keys.items()]
    sides = {"attn_q": (64, 64), "attn_k": (64, 32), "attn_v": (64, 32), "attn_output": (64, 64), "ffn_gate": (64, 96), "ffn_up": (64, 96)}
    sides["ffn_down"] = (96, 64)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (64, 100), "output.weight": (64, 100), "output_norm.weight": (64,)}
    for index in range(2):
        shapes |= {f"blk.{index}.{part}.weight": shape for part, shape in sides.items()}
        shapes |= {f"blk.{index}.attn_norm.weight": (64,), f"blk.{index}.ffn_norm.weight": (64,)}
    tensors, offset = [], 0
    kind, block, size = GGUF_BLOCKS[quantised.lower()]
    for part, shape in shapes.items():
        elements = shape[0] * (shape[1] if len(shape) > 1 else 1)
        wide = len(shape) == 1
        tensors.append((part, shape, 0 if wide else kind, offset))
        offset += 4 * elements if wide else elements // block * size
        offset += -offset % 32
    path = folder / name
    path.write_bytes(gguf_bytes(metadata, tensors, offset))
    return path


def test_a_gguf_file_is_the_same_model(tmp_path: Path) -> None:
    model = load_architecture(str(gguf(tmp_path)))
    assert model.parameters.total == PARAMS
    assert model.name == "tiny"
    matrices = PARAMS - 5 * 64
    assert checkpoint_bytes(model) == matrices * 34 // 32 + 5 * 64 * 4  # Q8_0: 34 bytes for 32 weights; norms in F32
    assert [notice.code for notice in model.warnings] == []


def test_a_folder_with_one_gguf_file_is_that_file(tmp_path: Path) -> None:
    gguf(tmp_path)
    assert load_architecture(str(tmp_path)).parameters.total == PARAMS


def test_a_folder_with_several_gguf_files_names_them(tmp_path: Path) -> None:
    for name in ("b.gguf", "a.gguf"):
        gguf(tmp_path, name=name)
    with pytest.raises(UnreadableFileError) as caught:
        load_architecture(str(tmp_path))
    assert caught.value.code == "several-gguf"
    assert caught.value.parameters["nearest"] == ["a.gguf", "b.gguf"]


BAD_TEXTS = [
    ("", "not-json"),
    ("{", "not-json"),
    ("[1, 2]", "not-json"),
    ("null", "not-json"),
    ('{"hidden_size": ' + "9" * 5000 + "}", "not-json"),
    ("[" * 100_000 + "]" * 100_000, "not-json"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1", "lfs-pointer"),
    ("{}", "missing-keys"),
    (json.dumps({**CONFIG, "hidden_size": float("nan")}), "bad-config-value"),
    (json.dumps({**CONFIG, "num_hidden_layers": -1}), "bad-config-value"),
    (json.dumps({**CONFIG, "num_attention_heads": 2**60}), "bad-config-value"),
    (json.dumps({**CONFIG, "num_hidden_layers": 1_000_000}), "bad-config-value"),
    ('{"a":' * 900 + "1" + "}" * 900, "bad-config-value"),
]


@pytest.mark.parametrize(("text", "code"), BAD_TEXTS, ids=range(len(BAD_TEXTS)))
def test_bad_files_are_refused_by_code_in_one_line(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GpusizerError) as caught:
        load_architecture(str(path))
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_binary_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UnreadableFileError):
        load_architecture(str(path))


def test_a_file_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UnreadableFileError) as caught:
        load_architecture(str(path))
    assert caught.value.code == "file-too-large"


@pytest.mark.parametrize("source", ["", "no/such/config.json", "nothing.gguf", "\0", "x" * 10_000, "deepsek-v3", "../../etc/passwd"])
def test_what_is_not_there(source: str) -> None:
    with pytest.raises((UnknownIdError, UnreadableFileError)):
        load_architecture(source)


def test_the_nearest_ids_are_named() -> None:
    with pytest.raises(UnknownIdError) as caught:
        load_architecture("deepsek-v3")
    assert "deepseek-v3" in caught.value.parameters["nearest"]


def test_an_empty_folder_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        load_architecture(str(tmp_path))
    assert caught.value.code == "config-missing"


def test_infinity_is_let_through_where_it_does_not_count(tmp_path: Path) -> None:
    """Published configurations hold a bare Infinity among their time steps."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG)[:-1] + ', "time_step_limit": [0.0, Infinity]}', encoding="utf-8")
    assert load_architecture(str(path)).parameters.total == PARAMS


def test_a_lying_header_is_refused(tmp_path: Path) -> None:
    config_file(tmp_path)
    entries: dict[str, object] = {"a": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, 9999]}}
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(entries, 24))
    with pytest.raises(UnreadableFileError) as caught:
        load_architecture(str(tmp_path))
    assert caught.value.code == "header-contradiction"


def test_a_configuration_without_attention_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedArchitectureError):
        load_architecture(str(config_file(tmp_path, {"model_type": "resnet", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 9})))


def test_files_are_read_once_until_they_change(tmp_path: Path) -> None:
    path = config_file(tmp_path, CONFIG)
    assert load_architecture(str(path)) is not load_architecture(str(path))  # written just now: may be written again before the clock tells
    for place in (tmp_path, path):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        model = load_architecture(str(place))
        assert load_architecture(str(place)) is model
        path.write_text(json.dumps({**CONFIG, "num_hidden_layers": 3}), encoding="utf-8")
        assert load_architecture(str(place)).parameters.total > model.parameters.total
        config_file(tmp_path, CONFIG)


def test_a_file_that_comes_into_a_folder_is_seen(tmp_path: Path) -> None:
    path = config_file(tmp_path, CONFIG)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert load_architecture(str(tmp_path)).header_bytes is None
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"\0" * 8)
    os.utime(weights, (1_000_000_000, 1_000_000_000))
    with pytest.raises(UnreadableFileError):
        load_architecture(str(tmp_path))
