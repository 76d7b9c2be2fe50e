"""Times and rates of the chosen deployment, live: the library's own closed loop, recorded, with its fixed point as so many rounds of cells.

What a step must do and how fast a device does it are numbers that the library gives: they stand in two tables, by how the model is cut and by device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.serving.rates import deployment_rate_tokens_per_s
from gpusizer.formulas.symbols import Symbol
from gpusizer.performance.concurrency import Room, places_of
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.predict import Asked, conclude, engine_state, served_rank
from gpusizer.performance.served_rank import Service
from gpusizer.performance.serving import closed_loop
from gpusizer.performance.step_speeds import speeds_of
from gpusizer.performance.step_work import Parallelism, step_work
from gpusizer.planning.option_speeds import load_of
from gpusizer.planning.types import Option, Plan
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
FIGURES = ("ttft_s", "tpot_s", "output_tokens_per_s")
REGIMES = ("steady", "cache-limited")


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


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Numbers of a structure by their paths."""
    if not isinstance(value, tuple):
        return {path: value}
    names = getattr(value, "_fields", range(len(value)))
    return {name: each for field, entry in zip(names, value, strict=True) for name, each in _flat(entry, f"{path}.{field}").items()}


def _with(value: Any, figures: Mapping[str, Any], path: str = "") -> Any:
    """The same structure with figures in the place of its numbers."""
    if not isinstance(value, tuple):
        return figures[path]
    names = getattr(value, "_fields", range(len(value)))
    entries = [_with(entry, figures, f"{path}.{field}") for field, entry in zip(names, value, strict=True)]
    return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)


def _columns(rows: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[dict[str, Any], list[tuple[str, int]], list[list[Any]]]:
    """A structure for each row and place: what never differs as numbers; what differs as a table, places side by side where they differ."""
    same: dict[str, Any] = {}
    columns: list[tuple[str, int]] = []
    table: list[list[Any]] = [[] for _ in rows]
    for name, first in rows[0][0].items():
        values = [[places[name] for places in row] for row in rows]
        if all(value == first for row in values for value in row):
            same[name] = first
            continue
        width = 1 if all(value == row[0] for row in values for value in row) else len(values[0])
        columns.append((name, width))
        for cells, row in zip(table, values, strict=True):
            cells.extend(row[:width])
    return same, columns, table


class _Source:
    """What the library says of the plan's model: work by cut, speeds and bands by device."""

    def __init__(self, plan: Plan, best: Option, devices: Sequence[Accelerator]) -> None:
        self.best, self.plan = best, plan
        self.deployment: Deployment = best.fit.deployment
        self.state, self.constants = engine_state(self.deployment), speed_constants()
        self.cuts = [Parallelism(tp, 1, ep, 1) for whole in (False, True) for tp in TPS for ep in (tp if whole else 1,)]
        self.works = [step_work(best.architecture, cut, cache_element_bytes=self.state.cache_bits / 8) for cut in self.cuts]
        self.work = self.works[TPS.index(best.layout.tp)] if best.layout.tp in TPS else self.works[0]
        own = self._speeds(best.accelerator)
        assert own is not None
        self.own = own
        self.speeds = [self._speeds(device) for device in devices]
        self.bands = [self._bands(device) for device in devices]
        self.alike = all(_flat(work).keys() == _flat(self.work).keys() for work in self.works)

    def _speeds(self, device: Accelerator) -> list[Any] | None:
        try:
            cuts = self.cuts[: len(TPS)]
            return [speeds_of(work, device, self.state, cut, self.constants) for work, cut in zip(self.works, cuts, strict=False)]
        except InputError:  # nobody states its bandwidth
            return None

    def imbalance(self) -> list[float]:
        """Of experts, by cut: no matter of the device."""
        works = zip(self.works, self.cuts, strict=True)
        return [speeds_of(work, self.best.accelerator, self.state, cut, self.constants).imbalance for work, cut in works]

    def longest_chain(self) -> int:
        """Stages up to which links between them are those of a server."""
        cut = Parallelism(1, 1, 1, 1)

        def hop(stages: int) -> float:
            return float(speeds_of(self.works[0], self.best.accelerator, self.state, cut._replace(pp=stages), self.constants).hop_bytes_per_s)

        return next((stages - 1 for stages in range(2, MOST_STAGES + 1) if hop(stages) != hop(1)), MOST_STAGES)

    def _bands(self, device: Accelerator) -> dict[str, float]:
        """Ends of the bands of figures that are 1, steady and where requests wait for room."""
        found: dict[str, float] = {}
        load = load_of(self.plan.request, self.plan.need)
        for regime, concurrency in zip(REGIMES, (1.0, 3.0), strict=True):
            asked_load = replace(load, concurrency=concurrency, request_rate_per_s=None)
            rank = served_rank(self.work, self.own[0], self.deployment, asked_load, 2.0, self.constants)
            said = conclude(Asked(rank, 1, device, self.best.fit, asked_load), Service(1.0, 1.0, 1.0, 1.0, 1.0), None)
            assert said.regime == regime
            for name in FIGURES:
                quantity = getattr(said, name)
                found |= {f"low {name} {regime}": quantity.low, f"high {name} {regime}": quantity.high}
        return found


class _Tables:
    """The two tables, and their figures for the chosen cut and device."""

    def __init__(self, book: Book, trace: Trace, source: _Source, inputs: Inputs, devices: Sequence[Accelerator]) -> None:
        self._book, self._trace = book, trace
        sizes = len(TPS)
        cut = recorded(lambda *, place, whole, sizes: place + whole * sizes, place=inputs.tp_place, whole=inputs.whole, sizes=sizes)
        works = [[_flat(work) | {"imbalance": value}] for work, value in zip(source.works, source.imbalance(), strict=True)]
        figures = self._figures("Work", works, cut, constant(1))
        self.work = _with(source.work, figures)
        by_device = [
            [_flat(each) | bands | {"known": int(speeds is not None), "memory": device.memory_bytes} for each in speeds or source.own]
            for device, speeds, bands in zip(devices, source.speeds, source.bands, strict=True)
        ]
        self.at_device = self._figures("Speeds", by_device, inputs.gpu_row, inputs.tp_place)
        self.speeds = _with(source.own[0], self.at_device)._replace(imbalance=figures["imbalance"])

    def _figures(self, name: str, values: Sequence[Sequence[Mapping[str, Any]]], row: Live, column: Live) -> dict[str, Any]:
        same, columns, rows = _columns(values)
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
    best, devices = plan.best, list(tables.facts.accelerators)
    if best is None or best.performance is None or plan.request.request_rate is not None:
        return None
    source = _Source(plan, best, devices)
    if not source.alike:
        return None
    grid = book.add("Pace", technical=True)
    trace = Trace(grid, grid)
    tables_of = _Tables(book, trace, source, inputs, devices)
    figures = _served(trace, tables_of, source, inputs, chosen_one)
    known = where(trace.one(inputs.pp) <= source.longest_chain(), tables_of.at_device["known"], 0)
    named = {name: trace.figure(name, figure) for name, figure in (figures | {"known": known}).items()}
    trace.write(*named.values())
    cells = {name: trace.live(figure) for name, figure in named.items()}
    low, high = ({name: cells[f"{side} {name}"] for name in FIGURES} for side in ("low", "high"))
    same = [compared(place, "=", place.value) for place in (inputs.precision_place, inputs.kv_place)]
    valid = all_of(compared(cells["known"], "=", 1), *same, chosen_one["starts"])
    return LiveSpeed(valid, {name: cells[name] for name in FIGURES}, low, high)


def _served(trace: Trace, tables: _Tables, source: _Source, inputs: Inputs, chosen_one: Mapping[str, Live]) -> dict[str, Any]:
    """The closed loop of one replica, the rate of all, and the bands of its regime."""

    def get(live: Live) -> _Short:
        return _short(trace.one(live))

    at_device, tp, pp = tables.at_device, get(inputs.tp), get(inputs.pp)
    pool, requests, step_tokens, replicas = (get(chosen_one[name]) for name in ("pool", "requests", "step_tokens", "replicas"))
    ep = where(get(inputs.whole) > 0, tp, 1)
    tokens: dict[str, Any] = {"input_tokens": get(inputs.input_tokens), "output_tokens": get(inputs.output_tokens)}
    load = replace(load_of(source.plan.request, source.plan.need), **tokens)
    room = Room(source.deployment.engine, at_device["memory"], pool, get(inputs.context_tokens), requests, 1, ep, pp)
    speeds = tables.speeds._replace(tp=tp, ep=ep, pp=pp)
    rank = served_rank(tables.work, speeds, source.deployment, load, places_of(tables.work, room, load), source.constants)
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
