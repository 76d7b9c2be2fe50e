"""Accelerators for readers: all in one table, one with every known figure, its sources by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.facts.types import Accelerator, Price
from gpusizer.i18n import printable, text
from gpusizer.rendering.catalog import as_data, columns
from gpusizer.rendering.devices import currency_words, date_words, device_name
from gpusizer.rendering.document import Block, Column, Document, Fixed, Heading, Paragraph, Table
from gpusizer.rendering.notices import field_words
from gpusizer.units import GB, TB, GiB

__all__ = ["DASH", "accelerator_document", "accelerators_document", "price_words", "unverified_fields"]

DASH = "–"  # what nobody states

# What a reader asks of one device, in this order; peaks, prices and measured rates follow in tables of their own.
_FIELDS = (
    "vendor",
    "architecture",
    "compute_capability",
    "form_factor",
    "memory_bytes",
    "memory_evidence",
    "marketing_memory_gb",
    "torch_total_bytes",
    "memory_type",
    "unified_memory",
    "bandwidth_bytes_per_s",
    "interconnect",
    "interconnect_bytes_per_s",
    "fabric_devices",
    "pcie",
    "devices_per_node",
    "devices_per_card",
    "whole_nodes",
    "tdp_w",
    "release_year",
    "status",
    "aliases",
)


class _Numbered:
    """Sources in the order in which they are first named."""

    def __init__(self) -> None:
        self.all: dict[str, int] = {}

    def marks(self, sources: Sequence[str]) -> str:
        """The numbers of some sources."""
        numbers = [self.all.setdefault(source, len(self.all) + 1) for source in sources]
        return " ".join(f"[{number}]" for number in numbers)


def accelerators_document(accelerators: Sequence[Accelerator], language: str) -> Document:
    """All accelerators with what decides whether a model fits and how fast it runs."""
    numbers = ("memory-gib", "memory-gb", "bandwidth", "per-node", "bf16-tflops", "fp8-tflops")
    spare = ("price", "fp8-tflops", "bf16-tflops", "memory-gb", "per-node")
    heading = columns(language, "id", "name", *numbers, "price", numbers=numbers, spare=spare)
    rows = [
        [
            each.id,
            device_name(each.name, language),
            f"{each.memory_bytes / GiB:.1f}",
            f"{each.memory_bytes / GB:.1f}",
            _optional(each.bandwidth_bytes_per_s, GB, ",.0f"),
            str(each.devices_per_node or DASH),
            _optional(each.peak_flops.get("bf16"), TB, ",.0f"),
            _optional(each.peak_flops.get("fp8"), TB, ",.0f"),
            price_words(each, next(iter(each.prices), None), language),
        ]
        for each in accelerators
    ]
    data = {"schema": "gpusizer.accelerators/1", "accelerators": list(accelerators)}
    return Document(data, [Table(heading, rows), Paragraph(text("ui", "memory-note", language))], csv=_plain_table(accelerators))


_PLAIN = ("id", "name", "vendor", "status", "memory_bytes", "bandwidth_bytes_per_s", "devices_per_node", "whole_nodes", "tdp_w", "release_year")


def _plain_table(accelerators: Sequence[Accelerator]) -> Table:
    """The same for a spreadsheet: fields that are named alike in every language, numbers as numbers."""
    formats = list(dict.fromkeys(name for each in accelerators for name in each.peak_flops))
    titles = [*_PLAIN, *(f"peak_flops_{name}" for name in formats), "price_low", "price_high", "price_currency", "price_per", "price_date"]
    rows = []
    for each in accelerators:
        price = next(iter(each.prices), None)
        cost = ("",) * 5 if price is None else (price.low, price.high, price.currency, price.per, price.date)
        values = [*(getattr(each, name) for name in _PLAIN), *(each.peak_flops.get(name) for name in formats), *cost]
        rows.append(["" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in values])
    return Table([Column(title) for title in titles], rows)


def accelerator_document(accelerator: Accelerator, language: str) -> Document:
    """One accelerator, every known figure with its sources."""
    cited = _Numbered()
    rows = []
    for name in _FIELDS:
        value = getattr(accelerator, name)
        if value not in (None, (), {}, "", False):
            rows.append([text("ui", f"field-{name}", language), _value(name, value, language), cited.marks(accelerator.sources.get(name, ()))])
    blocks: list[Block] = [
        Heading(f"{device_name(accelerator.name, language)} ({accelerator.id})"),
        Table(columns(language, "name", "value", "source"), rows),
    ]
    if accelerator.peak_flops:
        peaks = [
            [form.upper(), f"{rate / TB:,.4g}", cited.marks(accelerator.sources.get(f"peak_flops.{form}", ()))]
            for form, rate in accelerator.peak_flops.items()
        ]
        blocks.append(Table(columns(language, "number-format", "dense-tflops", "source", numbers=("dense-tflops",)), peaks))
    if accelerator.measured:
        measured = [_measured(row, cited, language) for row in accelerator.measured]
        blocks.append(Table(columns(language, "measured", "value", "method-of-measure", "source", numbers=("value",)), measured))
    if accelerator.prices:
        prices = [
            [price_words(accelerator, each, language), _kind(each, language), date_words(each.date, language), cited.marks(each.source.split("; "))]
            for each in accelerator.prices
        ]
        blocks.append(Table(columns(language, "price", "kind", "date", "source"), prices))
    engines = [f"{engine} {text('ui', f'engine-{answer}', language)}" for engine, answer in accelerator.engines.items()]
    blocks.append(Paragraph(text("ui", "engines-line", language, engines=engines, sources=cited.marks(accelerator.sources.get("engines", ())))))
    available = text("ui", f"china-{accelerator.china['available']}", language)
    china = {"available": available, "note": accelerator.china.get("note", ""), "sources": cited.marks(accelerator.china.get("sources", ()))}
    blocks.append(Paragraph(text("ui", "china-line", language, **china)))
    blocks.extend(Paragraph(note) for note in accelerator.notes)
    if unverified_fields(accelerator):
        names = [field_words(name, language) for name in unverified_fields(accelerator)]
        blocks.append(Paragraph(text("ui", "unverified-line", language, fields=names)))
    blocks.append(Fixed("\n".join(f"[{number}] {source}" for source, number in cited.all.items())))
    return Document({"schema": "gpusizer.accelerator/1", **as_data(accelerator)}, blocks)


def unverified_fields(accelerator: Accelerator) -> list[str]:
    """Facts that nobody checked, the engines' answers among them where nothing else is said.

    >>> from gpusizer.facts.catalog import accelerator
    >>> unverified_fields(accelerator("b300-sxm-288gb"))
    ['release_year']
    """
    prices = ["prices"] if any(price.unverified for price in accelerator.prices) else []
    return [
        *accelerator.unverified,
        *(name for name in accelerator.sources if name not in accelerator.unverified and accelerator.is_unverified(name)),
        *prices,
    ]


def _measured(row: Mapping[str, Any], cited: _Numbered, language: str) -> list[str]:
    unit, name = (TB, "TFLOP/s") if row["quantity"] == "matmul" else (GB, "GB/s")
    low, high = f"{row['low'] / unit:,.5g}", f"{row['high'] / unit:,.5g}"
    what = text("ui", f"measured-{row['quantity']}", language)
    detail = [row["format"].upper()] if row["format"] else []
    detail += [f"{row['devices']} x"] if row["devices"] > 1 else []
    return [
        " ".join([what, *detail]),
        f"{low} {name}" if low == high else f"{low} - {high} {name}",
        row["method"],
        cited.marks(row["sources"]),
    ]


def _optional(value: float | None, unit: int, form: str) -> str:
    return DASH if value is None else format(value / unit, form)


def price_words(accelerator: Accelerator, price: Price | None, language: str) -> str:
    """A price with its currency, by the hour or the device; a dash where nobody states one."""
    if price is None:
        return DASH
    amount = f"{price.low:,}" if price.low == price.high else f"{price.low:,} - {price.high:,}"
    per = "device-machine" if price.per == "device" and accelerator.unified_memory else price.per
    words = {"amount": amount, "currency": currency_words(price.currency, language), "per": text("ui", f"per-{per}", language)}
    return text("ui", "price-per", language, **words)


def _kind(price: Price, language: str) -> str:
    return text("ui", f"price-{price.kind}", language)


def _value(name: str, value: Any, language: str) -> str:
    if name.endswith("_bytes"):
        return f"{value:,} ({value / GB:.1f} GB, {value / GiB:.1f} GiB)"
    if name.endswith("_bytes_per_s"):
        return f"{value / GB:,.0f} GB/s"
    if name == "status":
        return text("ui", f"status-{value}", language)
    if name == "memory_evidence":
        return text("ui", f"evidence-{value}", language)
    if value is True:
        return text("ui", "yes", language)
    return f"{value:g}" if isinstance(value, float) else printable(value, language)
