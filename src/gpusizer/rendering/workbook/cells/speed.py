"""Times and rates of the chosen deployment, live: the library's own closed loop, recorded, with its fixed point as so many rounds of cells.

What a step must do and how fast a device does it are numbers that the library gives: they stand in two tables, by how the model is cut and by device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.serving.rates import deployment_rate_tokens_per_s
from gpusizer.formulas.symbols import Symbol
from gpusizer.performance.concurrency import Room, places_of
from gpusizer.performance.serving import closed_loop
from gpusizer.performance.set_up import served_rank
from gpusizer.performance.tabulated import FIGURES, REGIMES, SpeedTables, columns_of, rebuilt
from gpusizer.planning.option_speeds import load_of
from gpusizer.planning.types import Plan
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.cells.selected import MOST_STAGES
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Live, all_of, compared, constant, recorded
from gpusizer.rendering.workbook.tables.gather import TPS
from gpusizer.rendering.workbook.tables.table import Table
from gpusizer.rendering.workbook.tables.tables import Tables
from gpusizer.rendering.workbook.tracer import Trace, Traced

__all__ = ["LiveSpeed", "live_speed"]

LONGEST = 100  # letters of a figure without a cell of its own


class _Short(Traced):
    """A figure that gets a cell as soon as its formula is long: what follows refers to the cell."""

    def applied(self, text: Symbol, function: Callable[..., Any], values: tuple[Any, ...]) -> Traced:
        return _short(super().applied(text, function, values))


def _short(figure: Traced) -> _Short:
    kept = figure.named("speed") if len(figure.text) > LONGEST else figure
    return _Short(kept.trace, kept, kept.devices, kept.stages, kept.values)


@dataclass(frozen=True)
class LiveSpeed:
    """Figures of the chosen deployment; ``known`` says whether the file carries what they need.

    Parameters
    ----------
    known : Live
        True or false.
    figures : mapping of str to Live
        Time to the first token, time between tokens, rate of all replicas. [s, s, tokens/s]
    low, high : mapping of str to Live
        Ends of their bands over the figures themselves.
    """

    known: Live
    figures: Mapping[str, Live]
    low: Mapping[str, Live]
    high: Mapping[str, Live]


class _Tables:
    """The two tables, and their figures for the chosen cut and device."""

    def __init__(self, book: Book, trace: Trace, source: SpeedTables, inputs: Inputs) -> None:
        self._book, self._trace = book, trace
        cut = recorded(lambda *, place, whole, sizes: place + whole * sizes, place=inputs.tp_place, whole=inputs.whole, sizes=len(TPS))
        figures = self._figures("Work", source.work_rows(), cut, constant(1))
        self.work = rebuilt(source.work, figures)
        self.at_device = self._figures("Speeds", source.device_rows(), inputs.gpu_row, inputs.tp_place)
        self.speeds = rebuilt(source.own[0], self.at_device)._replace(imbalance=figures["imbalance"])

    def _figures(self, name: str, values: Sequence[Sequence[Mapping[str, Any]]], row: Live, column: Live) -> dict[str, Any]:
        same, columns, rows = columns_of(values)
        table = Table(self._book.add(name, technical=True), columns, rows)
        for each, width in columns:
            same[each] = _short(self._trace.line(each, table.get(each, row, None if width == 1 else column)))
        return same


def live_speed(book: Book, tables: Tables, inputs: Inputs, chosen_one: Mapping[str, Live], plan: Plan) -> LiveSpeed | None:
    """Record the closed loop of the chosen deployment.

    Parameters
    ----------
    book : Book
        The workbook.
    tables : Tables
        What is looked up.
    inputs : Inputs
        The load and the layout.
    chosen_one : mapping of str to Live
        ``pool`` (requests of full length that one replica holds, 0 where it cannot be), ``starts``, ``requests`` and ``step_tokens`` (most that the
        engine runs, and computes in a step) and ``replicas``.
    plan : Plan
        Whose model, precision and engine it is.

    Returns
    -------
    LiveSpeed or None
        None where the plan's speeds are not those of a closed loop, or nothing fits.
    """
    best = plan.best
    if best is None or best.performance is None or plan.request.request_rate is not None:
        return None
    load = load_of(plan.request, plan.need)
    source = SpeedTables(best.fit, best.architecture, best.accelerator, load, list(tables.facts.accelerators), TPS)
    if not source.alike:
        return None
    grid = book.add("Pace", technical=True)
    trace = Trace(grid, grid)
    tables_of = _Tables(book, trace, source, inputs)
    figures = _served(trace, tables_of, source, inputs, chosen_one)
    known = where(trace.one(inputs.pp) <= source.longest_chain(MOST_STAGES), tables_of.at_device["known"], 0)
    named = {name: trace.figure(name, figure) for name, figure in (figures | {"known": known}).items()}
    trace.write(*named.values())
    cells = {name: trace.live(figure) for name, figure in named.items()}
    low, high = ({name: cells[f"{side} {name}"] for name in FIGURES} for side in ("low", "high"))
    same = [compared(place, "=", place.value) for place in (inputs.precision_place, inputs.kv_place)]
    valid = all_of(compared(cells["known"], "=", 1), *same, chosen_one["starts"])
    return LiveSpeed(valid, {name: cells[name] for name in FIGURES}, low, high)


def _served(trace: Trace, tables: _Tables, source: SpeedTables, inputs: Inputs, chosen_one: Mapping[str, Live]) -> dict[str, Any]:
    """The closed loop of one replica, the rate of all, and the bands of its regime."""

    def get(live: Live) -> _Short:
        return _short(trace.one(live))

    at_device, tp, pp = tables.at_device, get(inputs.tp), get(inputs.pp)
    pool, requests, step_tokens, replicas = (get(chosen_one[name]) for name in ("pool", "requests", "step_tokens", "replicas"))
    ep = where(get(inputs.whole) > 0, tp, 1)
    tokens: dict[str, Any] = {"input_tokens": get(inputs.input_tokens), "output_tokens": get(inputs.output_tokens)}
    load = replace(source.load, **tokens)
    room = Room(source.fit.deployment.engine, at_device["memory"], pool, get(inputs.context_tokens), requests, 1, ep, pp)
    speeds = tables.speeds._replace(tp=tp, ep=ep, pp=pp)
    rank = served_rank(tables.work, speeds, source.fit.deployment, load, places_of(tables.work, room, load), source.constants, source.state.age_years)
    rank = rank._replace(traffic=rank.traffic._replace(budget_tokens=step_tokens))
    each = get(inputs.concurrency) / replicas
    service = closed_loop(rank, maximum(each, 1.0))
    rate = deployment_rate_tokens_per_s(rank_rate=service.output_tokens_per_s, ranks=replicas, busy_share=minimum(each, 1.0))
    waits = (each > rank.traffic.places).named("cache-limited")
    bands = {
        f"{side} {name}": where(waits, *(at_device[f"{side} {name} {regime}"] for regime in reversed(REGIMES)))
        for side in ("low", "high")
        for name in FIGURES
    }
    return {"ttft_s": service.ttft_s, "tpot_s": service.tpot_s, "output_tokens_per_s": rate} | bands
