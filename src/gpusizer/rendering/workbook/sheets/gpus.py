"""Every accelerator with the load of the first sheet: the smallest layout that holds it, how many GPUs, what they cost, or why not."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.formulas.core import maximum
from gpusizer.formulas.load import deployment_cost
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES, HUGE, TriedDevice
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Live, all_of, any_of, chosen, compared, constant, picked, recorded, words
from gpusizer.rendering.workbook.sentences import layout_words
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB

__all__ = ["fill_gpus"]

FIRST = 4


def fill_gpus(book: Book, grid: Grid, tables: Tables, inputs: Inputs, tried: Sequence[TriedDevice]) -> None:
    """Write the sheet, one row an accelerator, ready to filter."""
    say, sheet = book.say, grid.sheet
    titles = ("gpu", "id", "memory", "legal", "needed", "layout", "replicas", "holds", "price", "cost", "currency", "why")
    for column, (title, width) in enumerate(zip(titles, (42, 30, 10, 12, 12, 14, 10, 12, 12, 12, 10, 70), strict=True)):
        sheet.set_column(column, column, width)
        grid.text(FIRST - 1, column, say(f"gpus-{title}"), "head")
    grid.text(0, 0, say("sheet-gpus"), "title")
    sheet.set_row(FIRST - 1, 32)
    grid.text(1, 0, say("gpus-note"), "text")
    devices = tables.facts.devices.figures
    families = tables.models.get("families", inputs.model_row, inputs.precision_place)
    for number, found in enumerate(tried):
        _row(book, grid, tables, number, found, tables.devices.get("refusal", constant(number + 1), families))
    sheet.autofilter(FIRST - 1, 0, FIRST + len(devices) - 1, len(titles) - 1)
    sheet.freeze_panes(FIRST, 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(FIRST - 1)
    bad = book.workbook.add_format({"font_color": "#9B1C1C"})
    chosen_one = book.workbook.add_format({"bg_color": "#FFF4D6", "bold": True})
    last = FIRST + len(devices) - 1
    sheet.conditional_format(FIRST, 0, last, len(titles) - 1, {"type": "formula", "criteria": f"=$B{FIRST + 1}=in_gpu", "format": chosen_one})
    sheet.conditional_format(FIRST, 0, last, len(titles) - 1, {"type": "formula", "criteria": f'=$E{FIRST + 1}="{DASH}"', "format": bad})


def _row(book: Book, grid: Grid, tables: Tables, number: int, found: TriedDevice, refusal: Live) -> None:
    say, row, device, place = book.say, FIRST + number, tables.facts.devices.figures[number].accelerator, found.place
    good = all_of(compared(refusal, "=", 0), compared(found.gpus, "<", HUGE))
    node = device.devices_per_node or 8
    legal = [compared(each, "=", 1) for each, (tp, _) in zip(found.legal, CANDIDATES, strict=True) if tp <= node]
    grid.text(row, 0, device.name)
    grid.text(row, 1, device.id)
    grid.sheet.write_number(row, 2, device.memory_bytes / GiB, book.style("one"))
    grid.formula(row, 3, chosen(any_of(*legal), words(say("yes")), words(say("no"))), "inside")
    gpus = grid.formula(row, 4, chosen(good, found.gpus, words(DASH)))
    size = _by_place(place, [tp * pp for tp, pp in CANDIDATES])
    replicas = chosen(good, recorded(lambda *, gpus, size: gpus / size, gpus=found.gpus, size=size), words(DASH))
    tp, pp = _by_place(place, [tp for tp, _ in CANDIDATES]), _by_place(place, [pp for _, pp in CANDIDATES])
    grid.formula(row, 5, chosen(good, layout_words(tp, pp, _by_cell(place, found.whole), constant(1)), words(DASH)), "inside")
    grid.formula(row, 6, replicas)
    grid.formula(row, 7, chosen(good, picked(found.holds, place), words(DASH)))
    price = tables.devices.rows[number][tables.devices.places["price"][0]]
    currency = tables.devices.rows[number][tables.devices.places["currency"][0]]
    if price is not None:
        cell = grid.value(row, 8, price, "two")
        cost = recorded(deployment_cost, gpus=gpus, price=cell)
        grid.formula(row, 9, chosen(compared(gpus, "=", DASH), words(DASH), cost), "two")
        grid.text(row, 10, currency, "inside")
    reasons = tables.reasons.area("words")
    at_least = recorded(lambda *, number: maximum(number, 1), number=refusal)
    none = chosen(compared(found.gpus, ">=", HUGE), words(say("gpus-none")), words(""))
    grid.formula(row, 11, chosen(compared(refusal, ">", 0), picked(reasons, at_least), none), "inside")


def _by_place(place: Live, values: list[int]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(map(str, values))})", values[int(place.value) - 1])


def _by_cell(place: Live, lives: list[Live]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(live.text for live in lives)})", lives[int(place.value) - 1].value)
