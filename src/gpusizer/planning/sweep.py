"""Many predictions at once: the numbers of single configurations become NumPy columns, the same functions compute them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.planning.performance import conclude, serve, set_up
from gpusizer.planning.performance_types import Load, Performance

__all__ = ["Ask", "predict_many"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One configuration: a device, one replica, how many of them, and what memory allows."""

    accelerator: Accelerator
    deployment: Deployment
    replicas: int
    fit: Fit


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
        In the order of the configurations; the same figures as :func:`gpusizer.planning.performance.predict` gives one by one.
    """
    if not asks:
        return []
    import numpy as np

    prepared = [set_up(architecture, ask.accelerator, ask.deployment, load, ask.fit, None) for ask in asks]
    ranks = np.array([float(ask.deployment.dp * ask.replicas) for ask in asks])
    works, speeds, traffics = zip(*prepared, strict=True)
    service, limit = serve(_column(works), _column(speeds), _column(traffics), load, ranks)
    return [
        conclude(
            _row(service, index),
            None if limit is None else float(np.broadcast_to(limit, ranks.shape)[index]),
            prepared[index][2],
            ask.deployment.dp * ask.replicas,
            ask.accelerator,
            ask.deployment,
            load,
        )
        for index, ask in enumerate(asks)
    ]


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


def _row(value: Any, index: int) -> Any:
    """One configuration out of a structure of columns."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _row(getattr(value, field.name), index) for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(_row(entry, index) for entry in value)
    return float(value[index]) if hasattr(value, "shape") and value.shape else value
