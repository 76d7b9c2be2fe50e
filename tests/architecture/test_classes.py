"""What classes say, as data: the vocabulary, the rows and the readers agree word for word."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from gpusizer.architecture.readers.classes.class_rows import class_of_gguf, class_row
from gpusizer.architecture.readers.classes.class_words import ClassWords
from gpusizer.architecture.readers.classes.table_file import TableFile

READERS = Path(__file__).parents[2] / "src" / "gpusizer" / "architecture" / "readers"
TABLES: dict[str, Any] = tomllib.loads((READERS / "classes" / "classes.toml").read_text(encoding="utf-8"))
SHARED: dict[str, dict[str, Any]] = TABLES.pop("shared")
GGUF_NAMES: dict[str, str] = TABLES.pop("gguf_names")
VOCABULARY = get_type_hints(ClassWords)
NO_WORDS = {"text", "shares", "config", "null"}


def test_every_word_is_written_by_a_row() -> None:
    assert {word for row in (*TABLES.values(), *SHARED.values()) for word in row} - NO_WORDS == set(VOCABULARY)


def test_every_word_is_read_by_a_reader() -> None:
    assert set(_words_read()) == set(VOCABULARY)


def _words_read() -> Iterator[str]:
    """Attributes that readers take from class words: ``words.norms``, ``layer.class_words.norms``."""
    for path in READERS.rglob("*.py"):
        if path.parent.name == "classes" or path.parent.name == "towers":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                if (isinstance(owner, ast.Name) and owner.id == "words") or (isinstance(owner, ast.Attribute) and owner.attr == "class_words"):
                    yield node.attr


@pytest.mark.parametrize("model_type", TABLES)
def test_a_row_read_alone_says_what_the_whole_file_says(model_type: str) -> None:
    row, written = class_row(model_type), TABLES[model_type]
    assert row is not None
    own = {word: value for word, value in written.items() if word not in NO_WORDS}
    taken = {word: value for name in written.get("shares", ()) for word, value in SHARED[name].items() if word not in NO_WORDS}
    assert row.words == {**taken, **own}
    assert row.text == written.get("text")
    assert row.text is None or row.text in TABLES
    assert row.config.items() >= written.get("config", {}).items()
    assert all(row.config[key] is None for key in written.get("null", ()))


@pytest.mark.parametrize("model_type", TABLES)
def test_every_value_has_the_type_of_its_word(model_type: str) -> None:
    row = class_row(model_type)
    assert row is not None
    words = ClassWords(row.words)
    for word in row.words:
        value = getattr(words, word)
        assert _is(value, VOCABULARY[word]), (word, value)


def _is(value: object, kind: Any) -> bool:
    """Whether a value is of a type, one of the values of a ``Literal``, or a tuple of such."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in inside
    if origin is tuple:
        return isinstance(value, tuple) and all(_is(each, inside[0]) for each in value)
    if inside:
        return any(_is(value, each) for each in inside)
    return type(value) is kind


def test_every_gguf_name_means_a_class() -> None:
    assert {class_of_gguf(name) for name in GGUF_NAMES} <= set(TABLES)
    assert class_row("gguf_names") is None
    assert class_row("shared.mamba") is None


@pytest.mark.parametrize("path", [READERS / "classes" / "classes.toml", READERS / "towers" / "implied.toml"], ids=lambda path: path.name)
def test_tables_read_one_by_one_say_what_the_file_says(path: Path) -> None:
    file, whole = TableFile(path), tomllib.loads(path.read_text(encoding="utf-8"))
    joined: dict[str, Any] = {}
    for head in file.heads:
        *outer, name = head.split(".")
        place = joined
        for each in outer:
            place = place.setdefault(each, {})
        place[name] = file.table(head)
    assert joined == whole
    assert file.table("crystal_ball") == {}
