"""``gpusizer engines list`` and ``show ID``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpusizer.cli import completions
from gpusizer.cli.catalog_group import Entry, Listing, catalog_group

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The group in one language."""

    def all_of_them() -> Document:
        from gpusizer.answers import engines_answer

        return engines_answer(language)

    def one(engine_id: str) -> Document:
        from gpusizer.answers import engine_answer

        return engine_answer(engine_id, language)

    return catalog_group("engines", language, listing=Listing(all_of_them), entry=Entry(one, "vllm", completions.engines))
