"""The first sheet: what people change on the left, the answer on top and on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.load import concurrent_requests, deployment_cost, servers_needed
from gpusizer.planning.request import Request
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.selected import MOST_STAGES, Chosen
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Live, all_of, chosen, compared, constant, first_equal, recorded, words
from gpusizer.rendering.workbook.sentences import context_words, layout_words, templated
from gpusizer.rendering.workbook.tables.parts import TPS
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB

__all__ = ["Beginning", "fill_answer", "fill_inputs", "set_up_start", "token_place"]

LABEL, VALUE, USED, GAP, OUT, OUT_VALUE, OUT_UNIT = range(1, 8)
FIRST_ROW = 6
MOST = 10**9
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


def set_up_start(book: Book, grid: Grid) -> None:
    """Widths, heading, print set-up."""
    sheet = grid.sheet
    for column, width in ((0, 2), (LABEL, 30), (VALUE, 30), (USED, 16), (GAP, 2), (OUT, 36), (OUT_VALUE, 22), (OUT_UNIT, 16)):
        sheet.set_column(column, column, width)
    grid.text(0, LABEL, book.say("title"), "title")
    sheet.set_row(0, 24)
    grid.text(1, LABEL, book.say("how-to"), "text")
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 1)
    sheet.set_footer("&L&A&R&P / &N")


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


def fill_inputs(book: Book, grid: Grid, tables: Tables, account: Account, start: Beginning) -> Inputs:
    """Write the inputs and what follows from them at once."""
    request, cells = start.request, _Cells(book, grid)
    lists, facts = tables.lists, tables.facts

    def offered(name: str, count: int) -> dict[str, Any]:
        place, _ = lists.places[name]
        return _list(lists.grid.span(1, place, count))

    cells.section("section-load")
    scenario = cells.add("scenario", request.scenario or lists.rows[0][lists.places["scenario"][0]], offered("scenario", _count(tables, "scenario")))
    use = account.line("scenario", first_equal(scenario, lists.area("scenario"), 1))
    users = cells.add("users", request.users, _whole(1, MOST))
    used_users = cells.used(_or(users, lists.get("users", use)))
    decimal = {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1}
    share = cells.add("active-share", request.active_share, decimal, style="input-share")
    used_share = cells.used(_or(share, lists.get("share", use)), "used-share")
    wished = cells.add("concurrency", request.concurrency, _whole(1, MOST))
    concurrency = cells.used(_or(wished, recorded(concurrent_requests, users=used_users, active_share=used_share)))
    tokens_in = cells.add("input-tokens", request.input_tokens, _whole(0, MOST_TOKENS))
    used_in = cells.used(_or(tokens_in, lists.get("input_tokens", use)))
    tokens_out = cells.add("output-tokens", request.output_tokens, _whole(0, MOST_TOKENS))
    used_out = cells.used(_or(tokens_out, lists.get("output_tokens", use)))
    context = account.line("context", recorded(lambda *, a, b: a + b, a=used_in, b=used_out))

    cells.section("section-model")
    keys = tables.models.area("key")
    model = cells.add("model", facts_key(tables, request), _list(keys.text))
    row = account.line("model row", first_equal(model, keys, 1))
    cells.used(tables.models.get("name", row))
    precision = cells.add("precision", request.precision, offered("precision", len(facts.precisions)))
    precision_place = account.line("precision", first_equal(precision, lists.area("precision"), 1))
    cells.used(tables.models.get("label", row, precision_place))
    kv = cells.add("kv-precision", request.kv_precision, offered("kv", len(facts.kv_precisions)))
    kv_place = account.line("kv", first_equal(kv, lists.area("kv"), 1))

    cells.section("section-deployment")
    gpu = cells.add("gpu", start.gpu, _list(tables.devices.area("id").text))
    gpu_row = account.line("gpu row", first_equal(gpu, tables.devices.area("id"), 1))
    cells.used(tables.devices.get("name", gpu_row))
    cells.add("engine", facts.engine.id, offered("engine", 1))
    tp = cells.add("tp", start.tp, offered("tp", len(TPS)))
    tp_place = account.line("tp place", first_equal(tp, lists.area("tp"), 1))
    pp = cells.add("pp", start.pp, _whole(1, MOST_STAGES))
    whole_word = cells.add("whole-experts", book.say("yes") if start.whole else book.say("no"), offered("whole", 2))
    whole = account.line("whole experts", chosen(compared(whole_word, "=", book.say("yes")), constant(1), constant(0)))
    replicas = cells.add("replicas", None, _whole(1, MOST))
    fraction = cells.add("memory-fraction", start.memory_fraction, decimal, style="input-share")
    price = cells.add("price", None, {"validate": "decimal", "criteria": ">=", "value": 0}, style="input-money")
    valid = all_of(
        *(
            Live(f"ISNUMBER(MATCH({cell.text},{area.text},0))", True)
            for cell, area in (
                (model, keys),
                (precision, lists.area("precision")),
                (kv, lists.area("kv")),
                (gpu, tables.devices.area("id")),
                (tp, lists.area("tp")),
            )
        ),
        compared(pp, ">=", 1),
        compared(pp, "<=", MOST_STAGES),
        compared(context, ">=", 1),
    )
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
        concurrency=book.name("out_concurrency", concurrency),
        users=used_users,
        active_share=used_share,
        context_tokens=context,
        input_tokens=used_in,
        output_tokens=used_out,
        price=price,
        replicas=replicas,
        by_users=compared(wished, "=", ""),
        valid=account.line("valid", valid),
        unknown_words=words(book.say("unknown-choice")),
        too_many_stages=lambda stages, layers: templated(book.language, "reason", "pp-more-than-layers", pp=stages, layers=layers),
        layout_words=words(""),
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


# ---- the answer -----------------------------------------------------------------------------------------------------


def fill_answer(book: Book, grid: Grid, tables: Tables, account: Account, inputs: Inputs, found: Chosen) -> dict[str, Live]:
    """The sentence, the number of GPUs, and the figures below them; results by name."""
    say, language = book.say, book.language
    device, row = tables.devices, inputs.gpu_row
    model = tables.models
    name = account.line("model name", model.get("name", inputs.model_row))
    precision = account.line("label", model.get("label", inputs.model_row, inputs.precision_place))
    gpu = account.line("gpu name", device.get("name", row))
    load = account.line("load", _load(language, inputs))
    context = account.line("context words", context_words(inputs.context_tokens))
    said = {"model": name, "precision": precision, "load": load, "context": context}
    fixed = compared(inputs.replicas, "<>", "")
    safe = account.line("replicas for words", chosen(compared(found.gpus, "=", DASH), constant(1), found.replicas))
    used = account.line("replicas used", chosen(fixed, inputs.replicas, safe))
    gpus_used = account.line("gpus used", recorded(lambda *, tp, pp, replicas: tp * pp * replicas, tp=inputs.tp, pp=inputs.pp, replicas=used))
    nodes = account.line("nodes", recorded(servers_needed, gpus=gpus_used, devices_per_node=device.get("node", row)))
    layout = account.line("layout", layout_words(inputs.tp, inputs.pp, inputs.whole, used))
    servers = account.line("servers", _servers(language, nodes, gpus_used, device.get("node", row), device.get("whole_nodes", row)))
    yes = templated(language, "ui", "plan-answer", **said, gpus=gpus_used, gpu=gpu, servers=servers, layout=layout)
    reason = account.line("reason words", _reason(book, found, inputs))
    alone = layout_words(inputs.tp, inputs.pp, inputs.whole, constant(1))
    no = templated(language, "workbook", "answer-no", **said, gpu=gpu, layout=alone, reason=reason)
    few = account.line("too few", all_of(fixed, compared(found.gpus, "<>", DASH), compared(used, "<", safe)))
    short = templated(language, "workbook", "answer-few", **said, gpus=gpus_used, gpu=gpu, layout=layout, needed=found.gpus)
    sentence = account.line("sentence", chosen(compared(found.reason_code, ">", 0), no, chosen(few, short, yes)))
    sheet = grid.sheet
    sheet.merge_range(2, LABEL, 3, OUT_UNIT, "", book.style("answer"))
    sheet.set_row(2, 24)
    sheet.set_row(3, 24)
    results: dict[str, Live] = {"layout": layout, "out_sentence": book.name("out_sentence", grid.formula(2, LABEL, sentence, "answer"))}
    place = _Results(book, grid, results)
    place.section(say("section-answer"))
    sheet.set_row(place.row, 27)
    place.add("out_gpus", found.gpus, "big")
    place.add("out_fits", found.starts, "general")
    place.add("out_replicas", found.replicas, "general")
    place.add("out_max_concurrency", found.concurrency, "two", say("requests"))
    place.add("out_held_requests", found.held_low, "number", say("requests"))
    place.add("out_kv_cache_tokens", found.kv_tokens, "number", say("tokens"))
    place.add("out_kv_cache_bytes_per_token", model.get("token_bytes", inputs.model_row, token_place(tables, inputs)), "number", say("bytes"))
    place.add("out_total_params", model.get("total_params", inputs.model_row), "number", say("parameters"))
    place.add("out_weights_bytes", found.weights, "number", say("bytes"))
    place.gib(found.weights, say("weights-gib"))
    currency = device.get("currency", row)
    price = chosen(compared(inputs.price, "=", ""), device.get("price", row), inputs.price)
    money = chosen(compared(price, ">", 0), price, words(DASH))
    place.add("out_price_per_gpu_hour", money, "two", chosen(compared(inputs.price, "=", ""), _words_of(currency), words("")))
    good = all_of(compared(price, ">", 0), compared(found.gpus, "<>", DASH))
    cost = recorded(deployment_cost, gpus=gpus_used, price=price)
    place.add("out_cost_per_hour", chosen(good, cost, words(DASH)), "two", chosen(compared(inputs.price, "=", ""), _words_of(currency), words("")))
    place.add("out_memory_fraction", found.share, "percent")
    _paint(book, grid, place.first)
    return results


def _words_of(cell: Live) -> Live:
    return Live(f'{cell.text}&""', cell.value or "")


class _Results:
    """Writes results one below the other."""

    def __init__(self, book: Book, grid: Grid, results: dict[str, Live]) -> None:
        self.book, self.grid, self.results, self.row = book, grid, results, FIRST_ROW
        self.first = FIRST_ROW + 1

    def section(self, title: str) -> None:
        for column in (OUT, OUT_VALUE, OUT_UNIT):
            self.grid.text(self.row, column, title if column == OUT else "", "section")
        self.row += 1

    def add(self, name: str, live: Live, style: str, unit: Live | str = "") -> None:
        say = self.book.say
        self.grid.text(self.row, OUT, say(name.replace("_", "-")), "label")
        self.grid.sheet.write_comment(self.row, OUT, say(f"hint-{name.replace('_', '-')}"), {"x_scale": 1.6})
        cell = self.grid.formula(self.row, OUT_VALUE, live, style if style != "number" else "number")
        if isinstance(unit, Live):
            self.grid.formula(self.row, OUT_UNIT, unit, "inside")
        elif unit:
            self.grid.text(self.row, OUT_UNIT, unit, "inside")
        self.results[name] = self.book.name(name, cell)
        self.row += 1

    def gib(self, live: Live, title: str) -> None:
        self.grid.text(self.row, OUT, title, "label")
        size = recorded(lambda *, size: size / GiB, size=live)
        self.grid.formula(self.row, OUT_VALUE, chosen(compared(live, "=", DASH), words(DASH), size), "two")
        self.grid.text(self.row, OUT_UNIT, "GiB", "inside")
        self.row += 1


def _paint(book: Book, grid: Grid, first: int) -> None:
    """Red where it does not fit, green where it does."""
    bad = book.workbook.add_format({"bg_color": "#FBD5D5", "font_color": "#9B1C1C"})
    good = book.workbook.add_format({"bg_color": "#DEF7EC", "font_color": "#03543F"})
    for row, column in ((2, LABEL), (first + 1, OUT_VALUE), (first, OUT_VALUE)):
        for form, words_of in ((bad, "out_fits=FALSE"), (bad, f'out_gpus="{DASH}"'), (good, "out_fits=TRUE")):
            rule = {"type": "formula", "criteria": "=" + words_of, "format": form, "stop_if_true": True}
            grid.sheet.conditional_format(row, column, row, column, rule)


def _load(language: str, inputs: Inputs) -> Live:
    many = templated(language, "ui", "load-concurrency", concurrency=inputs.concurrency)
    one = templated(language, "ui", "load-concurrency-one", concurrency=inputs.concurrency)
    users = templated(language, "ui", "load-users", users=inputs.users, concurrency=inputs.concurrency)
    return chosen(inputs.by_users, users, chosen(compared(inputs.concurrency, "=", 1), one, many))


def _servers(language: str, nodes: Live, gpus: Live, node: Live, whole_nodes: Live) -> Live:
    one = templated(language, "ui", "servers-one", nodes=nodes)
    many = templated(language, "ui", "servers-many", nodes=nodes)
    part = templated(language, "ui", "servers-part", devices=node)
    partly = all_of(compared(gpus, "<", node), compared(whole_nodes, "=", 1))
    return chosen(partly, part, chosen(compared(nodes, "=", 1), one, many))


def _reason(book: Book, found: Chosen, inputs: Inputs) -> Live:
    """Why it does not fit, by the number of the reason."""
    language = book.language
    rank = recorded(lambda *, stage: stage - 1, stage=found.stage)
    ways = [
        found.reason_words,
        templated(language, "workbook", "reason-budget", bytes=found.missing_bytes, fraction=found.share),
        templated(language, "reason", "no-memory-for-cache", missing_bytes=found.missing_bytes, pp_rank=rank),
        templated(language, "workbook", "reason-context", bytes=found.missing_bytes, tokens=inputs.context_tokens),
        templated(language, "reason", "out-of-memory", bytes=found.missing_bytes, pp_rank=rank),
        words(book.say("reason-close")),
    ]
    text = f'CHOOSE({found.reason_code.text}+1,"",{",".join(way.text for way in ways)})'
    return Live(text, ["", *(way.value for way in ways)][int(found.reason_code.value)])


def token_place(tables: Tables, inputs: Inputs) -> Live:
    """Column of the cache's figures; "auto" in a model of 32 bits is the last one."""
    kinds = tables.facts.kv_precisions
    wide = compared(tables.models.get("element_bytes", inputs.model_row, inputs.precision_place), "=", 4)
    auto = compared(inputs.kv_place, "=", kinds.index("auto") + 1)
    return chosen(all_of(wide, auto), constant(len(kinds) + 1), inputs.kv_place)
