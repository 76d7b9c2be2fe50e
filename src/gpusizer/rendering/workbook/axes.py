"""Axes along which the figures of an account may differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

__all__ = ["ALL", "Axis", "finest"]


@dataclass(frozen=True, eq=False)
class Axis:
    """Points along which figures may differ; each belongs to one point of a coarser axis (a device to its class, a stage to its layout)."""

    name: str
    size: int
    parent: Axis | None = None
    places: tuple[int, ...] = ()  # of each point in the parent
    stages: bool = False  # the points are stages, over which a layout has a least and a greatest

    def covers(self, other: Axis) -> bool:
        """Whether every point of this axis belongs to one of the other."""
        return other is self or other.size == 1 or (self.parent is not None and self.parent.covers(other))

    @cached_property
    def _known(self) -> dict[str, tuple[int, ...]]:
        return {self.name: tuple(range(self.size))}

    def places_in(self, other: Axis) -> tuple[int, ...]:
        """The point of a coarser axis that each point belongs to."""
        if other.size == 1:
            return (0,) * self.size
        if other.name not in self._known:
            assert self.parent is not None, f"{self.name} does not lie along {other.name}"
            above = self.parent.places_in(other)
            self._known[other.name] = tuple(above[place] for place in self.places)
        return self._known[other.name]


ALL = Axis("all", 1)
"""The axis of what differs nowhere."""


def finest(axes: Sequence[Axis]) -> Axis:
    found = ALL
    for axis in axes:
        if axis.covers(found):
            found = axis
        elif not found.covers(axis):
            raise ValueError(f"a figure cannot lie along {axis.name} and {found.name}")
    return found
