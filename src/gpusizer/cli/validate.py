"""``gpusizer validate [CASES.jsonl]``: predict each measured case and print the errors; without a file, those of this release."""

from __future__ import annotations

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(cases: str | None, form: str, output: str | None) -> None:
        from gpusizer.answers import accuracy_answer
        from gpusizer.rendering.validate import validation_document
        from gpusizer.validation.case_file import each_case
        from gpusizer.validation.validate import validate

        answer = accuracy_answer(language) if cases is None else validation_document(validate(each_case(cases)), language)
        show(answer, form, output)

    return Command(
        "validate",
        language,
        callback=run,
        params=[click.Argument(["cases"], required=False, metavar="[CASES.jsonl]"), format_option(language), output_option(language)],
        help=text("command", "validate", language),
        examples=("gpusizer validate", "gpusizer validate cases.jsonl", "gpusizer validate cases.jsonl --format markdown --output accuracy.md"),
    )
