"""Markdown: headings, tables, fixed lines."""

from __future__ import annotations

import re

from gpusizer.i18n import one_line
from gpusizer.rendering.document import Answer, Command, Fixed, Heading, Lines, Points, Table

__all__ = ["write"]


def write(document: Answer) -> str:
    """The whole answer, blocks parted by an empty line."""
    parts: list[str] = []
    for block in document.blocks:
        if isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Heading):
            parts.append(f"## {_plain(block.words)}")
        elif isinstance(block, Fixed | Command):
            parts.append("\n".join(f"    {line}" for line in block.words.splitlines()))
        elif isinstance(block, Points | Lines):
            parts.append("\n".join(f"- {_plain(line)}" for line in block.lines))
        else:
            parts.append(_plain(block.words))
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    heading = [column.title for column in table.columns]
    rule = ["---:" if column.right else "---" for column in table.columns]
    rows = [[_plain(cell).replace("|", "\\|") if cell else "" for cell in line] for line in (heading, *table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (rows[0], rule, *rows[1:]))


_MARKS = re.compile(
    r"""[\\`*~]                  # code, emphasis, what is struck out
    |(?<![^\W_])_|_(?![^\W_])    # emphasis, but not the line within kv_cache
    |(?<=\])[(\[:]|(?<=!)\[       # links, their definitions, images
    |(?<=:)/(?=/)|(?<=www)\.      # addresses, which become links by themselves
    |(?<=\w)@(?=[\w-]+\.)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _plain(words: str) -> str:
    r"""Words that stay words: nothing in them becomes a tag, a link, code or emphasis.

    >>> print(_plain("<b>[x](y)`|*"), _plain("[a][b] ![c] __d__ kv_cache https://example.org a@b.org &lt;"))
    &lt;b>[x]\(y)\`|\* [a]\[b] !\[c] \_\_d\_\_ kv_cache https:\//example.org a\@b.org &amp;lt;
    """
    line = _MARKS.sub(lambda mark: "\\" + mark[0], one_line(words))
    return re.sub(r"&(?=[#\w]+;)", "&amp;", line).replace("<", "&lt;")
