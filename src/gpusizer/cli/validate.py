"""``gpusizer validate CASES.jsonl``: predict each measured case and print the errors."""

from __future__ import annotations

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(cases: str, form: str, output: str | None) -> None:
        from gpusizer.rendering.validate import validation_document
        from gpusizer.validation.case_file import each_case
        from gpusizer.validation.validate import validate

        show(validation_document(validate(each_case(cases)), language), form, output)

    return Command(
        "validate",
        language,
        callback=run,
        params=[click.Argument(["cases"], metavar="CASES.jsonl"), format_option(language), output_option(language)],
        help=text("command", "validate", language),
        examples=("gpusizer validate cases.jsonl", "gpusizer validate cases.jsonl --format markdown --output accuracy.md"),
    )
