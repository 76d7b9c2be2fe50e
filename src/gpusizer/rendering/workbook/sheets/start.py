"""The first sheet, what people change: title, customer and date on top, the inputs on the left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from gpusizer.formulas.load import concurrent_requests
from gpusizer.planning.need import DEFAULT_SCENARIO
from gpusizer.planning.request import Request
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.selected import MOST_STAGES
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Live, all_of, chosen, compared, constant, first_equal, recorded, words
from gpusizer.rendering.workbook.sentences import templated
from gpusizer.rendering.workbook.sheets.page import Page
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.tables import Tables

__all__ = ["FIRST_ROW", "LABEL", "OUT", "OUT_UNIT", "OUT_VALUE", "USED", "VALUE", "Beginning", "fill_inputs", "set_up_start", "token_place"]

LABEL, VALUE, USED, GAP, OUT, OUT_VALUE, OUT_UNIT = range(1, 8)
_WIDTHS = (1.5, 29, 25, 16, 1.5, 32, 15, 22)
FIRST_ROW = 5
MOST = 10**9
_SHARE = {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1}
MOST_TOKENS = 2**28


@dataclass(frozen=True)
class Beginning:
    """What the inputs are when the workbook is opened; None leaves a cell empty, so that the scenario or the engine decides."""

    request: Request
    gpu: str
    tp: int = 1
    pp: int = 1
    whole: bool = False
    memory_fraction: float | None = None
    settings: tuple[str, ...] = ()  # flags that every start of the workbook has and no cell changes


def set_up_start(book: Book, today: date) -> Page:
    """Title, customer and date, which are free to fill, and what the sheet is for."""
    page = Page(book, "start", _WIDTHS)
    grid, say = page.grid, book.say
    grid.sheet.merge_range(0, LABEL, 0, OUT_UNIT, "", book.style("input-title"))
    grid.sheet.set_row(0, 26)
    book.name("in_title", grid.value(0, LABEL, book.heading, "input-title"))
    grid.text(1, LABEL, say("in-customer"), "label")
    grid.sheet.merge_range(1, VALUE, 1, USED, "", book.style("input"))
    book.name("in_customer", grid.value(1, VALUE, "", "input"))
    grid.text(1, OUT, say("in-date"), "label")
    grid.sheet.merge_range(1, OUT_VALUE, 1, OUT_UNIT, "", book.style("input-date"))
    book.name("in_date", grid.value(1, OUT_VALUE, (today - date(1899, 12, 30)).days, "input-date"))
    page.merged(2, LABEL, OUT_UNIT, say("how-to"), "faint")
    return page


class _Cells:
    """Writes inputs one below the other."""

    def __init__(self, book: Book, grid: Grid) -> None:
        self.book, self.grid, self.row = book, grid, FIRST_ROW

    def section(self, code: str) -> None:
        for column in (LABEL, VALUE, USED):
            self.grid.text(self.row, column, self.book.say(code) if column == LABEL else (self.book.say("used") if column == USED else ""), "section")
        self.row += 1

    def add(self, name: str, value: Any, validate: dict[str, Any], *, style: str = "input") -> Live:
        """One input: label, cell with its name, bounds, and its unit as a comment."""
        say = self.book.say
        self.grid.text(self.row, LABEL, say(f"in-{name}"), "label")
        cell = self.grid.value(self.row, VALUE, value, style)
        rules = {"error_title": say("not-allowed"), "error_message": say("not-allowed-message"), "ignore_blank": True, **validate}
        if "input_message" not in rules:
            rules |= {"input_title": say(f"in-{name}")[:32], "input_message": say(f"hint-{name}")[:255]}
        self.grid.sheet.data_validation(self.row, VALUE, self.row, VALUE, rules)
        self.grid.sheet.write_comment(self.row, LABEL, say(f"hint-{name}"), {"x_scale": 1.6})
        self.row += 1
        return self.book.name(f"in_{name.replace('-', '_')}", cell)

    def used(self, live: Live, style: str = "used") -> Live:
        """What is used where the input of the line above is empty."""
        return self.grid.formula(self.row - 1, USED, live, style)


def _list(grid_span: str) -> dict[str, Any]:
    return {"validate": "list", "source": "=" + grid_span}


def _whole(low: int, high: int) -> dict[str, Any]:
    return {"validate": "integer", "criteria": "between", "minimum": low, "maximum": high}


def _offered(tables: Tables, name: str, count: int) -> dict[str, Any]:
    """A drop-down of the lists."""
    return _list(tables.lists.grid.span(1, tables.lists.places[name][0], count))


def _load(cells: _Cells, tables: Tables, account: Account, request: Request) -> dict[str, Live]:
    """The inputs of the load, as they are used."""
    lists = tables.lists
    cells.section("section-load")
    scenario = cells.add("scenario", request.scenario or DEFAULT_SCENARIO, _offered(tables, "scenario", _count(tables, "scenario")))
    use = account.line("scenario", first_equal(scenario, lists.area("scenario"), 1))
    users = cells.add("users", request.users, _whole(1, MOST))
    used_users = cells.used(_or(users, lists.get("users", use)))
    share = cells.add("active-share", request.active_share, _SHARE, style="input-share")
    used_share = cells.used(_or(share, lists.get("share", use)), "used-share")
    wished = cells.add("concurrency", request.concurrency, _whole(1, MOST))
    concurrency = cells.used(_or(wished, recorded(concurrent_requests, users=used_users, active_share=used_share)))
    tokens_in = cells.add("input-tokens", request.input_tokens, _whole(0, MOST_TOKENS))
    used_in = cells.used(_or(tokens_in, lists.get("input_tokens", use)))
    tokens_out = cells.add("output-tokens", request.output_tokens, _whole(0, MOST_TOKENS))
    used_out = cells.used(_or(tokens_out, lists.get("output_tokens", use)))
    return {
        "users": used_users,
        "active_share": used_share,
        "concurrency": concurrency,
        "input_tokens": used_in,
        "output_tokens": used_out,
        "by_users": compared(wished, "=", ""),
    }


def fill_inputs(page: Page, tables: Tables, account: Account, start: Beginning) -> Inputs:
    """Write the inputs and what follows from them at once."""
    book = page.book
    request, cells = start.request, _Cells(book, page.grid)
    lists, facts = tables.lists, tables.facts

    load = _load(cells, tables, account, request)
    context = account.line("context", recorded(lambda *, a, b: a + b, a=load["input_tokens"], b=load["output_tokens"]))
    cells.section("section-model")
    keys = tables.models.area("key")
    model = cells.add("model", facts_key(tables, request), _list(keys.text))
    row = account.line("model row", first_equal(model, keys, 1))
    cells.used(tables.models.get("name", row))
    precision = cells.add("precision", request.precision, _offered(tables, "precision", len(facts.precisions)))
    precision_place = account.line("precision", first_equal(precision, lists.area("precision"), 1))
    cells.used(tables.models.get("label", row, precision_place))
    kv = cells.add("kv-precision", request.kv_precision, _offered(tables, "kv", len(facts.kv_precisions)))
    kv_place = account.line("kv", first_equal(kv, lists.area("kv"), 1))

    cells.section("section-deployment")
    gpu = cells.add("gpu", start.gpu, _list(tables.devices.area("id").text))
    gpu_row = account.line("gpu row", first_equal(gpu, tables.devices.area("id"), 1))
    cells.used(tables.devices.get("name", gpu_row))
    cells.add("engine", facts.engine.id, _offered(tables, "engine", 1))
    tp = cells.add("tp", start.tp, _offered(tables, "tp", len(TPS)))
    tp_place = account.line("tp place", first_equal(tp, lists.area("tp"), 1))
    pp = cells.add("pp", start.pp, _whole(1, MOST_STAGES))
    whole_word = cells.add("whole-experts", book.say("yes") if start.whole else book.say("no"), _offered(tables, "whole", 2))
    whole = account.line("whole experts", chosen(compared(whole_word, "=", book.say("yes")), constant(1), constant(0)))
    replicas = cells.add("replicas", None, _whole(1, MOST))
    fraction = cells.add("memory-fraction", start.memory_fraction, _SHARE, style="input-share")
    price = cells.add("price", None, {"validate": "decimal", "criteria": ">=", "value": 0}, style="input-money")
    listed = ((model, keys), (precision, lists.area("precision")), (kv, lists.area("kv")), (gpu, tables.devices.area("id")), (tp, lists.area("tp")))
    inside = (compared(pp, ">=", 1), compared(pp, "<=", MOST_STAGES), compared(context, ">=", 1))
    valid = all_of(*(Live(f"ISNUMBER(MATCH({cell.text},{area.text},0))", value=True) for cell, area in listed), *inside)
    return Inputs(
        model_row=row,
        precision_place=precision_place,
        kv_place=kv_place,
        gpu=gpu,
        gpu_row=gpu_row,
        tp=account.line("tp", _known_tp(tp, tables, tp_place)),
        tp_place=tp_place,
        pp=pp,
        whole=whole,
        memory_fraction=fraction,
        concurrency=book.name("out_concurrency", load["concurrency"]),
        users=load["users"],
        active_share=load["active_share"],
        context_tokens=context,
        input_tokens=load["input_tokens"],
        output_tokens=load["output_tokens"],
        price=price,
        replicas=replicas,
        by_users=load["by_users"],
        valid=account.line("valid", valid),
        unknown_words=words(book.say("unknown-choice")),
        too_many_stages=lambda stages, layers: templated(book.language, "reason", "pp-more-than-layers", pp=stages, layers=layers),
    )


def _known_tp(tp: Live, tables: Tables, place: Live) -> Live:
    return tables.lists.get("tp", place) if tp.value in TPS else constant(1)


def facts_key(tables: Tables, request: Request) -> str:
    """Key of the model that is chosen first."""
    keys = [model.source.key for model in tables.facts.models]
    return request.model if request.model in keys else keys[0]


def _count(tables: Tables, name: str) -> int:
    return sum(1 for value in tables.lists.area(name).values if value is not None)


def _or(cell: Live, otherwise: Live) -> Live:
    return chosen(compared(cell, "=", ""), otherwise, cell)


def token_place(tables: Tables, inputs: Inputs) -> Live:
    """Column of the cache's figures; "auto" in a model of 32 bits is the last one."""
    kinds = tables.facts.kv_precisions
    wide = compared(tables.models.get("element_bytes", inputs.model_row, inputs.precision_place), "=", 4)
    auto = compared(inputs.kv_place, "=", kinds.index("auto") + 1)
    return chosen(all_of(wide, auto), constant(len(kinds) + 1), inputs.kv_place)
