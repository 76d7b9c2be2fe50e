"""``gpusizer explain [FORMULA_ID]``: the formula as it is computed, its symbols, source and a worked example."""

from __future__ import annotations

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(formula_id: str | None, form: str, output: str | None) -> None:
        from gpusizer.answers import formula_answer

        show(formula_answer(formula_id, language), form, output)

    return Command(
        "explain",
        language,
        callback=run,
        params=[click.Argument(["formula_id"], required=False, metavar="[FORMULA_ID]"), format_option(language), output_option(language)],
        help=text("command", "explain", language),
        examples=("gpusizer explain", "gpusizer explain article.total"),
    )
