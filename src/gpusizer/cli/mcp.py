"""``gpusizer mcp``: tools for agents over the Model Context Protocol, on stdin and stdout."""

from __future__ import annotations

import signal
import sys

import click

from gpusizer.cli.extras import needs_extra
from gpusizer.cli.group import Command
from gpusizer.cli.request_options import field_parameter
from gpusizer.i18n import text
from gpusizer.planning.request import FIELDS

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(hub: str | None) -> None:
        with needs_extra("mcp", "gpusizer mcp"):
            from gpusizer.mcp.server import serve
        if sys.stdin.isatty():
            click.echo(text("tool", "waiting", language), err=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that waits for stdin heeds no interrupt of Python's own
        serve(language, hub)

    return Command(
        "mcp",
        language,
        callback=run,
        params=[field_parameter(field, language) for field in FIELDS if field.name == "hub"],
        help=text("command", "mcp", language),
        examples=("gpusizer mcp", "gpusizer mcp --hub", "gpusizer mcp --language zh"),
    )
