"""``gpusizer models list``, ``show ID`` and ``check PATH``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gpusizer.cli import completions
from gpusizer.cli.catalog_group import Entry, Listing, catalog_group, listing_command, one_command
from gpusizer.cli.list_filters import model_filters

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The group in one language."""

    def all_of_them(words: str | None, use: str | None, licence: str | None) -> Document:
        from gpusizer.answers import models_answer

        return models_answer(language, words, use, licence)

    def one(model_id: str) -> Document:
        from gpusizer.answers import model_answer

        return model_answer(model_id, language)

    def check(source: str) -> Document:
        from gpusizer.answers import architecture_answer

        return architecture_answer(source, language)

    def number_formats() -> Document:
        from gpusizer.answers import number_formats_answer

        return number_formats_answer(language)

    def checking(language: str) -> click.Command:
        return one_command("models", "check", "PATH", language, Entry(check, "./config.json", completions.models))

    def formats(language: str) -> click.Command:
        return listing_command("models", "formats", language, Listing(number_formats))

    more: dict[str, Callable[[str], click.Command]] = {"check": checking, "formats": formats}
    listing = Listing(all_of_them, model_filters, ["gpusizer models list --use code --licence free", "gpusizer models list --filter 'qwen3 moe'"])
    return catalog_group("models", language, listing=listing, entry=Entry(one, "deepseek-v3", completions.models), more=more)
