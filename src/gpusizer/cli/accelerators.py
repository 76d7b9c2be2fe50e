"""``gpusizer accelerators list`` and ``show ID``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gpusizer.cli import completions
from gpusizer.cli.catalog_group import Entry, Listing, catalog_group
from gpusizer.cli.list_filters import accelerator_filters

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The group in one language."""

    def all_of_them(vendor: str | None, memory: Callable[[float], bool] | None, words: str | None) -> Document:
        from gpusizer.answers import accelerators_answer

        return accelerators_answer(language, vendor, memory, words)

    def one(accelerator_id: str) -> Document:
        from gpusizer.answers import accelerator_answer

        return accelerator_answer(accelerator_id, language)

    examples = ["gpusizer accelerators list --vendor huawei --memory '>=64GB'"]
    listing = Listing(all_of_them, accelerator_filters, examples)
    return catalog_group("accelerators", language, listing=listing, entry=Entry(one, "h200-sxm-141gb", completions.accelerators))
