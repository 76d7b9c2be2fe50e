"""This rank's part of the weights: every stored tensor cut by its own rule, in its own format, with the padding that kernels need.

A model has a thousand tensors and a handful of different layers: they are tallied once, and each layout costs a few dozen multiplications.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import prod

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Layer, MixtureOfExperts, Split, Tensor
from gpusizer.formulas.memory.weights import cut_units, experts_per_rank, kv_heads_per_rank, padded_size, padded_vocabulary
from gpusizer.once import Remembered, once_per_object

__all__ = [
    "ROUTED",
    "Cut",
    "ExpertPadding",
    "StoredTensor",
    "WeightTable",
    "bare_matrices",
    "group_bytes",
    "layer_kinds",
    "matrix_bytes",
    "once_per_architecture",
    "parameter_of",
    "rank_shape",
    "routed_block",
    "stored_as",
    "weight_table",
]

ROUTED = "routed_experts"
SHARED = "shared_experts"


once_per_architecture = once_per_object
"""Remember what was built for an architecture."""


@dataclass(frozen=True, slots=True)
class ExpertPadding:
    """Multiples that a kernel needs of an expert's intermediate and hidden size, for weights of one format."""

    format_id: str
    intermediate: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How one rank's part is made.

    Parameters
    ----------
    tp : int
        Ranks that cut attention, dense blocks, embedding and head. [ranks]
    experts_tp : int
        Ranks that cut the matrices of routed experts; 1 where experts are shared out whole. [ranks]
    ep : int
        Ranks that share out whole experts. [ranks]
    redundant_experts : int
        Copies of experts, all ranks together. [experts]
    vocabulary_multiple : int
        What the vocabulary is padded to before it is cut. [rows]
    paddings : tuple of ExpertPadding
        Padding of routed experts, after the cut.
    towers_tp : int
        Ranks that cut vision and audio towers; 1 where each holds them whole. [ranks]
    whole_shared : bool
        Every rank holds shared experts whole (sequence-parallel experts).
    dense_tp, head_tp : int
        Ranks that cut dense blocks and shared experts, and the head, where they are not those of attention; 0 where they are. [ranks]
    stacked : bool
        Queries, keys and values are one parameter, which has a place for values that are the keys.
    kept_experts : int or None
        Routed experts of a layer that stay on GPUs where the host holds the others. [experts]
    """

    tp: int = 1
    experts_tp: int = 1
    ep: int = 1
    redundant_experts: int = 0
    vocabulary_multiple: int = 64
    paddings: tuple[ExpertPadding, ...] = ()
    towers_tp: int = 1
    whole_shared: bool = False
    dense_tp: int = 0
    head_tp: int = 0
    stacked: bool = False
    kept_experts: int | None = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """What the bytes of a tensor depend on, with how many equal ones there are."""

    shape: tuple[int, ...]
    copies: int
    split: Split
    units: int
    group: str
    form: StorageFormat
    count: int
    parameter: str = ""  # the parameter that an engine makes of it, together with its neighbours; "" for what is small
    places: int = 1  # in a parameter of queries, keys and values: 2 for keys that are the values

    @property
    def params(self) -> int:
        """Parameters of all of them."""
        return prod(self.shape) * self.copies * self.count


def stored_as(tensor: Tensor, form: StorageFormat) -> StoredTensor:
    """One tensor in a format."""
    return StoredTensor(tensor.shape, tensor.copies, tensor.split, tensor.units, tensor.group, form, 1, parameter_of(tensor), tensor.places)


def _rank_bytes(stored: StoredTensor, cut: Cut) -> int:
    shape, copies = rank_shape(stored, cut)
    return stored.count * stored.form.bytes_of(shape, copies) * (stored.places if cut.stacked else 1)


def rank_shape(stored: StoredTensor, cut: Cut) -> tuple[tuple[int, ...], int]:
    """Shape of a tensor on one rank, padding of experts with it, and how many of it the rank holds. [elements, tensors]"""
    shape, copies = stored.shape, stored.copies
    tp = cut.tp
    if stored.group == ROUTED:
        tp = cut.experts_tp
        if cut.kept_experts is not None:
            copies = min(copies, cut.kept_experts)
        if cut.ep > 1 and copies > 1:
            copies = experts_per_rank(experts=copies, redundant=cut.redundant_experts, ep=cut.ep)
        elif cut.redundant_experts and copies > 1:
            copies += cut.redundant_experts
    elif stored.group == "vision":
        tp = cut.towers_tp
    elif stored.group == SHARED and cut.whole_shared:
        tp = 1
    elif stored.group in ("dense_mlp", SHARED):
        tp = cut.dense_tp or tp
    elif stored.group == "lm_head":
        tp = cut.head_tp or tp
    shape = _rank_shape(shape, stored.split, stored.units, tp, cut.vocabulary_multiple)
    if stored.group == ROUTED and len(shape) == 2:
        for padding in cut.paddings:
            if padding.format_id == stored.form.id:
                shape = _padded(shape, stored.split, padding)
    return shape, copies


# Matrices that engines stack into one parameter: queries, keys and values; gate and up; the latent projections; the inputs of a delta rule.
_STACKED = {
    "q_proj": "qkv",
    "k_proj": "qkv",
    "v_proj": "qkv",
    "qkv_proj": "qkv",
    "gate_proj": "gate_up",
    "up_proj": "gate_up",
    "gate_up_proj": "gate_up",
    "input_linear": "gate_up",
    "q_a_proj": "qkv_a",
    "kv_a_proj_with_mqa": "qkv_a",
    "in_proj_qkv": "in_proj_qkvz",
    "in_proj_z": "in_proj_qkvz",
}


def parameter_of(tensor: Tensor) -> str:
    """The parameter that an engine makes of a matrix, together with its neighbours; "" for a vector."""
    if len(tensor.shape) < 2:
        return ""
    head, _, last = tensor.name.removesuffix(".weight").rpartition(".")
    return f"{head}.{_STACKED.get(last, last)}"


def _rank_shape(shape: tuple[int, ...], split: Split, units: int, tp: int, vocabulary_multiple: int) -> tuple[int, ...]:
    if split is Split.VOCABULARY:
        return (padded_vocabulary(vocabulary=shape[0], multiple=vocabulary_multiple, tp=tp), *shape[1:])
    if tp == 1 or split is Split.REPLICATED or not shape:
        return shape
    if split is Split.KV_HEADS:
        heads = units or shape[0]
        return (kv_heads_per_rank(kv_heads=heads, tp=tp) * (shape[0] // heads), *shape[1:])
    if split is Split.COLUMN:
        return (cut_units(size=shape[0], parts=tp), *shape[1:])
    if len(shape) == 1:  # the bias of a row-cut matrix is added once, every rank holds it
        return shape
    return (*shape[:-1], cut_units(size=shape[-1], parts=tp))


def _padded(shape: tuple[int, ...], split: Split, padding: ExpertPadding) -> tuple[int, ...]:
    down = split is Split.ROW
    rows, columns = (padding.hidden, padding.intermediate) if down else (padding.intermediate, padding.hidden)
    return (padded_size(size=shape[0], multiple=rows), padded_size(size=shape[1], multiple=columns))


@dataclass(frozen=True)
class WeightTable:
    """The tensors of one architecture, tallied: outside the layers, and by kind of layer.

    Parameters
    ----------
    embedding, final, head, towers, copies : tuple
        Tensors outside the layers; ``copies`` are those that checkpoints store again for multi-token prediction.
    kinds : tuple of tuple
        Tensors of each distinct layer.
    kind_of : tuple of int
        Which kind each decoder layer is.
    mtp_kinds : tuple of int
        Which kind each multi-token-prediction layer is.
    """

    embedding: tuple[StoredTensor, ...]
    final: tuple[StoredTensor, ...]
    head: tuple[StoredTensor, ...]
    towers: tuple[StoredTensor, ...]
    copies: tuple[StoredTensor, ...]
    kinds: tuple[tuple[StoredTensor, ...], ...]
    kind_of: tuple[int, ...]
    mtp_kinds: tuple[int, ...]
    _known: Remembered[tuple[int, Cut], dict[str, int]] = field(default_factory=partial(Remembered, 1024), repr=False, compare=False)
    _sizes: Remembered[tuple[int, Cut], tuple[int, ...]] = field(default_factory=partial(Remembered, 1024), repr=False, compare=False)

    def layer_bytes(self, kind: int, cut: Cut) -> dict[str, int]:
        """Bytes of one layer of a kind on one rank, by parameter group. [bytes]"""
        return self._known.once((kind, cut), lambda: group_bytes(self.kinds[kind], cut))

    def routed_bytes(self, kind: int, cut: Cut, form: StorageFormat | None = None) -> int:
        """Routed experts of one layer of a kind on one rank, their matrices in another format where one is told. [bytes]"""
        routed = [stored for stored in self.kinds[kind] if stored.group == ROUTED]
        if form is not None:
            routed = [replace(stored, form=form) if len(stored.shape) > 1 else stored for stored in routed]
        return sum(_rank_bytes(stored, cut) for stored in routed)

    def stage_bytes(self, layers: range, cut: Cut, *, first: bool, last: bool, tied: bool, towers: bool = True) -> dict[str, int]:
        """Bytes of one pipeline stage on one rank, by parameter group.

        Parameters
        ----------
        layers : range
            Decoder layers of the stage.
        cut : Cut
            How the rank's part is made.
        first, last : bool
            The stage holds the embedding and towers; the final norm and the head.
        tied : bool
            The head is the embedding, so a last stage of its own holds the embedding again.
        towers : bool
            Vision and audio towers are loaded.

        Returns
        -------
        dict of str to int
            Bytes by group. [bytes]
        """
        total: dict[str, int] = {}
        counts: dict[int, int] = {}
        for index in layers:
            counts[self.kind_of[index]] = counts.get(self.kind_of[index], 0) + 1
        for kind, count in counts.items():
            _add(total, self.layer_bytes(kind, cut), count)
        if first:
            _add(total, group_bytes(self.embedding, cut))
            if towers:
                _add(total, group_bytes(self.towers, cut))
        if last:
            _add(total, group_bytes(self.final, cut))
            _add(total, group_bytes(self.head, cut))
            if tied and not first:
                _add(total, group_bytes([stored for stored in self.embedding if stored.group == "embedding"], cut))
        return total

    def embedding_bytes(self, cut: Cut) -> int:
        """Bytes of the input embedding on one rank. [bytes]"""
        return group_bytes([stored for stored in self.embedding if stored.group == "embedding"], cut).get("embedding", 0)

    def stage_parameters(self, layers: range, cut: Cut, *, first: bool, last: bool) -> list[tuple[int, tuple[int, ...]]]:
        """Sizes of the matrices that an engine allocates on one rank, neighbours stacked: (how many such layers, bytes of each matrix).

        Scales and vectors are left out; so are towers, whose matrices are small.
        """
        counts: dict[int, int] = {}
        for index in layers:
            counts[self.kind_of[index]] = counts.get(self.kind_of[index], 0) + 1
        found = []
        for kind, count in counts.items():
            found.append((count, self._matrix_sizes(kind, cut)))
        if first:
            found.append((1, matrix_bytes(bare_matrices(self.embedding), cut)))
        if last:
            found.append((1, matrix_bytes(bare_matrices(self.head), cut)))
        return found

    def _matrix_sizes(self, kind: int, cut: Cut) -> tuple[int, ...]:
        return self._sizes.once((kind, cut), lambda: matrix_bytes(bare_matrices(self.kinds[kind]), cut))

    def draft_groups(self, cut: Cut) -> dict[str, int]:
        """Bytes of the multi-token-prediction layers on one rank, by parameter group; embedding and head are shared with the model. [bytes]"""
        total: dict[str, int] = {}
        for kind in self.mtp_kinds:
            _add(total, self.layer_bytes(kind, cut))
        return total


def group_bytes(tensors: Iterable[StoredTensor], cut: Cut) -> dict[str, int]:
    """Bytes of tensors on one rank, by parameter group. [bytes]"""
    total: dict[str, int] = {}
    for stored in tensors:
        total[stored.group] = total.get(stored.group, 0) + _rank_bytes(stored, cut)
    return total


def bare_matrices(tensors: Iterable[StoredTensor]) -> tuple[StoredTensor, ...]:
    """The matrices that an engine allocates, scales left out: those are tensors of their own."""
    return tuple(replace(stored, form=_elements(stored.form)) for stored in tensors if stored.parameter)


def matrix_bytes(matrices: Iterable[StoredTensor], cut: Cut) -> tuple[int, ...]:
    """Bytes on one rank of what :func:`bare_matrices` gives, neighbours stacked. [bytes]"""
    sizes: dict[str, int] = {}
    for stored in matrices:
        sizes[stored.parameter] = sizes.get(stored.parameter, 0) + _rank_bytes(stored, cut)
    return tuple(sizes.values())


@lru_cache(maxsize=256)
def _elements(form: StorageFormat) -> StorageFormat:
    """A format without its scales, which are tensors of their own."""
    return form if form.block_elements else replace(form, scale_bits=0, zero_bits=0, tensor_bytes=0, column_bits=0)


def _add(total: dict[str, int], part: dict[str, int], count: int = 1) -> None:
    for group, size in part.items():
        total[group] = total.get(group, 0) + size * count


def _tally(tensors: Iterable[tuple[Tensor, StorageFormat]]) -> tuple[StoredTensor, ...]:
    counts: dict[StoredTensor, int] = {}
    for tensor, form in tensors:
        one = stored_as(tensor, form)
        counts[one] = counts.get(one, 0) + 1
    return tuple(replace(one, count=count) for one, count in counts.items())


@once_per_architecture
def weight_table(architecture: Architecture) -> WeightTable:
    """Tally the tensors of an architecture (remembered)."""
    outside: list[tuple[Tensor, StorageFormat]] = []
    inside: dict[int, list[tuple[Tensor, StorageFormat]]] = {}
    for index, _, tensor, form in stored_tensors(architecture, mtp=True):
        if index is None:
            outside.append((tensor, form))
        else:
            inside.setdefault(index, []).append((tensor, form))
    kinds: dict[tuple[StoredTensor, ...], int] = {}
    numbered: list[int] = []
    known: dict[tuple[int, ...], int] = {}  # most layers are made of the same objects, which are told apart sooner than what they hold
    for index in range(len(architecture.layers) + len(architecture.mtp)):
        members_of = inside.get(index, [])
        same = tuple(id(part) for pair in members_of for part in pair)
        if same not in known:
            known[same] = kinds.setdefault(_tally(members_of), len(kinds))
        numbered.append(known[same])
    parts: list[tuple[StoredTensor, ...]] = []
    start = 0
    for members in (architecture.embedding, architecture.final, architecture.head, architecture.towers, architecture.mtp_copies):
        parts.append(_tally(outside[start : start + len(members)]))
        start += len(members)
    decoder = len(architecture.layers)
    embedding, final, head, towers, copies = parts
    return WeightTable(embedding, final, head, towers, copies, tuple(kinds), tuple(numbered[:decoder]), tuple(numbered[decoder:]))


@once_per_architecture
def layer_kinds(architecture: Architecture) -> tuple[int, ...]:
    """Which decoder layers are alike in weights, formats and cache: equal numbers, equal layers (remembered)."""
    table = weight_table(architecture)
    numbers: dict[object, int] = {}
    return tuple(
        numbers.setdefault((table.kind_of[index], layer.mixers, layer.feed_forwards), len(numbers)) for index, layer in enumerate(architecture.layers)
    )


def routed_block(layer: Layer) -> MixtureOfExperts | None:
    """The block of routed experts of a layer, None for a dense one."""
    return next(iter(layer.experts), None)
