"""A page of its own: a report where the answer has one, else its blocks under one style. No script, nothing from elsewhere."""

from __future__ import annotations

from gpusizer.rendering.document import Answer
from gpusizer.rendering.report.page import blocks_page

__all__ = ["write"]


def write(document: Answer) -> str:
    """The whole answer as one HTML file; one that has a page of its own (``html``) gives that."""
    own: str | None = getattr(document, "html", None)
    return blocks_page(document.blocks) if own is None else own
