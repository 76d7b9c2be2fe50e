"""Options side by side: hardware and where it stands, money, speed, what it holds, how it is started; each figure with its sources."""

from __future__ import annotations

from collections.abc import Callable

from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines import engine_name
from gpusizer.engines.base.types import Quantity
from gpusizer.facts.servers import KW
from gpusizer.facts.types import is_source
from gpusizer.i18n import text
from gpusizer.planning.picks import Pick, picks
from gpusizer.planning.servers import Housed, gpus_power_of, housed_in
from gpusizer.planning.types import Cost, Plan
from gpusizer.rendering.costs import price_origin
from gpusizer.rendering.devices import counted_devices, currency_words
from gpusizer.rendering.launch import version_of
from gpusizer.rendering.notices import notice_words
from gpusizer.rendering.plan import precision_words
from gpusizer.rendering.plan_options import amount_words, evidence_of, verdict_words, why_not_first
from gpusizer.rendering.prefill_workers import option_layout
from gpusizer.rendering.report.view import Cell, Comparison, Footnotes, Line
from gpusizer.units import GB, TB

__all__ = ["SIDE_BY_SIDE", "compared_options", "comparison"]

SIDE_BY_SIDE = 3
"""Options that stand side by side on a page."""

RUNNER_UP = "runner-up"


def compared_options(plan: Plan) -> list[Pick]:
    """What is picked, and behind it the next by rank until there are three."""
    found = list(picks(plan))
    taken = {each.option.rank for each in found}
    rest = [Pick((RUNNER_UP,), option) for option in plan.options if option.rank not in taken]
    return [*found, *rest][: max(SIDE_BY_SIDE, len(found))]


def comparison(plan: Plan, notes: Footnotes, language: str) -> Comparison:
    """The table of options.

    Parameters
    ----------
    plan : Plan
        With options.
    notes : Footnotes
        Where sources go.
    language : str
        "en" or "zh".
    """
    cells = [_Cells(plan, pick, notes, language) for pick in compared_options(plan)]
    titles = [each.title() for each in cells]
    rows = [(text("report", f"row-{name}", language), [row(each) for each in cells]) for name, row in _ROWS.items()]
    return Comparison(text("report", "figure", language), titles, [(name, found) for name, found in rows if any(found)])


class _Cells:
    """The cells of one option, each under the name of its row."""

    def __init__(self, plan: Plan, pick: Pick, notes: Footnotes, language: str) -> None:
        self.plan, self.kinds, self.option, self.notes, self.language = plan, pick.kinds, pick.option, notes, language
        self.housed: Housed | None = next(iter(housed_in(pick.option)), None)

    def say(self, code: str, **parameters: object) -> str:
        """Words of a report."""
        return text("report", code, self.language, **parameters)

    @property
    def unknown(self) -> Cell:
        """What no source says."""
        return [Line(self.say("not-known"))]

    def facts(self, *fields: str) -> tuple[int, ...]:
        """Footnotes of facts of the device."""
        return self.notes.of([source for name in fields for source in self.option.accelerator.sources.get(name, ()) if is_source(source)])

    # ---- hardware ------------------------------------------------------------------------------------------------------

    def title(self) -> Cell:
        """What it was picked as, which GPUs and how many."""
        kinds = text("ui", "comma", self.language).join(self.say(f"pick-{kind}") for kind in self.kinds)
        gpus = counted_devices(self.option.gpus, self.option.accelerator, self.language)
        return [Line(kinds), Line(gpus, self.facts("memory_bytes", "bandwidth_bytes_per_s"))]

    def servers(self) -> Cell:
        """How many, what must be ordered where they are sold whole, and the products that are known, the usual one first."""
        option, found = self.option, housed_in(self.option)
        count = text("ui", "servers-one" if option.nodes == 1 else "servers-many", self.language, nodes=option.nodes)
        whole = [Line(self.say("to-order", gpus=option.gpus_to_order))] if option.gpus_to_order > option.gpus else []
        return [Line(count), *whole, *(self._product(each) for each in found)]

    def _product(self, housed: Housed) -> Line:
        server = housed.server
        usual = server.gpus == self.option.accelerator.devices_per_node
        code = "sold-in" if usual else "sold-in-larger"
        return Line(self.say(code, count=housed.count, server=server.name, gpus=server.gpus), self.notes.of(server.sources))

    def rack_units(self) -> Cell:
        """Height of the usual servers."""
        units = None if self.housed is None else self.housed.rack_units
        return self.unknown if units is None else [Line(f"{units:,} U")]

    def power(self) -> Cell:
        """GPUs at their limit; whole servers at most."""
        gpus, whole = gpus_power_of(self.option), None if self.housed is None else self.housed.maximum_w
        if gpus is None and whole is None:
            return self.unknown
        sheets = () if self.housed is None else self.notes.of(self.housed.server.sources)
        return [
            Line(self.say("power-gpus-unknown")) if gpus is None else Line(self.say("power-gpus", kw=f"{gpus / KW:,.1f}"), self.facts("tdp_w")),
            Line(self.say("power-servers-unknown")) if whole is None else Line(self.say("power-servers", kw=f"{whole / KW:,.1f}"), sheets),
        ]

    def energy(self) -> Cell:
        """Of a million tokens."""
        energy = self.option.energy_per_million_tokens_kwh
        return self.unknown if energy is None else [Line(f"{energy:,.2f} kWh")]

    def disk(self) -> Cell:
        """The checkpoint on each server, beside the drives that the usual server brings."""
        size = checkpoint_bytes(self.option.architecture)
        drives = None if self.housed is None else self.housed.server.data_bytes
        brought = [] if drives is None else [Line(self.say("drives", tb=f"{drives / TB:,.1f}"))]
        return [Line(self.say("disk", gb=f"{size / GB:,.0f}")), *brought]

    def network(self) -> Cell:
        """Ports of the compute fabric."""
        housed = self.housed
        if housed is None or housed.ports is None or housed.server.port_bits_per_s is None:
            return self.unknown
        words = {"ports": housed.server.ports, "speed": f"{housed.server.port_bits_per_s / GB:,.0f}", "all": housed.ports}
        return [Line(self.say("ports" if housed.count == 1 else "ports-of-several", **words))]

    # ---- money ---------------------------------------------------------------------------------------------------------

    def rent(self) -> Cell:
        """An hour of it, with its kind and date."""
        return self._there or self._priced(self.option.cost)

    def purchase(self) -> Cell:
        """What is ordered, with its date."""
        return self._there or self._priced(self.option.purchase)

    def million(self) -> Cell:
        """Rent of a million output tokens."""
        if there := self._there:
            return there
        cost, million = self.option.cost, self.option.cost_per_million_tokens
        return self.unknown if cost is None or million is None else [Line(f"{million:,.2f} {currency_words(cost.currency, self.language)}")]

    @property
    def _there(self) -> Cell:
        """What stands for a price where the GPUs are there already; empty where they are not."""
        return [Line(self.say("there-already"))] if self.option.is_there else []

    def _priced(self, cost: Cost | None) -> Cell:
        if cost is None:
            return self.unknown
        was = [cost.source] if cost.converted is None else [cost.source, cost.converted.source]
        return [Line(amount_words(cost, self.language)), Line(price_origin(cost, self.language), self.notes.of(was))]

    # ---- what it does --------------------------------------------------------------------------------------------------

    def ttft(self) -> Cell:
        """Time to the first token."""
        return self._timed("ttft_s", 1, "seconds", "{:.2f}")

    def tpot(self) -> Cell:
        """Time per token after it."""
        return self._timed("tpot_s", 1000, "milliseconds", "{:.1f}")

    def rate(self) -> Cell:
        """Output tokens of the whole deployment."""
        return self._timed("output_tokens_per_s", 1, "tokens-per-s", "{:,.0f}")

    def _timed(self, name: str, times: int, unit: str, form: str) -> Cell:
        speed = self.option.performance
        if speed is None:
            return self.unknown
        figure: Quantity = getattr(speed, name)
        ends = {end: form.format(times * getattr(figure, end)) for end in ("value", "low", "high")}
        return [Line(self.say(unit, value=ends["value"])), Line(self.say("band", **ends))]

    def held(self) -> Cell:
        """Requests that it holds at the same moment."""
        option = self.option
        return [Line(f"{option.held_requests:,}"), Line(self.say("held-low", low=option.held_requests_low))]

    def layout(self) -> Cell:
        """How it is cut, and in what format."""
        return [Line(option_layout(self.option)), Line(precision_words(self.option.launch.precision, self.option.architecture, self.language))]

    def engine(self) -> Cell:
        """Who serves."""
        return [Line(f"{engine_name(self.option.launch.engine)} {version_of(self.option.fit.deployment)}")]

    def verdict(self) -> Cell:
        """Whether it holds the load on the safe side, and how sure all of it is."""
        evidence = text("ui", f"evidence-{evidence_of(self.option)}", self.language)
        return [Line(verdict_words(self.option, self.language)), Line(self.say("evidence", evidence=evidence))]

    def reason(self) -> Cell:
        """Why it is not the first; nothing of the first."""
        found = why_not_first(self.plan, self.option)
        return [] if found is None else [Line(notice_words(found, "reason", self.language))]


_ROWS: dict[str, Callable[[_Cells], Cell]] = {
    "servers": _Cells.servers,
    "rack-units": _Cells.rack_units,
    "power": _Cells.power,
    "energy": _Cells.energy,
    "disk": _Cells.disk,
    "network": _Cells.network,
    "purchase": _Cells.purchase,
    "rent": _Cells.rent,
    "million": _Cells.million,
    "ttft": _Cells.ttft,
    "tpot": _Cells.tpot,
    "rate": _Cells.rate,
    "held": _Cells.held,
    "layout": _Cells.layout,
    "engine": _Cells.engine,
    "verdict": _Cells.verdict,
    "reason": _Cells.reason,
}
