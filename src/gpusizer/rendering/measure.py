"""What was measured, for readers: the times of each run beside what is predicted for its set-up, through ``validate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.i18n import text
from gpusizer.rendering.document import Block, Column, Document, Lines, Table
from gpusizer.rendering.notices import notice_data, warning_lines
from gpusizer.rendering.validate import reason_data, reason_words
from gpusizer.validation.own_runs import lacking
from gpusizer.validation.validate import CaseResult

__all__ = ["measured_document"]

_TIMES = (("ttft_s", 1000, ".0f"), ("tpot_s", 1000, ".1f"), ("output_tokens_per_s", 1, ",.0f"))  # quantity, factor of its unit, digits


def measured_document(cases: Sequence[Mapping[str, Any]], compared: Sequence[CaseResult], notices: Iterable[Notice], language: str) -> Document:
    """The answer of ``measure``.

    Parameters
    ----------
    cases : sequence of mapping
        As they are written.
    compared : sequence of CaseResult
        The same cases with their predictions.
    notices : iterable of Notice
        What must be said.
    language : str
        "en" or "zh".

    Returns
    -------
    Document
        JSON with the cases; one table of measured beside predicted; a row for each case for spreadsheets.
    """
    warnings = list({(each.code, repr(each.parameters)): each for each in notices}.values())
    data = {
        "schema": "gpusizer.measure/1",
        "cases": list(cases),
        "compared": [_compared(each) for each in compared],
        "warnings": [notice_data(each, "warning") for each in warnings],
    }
    table = _table(cases, compared, language)
    told = [each for case, each in zip(cases, compared, strict=True) if each.reason is not None and not lacking(case)]
    unpredicted = dict.fromkeys(text("measure", "unpredicted", language, why=reason_words(each.reason, language)) for each in told if each.reason)
    blocks: list[Block] = [table, *([Lines(list(unpredicted))] if unpredicted else []), *warning_lines(warnings, language)]
    return Document(data, blocks, csv=table)


def _compared(case: CaseResult) -> dict[str, Any]:
    reason = None if case.reason is None else reason_data(case.reason)
    quantities = {name: one.to_dict() for name, one in case.quantities.items()}
    return {"id": case.id, "covered": case.covered, "reason": reason, "quantities": quantities}


def _table(cases: Sequence[Mapping[str, Any]], compared: Sequence[CaseResult], language: str) -> Table:
    """Load, then each quantity: measured, predicted, error; predictions are left out where there are none at all."""
    predicted = any(each.quantities for each in compared)
    columns = [Column(text("measure", code, language), right=code != "load") for code in ("load", "tokens-in", "tokens-out", "requests")]
    for name, _, _ in _TIMES:
        columns.append(Column(text("measure", name, language), right=True))
        if predicted:
            columns += [Column(text("measure", code, language), right=True) for code in ("predicted", "error")]
    rows = [_row(case, each, language, predicted=predicted) for case, each in zip(cases, compared, strict=True)]
    return Table(columns, rows)


def _row(case: Mapping[str, Any], compared: CaseResult, language: str, *, predicted: bool) -> list[str]:
    lengths = [f"{case[name]:,.0f}" if case.get(name) else "" for name in ("isl", "osl")]
    cells = [_load(case, language), *lengths, f"{case['num_prompts']:,.0f}" if case.get("num_prompts") else ""]
    for name, factor, digits in _TIMES:
        measured, found = compared.measured.get(name) or _of_all(case, name), compared.quantities.get(name)
        cells.append("" if measured is None else format(measured * factor, digits))
        if predicted:
            error = None if found is None else found.error
            cells.append("" if found is None else format(found.predicted * factor, digits))
            cells.append("" if error is None else f"{error:+.0%}")
    return cells


def _of_all(case: Mapping[str, Any], name: str) -> float | None:
    """The rate of a case that does not say how many GPUs worked."""
    rate: float | None = case["measured"].get("output_tok_s") if name == "output_tokens_per_s" else None
    return rate


def _load(case: Mapping[str, Any], language: str) -> str:
    if isinstance(rate := case.get("request_rate"), int | float):
        return text("measure", "load-rate", language, rate=rate)
    if case.get("concurrency"):
        return text("measure", "load-concurrency", language, concurrency=case["concurrency"])
    return text("measure", "load-burst", language, requests=case.get("num_prompts") or 0)
