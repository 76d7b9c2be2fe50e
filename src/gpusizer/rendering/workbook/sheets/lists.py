"""Sheets that are read, not computed: models, number formats, formulas, sources."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from gpusizer.facts.catalog import number_formats, scenarios
from gpusizer.facts.types import Accelerator, is_source
from gpusizer.i18n import has, text
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.types import Cost, Plan
from gpusizer.rendering.formulas import registry
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.sheets.page import Page, Paper
from gpusizer.rendering.workbook.tables.gather import Facts
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GB, KiB

__all__ = ["fill_formats", "fill_formulas", "fill_models", "fill_sources"]

HEAD = 3
_NAMED = 5
_READ = ("memory_bytes", "bandwidth_bytes_per_s", "peak_flops", "interconnect_bytes_per_s", "pcie", "devices_per_node", "tdp_w", "engines")
"""Fields of a device that memory, speed and power are computed from."""


def _table(book: Book, code: str, columns: Sequence[tuple[str, float, str]], rows: Sequence[Sequence[Any]], paper: Paper = "wide") -> None:
    """A whole sheet; a column is (code of its title, width, style)."""
    page = Page(book, code, [width for _, width, _ in columns])
    page.heading()
    page.table(HEAD, [(book.say(f"{code}-{title}"), style) for title, _, style in columns], rows, paper)


def fill_models(book: Book, tables: Tables) -> None:
    """Every model with what people ask first."""
    facts = tables.facts
    columns = (
        ("id", 34, "wrap"), ("name", 34, "wrap"), ("params", 11, "billions"), ("activated", 11, "billions"), ("layers", 8, "number"),
        ("hidden", 9, "number"), ("label", 18, "inside-wrap"), ("checkpoint", 13, "gb"), ("token", 12, "kib"), ("context", 12, "number"),
        ("licence", 26, "inside-wrap"),
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
                tokens.values[number * (len(facts.kv_precisions) + 1)] / KiB,
                architecture.max_position_embeddings,
                (entry.licence if entry else None) or "",
            ]
        )
    _table(book, "models", columns, rows)


def fill_formats(book: Book) -> None:
    """Number formats."""
    columns = (
        ("name", 30, "wrap"), ("bits", 8, "general"), ("scaled", 11, "general"), ("sign", 8, "general"), ("exponent", 10, "general"),
        ("mantissa", 10, "general"), ("largest", 12, "general"), ("bytes", 14, "gb"), ("source", 60, "inside-wrap"),
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
            "; ".join(filter(is_source, each.sources)),
        ]
        for each in number_formats()
    ]
    _table(book, "formats", columns, rows, "tall")


def fill_formulas(book: Book) -> None:
    """Every registered formula as text, with its symbols and their units."""
    columns = (
        ("id", 28, "wrap"), ("name", 28, "wrap"), ("text", 58, "formula"), ("unit", 10, "wrap"), ("symbols", 48, "wrap"), ("source", 42, "wrap"),
    )  # fmt: skip
    language = book.language
    rows = [
        [
            each.id,
            text("formula", each.id, language) if has("formula", each.id, language) else each.id,
            each.expression().replace(",", ", "),
            each.unit,
            "; ".join(f"{symbol} [{unit}]" for symbol, unit in each.symbols.items()),
            each.reference,
        ]
        for each in registry().values()
    ]
    _table(book, "formulas", columns, rows)


def fill_sources(book: Book, facts: Facts, made: str, plan: Plan | None) -> None:
    """Where the facts of this file are from: by source for devices, prices with their dates; what nobody vouches for is called that."""
    columns = (("what", 38, "wrap"), ("fact", 36, "wrap"), ("date", 13, "wrap"), ("from", 56, "wrap"))
    say, devices = book.say, list(facts.accelerators)
    rows: list[list[str]] = [[say("sources-made"), "", "", made]]
    for use in scenarios():
        if plan is None or use.id in (plan.need.scenario, plan.request.scenario):
            rows.append([use.id, say("sources-scenario"), "", "; ".join(filter(is_source, use.sources))])
    for model in facts.models:
        entry = model.source.entry
        if entry is not None and entry.config_source:
            rows.append([model.source.name, say("sources-model"), "", entry.config_source])
    for device in devices:
        rows += [_price(book, device, price) for price in (rent_of(device, 1, by_card=True), purchase_of(device, 1)) if price is not None]
    _table(book, "sources", columns, rows + _by_source(book, devices), "tall")


def _price(book: Book, device: Accelerator, price: Cost) -> list[str]:
    per, kind = ("hour" if price.per == "hour" else "device"), f"kind-of-price-{price.kind}"
    said = {"per": text("ui", f"per-{per}", book.language), "kind": text("ui", kind, book.language) if has("ui", kind, book.language) else price.kind}
    amount = f"{price.amount:,}" if price.amount == price.high else f"{price.amount:,} – {price.high:,}"
    words = book.say("sources-price", **said, amount=amount, currency=price.currency)
    return [device.name, words, price.date, price.source if is_source(price.source) else book.say("sources-assumed")]


def _by_source(book: Book, devices: Sequence[Accelerator]) -> list[list[str]]:
    """A line for each source of figures that are computed with; figures without one are told apart by what they are."""
    fields: dict[str, dict[str, None]] = {}
    names: dict[str, dict[str, None]] = {}
    assumed: dict[str, dict[str, None]] = {}
    for device in devices:
        for field, found in device.sources.items():
            if field.partition(".")[0] in _READ:
                said = _field(field, book.language)
                for source in found:
                    if is_source(source):
                        fields.setdefault(source, {})[said] = None
                        names.setdefault(source, {})[device.name] = None
                    else:
                        assumed.setdefault(said, {})[device.name] = None
    sourced = [[_few(book, names[source]), ", ".join(fields[source]), "", source] for source in fields]
    return sourced + [[_few(book, found), said, "", book.say("sources-assumed")] for said, found in assumed.items()]


def _few(book: Book, names: Collection[str]) -> str:
    """The first names of many."""
    said = ", ".join(list(names)[:_NAMED])
    return said if len(names) <= _NAMED else said + book.say("and-more", count=len(names) - _NAMED)


def _field(name: str, language: str) -> str:
    field, _, form = name.partition(".")
    said = text("ui", f"field-{field}", language) if has("ui", f"field-{field}", language) else text("workbook", f"{field}-field", language)
    return f"{said} {form.upper()}".strip()
