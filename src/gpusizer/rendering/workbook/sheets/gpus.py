"""Every accelerator with the load of the first sheet: the smallest layout that holds it, how many GPUs, what they cost, or why not."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.formulas.core import maximum, minimum, rounded
from gpusizer.formulas.load import deployment_cost, held_requests, replicas_needed, servers_needed
from gpusizer.formulas.memory.budget import outside_budget_bytes
from gpusizer.formulas.memory.cache_blocks import pool_blocks, pool_concurrency
from gpusizer.formulas.memory.stages import band_width_bytes
from gpusizer.planning.prices import purchase_of, rent_of
from gpusizer.planning.search import order_unit
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.candidates import Candidate
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import (
    DASH,
    Area,
    Live,
    all_of,
    any_of,
    chosen,
    compared,
    constant,
    first_equal,
    least,
    picked,
    recorded,
    words,
)
from gpusizer.rendering.workbook.sentences import layout_words
from gpusizer.rendering.workbook.sheets.page import Page, or_dash
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB

__all__ = ["KW", "NONE", "Ranking", "fill_gpus", "order_table", "ordered_together"]

FIRST = 4
_HUGE = 10**12
NONE = 10**16
"""The key of a device that does not come after the chosen one."""

KW = 1000
"""Watts. [W]"""


class _Device:
    """One device: constants of its row, and what each candidate comes to on it."""

    def __init__(self, account: Account, tables: Tables, number: int) -> None:
        self.account, self.tables, self.row = account, tables, constant(number + 1)
        self.number = constant(int(tables.devices.rows[number][tables.devices.places["class"][0]]))
        self.node = int(tables.devices.rows[number][tables.devices.places["node"][0]])

    def get(self, name: str, place: Live | None = None) -> Live:
        """A figure of the device."""
        return self.tables.devices.get(name, self.row, place)


def _attempt(device: _Device, candidate: Candidate, inputs: Inputs) -> list[Live]:
    """Cells of one candidate: blocks and blocks on the safe side of each stage, requests held, GPUs."""
    account, number = device.account, device.number
    several = candidate.tp * candidate.pp > 1
    case = chosen(compared(candidate.whole, "=", 1), constant(3), constant(2)) if candidate.tp > 1 else constant(2 if several else 1)
    kind = constant(2 if candidate.tp > 1 else 3 if candidate.pp > 1 else 1)
    growth, above = device.get("growth", kind), device.get("above", kind)
    column = _Columns(account)
    budget = column.add(device.get("budget", case))
    held, safe, grown_of = [], [], []
    for stage in candidate.stages:
        figures = {name: picked(area, number) for name, area in stage.columns.items()}
        raw = recorded(lambda *, growth, workspace: growth + workspace, growth=growth, workspace=figures["workspace"])
        grown = column.add(recorded(lambda *, size: rounded(size), size=raw))
        available = column.add(
            recorded(lambda *, budget, charged, grown: budget - charged - grown, budget=budget, charged=figures["charged"], grown=grown)
        )
        width = recorded(band_width_bytes, size_bytes=raw, share=0, added_bytes=above)
        spread = recorded(lambda *, a, b: (a**2 + b**2) ** 0.5, a=figures["spread"], b=width)
        low = recorded(lambda *, available, spread: available - spread, available=available, spread=spread)
        block = recorded(lambda *, block: maximum(block, 1), block=figures["block"])
        held.append(column.add(recorded(pool_blocks, pool_bytes=available, block_bytes=block)))
        safe.append(column.add(recorded(pool_blocks, pool_bytes=low, block_bytes=block)))
        grown_of.append((grown, available, figures))
    blocks = held[0] if len(held) == 1 else column.add(_smallest(held))
    low_blocks = safe[0] if len(safe) == 1 else column.add(_smallest(safe))
    needed = picked(candidate.needed, number)
    counted = recorded(lambda *, needed: maximum(needed, 1), needed=needed)
    amount = recorded(pool_concurrency, blocks=low_blocks, blocks_per_request=counted)
    holds = column.add(
        recorded(
            lambda *, held, most: minimum(held, most),
            held=recorded(held_requests, max_concurrency=amount),
            most=picked(candidate.requests, number),
        )
    )
    before = recorded(lambda *, a, b: a + b, a=device.get("context"), b=device.get("joined", case))
    free = recorded(lambda *, visible, before: visible - before, visible=device.get("visible"), before=before)
    conditions = [compared(candidate.legal, "=", 1), compared(budget, "<=", free), compared(blocks, ">=", needed), compared(holds, ">=", 1)]
    for grown, available, figures in grown_of:
        conditions += [compared(available, ">", 0), compared(_shortfall(device, case, grown, blocks, figures), "<=", 0)]
    replicas = recorded(replicas_needed, concurrency=inputs.concurrency, held=recorded(lambda *, held: maximum(held, 1), held=holds))
    each = recorded(lambda *, replicas, size: replicas * size, replicas=replicas, size=candidate.tp * candidate.pp)
    gpus = column.add(chosen(all_of(*conditions), each, constant(_HUGE)))
    return [gpus, holds]


class _Columns:
    """Cells of one row of the technical sheet, one after the other."""

    def __init__(self, account: Account) -> None:
        self.account, self.column = account, 1

    def add(self, live: Live) -> Live:
        """The next cell."""
        cell = self.account.grid.bare(self.account.row, self.account.wide, live)
        self.account.wide += 1
        return cell

    def side_by_side(self, lives: list[Live]) -> Area:
        """The next cells, as a range."""
        start = self.account.wide
        for live in lives:
            self.add(live)
        return Area(self.account.grid.span(self.account.row, start, 1, len(lives)), [live.value for live in lives])


def _smallest(lives: list[Live]) -> Live:
    return recorded(lambda **values: minimum(*values.values()), **{f"v{place}": live for place, live in enumerate(lives)})


def _shortfall(device: _Device, case: Live, grown: Live, blocks: Live, figures: dict[str, Live]) -> Live:
    outside = recorded(
        outside_budget_bytes, context_bytes=device.get("context"), communication_bytes=device.get("joined", case), late_bytes=device.get("driver")
    )
    return recorded(
        lambda *, weights, activation, graphs, low, grown, outside, blocks, block, memory: (
            weights + activation + grown + outside + blocks * block - memory + maximum(low - activation, 0)
        ),
        weights=figures["weights"],
        activation=figures["activation"],
        graphs=figures["graphs"],
        low=figures["graphs_low"],
        grown=grown,
        outside=outside,
        blocks=blocks,
        block=figures["block"],
        memory=device.get("memory"),
    )


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
    for figures in tables.facts.devices.figures:
        device = figures.accelerator
        rent, bought = rent_of(device, 1), purchase_of(device, 1)
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
    ("replicas", 9, "number"), ("holds", 10, "number"), ("price", 12, "money:"), ("cost", 13, "money:"), ("purchase", 16, "money:"),
    ("power", 10, "kilowatts"), ("why", 44, "label"),
)  # fmt: skip


def fill_gpus(book: Book, tables: Tables, orders: Table, account: Account, inputs: Inputs, candidates: list[Candidate]) -> Ranking:
    """Write the sheet, one row an accelerator, ready to filter.

    Parameters
    ----------
    book : Book
        The workbook.
    tables, orders : Tables, Table
        What is looked up.
    account : Account
        The technical sheet of what each device comes to.
    inputs : Inputs
        The load.
    candidates : list of Candidate
        Layouts to try.

    Returns
    -------
    Ranking
        Columns that the first sheet chooses from.
    """
    page = Page(book, "gpus", [width for _, width, _ in _COLUMNS])
    page.heading()
    page.head(FIRST - 1, [book.say(f"gpus-{title}") for title, _, _ in _COLUMNS], [style for _, _, style in _COLUMNS])
    account.row += 2
    top = account.row
    devices = tables.facts.devices.figures
    shown: list[list[Live | None]] = []
    keys: list[Live] = []
    families = tables.models.get("families", inputs.model_row, inputs.precision_place)
    for number, figures in enumerate(devices):
        account.wide = 2  # the first column is the key
        account.grid.plain(account.row, 0, figures.accelerator.id)
        device = _Device(account, tables, number)
        tried = [_attempt(device, each, inputs) if each.tp <= device.node else [constant(_HUGE), constant(0)] for each in candidates]
        columns = _Columns(account)
        gpus, holds = columns.side_by_side([each[0] for each in tried]), columns.side_by_side([each[1] for each in tried])
        best = columns.add(least(gpus))
        attempt = _Attempt(device, columns.add(device.get("refusal", families)), best, columns.add(first_equal(best, gpus, 1)), holds)
        cells = _row(page, orders, candidates, attempt)
        shown.append(cells)
        needed = cells[4]
        assert needed is not None
        other = all_of(compared(needed, "<>", DASH), compared(inputs.gpu, "<>", figures.accelerator.id))
        key = recorded(lambda *, gpus, number: gpus * 1000 + number, gpus=attempt.best, number=number)
        announced = figures.accelerator.status == "announced"
        keys.append(account.grid.bare(account.row, 1, constant(NONE) if announced else chosen(other, key, constant(NONE))))
        account.row += 1
    last = FIRST + len(devices) - 1
    page.listed(FIRST - 1, len(devices), len(_COLUMNS))
    page.printed(last, repeat=FIRST - 1)
    bad = book.workbook.add_format({"font_color": "#9B1C1C"})
    chosen_one = book.workbook.add_format({"bg_color": "#FFF4D6", "bold": True})
    for criteria, form in ((f"=$B{FIRST + 1}=in_gpu", chosen_one), (f'=$E{FIRST + 1}="{DASH}"', bad)):
        page.grid.sheet.conditional_format(FIRST, 0, last, len(_COLUMNS) - 1, {"type": "formula", "criteria": criteria, "format": form})

    def column(place: int) -> Area:
        return Area(page.grid.span(FIRST, place, len(devices)), [None if (cell := cells[place]) is None else cell.value for cells in shown])

    names = Area(page.grid.span(FIRST, 0, len(devices)), [each.accelerator.name for each in devices])
    return Ranking(Area(account.grid.span(top, 1, len(keys)), [key.value for key in keys]), names, *(column(place) for place in (4, 5, 9, 10)))


@dataclass(frozen=True)
class _Attempt:
    """What the candidates came to on a device."""

    device: _Device
    refusal: Live
    best: Live
    place: Live
    holds: Area


def _row(page: Page, orders: Table, candidates: list[Candidate], attempt: _Attempt) -> list[Live | None]:
    say, tables, number = page.book.say, attempt.device.tables, int(attempt.device.row.value) - 1
    device, row = tables.facts.devices.figures[number].accelerator, FIRST + number
    best, place, refusal = attempt.best, attempt.place, attempt.refusal
    good = all_of(compared(refusal, "=", 0), compared(best, "<", _HUGE))
    legal = any_of(*(compared(each.legal, "=", 1) for each in candidates if each.tp <= attempt.device.node))
    gpus = Live(page.grid.at(row, 4), best.value if good.value else DASH)
    size = _by_place(place, [each.tp * each.pp for each in candidates])
    tp, pp = _by_place(place, [each.tp for each in candidates]), _by_place(place, [each.pp for each in candidates])
    layout = layout_words(tp, pp, _by_cell(place, [each.whole for each in candidates]), constant(1))
    reasons = tables.reasons.area("words")
    none = chosen(compared(best, ">=", _HUGE), words(say("gpus-none")), words(""))
    why = chosen(compared(refusal, ">", 0), picked(reasons, recorded(lambda *, number: maximum(number, 1), number=refusal)), none)

    def of_all(price: Live | None) -> Live | None:
        return None if price is None else or_dash(gpus, recorded(deployment_cost, gpus=gpus, price=price))

    rent, currency = (tables.devices.rows[number][tables.devices.places[name][0]] for name in ("price", "currency"))
    _, tdp, unit, purchase, bought_in, _ = orders.rows[number]
    price = None if rent is None else Live(page.grid.at(row, 8), rent)
    bought = None if purchase is None else recorded(deployment_cost, gpus=ordered_together(gpus, constant(unit)), price=constant(purchase))
    values = [
        device.name if device.status == "shipping" else f"{device.name} ({say(f'status-{device.status}')})",
        device.id,
        device.memory_bytes / GiB,
        chosen(legal, constant(1), constant(0)),
        chosen(good, best, words(DASH)),
        chosen(good, layout, words(DASH)),
        chosen(good, recorded(lambda *, gpus, size: gpus / size, gpus=best, size=size), words(DASH)),
        chosen(good, picked(attempt.holds, place), words(DASH)),
        rent,
        of_all(price),
        None if bought is None else or_dash(gpus, bought),
        None if tdp is None else or_dash(gpus, recorded(lambda *, gpus, tdp, unit: gpus * tdp / unit, gpus=gpus, tdp=tdp, unit=KW)),
        why,
    ]
    monies = {8: f"money:{currency}", 9: f"money:{currency}", 10: f"money:{bought_in}"}
    return page.row(row, values, [monies.get(column, style) for column, (_, _, style) in enumerate(_COLUMNS)])


def _by_place(place: Live, values: list[int]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(map(str, values))})", values[int(place.value) - 1])


def _by_cell(place: Live, lives: list[Live]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(live.text for live in lives)})", lives[int(place.value) - 1].value)
