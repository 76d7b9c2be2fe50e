"""Errors as one line of one language: what was expected, what was found, what to try."""

from __future__ import annotations

from typing import Any

import click

from gpusizer.cli.near_misses import nearest_options
from gpusizer.errors import GpusizerError
from gpusizer.i18n import error_sentence, printable
from gpusizer.rendering.failures import defect_of

__all__ = ["defect_line", "error_line", "usage_line"]


def error_line(error: GpusizerError, language: str) -> str:
    """The line for an error of ours.

    >>> from gpusizer.errors import UnknownIdError
    >>> error_line(UnknownIdError("unknown-engine", id="vlm", nearest=["vllm"]), "en")
    'gpusizer: there is no engine "vlm"; did you mean vllm? `gpusizer engines list` shows all'
    """
    return line(error.code, language, **error.parameters)


def line(code: str, language: str, **parameters: Any) -> str:
    """``gpusizer: what is wrong; what to try``, on one line whatever the parameters hold."""
    return {"en": "gpusizer: ", "zh": "gpusizer："}[language] + error_sentence(code, language, parameters)


def usage_line(error: click.UsageError, language: str) -> str:
    """The line for a wrong command line that click found."""
    if isinstance(error, click.NoSuchOption):
        known = {spelling for parameter in _context(error).command.params for spelling in parameter.opts}
        nearest = nearest_options(error.option_name, known, list(error.possibilities or ()))
        return line("unknown-option", language, option=error.option_name, nearest=nearest)
    if isinstance(error, click.MissingParameter):
        return line("missing-argument", language, name=error.param.make_metavar(_context(error)) if error.param else printable(error.param_hint))
    if isinstance(error, click.BadOptionUsage):
        return line("option-needs-value", language, option=error.option_name)
    if isinstance(error, click.BadParameter):
        option = "/".join(error.param.opts) if error.param else printable(error.param_hint)
        return f"{line('bad-value', language, option=option, found='', expected='').split(':')[0]}: {printable(error.message, language)}"
    unexpected = getattr(error, "message", "")
    found = unexpected.split("(", 1)[1].rstrip(")") if "unexpected extra argument" in unexpected else ""
    if found:
        return line("unexpected-argument", language, found=found)
    return f"gpusizer: {printable(unexpected, language)}"


def defect_line(error: Exception, language: str) -> str:
    """The line for an exception that nobody foresaw: its kind and place, for the report."""
    return error_line(defect_of(error), language)


def _context(error: click.UsageError) -> click.Context:
    return error.ctx or click.Context(click.Command("gpusizer"))
