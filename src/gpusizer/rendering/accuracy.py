"""How far predictions lie from measurements, as tables: of the cases that somebody validates, and of those that this release was held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.engines import engine_name
from gpusizer.facts.accuracy import Measured, MeasuredFile
from gpusizer.i18n import JOIN, text
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table

__all__ = ["accuracy_document", "by_engine", "by_quantity", "coverage_lines", "file_blocks", "in_short", "over_owners", "told_apart", "unseen"]

Summary = Mapping[str, Any]
"""The ``summary`` of the JSON of ``validate``."""

ERRORS = ("cases", "median-error", "p90-error", "bias", "inside-band", "median-width")
"""Columns of errors, by the codes of their headings."""

SHORT = (("starts", "kv_cache_tokens"), ("starts", "fits"), ("serving", "tpot_s"), ("local", "tpot_s"))
"""What stands for the rest, by what was measured and quantity."""

_BESIDE = ("by_engine", "coverage")  # what of a summary is no quantity


def accuracy_document(measured: Measured, language: str) -> Document:
    """What this release was held against, file by file.

    Parameters
    ----------
    measured : Measured
        As it stands in the package.
    language : str
        "en" or "zh".
    """
    blocks: list[Block] = [in_short(measured, language)]
    for each in measured.files:
        blocks += [Heading(text("site", f"accuracy-{each.subject}", language)), *file_blocks(each, language)]
        blocks.append(Paragraph(text("site", "accuracy-sources", language, names=JOIN[language].join(each.owners))))
    data = {"schema": "gpusizer.accuracy/1", "date": measured.date, "files": [each._asdict() for each in measured.files]}
    return Document(data, [*blocks, unseen(language), Paragraph(text("ui", "accuracy-note", language))])


def in_short(measured: Measured, language: str) -> Table:
    """Four lines that stand for the rest."""
    summaries = {each.subject: each.summary for each in measured.files}
    rows = []
    for subject, name in SHORT:
        found = summaries[subject][name]
        counts = str(found["n"]), str(found["over_owners"]["owners"])
        errors = _percent(found["median_abs_error"]), _percent(found["inside_band"])
        rows.append([quantity_name(name, language), text("site", f"accuracy-{subject}", language), *counts, *errors])
    numbers = [Column(text("ui", code, language), right=True) for code in ("cases", "owners", "median-error", "inside-band")]
    return Table([Column(text("ui", "quantity", language)), Column(text("ui", "held-against", language)), *numbers], rows)


def file_blocks(measured: MeasuredFile, language: str) -> list[Block]:
    """Everything that is said of one file of measured cases."""
    summary, owners = measured.summary, measured.owners
    blocks: list[Block] = [Paragraph(" ".join(coverage_lines(summary, measured.not_judged, language)))]
    if owners:
        blocks.append(Paragraph(text("site", "accuracy-owners", language, owners=len(owners))))
    blocks += [Heading(text("ui", "accuracy", language)), by_quantity(summary, language)]
    if len(summary["by_engine"]) > 1:
        blocks += [Heading(text("ui", "accuracy-by-engine", language)), by_engine(summary, language)]
    blocks += told_apart(summary, owners, language)
    if len(owners) > 1 and (table := over_owners(summary, language)).rows:
        blocks += [Heading(text("ui", "accuracy-over-owners", language)), table]
    return blocks


def coverage_lines(summary: Summary, not_judged: int, language: str) -> list[str]:
    """How many cases could be predicted, and how many are not judged."""
    lines = [text("ui", "validate-coverage", language, **summary["coverage"])]
    return [*lines, text("ui", "validate-not-judged", language, count=not_judged)] if not_judged else lines


def by_quantity(summary: Summary, language: str) -> Table:
    """Errors by quantity."""
    rows = [[quantity_name(name, language), *_cells(accuracy)] for name, accuracy in _quantities(summary).items() if accuracy["n"]]
    return Table([Column(text("ui", "quantity", language)), *_error_columns(language)], rows)


def by_engine(summary: Summary, language: str) -> Table:
    """Errors by engine and quantity."""
    return _grouped("engine", {engine_name(engine): _quantities(each) for engine, each in summary["by_engine"].items()}, language)


def told_apart(summary: Summary, order: Sequence[str], language: str) -> list[Block]:
    """Tables by kind of start or of load and by source, those that are named first in that order."""
    blocks: list[Block] = []
    kinds = {text("ui", f"kind-{kind}", language): each for kind, each in _within(summary, "by_kind", order).items()}
    if len(kinds) > 1:
        blocks += [Heading(text("ui", "accuracy-by-kind", language)), _grouped("start", kinds, language)]
    regimes = {text("ui", f"regime-{regime}", language): each for regime, each in _within(summary, "by_regime", order).items()}
    if len(regimes) > 1:
        blocks += [Heading(text("ui", "accuracy-by-regime", language)), _grouped("load", regimes, language)]
    if sources := _within(summary, "by_source", order):
        blocks += [Heading(text("ui", "accuracy-by-source", language)), _grouped("source", sources, language)]
    return blocks


def over_owners(summary: Summary, language: str) -> Table:
    """Errors with one voice for each owner of measurements."""
    told = {name: each["over_owners"] for name, each in _quantities(summary).items() if each.get("over_owners")}
    rows = [
        [quantity_name(name, language), str(each["owners"]), *map(_percent, (each["median_abs_error"], each["p90_abs_error"], each["inside_band"]))]
        for name, each in told.items()
    ]
    columns = [Column(text("ui", code, language), right=True) for code in ("owners", "median-error", "p90-error", "inside-band")]
    return Table([Column(text("ui", "quantity", language)), *columns], rows)


def unseen(language: str) -> Paragraph:
    """What the last calibration said of owners that it had left out."""
    from gpusizer.performance.constants import fit_record

    record = fit_record()
    words = {name: f"{100 * error:.0f}%" for name, error in record["unseen"].items()}
    return Paragraph(text("ui", "validate-unseen", language, runs=record["runs"], owners=record["owners"], **words))


def quantity_name(name: str, language: str) -> str:
    """What a quantity of ``validate`` is called."""
    return text("ui", f"quantity-{name}", language)


def _quantities(summary: Summary) -> dict[str, Any]:
    return {name: each for name, each in summary.items() if name not in _BESIDE}


def _within(summary: Summary, key: str, order: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Groups that stand within each quantity, by group, in an order."""
    within = {name: each[key] for name, each in _quantities(summary).items() if key in each}
    groups = dict.fromkeys([*order, *(group for each in within.values() for group in each)])
    found = {group: {name: each[group] for name, each in within.items() if group in each} for group in groups}
    return {group: accuracies for group, accuracies in found.items() if accuracies}


def _grouped(heading: str, groups: Mapping[str, Mapping[str, Any]], language: str) -> Table:
    rows = [
        [group, quantity_name(name, language), *_cells(accuracy)]
        for group, accuracies in groups.items()
        for name, accuracy in accuracies.items()
        if accuracy["n"]
    ]
    return Table([Column(text("ui", heading, language)), Column(text("ui", "quantity", language)), *_error_columns(language)], rows)


def _error_columns(language: str) -> list[Column]:
    return [Column(text("ui", code, language), right=True) for code in ERRORS]


def _cells(accuracy: Mapping[str, Any]) -> Sequence[str]:
    return [
        str(accuracy["n"]),
        *map(_percent, (accuracy["median_abs_error"], accuracy["p90_abs_error"])),
        _signed(accuracy["bias"]),
        *map(_percent, (accuracy["inside_band"], accuracy["median_width"])),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}%"
