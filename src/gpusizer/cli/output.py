"""Where an answer goes: stdout, or a file that is written whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from os.path import splitext

import click

from gpusizer.cli.files import write_file
from gpusizer.errors import FlagError, InputError
from gpusizer.i18n import text
from gpusizer.rendering.render import form_names

__all__ = ["deliver", "deliver_bytes", "format_option", "output_option"]


_ENDINGS = {".csv": "csv", ".json": "json", ".markdown": "markdown", ".md": "markdown", ".svg": "svg", ".xlsx": "xlsx"}


def format_option(language: str, *further: str) -> click.Option:
    """``--format``: text for people, the others for programs, and what a command offers further; unsaid, the ending of the file says it."""
    formats = (*form_names(), *further)

    def check(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
        output: str | None = ctx.params.get("output")
        ending = splitext(output or "")[1].lower()
        named = _ENDINGS.get(ending)
        value = value or named or formats[0]
        if value == "xlsx" and "xlsx" not in formats:
            raise FlagError("no-workbook", expected=list(formats))
        if value not in formats:
            raise FlagError("bad-choice", option="--format", expected=list(formats), found=value)
        if named not in (None, value):
            raise FlagError("format-contradicts-output", form=value, output=output, ending=ending)
        return value

    return click.Option(["--format", "form"], metavar="|".join(formats), callback=check, help=text("option", "format", language))


def output_option(language: str) -> click.Option:
    """``--output FILE``; it is read before ``--format``, which may follow from it."""
    return click.Option(["--output"], is_eager=True, metavar="FILE", help=text("option", "output", language))


def deliver(answer: str, output: str | None) -> None:
    """Print an answer, or write it to a file whole or not at all: what was there before survives a failure.

    Parameters
    ----------
    answer : str
        The text, without or with its last line end.
    output : str or None
        A path; None and "-" mean stdout.
    """
    answer = answer if answer.endswith("\n") else answer + "\n"
    if output is None or output == "-":
        _to_stdout(lambda: sys.stdout.write(answer))
    else:
        write_file(answer.encode("utf-8", errors="replace"), output)


def deliver_bytes(answer: Callable[[], bytes], output: str | None) -> None:
    """Write a file that is no text, whole or not at all; it is made only when it is known where it goes.

    Parameters
    ----------
    answer : callable
        Makes the content.
    output : str or None
        A path; "-" means stdout, which must not be a terminal. None is refused.
    """
    if output is None or (output == "-" and sys.stdout.isatty()):
        raise FlagError("workbook-needs-output")
    if output == "-":
        content = answer()
        _to_stdout(lambda: sys.stdout.buffer.write(content))
    else:
        write_file(answer(), output)


def _to_stdout(write: Callable[[], int]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError as left:  # click would leave with 1, which means a defect
        raise click.exceptions.Exit(0) from left
    except OSError as error:
        raise InputError("cannot-write", path="stdout", detail=error.strerror or str(error)) from error
