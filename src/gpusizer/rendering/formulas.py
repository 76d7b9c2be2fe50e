"""Formulas for readers: expression recorded from the function itself, symbols with units, source, worked example with its numbers."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from gpusizer import formulas
from gpusizer.errors import UnknownIdError
from gpusizer.formulas.core import REGISTRY, Formula, Symbol
from gpusizer.i18n import has, text
from gpusizer.rendering.document import Column, Document, Fixed, Heading, Paragraph, Table

__all__ = ["describe", "formula_document", "formulas_document", "registry", "worked"]


def registry() -> Mapping[str, Formula]:
    """Every formula by id, in the order of the ids."""
    for module in pkgutil.walk_packages(formulas.__path__, "gpusizer.formulas."):
        import_module(module.name)
    return dict(sorted(REGISTRY.items()))


def describe(formula: Formula, language: str) -> dict[str, Any]:
    """All that is to say about a formula, as plain data."""
    numbers = {name: Symbol(_number(value)) for name, value in formula.example.items()}
    return {
        "id": formula.id,
        "name": _name(formula, language),
        "unit": formula.unit,
        "expression": formula.expression(),
        "symbols": dict(formula.symbols),
        "valid": {name: list(ends) for name, ends in formula.valid.items()},
        "reference": formula.reference,
        "example": {
            "inputs": dict(formula.example),
            "with_numbers": str(formula.function(**numbers).text),
            "result": formula.example_result(),
        },
    }


def worked(formula_id: str, inputs: Mapping[str, Any], language: str) -> dict[str, str]:
    """A formula with the numbers of an answer in it.

    Parameters
    ----------
    formula_id : str
        A registered formula.
    inputs : mapping of str to float
        Its arguments.
    language : str
        "en" or "zh".

    Returns
    -------
    dict
        Its name, expression, the same with numbers, unit and reference.

    Examples
    --------
    >>> found = worked("memory.constants.share", {"share": 0.08, "of_bytes": 1000}, "en")
    >>> found["expression"], found["with_numbers"]
    ('share*of_bytes', '0.08*1000')
    """
    found = REGISTRY[formula_id] if formula_id in REGISTRY else registry()[formula_id]
    return {
        "name": _name(found, language),
        "expression": str(found.function(**{name: Symbol(name) for name in inputs}).text),
        "with_numbers": str(found.function(**{name: Symbol(_number(value)) for name, value in inputs.items()}).text),
        "unit": found.unit,
        "reference": found.reference,
    }


def formulas_document(language: str) -> Document:
    """All formulas; a spreadsheet gets the expressions as well."""
    described = [describe(formula, language) for formula in registry().values()]
    columns = [Column(text("ui", code, language)) for code in ("id", "name", "unit", "expression")]
    return Document(
        {"schema": "gpusizer.formulas/1", "formulas": described},
        [Table(columns[:3], [[each["id"], each["name"], each["unit"]] for each in described])],
        csv=Table(columns, [[each["id"], each["name"], each["unit"], each["expression"]] for each in described]),
    )


def formula_document(formula_id: str, language: str) -> Document:
    """One formula."""
    known = registry()
    if formula_id not in known:
        close = difflib.get_close_matches(formula_id, known, 3, 0.4) or [name for name in known if formula_id.lower() in name][:3]
        raise UnknownIdError("unknown-formula", id=formula_id, nearest=close)
    data = describe(known[formula_id], language)
    example = data["example"]
    rows = [[name, unit, _number(example["inputs"][name], grouped=True)] for name, unit in data["symbols"].items()]
    columns = [Column(text("ui", "symbol", language)), Column(text("ui", "unit", language)), Column(text("ui", "example", language), right=True)]
    if data["valid"]:
        columns.append(Column(text("ui", "valid-range", language)))
        rows = [[*row, " - ".join(_number(end) for end in data["valid"].get(row[0], ()))] for row in rows]
    return Document(
        {"schema": "gpusizer.formula/1", **data},
        [
            Heading(f"{data['name']} ({data['id']})"),
            Fixed(f"{data['expression']}  [{data['unit']}]"),
            Table(columns, rows),
            Paragraph(text("ui", "example", language)),
            Fixed(f"{example['with_numbers']}\n= {_number(example['result'], grouped=True)} {data['unit']}"),
            Paragraph(text("ui", "source-line", language, source=data["reference"])),
        ],
    )


def _name(formula: Formula, language: str) -> str:
    if has("formula", formula.id, language):
        return text("formula", formula.id, language)
    return (formula.function.__doc__ or formula.id).strip().splitlines()[0].rstrip(".")


def _number(value: Any, *, grouped: bool = False) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return f"{value:,}" if grouped else str(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)
