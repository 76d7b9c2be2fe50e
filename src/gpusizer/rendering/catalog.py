"""What the catalogue holds, for readers: scenarios and number formats; accelerators and models have files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gpusizer.facts.types import NumberFormat, Scenario
from gpusizer.formulas.load import concurrent_requests
from gpusizer.i18n import has, printable, text
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table
from gpusizer.units import format_share

__all__ = ["as_data", "columns", "facts_table", "number_formats_document", "scenario_document", "scenarios_document"]


def columns(language: str, *codes: str, numbers: Sequence[str] = (), spare: Sequence[str] = ()) -> list[Column]:
    """Headings from their codes; those in ``numbers`` are set to the right, those in ``spare`` may be left out, the last first."""
    places = {code: place for place, code in enumerate(spare, 1)}
    return [Column(text("ui", code, language), code in numbers, places.get(code, 0)) for code in codes]


def facts_table(language: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns, name and value; a row without a value is left out, because unknown is absent."""
    return Table(columns(language, "name", "value"), [[text("ui", code, language), value] for code, value in rows if value])


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
    return Document({"schema": "gpusizer.scenario/1", **as_data(scenario)}, blocks)


def number_formats_document(formats: Sequence[NumberFormat], language: str) -> Document:
    """Number formats with their bits, range, and what scales cost on top."""
    numbers = ("bits", "bits-with-scales", "largest-value")
    rows = [
        [
            each.id,
            each.name,
            f"{each.bits:g}",
            f"{each.bits_with_scales:g}",
            "" if each.maximum is None else f"{each.maximum:.6g}",
            " + ".join(str(part) for part in (each.sign_bits, each.exponent_bits, each.mantissa_bits) if part is not None),
            text("ui", f"format-{each.kind}", language),
        ]
        for each in formats
    ]
    heading = columns(language, "id", "name", *numbers, "format-parts", "kind", numbers=numbers)
    data = {"schema": "gpusizer.number_formats/1", "number_formats": list(formats)}
    return Document(data, [Table(heading, rows), Paragraph(text("ui", "format-note", language))])


def scenario_name(scenario_id: str, language: str) -> str:
    """The name of a scenario or a department; its id where there is none."""
    return text("scenario", scenario_id, language) if has("scenario", scenario_id, language) else scenario_id


def _load(scenario: Scenario) -> tuple[str, str, str, str, str]:
    concurrency = concurrent_requests(users=scenario.users, active_share=scenario.active_share)
    return (
        f"{scenario.input_tokens:,}",
        f"{scenario.output_tokens:,}",
        f"{scenario.users:,}",
        format_share(scenario.active_share),
        f"{int(concurrency):,}",
    )


def as_data(value: Any) -> dict[str, Any]:
    """The fields of a fact, for JSON."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
