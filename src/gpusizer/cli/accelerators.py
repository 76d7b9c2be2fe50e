"""``gpusizer accelerators list`` and ``show ID``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpusizer.cli.catalog_group import catalog_group

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The group in one language."""

    def all_of_them() -> Document:
        from gpusizer.facts.catalog import accelerators
        from gpusizer.rendering.accelerators import accelerators_document

        return accelerators_document(accelerators(), language)

    def one(accelerator_id: str) -> Document:
        from gpusizer.facts.catalog import accelerator
        from gpusizer.rendering.accelerators import accelerator_document

        return accelerator_document(accelerator(accelerator_id), language)

    return catalog_group("accelerators", language, all_of_them=all_of_them, one=one, example="h200-sxm-141gb")
