"""Where an answer goes: stdout, or a file that is written whole or not at all, which a line on stderr then names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection

import click

from gpusizer.errors import FlagError, InputError
from gpusizer.i18n import text
from gpusizer.rendering.document import Answer
from gpusizer.rendering.render import ENDINGS, ending_of, form_names, form_of_ending, render, render_file
from gpusizer.units import KB, MB

__all__ = ["deliver", "deliver_bytes", "format_option", "output_option", "show"]


def format_option(language: str, *further: str, of_text: Collection[str] = ()) -> click.Option:
    """``--format``: text for people, the others for programs, and what a command offers further; unsaid, the ending of the file says it.

    Parameters
    ----------
    language : str
        Of the help.
    *further : str
        Forms beside those of every answer.
    of_text : collection of str
        Endings of files that are the text itself.
    """
    formats = (*form_names(), *further)

    def check(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
        output: str | None = ctx.params.get("output")
        ending = ending_of(output or "")
        named = formats[0] if ending in of_text else form_of_ending(ending)
        if value is None and ending and named is None:
            endings = [*(each for each, form in ENDINGS.items() if form in formats), *of_text]
            raise FlagError("unknown-ending", output=output, ending=ending, expected=endings)
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


def show(document: Answer, form: str, output: str | None) -> None:
    """Print an answer in one form, or write it to a file.

    Parameters
    ----------
    document : Answer
        The answer.
    form : str
        What ``--format`` or the ending said.
    output : str or None
        A path; None and "-" mean stdout.
    """
    deliver((render if output in (None, "-") else render_file)(document, form), output)


def deliver(words: str, output: str | None) -> None:
    """Print a text, or write it to a file whole or not at all: what was there before survives a failure.

    Parameters
    ----------
    words : str
        The text, without or with its last line end.
    output : str or None
        A path; None and "-" mean stdout.
    """
    words = words if words.endswith("\n") else words + "\n"
    if output is None or output == "-":
        _to_stdout(lambda: sys.stdout.write(words))
    else:
        _to_file(words.encode("utf-8", errors="replace"), output)


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
        _to_file(answer(), output)


def _to_file(content: bytes, output: str) -> None:
    """Write a file and say so; a pipe or a device is left without a word."""
    from gpusizer.rendering.written_files import write_file

    if write_file(content, output):
        language = getattr(click.get_current_context().command, "language", "en")
        click.echo(text("ui", "wrote", language, path=output, size=size_words(len(content))), err=True)


def size_words(size: int) -> str:
    """Bytes of a file in the unit that people read.

    >>> size_words(84_300), size_words(12), size_words(3_450_000)
    ('84 kB', '12 B', '3.5 MB')
    """
    if size < KB:
        return f"{size} B"
    return f"{size / KB:.0f} kB" if size < MB else f"{size / MB:.1f} MB"


def _to_stdout(write: Callable[[], int]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError as left:  # click would leave with 1, which means a defect
        raise click.exceptions.Exit(0) from left
    except OSError as error:
        raise InputError("cannot-write", path="stdout", detail=error.strerror or str(error)) from error
