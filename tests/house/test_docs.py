"""The documents: every command in them works, both languages say the same, links lead somewhere, and what is shown is what the commands print."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import DATA, ROOT, SHARED_ABSENT
from gpusizer.cli.main import main
from gpusizer.facts.accuracy import PATH, measured_accuracy
from own_cases import validated

PAGES = sorted(path.name for path in (ROOT / "docs" / "en").glob("*.md"))
PAIRS = [("README.md", "README.zh.md"), *((f"docs/en/{name}", f"docs/zh/{name}") for name in PAGES)]
WAITING = ("gpusizer mcp", "gpusizer serve")  # they answer until they are ended
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "update_docs.py"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shown(name: str) -> list[tuple[str, int]]:
    """The commands whose output a document shows, each with how many pieces of it."""
    marked = [match["command"].split(" || ") for match in SCRIPT["MARK"].finditer(text(name))]
    return [(command, len(kept)) for command, *kept in marked]


def commands(name: str) -> list[str]:
    """Command lines of gpusizer between backticks."""
    return re.findall(r"`(gpusizer [^`]+)`", text(name))


def code(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text(name), re.DOTALL)


TYPED = dict.fromkeys(command for name, _ in PAIRS for command in commands(name) if not re.search(r"\bID\b", command))
SHOWN = {command for name, _ in PAIRS for command, _ in shown(name)}


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_both_languages_show_and_name_the_same(english: str, chinese: str) -> None:
    assert shown(english) == shown(chinese)
    assert commands(english) == commands(chinese)
    assert text(english).count("\n## ") == text(chinese).count("\n## ")
    assert code(english) == code(chinese)


@pytest.mark.parametrize("command", [each for each in TYPED if each not in SHOWN and each not in WAITING])
def test_every_command_that_is_named_works(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from gpusizer.facts.catalog import model_entry

    words = [str(DATA / "cases.jsonl") if word == "cases.jsonl" else word for word in shlex.split(command)[1:]]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(model_entry("qwen3-8b").config)), encoding="utf-8")
    assert main(words) in (0, 3), capsys.readouterr().err


@pytest.mark.parametrize("pair", PAIRS, ids=[pair[0] for pair in PAIRS])
def test_what_the_documents_show_is_what_the_commands_print(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``scripts/update_docs.py`` writes it anew; the second language finds what the first has worked out."""
    for variable, value in SCRIPT["PLAIN"].items():
        monkeypatch.setenv(variable, value)
    for name in pair:
        assert text(name) == SCRIPT["renewed"](text(name), SCRIPT["language_of"](ROOT / name)), f"stale: {name}"


def test_pictures_are_those_of_the_plan_beside_them() -> None:
    """``scripts/update_docs.py`` draws them anew."""
    for path, language in SCRIPT["PICTURES"].items():
        assert path.read_text(encoding="utf-8") == SCRIPT["picture"](language), f"stale: {path}"


def test_what_is_cut_away_is_marked_and_a_lost_sentence_is_an_error() -> None:
    answer = "it fits\n\na     b\n──────\n1     2\nand   3\n\nmore"
    assert SCRIPT["cut"](answer, ["1"]) == "it fits\n…"
    assert SCRIPT["cut"](answer, ["1", "and"]) == "it fits\n\na     b\n──────\n…\nand   3\n…"
    assert SCRIPT["cut"](answer, ["table 1", "more"]) == "…\na     b\n──────\n1     2\nand   3\n\nmore"
    with pytest.raises(LookupError, match="less"):
        SCRIPT["cut"](answer, ["less"])
    assert SCRIPT["cut"]("  serve \\\n    --port 1\nmore", ["1"]) == "  serve \\\n    --port 1\n…"
    folded = f"{'x ' * 58}a\nsentence.\nAnother."
    assert SCRIPT["cut"](folded, ["x x"]) == "\n".join([*folded.split("\n")[:2], "…"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_most_asked_questions_are_answered_by_a_command_each(language: str) -> None:
    """The ten of the trackers and twenty of the field."""
    for page, heading, count in (("questions", "## ", 10), ("field", "### ", 20)):
        _, *sections = re.split(rf"^{heading}\d+\. ", text(f"docs/{language}/{page}.md"), flags=re.MULTILINE)
        assert len(sections) == count
        assert all("$ gpusizer " in section for section in sections)


def anchors(path: Path) -> set[str]:
    """Where a link may lead within a document: its headings as viewers name them, and places that are named by hand."""
    words = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", words, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    named = re.findall(r'<a id="([^"]+)">', words)
    return {*named, *(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)}


@pytest.mark.parametrize("name", [*(name for pair in PAIRS for name in pair), "docs/index.md", "AGENTS.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    here = ROOT / name
    prose = re.sub(r"^```.*?^```|`[^`]*`", "", text(name), flags=re.MULTILINE | re.DOTALL)
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", prose) if "://" not in link):
        path = (here.parent / target).resolve() if target else here
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_the_python_of_the_documents_runs() -> None:
    (found,) = code("docs/en/api.md")
    names: dict[str, object] = {}
    exec(compile(found, "api.md", "exec"), names)
    assert names["fit"].fits  # type: ignore[attr-defined]


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("mkdocs") is None:
        pytest.skip("MkDocs is not installed (extra docs)")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path)))
    for name in ("index.html", "en/field.html", "zh/accuracy.html", "CONTRIBUTING.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert not re.search(r'(?:src|<link[^>]* href)="(?:https?:)?//', page), name
    assert {path.stem for path in (tmp_path / "zh").glob("*.html")} == {Path(name).stem for name in PAGES}
    named = re.findall(r"en/(\S+\.md)$", text("mkdocs.yml"), re.MULTILINE)
    assert sorted(named) == PAGES
    assert re.findall(r"zh/(\S+\.md)$", text("mkdocs.yml"), re.MULTILINE) == named


def test_contributing_lists_every_script_and_only_rooms_that_exist() -> None:
    words = text("CONTRIBUTING.md")
    missing = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and f"scripts/{path.name}" not in words]
    assert not missing
    rooms = re.findall(r"^      (\w+)/ ", words, re.MULTILINE)
    assert sorted(rooms) == sorted(path.name for path in (ROOT / "src" / "gpusizer").iterdir() if path.is_dir() and path.name != "__pycache__")
    for path in re.findall(r"`((?:src|tests|scripts|engines|facts|architecture|formulas|i18n|planning|rendering)/[\w./-]+\.\w+)`", words):
        assert (ROOT / path).exists() or (ROOT / "src" / "gpusizer" / path).exists(), path


def test_the_accuracy_in_the_package_is_what_validate_says() -> None:
    """``scripts/update_docs.py`` writes it anew; documents, pages and ``validate`` without a file show it."""
    files = SCRIPT["measured_files"]()
    if not all(path.exists() for path in files):
        pytest.skip(SHARED_ABSENT)
    written = PATH.read_text(encoding="utf-8")
    assert SCRIPT["renewed_accuracy"](written, lambda path: validated(path.name)) == written, "stale: accuracy.json"
    assert [each.file for each in measured_accuracy().files] == [path.name for path in files]
