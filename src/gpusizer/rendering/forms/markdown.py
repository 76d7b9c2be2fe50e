"""Markdown: headings, tables, fixed lines."""

from __future__ import annotations

from gpusizer.i18n import printable
from gpusizer.rendering.document import Document, Fixed, Heading, Points, Table

__all__ = ["write"]


def write(document: Document) -> str:
    """The whole answer, blocks parted by an empty line."""
    parts: list[str] = []
    for block in document.blocks:
        if isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Heading):
            parts.append(f"## {_plain(block.words)}")
        elif isinstance(block, Fixed):
            parts.append("\n".join(f"    {line}" for line in block.words.splitlines()))
        elif isinstance(block, Points):
            parts.append("\n".join(f"- {_plain(line)}" for line in block.lines))
        else:
            parts.append(_plain(block.words))
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    heading = [column.title for column in table.columns]
    rule = ["---:" if column.right else "---" for column in table.columns]
    rows = [[_plain(cell).replace("|", "\\|") if cell else "" for cell in line] for line in (heading, *table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (rows[0], rule, *rows[1:]))


def _plain(words: str) -> str:
    r"""Words that stay words: nothing in them becomes a tag, a link, code or emphasis.

    >>> print(_plain("<b>[x](y)`|*"))
    &lt;b>[x]\(y)\`|\*
    """
    line = printable(words)
    for mark in ("\\", "`", "*"):
        line = line.replace(mark, "\\" + mark)
    return line.replace("](", "]\\(").replace("<", "&lt;")
