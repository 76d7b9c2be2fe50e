"""The command line as a stranger uses it: exit codes, what goes to stdout and what to stderr, and one clear line for everything that is wrong.

Most tests call ``main`` in this process (it is what the installed command calls); those that concern the process itself start one.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpusizer.cli.main import main

ANSWERED, DOES_NOT_FIT, WRONG = 0, 3, 2
SMALL = "qwen3-8b"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command line that must end in exit code 2."""
    code, out, err = run(capsys, *arguments)
    assert code == WRONG, (arguments, code, out[:200], err)
    assert out == ""
    assert err.endswith("\n"), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "defect" not in err
    return err


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gpusizer", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8", **environment}, timeout=120, check=False)


# ---- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", SMALL, "--concurrency", "4", "--context-tokens", "4k"),
        ("fit", SMALL, "--gpu", "h100-sxm-80gb", "--max-model-len", "8k"),
        ("models", "list"),
        ("models", "show", SMALL),
        ("accelerators", "list"),
        ("accelerators", "show", "h200-sxm-141gb"),
        ("engines", "list"),
        ("engines", "show", "vllm"),
        ("scenarios", "list"),
        ("scenarios", "show", "knowledge-base"),
        ("explain",),
        ("explain", "storage.scaled_format"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", ["text", "json", "markdown", "csv"])
def test_every_command_answers_in_every_form_on_stdout_alone(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], form: str) -> None:
    code, out, err = run(capsys, *arguments, "--format", form)
    assert code == ANSWERED
    assert err == ""
    assert out.endswith("\n")
    assert out.strip()
    if form == "json":
        data = json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} in JSON"))
        assert data["schema"].startswith("gpusizer.")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("plan", "--help"), ("fit", "--help"), ("models", "--help"), ("models", "show", "--help")])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_in_both_languages(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], language: str) -> None:
    code, out, err = run(capsys, *arguments, "--language", language)
    assert (code, err) == (ANSWERED, "")
    assert ("Usage:" in out) == (language == "en")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == ANSWERED
    assert any(character.isdigit() for character in out)


def test_what_does_not_fit_is_an_answer_with_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fit", "deepseek-v3", "--gpu", "rtx4090-24gb", "--max-model-len", "4k", "--format", "json")
    assert (code, err) == (DOES_NOT_FIT, "")
    data = json.loads(out)
    assert data["fits"] is False
    assert data["reason"]["code"]


def test_a_plan_that_no_limit_allows_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "plan", "deepseek-v3", "--concurrency", "10", "--gpu", "rtx4090-24gb", "--max-gpus", "1", "--format", "json")
    assert (code, err) == (DOES_NOT_FIT, "")
    data = json.loads(out)
    assert data["options"] == []
    assert data["rejected"]


def test_parts_of_one_gpu_sum_to_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", SMALL, "--gpu", "h100-sxm-80gb", "--max-model-len", "8k", "--format", "json")
    data = json.loads(out)
    assert code == ANSWERED
    assert sum(item["bytes"] for item in data["items"]) == data["per_gpu"]["device_total_bytes"]


def test_more_context_never_frees_memory(capsys: pytest.CaptureFixture[str]) -> None:
    concurrency = []
    for context in ("2k", "8k", "32k"):
        _, out, _ = run(capsys, "fit", SMALL, "--gpu", "h100-sxm-80gb", "--max-model-len", context, "--format", "json")
        concurrency.append(json.loads(out)["max_concurrency"])
    assert concurrency == sorted(concurrency, reverse=True)


@pytest.mark.parametrize("name", ["Qwen3-8B", "QWEN/QWEN3-8B", "qwen3-8b"])
def test_a_model_by_any_letter_case(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = run(capsys, "models", "show", name, "--format", "json")
    assert code == ANSWERED
    assert json.loads(out)["id"] == SMALL


def test_chinese_by_locale_and_by_option() -> None:
    assert "没有名为" in process("models", "show", "no-such-model", LC_ALL="", LANG="zh_CN.UTF-8").stderr.decode()
    assert "没有名为" in process("models", "show", "no-such-model", "--language", "zh").stderr.decode()
    assert "there is no model" in process("models", "show", "no-such-model", "--language=en", LC_ALL="", LANG="zh_CN.UTF-8").stderr.decode()


# ---- wrong words ----------------------------------------------------------------------------------------------------


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
        ("validate",),
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


# ---- wrong files ----------------------------------------------------------------------------------------------------


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


# ---- output ---------------------------------------------------------------------------------------------------------


def test_output_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "answer.json"
    code, out, err = run(capsys, "models", "list", "--format", "json", "--output", str(target))
    assert (code, out, err) == (ANSWERED, "", "")
    assert json.loads(target.read_text(encoding="utf-8"))["schema"] == "gpusizer.models/1"
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_there_survives_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "answer.json"
    target.write_text("before", encoding="utf-8")
    refused(capsys, "models", "show", "no-such-model", "--output", str(target))
    assert target.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("target", ["", "no/such/folder/answer.txt", "a\0b"])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    refused(capsys, "scenarios", "list", "--output", str(tmp_path / target) if target else str(tmp_path))


def test_a_reader_that_leaves_is_no_error() -> None:
    listing = subprocess.Popen([sys.executable, "-m", "gpusizer", "accelerators", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.close()
    assert listing.wait(timeout=120) in (0, -13)
    assert listing.stderr.read() == b""
    listing.stderr.close()


@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "</dev/null >&-"])
def test_closed_streams_are_no_defect(closing: str) -> None:
    answer = subprocess.run(["bash", "-c", f'"{sys.executable}" -m gpusizer scenarios list {closing}'], capture_output=True, timeout=120, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (ANSWERED, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line() -> None:
    answer = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m gpusizer scenarios list > /dev/full'], capture_output=True, timeout=120, check=False
    )
    assert answer.returncode == WRONG
    assert answer.stderr.count(b"\n") == 1
    assert b"stdout" in answer.stderr


def test_a_terminal_that_knows_ascii_only_still_gets_chinese() -> None:
    answer = process("scenarios", "list", "--language", "zh", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert answer.returncode == ANSWERED
    assert "名称" in answer.stdout.decode("utf-8")


def test_the_installed_command_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    answer = process("accelerators", "show", "h200-sxm-141gb", "--format", "json")
    assert answer.returncode == ANSWERED
    _, out, _ = run(capsys, "accelerators", "show", "h200-sxm-141gb", "--format", "json")
    assert json.load(io.BytesIO(answer.stdout)) == json.loads(out)
