"""Markdown: headings, tables, fixed lines."""

from __future__ import annotations

from gpusizer.i18n import printable
from gpusizer.rendering.document import Document, Fixed, Heading, Table

__all__ = ["to_markdown"]


def to_markdown(document: Document) -> str:
    """The whole answer, blocks parted by an empty line."""
    parts: list[str] = []
    for block in document.blocks:
        if isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Heading):
            parts.append(f"## {printable(block.words)}")
        elif isinstance(block, Fixed):
            parts.append("\n".join(f"    {line}" for line in block.words.splitlines()))
        else:
            parts.append(printable(block.words))
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    heading = [column.title for column in table.columns]
    rule = ["---:" if column.right else "---" for column in table.columns]
    lines = [heading, rule, *([printable(cell) if cell else "" for cell in row] for row in table.rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
