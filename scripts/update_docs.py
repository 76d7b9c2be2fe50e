#!/usr/bin/env python3
"""Writes every output shown in the documents anew: ``scripts/update_docs.py``; with ``--check`` it only says which are stale.

In a document, what a command prints stands between ``<!-- output: COMMAND -->`` and ``<!-- end -->``, in the language of the document. What of it is
shown may follow: ``|| 3 || table 1 || Speed:`` is the first three lines, the first table, and each sentence or row that holds ``Speed:``. Files that
commands name lie in ``docs/examples``; ``cat FILE`` shows one. What a server also hands out has its one source in the package and is copied from
there; what ``validate`` says of measured cases goes into the package as well, and is shown from there.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.cli.main import main as gpusizer
from gpusizer.facts import accuracy
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.rendering.charts import memory_bar
from gpusizer.rendering.forms.text import fold
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.case_file import each_case
from gpusizer.validation.validate import Validation, validate

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs"
EXAMPLES = PAGES / "examples"
DOCUMENTS = [ROOT / "README.md", ROOT / "README.zh.md", *sorted(PAGES.glob("*/*.md"))]
PICTURES = {PAGES / language / "memory.svg": language for language in ("en", "zh")}
COPIES = {ROOT / "llms.txt": ROOT / "src" / "gpusizer" / "mcp" / "llms.txt"}
PLAIN = {"LANG": "C", "LC_ALL": "C", "COLUMNS": "120"}  # outputs are those of this environment
MARK = re.compile(r"(<!-- output: (?P<command>.+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
MEASURED = {"starts": "starts.jsonl", "serving": "serving-speeds.jsonl", "local": "local-speeds.jsonl"}
"""Files of measured cases that predictions are held against, by their subject."""


@cache
def validated(path: Path) -> Validation:
    """Predictions of all cases of a file."""
    return validate(each_case(str(path)))


def language_of(document: Path) -> str:
    """The language that a document is written in."""
    return "zh" if document.parent.name == "zh" or document.name.endswith(".zh.md") else "en"


@cache
def output(marked: str, language: str) -> str:
    """What the marked command prints, as Markdown, cut to what is to be shown."""
    command, *kept = marked.split(" || ")
    words = shlex.split(command)
    if words[0] == "cat":
        return f"```{Path(words[1]).suffix[1:]}\n{written(EXAMPLES / words[1])}```\n"
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.chdir(EXAMPLES):
        code = gpusizer(["--language", language, *words[1:]])
    if code not in (0, 3):
        raise SystemExit(f"{command} left with {code}")
    try:
        answer = cut(printed.getvalue(), kept, "" if "markdown" in words else "…") if kept else printed.getvalue().rstrip("\n")
    except LookupError as missing:
        raise SystemExit(f"{command} no longer says {missing}") from None
    return f"{answer}\n" if "markdown" in words else f"```text\n$ {command}\n{answer}\n```\n"


def cut(answer: str, kept: Sequence[str], gap: str = "…") -> str:
    """So many first lines (``3``), whole tables (``table 1``), and each sentence or row that holds some words; ``gap`` stands for what is left out.

    >>> print(cut("it fits\\n\\na  b\\n────\\n1  2\\n3  4\\n\\nmore", ["1", "3  4"]))
    it fits
    <BLANKLINE>
    a  b
    ────
    …
    3  4
    …
    """
    lines = answer.rstrip("\n").split("\n")
    chosen = {place for words in kept for place in _chosen(lines, words)}
    shown: list[str] = []
    since = 0
    for place in sorted(chosen):
        skipped = lines[since:place]
        shown += [gap] if any(skipped) else skipped[:1]
        shown.append(lines[place])
        since = place + 1
    return "\n".join([*shown, gap] if gap and any(lines[since:]) else shown)


def _chosen(lines: Sequence[str], words: str) -> Iterator[int]:
    """The places of lines that some words ask for."""
    if words.isdecimal():
        yield from range(int(words))
        yield from _rest_of_command(lines, int(words))
        return
    if words.startswith("table "):
        rules = [place for place, line in enumerate(lines) if line.startswith("──")]
        top, end = _paragraph(lines, rules[int(words.removeprefix("table ")) - 1])
        yield from range(top, end)
        return
    found = [place for place, line in enumerate(lines) if words in line]
    if not found:
        raise LookupError(words)
    for place in found:
        yield from _whole(lines, place)


def _rest_of_command(lines: Sequence[str], place: int) -> Iterator[int]:
    """The places of lines that a shell joins to the one before."""
    while 0 < place < len(lines) and lines[place - 1].endswith("\\"):
        yield place
        place += 1


def _paragraph(lines: Sequence[str], place: int) -> tuple[int, int]:
    """Where the lines around a place begin and end that no empty line parts."""
    top = next((each for each in range(place, -1, -1) if not lines[each]), -1) + 1
    return top, next((each for each in range(place, len(lines)) if not lines[each]), len(lines))


def _whole(lines: Sequence[str], start: int) -> Iterator[int]:
    """The places of a sentence or a point that is folded over several lines, or of a row with the headings of its table."""
    top, end = _paragraph(lines, start)
    rule = next((place for place in range(top, start) if lines[place].startswith("──")), None)
    if rule is not None:
        yield from range(top, rule + 1)
    yield start
    for place in range(start + 1, end):
        before, line = lines[place - 1], lines[place]
        if rule is not None:
            goes_on = line.startswith(" " * 12) or not re.search(r"\S {2,}\S", line)
        elif lines[start].startswith("- "):
            goes_on = line.startswith("  ")
        else:
            folded = [fold(joined, int(PLAIN["COLUMNS"]))[0] for joined in (f"{before} {line}", before + line)]
            goes_on = before in folded and not line.startswith(" ")
        if not goes_on:
            return
        yield place


def renewed(document: str, language: str) -> str:
    """A document with every output renewed."""
    return MARK.sub(lambda match: match[1] + output(match["command"], language) + match[4], document)


def picture(language: str) -> str:
    """What one GPU of the README's plan holds, on white paper."""
    plan = make_plan(Request(model="deepseek-v3", users=1000))
    bar = memory_bar(plan.options[0], language, concurrency=plan.need.concurrency)
    return bar.replace("</desc>", '</desc>\n<rect width="100%" height="100%" fill="#ffffff"/>', 1) + "\n"


def measured_files() -> list[Path]:
    """The files of measured cases, whether they are here or not."""
    return [ROOT.parent / "shared" / "data" / name for name in MEASURED.values()]


def summed_up(subject: str, path: Path, validation: Validation) -> dict[str, Any]:
    """What the package says of one file, its shares to a millionth."""
    said = json.loads(render(validation_document(validation, "en"), "json"), parse_float=lambda digits: round(float(digits), 6))
    found = accuracy.MeasuredFile(subject, path.name, list(validation.owners()), validation.not_judged, said["summary"])
    return found._asdict()


def renewed_accuracy(written: str, validated: Callable[[Path], Validation] = validated) -> str:
    """The file of the package with every outcome renewed; its date is that of the last change."""
    files = measured_files()
    if not all(path.exists() for path in files):
        return written
    fresh = [summed_up(subject, path, validated(path)) for subject, path in zip(MEASURED, files, strict=True)]
    old = json.loads(written) if written else {"files": []}
    if old["files"] == fresh:
        return written
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return json.dumps({"date": today, "files": fresh}, ensure_ascii=False, indent=1) + "\n"


def written(path: Path) -> str:
    """What stands in a file; nothing where it is not there yet."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def fresh_texts() -> Iterator[tuple[Path, str]]:
    """Every file that is written here with its text as of now: the accuracy first, as documents show it."""
    yield accuracy.PATH, renewed_accuracy(written(accuracy.PATH))
    yield from ((path, written(source)) for path, source in COPIES.items())
    yield from ((path, picture(language)) for path, language in PICTURES.items())
    yield from ((path, renewed(written(path), language_of(path))) for path in DOCUMENTS)


def main() -> int:
    """Renew, or only check."""
    os.environ.update(PLAIN)
    stale = False
    for path, text in fresh_texts():
        if text == written(path):
            continue
        stale = True
        print(f"{'stale' if '--check' in sys.argv else 'renewed'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
            accuracy.measured_accuracy.cache_clear()
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
