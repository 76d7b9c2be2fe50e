"""Every accelerator with the load of the first sheet: the smallest layout that holds it, how many GPUs, what they cost, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.core import maximum
from gpusizer.formulas.load import deployment_cost, servers_needed
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.search import order_unit
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES, HUGE, TriedDevice
from gpusizer.rendering.workbook.cells.reserve import load_replicas
from gpusizer.rendering.workbook.cells.selected import refusal_place
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Area, Live, all_of, any_of, chosen, compared, constant, picked, recorded, words
from gpusizer.rendering.workbook.sentences import layout_words
from gpusizer.rendering.workbook.sheets.page import Page, or_dash
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB

__all__ = ["KW", "NONE", "Ranking", "fill_gpus", "order_table", "ordered_together"]

FIRST = 4
NONE = 10**16
"""The key of a device that does not come after the chosen one."""

KW = 1000
"""Watts. [W]"""


@dataclass(frozen=True)
class Ranking:
    """The sheet's rows as columns to choose from; keys are smaller where fewer GPUs do, and NONE where none do."""

    keys: Area
    names: Area
    gpus: Area
    layouts: Area
    rents: Area
    purchases: Area


def order_table(book: Book, tables: Tables) -> Table:
    """What a bid asks of each device beside its memory: power, purchase, how many are ordered together, when its prices were."""
    rows = []
    for device in tables.facts.accelerators:
        rent, bought = rent_of(device, 1, by_card=True), purchase_of(device, 1)
        dates = "; ".join(dict.fromkeys(cost.date for cost in (rent, bought) if cost is not None))
        money = (None, "") if bought is None else (float(bought.amount), bought.currency)
        rows.append([device.id, device.tdp_w, order_unit(device), *money, dates])
    names = ("id", "tdp_w", "unit", "purchase", "currency", "dates")
    return Table(book.add("Orders", technical=True), [(name, 1) for name in names], rows)


def ordered_together(gpus: Live, unit: Live) -> Live:
    """GPUs to order: whole servers where the part is sold so."""
    return recorded(lambda *, gpus, unit: servers_needed(gpus=gpus, devices_per_node=unit) * unit, gpus=gpus, unit=unit)


_COLUMNS = (
    ("gpu", 36, "label"), ("id", 25, "label"), ("memory", 9, "gib"), ("legal", 8, "yes-no"), ("needed", 8, "number"), ("layout", 11, "inside"),
    ("replicas", 9, "number"), ("holds", 10, "number"), ("price", 12, "money:"), ("cost", 13, "money:"), ("purchase", 14, "coin:"),
    ("power", 10, "kilowatts"), ("why", 48, "inside-wrap"),
)  # fmt: skip


def fill_gpus(book: Book, tables: Tables, orders: Table, inputs: Inputs, tried: Sequence[TriedDevice]) -> Ranking:
    """Write the sheet, one row an accelerator, ready to filter.

    Parameters
    ----------
    book : Book
        The workbook.
    tables, orders : Tables, Table
        What is looked up.
    inputs : Inputs
        The load.
    tried : sequence of TriedDevice
        What each device comes to.

    Returns
    -------
    Ranking
        Columns that the first sheet chooses from.
    """
    styles = [style for _, _, style in _COLUMNS]
    page = Page(book, "gpus", [width for _, width, _ in _COLUMNS])
    page.heading()
    page.head(FIRST - 1, [book.say(f"gpus-{title}") for title, _, _ in _COLUMNS], styles)
    devices = list(tables.facts.accelerators)
    contents = refusal_place(tables, inputs)
    keys = book.add("Keys", technical=True)
    shown: list[list[Live | None]] = []
    ranks: list[Live] = []
    for number, (device, found) in enumerate(zip(devices, tried, strict=True)):
        cells = _row(page, tables, orders.rows[number], number, (found, tables.devices.get("refusal", constant(number + 1), contents)))
        shown.append(cells)
        needed = cells[4]
        assert needed is not None
        other = all_of(compared(needed, "<>", DASH), compared(inputs.gpu, "<>", device.id))
        key = recorded(lambda *, gpus, number: gpus * 1000 + number, gpus=found.gpus, number=number)
        ranks.append(chosen(other, key, constant(NONE)) if device.considered else constant(NONE))
    last = FIRST + len(devices) - 1
    page.listed(FIRST - 1, len(devices), len(_COLUMNS))
    page.printed(last, repeat=FIRST - 1)
    bad = book.workbook.add_format({"font_color": "#9B1C1C"})
    chosen_one = book.workbook.add_format({"bg_color": "#FFF4D6", "bold": True})
    for criteria, form in ((f"=$B{FIRST + 1}=in_gpu", chosen_one), (f'=$E{FIRST + 1}="{DASH}"', bad)):
        page.grid.sheet.conditional_format(FIRST, 0, last, len(_COLUMNS) - 1, {"type": "formula", "criteria": criteria, "format": form})

    def column(place: int) -> Area:
        return Area(page.grid.span(FIRST, place, len(devices)), [None if (cell := cells[place]) is None else cell.value for cells in shown])

    names = Area(page.grid.span(FIRST, 0, len(devices)), [each.name for each in devices])
    return Ranking(keys.stretch(0, 0, ranks), names, *(column(place) for place in (4, 5, 9, 10)))


def _row(page: Page, tables: Tables, order: Sequence[Any], number: int, attempt: tuple[TriedDevice, Live]) -> list[Live | None]:
    say, row, device = page.book.say, FIRST + number, tables.facts.accelerators[number]
    found, refusal = attempt
    place = found.place
    good = all_of(compared(refusal, "=", 0), compared(found.gpus, "<", HUGE))
    node = device.devices_per_node or 8
    legal = any_of(*(compared(each, "=", 1) for each, (tp, _) in zip(found.legal, CANDIDATES, strict=True) if tp <= node))
    gpus = Live(page.grid.at(row, 4), found.gpus.value if good.value else DASH)
    size = _by_place(place, [tp * pp for tp, pp in CANDIDATES])
    tp, pp = _by_place(place, [tp for tp, _ in CANDIDATES]), _by_place(place, [pp for _, pp in CANDIDATES])
    layout = layout_words(tp, pp, _by_cell(place, found.whole), constant(1))
    none = chosen(compared(found.gpus, ">=", HUGE), words(say("gpus-none")), words(""))
    at_least = recorded(lambda *, number: maximum(number, 1), number=refusal)
    why = chosen(compared(refusal, ">", 0), picked(tables.reasons.area("words"), at_least), none)
    rent, currency = (tables.devices.rows[number][tables.devices.places[name][0]] for name in ("price", "currency"))
    _, tdp, unit, purchase, bought_in, _ = order

    reserve = tables.facts.reserve
    others = {"own": tables.devices.get("own", constant(number + 1))} if reserve.own else {}

    def replicas(*, gpus: Any, size: Any, own: Any = 0) -> Any:
        return load_replicas(reserve, gpus=gpus, size=size, own=lambda: own)

    def of_all(live: Live) -> Live:
        return or_dash(gpus, live)

    together = ordered_together(gpus, constant(unit))
    values = [
        device.name if device.status == "shipping" else f"{device.name} ({say(f'status-{device.status}')})",
        device.id,
        device.memory_bytes / GiB,
        chosen(legal, constant(1), constant(0)),
        chosen(good, found.gpus, words(DASH)),
        chosen(good, layout, words(DASH)),
        chosen(good, recorded(replicas, gpus=found.gpus, size=size, **others), words(DASH)),
        chosen(good, picked(found.holds, place), words(DASH)),
        rent,
        None if rent is None else of_all(recorded(deployment_cost, gpus=gpus, price=Live(page.grid.at(row, 8), rent))),
        None if purchase is None else of_all(recorded(deployment_cost, gpus=together, price=purchase)),
        None if tdp is None else of_all(recorded(lambda *, gpus, tdp, unit: gpus * tdp / unit, gpus=gpus, tdp=tdp, unit=KW)),
        why,
    ]
    monies = {8: f"money:{currency}", 9: f"money:{currency}", 10: f"coin:{bought_in}"}
    return page.row(row, values, [monies.get(column, style) for column, (_, _, style) in enumerate(_COLUMNS)])


def _by_place(place: Live, values: list[int]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(map(str, values))})", values[int(place.value) - 1])


def _by_cell(place: Live, lives: list[Live]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(live.text for live in lives)})", lives[int(place.value) - 1].value)
