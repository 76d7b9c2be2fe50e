"""How much lighter or heavier a quantised checkpoint may be whose list of quantised tensors nobody tells: physical ends, not measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.launch import Stage
from gpusizer.engines.base.ledger import RECIPE_LINE, computed
from gpusizer.engines.base.types import Evidence, Item, Section
from gpusizer.engines.base.weights import Cut, once_per_architecture, weight_table
from gpusizer.formulas.memory.constants import constant_bytes

__all__ = ["ends_line", "models_at_ends", "recipe_line", "scaled_ends"]


@once_per_architecture
def models_at_ends(architecture: Architecture) -> tuple[Architecture, ...]:
    """The model at the lightest and the heaviest that its files may be; empty where they are known."""
    return tuple(replace(architecture, quantization=end, header_bytes=None) for end in architecture.quantization.ends)


def recipe_line(architecture: Architecture, stage: Stage, cut: Cut, *, counted_bytes: int, towers: bool) -> list[Item]:
    """A line of no bytes whose band reaches to both ends; none where the files are known.

    Parameters
    ----------
    architecture : Architecture
        The model.
    stage : Stage
        Layers of the GPU.
    cut : Cut
        How its part is made.
    counted_bytes : int
        Stored tensors as counted. [bytes]
    towers : bool
        Whether vision and audio towers are loaded.

    Returns
    -------
    list of Item
        One line, or none.
    """
    sizes = []
    for end in models_at_ends(architecture):
        groups = weight_table(end).stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=end.tied_head, towers=towers)
        sizes.append(sum(groups.values()))
    return ends_line(counted_bytes, sizes)


def ends_line(counted_bytes: int, sizes: list[int]) -> list[Item]:
    """The line for a size that may be any between others; none without others. [bytes]"""
    if not sizes:
        return []
    ends = Limits(min(*sizes, counted_bytes) - counted_bytes, max(*sizes, counted_bytes) - counted_bytes)
    return [computed(RECIPE_LINE, constant_bytes, section=Section.WEIGHTS, band=ends, evidence=Evidence.ASSUMED, fitted_bytes=0)]


@once_per_architecture
def _group_totals(architecture: Architecture) -> Mapping[str, int]:
    table = weight_table(architecture)
    return table.stage_bytes(range(len(architecture.layers)), Cut(vocabulary_multiple=1), first=True, last=True, tied=False)


def scaled_ends(architecture: Architecture, counted: Mapping[str, int]) -> list[int]:
    """What some parameter groups of a GPU would be at both ends, each group as much lighter or heavier as it is in the whole model. [bytes]"""
    whole = _group_totals(architecture)
    found = []
    for end in models_at_ends(architecture):
        other = _group_totals(end)
        found.append(round(sum(size * other.get(group, 0) / max(whole.get(group, 0), 1) for group, size in counted.items())))
    return found
