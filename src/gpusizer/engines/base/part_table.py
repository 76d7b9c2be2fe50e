"""The tensors of models, tallied once, in every precision that is asked for: parts of a model and what each weighs on one rank.

A *part* is a kind of layer, or what stands outside the layers. Models share parts, and a part weighs the same wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import Tensor
from gpusizer.engines.base.ledger import WEIGHT_LINES, weight_line
from gpusizer.engines.base.weights import Cut, ExpertPadding, StoredTensor, bare_matrices, group_bytes, matrix_bytes, parameter_of, stored_as

__all__ = ["LINES", "LayerSize", "Part", "PartTable", "Tally", "tally_of"]

LINES = WEIGHT_LINES
"""Lines of stored tensors in the ledger."""

Blocks = tuple[tuple[str, float], ...]  # groups of parameters with FP8 in square blocks, and their share of the group's bytes
LayerSize = Callable[[Iterable[StoredTensor], Cut], int]  # something of the tensors of a layer in one cut
Part = tuple[tuple[Tensor, StorageFormat, int], ...]  # tensor, format of the checkpoint, how many


@dataclass(frozen=True)
class Tally:
    """The tensors of one model.

    Parameters
    ----------
    architecture : Architecture
        As published.
    layers : tuple of int
        For each layer the number of its part.
    parts : tuple of Part
        Kinds of layers.
    embedding, final, head, towers : Part
        What stands outside.
    precisions : mapping of str to Architecture
        The model in each precision.
    """

    architecture: Architecture
    layers: tuple[int, ...]
    parts: tuple[Part, ...]
    embedding: Part
    final: Part
    head: Part
    towers: Part
    precisions: dict[str, Architecture] = field(default_factory=dict)
    _forms: dict[tuple[str, str, bool, str | None], StorageFormat] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for models with the same tensors in the same formats."""
        outside = (self.embedding, self.final, self.head, self.towers)
        return (self.parts, self.layers, outside, self.architecture.dtype, self.architecture.quantization.method)

    @cached_property
    def tensors(self) -> list[tuple[Tensor, StorageFormat, int, bool]]:
        """Every tensor with its format in the checkpoint, how often, and whether it belongs to a layer."""
        found = []
        for number, layers in self.layers_by_part():
            found += [(tensor, form, count * layers, True) for tensor, form, count in self.parts[number]]
        for part in (self.embedding, self.final, self.head, self.towers):
            found += [(tensor, form, count, False) for tensor, form, count in part]
        return found

    def in_precision(self, precision: str) -> list[tuple[Tensor, StorageFormat, int, bool]]:
        """Every tensor with its format in a precision, how often, and whether it belongs to a layer."""
        return [(tensor, self.form_in(precision, tensor, form), count, layer) for tensor, form, count, layer in self.tensors]

    def layers_by_part(self) -> list[tuple[int, int]]:
        """Parts with how many layers have them."""
        counts: dict[int, int] = {}
        for number in self.layers:
            counts[number] = counts.get(number, 0) + 1
        return list(counts.items())

    def form_in(self, precision: str, tensor: Tensor, form: StorageFormat) -> StorageFormat:
        """Format of a tensor in a precision; outside the checkpoint it does not depend on the layer."""
        other = self.precisions[precision]
        if other is self.architecture:
            return form
        key = (precision, tensor.group, tensor.linear, tensor.dtype)
        if key not in self._forms:
            self._forms[key] = other.quantization.format_of(tensor.name, tensor)
        return self._forms[key]

    def forms(self, part: Part, precision: str) -> tuple[StorageFormat, ...]:
        """Format of each tensor of a part in a precision, by its sizes alone."""
        return tuple(_nameless(self.form_in(precision, tensor, form)) for tensor, form, _ in part)

    def stored(self, part: Part, forms: tuple[StorageFormat, ...]) -> tuple[StoredTensor, ...]:
        """A part as engines cut it."""
        counts: dict[StoredTensor, int] = {}
        for (tensor, _, count), form in zip(part, forms, strict=True):
            one = stored_as(tensor, form)
            counts[one] = counts.get(one, 0) + count
        return tuple(one if count == 1 else replace(one, count=count) for one, count in counts.items())


@lru_cache(maxsize=256)
def _nameless(form: StorageFormat) -> StorageFormat:
    """A format by its sizes alone, so that formats of equal sizes share rows; kernels pad one by its name."""
    return form if form.id == "mxfp4" else replace(form, id="")


def _part(pairs: Iterable[tuple[Tensor, StorageFormat]]) -> Part:
    """Tensors that cannot be told apart by size, format and parameter together."""
    found: dict[tuple[object, ...], list[object]] = {}
    for tensor, form in pairs:
        parameter = parameter_of(tensor)
        key = (tensor.shape, tensor.copies, tensor.split, tensor.units, tensor.group, tensor.linear, tensor.dtype, form, parameter, tensor.places)
        if key in found:
            found[key][2] += 1  # type: ignore[operator]
        else:
            found[key] = [tensor, form, 1]
    return tuple((tensor, form, count) for tensor, form, count in found.values())  # type: ignore[misc]


def tally_of(architecture: Architecture, precisions: Iterable[str]) -> Tally:
    """Tally a model: equal layers once where formats do not depend on paths.

    Parameters
    ----------
    architecture : Architecture
        As published.
    precisions : iterable of str
        Precisions to tally it in.
    """
    quantization = architecture.quantization
    by_path = quantization.tells_layers_apart
    parts: dict[Part, int] = {}
    seen: dict[tuple[tuple[int, ...], tuple[StorageFormat, ...]], int] = {}
    layers: list[int] = []
    for layer in architecture.layers:
        same = (*map(id, layer.mixers), 0, *map(id, layer.feed_forwards), id(layer.tensors))
        forms = tuple(quantization.format_of(layer.prefix + tensor.name, tensor) for tensor in layer.all_tensors()) if by_path else ()
        if (same, forms) not in seen:
            pairs = ((tensor, quantization.format_of(layer.prefix + tensor.name, tensor)) for tensor in layer.all_tensors())
            seen[same, forms] = parts.setdefault(_part(pairs), len(parts))
        layers.append(seen[same, forms])
    outside = [
        _part((tensor, quantization.format_of(tensor.name, tensor)) for tensor in members)
        for members in (architecture.embedding, architecture.final, architecture.head, architecture.towers)
    ]
    embedding, final, head, towers = outside
    other = {precision: with_precision(architecture, precision) for precision in precisions}
    return Tally(architecture, tuple(layers), tuple(parts), embedding, final, head, towers, other)


@dataclass
class PartTable:
    """Rows of the table of parts: bytes by line for each tensor-parallel size, with experts cut or whole, and the allocator's slack.

    Parameters
    ----------
    tps : tuple of int
        Tensor-parallel sizes.
    paddings : sequence of ExpertPadding
        Padding of expert kernels, one for each class of devices.
    slack_of : callable
        What the engine's allocator counts beyond matrices of given sizes.
    beside_of : mapping of str to callable
        What else the engine counts of a layer's tensors in one cut, by name: experts that kernels pad, indices that they keep.
    stacked : bool
        Queries, keys and values are one parameter.
    """

    tps: tuple[int, ...]
    paddings: tuple[tuple[ExpertPadding, ...], ...]
    slack_of: Callable[[Iterable[int]], int]
    beside_of: Mapping[str, LayerSize] = field(default_factory=dict)
    stacked: bool = False
    rows: list[list[float | None]] = field(default_factory=list)
    _known: dict[tuple[tuple[StoredTensor, ...], bool, Blocks, frozenset[int], bool], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows.append([None] * len(self.columns()))

    @property
    def _kinds(self) -> tuple[str, ...]:
        """What is counted beside the lines of stored tensors."""
        return ("slack", "blocks", *self.beside_of)

    def columns(self) -> list[tuple[str, str, int, int]]:
        """(kind, line, whole experts, tp) of each column; "further" first: rows that follow for other paddings."""
        found = [("further", "", 0, 0)]
        for line in LINES:
            for whole in (0, 1) if line == "weights_experts" else (0,):
                found += [("line", line, whole, tp) for tp in self.tps]
        for kind in self._kinds:
            found += [(kind, "", whole, tp) for whole in (0, 1) for tp in self.tps]
        return found

    def place(
        self, stored: tuple[StoredTensor, ...], *, slack: bool, shares: Mapping[str, float], places: frozenset[int], whole_tower: bool = False
    ) -> int:
        """Row of a part, counted from 1; row 1 is the part that weighs nothing.

        A ``whole_tower`` is on every rank. ``shares`` are those of FP8 in square blocks, by group of parameters; ``places`` the tensor-parallel sizes
        that the model allows.
        """
        if not stored:
            return 1
        own = tuple((group, share) for group, share in shares.items() if any(one.group == group for one in stored)) if shares else ()
        key = (stored, slack, own, places, whole_tower)
        if key not in self._known:
            self._known[key] = len(self.rows) + 1
            padded = any(one.group == "routed_experts" and len(one.shape) == 2 and one.form.id == self.paddings[0][0].format_id for one in stored)
            variants = range(len(self.paddings)) if padded else range(1)
            for variant in variants:
                self.rows.append(
                    self._row(stored, self.paddings[variant], own, places, slack=slack, further=len(variants) > 1, whole_tower=whole_tower)
                )
        return self._known[key]

    def _row(
        self,
        stored: tuple[StoredTensor, ...],
        paddings: tuple[ExpertPadding, ...],
        shares: Blocks,
        places: frozenset[int],
        *,
        slack: bool,
        further: bool,
        whole_tower: bool,
    ) -> list[float | None]:
        row: list[float | None] = [int(further)]
        sizes: dict[tuple[str, int, int], float] = {}
        routed = tuple(one for one in stored if one.group == "routed_experts")
        for tensors, ways in ((tuple(one for one in stored if one.group != "routed_experts"), (0,)), (routed, (0, 1))):
            matrices = bare_matrices(tensors) if slack else ()
            for tp in (self.tps[place] for place in places):
                for whole in ways if tp > 1 else (0,):
                    cut = Cut(tp=tp, experts_tp=1 if whole else tp, ep=tp if whole else 1, paddings=paddings, stacked=self.stacked)
                    cut = replace(cut, towers_tp=1 if whole_tower else tp)
                    self._tally_cut(sizes, (tensors, matrices), cut, (whole, tp), shares)
                    if ways == (0,) and routed and tp > 1:
                        for name in self._kinds:
                            sizes[name, 1, tp] = sizes.get((name, 0, tp), 0)
        for kind, line, whole, tp in self.columns()[1:]:
            name = line or kind
            wanted = (name, whole if routed and tp > 1 and line in ("", "weights_experts") else 0, tp)
            row.append(sizes.get(wanted) or None)
        return row

    def _tally_cut(
        self,
        sizes: dict[tuple[str, int, int], float],
        both: tuple[tuple[StoredTensor, ...], tuple[StoredTensor, ...]],
        cut: Cut,
        way: tuple[int, int],
        shares: Blocks,
    ) -> None:
        """Add what tensors, and the matrices among them, weigh on one rank to the cells of one cut."""
        tensors, matrices = both
        groups = group_bytes(tensors, cut)
        for group, size in groups.items():
            key = (weight_line(group), *way)
            sizes[key] = sizes.get(key, 0) + size
        if matrices:
            sizes["slack", *way] = sizes.get(("slack", *way), 0) + self.slack_of(matrix_bytes(matrices, cut))
        for name, size_of in self.beside_of.items():
            sizes[name, *way] = sizes.get((name, *way), 0) + size_of(tensors, cut)
        if shares:
            sizes["blocks", *way] = sizes.get(("blocks", *way), 0) + sum(groups.get(group, 0) * share for group, share in shares)
