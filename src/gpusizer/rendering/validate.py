"""Predicted against measured, for readers: the accuracy table by quantity and engine, what is not covered and why; JSON by the public contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.i18n import has, text
from gpusizer.rendering.accuracy import by_engine, by_quantity, coverage_lines, over_owners, told_apart, unseen
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table
from gpusizer.validation.measured import PERFORMANCE_QUANTITIES

if TYPE_CHECKING:
    from gpusizer.validation.accuracy import Accuracy, Compared
    from gpusizer.validation.validate import CaseResult, Validation

__all__ = ["reason_data", "reason_words", "validation_document"]

LEAST_CASES = 20  # of one source and quantity, from which on its errors are printed


def validation_document(validation: Validation, language: str) -> Document:
    """The answer of ``validate``.

    Parameters
    ----------
    validation : Validation
        All cases.
    language : str
        "en" or "zh".

    Returns
    -------
    Document
        JSON with every case; tables of the accuracy for people; a row for each case and quantity for spreadsheets.
    """
    data = _data(validation)
    summary = data["summary"]
    blocks: list[Block] = [*map(Paragraph, coverage_lines(summary, validation.not_judged, language))]
    if validation.summary():
        blocks += [Heading(text("ui", "accuracy", language)), by_quantity(summary, language)]
    if len(validation.owners()) > 1:
        blocks += [Heading(text("ui", "accuracy-over-owners", language)), over_owners(summary, language)]
    if len(validation.engines()) > 1:
        blocks += [Heading(text("ui", "accuracy-by-engine", language)), by_engine(summary, language)]
    blocks += told_apart(summary, (*validation.kinds(), *validation.regimes(), *validation.owners()), language)
    if "tpot_s" in validation.summary():
        blocks.append(unseen(language))
    refused = _refusals(validation, language)
    if refused.rows:
        blocks += [Heading(text("ui", "not-covered", language)), refused]
    blocks.append(Paragraph(text("ui", "accuracy-note", language)))
    return Document(data, blocks, csv=_all_cases(validation, language))


def _data(validation: Validation) -> dict[str, Any]:
    summary: dict[str, Any] = _summary(validation.summary())
    _tell_apart(summary, validation)
    summary["by_engine"] = {
        engine: {**_summary(validation.summary(engine=engine)), "coverage": validation.coverage(engine)} for engine in validation.engines()
    }
    summary["coverage"] = validation.coverage()
    return {"schema": "gpusizer.validate/1", "cases": [_case(case) for case in validation.cases], "summary": summary}


def _summary(accuracies: Mapping[str, Accuracy]) -> dict[str, Any]:
    return {name: asdict(accuracy) for name, accuracy in accuracies.items()}


def _tell_apart(summary: dict[str, Any], validation: Validation) -> None:
    """Beside the figures of each quantity: the same by kind of start or of load, and by source."""
    groups = {
        "by_kind": {kind: validation.summary(kind=kind) for kind in validation.kinds()},
        "by_regime": {regime: validation.summary(regime=regime) for regime in validation.regimes()},
        "by_source": {owner: _with_enough(validation.summary(owner=owner)) for owner in validation.owners()},
    }
    for name in PERFORMANCE_QUANTITIES:
        if name in summary:
            summary[name]["not_judged"] = validation.not_judged
    for key, told in groups.items():
        for group, accuracies in told.items():
            for name, accuracy in accuracies.items():
                summary[name].setdefault(key, {})[group] = asdict(accuracy)


def _with_enough(accuracies: Mapping[str, Accuracy]) -> dict[str, Accuracy]:
    """Quantities with enough cases to say something about their source."""
    return {name: accuracy for name, accuracy in accuracies.items() if accuracy.n >= LEAST_CASES}


def _case(case: CaseResult) -> dict[str, Any]:
    return {
        "id": case.id,
        "engine": case.engine,
        "covered": case.covered,
        "reason": reason_data(case.reason) if case.reason else None,
        "quantities": {name: _compared(name, compared) for name, compared in case.quantities.items()},
        "warnings": [reason_data(each) for each in case.notices],
    }


def _compared(name: str, compared: Compared) -> dict[str, Any]:
    """Bytes and tokens are whole."""
    data = compared.to_dict()
    if name.endswith(("_bytes", "_tokens")):
        data |= {key: round(data[key]) for key in ("predicted", "low", "high", "measured") if data[key] is not None and isfinite(data[key])}
    return data


def reason_data(notice: Notice) -> dict[str, Any]:
    """Why a case was not predicted, or what was taken for granted, as JSON."""
    sentences = {language: reason_words(notice, language) for language in ("en", "zh")}
    return {"code": notice.code, "parameters": dict(notice.parameters), "sentence": sentences}


def reason_words(notice: Notice, language: str) -> str:
    """The same as a sentence."""
    group = next((group for group in ("reason", "error", "warning") if has(group, notice.code, language)), "reason")
    return text(group, notice.code, language, **notice.parameters)


def _refusals(validation: Validation, language: str) -> Table:
    """Reasons with the number of cases, the commonest first."""
    counts: dict[str, int] = {}
    for case in validation.cases:
        if case.reason:
            sentence = reason_words(case.reason, language)
            counts[sentence] = counts.get(sentence, 0) + 1
    rows = [[str(count), sentence] for sentence, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    return Table([Column(text("ui", "cases", language), right=True), Column(text("ui", "why", language))], rows)


def _all_cases(validation: Validation, language: str) -> Table:
    """For spreadsheets: one row for each case and quantity, numbers as they are."""
    codes = ("id", "engine", "quantity", "predicted", "low", "high", "measured", "error", "why")
    rows: list[list[str]] = []
    for case in validation.cases:
        if case.reason:
            rows.append([case.id, case.engine, "", "", "", "", "", "", reason_words(case.reason, language)])
        for name, compared in case.quantities.items():
            numbers = [compared.predicted, compared.low, compared.high, compared.measured, compared.error]
            rows.append([case.id, case.engine, name, *("" if number is None else f"{number}" for number in numbers), ""])
    return Table([Column(text("ui", code, language)) for code in codes], rows)
