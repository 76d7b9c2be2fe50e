"""What of a start's arithmetic is remembered, and for as long as what."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.engine import CachePlan, Start
from gpusizer.engines.base.types import Item
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.once import Remembered

__all__ = ["known_plans", "known_steps"]


@once_per_architecture
def known_steps(architecture: Architecture) -> Remembered[Hashable, tuple[Any, Item, Item]]:
    """Work buffers, activation peak and graphs of the steps that were asked for."""
    return Remembered(1024)


def known_plans(start: Start) -> Remembered[Hashable, CachePlan]:
    """How blocks are cut, by format and step."""
    return Remembered(64)
