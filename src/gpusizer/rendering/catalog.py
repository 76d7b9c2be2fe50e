"""What the catalogue holds, for readers: accelerators, scenarios, engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gpusizer.facts.types import Accelerator, Price, Scenario
from gpusizer.i18n import has, printable, text
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table
from gpusizer.units import GB, GiB

__all__ = ["accelerator_document", "accelerators_document", "columns", "facts_table", "scenario_document", "scenarios_document"]

TERA = 10**12


def columns(language: str, *codes: str, numbers: Sequence[str] = ()) -> list[Column]:
    """Headings from their codes; those in ``numbers`` are set to the right."""
    return [Column(text("ui", code, language), code in numbers) for code in codes]


def facts_table(language: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns, name and value; a row without a value is left out, because unknown is absent."""
    return Table(columns(language, "name", "value"), [[text("ui", code, language), value] for code, value in rows if value])


def accelerators_document(accelerators: Sequence[Accelerator], language: str) -> Document:
    """All accelerators with what decides whether a model fits and how fast it runs."""
    numbers = ("memory-gib", "memory-gb", "bandwidth", "per-node", "bf16-tflops", "fp8-tflops")
    heading = columns(language, "id", "name", *numbers, "price", numbers=numbers)
    rows = [
        [
            each.id,
            each.name,
            f"{each.memory_bytes / GiB:.1f}",
            f"{each.memory_bytes / GB:.1f}",
            _optional(each.bandwidth_bytes_per_s, GB, ".0f"),
            str(each.devices_per_node or ""),
            _optional(each.peak_flops.get("bf16"), TERA, ".0f"),
            _optional(each.peak_flops.get("fp8"), TERA, ".0f"),
            _price(next(iter(each.prices), None)),
        ]
        for each in accelerators
    ]
    data = {"schema": "gpusizer.accelerators/1", "accelerators": list(accelerators)}
    return Document(data, [Table(heading, rows), Paragraph(text("ui", "memory-note", language))])


def accelerator_document(accelerator: Accelerator, language: str) -> Document:
    """One accelerator, every known figure with its sources."""
    shown: list[list[str]] = []
    for field in fields(accelerator):
        value = getattr(accelerator, field.name)
        if field.name in ("sources", "prices", "notes", "unverified", "measured") or value in (None, (), {}, ""):
            continue
        words = (
            ", ".join(f"{key} {entry / TERA:g}" for key, entry in value.items())
            if field.name == "peak_flops"
            else _value(field.name, value, language)
        )
        shown.append([field.name, words, printable(accelerator.sources.get(field.name, ())) if accelerator.sources.get(field.name) else ""])
    blocks: list[Block] = [Heading(f"{accelerator.name} ({accelerator.id})"), Table(columns(language, "name", "value", "source"), shown)]
    if accelerator.prices:
        prices = [[_price(price), price.per, price.kind, price.date, price.source] for price in accelerator.prices]
        blocks.append(Table(columns(language, "price", "per", "kind", "date", "source"), prices))
    blocks.extend(Paragraph(note) for note in accelerator.notes)
    if accelerator.unverified:
        blocks.append(Paragraph(text("ui", "unverified-line", language, fields=accelerator.unverified)))
    return Document({"schema": "gpusizer.accelerator/1", **_as_data(accelerator)}, blocks)


def scenarios_document(scenarios: Sequence[Scenario], language: str) -> Document:
    """All scenarios with their typical load."""
    numbers = ("input-tokens", "output-tokens", "users", "active-share", "concurrency")
    heading = columns(language, "id", "name", *numbers, numbers=numbers)
    rows = [[each.id, scenario_name(each.id, language), *_load(each)] for each in scenarios]
    return Document({"schema": "gpusizer.scenarios/1", "scenarios": list(scenarios)}, [Table(heading, rows)])


def scenario_document(scenario: Scenario, language: str) -> Document:
    """One scenario with its source."""
    tokens_in, tokens_out, users, share, concurrency = _load(scenario)
    low, high = scenario.active_share_range
    rows = [
        ("input-tokens", tokens_in),
        ("output-tokens", tokens_out),
        ("users", users),
        ("active-share", f"{share} ({100 * low:g}% - {100 * high:g}%)"),
        ("concurrency", concurrency),
        ("departments", printable([scenario_name(each, language) for each in scenario.departments], language) if scenario.departments else ""),
        ("source", printable(scenario.sources, language)),
    ]
    blocks: list[Block] = [Heading(f"{scenario_name(scenario.id, language)} ({scenario.id})"), facts_table(language, rows)]
    return Document({"schema": "gpusizer.scenario/1", **_as_data(scenario)}, blocks)


def scenario_name(scenario_id: str, language: str) -> str:
    """The name of a scenario or a department; its id where there is none."""
    return text("scenario", scenario_id, language) if has("scenario", scenario_id, language) else scenario_id


def _load(scenario: Scenario) -> tuple[str, str, str, str, str]:
    concurrency = -(-scenario.users * scenario.active_share // 1)
    return (
        f"{scenario.input_tokens:,}",
        f"{scenario.output_tokens:,}",
        f"{scenario.users:,}",
        f"{100 * scenario.active_share:g}%",
        f"{int(concurrency):,}",
    )


def _as_data(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _optional(value: float | None, unit: int, form: str) -> str:
    return "" if value is None else format(value / unit, form)


def _price(price: Price | None) -> str:
    if price is None:
        return ""
    amount = f"{price.low:,}" if price.low == price.high else f"{price.low:,} - {price.high:,}"
    return f"{amount} {price.currency}/{price.per}"


def _value(name: str, value: Any, language: str) -> str:
    if name.endswith("_bytes"):
        return f"{value:,} ({value / GB:.1f} GB, {value / GiB:.1f} GiB)"
    if name.endswith("_bytes_per_s"):
        return f"{value / GB:,.0f} GB/s"
    return printable(value, language)
