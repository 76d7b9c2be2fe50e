"""Every accelerator with the load of the first sheet: the smallest layout that holds it, how many GPUs, what they cost, or why not."""

from __future__ import annotations

from gpusizer.formulas.core import maximum, minimum, rounded
from gpusizer.formulas.load import deployment_cost, held_requests, replicas_needed
from gpusizer.formulas.memory.budget import outside_budget_bytes
from gpusizer.formulas.memory.cache_blocks import pool_blocks, pool_concurrency
from gpusizer.formulas.memory.stages import band_width_bytes
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.candidates import Candidate
from gpusizer.rendering.workbook.grid import Grid
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
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB

__all__ = ["fill_gpus"]

FIRST = 4
_HUGE = 10**12


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


def fill_gpus(book: Book, grid: Grid, tables: Tables, account: Account, inputs: Inputs, candidates: list[Candidate]) -> None:
    """Write the sheet, one row an accelerator, ready to filter."""
    say, sheet = book.say, grid.sheet
    titles = ("gpu", "id", "memory", "legal", "needed", "layout", "replicas", "holds", "price", "cost", "currency", "why")
    for column, (title, width) in enumerate(zip(titles, (42, 30, 10, 12, 12, 14, 10, 12, 12, 12, 10, 70), strict=True)):
        sheet.set_column(column, column, width)
        grid.text(FIRST - 1, column, say(f"gpus-{title}"), "head")
    grid.text(0, 0, say("sheet-gpus"), "title")
    sheet.set_row(FIRST - 1, 32)
    grid.text(1, 0, say("gpus-note"), "text")
    account.row += 2
    devices = tables.facts.devices.figures
    model_families = tables.models.get("families", inputs.model_row, inputs.precision_place)
    for number, figures in enumerate(devices):
        row = FIRST + number
        account.wide = 1
        account.grid.plain(account.row, 0, figures.accelerator.id)
        device = _Device(account, tables, number)
        tried = [_attempt(device, each, inputs) if each.tp <= device.node else None for each in candidates]
        columns = _Columns(account)
        start = account.wide
        for attempt in tried:
            columns.add(attempt[0] if attempt else constant(_HUGE))
        gpus = Area(account.grid.span(account.row, start, 1, len(tried)), [attempt[0].value if attempt else _HUGE for attempt in tried])
        start = account.wide
        for attempt in tried:
            columns.add(attempt[1] if attempt else constant(0))
        holds = Area(account.grid.span(account.row, start, 1, len(tried)), [attempt[1].value if attempt else 0 for attempt in tried])
        best = columns.add(least(gpus))
        place = columns.add(first_equal(best, gpus, 1))
        refusal = columns.add(device.get("refusal", model_families))
        _row(book, grid, tables, row, device, candidates, figures.accelerator.name, refusal, best, place, holds, tried)
        account.row += 1
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


def _row(
    book: Book,
    grid: Grid,
    tables: Tables,
    row: int,
    device: _Device,
    candidates: list[Candidate],
    name: str,
    refusal: Live,
    best: Live,
    place: Live,
    holds: Area,
    tried: list[list[Live] | None],
) -> None:
    say = book.say
    good = all_of(compared(refusal, "=", 0), compared(best, "<", _HUGE))
    legal = [compared(each.legal, "=", 1) for each, attempt in zip(candidates, tried, strict=True) if attempt]
    grid.text(row, 0, name)
    grid.text(row, 1, tables.facts.devices.figures[row - FIRST].accelerator.id)
    grid.sheet.write_number(row, 2, tables.facts.devices.figures[row - FIRST].accelerator.memory_bytes / GiB, book.style("one"))
    grid.formula(row, 3, chosen(any_of(*legal), words(say("yes")), words(say("no"))), "inside")
    gpus = grid.formula(row, 4, chosen(good, best, words(DASH)))
    number = _by_place(place, [each.tp * each.pp for each in candidates])
    replicas = chosen(good, recorded(lambda *, gpus, size: gpus / size, gpus=best, size=number), words(DASH))
    tp, pp = _by_place(place, [each.tp for each in candidates]), _by_place(place, [each.pp for each in candidates])
    whole = _by_cell(place, [each.whole for each in candidates])
    grid.formula(row, 5, chosen(good, layout_words(tp, pp, whole, constant(1)), words(DASH)), "inside")
    grid.formula(row, 6, replicas)
    grid.formula(row, 7, chosen(good, picked(holds, place), words(DASH)))
    price = device.tables.devices.rows[row - FIRST][device.tables.devices.places["price"][0]]
    currency = device.tables.devices.rows[row - FIRST][device.tables.devices.places["currency"][0]]
    if price is not None:
        cell = grid.value(row, 8, price, "two")
        cost = recorded(deployment_cost, gpus=gpus, price=cell)
        grid.formula(row, 9, chosen(compared(gpus, "=", DASH), words(DASH), cost), "two")
        grid.text(row, 10, currency, "inside")
    reasons = tables.reasons.area("words")
    at_least = recorded(lambda *, number: maximum(number, 1), number=refusal)
    none = chosen(compared(best, ">=", _HUGE), words(say("gpus-none")), words(""))
    grid.formula(row, 11, chosen(compared(refusal, ">", 0), picked(reasons, at_least), none), "inside")


def _by_place(place: Live, values: list[int]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(map(str, values))})", values[int(place.value) - 1])


def _by_cell(place: Live, lives: list[Live]) -> Live:
    return Live(f"CHOOSE({place.text},{','.join(live.text for live in lives)})", lives[int(place.value) - 1].value)
