"""What the command line refuses, each time in one line: wrong words, wrong numbers, files that are missing, broken or lie."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from command_line import ANSWERED, refused, run

SMALL = "qwen3-8b"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("plan", "deepsek-v3"), "deepseek-v3"),
        (("models", "show", "llama-3.1-8b-instrct"), "llama-3.1-8b-instruct"),
        (("fit", SMALL, "--gpu", "h20o-sxm-141gb"), "h200-sxm-141gb"),
        (("accelerators", "show", "h100-sxm-80b"), "h100-sxm-80gb"),
        (("fit", SMALL, "--gpu", "h100-sxm-80gb", "--engine", "vlm"), "vllm"),
        (("engines", "show", "sglng"), "sglang"),
        (("plan", SMALL, "--scenario", "knowlege-base"), "knowledge-base"),
        (("explain", "storage.scaled_formt"), "storage.scaled_format"),
        (("plan", SMALL, "--precision", "fp9"), "fp8"),
        (("pln", SMALL), "plan"),
        (("plan", SMALL, "--concurency", "4"), "--concurrency"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else part,
)
def test_an_unknown_word_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], nearest: str) -> None:
    assert nearest in refused(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("fit", SMALL),
        ("plan", SMALL, "--concurrency"),
        ("plan", SMALL, "another"),
        ("models", "show"),
        ("plan", SMALL, "--format", "yaml"),
        ("plan", SMALL, "--language", "fr"),
        ("plan", SMALL, "--sort", "beauty"),
        ("plan", SMALL, "--method", "magic"),
        ("plan", SMALL, "--concurrency", "4", "--concurrency", "-4"),
        *[("plan", SMALL, "--concurrency", number) for number in ("0", "-1", "1.5", "many", "1e99", "9" * 400, "nan", "inf", "")],
        *[("plan", SMALL, "--users", number) for number in ("0", "-5", "1e18", "9" * 400, "NaN")],
        *[("plan", SMALL, "--users", "100", "--active-share", share) for share in ("0", "0%", "-2%", "200%", "half", "nan", "inf")],
        *[("plan", SMALL, "--context-tokens", tokens) for tokens in ("0", "-1", "128kk", "many", "1e300", "9" * 400, "∞")],
        *[("plan", SMALL, "--ttft", time) for time in ("0s", "-1s", "2 days", "soon", "nan s", "1e400s")],
        *[("plan", SMALL, "--max-gpus", number) for number in ("0", "-1", "9" * 400, "x")],
        *[("fit", SMALL, "--gpu", "h100-sxm-80gb", "--tp", number) for number in ("0", "-2", "x", "9" * 400)],
        *[("fit", SMALL, "--gpu", "h100-sxm-80gb", "--gpu-memory-utilization", share) for share in ("0", "1.5", "-1", "nan", "x")],
        *[("fit", SMALL, "--gpu", "h100-sxm-80gb", "--max-model-len", tokens) for tokens in ("0", "-1", "1e300", "9" * 400)],
        ("fit", SMALL, "--gpu", ""),
        ("plan", ""),
        ("plan", SMALL, "--output", ""),
        ("plan", SMALL, "--engine-version", "newest"),
        ("fit", SMALL, "--gpu", "h100-sxm-80gb", "--engine-version", "x"),
        ("validate", "no-such-file.jsonl"),
        ("plan", "\0"),
        ("plan", "x" * 100_000),
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    refused(capsys, *arguments)


def test_a_bare_g_is_refused_with_both_readings(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "fit", SMALL, "--gpu", "h100-sxm-80gb", "--kv-cache-memory-bytes", "80G")
    assert "80GB" in line.replace(" ", "")
    assert "80GiB" in line.replace(" ", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--engine", "vllm", "--mem-fraction-static", "0.8"),
        ("--engine", "sglang", "--gpu-memory-utilization", "0.8"),
        ("--engine", "llama.cpp", "--max-num-seqs", "8"),
        ("--engine", "vllm", "--n-gpu-layers", "20"),
    ],
    ids=" ".join,
)
def test_a_flag_of_another_engine_is_refused_by_name(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    assert arguments[2] in refused(capsys, "fit", SMALL, "--gpu", "h100-sxm-80gb", *arguments)


def test_a_stranger_s_text_cannot_draw_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "plan", "evil\x1b[31m\nname")
    assert "\x1b" not in line


def config(**changes: object) -> str:
    """A small configuration of our own, changed."""
    return json.dumps(
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": 1024,
            "intermediate_size": 2816,
            "num_hidden_layers": 8,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "vocab_size": 32000,
            "max_position_embeddings": 4096,
            "torch_dtype": "bfloat16",
            "tie_word_embeddings": False,
            **changes,
        }
    )


def test_our_own_configuration_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(config(), encoding="utf-8")
    code, out, _ = run(capsys, "models", "check", str(path), "--format", "json")
    assert code == ANSWERED
    # 8 x (q, o 2 x 1024^2; k, v 2 x 256 x 1024; gate, up, down 3 x 2816 x 1024; two norms) + embedding + head + last norm
    layer = 2 * 1024 * 1024 + 2 * 256 * 1024 + 3 * 2816 * 1024 + 2 * 1024
    assert json.loads(out)["total_params"] == 8 * layer + 2 * 32000 * 1024 + 1024


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "null",
        '"text"',
        "{",
        '{"hidden_size": Infinity}',
        '{"hidden_size": NaN}',
        "{}",
        '{"a": ' * 20_000,
        "[" * 100_000,
        config(hidden_size=0),
        config(hidden_size=-1024),
        config(hidden_size=10**30),
        config(hidden_size="big"),
        config(num_hidden_layers=10**12),
        config(num_hidden_layers=-1),
        config(num_hidden_layers=0),
        config(vocab_size=10**15),
        config(num_attention_heads=0),
        config(model_type="no_such_kind", architectures=["NoSuchModel"], hidden_size=None),
        '{"hidden_size": ' + "9" * 10_000 + "}",
    ],
    ids=lambda content: content[:40],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    refused(capsys, "models", "check", str(path))
    refused(capsys, "plan", str(path), "--concurrency", "1")


@pytest.mark.parametrize("path", ["missing.json", "./no/such/folder", "missing.gguf", "/"])
def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str], path: str) -> None:
    refused(capsys, "plan", path)
    refused(capsys, "models", "check", path)


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00\x80" * 10)
    refused(capsys, "models", "check", str(path))


def gguf(*, magic: bytes = b"GGUF", version: int = 3, tensors: int = 0, pairs: int = 0, rest: bytes = b"") -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, pairs) + rest


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        gguf(magic=b"FUGG"),
        gguf(version=99),
        gguf(tensors=2**63),
        gguf(pairs=2**63),
        gguf(pairs=1, rest=struct.pack("<Q", 2**62)),
        gguf(pairs=1, rest=pair(b"general.architecture", 8, struct.pack("<Q", 2**60))),
        gguf(pairs=1, rest=pair(b"general.architecture", 8, struct.pack("<Q", 5) + b"llama")),
        gguf(pairs=1, rest=pair(b"a", 9, struct.pack("<IQ", 9, 2**50))),
        gguf(pairs=1, rest=pair(b"a", 77, b"")),
        gguf(
            pairs=2, rest=pair(b"general.architecture", 8, struct.pack("<Q", 5) + b"llama") + pair(b"llama.block_count", 10, struct.pack("<Q", 2**60))
        ),
        gguf(tensors=1, rest=struct.pack("<Q", 4) + b"name" + struct.pack("<I", 2**31)),
        gguf(tensors=1, rest=struct.pack("<Q", 4) + b"name" + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0)),
    ],
    ids=range(14),
)
def test_a_lying_gguf_header_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    refused(capsys, "models", "check", str(path))


def safetensors(header: object, *, length: int | None = None, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        safetensors({}, length=2**63),
        safetensors({}, length=2**40),
        safetensors(b"{"),
        safetensors([]),
        safetensors({"a": {"dtype": "BF16", "shape": [4, 4], "data_offsets": [0, 10**15]}}),
        safetensors({"a": {"dtype": "BF16", "shape": [4, 4], "data_offsets": [0, 5]}}, data=b"\0" * 5),
        safetensors({"a": {"dtype": "BF16", "shape": [-4, 4], "data_offsets": [0, 32]}}, data=b"\0" * 32),
        safetensors({"a": {"dtype": "XX", "shape": [4, 4], "data_offsets": [0, 32]}}, data=b"\0" * 32),
        safetensors({"a": 7}),
    ],
    ids=range(11),
)
def test_a_lying_safetensors_header_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "config.json").write_text(config(), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(capsys, "models", "check", str(tmp_path))
