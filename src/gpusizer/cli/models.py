"""``gpusizer models list``, ``show ID`` and ``check PATH``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gpusizer.cli import completions
from gpusizer.cli.catalog_group import Entry, Listing, catalog_group, listing_command, one_command
from gpusizer.cli.list_filters import has_words, words_filter

if TYPE_CHECKING:
    from gpusizer.architecture.model import Architecture
    from gpusizer.rendering.document import Document

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The group in one language."""

    def all_of_them(words: str | None) -> Document:
        from gpusizer.architecture.load import load_architecture
        from gpusizer.facts.catalog import model_entry, model_ids
        from gpusizer.rendering.models import model_words, models_document

        found = [(model_entry(each), load_architecture(each)) for each in model_ids()]
        kept = [(entry, model.parameters) for entry, model in found if has_words(words, model_words(entry, model))]
        return models_document(kept, language)

    def one(model_id: str) -> Document:
        from gpusizer.architecture.load import load_architecture
        from gpusizer.facts.catalog import model_entry
        from gpusizer.facts.model_words import model_meant
        from gpusizer.rendering.models import model_document

        entry = model_entry(model_meant(model_id).id)
        architecture = load_architecture(model_id)
        return model_document(entry, architecture, _figures(architecture), language)

    def check(source: str) -> Document:
        from gpusizer.architecture.load import load_architecture
        from gpusizer.rendering.models import architecture_document

        architecture = load_architecture(source)
        return architecture_document(architecture, _figures(architecture), language)

    def number_formats() -> Document:
        from gpusizer.facts.catalog import number_formats
        from gpusizer.rendering.catalog import number_formats_document

        return number_formats_document(number_formats(), language)

    def checking(language: str) -> click.Command:
        return one_command("models", "check", "PATH", language, Entry(check, "./config.json", completions.models))

    def formats(language: str) -> click.Command:
        return listing_command("models", "formats", language, Listing(number_formats))

    more: dict[str, Callable[[str], click.Command]] = {"check": checking, "formats": formats}
    listing = Listing(all_of_them, lambda language: [words_filter(language)], ["gpusizer models list --filter 'qwen3 moe'"])
    return catalog_group("models", language, listing=listing, entry=Entry(one, "deepseek-v3", completions.models), more=more)


def _figures(architecture: Architecture) -> list[tuple[str, int]]:
    """Checkpoint and cache by the codes of their words."""
    from gpusizer.article.model_figures import model_figures

    figures = model_figures(architecture)
    names = ("checkpoint_bytes", "kv_cache_bytes_per_token", "fixed_bytes_per_request")
    return [(name.replace("_", "-"), getattr(figures, name)) for name in names]
