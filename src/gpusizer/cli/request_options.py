"""Options of ``plan`` made from the fields of a request: names, bounds and help exist once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from gpusizer.cli.completions import complete_field
from gpusizer.cli.group import BARE
from gpusizer.i18n import text
from gpusizer.planning.request import FIELDS, Field

__all__ = ["field_parameter", "request_parameters"]


def request_parameters(language: str, skip: Iterable[str] = ()) -> list[click.Parameter]:
    """The argument MODEL and one option for each further field.

    Parameters
    ----------
    language : str
        Language of the help.
    skip : iterable of str
        Fields that a command does not have.
    """
    left_out = set(skip)
    return [field_parameter(field, language) for field in FIELDS if field.name not in left_out]


def field_parameter(field: Field, language: str) -> click.Parameter:
    """One field as an option, or as the argument MODEL."""

    def read(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        return field.read(value or None) if field.many else field.read(value)

    if not field.option:
        return click.Argument([field.name], metavar="MODEL", callback=read, shell_complete=complete_field(field.name))
    metavar = "|".join(field.choices) if field.choices else text("option", f"kind-{field.kind}", language)
    usual: dict[str, Any] = {"is_flag": False, "flag_value": field.choices[0]} if field.option in BARE else {}
    return click.Option(
        [field.option, field.name],
        multiple=field.many,
        metavar=metavar,
        callback=read,
        help=text("option", field.name, language),
        shell_complete=complete_field(field.name, field.choices),
        **usual,
    )
