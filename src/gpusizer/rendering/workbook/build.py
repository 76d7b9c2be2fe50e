"""The workbook from its parts: which sheets, in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gpusizer.planning.types import Plan
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.assembly import Parts
from gpusizer.rendering.workbook.cells.candidates import tried_of, try_layouts
from gpusizer.rendering.workbook.cells.leaves import model_of
from gpusizer.rendering.workbook.cells.selected import chosen_of, select
from gpusizer.rendering.workbook.sheets.article import fill_article
from gpusizer.rendering.workbook.sheets.gpus import fill_gpus
from gpusizer.rendering.workbook.sheets.lists import fill_formats, fill_formulas, fill_models, fill_sources
from gpusizer.rendering.workbook.sheets.memory import fill_memory
from gpusizer.rendering.workbook.sheets.speed import fill_speed
from gpusizer.rendering.workbook.sheets.start import Beginning, fill_answer, fill_inputs, set_up_start
from gpusizer.rendering.workbook.tables.gather import Facts
from gpusizer.rendering.workbook.tables.tables import write_tables
from gpusizer.rendering.workbook.tracer import Trace

__all__ = ["build"]

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
    grids = {code: book.add(code) for code in VISIBLE if code != "speed" or plan is not None}
    account = Account(book.add("Calc", technical=True))
    wide = book.add("Tried", technical=True)
    tables = write_tables(book, facts)
    set_up_start(book, grids["start"])
    inputs = fill_inputs(book, grids["start"], tables, account, start)
    trace = Trace(account.grid, wide)
    model = model_of(trace, tables, inputs)
    parts = Parts(trace, tables, model)
    selected = select(trace, account, tables, inputs, model, parts)
    tried = try_layouts(trace, tables, inputs, model, parts)
    trace.row = account.row
    trace.write(*selected.figures.values(), *selected.items.values(), tried.gpus, tried.holds, tried.legal, tried.whole)
    account.row, found = trace.row, chosen_of(trace, selected)
    results = fill_answer(book, grids["start"], tables, account, inputs, found)
    if plan is not None:
        fill_speed(book, grids["speed"], plan, replace(inputs, layout_words=results["layout"]))
    fill_article(book, grids["article"], tables, inputs, found)
    fill_memory(book, grids["memory"], grids["start"], found)
    fill_gpus(book, grids["gpus"], tables, inputs, [tried_of(trace, tried, number) for number in range(tried.gpus.devices.size)])
    fill_models(book, grids["models"], tables)
    fill_formats(book, grids["formats"])
    fill_formulas(book, grids["formulas"])
    fill_sources(book, grids["sources"], facts, today)
    for grid in grids.values():
        grid.sheet.protect("", {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True, "select_locked_cells": True})
    grids["start"].sheet.activate()
    return book.close()
