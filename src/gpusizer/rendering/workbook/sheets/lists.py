"""Sheets that are read, not computed: models, number formats, formulas, sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

from gpusizer.facts.catalog import number_formats, scenarios
from gpusizer.i18n import has, text
from gpusizer.rendering.formulas import registry
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.tables.gather import Facts
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GB

__all__ = ["fill_formats", "fill_formulas", "fill_models", "fill_sources"]

HEAD = 3


def _table(book: Book, grid: Grid, code: str, columns: Sequence[tuple[str, float, str]], rows: Sequence[Sequence[Any]]) -> None:
    """Heading, note, column titles, rows, filter, print set-up; a column is (code of its title, width, style)."""
    grid.text(0, 0, book.say(f"sheet-{code}"), "title")
    grid.text(1, 0, book.say(f"{code}-note"), "text")
    for column, (title, width, _) in enumerate(columns):
        grid.sheet.set_column(column, column, width)
        grid.text(HEAD, column, book.say(f"{code}-{title}"), "head")
    grid.sheet.set_row(HEAD, 30)
    for number, row in enumerate(rows, HEAD + 1):
        for column, value in enumerate(row):
            if value is None or value == "":
                continue
            style = columns[column][2]
            if isinstance(value, str):
                grid.text(number, column, value, style if style in ("wrap", "formula", "top") else "text")
            else:
                grid.value(number, column, value, style)
    grid.sheet.autofilter(HEAD, 0, HEAD + max(len(rows), 1), len(columns) - 1)
    grid.sheet.freeze_panes(HEAD + 1, 1)
    grid.sheet.set_landscape()
    grid.sheet.set_paper(9)
    grid.sheet.fit_to_pages(1, 0)
    grid.sheet.repeat_rows(HEAD)


def fill_models(book: Book, grid: Grid, tables: Tables) -> None:
    """Every model with what people ask first."""
    facts = tables.facts
    columns = (
        ("id", 36, "text"), ("name", 34, "text"), ("params", 18, "number"), ("activated", 18, "number"), ("layers", 8, "number"),
        ("hidden", 10, "number"), ("label", 22, "text"), ("checkpoint", 14, "one"), ("token", 16, "number"), ("context", 12, "number"),
        ("licence", 18, "text"), ("source", 60, "text"),
    )  # fmt: skip
    rows = []
    tokens = tables.models.area("token_bytes")
    for number, model in enumerate(facts.models):
        architecture, entry = model.source.architecture, model.source.entry
        counts, first = architecture.parameters, model.precisions[0]
        rows.append(
            [
                model.source.key,
                model.source.name,
                counts.total,
                counts.activated,
                len(architecture.layers),
                architecture.hidden_size,
                first["label"],
                first["bytes"] / GB,
                tokens.values[number * (len(facts.kv_precisions) + 1)],
                architecture.max_position_embeddings,
                entry.licence if entry else None,
                entry.config_source if entry else None,
            ]
        )
    _table(book, grid, "models", columns, rows)


def fill_formats(book: Book, grid: Grid) -> None:
    """Number formats."""
    columns = (
        ("name", 36, "text"), ("bits", 10, "general"), ("scaled", 16, "general"), ("sign", 10, "general"), ("exponent", 10, "general"),
        ("mantissa", 10, "general"), ("largest", 14, "general"), ("bytes", 18, "three"), ("source", 80, "text"),
    )  # fmt: skip
    rows = [
        [
            each.name,
            each.bits,
            each.bits_with_scales,
            each.sign_bits,
            each.exponent_bits,
            each.mantissa_bits,
            each.maximum,
            each.bits_with_scales / 8,
            "; ".join(each.sources),
        ]
        for each in number_formats()
    ]
    _table(book, grid, "formats", columns, rows)


def fill_formulas(book: Book, grid: Grid) -> None:
    """Every registered formula as text."""
    columns = (("id", 34, "top"), ("name", 44, "wrap"), ("text", 90, "formula"), ("unit", 18, "top"), ("source", 70, "wrap"))
    language = book.language
    rows = [
        [each.id, text("formula", each.id, language) if has("formula", each.id, language) else each.id, each.expression(), each.unit, each.reference]
        for each in registry().values()
    ]
    _table(book, grid, "formulas", columns, rows)


def fill_sources(book: Book, grid: Grid, facts: Facts, today: date) -> None:
    """Where facts are from, prices with their dates."""
    columns = (("what", 30, "text"), ("fact", 60, "text"), ("date", 12, "text"), ("from", 110, "text"))
    engine = ".".join(map(str, facts.engine.newest))
    made = book.say("sources-made-by", version=version("gpusizer"), date=today.isoformat(), engine=engine)
    rows: list[list[Any]] = [[book.say("sources-made"), made, today.isoformat(), ""]]
    for use in scenarios():
        rows.append([use.id, book.say("sources-scenario"), "", "; ".join(use.sources)])
    for figures in facts.devices.figures:
        device = figures.accelerator
        for field, found in device.sources.items():
            rows.append([device.name, field, "", "; ".join(found)])
        for price in device.prices:
            per = text("ui", f"per-{price.per}", book.language) if has("ui", f"per-{price.per}", book.language) else price.per
            words = book.say("sources-price", per=per, low=f"{price.low:,}", high=f"{price.high:,}", currency=price.currency, kind=price.kind)
            rows.append([device.name, words, price.date, price.source])
    for model in facts.models:
        entry = model.source.entry
        if entry is not None and entry.config_source:
            rows.append([model.source.name, book.say("sources-model"), "", entry.config_source])
    _table(book, grid, "sources", columns, rows)
