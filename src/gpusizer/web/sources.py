"""Sources in the words of their authors, as links where they name a page: an address, or a file of a public repository on GitHub."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Piece", "linked"]

_ADDRESS = re.compile(r"https?://[^\s<>\"'、，；（）]*[^\s<>\"'、，；（）.,;:)\]]")
_GITHUB = re.compile(
    r"^(?P<repository>[A-Za-z0-9][\w-]{0,38}/[\w.-]{1,100}?)(?:@(?P<before>[0-9a-f]{7,40}))?: ?(?P<path>[\w./*+-]*)(?:@(?P<after>[0-9a-f]{7,40}))?",
    re.ASCII,
)


class Piece(NamedTuple):
    """Some words, and the address that they lead to; empty for words alone."""

    words: str
    href: str = ""


def linked(source: str) -> list[Piece]:
    """A source with what it names as links.

    Parameters
    ----------
    source : str
        In the words of whoever wrote it down.

    Returns
    -------
    list of Piece
        Together they are the source, to the letter.

    Examples
    --------
    >>> linked("vllm-project/recipes:models/Qwen/Qwen3-8B.yaml@8959cf6 (read in 2026)")[0].href
    'https://github.com/vllm-project/recipes/blob/8959cf6/models/Qwen/Qwen3-8B.yaml'
    >>> linked("see https://example.org/a, page 3")
    [Piece(words='see ', href=''), Piece(words='https://example.org/a', href='https://example.org/a'), Piece(words=', page 3', href='')]
    >>> linked("vllm-project/vllm@4ba787ec9: vllm/v1/core/kv_cache_planning.py, since 0.20.2")[0].href
    'https://github.com/vllm-project/vllm/blob/4ba787ec9/vllm/v1/core/kv_cache_planning.py'
    >>> linked("model card: 32.3B")
    [Piece(words='model card: 32.3B', href='')]
    """
    if (found := _GITHUB.match(source)) is not None:
        rest = source[found.end() :]
        return [Piece(found[0], _on_github(found)), *([Piece(rest)] if rest else [])]
    pieces, at = [], 0
    for found in _ADDRESS.finditer(source):
        pieces += [Piece(source[at : found.start()])] if found.start() > at else []
        pieces.append(Piece(found[0], found[0]))
        at = found.end()
    return [*pieces, *([Piece(source[at:])] if at < len(source) or not source else [])]


def _on_github(found: re.Match[str]) -> str:
    """The file where its commit is known; else the repository."""
    commit, path = found["before"] or found["after"], found["path"]
    whole = path and "*" not in path and not path.startswith("/") and ".." not in path
    return f"https://github.com/{found['repository']}" + (f"/blob/{commit}/{path}" if commit and whole else "")
