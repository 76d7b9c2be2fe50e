"""``gpusizer run-on NAME:COUNT ...``: which models run on what I have?"""

from __future__ import annotations

from typing import Any

import click

from gpusizer.cli import completions
from gpusizer.cli.group import Command
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""
    from gpusizer.cli.request_options import field_parameter
    from gpusizer.planning.run_on.request import FIELDS

    def run(machine: tuple[str, ...], form: str, output: str | None, *, detail: bool, **values: Any) -> int:
        from gpusizer.planning.run_on.answer import run_on
        from gpusizer.planning.run_on.here import with_here
        from gpusizer.rendering.run_on import run_on_document

        request, notices = with_here(machine, values)
        answer = run_on(request, notices)
        show(run_on_document(answer, language, detail=detail), form, output)
        return 0 if answer.rows else 3

    return Command(
        "run-on",
        language,
        callback=run,
        params=[
            click.Argument(["machine"], metavar="NAME:COUNT", nargs=-1, shell_complete=completions.accelerators),
            *(field_parameter(field, language) for field in FIELDS if field.option),
            click.Option(["--detail"], is_flag=True, help=text("option", "run-on-detail", language)),
            format_option(language),
            output_option(language),
        ],
        help=text("command", "run-on", language),
        examples=(
            "gpusizer run-on l40s:4 a100-40gb:8",
            "gpusizer run-on rtx-4090 --host-memory 128GB --host-bandwidth 2xDDR5-5600",
            "gpusizer run-on m3-ultra-512gb --use code --min-speed 20",
            "gpusizer run-on here --users 50 --context-tokens 32k",
            "gpusizer run-on h200:8 --concurrency 64 --licence open --format json",
        ),
    )
