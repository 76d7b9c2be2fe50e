"""What a shell offers while somebody types, and filters of lists."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from command_line import process, refused, run
from gpusizer.facts.catalog import accelerators, model_ids


def offered(*words: str) -> list[str]:
    """What is offered for the last word of a command line."""
    line = " ".join(["gpusizer", *words])
    answer = process(COMP_WORDS=line, COMP_CWORD=str(len(words)), _GPUSIZER_COMPLETE="bash_complete")
    assert answer.stderr == b""
    return [item.partition(",")[2] for item in answer.stdout.decode().splitlines() if item.startswith("plain,")]


def test_commands_and_options() -> None:
    assert offered("pl") == ["plan"]
    assert {"plan", "fit", "models", "completion"} <= set(offered(""))
    assert offered("mcp", "--hub", "m") == ["modelscope"]
    assert offered("plan", "qwen3-8b", "--conc") == ["--concurrency"]
    assert offered("plan", "qwen3-8b", "--sort", "") == ["best", "gpus", "cost", "speed"]


def test_models_accelerators_and_engines() -> None:
    assert offered("plan", "deepseek-v3.") == [name for name in model_ids() if name.startswith("deepseek-v3.")]
    assert offered("plan", "qwen3-8b", "--gpu", "h20") == [each.id for each in accelerators() if each.id.startswith("h20")]
    assert offered("fit", "qwen3-8b", "--gpu", "h20") == offered("accelerators", "show", "h20")
    assert offered("plan", "qwen3-8b", "--engine", "sg") == ["sglang"]
    assert offered("plan", "qwen3-8b", "--engine", "vllm,sg") == ["vllm,sglang"]
    assert "rag" in " ".join(offered("plan", "qwen3-8b", "--scenario", ""))


def test_flags_of_the_engine_that_was_typed() -> None:
    assert "--max-model-len" in offered("fit", "qwen3-8b", "--max-m")
    assert offered("fit", "qwen3-8b", "--engine", "sglang", "--mem-f") == ["--mem-fraction-static"]


@pytest.mark.parametrize(
    "words", [("nosuch", "x"), ("fit", "x", "--bogus", "3", "--g"), ("plan", "x", "--engine", "vlm", "--gp"), ("models", "nosuch", "")]
)
def test_a_line_that_is_wrong_so_far_is_no_error(words: tuple[str, ...]) -> None:
    offered(*words)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_reads(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    code, script, err = run(capsys, "completion", shell)
    assert (code, err) == (0, "")
    assert f"_GPUSIZER_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    check = [shell, "--no-execute"] if shell == "fish" else [shell, "-n"]
    assert subprocess.run(check, input=script, text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")
def test_bash_completes_with_the_script(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    script = run(capsys, "completion", "bash")[1]
    command = f"{tmp_path}/gpusizer"
    with open(command, "w", encoding="utf-8") as stream:
        stream.write(f'#!/bin/sh\nexec {sys.executable} -m gpusizer "$@"\n')
    words = f'COMP_WORDS=(gpusizer plan deepseek-v3.1-t); COMP_CWORD=2; _gpusizer_completion {command}; echo "${{COMPREPLY[@]}}"'
    answer = subprocess.run(["bash", "-c", f"chmod +x {command}; {script}\n{words}"], capture_output=True, text=True, check=False, timeout=120)
    assert answer.stdout.strip() == "deepseek-v3.1-terminus", answer.stderr


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bash" in refused(capsys, "completion", "csh")


# ---- filters of lists -----------------------------------------------------------------------------------------------


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    code, out, err = run(capsys, *arguments, "--format", "json")
    assert (code, err) == (0, "")
    found: list[dict[str, object]] = next(value for value in json.loads(out).values() if isinstance(value, list))
    return found


def test_accelerators_by_vendor_memory_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    every = {each.id: each for each in accelerators()}
    huawei = {str(each["id"]) for each in listed(capsys, "accelerators", "list", "--vendor", "huawei")}
    assert huawei == {name for name, each in every.items() if each.vendor == "Huawei"}
    large = {str(each["id"]) for each in listed(capsys, "accelerators", "list", "--memory", ">=80GB")}
    assert {"h100-sxm-80gb", "h200-sxm-141gb"} <= large
    assert not {"l40s-48gb", "rtx4090-24gb"} & large
    small = {str(each["id"]) for each in listed(capsys, "accelerators", "list", "--memory", "<80GB")}
    assert large | small == set(every)
    assert not large & small
    assert {str(each["id"]) for each in listed(capsys, "accelerators", "--filter", "h20 sxm")} == {
        name for name in every if name.startswith("h20") and "sxm" in name
    }


def test_models_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    found = [str(each["id"]) for each in listed(capsys, "models", "--filter", "qwen3 moe")]
    assert "qwen3-30b-a3b" in found
    assert "qwen3-8b" not in found
    assert "qwen3-8b" in [str(each["id"]) for each in listed(capsys, "models", "list", "--filter", "QWEN3 dense")]


@pytest.mark.parametrize("arguments", [("--vendor", "nvidiaa"), ("--memory", "80G"), ("--memory", "much"), ("--memory", ""), ("--vender", "amd")])
def test_filters_that_make_no_sense_are_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    refused(capsys, "accelerators", "list", *arguments)


# ---- options by another name ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "option", "meant"),
    [
        ("plan", "--context", "--context-tokens"),
        ("plan", "--max-model-len", "--context-tokens"),
        ("plan", "--batch-size", "--concurrency"),
        ("plan", "--quantization", "--precision"),
        ("plan", "--input", "--input-tokens"),
        ("plan", "--qps", "--request-rate"),
        ("plan", "--user", "--users"),
        ("fit", "--context-tokens", "--max-model-len"),
    ],
)
def test_an_option_by_another_name_is_answered_with_ours(capsys: pytest.CaptureFixture[str], command: str, option: str, meant: str) -> None:
    said = refused(capsys, command, "qwen3-8b", "--gpu", "h100", option, "4")
    assert f"did you mean {meant}" in said
