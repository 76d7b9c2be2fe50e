"""Caches of models as rows: for each format, block and tensor-parallel size the groups of layers, their pages, and what a request needs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.cache import CacheFormat, layer_caches
from gpusizer.engines.vllm.cache import CacheRequest, Group, cache_layout
from gpusizer.errors import FlagError

__all__ = ["NEEDS", "SIZES", "Layouts"]

SIZES = 4
"""Different sizes of pages of one layer in one group."""

NEEDS = 4
"""Kinds of groups that differ in what they keep of a request."""

_LETTERS = "abcdefghij"
_NO_NEED = (0, 0, 1, 0, 0)

Combination = tuple[CacheFormat, int]  # format and block of a cache


@dataclass
class Layouts:
    """Rows of three tables; the first row of each is a cache of nothing.

    Parameters
    ----------
    tps : tuple of int
        Tensor-parallel sizes; a cache has a row for each of its combinations at each of them.
    rows : list
        First group, groups, what a request needs.
    groups : list
        A letter for each layer, and the bytes of a page that each letter stands for.
    needs : list
        For each kind of group what it keeps (see ``Kept``), and how many such groups there are.
    """

    tps: tuple[int, ...]
    rows: list[list[int]] = field(default_factory=lambda: [[1, 1, 1]])
    groups: list[tuple[Any, ...]] = field(default_factory=lambda: [("-", 0, 0, 0, 0)])
    needs: list[tuple[int, ...]] = field(default_factory=lambda: [_NO_NEED * NEEDS])
    most: int = 1
    _rows: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _groups: dict[tuple[tuple[Any, ...], ...], int] = field(default_factory=dict)
    _regular: dict[int, Group | None] = field(default_factory=dict)

    def place(
        self,
        architecture: Architecture,
        mixers: int,
        request: CacheRequest,
        combinations: tuple[Combination, ...],
        places: frozenset[int],
    ) -> int:
        """Row (from 1) of the first combination at the first tensor-parallel size.

        Parameters
        ----------
        architecture : Architecture
            The model.
        mixers : int
            Number of its mixers.
        request : CacheRequest
            What else the layout depends on.
        combinations : tuple
            Formats and blocks that devices and precisions of the cache come to.
        places : frozenset of int
            Tensor-parallel sizes that the model's shapes allow; at others there is a cache of nothing.
        """
        key = (mixers, request.conv_bytes, combinations, places)
        if key not in self._known:
            self._known[key] = len(self.rows) + 1
            for form, block in combinations:
                for place, tp in enumerate(self.tps):
                    same = (mixers, request.conv_bytes, form, block, tp)
                    if same not in self._rows and place in places:
                        self._rows[same] = self._row(architecture, mixers, replace(request, form=form, block_tokens=block, tp=tp))
                    self.rows.append(self._rows[same] if place in places else [1, 1, 1])
        return self._known[key]

    def _row(self, architecture: Architecture, mixers: int, request: CacheRequest) -> list[int]:
        if mixers not in self._regular:
            self._regular[mixers] = _only_group(architecture, request)
        layers, only = len(architecture.layers), self._regular[mixers]
        if only is not None:
            groups = [(replace(only, block_tokens=request.block_tokens), _sizes(architecture, request))]
        else:
            layout = cache_layout(architecture, request)
            groups = [(group, _members(group, layers)) for group in layout.groups]
        rows = tuple(_letters(sizes) for _, sizes in groups) or (self.groups[0],)
        if rows not in self._groups:
            self._groups[rows] = len(self.groups) + 1
            self.groups += rows
            self.most = max(self.most, len(rows))
        return [self._groups[rows], len(rows), self._need([group for group, _ in groups], request.states)]

    def _need(self, groups: Sequence[Group], states: int) -> int:
        """Row of what a request needs of groups."""
        counts: dict[tuple[int, ...], int] = {}
        for group in groups:
            kept = group.kept(states)
            figures = (kept.kept_tokens, kept.kept_steps, kept.block_tokens, kept.added_blocks)
            counts[figures] = counts.get(figures, 0) + 1
        if len(counts) > NEEDS:
            raise FlagError("workbook-model", found="this model")
        row = tuple(value for figures, count in counts.items() for value in (*figures, count)) + _NO_NEED * (NEEDS - len(counts))
        if row not in self.needs:
            self.needs.append(row)
        return self.needs.index(row) + 1


def _sizes(architecture: Architecture, request: CacheRequest) -> list[int]:
    """Pages of each layer, where one group holds them all: the rows of all that the layer caches."""
    pages: dict[tuple[int, ...], int] = {}
    found = []
    for layer in architecture.layers:
        key = tuple(map(id, layer.mixers))
        if key not in pages:
            caches = layer_caches(layer, request.form, tp=request.tp, model_element_bytes=request.conv_bytes)
            pages[key] = sum(cache.row_bytes for cache in caches) * request.block_tokens
        found.append(pages[key])
    return found


def _only_group(architecture: Architecture, request: CacheRequest) -> Group | None:
    """The group that holds all layers whatever format, block and cut; None where a model mixes kinds."""
    found = None
    for tp, block in ((1, 16), (8, 64)):
        asked = replace(request, tp=tp, block_tokens=block)
        groups = cache_layout(architecture, asked).groups
        if len(groups) != 1 or groups[0].block_tokens != block or _members(groups[0], len(architecture.layers)) != _sizes(architecture, asked):
            return None
        found = groups[0]
    return found


def _members(group: Group, layers: int) -> list[int]:
    sizes = [0] * layers
    for layer, size in group.members:
        sizes[layer] += size
    return sizes


def _letters(sizes: Sequence[int]) -> tuple[Any, ...]:
    """A letter for each layer, and the bytes that each letter stands for."""
    letters = {size: _LETTERS[place] for place, size in enumerate(sorted(set(sizes) - {0}))}
    if len(letters) > SIZES:
        raise FlagError("workbook-model", found="this model")
    return ("".join(letters.get(size, "-") for size in sizes), *letters, *[0] * (SIZES - len(letters)))
