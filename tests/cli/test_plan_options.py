"""Drafts and workers for prompts on the command line: words of both languages, one line where they are wrong, and commands that read back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import pytest

from gpusizer.cli.main import main

PLAN = ("plan", "deepseek-v3", "--concurrency", "64", "--context-tokens", "4k", "--gpu", "h200")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*PLAN, *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_names_what_may_be_asked(capsys: pytest.CaptureFixture[str], language: str) -> None:
    assert main(["plan", "--help", "--language", language]) == 0
    words = capsys.readouterr().out
    assert all(each in words for each in ("--speculative", "--acceptance", "--disaggregate", "mtp", "eagle3:N"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_people_read_what_drafts_and_workers_do(capsys: pytest.CaptureFixture[str], language: str) -> None:
    drafting = answer(capsys, "--language", language, "--speculative", "mtp:2", "--acceptance", "65%")
    assert "mtp" in drafting
    assert "65%" in drafting
    assert "num_speculative_tokens" in drafting
    apart = answer(capsys, "--language", language, "--disaggregate", "on")
    assert apart.count("NixlConnector") == 2
    assert " -> " in apart


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speculative", "ngram:3"],
        ["--speculative", "eagle3:3"],
        ["--speculative", "mtp:1000"],
        ["--acceptance", "0%"],
        ["--acceptance", "nan"],
        ["--disaggregate", "maybe"],
    ],
)
def test_wrong_words_are_one_line(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    assert main([*PLAN, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(("words", "option"), [(("--speculative", "mtp"), "--speculative"), (("--disaggregate", "on"), "--disaggregate")])
def test_a_workbook_says_what_it_does_not_count(capsys: pytest.CaptureFixture[str], tmp_path: object, words: Sequence[str], option: str) -> None:
    assert main([*PLAN, *words, "--format", "xlsx", "--output", f"{tmp_path}/plan.xlsx"]) == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_commands_of_both_kinds_of_workers_fit_at_the_same_bytes(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    option = json.loads(answer(capsys, "--disaggregate", "on", "--engine", engine, "--format", "json"))["options"][0]
    for command, per_gpu in ((option["command"], option["per_gpu"]), (option["prefill"]["command"], option["prefill"]["per_gpu"])):
        assert main(["fit", "--gpu", "h200", "--format", "json", "--", *shlex.split(command)]) == 0
        assert json.loads(capsys.readouterr().out)["per_gpu"] == per_gpu
