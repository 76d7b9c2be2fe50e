"""Predicted against measured, for readers: the accuracy table by quantity and engine, what is not covered and why; JSON by the public contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name
from gpusizer.i18n import has, text
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table

if TYPE_CHECKING:
    from gpusizer.validation.accuracy import Accuracy, Compared
    from gpusizer.validation.validate import CaseResult, Validation

__all__ = ["validation_document"]

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
    coverage = validation.coverage()
    blocks: list[Block] = [Paragraph(text("ui", "validate-coverage", language, **coverage))]
    if validation.not_judged:
        blocks.append(Paragraph(text("ui", "validate-not-judged", language, count=validation.not_judged)))
    if validation.summary():
        blocks += [Heading(text("ui", "accuracy", language)), _by_quantity(validation, language)]
    engines = validation.engines()
    if len(engines) > 1:
        blocks += [Heading(text("ui", "accuracy-by-engine", language)), _by_engine(validation, language)]
    blocks += _speeds_told_apart(validation, language)
    if "tpot_s" in validation.summary():
        blocks.append(_unseen(language))
    refused = _refusals(validation, language)
    if refused.rows:
        blocks += [Heading(text("ui", "not-covered", language)), refused]
    blocks.append(Paragraph(text("ui", "accuracy-note", language)))
    return Document(_data(validation), blocks, csv=_all_cases(validation, language))


def _unseen(language: str) -> Paragraph:
    """What the last calibration said of owners that it had left out."""
    from gpusizer.performance.constants import fit_record

    record = fit_record()
    words = {name: f"{100 * error:.0f}%" for name, error in record["unseen"].items()}
    return Paragraph(text("ui", "validate-unseen", language, runs=record["runs"], owners=record["owners"], **words))


def _data(validation: Validation) -> dict[str, Any]:
    summary: dict[str, Any] = _summary(validation.summary())
    _tell_apart(summary, validation)
    summary["by_engine"] = {
        engine: {**_summary(validation.summary(engine)), "coverage": validation.coverage(engine)} for engine in validation.engines()
    }
    summary["coverage"] = validation.coverage()
    return {"schema": "gpusizer.validate/1", "cases": [_case(case) for case in validation.cases], "summary": summary}


def _summary(accuracies: Mapping[str, Accuracy]) -> dict[str, Any]:
    return {name: asdict(accuracy) for name, accuracy in accuracies.items()}


def _tell_apart(summary: dict[str, Any], validation: Validation) -> None:
    """Beside the figures of each speed: the same by kind of load and by source, and with one voice for each owner."""
    for name, (owners, median) in validation.over_owners().items():
        summary[name]["over_owners"] = {"owners": owners, "median_abs_error": median}
        summary[name]["not_judged"] = validation.not_judged
    for key, groups in (("by_regime", _by_regime(validation)), ("by_source", _by_source(validation))):
        for group, accuracies in groups.items():
            for name, accuracy in accuracies.items():
                summary[name].setdefault(key, {})[group] = asdict(accuracy)


def _by_regime(validation: Validation) -> dict[str, dict[str, Accuracy]]:
    return {regime: validation.summary(regime=regime) for regime in validation.regimes()}


def _by_source(validation: Validation) -> dict[str, dict[str, Accuracy]]:
    """Owners with enough cases of a quantity to say something about them."""
    found = {}
    for owner in validation.owners():
        told = {name: accuracy for name, accuracy in validation.summary(owner=owner).items() if accuracy.n >= LEAST_CASES}
        if told:
            found[owner] = told
    return found


def _case(case: CaseResult) -> dict[str, Any]:
    return {
        "id": case.id,
        "engine": case.engine,
        "covered": case.covered,
        "reason": _notice(case.reason) if case.reason else None,
        "quantities": {name: _compared(name, compared) for name, compared in case.quantities.items()},
        "warnings": [_notice(each) for each in case.notices],
    }


def _compared(name: str, compared: Compared) -> dict[str, Any]:
    """Bytes and tokens are whole."""
    data = compared.to_dict()
    if name.endswith(("_bytes", "_tokens")):
        data |= {key: round(data[key]) for key in ("predicted", "low", "high", "measured") if data[key] is not None and isfinite(data[key])}
    return data


def _notice(notice: Notice) -> dict[str, Any]:
    sentences = {language: _sentence(notice, language) for language in ("en", "zh")}
    return {"code": notice.code, "parameters": dict(notice.parameters), "sentence": sentences}


def _sentence(notice: Notice, language: str) -> str:
    group = next((group for group in ("reason", "error", "warning") if has(group, notice.code, language)), "reason")
    return text(group, notice.code, language, **notice.parameters)


def _speeds_told_apart(validation: Validation, language: str) -> list[Block]:
    """Tables of measured speeds by kind of load and by source; nothing for starts."""
    blocks: list[Block] = []
    regimes = {text("ui", f"regime-{regime}", language): accuracies for regime, accuracies in _by_regime(validation).items()}
    if len(regimes) > 1:
        blocks += [Heading(text("ui", "accuracy-by-regime", language)), _grouped("load", regimes, language)]
    sources = _by_source(validation)
    if sources:
        blocks += [Heading(text("ui", "accuracy-by-source", language)), _grouped("source", sources, language)]
    owners = validation.over_owners()
    if len(validation.owners()) > 1:
        rows = [[_quantity_name(name, language), str(count), _percent(median)] for name, (count, median) in owners.items()]
        columns = [Column(text("ui", "quantity", language)), *(Column(text("ui", code, language), right=True) for code in ("owners", "median-error"))]
        blocks += [Heading(text("ui", "accuracy-over-owners", language)), Table(columns, rows)]
    return blocks


def _grouped(heading: str, groups: Mapping[str, Mapping[str, Accuracy]], language: str) -> Table:
    rows = [
        [group, _quantity_name(name, language), *_cells(accuracy)]
        for group, accuracies in groups.items()
        for name, accuracy in accuracies.items()
        if accuracy.n
    ]
    return Table([Column(text("ui", heading, language)), Column(text("ui", "quantity", language)), *_error_columns(language)], rows)


def _by_quantity(validation: Validation, language: str) -> Table:
    rows = [[_quantity_name(name, language), *_cells(accuracy)] for name, accuracy in validation.summary().items() if accuracy.n]
    return Table([Column(text("ui", "quantity", language)), *_error_columns(language)], rows)


def _by_engine(validation: Validation, language: str) -> Table:
    return _grouped("engine", {engine_name(engine): validation.summary(engine) for engine in validation.engines()}, language)


def _error_columns(language: str) -> list[Column]:
    return [Column(text("ui", code, language), right=True) for code in ("cases", "median-error", "p90-error", "bias", "inside-band")]


def _cells(accuracy: Accuracy) -> list[str]:
    return [
        str(accuracy.n),
        *map(_percent, (accuracy.median_abs_error, accuracy.p90_abs_error)),
        _signed(accuracy.bias),
        _percent(accuracy.inside_band),
    ]


def _refusals(validation: Validation, language: str) -> Table:
    """Reasons with the number of cases, the commonest first."""
    counts: dict[str, int] = {}
    for case in validation.cases:
        if case.reason:
            sentence = _sentence(case.reason, language)
            counts[sentence] = counts.get(sentence, 0) + 1
    rows = [[str(count), sentence] for sentence, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    return Table([Column(text("ui", "cases", language), right=True), Column(text("ui", "why", language))], rows)


def _all_cases(validation: Validation, language: str) -> Table:
    """For spreadsheets: one row for each case and quantity, numbers as they are."""
    codes = ("id", "engine", "quantity", "predicted", "low", "high", "measured", "error", "why")
    rows: list[list[str]] = []
    for case in validation.cases:
        if case.reason:
            rows.append([case.id, case.engine, "", "", "", "", "", "", _sentence(case.reason, language)])
        for name, compared in case.quantities.items():
            numbers = [compared.predicted, compared.low, compared.high, compared.measured, compared.error]
            rows.append([case.id, case.engine, name, *("" if number is None else f"{number}" for number in numbers), ""])
    return Table([Column(text("ui", code, language)) for code in codes], rows)


def _quantity_name(name: str, language: str) -> str:
    """What a quantity of ``validate`` is called."""
    return text("ui", f"quantity-{name}", language)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}%"
