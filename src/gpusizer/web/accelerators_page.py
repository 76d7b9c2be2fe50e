"""Pages of the accelerators: all of them in a table, and one with every figure and its sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from gpusizer.answers import accelerator_answer, accelerators_answer
from gpusizer.engines import find_declaration
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.filters import memory_bound
from gpusizer.facts.types import Accelerator
from gpusizer.i18n import text
from gpusizer.rendering.accelerators import DASH, price_words, unverified_fields
from gpusizer.rendering.devices import date_words, device_name
from gpusizer.rendering.document import Fixed, Paragraph, Table
from gpusizer.rendering.notices import field_words
from gpusizer.units import GB, TB, GiB
from gpusizer.web.job import Job
from gpusizer.web.not_here import not_here
from gpusizer.web.plan_form import said_of_error
from gpusizer.web.sorted_table import Cell, Column, sorted_table
from gpusizer.web.sources import Piece, linked
from gpusizer.web.templating import link, rendered

__all__ = ["page"]

PATH = "/accelerators"
FILTERS = ("filter", "vendor", "memory")
_MARK = re.compile(r"\[(\d+)\]")
_SOURCE = re.compile(r"\[(\d+)\] (.*)")


class Marked(NamedTuple):
    """A cell that names sources by their numbers: words, numbers that lead to them, whether nobody checked it, the language of others."""

    words: str
    marks: Sequence[str] = ()
    is_unverified: bool = False
    language: str = ""


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of all, or of one."""
    return _accelerators_page(job, error) if job.kind == "accelerators" else _accelerator_page(job, error)


def _accelerators_page(job: Job, error: GpusizerError | None) -> str:
    """All accelerators that pass the filters."""
    asked = {name: value for name, value in parse_qsl(job.query) if name in FILTERS}
    kept = _kept(asked, job.language) if error is None else list(accelerators())
    language = job.language
    numbers = ("memory", "box", "bandwidth", "bf16", "fp8", "node", "power", "year")
    columns = [
        Column("name", text("ui", "name", language)),
        *(Column(code, text("site", f"gpu-{code}", language), right=True) for code in numbers),
        Column("price", text("ui", "price", language), right=True),
        Column("plan", ""),
    ]
    table = sorted_table(job, PATH, columns, [_row(job, each) for each in kept])
    said = "" if error is None else said_of_error(error, language)
    makers = sorted({each.vendor for each in accelerators()})
    return rendered(
        "accelerators.html", job, PATH, table=table, asked=asked, makers=makers, count=len(kept), all=len(accelerators()), error=error, said=said
    )


def _kept(asked: dict[str, str], language: str) -> list[Accelerator]:
    bound = memory_bound(asked["memory"]) if asked.get("memory") else None
    found: list[Accelerator] = accelerators_answer(language, asked.get("vendor") or None, bound, asked.get("filter")).data["accelerators"]
    return found


def _row(job: Job, each: Accelerator) -> list[Cell]:
    price = next(iter(each.prices), None)
    bf16, fp8 = (each.peak_flops.get(name) for name in ("bf16", "fp8"))
    per_hour = price is not None and price.per == "hour"
    return [
        Cell(device_name(each.name, job.language), each.name, link(job, f"{PATH}/{each.id}"), each.id),
        _measure(each.memory_bytes / GiB, ".1f"),
        _measure(each.marketing_memory_gb, "g"),
        _measure(None if each.bandwidth_bytes_per_s is None else each.bandwidth_bytes_per_s / GB, ",.0f"),
        _measure(None if bf16 is None else bf16 / TB, ",.0f"),
        _measure(None if fp8 is None else fp8 / TB, ",.0f"),
        _measure(each.devices_per_node, "d"),
        _measure(each.tdp_w, "g"),
        _measure(each.release_year, "d"),
        Cell(
            price_words(each, price, job.language),
            float(price.low) if price is not None and per_hour else None,
            "",
            "" if price is None else date_words(price.date, job.language),
        ),
        Cell(text("site", "plan-it", job.language), None, link(job, "/", f"model=deepseek-v3&gpus={each.id}")),
    ]


def _measure(value: float | None, form: str) -> Cell:
    return Cell(DASH) if value is None else Cell(format(value, form), value)


def _accelerator_page(job: Job, error: GpusizerError | None) -> str:
    """One accelerator: each figure with the numbers of its sources, which stand at the end."""
    if error is not None:
        return not_here(job, PATH, text("web", "nav-accelerators", job.language), error)
    document, device = accelerator_answer(job.path, job.language), accelerator(job.path)
    tables = [each for each in document.blocks if isinstance(each, Table)]
    sources = [each.words for each in document.blocks if isinstance(each, Fixed)]
    notes = set(device.notes)
    engines, china, *rest = [each.words for each in document.blocks if isinstance(each, Paragraph) and each.words not in notes]
    return rendered(
        "accelerator.html",
        job,
        f"{PATH}/{job.path}",
        device=device,
        name=device_name(device.name, job.language),
        tables=[(_caption(each, tables, device, job.language), each.columns, _marked(each, device, job.language)) for each in tables],
        engines=[(_engine(each, job), text("ui", f"engine-{answer}", job.language), answer) for each, answer in device.engines.items()],
        engine_marks=_cell(engines).marks,
        china=(text("ui", f"china-{device.china['available']}", job.language), device.china.get("note", ""), _cell(china).marks),
        unverified=rest,
        sources=[(found[1], linked(found[2])) for found in map(_SOURCE.fullmatch, "\n".join(sources).splitlines()) if found],
        forms=[(name, link(job, f"{PATH}/{device.id}.{ending}")) for name, ending in (("markdown", "md"), ("json", "json"))],
    )


def _caption(table: Table, tables: Sequence[Table], device: Accelerator, language: str) -> str:
    """What a table holds: figures first, then peaks, measurements and prices, as far as there are some."""
    held = {"figures": True, "peaks": bool(device.peak_flops), "measured": bool(device.measured), "prices": bool(device.prices)}
    codes = [code for code, there in held.items() if there]
    return text("site", f"gpu-{codes[list(tables).index(table)]}", language)


def _marked(table: Table, device: Accelerator, language: str) -> list[list[Marked]]:
    """Rows with the numbers of their sources apart; a figure that nobody checked is marked."""
    names = {words for field in unverified_fields(device) for words in (field_words(field, language), text("ui", f"field-{field}", language))}
    methods = {each["method"] for each in device.measured}
    rows = [[_cell(cell, unverified=row[0] in names and place == 0) for place, cell in enumerate(row)] for row in table.rows]
    return [[cell._replace(language="en") if cell.words in methods else cell for cell in row] for row in rows]


def _cell(words: str, *, unverified: bool = False) -> Marked:
    """Words, and the numbers of sources at their end.

    >>> _cell("900 GB/s").marks, _cell("[1] [2]").marks, _cell("Engines: vllm yes [16]").words
    ([], ['1', '2'], 'Engines: vllm yes')
    """
    return Marked(_MARK.sub("", words).strip(), _MARK.findall(words), unverified)


def _engine(name: str, job: Job) -> Piece:
    """An engine, with its page where we know it."""
    declared = find_declaration(name)
    return Piece(name) if declared is None else Piece(declared.label, link(job, f"/engines/{declared.id}"))
