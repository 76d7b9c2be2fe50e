"""Times and rates: of the chosen deployment, live where the file carries what they need, and of the plan's options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpusizer.i18n import text
from gpusizer.planning.types import Cost, Option, Plan
from gpusizer.rendering.plan_options import cost_words, evidence_of
from gpusizer.rendering.prefill_workers import option_layout
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.speed import LiveSpeed
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import (
    DASH,
    Area,
    Live,
    all_of,
    chosen,
    compared,
    constant,
    first_equal,
    joined,
    picked,
    printed,
    recorded,
    words,
)
from gpusizer.rendering.workbook.sheets.page import Page

__all__ = ["FIGURES", "Runners", "Speed", "fill_speed", "no_speed"]

FIRST = 8
FIGURES = {"ttft": (4, "ttft_s", 1.0, 2), "tpot": (6, "tpot_s", 1000.0, 1), "rate": (8, "output_tokens_per_s", 1.0, 0)}
"""Figures of an option: column, the library's name, how much larger it is shown, digits of its band."""

_COLUMNS = (
    ("gpu", 34, "label"), ("id", 25, "label"), ("layout", 14, "inside"), ("gpus", 8, "number"), ("ttft", 10, "seconds"), ("ttft-band", 14, "right"),
    ("tpot", 10, "milliseconds"), ("tpot-band", 14, "right"), ("rate", 13, "rate"), ("rate-band", 16, "right"), ("rent", 22, "right"),
    ("purchase", 20, "right"), ("evidence", 12, "inside"),
)  # fmt: skip


@dataclass(frozen=True)
class Speed:
    """Times [s] and rate [tokens/s] of the whole deployment, a dash where they are not known; their bands as words."""

    ttft: Live
    tpot: Live
    rate: Live
    bands: Mapping[str, Live]


@dataclass(frozen=True)
class Runners:
    """The options of the plan that come after the chosen one, as cells, and whether the inputs are still the plan's."""

    same: Live
    rows: list[dict[str, Live]]


def no_speed(why: str) -> Speed:
    """Where nothing is known, and why."""
    dash = words(DASH)
    return Speed(dash, dash, dash, dict.fromkeys(FIGURES, words("")) | {"ttft": words(why)})


def fill_speed(book: Book, plan: Plan, inputs: Inputs, layout: Live, live: LiveSpeed | None) -> tuple[Speed, Runners]:
    """Write the sheet.

    Parameters
    ----------
    book : Book
        The workbook.
    plan : Plan
        Its options, with their times and rates.
    inputs : Inputs
        Cells that must be those of the plan.
    layout : Live
        Of the chosen deployment, in words.
    live : LiveSpeed or None
        Times and rates that follow the inputs.

    Returns
    -------
    Speed, Runners
        Of the chosen deployment: live, or else the plan's while it is the plan's; what comes after it.
    """
    say = book.say
    page = Page(book, "speed", [width for _, width, _ in _COLUMNS])
    grid = page.grid
    page.heading()
    same = all_of(
        compared(inputs.precision_place, "=", constant(inputs.precision_place.value)),
        compared(inputs.kv_place, "=", constant(inputs.kv_place.value)),
        compared(inputs.concurrency, "=", plan.need.concurrency),
        compared(inputs.input_tokens, "=", plan.need.input_tokens),
        compared(inputs.output_tokens, "=", plan.need.output_tokens),
    )
    grid.text(2, 0, say("speed-same"))
    there = compared(grid.formula(2, 1, chosen(same, constant(1), constant(0)), "yes-no"), "=", 1)
    page.head(FIRST - 1, [say(f"speed-{code}") for code, _, _ in _COLUMNS], [style for _, _, style in _COLUMNS])
    options = [option for option in plan.options if option.performance is not None]
    table = [_option(page, row, option, there) for row, option in enumerate(options, FIRST)]
    page.listed(FIRST - 1, len(options), len(_COLUMNS))
    page.printed(FIRST + len(options) - 1, repeat=FIRST - 1)
    if not options:
        return no_speed(""), Runners(there, [])
    ids, layouts = [option.accelerator.id for option in options], [option_layout(option) for option in options]
    count = len(options)

    def column(place: int, values: Sequence[Any]) -> Area:
        return Area(grid.span(FIRST, place, count), values)

    place = first_equal(inputs.gpu, column(1, ids), 1)
    known = all_of(compared(picked(column(1, ids), place), "=", inputs.gpu), compared(picked(column(2, layouts), place), "=", layout))
    both = all_of(known, there)
    found: dict[str, Live] = {}
    bands: dict[str, Live] = {}
    for row, (name, (at, figure, scale, digits)) in enumerate(FIGURES.items(), 3):
        shown = picked(column(at, [cells[at] for cells in table]), place)
        size = chosen(both, recorded(lambda *, size, scale: size / scale, size=shown, scale=scale), words(DASH))
        band = chosen(both, picked(column(at + 1, [cells[at + 1] for cells in table]), place), words(""))
        if live is not None:
            size = chosen(live.known, live.figures[figure], words(DASH))
            band = chosen(live.known, _band(live, figure, scale, digits), words(""))
        grid.text(row, 0, say(f"speed-{name}"))
        found[name] = grid.formula(row, 1, size, _PLAIN[name])
        bands[name] = grid.formula(row, 2, band, "inside")
    return Speed(found["ttft"], found["tpot"], found["rate"], bands), _runners(grid, options, table, all_of(both, compared(place, "=", 1)))


def _band(live: LiveSpeed, figure: str, scale: float, digits: int) -> Live:
    """From - to, as words."""
    form = "#,##0" + ("." + "0" * digits if digits else "")
    ends = (
        recorded(lambda *, size, end, scale: size * end * scale, size=live.figures[figure], end=ends[figure], scale=scale)
        for ends in (live.low, live.high)
    )
    low, high = (printed(end, form) for end in ends)
    return joined(low, " – ", high)


_PLAIN = {"ttft": "seconds", "tpot": "pace", "rate": "rate"}


def _runners(grid: Grid, options: list[Option], table: list[list[Any]], same: Live) -> Runners:
    """The options after the first, for the first sheet."""
    columns = {"name": 0, "layout": 2, "gpus": 3, "rate": 8, "rent": 10, "purchase": 11}
    rows = [
        {name: Live(grid.at(FIRST + place, column), table[place][column]) for name, column in columns.items()} for place in range(1, len(options))
    ]
    return Runners(same, rows)


def _purchase(cost: Cost | None) -> str:
    """A purchase as a range with its currency: cents say nothing."""
    if cost is None:
        return DASH
    return " – ".join(dict.fromkeys((f"{cost.amount:,.0f}", f"{cost.high:,.0f}"))) + f" {cost.currency}"


def _option(page: Page, row: int, option: Option, there: Live) -> list[Any]:
    """One option; the values of its cells."""
    speed, language = option.performance, page.book.language
    assert speed is not None
    cells: list[Any] = [option.accelerator.name, option.accelerator.id, option_layout(option), option.gpus]
    for _, figure, scale, digits in FIGURES.values():
        quantity = getattr(speed, figure)
        cells.append(chosen(there, constant(quantity.value * scale), words(DASH)))
        cells.append(f"{quantity.low * scale:,.{digits}f} – {quantity.high * scale:,.{digits}f}")
    cells += [cost_words(option.cost, language) or DASH, _purchase(option.purchase)]
    cells.append(text("ui", f"evidence-{evidence_of(option)}", language))
    page.row(row, cells, [style for _, _, style in _COLUMNS])
    return [cell.value if isinstance(cell, Live) else cell for cell in cells]
