"""Many predictions at once: the numbers of single configurations become NumPy columns, the same functions compute them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.performance.predict import conclude, predict, serve, set_up
from gpusizer.performance.types import Load, Performance

__all__ = ["Ask", "Sweep", "predict_many"]

FEW = 40  # configurations that are computed sooner than NumPy is imported


@dataclass(frozen=True, slots=True)
class Ask:
    """One configuration: a device, one replica, how many of them, and what memory allows."""

    accelerator: Accelerator
    deployment: Deployment
    replicas: int
    fit: Fit


class Sweep:
    """Many configurations of one model under one load, computed together.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of all deployments.
    asks : sequence of Ask
        The configurations; one at least.
    load : Load
        What each of them serves as a whole.
    """

    def __init__(self, architecture: Architecture, asks: Sequence[Ask], load: Load) -> None:
        import numpy as np

        self._asks, self._load = asks, load
        places: dict[int, int] = {}  # replicas share what was prepared for one of them
        distinct: list[tuple[Any, Any, Any]] = []
        for ask in asks:
            if id(ask.fit) not in places:
                places[id(ask.fit)] = len(distinct)
                distinct.append(set_up(architecture, ask.accelerator, ask.deployment, load, ask.fit, None))
        rows = np.array([places[id(ask.fit)] for ask in asks])
        self._prepared, self._rows = distinct, rows
        ranks = np.array([float(ask.deployment.dp * ask.replicas) for ask in asks])
        works, speeds, traffics = (_row(_column(part), rows) for part in zip(*distinct, strict=True))
        self._service, limit = serve(works, speeds, traffics, load, ranks)
        self._limit = None if limit is None else np.broadcast_to(limit, ranks.shape)
        self.ttft_s = np.broadcast_to(self._service.ttft_s, ranks.shape)
        self.tpot_s = np.broadcast_to(self._service.tpot_s, ranks.shape)
        self.holds_rate = np.ones(ranks.shape, bool) if self._limit is None else self._limit * ranks >= (load.request_rate_per_s or 0.0)

    def performance(self, index: int) -> Performance:
        """The whole answer for one configuration."""
        ask = self._asks[index]
        limit = None if self._limit is None else float(self._limit[index])
        traffic = self._prepared[int(self._rows[index])][2]
        return conclude(_row(self._service, index), limit, traffic, ask.deployment.dp * ask.replicas, ask.accelerator, ask.deployment, self._load)


def predict_many(architecture: Architecture, asks: Sequence[Ask], load: Load) -> list[Performance]:
    """Predict many configurations of one model under one load.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of all deployments.
    asks : sequence of Ask
        The configurations.
    load : Load
        What each of them serves as a whole.

    Returns
    -------
    list of Performance
        In the order of the configurations; the same figures as :func:`gpusizer.performance.predict.predict` gives one by one.
    """
    if not asks:
        return []
    if len(asks) < FEW:
        return [predict(architecture, ask.accelerator, ask.deployment, load, replicas=ask.replicas, fit=ask.fit) for ask in asks]
    sweep = Sweep(architecture, asks, load)
    return [sweep.performance(index) for index in range(len(asks))]


def _column(values: Sequence[Any]) -> Any:
    """Equal structures with numbers in them as one structure with columns in it."""
    first = values[0]
    if is_dataclass(first) and not isinstance(first, type):
        return type(first)(**{field.name: _column([getattr(value, field.name) for value in values]) for field in fields(first)})
    if isinstance(first, tuple):
        return tuple(_column(column) for column in zip(*values, strict=True))
    if isinstance(first, int | float):
        import numpy as np

        return np.array(values, dtype=float)
    return first  # a name: the same in all


def _row(value: Any, index: Any) -> Any:
    """One configuration (or several, for an array of places) out of a structure of columns."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _row(getattr(value, field.name), index) for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(_row(entry, index) for entry in value)
    if not (hasattr(value, "shape") and value.shape):
        return value
    return float(value[index]) if isinstance(index, int) else value[index]
