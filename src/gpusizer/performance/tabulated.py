"""Speeds as tables of numbers: what a step must do by how the model is cut, how fast devices do it, how wide bands are; for a sheet to look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Fit
from gpusizer.errors import InputError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.predict import Asked, Load, conclude
from gpusizer.performance.served_rank import Service
from gpusizer.performance.set_up import engine_state, served_rank
from gpusizer.performance.step_speeds import EngineState, speeds_of
from gpusizer.performance.step_time import Speeds
from gpusizer.performance.step_work import Parallelism, StepWork, step_work

__all__ = ["FIGURES", "REGIMES", "SpeedTables", "columns_of", "rebuilt"]

FIGURES = ("ttft_s", "tpot_s", "output_tokens_per_s")
REGIMES = ("steady", "cache-limited")


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Numbers of a structure by their paths."""
    if not isinstance(value, tuple):
        return {path: value}
    names = getattr(value, "_fields", range(len(value)))
    return {name: each for field, entry in zip(names, value, strict=True) for name, each in flat(entry, f"{path}.{field}").items()}


def rebuilt(value: Any, figures: Mapping[str, Any], path: str = "") -> Any:
    """The same structure with figures in the place of its numbers."""
    if not isinstance(value, tuple):
        return figures[path]
    names = getattr(value, "_fields", range(len(value)))
    entries = [rebuilt(entry, figures, f"{path}.{field}") for field, entry in zip(names, value, strict=True)]
    return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)


def columns_of(rows: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[dict[str, Any], list[tuple[str, int]], list[list[Any]]]:
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


@dataclass(frozen=True)
class SpeedTables:
    """Work by cut, speeds and bands by device, of one model in one precision.

    Parameters
    ----------
    fit : Fit
        A start of the model.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device of the start.
    load : Load
        What is asked of it.
    devices : sequence of Accelerator
        The devices.
    tps : tuple of int
        Tensor-parallel sizes.
    """

    fit: Fit
    architecture: Architecture
    accelerator: Accelerator
    load: Load
    devices: Sequence[Accelerator]
    tps: tuple[int, ...]

    @cached_property
    def state(self) -> EngineState:
        """Version and cache of the engine."""
        return engine_state(self.fit.deployment)

    @cached_property
    def constants(self) -> Constants:
        """What was fitted."""
        return speed_constants()

    @cached_property
    def cuts(self) -> list[Parallelism]:
        """Experts cut at each tensor-parallel size, then shared out whole."""
        return [Parallelism(tp, 1, tp if whole else 1, 1) for whole in (False, True) for tp in self.tps]

    @cached_property
    def works(self) -> list[StepWork]:
        """Work of a step by cut."""
        return [step_work(self.architecture, cut, cache_element_bytes=self.state.cache_bits / 8) for cut in self.cuts]

    @property
    def work(self) -> StepWork:
        """Work of a step as the start is cut."""
        tp = self.fit.deployment.tp
        return self.works[self.tps.index(tp) if tp in self.tps else 0]

    @property
    def alike(self) -> bool:
        """Whether every cut has the same kinds of work."""
        return all(flat(work).keys() == flat(self.work).keys() for work in self.works)

    @cached_property
    def own(self) -> list[Speeds]:
        """Speeds of the start's device by cut."""
        found = self._speeds(self.accelerator)
        assert found is not None
        return found

    def work_rows(self) -> list[list[dict[str, Any]]]:
        """The table of works."""
        return [[flat(work) | {"imbalance": value}] for work, value in zip(self.works, self._imbalance(), strict=True)]

    def device_rows(self) -> list[list[dict[str, Any]]]:
        """The table of devices, cuts side by side."""
        rows = []
        for device in self.devices:
            speeds, bands = self._speeds(device), self._bands(device)
            told = bands | {"known": int(speeds is not None), "memory": device.memory_bytes}
            rows.append([flat(each) | told for each in speeds or self.own])
        return rows

    def _speeds(self, device: Accelerator) -> list[Speeds] | None:
        try:
            cuts = self.cuts[: len(self.tps)]
            return [speeds_of(work, device, self.state, cut, self.constants) for work, cut in zip(self.works, cuts, strict=False)]
        except InputError:  # nobody states its bandwidth
            return None

    def _imbalance(self) -> list[float]:
        """Of experts, by cut: no matter of the device."""
        works = zip(self.works, self.cuts, strict=True)
        return [speeds_of(work, self.accelerator, self.state, cut, self.constants).imbalance for work, cut in works]

    def longest_chain(self, most: int) -> int:
        """Stages up to which links between them are those of a server."""
        cut = Parallelism(1, 1, 1, 1)

        def hop(stages: int) -> float:
            return float(speeds_of(self.works[0], self.accelerator, self.state, cut._replace(pp=stages), self.constants).hop_bytes_per_s)

        return next((stages - 1 for stages in range(2, most + 1) if hop(stages) != hop(1)), most)

    def _bands(self, device: Accelerator) -> dict[str, float]:
        """Ends of the bands of figures that are 1, steady and where requests wait for room."""
        found: dict[str, float] = {}
        for regime, concurrency in zip(REGIMES, (1.0, 3.0), strict=True):
            asked_load = replace(self.load, concurrency=concurrency, request_rate_per_s=None)
            rank = served_rank(self.work, self.own[0], self.fit.deployment, asked_load, 2.0, self.constants, self.state.age_years)
            said = conclude(Asked(rank, 1, device, self.fit, asked_load), Service(1.0, 1.0, 1.0, 1.0, 1.0), None)
            assert said.regime == regime
            for name in FIGURES:
                quantity = getattr(said, name)
                found |= {f"low {name} {regime}": quantity.low, f"high {name} {regime}": quantity.high}
        return found
