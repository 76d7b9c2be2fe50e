"""The shape of ``accelerators``, ``scenarios``, ``engines`` and ``models``: list all, show one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli.completions import Complete
from gpusizer.cli.group import Command, Group
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["CatalogGroup", "Entry", "Listing", "catalog_group", "listing_command", "one_command"]


class CatalogGroup(Group):
    """A group that lists where an option comes first: ``gpusizer accelerators --vendor amd``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` before options that are not the group's own."""
        own = {spelling for parameter in self.get_params(ctx) for spelling in parameter.opts}
        if args and args[0].startswith("-") and args[0].partition("=")[0] not in own:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class Listing:
    """What ``list`` answers, the options whose values it takes, and command lines for its help."""

    answer: Callable[..., Document]
    filters: Callable[[str], Sequence[click.Option]] = lambda language: ()
    examples: Sequence[str] = ()


@dataclass(frozen=True)
class Entry:
    """What ``show ID`` answers, an id for its help, and what completes one."""

    answer: Callable[[str], Document]
    example: str
    complete: Complete


def one_command(name: str, sub: str, argument: str, language: str, entry: Entry) -> click.Command:
    """A sub-command that takes one word and shows one document."""

    def run(word: str, form: str, output: str | None) -> None:
        show(entry.answer(word), form, output)

    return Command(
        sub,
        language,
        callback=run,
        params=[click.Argument(["word"], metavar=argument, shell_complete=entry.complete), format_option(language), output_option(language)],
        help=text("command", f"{name}-{sub}", language),
        examples=[f"gpusizer {name} {sub} {entry.example}"],
    )


def listing_command(name: str, sub: str, language: str, listing: Listing) -> click.Command:
    """A sub-command without an argument that shows one document."""

    def run(form: str, output: str | None, **values: Any) -> None:
        show(listing.answer(**values), form, output)

    return Command(
        sub,
        language,
        callback=run,
        params=[*listing.filters(language), format_option(language), output_option(language)],
        help=text("command", f"{name}-{sub}", language),
        examples=[*listing.examples, f"gpusizer {name} {sub} --format csv"],
    )


def catalog_group(
    name: str, language: str, *, listing: Listing, entry: Entry, more: dict[str, Callable[[str], click.Command]] | None = None
) -> CatalogGroup:
    """``gpusizer NAME list`` and ``gpusizer NAME show ID``.

    Parameters
    ----------
    listing : Listing
        All of them.
    entry : Entry
        One of them.
    more : mapping of str to callable, optional
        Further sub-commands.
    """

    def every(language: str) -> click.Command:
        return listing_command(name, "list", language, listing)

    def one(language: str) -> click.Command:
        return one_command(name, "show", "ID", language, entry)

    makers = {"list": every, "show": one, **(more or {})}
    return CatalogGroup(name, language, prefix=f"{name}-", makers=makers, help=text("command", name, language))
