#!/usr/bin/env python3
"""Writes every output shown in the documents anew: ``scripts/update_docs.py``; with ``--check`` it only says which are stale.

In a document, what a command prints stands between ``<!-- output: COMMAND -->`` and ``<!-- end -->``. A command that names a file
which is not here (measured cases that are not committed) is left as it is. What a server also hands out has its one source in the package and is
copied from there; what ``validate`` says of measured cases goes into the package as well.
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
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.cli.main import main as gpusizer
from gpusizer.facts import accuracy
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.case_file import each_case
from gpusizer.validation.validate import Validation, validate

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").glob("*.md"))]
COPIES = {ROOT / "llms.txt": ROOT / "src" / "gpusizer" / "mcp" / "llms.txt"}
PLAIN = {"LANG": "C", "LC_ALL": "C", "COLUMNS": "120"}  # outputs are those of this environment
MARK = re.compile(r"(<!-- output: (?P<command>.+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
SUBJECTS = ("starts", "serving", "local")  # what the files hold that the README validates, in its order


@cache
def validated(path: Path) -> Validation:
    """Predictions of all cases of a file, made once for both languages and for the package."""
    return validate(each_case(str(path)))


def output(command: str) -> str | None:
    """What the command prints, as Markdown; None where a file that it names is absent."""
    words = shlex.split(command)
    if any(word.endswith(".jsonl") and not (ROOT / word).exists() for word in words):
        return None
    if words[1] == "validate":
        language = words[words.index("--language") + 1] if "--language" in words else "en"
        return shown(render(validation_document(validated(ROOT / words[2]), language), "markdown"), words)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.chdir(ROOT):
        code = gpusizer(words[1:])
    if code not in (0, 3):
        raise SystemExit(f"{command} left with {code}")
    return shown(printed.getvalue(), words)


def shown(answer: str, words: list[str]) -> str:
    """What was printed, as it stands in a document: Markdown as it is, all else as it looks."""
    answer = answer.rstrip("\n")
    return answer + "\n" if "markdown" in words else f"```text\n{answer}\n```\n"


def renewed(document: str, output: Callable[[str], str | None] = output) -> str:
    """A document with every output renewed."""

    def renew(match: re.Match[str]) -> str:
        fresh = output(match["command"])
        return match[0] if fresh is None else match[1] + fresh + match[4]

    return MARK.sub(renew, document)


def measured_files() -> list[Path]:
    """The files that the README validates."""
    commands = (shlex.split(match["command"]) for match in MARK.finditer(DOCUMENTS[0].read_text(encoding="utf-8")))
    return [ROOT / words[2] for words in commands if words[1] == "validate"]


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
    fresh = [summed_up(subject, path, validated(path)) for subject, path in zip(SUBJECTS, files, strict=True)]
    old = json.loads(written) if written else {"files": []}
    if old["files"] == fresh:
        return written
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return json.dumps({"date": today, "files": fresh}, ensure_ascii=False, indent=1) + "\n"


def stale() -> dict[Path, str]:
    """The documents that would change, with their new text."""
    texts = {path: path.read_text(encoding="utf-8") for path in (*DOCUMENTS, *COPIES) if path.exists()}
    fresh = {path: COPIES[path].read_text(encoding="utf-8") if path in COPIES else renewed(old) for path, old in texts.items()}
    written = accuracy.PATH.read_text(encoding="utf-8") if accuracy.PATH.exists() else ""
    texts, fresh = {**texts, accuracy.PATH: written}, {**fresh, accuracy.PATH: renewed_accuracy(written)}
    return {path: fresh[path] for path, old in texts.items() if fresh[path] != old}


def main() -> int:
    """Renew, or only check."""
    os.environ.update(PLAIN)
    changed = stale()
    for path, text in changed.items():
        print(f"{'stale' if '--check' in sys.argv else 'renewed'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return 1 if changed and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
