"""The file of the constants of speed, written whole from what was read of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpusizer.performance.constants import Constant, ConstantTable, Measured

__all__ = ["updated", "written"]


def updated(tables: Iterable[ConstantTable], known: Mapping[str, Constant]) -> list[ConstantTable]:
    """The tables with other constants in their places."""
    return [table._replace(constants=tuple(known.get(each.name, each) for each in table.constants)) for table in tables]


def written(about: str, fit: Mapping[str, Any], measured: Measured, tables: Sequence[ConstantTable]) -> str:
    """The whole file.

    Parameters
    ----------
    about : str
        What it is, for people.
    fit : mapping
        Date, runs, groups, owners and errors of the fit; "unseen" are median errors of owners that were left out, by quantity.
    measured : Measured
        Owners by generation and storage class, and by engine.
    tables : sequence of ConstantTable
        Everything that it holds.

    Returns
    -------
    str
        TOML.
    """
    lines = ["about = '''", about.strip("\n"), "'''", "", "[fit]", f"date = '{fit['date']}'", f"runs = {fit['runs']}", f"groups = {fit['groups']}"]
    lines += [f"owners = {fit['owners']}", "unseen = { " + ", ".join(f"{name} = {error:.3f}" for name, error in fit["unseen"].items()) + " }"]
    lines += ["errors = [", *(f"  '{error}'," for error in fit["errors"]), "]"]
    for name, owners in measured._asdict().items():
        lines += ["", f"[measured.{name}]  # independent owners", *(f"{_literal(key)} = {number}" for key, number in sorted(owners.items()))]
    heading = ""
    for table in tables:
        if table.heading != heading:
            heading = table.heading
            lines += ["", f"# ---- {heading} ".ljust(120, "-")]
        lines += ["", "[[table]]", f"heading = {_literal(table.heading)}", f"unit = {_literal(table.unit)}", f"evidence = {_literal(table.evidence)}"]
        lines += [f"comment = {_literal(table.comment)}", "rows = '''", *_rows(table.constants), "'''"]
    return "\n".join(lines) + "\n"


def _literal(words: str) -> str:
    return f"'''{words}'''" if "'" in words else f"'{words}'"


def _rows(constants: Sequence[Constant]) -> list[str]:
    cells = [_cells(constant) for constant in constants]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]) for row in cells]


def _cells(constant: Constant) -> list[str]:
    cells = [constant.name, f"{constant.value:.5g}"]
    if constant.error is not None and constant.prior is not None and constant.prior_spread is not None:
        cells += [str(constant.runs), str(constant.owners), f"{constant.error:.2g}", f"{constant.prior:.5g}", f"{constant.prior_spread:.3g}"]
    elif constant.runs:
        cells += [str(constant.runs), str(constant.owners)]
    return cells
