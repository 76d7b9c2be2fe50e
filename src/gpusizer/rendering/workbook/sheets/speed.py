"""Times and rates of a plan's options. They do not follow the inputs, so they are shown only while the inputs are those of the plan."""

from __future__ import annotations

from gpusizer.i18n import text
from gpusizer.planning.types import Plan
from gpusizer.rendering.launch import layout_words
from gpusizer.rendering.plan import evidence_of
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Area, Live, all_of, chosen, compared, constant, first_equal, picked, words

__all__ = ["fill_speed"]

FIRST = 8
_COLUMNS = ("gpu", "id", "layout", "gpus", "ttft", "ttft-band", "tpot", "tpot-band", "rate", "rate-band", "evidence")
_WIDTHS = (40, 26, 16, 8, 12, 18, 12, 18, 14, 20, 14)


def fill_speed(book: Book, grid: Grid, plan: Plan, inputs: Inputs) -> None:
    """Write the sheet.

    Parameters
    ----------
    book, grid : Book, Grid
        The workbook and the sheet.
    plan : Plan
        Its options, with their times and rates.
    inputs : Inputs
        Cells that must be those of the plan.
    """
    say, sheet, need = book.say, grid.sheet, plan.need
    grid.text(0, 0, say("sheet-speed"), "title")
    grid.text(1, 0, say("speed-note"), "text")
    same = all_of(
        compared(inputs.precision_place, "=", constant(inputs.precision_place.value)),
        compared(inputs.kv_place, "=", constant(inputs.kv_place.value)),
        compared(inputs.concurrency, "=", need.concurrency),
        compared(inputs.input_tokens, "=", need.input_tokens),
        compared(inputs.output_tokens, "=", need.output_tokens),
    )
    grid.text(2, 0, say("speed-same"))
    there = grid.formula(2, 1, same, "general")
    for column, (code, width) in enumerate(zip(_COLUMNS, _WIDTHS, strict=True)):
        sheet.set_column(column, column, width)
        grid.text(FIRST - 1, column, say(f"speed-{code}"), "head")
    sheet.set_row(FIRST - 1, 45)
    ids, layouts, cells = [], [], {"ttft": [], "tpot": [], "rate": []}  # type: ignore[var-annotated]
    options = [option for option in plan.options if option.performance is not None]
    for row, option in enumerate(options, FIRST):
        speed = option.performance
        assert speed is not None
        layout = layout_words(option.layout, option.replicas)
        ids.append(option.accelerator.id)
        layouts.append(layout)
        grid.text(row, 0, option.accelerator.name)
        grid.text(row, 1, option.accelerator.id)
        grid.text(row, 2, layout, "inside")
        grid.value(row, 3, option.gpus)
        for column, name, quantity, style in (
            (4, "ttft", speed.ttft_s, "three"),
            (6, "tpot", speed.tpot_s, "four"),
            (8, "rate", speed.output_tokens_per_s, "number"),
        ):
            live = chosen(there, constant(quantity.value), words(DASH))
            cells[name].append(grid.formula(row, column, live, style))
            digits = {"three": 2, "four": 4, "number": 0}[style]
            grid.text(row, column + 1, f"{quantity.low:,.{digits}f} - {quantity.high:,.{digits}f}", "right")
        grid.text(row, 10, text("ui", f"evidence-{evidence_of(option)}", book.language), "inside")
    if options:
        sheet.autofilter(FIRST - 1, 0, FIRST + len(options) - 1, len(_COLUMNS) - 1)
        _results(book, grid, inputs, ids, layouts, cells)
    sheet.freeze_panes(FIRST, 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(FIRST - 1)


def _results(book: Book, grid: Grid, inputs: Inputs, ids: list[str], layouts: list[str], cells: dict[str, list[Live]]) -> None:
    """Named results: those of the chosen device, while its layout is that of the plan."""
    count = len(ids)
    row = first_equal(inputs.gpu, Area(grid.span(FIRST, 1, count), ids), 1)
    known = compared(picked(Area(grid.span(FIRST, 1, count), ids), row), "=", inputs.gpu)
    same = compared(picked(Area(grid.span(FIRST, 2, count), layouts), row), "=", inputs.layout_words)
    for number, name in enumerate(("ttft", "tpot", "rate")):
        place = {"ttft": 4, "tpot": 6, "rate": 8}[name]
        area = Area(grid.span(FIRST, place, count), [live.value for live in cells[name]])
        live = chosen(all_of(known, same), picked(area, row), words(DASH))
        code = {"ttft": "out_ttft_s", "tpot": "out_tpot_s", "rate": "out_output_tokens_per_s"}[name]
        grid.text(3 + number, 0, book.say(f"speed-{name}"))
        book.name(code, grid.formula(3 + number, 1, live, {"ttft": "three", "tpot": "four", "rate": "number"}[name]))
