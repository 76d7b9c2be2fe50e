"""GPUs of a whole deployment: replicas of the load, those in reserve, and GPUs of other models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpusizer.rendering.workbook.tables.gather import Reserve

__all__ = ["all_gpus", "load_replicas"]


def all_gpus(reserve: Reserve, *, size: Any, replicas: Any, own: Callable[[], Any]) -> Any:
    """GPUs of everything; as cells or as numbers.

    Parameters
    ----------
    reserve : Reserve
        What stands beside the replicas of the load.
    size, replicas : figure
        GPUs of a replica, and replicas that the load takes.
    own : callable
        GPUs of other models on the device, asked where there are some.
    """
    copies = replicas + reserve.spare if reserve.spare else replicas
    return size * copies + own() if reserve.own else size * copies


def load_replicas(reserve: Reserve, *, gpus: Any, size: Any, own: Callable[[], Any]) -> Any:
    """Replicas of the load among so many GPUs."""
    copies = (gpus - own()) / size if reserve.own else gpus / size
    return copies - reserve.spare if reserve.spare else copies
