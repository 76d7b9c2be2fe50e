"""``gpusizer serve``: the page and the HTTP API."""

from __future__ import annotations

import re
from typing import Any

import click

from gpusizer.cli.extras import needs_extra
from gpusizer.cli.group import Command
from gpusizer.errors import FlagError
from gpusizer.i18n import text
from gpusizer.units import parse_duration_s

__all__ = ["build"]

_LONGEST_S = 3600
_ROOT = re.compile(r"(?:/[\w.~-]+)*", re.ASCII)


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(host: str, port: int, trusted_host: tuple[str, ...], **said: Any) -> int:
        with needs_extra("web", "gpusizer serve"):
            from gpusizer.web.server import serve
            from gpusizer.web.settings import Settings, trusted

        settings = Settings(trusted_hosts=trusted(trusted_host, host), **{name: value for name, value in said.items() if value is not None})
        serve(settings, host, port, lambda address: click.echo(text("ui", "serving", language, address=address)))
        return 0

    return Command(
        "serve",
        language,
        callback=run,
        params=[
            click.Option(["--host"], default="127.0.0.1", metavar="ADDRESS", help=text("option", "host", language)),
            click.Option(["--port"], default=8000, type=click.IntRange(0, 65535), metavar="N", help=text("option", "port", language)),
            click.Option(["--trusted-host"], multiple=True, metavar="NAME", help=text("option", "trusted-host", language)),
            click.Option(["--root-path"], callback=_read_root, metavar="PATH", help=text("option", "root-path", language)),
            click.Option(["--workers"], type=click.IntRange(1, 256), metavar="N", help=text("option", "workers", language)),
            click.Option(["--time-limit", "time_limit_s"], callback=_read_limit, metavar="20s", help=text("option", "time-limit", language)),
        ],
        help=text("command", "serve", language),
        examples=(
            "gpusizer serve",
            "gpusizer serve --host 0.0.0.0 --port 8080 --trusted-host gpusizer.example",
            "gpusizer serve --root-path /gpusizer",
        ),
    )


def _read_root(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A path that begins with a slash and ends without."""
    if value is None:
        return None
    root = value.rstrip("/")
    if not _ROOT.fullmatch(root):
        raise FlagError("bad-root-path", found=value[:40])
    return root


def _read_limit(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    limit_s = parse_duration_s(value)
    if limit_s > _LONGEST_S:
        raise FlagError("out-of-bounds", option="--time-limit", low=0, high=_LONGEST_S, found=value[:40])
    return limit_s
