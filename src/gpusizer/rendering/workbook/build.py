"""The workbook from its parts: which sheets, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from importlib.metadata import version

from gpusizer.engines import engine_name
from gpusizer.planning.types import Plan
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.candidates import tried_of, try_layouts
from gpusizer.rendering.workbook.cells.lookup import SheetLookup, model_of
from gpusizer.rendering.workbook.cells.selected import chosen_of, select
from gpusizer.rendering.workbook.cells.speed import live_speed
from gpusizer.rendering.workbook.live import DASH, chosen, compared, constant
from gpusizer.rendering.workbook.sheets.answer import Answer, deployed
from gpusizer.rendering.workbook.sheets.article import fill_article
from gpusizer.rendering.workbook.sheets.gpus import fill_gpus, order_table
from gpusizer.rendering.workbook.sheets.handed import fill_handed
from gpusizer.rendering.workbook.sheets.lists import fill_formats, fill_formulas, fill_models, fill_sources
from gpusizer.rendering.workbook.sheets.memory import fill_memory, fill_parts
from gpusizer.rendering.workbook.sheets.speed import fill_speed, no_speed
from gpusizer.rendering.workbook.sheets.start import Beginning, fill_inputs, set_up_start
from gpusizer.rendering.workbook.tables.gather import Facts
from gpusizer.rendering.workbook.tables.tables import write_tables
from gpusizer.rendering.workbook.tracer import Trace

__all__ = ["build"]

PARTS_ROW, CHART_ROW, RUNNERS_ROW = 26, 36, 45
VISIBLE = ("start", "article", "memory", "gpus", "models", "speed", "formats", "formulas", "sources")


def build(facts: Facts, start: Beginning, today: date, plan: Plan | None = None) -> bytes:
    """Write the workbook.

    Parameters
    ----------
    facts : Facts
        Everything that the sheets look up.
    start : Beginning
        What the inputs are when it is opened.
    today : date
        When it is written.
    plan : Plan, optional
        Whose times and rates have a sheet of their own.
    """
    book = Book(facts.language)
    made = _describe(book, facts, today, start.settings)
    for code in VISIBLE:
        if code != "speed" or plan is not None:
            book.add(code)
    account = Account(book.add("Calc", technical=True))
    wide = book.add("Tried", technical=True)
    tables = write_tables(book, facts)
    orders = order_table(book, tables)
    page = set_up_start(book, today)
    inputs = fill_inputs(page, tables, account, start)
    trace = Trace(account.grid, wide)
    model = model_of(trace, tables, inputs)
    parts = facts.engine.parts(SheetLookup(trace, tables), model)
    selected = select(trace, account, tables, inputs, model, parts)
    tried = try_layouts(trace, tables, inputs, model, parts)
    trace.row = account.row
    trace.write(*selected.figures.values(), *selected.items.values(), tried.gpus, tried.holds, tried.legal, tried.whole)
    account.row, found = trace.row, chosen_of(trace, selected)
    whole = deployed(account, tables, inputs, found)
    speed, runners = no_speed(book.say("speed-in-plan")), None
    if plan is not None:
        pool = chosen(compared(found.concurrency, "=", DASH), constant(0), found.concurrency)
        asked = {"pool": pool, "starts": found.starts, "requests": found.requests, "step_tokens": found.step_tokens, "replicas": whole.replicas}
        speed, runners = fill_speed(book, plan, inputs, whole.layout, live_speed(book, tables, inputs, asked, plan))
    ranking = fill_gpus(book, tables, orders, inputs, [tried_of(trace, tried, number) for number in range(tried.gpus.devices.size)])
    answer = Answer(page, tables, orders, account, inputs, found, whole, speed)
    answer.fill()
    fill_parts(page, PARTS_ROW, found, fill_memory(book, found), CHART_ROW)
    last, pages = answer.legend(answer.runners_up(RUNNERS_ROW, ranking, runners) + 1, made), 1
    if plan is not None and runners is not None:
        last, pages = fill_handed(page, last + 2, plan, runners.same), 2
    page.printed(last, paper="tall", pages=pages)
    fill_article(book, tables, inputs, found)
    fill_models(book, tables)
    fill_formats(book)
    fill_formulas(book)
    fill_sources(book, facts, made, plan)
    for grid in book.grids.values():
        grid.sheet.protect("", {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True, "select_locked_cells": True})
    page.grid.sheet.activate()
    return book.close()


def _describe(book: Book, facts: Facts, today: date, settings: Sequence[str]) -> str:
    """Properties of the document; the line that says who wrote it and when."""
    engine, release = engine_name(facts.engine.id), ".".join(map(str, facts.engine.version))
    made = book.say("sources-made-by", version=version("gpusizer"), date=today.isoformat(), engine=" ".join((engine, release, *settings)))
    names = [model.source.name for model in facts.models]
    model = names[0] if len(names) == 1 else book.say("any-model")
    book.describe(
        book.say("title-of", model=model),
        subject=book.say("properties-subject", model=model),
        author="gpusizer",
        comments=made,
        keywords=", ".join(["GPU", "LLM", engine, *(names if len(names) == 1 else ())])[:200],
        created=datetime(today.year, today.month, today.day),
    )
    return made
