"""Caches of models whose layers cache side by side, as rows: for each layer a letter, and what layers of a letter cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.model_table import mixers_key
from gpusizer.engines.base.sheet import Written
from gpusizer.errors import FlagError

__all__ = ["LETTERS", "CellTable", "cache_kinds"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Kinds of layers by what they cache, in the order of their columns."""

Cells = Sequence[float]  # what one layer caches, in the order of the table's names
CellsOf = Callable[[Any, int, int], Cells]  # of a combination, at a tensor-parallel size, of a layer


def cache_kinds(architecture: Architecture) -> tuple[str, tuple[int, ...]]:
    """A letter for each layer, alike for layers with the same mixers; and the first layer of each letter."""
    found: dict[tuple[Any, ...], int] = {}
    firsts: list[int] = []
    pattern = []
    for index, key in enumerate(mixers_key(architecture)):
        if key not in found:
            found[key] = len(firsts)
            firsts.append(index)
        pattern.append(found[key])
    if len(firsts) > len(LETTERS):
        raise FlagError("workbook-model", found=architecture.id)
    return "".join(LETTERS[place] for place in pattern), tuple(firsts)


@dataclass
class CellTable:
    """Rows of what layers cache: for each combination of formats one at each tensor-parallel size.

    Parameters
    ----------
    names : tuple of str
        What a layer caches; each is a column for each letter.
    tps : tuple of int
        Tensor-parallel sizes.
    """

    names: tuple[str, ...]
    tps: tuple[int, ...]
    most: int = 1
    rules: dict[tuple[int, ...], int] = field(default_factory=dict)  # place of the combination by class and precision of the cache -> number
    _rows: list[list[Cells]] = field(default_factory=list)
    _known: dict[Hashable, int] = field(default_factory=dict)

    def place(self, key: Hashable, rule: tuple[Hashable, ...], firsts: tuple[int, ...], cells_of: CellsOf) -> dict[str, int]:
        """Rows of a model, counted from 1, as columns of the table of models.

        Parameters
        ----------
        key : hashable
            What the cells depend on beside the combination.
        rule : tuple
            The combination of each class of devices in each precision of the cache.
        firsts : tuple of int
            A layer of each letter.
        cells_of : callable
            What a layer caches.
        """
        combinations = tuple(dict.fromkeys(rule))
        known = (key, combinations)
        if known not in self._known:
            self._known[known] = len(self._rows) + 1
            self.most = max(self.most, len(firsts))
            self._rows += [[cells_of(each, tp, index) for index in firsts] for each in combinations for tp in self.tps]
        number = self.rules.setdefault(tuple(map(combinations.index, rule)), len(self.rules) + 1)
        return {"cache_rule": number, "cache_first": self._known[known]}

    def written(self) -> dict[str, Written]:
        """The two tables."""
        blank = (0.0,) * len(self.names)
        padded = [[*row, *[blank] * (self.most - len(row))] for row in self._rows]
        rows = [[cells[place] or None for place in range(len(self.names)) for cells in row] for row in padded]
        width = len(next(iter(self.rules)))
        return {
            "Cells": ([(name, self.most) for name in self.names], rows),
            "Rules": ([("combination", width)], [list(rule) for rule in self.rules]),
        }
