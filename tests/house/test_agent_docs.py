"""What agents are told to type works, and the two copies of ``llms.txt`` are one text."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gpusizer
from agent import talk
from command_line import run
from conftest import ROOT

DOCUMENTS = ("AGENTS.md", "llms.txt")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


TYPED = [command for name in DOCUMENTS for command in re.findall(r"`(gpusizer [^`]+)`", text(name))]
COMMANDS = [command for command in dict.fromkeys(TYPED) if command != "gpusizer serve"]


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "gpusizer mcp"])
def test_every_command_answers_in_the_form_that_it_asks_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    code, out, err = run(capsys, *words)
    assert code in (0, 3), err
    if "json" in words:
        assert json.loads(out)["schema"].startswith("gpusizer.")


def test_the_tools_that_are_named_are_those_that_are_offered() -> None:
    assert "gpusizer mcp" in COMMANDS
    assert "offers " + ", ".join(each.name for each in talk([])[0][:5]) + " and accelerators" in text("AGENTS.md")
    ((server,),) = [each.values() for each in json.loads(re.findall(r"```json\n(.*?)```", text("AGENTS.md"), re.DOTALL)[0]).values()]
    assert " ".join([server["command"], *server["args"]]) in COMMANDS


def test_every_field_that_is_named_is_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "plan", "deepseek-v3", "--users", "1000", "--format", "json", "--top", "1")[1])
    option = found["options"][0]
    known = {*found, *found["need"], *option, *option["cost"], *option["speed"], *option["speed"]["ttft_s"]}
    start = json.loads(run(capsys, "fit", "qwen3-32b", "--gpu", "rtx4090", "--format", "json")[1])
    known |= {*start, *start["kv_cache"], *start["remedies"][0], "en", "zh", "fit"}
    section = text("AGENTS.md").partition("## The JSON")[2].partition("## As tools")[0]
    named = [word for words in re.findall(r"`([a-z_.\[\]]+)`", section) for word in words.replace("[]", "").split(".")]
    assert len(named) > 25
    assert not [word for word in named if word not in known]


def test_links_lead_to_files_that_are_there() -> None:
    for name in DOCUMENTS:
        for target in re.findall(r"\]\(([^)/][^)]*)\)", text(name)):
            assert (ROOT / target).is_file(), (name, target)


def test_llms_txt_has_the_form_that_readers_of_it_expect() -> None:
    """A title, a quoted summary, then sections of links (llmstxt.org)."""
    lines = text("llms.txt").splitlines()
    assert lines[0] == "# gpusizer"
    assert lines[2].startswith("> ")
    sections = text("llms.txt").split("\n## ")[1:]
    assert len(sections) >= 2
    for section in sections:
        entries = [line for line in section.splitlines()[1:] if line]
        assert all(re.match(r"- \[[^\]]+\]\([^)]+\)", entry) for entry in entries)


def test_the_package_carries_llms_txt() -> None:
    """``scripts/update_docs.py`` copies it."""
    assert (Path(gpusizer.__file__).parent / "mcp" / "llms.txt").read_text(encoding="utf-8") == text("llms.txt")


def test_the_server_ends_where_nobody_speaks() -> None:
    done = subprocess.run([sys.executable, "-m", "gpusizer", "mcp"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
