"""Options that filter lists: words that an entry has, a vendor, a size of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from gpusizer.cli import completions
from gpusizer.i18n import text

__all__ = ["accelerator_filters", "model_filters", "words_filter"]


def words_filter(language: str) -> click.Option:
    """``--filter WORDS``."""
    return click.Option(["--filter", "words"], metavar=text("option", "kind-words", language), help=text("option", "filter", language))


def model_filters(language: str) -> Sequence[click.Option]:
    """What it is for, its licence, words."""
    return [
        click.Option(["--use"], metavar=text("option", "kind-word", language), help=text("option", "use", language), shell_complete=completions.uses),
        click.Option(["--licence", "--license"], metavar=text("option", "kind-word", language), help=text("option", "licence", language)),
        words_filter(language),
    ]


def accelerator_filters(language: str) -> Sequence[click.Option]:
    """Vendor, memory, words."""
    return [
        click.Option(
            ["--vendor"], metavar=text("option", "kind-word", language), help=text("option", "vendor", language), shell_complete=completions.vendors
        ),
        click.Option(["--memory"], metavar=">=80GB", callback=_read_memory, help=text("option", "memory-bound", language)),
        words_filter(language),
    ]


def _read_memory(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Callable[[float], bool] | None:
    if value is None:
        return None
    from gpusizer.facts.filters import memory_bound  # here: help needs no facts

    return memory_bound(value)
