"""Many predictions at once: the numbers of single configurations become NumPy columns, the same functions compute them together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import speed_known
from gpusizer.performance.predict import Asked, conclude, predict, serve
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.set_up import set_up
from gpusizer.performance.step_time import ClassSpeed
from gpusizer.performance.step_work import AttentionWork, Experts, Linear
from gpusizer.performance.types import Load, Performance

__all__ = ["Ask", "Sweep", "columns", "predict_many", "rows_of"]

FEW = 120  # configurations that are computed one by one sooner than NumPy is imported (0.4 ms each against 60 ms)

# What a model without such layers has in their place: work of nothing, at a speed that divides.
_NOTHING: dict[type, Any] = {
    Linear: Linear("16", 0.0, 0.0),
    Experts: Experts("16", 0.0, 1.0, 0.0, 0.0, 0.0),
    AttentionWork: AttentionWork(latent=False, layers=0.0, row_bytes=0.0, row_flops=0.0, pair_flops=0.0, ratio=1.0, cap_rows=1.0),
    ClassSpeed: ClassSpeed(1.0, 1.0, 1.0, 1.0),
}


class Ask(NamedTuple):
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
        The configurations, one at least, of devices whose speed is known.
    load : Load
        What each of them serves as a whole.
    """

    def __init__(self, architecture: Architecture, asks: Sequence[Ask], load: Load) -> None:
        import numpy as np

        self._asks, self._load = asks, load
        places: dict[int, int] = {}  # replicas share what was prepared for one of them
        distinct: list[ServedRank] = []
        for ask in asks:
            if id(ask.fit) not in places:
                places[id(ask.fit)] = len(distinct)
                distinct.append(set_up(architecture, ask.accelerator, ask.fit, load))
        rows = np.array([places[id(ask.fit)] for ask in asks])
        self._prepared, self._rows = distinct, rows
        ranks = np.array([float(ask.deployment.dp * ask.replicas) for ask in asks])
        self._service, limit = serve(rows_of(columns(distinct), rows), load, ranks)
        self._limit = None if limit is None else np.broadcast_to(limit, ranks.shape)
        self.ttft_s = np.broadcast_to(self._service.ttft_s, ranks.shape)
        self.tpot_s = np.broadcast_to(self._service.tpot_s, ranks.shape)
        self.holds_rate = np.ones(ranks.shape, bool) if self._limit is None else self._limit * ranks >= (load.request_rate_per_s or 0.0)

    def performance(self, index: int) -> Performance:
        """The whole answer for one configuration."""
        ask = self._asks[index]
        limit = None if self._limit is None else float(self._limit[index])
        rank = self._prepared[int(self._rows[index])]
        asked = Asked(rank, ask.deployment.dp * ask.replicas, ask.accelerator, ask.fit, self._load)
        return conclude(asked, rows_of(self._service, index), limit)


def predict_many(architecture: Architecture, asks: Sequence[Ask], load: Load) -> list[Performance | None]:
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
    list of Performance or None
        In the order of the configurations; the same figures as :func:`gpusizer.performance.predict.predict` gives one by one, None for a device
        whose bandwidth or peak nobody states.
    """
    known = [number for number, ask in enumerate(asks) if speed_known(ask.accelerator)]
    found: list[Performance | None] = [None] * len(asks)
    if len(known) < FEW:
        for number in known:
            ask = asks[number]
            found[number] = predict(architecture, ask.accelerator, ask.deployment, load, replicas=ask.replicas, fit=ask.fit)
        return found
    sweep = Sweep(architecture, [asks[number] for number in known], load)
    for place, number in enumerate(known):
        found[number] = sweep.performance(place)
    return found


def columns(values: Sequence[Any]) -> Any:
    """Structures with numbers in them as one structure with columns in it.

    Where one has more entries than another (experts, kinds of attention), the other does nothing in their place.

    Parameters
    ----------
    values : sequence
        Equal kinds of structures: named tuples, tuples, numbers, names.

    Returns
    -------
    object
        The same kind; a name is that of the first.
    """
    first = values[0]
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(columns, zip(*values, strict=True)))
    if isinstance(first, tuple):
        kind = next((type(entry) for value in values for entry in value), None)
        return tuple(columns(entries) for entries in zip_longest(*values, fillvalue=_NOTHING.get(kind) if kind else None))
    if isinstance(first, bool | int | float):
        import numpy as np

        return np.array(values, dtype=bool if isinstance(first, bool) else float)
    return first


def rows_of(value: Any, index: Any) -> Any:
    """One configuration (or several, for an array of places) out of a structure of columns."""
    if isinstance(value, tuple):
        entries = [rows_of(entry, index) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)
    if not (hasattr(value, "shape") and value.shape):
        return value
    return float(value[index]) if isinstance(index, int) else value[index]
