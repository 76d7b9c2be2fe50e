"""One GPU's memory, item by item, and the picture of it."""

from __future__ import annotations

from gpusizer.i18n import text
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.selected import Chosen
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import DASH, Area, Live, added, chosen, compared, recorded, words
from gpusizer.rendering.workbook.sentences import templated
from gpusizer.units import GB, GiB

__all__ = ["fill_memory"]

_FORMULAS = {
    "weights_absorbed": "memory.weights.absorbed_latent",
    "weights_tables": "memory.weights.rope_table",
    "weights_slack": "memory.weights.allocation_slack",
    "weights_scales": "memory.weights.unfolded_scales",
    "weights_buffers": "memory.weights.visual_levels",
    "activation_peak": "memory.activation.peak",
    "cuda_graphs": "memory.budget.cuda_graphs",
    "kv_cache_pool": "memory.kv_cache.pool_blocks",
    "driver_reserved": "memory.budget.driver_reserved",
    "free": "memory.budget.free",
}
_COLOURS = ("#1D4E89", "#3E7CB1", "#F2A65A", "#C1666B", "#8C6A9E", "#81A684", "#DDE3EA")
_PARTS = (
    ("weights_bytes", ("weights",)),
    ("activation_peak_bytes", ("activation_peak",)),
    ("cuda_graph_bytes", ("cuda_graphs",)),
    ("non_torch_bytes", ("non_torch",)),
    ("outside_budget_bytes", ("device_context", "communication", "driver_reserved")),
    ("kv_cache_pool_bytes", ("kv_cache_pool",)),
    ("free_bytes", ("free",)),
)


def fill_memory(book: Book, grid: Grid, start: Grid, found: Chosen) -> None:
    """The ledger as a table; the chart of the first sheet reads its sums."""
    say, sheet = book.say, grid.sheet
    for column, width in ((0, 54), (1, 20), (2, 12), (3, 12), (4, 16), (5, 36)):
        sheet.set_column(column, column, width)
    grid.text(0, 0, say("sheet-memory"), "title")
    reason = templated(book.language, "workbook", "memory-no", reason=found.reason_words)
    grid.formula(1, 0, chosen(found.legal, words(say("memory-note")), reason), "text")
    for column, title in enumerate((say("memory-item"), say("bytes"), "GB", "GiB", say("memory-share"), text("ui", "formula", book.language))):
        grid.text(3, column, title, "head")
    row, cells = 4, {}
    for name, live in found.items.items():
        title = say("memory-own-head") if name == "own_head" else text("item", name, book.language)
        grid.text(row, 0, title, "text")
        cells[name] = grid.formula(row, 1, live)
        grid.text(row, 5, _FORMULAS.get(name, "storage.scaled_format" if name.startswith("weights") else ""), "inside")
        row += 1
    area = Area(grid.span(4, 1, row - 4), [live.value for live in found.items.values()])
    sheet.set_row(3, 30)
    grid.text(row, 0, say("memory-total"), "bold")
    total = added(area)
    whole = grid.formula(row, 1, chosen(found.legal, total, words(DASH)), "bold-number")
    for place in range(4, row + 1):
        cell = whole if place == row else list(cells.values())[place - 4]
        for column, unit in ((2, GB), (3, GiB)):
            size = recorded(lambda *, size, unit: size / unit, size=cell, unit=unit)
            grid.formula(place, column, chosen(compared(cell, "=", DASH), words(DASH), size), "two")
        share = recorded(lambda *, size, whole: size / whole, size=cell, whole=whole)
        grid.formula(place, 4, chosen(compared(cell, "=", DASH), words(DASH), share), "percent")
    _chart(book, grid, start, cells, row + 3)
    sheet.freeze_panes(4, 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(3)
    bad = book.workbook.add_format({"font_color": "#9B1C1C", "bold": True})
    sheet.conditional_format(4, 1, row, 3, {"type": "cell", "criteria": "<", "value": 0, "format": bad})
    nothing = book.workbook.add_format({"font_color": "#B8C2CC"})
    sheet.conditional_format(4, 0, row - 1, 5, {"type": "formula", "criteria": "=$B5=0", "format": nothing})


def _part_of(name: str) -> str:
    return "weights" if name.startswith("weights") or name == "own_head" else name


def _chart(book: Book, grid: Grid, start: Grid, cells: dict[str, Live], row: int) -> None:
    """Sums for the bar, and the bar on the first sheet; a GPU that is too full shows nothing free."""
    grid.text(row, 0, book.say("chart-title"), "section")
    chart = book.workbook.add_chart({"type": "bar", "subtype": "stacked"})
    for place, (part, members) in enumerate(_PARTS, 1):
        grid.text(row + place, 0, text("ui", f"part-{part}", book.language), "text")
        chosen_cells = [cell for name, cell in cells.items() if _part_of(name) in members]
        value = sum(cell.value for cell in chosen_cells if not isinstance(cell.value, str)) / GiB
        total = f"SUM({','.join(cell.text for cell in chosen_cells)})/{GiB}"
        grid.formula(row + place, 1, Live(f"MAX(0,{total})", max(0, value)), "one")
        chart.add_series(
            {
                "name": [grid.name, row + place, 0],
                "values": [grid.name, row + place, 1, row + place, 1],
                "fill": {"color": _COLOURS[place - 1]},
                "gap": 40,
            }
        )
    chart.set_title({"name": book.say("chart-title"), "name_font": {"size": 11}})
    chart.set_legend({"position": "bottom", "font": {"size": 9}})
    chart.set_y_axis({"visible": False})
    chart.set_x_axis({"num_format": "0", "min": 0, "major_gridlines": {"visible": True, "line": {"color": "#DDE3EA"}}})
    chart.set_size({"width": 1180, "height": 210})
    start.sheet.insert_chart(29, 1, chart, {"object_position": 2})
