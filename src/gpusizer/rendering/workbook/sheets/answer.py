"""The first sheet, what is decided: a sentence, the verdict, size, speed, money and power, one GPU's memory, who comes next, what the words mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.load import cost_per_million_tokens, deployment_cost, energy_per_million_tokens_kwh, gpus_power_w, servers_needed
from gpusizer.i18n import text
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.reserve import all_gpus
from gpusizer.rendering.workbook.cells.selected import Chosen
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import DASH, Live, all_of, chosen, compared, constant, first_equal, joined, picked, printed, recorded, words
from gpusizer.rendering.workbook.sentences import context_words, layout_words, templated
from gpusizer.rendering.workbook.sheets.gpus import KW, NONE, Ranking, ordered_together
from gpusizer.rendering.workbook.sheets.page import Page, in_units, or_dash
from gpusizer.rendering.workbook.sheets.speed import Runners, Speed
from gpusizer.rendering.workbook.sheets.start import FIRST_ROW, LABEL, OUT, OUT_UNIT, OUT_VALUE, USED, VALUE, token_place
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.units import GiB, KiB

__all__ = ["RUNNERS_UP", "Answer", "Deployed", "deployed"]

RUNNERS_UP = 5
_RUNNER = {
    "name": (LABEL, "fitted"),
    "layout": (VALUE, "inside"),
    "gpus": (USED, "number"),
    "rent": (OUT, "right"),
    "rate": (OUT_VALUE, "rate"),
    "purchase": (OUT_UNIT, "right"),
}
_TERMS = ("ttft", "tpot", "tp", "pp", "ep", "replica", "kv", "gib")


@dataclass(frozen=True)
class Deployed:
    """The whole deployment as it is used: with the replicas that are asked for, else with those that the load needs."""

    fixed: Live
    needed: Live  # replicas
    replicas: Live
    gpus: Live
    nodes: Live
    layout: Live


def deployed(account: Account, tables: Tables, inputs: Inputs, found: Chosen) -> Deployed:
    """Replicas, GPUs, servers and the words of the layout."""
    fixed = compared(inputs.replicas, "<>", "")
    needed = account.line("replicas for words", chosen(compared(found.gpus, "=", DASH), constant(1), found.replicas))
    replicas = account.line("replicas used", chosen(fixed, inputs.replicas, needed))
    reserve = tables.facts.reserve
    others = {"own": tables.devices.get("own", inputs.gpu_row)} if reserve.own else {}

    def whole(*, tp: Any, pp: Any, replicas: Any, own: Any = 0) -> Any:
        return all_gpus(reserve, size=tp * pp, replicas=replicas, own=lambda: own)

    gpus = account.line("gpus used", recorded(whole, tp=inputs.tp, pp=inputs.pp, replicas=replicas, **others))
    nodes = account.line("nodes", recorded(servers_needed, gpus=gpus, devices_per_node=tables.devices.get("node", inputs.gpu_row)))
    layout = account.line("layout", layout_words(inputs.tp, inputs.pp, inputs.whole, replicas, reserve.spare))
    return Deployed(fixed, needed, replicas, gpus, nodes, layout)


@dataclass
class Answer:
    """Writes the answer, one line below the other.

    Parameters
    ----------
    page : Page
        The first sheet.
    tables, orders : Tables, Table
        What is looked up; what a bid asks of each device.
    account : Account
        The technical sheet.
    inputs, found, deployed : Inputs, Chosen, Deployed
        The choice and what it comes to.
    speed : Speed
        Times and rates.
    """

    page: Page
    tables: Tables
    orders: Table
    account: Account
    inputs: Inputs
    found: Chosen
    deployed: Deployed
    speed: Speed
    row: int = FIRST_ROW

    @property
    def book(self) -> Book:
        """The workbook."""
        return self.page.book

    def fill(self) -> None:
        """Sentence, decision, speed, money and power, the model."""
        self._sentence()
        self._decision()
        self._speed()
        self._money()
        self._model()

    # ---- the sentence ------------------------------------------------------------------------------------------------

    def _sentence(self) -> None:
        language, account, inputs, found, all_of_it = self.book.language, self.account, self.inputs, self.found, self.deployed
        models, devices, row = self.tables.models, self.tables.devices, inputs.gpu_row
        gpu = account.line("gpu name", devices.get("name", row))
        said = {
            "model": account.line("model name", models.get("name", inputs.model_row)),
            "precision": account.line("label", models.get("label", inputs.model_row, inputs.precision_place)),
            "load": account.line("load", _load(language, inputs)),
            "context": account.line("context words", context_words(inputs.context_tokens)),
            "gpu": gpu,
        }
        servers = account.line("servers", _servers(language, all_of_it, devices.get("node", row), devices.get("whole_nodes", row)))
        yes = templated(
            language,
            "ui",
            "plan-answer",
            **said,
            gpus=all_of_it.gpus,
            unit=text("ui", "unit-cards", language),
            servers=servers,
            layout=all_of_it.layout,
        )
        reason = account.line("reason words", _reason(self.book, found, inputs))
        alone = layout_words(inputs.tp, inputs.pp, inputs.whole, constant(1))
        no = templated(language, "workbook", "answer-no", **said, layout=alone, reason=reason)
        few = all_of(all_of_it.fixed, compared(found.gpus, "<>", DASH), compared(all_of_it.replicas, "<", all_of_it.needed))
        self.few = account.line("too few", few)
        short = templated(language, "workbook", "answer-few", **said, gpus=all_of_it.gpus, layout=all_of_it.layout, needed=found.gpus)
        sentence = account.line("sentence", chosen(compared(found.reason_code, ">", 0), no, chosen(self.few, short, yes)))
        cell = self.page.merged(3, LABEL, OUT_UNIT, sentence, "answer")
        self.page.grid.sheet.set_row(3, 44)
        assert cell is not None
        self.book.name("out_sentence", cell)

    # ---- figures -----------------------------------------------------------------------------------------------------

    def section(self, code: str) -> None:
        """A heading over figures."""
        for column in (OUT, OUT_VALUE, OUT_UNIT):
            self.page.grid.text(self.row, column, self.book.say(code) if column == OUT else "", "section")
        self.row += 1

    def add(self, name: str, live: Live, style: str, unit: Live | str = "", *, named: Live | None = None) -> Live:
        """A figure; its defined name is that of ``named`` where the cell shows it in other units or words."""
        grid, code = self.page.grid, name.replace("_", "-")
        grid.text(self.row, OUT, self.book.say(code), "label")
        grid.sheet.write_comment(self.row, OUT, self.book.say(f"hint-{code}"), {"x_scale": 1.6})
        cell = grid.formula(self.row, OUT_VALUE, live, style)
        if isinstance(unit, Live):
            grid.formula(self.row, OUT_UNIT, unit, "inside")
        else:
            grid.text(self.row, OUT_UNIT, unit, "inside")
        self.row += 1
        return self.book.name(name, cell if named is None else named)

    def _decision(self) -> None:
        say, found, grid = self.book.say, self.found, self.page.grid
        self.section("section-answer")
        verdict = chosen(self.few, words(say("verdict-few")), words(say("verdict-yes")))
        verdict = chosen(compared(found.reason_code, ">", 0), words(say("verdict-no")), verdict)
        grid.sheet.set_row(self.row, 20)
        self.add("out_verdict", verdict, "verdict", all_of_words(self.deployed, say))
        grid.sheet.set_row(self.row, 27)
        gpus = self.add("out_gpus", found.gpus, "big", self.deployed.layout)
        fits = self.account.line("fits, as words", found.starts)
        self.add("out_fits", chosen(found.starts, constant(1), constant(0)), "yes-no", named=fits)
        self.add("out_replicas", found.replicas, "number")
        self.add("out_held_requests", found.held_low, "number", say("requests"))
        self.add("out_max_concurrency", found.concurrency, "two", say("requests"))
        self.add("out_kv_cache_tokens", found.kv_tokens, "number", say("tokens"))
        self.add("out_memory_fraction", found.share, "percent")
        self._paint([(3, LABEL), (FIRST_ROW + 1, OUT_VALUE), (FIRST_ROW + 2, OUT_VALUE)])
        self.gpus = gpus

    def _paint(self, places: list[tuple[int, int]]) -> None:
        """Red where it does not fit, green where it does."""
        bad = self.book.workbook.add_format({"bg_color": "#FBD5D5", "font_color": "#9B1C1C"})
        good = self.book.workbook.add_format({"bg_color": "#DEF7EC", "font_color": "#03543F"})
        for row, column in places:
            for form, condition in ((bad, f'OR(NOT(out_fits),out_gpus="{DASH}",{self.few.text})'), (good, "out_fits")):
                rule = {"type": "formula", "criteria": "=" + condition, "format": form, "stop_if_true": True}
                self.page.grid.sheet.conditional_format(row, column, row, column, rule)

    def _speed(self) -> None:
        self.section("section-speed")
        speed, pace = self.speed, self.account.line("time per token", self.speed.tpot)
        self.add("out_ttft_s", speed.ttft, "seconds", speed.bands["ttft"])
        self.add("out_tpot_s", or_dash(pace, recorded(lambda *, s: 1000 * s, s=pace)), "milliseconds", speed.bands["tpot"], named=pace)
        each = or_dash(pace, recorded(lambda *, s: 1 / s, s=pace))
        self.add("out_tokens_per_s_each", each, "rate-one")
        self.add("out_output_tokens_per_s", speed.rate, "rate", speed.bands["rate"])

    def _money(self) -> None:
        devices, orders, row, gpus = self.tables.devices, self.orders, self.inputs.gpu_row, self.deployed.gpus
        self.section("section-money")
        own = compared(self.inputs.price, "<>", "")
        price = chosen(own, self.inputs.price, devices.get("price", row))
        currency = chosen(own, words(""), _text(devices.get("currency", row)))
        known = compared(self.found.gpus, "<>", DASH)

        def shown(figure: Live, live: Live) -> Live:
            return chosen(all_of(compared(figure, ">", 0), known), live, words(DASH))

        self.add("out_price_per_gpu_hour", chosen(compared(price, ">", 0), price, words(DASH)), "two", currency)
        rent = self.add("out_cost_per_hour", shown(price, recorded(deployment_cost, gpus=gpus, price=price)), "two", currency)
        rate = self.speed.rate
        million = recorded(cost_per_million_tokens, cost_per_hour=rent, output_tokens_per_s=rate)
        self.add("out_cost_per_million_tokens", or_dash(rent, or_dash(rate, million)), "two", currency)
        purchase, unit, tdp = (orders.get(name, row) for name in ("purchase", "unit", "tdp_w"))
        order = ordered_together(gpus, unit)
        bought = recorded(deployment_cost, gpus=order, price=purchase)
        many = joined(_text(orders.get("currency", row)), self.book.say("for-gpus-before"), printed(order, "#,##0"), self.book.say("for-gpus-after"))
        self.add("out_purchase", shown(purchase, bought), "number", chosen(compared(purchase, ">", 0), many, words("")))
        watts = self.account.line("watts", shown(tdp, recorded(gpus_power_w, gpus=gpus, tdp_w=tdp)))
        self.add("out_power_w", in_units(watts, KW), "kilowatts", self.book.say("power-unit"), named=watts)
        energy = recorded(energy_per_million_tokens_kwh, gpus=gpus, tdp_w=tdp, output_tokens_per_s=rate)
        self.add("out_energy_per_million_tokens_kwh", or_dash(watts, or_dash(rate, energy)), "kilowatt-hours")

    def _model(self) -> None:
        models, inputs, account = self.tables.models, self.inputs, self.account
        self.section("section-figures")
        self.add("out_total_params", models.get("total_params", inputs.model_row), "billions")
        token = account.line("bytes of a token", models.get("token_bytes", inputs.model_row, token_place(self.tables, inputs)))
        self.add("out_kv_cache_bytes_per_token", in_units(token, KiB), "kib", named=token)
        self.add("out_weights_bytes", in_units(self.found.weights, GiB), "gib", named=self.found.weights)

    # ---- below -------------------------------------------------------------------------------------------------------

    def runners_up(self, row: int, ranking: Ranking, runners: Runners | None) -> int:
        """Who comes next: as the plan ranks them while the inputs are the plan's, else the fewest GPUs first; the next free row."""
        say, page, devices = self.book.say, self.page, self.tables.devices
        for column in range(LABEL, OUT_UNIT + 1):
            page.grid.text(row, column, say("section-runners") if column == LABEL else "", "section")
        titles = [say(f"runner-{name}") if name else "" for name in ("gpu", "layout", "gpus", "", "rent", "rate", "purchase")]
        page.head(row + 1, titles, ["label", "inside", "number", "text", "right", "rate", "right"], LABEL)
        for place in range(RUNNERS_UP):
            keys = ranking.keys
            key = Live(f"SMALL({keys.text},{place + 1})", sorted(keys.values)[place])
            where = self.account.line("runner-up", first_equal(self.account.line("key", key), keys, 1))
            there = compared(key, "<", NONE)
            rent = joined(printed(picked(ranking.rents, where), "#,##0.00"), " ", _text(devices.get("currency", where)))
            bought = joined(printed(picked(ranking.purchases, where), "#,##0"), " ", _text(self.orders.get("currency", where)))
            values = {
                "name": picked(ranking.names, where),
                "layout": picked(ranking.layouts, where),
                "gpus": picked(ranking.gpus, where),
                "rent": chosen(compared(devices.get("price", where), ">", 0), rent, words(DASH)),
                "rate": words(DASH),
                "purchase": chosen(compared(self.orders.get("purchase", where), ">", 0), bought, words(DASH)),
            }
            own = None if runners is None or place >= len(runners.rows) else runners.rows[place]
            for name, (column, style) in _RUNNER.items():
                live = chosen(there, values[name], words(""))
                if runners is not None:
                    live = chosen(runners.same, words("") if own is None else own[name], live)
                page.grid.formula(row + 2 + place, column, live, style)
        return row + 2 + RUNNERS_UP

    def legend(self, row: int, made: str) -> int:
        """What the abbreviations mean, by whom and when this was written, of when the prices are; the last row."""
        say, page = self.book.say, self.page
        for column in range(LABEL, OUT_UNIT + 1):
            page.grid.text(row, column, say("section-legend") if column == LABEL else "", "section")
        half = len(_TERMS) // 2
        for place in range(half):
            left, right = (say(f"legend-{_TERMS[place + side * half]}") for side in (0, 1))
            for column, count, said in ((LABEL, 3, left), (OUT, 3, right)):
                page.merged(row + 1 + place, column, count, said, "small")
            page.high(row + 1 + place, [(left, sum(page.widths[LABEL : USED + 1])), (right, sum(page.widths[OUT : OUT_UNIT + 1]))])
        dates = self.orders.get("dates", self.inputs.gpu_row)
        priced = chosen(compared(dates, "=", 0), words(""), joined(say("prices-of"), _text(dates)))
        page.merged(row + half + 1, LABEL, OUT_UNIT, joined(made, priced), "faint")
        return row + half + 1


def all_of_words(deployed: Deployed, say: Callable[..., str]) -> Live:
    """How many servers."""
    return joined(printed(deployed.nodes, "#,##0"), say("servers-after"))


def _text(cell: Live) -> Live:
    """A cell's words; an empty one has none."""
    return Live(f'{cell.text}&""', cell.value or "")


def _load(language: str, inputs: Inputs) -> Live:
    many = templated(language, "ui", "load-concurrency", concurrency=inputs.concurrency)
    one = templated(language, "ui", "load-concurrency-one", concurrency=inputs.concurrency)
    users = templated(language, "ui", "load-users", users=inputs.users, concurrency=inputs.concurrency)
    return chosen(inputs.by_users, users, chosen(compared(inputs.concurrency, "=", 1), one, many))


def _servers(language: str, all_of_it: Deployed, node: Live, whole_nodes: Live) -> Live:
    one = templated(language, "ui", "servers-one", nodes=all_of_it.nodes)
    many = templated(language, "ui", "servers-many", nodes=all_of_it.nodes)
    part = templated(language, "ui", "servers-part", devices=node)
    partly = all_of(compared(all_of_it.gpus, "<", node), compared(whole_nodes, "=", 1))
    return chosen(partly, part, chosen(compared(all_of_it.nodes, "=", 1), one, many))


def _reason(book: Book, found: Chosen, inputs: Inputs) -> Live:
    """Why it does not fit, by the number of the reason."""
    language = book.language
    rank = recorded(lambda *, stage: stage - 1, stage=found.stage)
    missing: dict[str, Any] = {"bytes": found.missing_bytes}
    ways = [
        found.reason_words,
        templated(language, "workbook", "reason-budget", **missing, fraction=found.share),
        templated(language, "reason", "no-memory-for-cache", missing_bytes=found.missing_bytes, pp_rank=rank),
        templated(language, "workbook", "reason-context", **missing, tokens=inputs.context_tokens),
        templated(language, "reason", "out-of-memory", **missing, pp_rank=rank),
        words(book.say("reason-close")),
    ]
    text = f'CHOOSE({found.reason_code.text}+1,"",{",".join(way.text for way in ways)})'
    return Live(text, ["", *(way.value for way in ways)][int(found.reason_code.value)])
