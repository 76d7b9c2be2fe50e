"""``gpusizer workbook``: every model in one spreadsheet that computes by itself."""

from __future__ import annotations

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver_bytes, output_option
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(engine: str, engine_version: str | None, output: str | None) -> None:
        from gpusizer.rendering.workbook import catalogue_workbook

        deliver_bytes(lambda: catalogue_workbook(language, engine=engine, version=engine_version), output)

    return Command(
        "workbook",
        language,
        callback=run,
        params=[
            click.Option(["--engine"], default="vllm", metavar="NAME", help=text("option", "workbook-engine", language)),
            click.Option(["--engine-version"], metavar="VERSION", help=text("option", "engine_version", language)),
            output_option(language),
        ],
        help=text("command", "workbook", language),
        examples=("gpusizer workbook --output gpusizer.xlsx", "gpusizer workbook --engine sglang --language zh --output gpusizer.xlsx"),
    )
