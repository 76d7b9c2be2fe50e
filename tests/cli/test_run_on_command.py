"""``run-on`` and ``largest-context`` on the command line: forms, exit codes, the machine at hand."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from command_line import ANSWERED, DOES_NOT_FIT, process, refused, run


def test_every_form_has_the_same_models(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("run-on", "rtx-4090", "--use", "code", "--top", "2")
    code, out, err = run(capsys, *asked, "--format", "json")
    assert (code, err) == (ANSWERED, "")
    data = json.loads(out)
    names = [model["name"] for model in data["models"] if model["verdict"] != "no"]
    assert len(names) >= 2
    for form in ("text", "markdown", "csv", "html"):
        _, out, _ = run(capsys, *asked, "--format", form)
        assert all(name in out for name in names), form
    _, chinese, _ = run(capsys, *asked, "--language", "zh")
    assert "首选" in chinese


def test_what_runs_nothing_leaves_with_three(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "run-on", "rtx-4090", "--model", "deepseek-v3")
    assert code == DOES_NOT_FIT
    assert "DeepSeek-V3" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "NAME:COUNT"),
        (("no-such-card",), "no-such-card"),
        (("l40s:0",), "l40s"),
        (("l40s", "--host-memory", "128"), "128"),
        (("l40s", "--host-bandwidth", "fast"), "fast"),
        (("l40s", "--use", "poetry"), "--use"),
        (("l40s", "--licence", "none-of-these"), "none-of-these"),
        (("l40s", "--engine", "no-engine"), "no-engine"),
        (("l40s", "--model", "no-such-model-at-all"), "no-such-model-at-all"),
        (("l40s", "--context-tokens", "-1"), "--context-tokens"),
    ],
)
def test_what_cannot_be_read_is_one_line(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in refused(capsys, "run-on", *arguments)


def test_the_machine_at_hand_is_asked(tmp_path: Path) -> None:
    """A driver's tool on PATH that prints what nvidia-smi prints: its cards are those of the answer."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase "$*" in *query-gpu*) printf "NVIDIA L40S, 46068\\nNVIDIA L40S, 46068\\n";; esac\n')
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    done = process("run-on", "here", "--model", "qwen3-32b", "--format", "json", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == ANSWERED, done.stderr
    data = json.loads(done.stdout)
    assert data["machine"] == [{"gpu": "l40s-48gb", "count": 2}]
    assert data["host_memory_bytes"] > 0


def test_a_machine_without_gpus_is_told_so(tmp_path: Path) -> None:
    done = process("run-on", "here", PATH=str(tmp_path))
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_the_longest_context_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("largest-context", "qwen3-32b", "--gpu", "h100-sxm-80gb")
    code, out, _ = run(capsys, *asked, "--format", "json")
    assert code == ANSWERED
    data = json.loads(out)
    tokens = data["rows"][0]["context_tokens"]
    assert data["schema"] == "gpusizer.largest-context/1"
    for form in ("text", "markdown", "csv", "html"):
        _, out, _ = run(capsys, *asked, "--format", form)
        assert f"{tokens:,}" in out or str(tokens) in out
    assert run(capsys, "largest-context", "deepseek-v3", "--gpu", "rtx-4090-24gb")[0] == DOES_NOT_FIT
