"""What answers of a surface need: a file that holds an input, a command line in this process, chance that follows from an input."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from conftest import DATA, SHARED, lines_of
from gpusizer.cli.main import main
from gpusizer.facts.catalog import model_entry, model_ids
from tiny_config import CONFIG

__all__ = ["chosen", "command", "file", "folder", "known_keys", "large_configs", "once_in", "small_configs"]

ANSWERED, WRONG, DOES_NOT_FIT = 0, 2, 3
_LARGEST = 20_000  # bytes of a configuration that is changed and read again and again
_Choice = TypeVar("_Choice")


@cache
def folder() -> Path:
    """A folder of this process; commands run in it."""
    holder = tempfile.TemporaryDirectory(prefix="gpusizer-fuzz-")
    _held.append(holder)
    return Path(holder.name)


_held: list[tempfile.TemporaryDirectory[str]] = []  # removed with the process


def file(name: str, content: bytes) -> str:
    """The path of a file of this process that holds an input."""
    number, path = _opened(name)
    os.pwrite(number, content, 0)
    os.ftruncate(number, len(content))
    os.utime(number, ns=(0, next(_moments)))
    return path


@cache
def _opened(name: str) -> tuple[int, str]:
    """A file that stays open: one that is made anew for each input costs more than reading it does."""
    path = folder() / name
    path.parent.mkdir(exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT), str(path)


_moments = count(1)  # of changes: answers that are kept until a file changes are not kept from one input to the next


def once_in(times: int, content: bytes) -> bool:
    """Whether an input is one of the few that more is asked of: always the same ones."""
    return crc32(content) % times == 0


def chosen(choices: Sequence[_Choice], content: bytes) -> _Choice:
    """A choice that follows from an input."""
    return choices[crc32(content, 7) % len(choices)]


def command(arguments: Sequence[str]) -> str:
    """What a command line prints; one that is refused says so in one line and prints nothing.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    """
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace", newline=""), io.StringIO()
    before, given = os.getcwd(), sys.stdin
    try:
        os.chdir(folder())
        sys.stdin = io.StringIO("")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    finally:
        os.chdir(before)
        sys.stdin = given
    out.seek(0)
    said, printed = err.getvalue(), out.read()
    assert code in (ANSWERED, WRONG, DOES_NOT_FIT), f"exit code {code}: {said}"
    if code == WRONG:
        assert printed == "", printed[:200]
        assert said.endswith("\n"), said
        assert said[:-1].isprintable(), said
    return printed


@cache
def small_configs() -> tuple[bytes, ...]:
    """Configurations of many classes of models with a few narrow layers."""
    small = [json.dumps(line["config"]).encode() for line in lines_of(DATA / "small_models.jsonl")]
    return (json.dumps(CONFIG).encode(), *sorted(small, key=len))


@cache
def large_configs() -> tuple[bytes, ...]:
    """One configuration of the catalogue for each class of models, and those that lie beside the checkout."""
    found = {model_entry(id).config["model_type"]: model_entry(id).config for id in model_ids()}
    values = [json.dumps({key: value for key, value in each.items() if key != "gpusizer"}).encode() for each in found.values()]
    return (*values, *(path.read_bytes() for path in sorted((SHARED / "hf-configs").glob("*.json")) if path.stat().st_size < _LARGEST))


@cache
def known_keys() -> tuple[str, ...]:
    """Every name that a configuration of the catalogue has, at any depth."""
    found: set[str] = set()
    open_: list[object] = [model_entry(id).config for id in model_ids()]
    while open_:
        value = open_.pop()
        if isinstance(value, dict):
            found |= set(value)
            open_ += value.values()
        elif isinstance(value, list):
            open_ += value[:5]
    return tuple(sorted(found))
