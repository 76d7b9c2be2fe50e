"""The article's method, live: its inputs, its formulas for layers with experts and without, its total; the truth beside it."""

from __future__ import annotations

from gpusizer.formulas.article import (
    article_activation_dense_bytes,
    article_activation_experts_bytes,
    article_kv_cache_dense_bytes,
    article_kv_cache_experts_bytes,
    article_total_bytes,
    article_user_bytes,
    article_weights_bytes,
)
from gpusizer.formulas.core import REGISTRY, ceiling
from gpusizer.i18n import text
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.selected import Chosen
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Area, Live, added, chosen, compared, constant, recorded, words
from gpusizer.rendering.workbook.sheets.page import Page
from gpusizer.rendering.workbook.sheets.start import token_place
from gpusizer.rendering.workbook.tables.tables import ARTICLE_KINDS, Tables

__all__ = ["fill_article"]


def fill_article(book: Book, tables: Tables, inputs: Inputs, found: Chosen) -> None:
    """Write the sheet."""
    say, models = book.say, tables.models
    page = Page(book, "article", (50, 22, 22, 24, 20, 20))
    grid = page.grid
    page.heading()
    page.head(3, [say("article-inputs"), ""])
    size = tables.lists.get("article_bytes", inputs.precision_place)
    params = models.get("article_params", inputs.model_row)
    name = models.get("name", inputs.model_row)
    rows = ((say("in-model"), name, "general"), (say("article-params"), params, "billions"), (say("article-bytes"), size, "general"))
    cells = []
    for row, (title, live, style) in enumerate(rows, 4):
        grid.text(row, 0, title)
        cells.append(grid.formula(row, 1, live, style))
    grid.text(7, 0, say("article-tokens"))
    tokens = grid.formula(7, 1, inputs.context_tokens)
    grid.text(8, 0, say("article-users"))
    users = grid.formula(8, 1, inputs.concurrency)
    params, size = cells[1], cells[2]
    titles = [say(code) for code in ("article-kind", "article-layers", "article-activated", "article-width", "article-cache", "article-activation")]
    page.head(10, titles, ["text", "number", "number", "number", "giga", "giga"])
    kinds = [_kind(page, tables, inputs, place, tokens, size) for place in range(1, ARTICLE_KINDS + 1)]
    bottom = 11 + ARTICLE_KINDS + 1
    page.head(bottom, ["", "GB", text("ui", "formula", book.language)], ["text", "giga", "inside"])
    cache = Area(grid.span(11, 4, ARTICLE_KINDS), [each[0].value for each in kinds])
    activation = Area(grid.span(11, 5, ARTICLE_KINDS), [each[1].value for each in kinds])
    lines = (
        ("article-weights", _whole(recorded(article_weights_bytes, params=params, bytes_per_element=size)), "article.weights"),
        ("article-cache", added(cache), "article.kv_cache.experts"),
        ("article-activation", added(activation), "article.activation.experts"),
    )
    figures = [_line(book, grid, bottom + place, *line) for place, line in enumerate(lines, 1)]
    user = _line(
        book, grid, bottom + 4, "article-user", recorded(article_user_bytes, kv_cache_bytes=figures[1], activation_bytes=figures[2]), "article.user"
    )
    sum_of = recorded(article_total_bytes, weights_bytes=figures[0], user_bytes=user, concurrency=users)
    total = _line(book, grid, bottom + 5, "article-total", sum_of, "article.total", "bold-giga")
    book.name("out_article_total_bytes", total)
    book.name("out_article_bytes_per_user", user)
    page.printed(_expressions(page, _truth(page, tables, inputs, found, bottom + 8) + 1), pages=1)


def _whole(size: Live) -> Live:
    """Half a byte at the end is a byte."""
    return recorded(lambda *, size: ceiling(size), size=size)


def _kind(page: Page, tables: Tables, inputs: Inputs, place: int, tokens: Live, size: Live) -> tuple[Live, Live]:
    """One kind of layers: with experts or without, as its column says."""
    book, grid, row, models, where = page.book, page.grid, 10 + place, tables.models, constant(place)
    layers = models.get("article_layers", inputs.model_row, where)
    there = compared(layers, ">", 0)
    experts = models.get("article_experts", inputs.model_row, where)
    routed = compared(experts, ">", 0)
    kind = chosen(routed, words(book.say("article-kind-experts")), words(book.say("article-kind-dense")))
    grid.formula(row, 0, chosen(there, kind, words("")), "text")
    count = grid.formula(row, 1, chosen(there, layers, words("")))
    top_k = grid.formula(row, 2, chosen(routed, experts, words("")))
    width = grid.formula(row, 3, chosen(there, models.get("article_width", inputs.model_row, where), words("")))
    shared: dict[str, Live | int | float] = {"batch": 1, "sequence_tokens": tokens, "bytes_per_element": size, "layers": count}
    found = []
    for column, with_experts, without in (
        (4, article_kv_cache_experts_bytes, article_kv_cache_dense_bytes),
        (5, article_activation_experts_bytes, article_activation_dense_bytes),
    ):
        routed_bytes = _whole(recorded(with_experts, activated_experts=top_k, compressed_dimension=width, **shared))
        dense_bytes = _whole(recorded(without, hidden_size=width, **shared))
        found.append(grid.formula(row, column, chosen(there, chosen(routed, routed_bytes, dense_bytes), words("")), "giga"))
    return found[0], found[1]


def _line(book: Book, grid: Grid, row: int, code: str, live: Live, formula: str, style: str = "giga") -> Live:
    grid.text(row, 0, book.say(code), "bold" if style == "bold-giga" else "text")
    cell = grid.formula(row, 1, live, style)
    grid.text(row, 2, formula, "inside")
    return cell


def _truth(page: Page, tables: Tables, inputs: Inputs, found: Chosen, row: int) -> int:
    """The true figures beside the article's, and why they differ; the next free row."""
    book, models = page.book, tables.models
    say = book.say
    page.head(row, [say("article-truth"), "GB", say("article-differs"), "", "", ""], ["text", "giga", "inside", "text", "text", "text"])
    token = models.get("token_bytes", inputs.model_row, token_place(tables, inputs))
    fixed = models.get("fixed_bytes", inputs.model_row, token_place(tables, inputs))
    cache = recorded(lambda *, token, tokens, fixed: token * tokens + fixed, token=token, tokens=inputs.context_tokens, fixed=fixed)
    without = [live for name, live in found.items.items() if name not in ("kv_cache_pool", "free")]
    used = Live(f"SUM({','.join(live.text for live in without)})", sum(live.value for live in without if not isinstance(live.value, str)))
    lines = (
        (say("article-true-weights"), models.get("bytes", inputs.model_row, inputs.precision_place), "article-why-weights"),
        (say("article-true-cache"), cache, "article-why-cache"),
        (say("article-true-gpu"), chosen(found.legal, used, words(DASH)), "article-why-overhead"),
        (text("item", "activation_peak", book.language), found.items["activation_peak"], "article-why-activation"),
    )
    for place, (title, live, why) in enumerate(lines, row + 1):
        page.grid.text(place, 0, title, "label")
        page.grid.formula(place, 1, live, "giga")
        page.merged(place, 2, 4, say(why), "inside-wrap")
    return row + 1 + len(lines)


def _expressions(page: Page, row: int) -> int:
    """The formulas as the library records them; the last row."""
    page.head(row, [text("ui", "formula", page.book.language), "", "", "", "", ""])
    names = [name for name in REGISTRY if name.startswith("article.")]
    for place, name in enumerate(names, row + 1):
        page.grid.text(place, 0, text("formula", name, page.book.language), "wrap")
        page.merged(place, 1, 5, REGISTRY[name].expression(), "formula")
    return row + len(names)
