"""One GPU's memory, item by item, and the picture of it."""

from __future__ import annotations

from gpusizer.engines.base.types import Section
from gpusizer.formulas.core import id_of, maximum
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import group_sum_bytes
from gpusizer.i18n import text
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.selected import Chosen
from gpusizer.rendering.workbook.live import DASH, Area, Live, added, chosen, recorded, words
from gpusizer.rendering.workbook.sentences import templated
from gpusizer.rendering.workbook.sheets.page import Page, in_units, or_dash
from gpusizer.rendering.workbook.sheets.start import LABEL, USED, VALUE
from gpusizer.units import GiB

__all__ = ["fill_memory", "fill_parts"]

HEAD = 3

_FORMULAS = {  # behind lines that are sums, and behind those that follow from all others
    "weights_absorbed": "memory.weights.absorbed_latent",
    "weights_tables": "memory.weights.rope_table",
    "weights_padded": "memory.weights.padded_experts",
    "weights_indices": "memory.weights.expert_index",
    "weights_slack": "memory.weights.allocation_slack",
    "kv_cache_pool": "memory.kv_cache.pool_blocks",
    "driver_reserved": "memory.budget.driver_reserved",
    "free": "memory.budget.free",
}
_SUMS = ("", id_of(sum_bytes), id_of(group_sum_bytes))
_COLOURS = ("#1D4E89", "#3E7CB1", "#F2A65A", "#C1666B", "#8C6A9E", "#81A684", "#DDE3EA")
_PARTS = (Section.WEIGHTS, Section.ACTIVATION, Section.GRAPHS, Section.NON_TORCH, Section.OUTSIDE, Section.CACHE, Section.FREE)
_OF_ALL = {"kv_cache_pool": Section.CACHE, "free": Section.FREE}  # lines that follow from all others


def fill_memory(book: Book, found: Chosen) -> dict[str, Live]:
    """The ledger as a table: its cells by line."""
    say = book.say
    page = Page(book, "memory", (56, 16, 16, 16, 40))
    grid, sheet = page.grid, page.grid.sheet
    grid.text(0, 0, say("sheet-memory"), "title")
    reason = templated(book.language, "workbook", "memory-no", reason=found.reason_words)
    page.merged(1, 0, 5, chosen(found.legal, words(say("memory-note")), reason))
    page.head(
        HEAD,
        [say("memory-item"), "GB", "GiB", say("memory-share"), text("ui", "formula", book.language)],
        ["text", "giga", "two", "percent", "inside"],
    )
    first, cells = HEAD + 1, {}
    for row, (name, live) in enumerate(found.items.items(), first):
        grid.text(row, 0, say("memory-own-head") if name == "own_head" else text("item", name, book.language), "text")
        cells[name] = grid.formula(row, 1, live, "giga")
        own = found.lines[name].formula if name in found.lines else ""
        behind = _FORMULAS.get(name, "storage.scaled_format" if name.startswith("weights") else "")
        grid.text(row, 4, behind if own in _SUMS else own, "inside")
    last = first + len(cells)
    grid.text(last, 0, say("memory-total"), "bold")
    total = added(Area(grid.span(first, 1, len(cells)), [live.value for live in found.items.values()]))
    whole = grid.formula(last, 1, chosen(found.legal, total, words(DASH)), "bold-giga")
    for row, cell in enumerate((*cells.values(), whole), first):
        grid.formula(row, 2, in_units(cell, GiB), "two")
        grid.formula(row, 3, or_dash(cell, recorded(lambda *, size, whole: size / whole, size=cell, whole=whole)), "percent")
    sheet.freeze_panes(first, 1)
    page.printed(last, repeat=HEAD, pages=1)
    bad = book.workbook.add_format({"font_color": "#9B1C1C", "bold": True})
    sheet.conditional_format(first, 1, last, 2, {"type": "cell", "criteria": "<", "value": 0, "format": bad})
    nothing = book.workbook.add_format({"font_color": "#B8C2CC"})
    sheet.conditional_format(first, 0, last - 1, 4, {"type": "formula", "criteria": f"=$B{first + 1}=0", "format": nothing})
    return cells


def fill_parts(page: Page, row: int, found: Chosen, cells: dict[str, Live], chart_row: int) -> None:
    """On the first sheet: one GPU's memory in a few lines, and as a bar; a GPU that is too full shows nothing free."""
    book, grid = page.book, page.grid
    for column, title, style in (
        (LABEL, book.say("chart-title"), "section"),
        (VALUE, "GiB", "section-right"),
        (USED, book.say("share"), "section-right"),
    ):
        grid.text(row, column, title, style)
    whole = sum(cell.value for cell in cells.values() if not isinstance(cell.value, str))
    all_cells = Live(f"SUM({','.join(cell.text for cell in cells.values())})", whole)
    chart = book.workbook.add_chart({"type": "bar", "subtype": "stacked"})
    sections = {name: line.section for name, line in found.lines.items()} | _OF_ALL
    for place, part in enumerate(_PARTS, 1):
        grid.text(row + place, LABEL, text("ui", f"part-{part}", book.language), "label")
        mine = [cell for name, cell in cells.items() if sections[name] is part]
        size = Live(f"SUM({','.join(cell.text for cell in mine) or 0})", sum(cell.value for cell in mine if not isinstance(cell.value, str)))
        grid.formula(row + place, VALUE, recorded(lambda *, size: maximum(0, size / GiB), size=size), "one")
        share = recorded(lambda *, size, whole: size / whole, size=size, whole=all_cells)
        grid.formula(row + place, USED, chosen(found.legal, share if whole else Live(share.text, 0), words(DASH)), "percent")
        sheet, at = grid.name, row + place
        colour = {"fill": {"color": _COLOURS[place - 1]}, "gap": 40}
        chart.add_series({"name": [sheet, at, LABEL], "values": [sheet, at, VALUE, at, VALUE], **colour})
    at = row + len(_PARTS) + 1
    grid.text(at, LABEL, book.say("memory-total"), "bold")
    grid.formula(at, VALUE, chosen(found.legal, recorded(lambda *, size: size / GiB, size=all_cells), words(DASH)), "bold-one")
    chart.set_legend({"position": "bottom", "font": {"size": 9}})
    chart.set_y_axis({"visible": False})
    chart.set_x_axis({"num_format": "0", "min": 0, "major_gridlines": {"visible": True, "line": {"color": "#DDE3EA"}}})
    chart.set_size({"width": 990, "height": 140})
    grid.sheet.insert_chart(chart_row, LABEL, chart, {"object_position": 2})
