"""The command line as a stranger uses it: exit codes, what goes to stdout and what to stderr, and one clear line for everything that is wrong.

Most tests call ``main`` in this process (it is what the installed command calls); those that concern the process itself start one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from command_line import ANSWERED, DOES_NOT_FIT, WRONG, process, refused, run

SMALL = "qwen3-8b"


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


@pytest.mark.parametrize(
    "arguments",
    [(), ("--help",), ("plan", "--help"), ("plan", "-h"), ("fit", "--help"), ("fit", "-h"), ("models", "--help"), ("models", "show", "--help")],
)
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


# ---- output ---------------------------------------------------------------------------------------------------------


def test_output_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "answer.json"
    code, out, err = run(capsys, "models", "list", "--format", "json", "--output", str(target))
    assert (code, out) == (ANSWERED, "")
    assert err.startswith(f"wrote {target} (")
    assert err.endswith("kB)\n")
    assert json.loads(target.read_text(encoding="utf-8"))["schema"] == "gpusizer.models/1"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("name", "begins"), [("a.json", "{"), ("a.MD", "| id |"), ("a.csv", "id,"), ("a.txt", "id  "), ("a", "id  ")])
def test_the_ending_of_the_file_says_the_form(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, begins: str) -> None:
    target = tmp_path / name
    assert run(capsys, "models", "list", "--output", str(target))[:2] == (ANSWERED, "")
    assert target.read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize("order", [("--format", "csv", "--output"), ("--format=csv", "--output")])
def test_an_ending_that_contradicts_the_form_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], order: tuple[str, ...]) -> None:
    refused(capsys, "models", "list", *order, str(tmp_path / "a.json"))
    refused(capsys, "fit", SMALL, "--gpu", "h100", "--output", str(tmp_path / "a.xlsx"))
    assert list(tmp_path.iterdir()) == []


def test_an_ending_that_no_form_has_is_refused_with_those_that_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "models", "list", "--output", str(tmp_path / "a.docx"))
    assert all(each in said for each in (".docx", ".txt", ".csv", ".md", ".json"))
    assert ".xlsx" not in said, "a list is no workbook"
    assert ".xlsx" in refused(capsys, "plan", SMALL, "--output", str(tmp_path / "a.docx"))
    assert list(tmp_path.iterdir()) == []
    assert run(capsys, "models", "list", "--format", "text", "--output", str(tmp_path / "a.log"))[0] == ANSWERED


def test_what_was_written_is_said_in_the_language_of_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "plan.xlsx"
    code, out, err = run(capsys, "plan", SMALL, "--gpu", "h100", "--concurrency", "4", "--output", str(target), "--language", "zh")
    assert (code, out) == (ANSWERED, "")
    assert err == f"已写入 {target}（{target.stat().st_size / 1000:.0f} kB）\n"


def test_a_device_that_is_written_to_gets_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "scenarios", "list", "--output", os.devnull) == (ANSWERED, "", "")


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
