"""A file of many TOML tables of which a start needs one or two: the text is cut at the heads, and only the tables that are asked for are parsed.

Parsing such a file whole takes some 10 to 15 ms at every start, cutting it well below one; a test holds that the pieces say what the whole says.
"""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["TableFile"]

_HEAD = re.compile(r'^\["?([^\]"]+)"?\]\n', re.MULTILINE)


class TableFile:
    """One file.

    Parameters
    ----------
    path : Path
        The file; no table of it has others below it that have heads of their own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}

    @cached_property
    def _pieces(self) -> dict[str, str]:
        """The text of every table by its head."""
        pieces = _HEAD.split(self._path.read_text(encoding="utf-8"))
        return dict(zip(pieces[1::2], pieces[2::2], strict=True))

    @cached_property
    def heads(self) -> frozenset[str]:
        """Every table of the file."""
        return frozenset(self._pieces)

    def table(self, head: str) -> dict[str, Any]:
        """One table; empty where there is none."""
        if head not in self._known:
            self._known[head] = tomllib.loads(self._pieces.get(head, ""))
        return self._known[head]
