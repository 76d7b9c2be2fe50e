"""``gpusizer serve``: the page and the HTTP API."""

from __future__ import annotations

import click

from gpusizer.cli.extras import needs_extra
from gpusizer.cli.group import Command
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(host: str, port: int) -> int:
        with needs_extra("web", "gpusizer serve"):
            from gpusizer.web.server import serve
            from gpusizer.web.settings import Settings

        serve(Settings(), host, port, lambda address: click.echo(text("ui", "serving", language, address=address)))
        return 0

    return Command(
        "serve",
        language,
        callback=run,
        params=[
            click.Option(["--host"], default="127.0.0.1", metavar="ADDRESS", help=text("option", "host", language)),
            click.Option(["--port"], default=8000, type=click.IntRange(0, 65535), metavar="N", help=text("option", "port", language)),
        ],
        help=text("command", "serve", language),
        examples=("gpusizer serve", "gpusizer serve --host 0.0.0.0 --port 8080"),
    )
