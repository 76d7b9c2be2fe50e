"""``gpusizer scenarios list`` and ``show ID``."""

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
        from gpusizer.answers import scenarios_answer

        return scenarios_answer(language)

    def one(scenario_id: str) -> Document:
        from gpusizer.answers import scenario_answer

        return scenario_answer(scenario_id, language)

    return catalog_group("scenarios", language, listing=Listing(all_of_them), entry=Entry(one, "knowledge-base", completions.scenarios))
