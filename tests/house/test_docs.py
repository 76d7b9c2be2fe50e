"""The documents: every command in them works, both languages say the same, and what they show is what the commands print."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from conftest import DATA, ROOT, SHARED_ABSENT
from gpusizer.cli.main import main
from gpusizer.facts.accuracy import PATH, measured_accuracy
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from own_cases import validated

READMES = ("README.md", "README.zh.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Command lines of gpusizer between backticks, without those that are shown in a fence with their output."""
    return list(dict.fromkeys(re.findall(r"`(gpusizer [^`]+)`", text(name))))


def test_both_languages_name_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh.md")
    assert [line.count("\n## ") for line in map(text, READMES)] == [text("README.md").count("\n## ")] * 2
    codes = [re.findall(r"```python\n(.*?)```", text(name), re.DOTALL) for name in READMES]
    assert codes[0] == codes[1]


@pytest.mark.parametrize("command", commands("README.md"))
def test_every_command_of_the_readme_works(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from gpusizer.architecture.readers import read_config
    from gpusizer.facts.catalog import model_entry

    words = shlex.split(command)[1:]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(model_entry("qwen3-8b").config)), encoding="utf-8")
    assert read_config(model_entry("qwen3-8b").config).layers
    cases = DATA / "cases.jsonl"
    for place, word in enumerate(words):
        if word.lower() == "cases.jsonl":
            words[place] = str(cases)
    assert main(words) in (0, 3), capsys.readouterr().err


def test_the_python_of_the_readme_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["fit"].fits  # type: ignore[attr-defined]


def test_contributing_lists_every_script_and_only_rooms_that_exist() -> None:
    words = text("CONTRIBUTING.md")
    missing = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and f"scripts/{path.name}" not in words]
    assert not missing
    rooms = re.findall(r"^      (\w+)/ ", words, re.MULTILINE)
    assert sorted(rooms) == sorted(path.name for path in (ROOT / "src" / "gpusizer").iterdir() if path.is_dir() and path.name != "__pycache__")
    for path in re.findall(r"`((?:src|tests|scripts|engines|facts|architecture|formulas|i18n|planning|rendering)/[\w./-]+\.\w+)`", words):
        assert (ROOT / path).exists() or (ROOT / "src" / "gpusizer" / path).exists(), path


SCRIPT = runpy.run_path(str(ROOT / "scripts" / "update_docs.py"))


def printed(command: str) -> str | None:
    """What a command prints, as a document shows it; measured cases are predicted once for all languages and tests."""
    words = shlex.split(command)
    if words[1] != "validate":
        return str(SCRIPT["output"](command))
    assert words[3:5] == ["--format", "markdown"]
    if not (ROOT / words[2]).exists():
        return None  # left as it is
    language = words[words.index("--language") + 1] if "--language" in words else "en"
    return str(SCRIPT["shown"](render(validation_document(validated(Path(words[2]).name), language), "markdown"), words))


@pytest.mark.parametrize("name", READMES)
def test_what_the_documents_show_is_what_the_commands_print(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``scripts/update_docs.py`` writes it anew."""
    for variable, value in SCRIPT["PLAIN"].items():
        monkeypatch.setenv(variable, value)
    assert text(name) == SCRIPT["renewed"](text(name), printed), f"stale: {name}"


def test_the_accuracy_in_the_package_is_what_validate_says() -> None:
    """``scripts/update_docs.py`` writes it anew."""
    files = SCRIPT["measured_files"]()
    if not all(path.exists() for path in files):
        pytest.skip(SHARED_ABSENT)
    written = PATH.read_text(encoding="utf-8")
    assert SCRIPT["renewed_accuracy"](written, lambda path: validated(path.name)) == written, "stale: accuracy.json"
    assert [each.file for each in measured_accuracy().files] == [path.name for path in files]
