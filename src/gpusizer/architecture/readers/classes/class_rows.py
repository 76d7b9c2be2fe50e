"""Rows of ``classes.toml`` by ``model_type``: a model needs one row, or two where a wrapper holds a text model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.readers.classes.table_file import TableFile

__all__ = ["ClassRow", "class_of_gguf", "class_row"]

_FILE = TableFile(Path(__file__).with_name("classes.toml"))
_SHARED = "shared."
_GGUF_NAMES = "gguf_names"


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What one class says.

    Parameters
    ----------
    words : mapping
        Words of ``class_words.py``, those that it shares with others among them.
    config : mapping
        Values that it gives to absent keys.
    text : str or None
        ``model_type`` of the text model that it wraps.
    """

    words: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@cache
def class_row(model_type: str | None) -> ClassRow | None:
    """The row of a model type.

    Parameters
    ----------
    model_type : str or None
        As a configuration gives it.

    Returns
    -------
    ClassRow or None
        None for a class that is not known.

    Examples
    --------
    >>> class_row("qwen3").words["qk_norm"], class_row("gemma3").text, class_row("mamba").words["mixer"], class_row("never-heard-of")
    ('head', 'gemma3_text', 'mamba', None)
    """
    if model_type is None or model_type not in _FILE.heads or model_type.startswith(_SHARED) or model_type == _GGUF_NAMES:
        return None
    own = _FILE.table(model_type)
    words: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for part in (*(_FILE.table(_SHARED + name) for name in own.get("shares", ())), own):
        words |= {word: value for word, value in part.items() if word not in ("config", "null", "shares", "text")}
        config |= part.get("config", {}) | dict.fromkeys(part.get("null", ()))
    return ClassRow(words, config, own.get("text"))


def class_of_gguf(name: str) -> str:
    """The ``model_type`` of a GGUF architecture: most have the same name.

    >>> class_of_gguf("qwen3moe"), class_of_gguf("llama")
    ('qwen3_moe', 'llama')
    """
    found: str = _FILE.table(_GGUF_NAMES).get(name, name)
    return found
