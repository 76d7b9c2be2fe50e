"""Headers of safetensors and GGUF files: sizes of files that other tools wrote, and refusals of everything that lies."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from file_bytes import gguf_bytes, safetensors_bytes, write
from gpusizer.architecture.files.gguf import read_gguf
from gpusizer.architecture.files.safetensors import read_safetensors, read_safetensors_folder
from gpusizer.architecture.tensors import header_group
from gpusizer.errors import UnreadableFileError
from gpusizer.facts.number_formats import GGUF_BLOCKS, SAFETENSORS_BITS

GOOD_SAFETENSORS = safetensors_bytes(
    {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F8_E4M3", "shape": [5], "data_offsets": [24, 29]},
        "c": {"dtype": "F32", "shape": [], "data_offsets": [29, 33]},
    },
    33,
)
GOOD_GGUF = gguf_bytes(
    [("general.architecture", 8, struct.pack("<Q", 5) + b"llama"), ("llama.block_count", 4, struct.pack("<I", 1))],
    [("token_embd.weight", (256, 3), 12, 0), ("output_norm.weight", (256,), 0, 448)],
    448 + 1024,
)


def test_safetensors_lists_exact_bytes(tmp_path: Path) -> None:
    headers = read_safetensors(write(tmp_path, "x.safetensors", GOOD_SAFETENSORS))
    assert [(header.name, header.shape, header.bytes) for header in headers] == [("a", (4, 3), 24), ("b", (5,), 5), ("c", (), 4)]


@pytest.mark.parametrize(
    ("entries", "data", "code"),
    [
        ({name: {"dtype": "F32", "shape": [2], "data_offsets": [at, at + 8]} for name, at in (("a", 0), ("b", 4))}, 12, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}, 9, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, 9, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, 8, "header-contradiction"),
        ({"a": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}}, 8, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, 8, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 8]}}, 8, "header-contradiction"),
        ({"a": 7}, 0, "header-contradiction"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, 7, "file-truncated"),
    ],
)
def test_safetensors_that_lie_are_refused(tmp_path: Path, entries: dict[str, object], data: int, code: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read_safetensors(write(tmp_path, "x.safetensors", safetensors_bytes(entries, data)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs-pointer"),
        (struct.pack("<Q", 1 << 62) + b"{}", "file-truncated"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "not-safetensors"),  # deeper than a parser may go
        (struct.pack("<Q", 4) + b"\xff\xfe{}", "not-safetensors"),
        (struct.pack("<Q", 2) + b"[]", "not-safetensors"),
    ],
)
def test_not_safetensors(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read_safetensors(write(tmp_path, "x.safetensors", data))
    assert caught.value.code == code


def test_a_folder_is_read_by_its_index_and_never_outside_it(tmp_path: Path) -> None:
    write(tmp_path, "model-00001-of-00002.safetensors", GOOD_SAFETENSORS)
    with pytest.raises(UnreadableFileError) as caught:
        read_safetensors_folder(tmp_path)
    assert caught.value.code == "shard-missing"
    write(tmp_path, "consolidated.safetensors", GOOD_SAFETENSORS)
    write(tmp_path, "model.safetensors.index.json", json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}).encode())
    assert sum(header.bytes for header in read_safetensors_folder(tmp_path)) == 33
    for name in ("../x.safetensors", "/etc/passwd", "x.bin", "a\0.safetensors"):
        write(tmp_path, "model.safetensors.index.json", json.dumps({"weight_map": {"a": name}}).encode())
        with pytest.raises(UnreadableFileError):
            read_safetensors_folder(tmp_path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_gguf_of_either_byte_order(tmp_path: Path, order: str) -> None:
    data = gguf_bytes(
        [("general.architecture", 8, struct.pack(order + "Q", 5) + b"llama"), ("x.list", 9, struct.pack(order + "IQ3i", 5, 3, 1, 0, 2))],
        [("token_embd.weight", (256, 3), 14, 0)],
        640,
        order,
    )
    file = read_gguf(write(tmp_path, "x.gguf", data))
    assert file.metadata == {"general.architecture": "llama", "x.list": [1, 0, 2]}
    assert [(tensor.dtype, tensor.shape, tensor.bytes) for tensor in file.tensors] == [("q6_k", (3, 256), 630)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-gguf"),
        (b"GGUF", "file-truncated"),
        (b"GGUF" + struct.pack("<I", 1), "unknown-version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), "count-too-large"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "count-too-large"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 50) + bytes(64), "count-too-large"),
        (gguf_bytes([("k", 9, struct.pack("<IQ", 8, 1 << 40))], [], 64), "count-too-large"),
        (gguf_bytes([("k", 9, struct.pack("<IQ", 9, 2))], [], 64), "header-contradiction"),
        (gguf_bytes([("k", 99, b"")], [], 64), "header-contradiction"),
        (gguf_bytes([("general.alignment", 4, struct.pack("<I", 0))], [], 64), "header-contradiction"),
        (gguf_bytes([], [("a", (256,), 12, 0)], 0), "file-truncated"),
        (gguf_bytes([], [("a", (255,), 12, 0)], 999), "header-contradiction"),
        (gguf_bytes([], [("a", (0,), 0, 0)], 999), "header-contradiction"),
        (gguf_bytes([], [("a", (256,), 4, 0)], 999), "unknown-tensor-type"),
        (gguf_bytes([], [("a", (8,), 0, 0), ("b", (8,), 0, 16)], 999), "header-contradiction"),
        (gguf_bytes([], [("a", (1 << 63, 1 << 63), 0, 0)], 999), "file-truncated"),
    ],
)
def test_gguf_that_lies_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read_gguf(write(tmp_path, "x.gguf", data))
    assert caught.value.code == code


def test_split_gguf_is_one_model(tmp_path: Path) -> None:
    first = gguf_bytes([("llama.block_count", 4, struct.pack("<I", 1))], [("a", (8,), 0, 0)], 32)
    write(tmp_path, "x-00001-of-00002.gguf", first)
    with pytest.raises(UnreadableFileError) as caught:
        read_gguf(tmp_path / "x-00001-of-00002.gguf")
    assert caught.value.code == "shard-missing"
    second = write(tmp_path, "x-00002-of-00002.gguf", gguf_bytes([], [("b", (16,), 1, 0)], 32))
    file = read_gguf(second)
    assert file.metadata == {"llama.block_count": 1}
    assert {tensor.name: tensor.bytes for tensor in file.tensors} == {"a": 32, "b": 32}


def test_missing_and_odd_paths(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(UnreadableFileError):
            read_gguf(path)
        with pytest.raises(UnreadableFileError):
            read_safetensors(path)


def test_gguf_blocks_have_the_bits_of_the_literature() -> None:
    """Bits per weight as llama.cpp's documentation prints them."""
    printed = {"q8_0": 8.5, "q6_k": 6.5625, "q5_k": 5.5, "q4_k": 4.5, "q3_k": 3.4375, "q2_k": 2.625}
    printed |= {"iq4_xs": 4.25, "iq3_s": 3.4375, "iq2_xxs": 2.0625, "iq1_s": 1.5625, "iq1_m": 1.75, "mxfp4": 4.25, "nvfp4": 4.5}
    printed |= {"q1_0": 1.125, "q2_0": 2.25, "tq1_0": 1.6875, "tq2_0": 2.0625}
    assert {name: GGUF_BLOCKS[name][2] * 8 / GGUF_BLOCKS[name][1] for name in printed} == printed
    assert len({number for number, _, _ in GGUF_BLOCKS.values()}) == len(GGUF_BLOCKS)


def test_safetensors_types_are_whole_bits() -> None:
    assert all(bits in (4, 6, 8, 16, 32, 64) for bits in SAFETENSORS_BITS.values())


def test_groups_by_name() -> None:
    names = {
        "language_model.model.layers.3.mlp.gate.weight": "text",
        "model.layers.78.eh_proj.weight": "mtp",
        "mtp.0.attn.wq_a.weight": "mtp",
        "vision_tower.encoder.layers.99.mlp.fc1.weight": "vision",
        "model.visual.blocks.0.attn.qkv.weight": "vision",
        "model.embed_tokens.weight": "text",
    }
    assert {name: header_group(name, 78) for name in names} == names
