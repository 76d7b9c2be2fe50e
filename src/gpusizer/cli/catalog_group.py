"""The shape of ``accelerators``, ``scenarios``, ``engines`` and ``models``: list all, show one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gpusizer.cli.group import Command, Group
from gpusizer.cli.output import deliver, format_option, output_option
from gpusizer.i18n import text

if TYPE_CHECKING:
    from gpusizer.rendering.document import Document

__all__ = ["catalog_group", "listing_command", "one_command"]


def one_command(name: str, sub: str, argument: str, language: str, answer: Callable[[str], Document], example: str) -> click.Command:
    """A sub-command that takes one word and shows one document."""

    def run(word: str, form: str, output: str | None) -> None:
        from gpusizer.rendering.render import render

        deliver(render(answer(word), form), output)

    return Command(
        sub,
        language,
        callback=run,
        params=[click.Argument(["word"], metavar=argument), format_option(language), output_option(language)],
        help=text("command", f"{name}-{sub}", language),
        examples=[f"gpusizer {name} {sub} {example}"],
    )


def listing_command(name: str, sub: str, language: str, answer: Callable[[], Document]) -> click.Command:
    """A sub-command without an argument that shows one document."""

    def run(form: str, output: str | None) -> None:
        from gpusizer.rendering.render import render

        deliver(render(answer(), form), output)

    params = [format_option(language), output_option(language)]
    help_text = text("command", f"{name}-{sub}", language)
    return Command(sub, language, callback=run, params=params, help=help_text, examples=[f"gpusizer {name} {sub} --format csv"])


def catalog_group(
    name: str,
    language: str,
    *,
    all_of_them: Callable[[], Document],
    one: Callable[[str], Document],
    example: str,
    more: dict[str, Callable[[str], click.Command]] | None = None,
) -> Group:
    """``gpusizer NAME list`` and ``gpusizer NAME show ID``.

    Parameters
    ----------
    all_of_them, one : callable
        What ``list`` and ``show`` answer.
    example : str
        An id for the help.
    more : mapping of str to callable, optional
        Further sub-commands.
    """

    def listing(language: str) -> click.Command:
        return listing_command(name, "list", language, all_of_them)

    def show(language: str) -> click.Command:
        return one_command(name, "show", "ID", language, one, example)

    makers = {"list": listing, "show": show, **(more or {})}
    return Group(name, language, prefix=f"{name}-", makers=makers, help=text("command", name, language))
