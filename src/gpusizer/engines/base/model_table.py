"""Models as rows of numbers: kinds of layers and their parts, what a precision changes; all that the account of a layout looks up.

An engine's table says what differs: see :class:`ModelTables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat, element_bytes
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import LatentAttention, Notice, Tensor
from gpusizer.engines.base.added_weights import unlisted_tensors
from gpusizer.engines.base.device_support import Contents, format_families, mixer_kinds
from gpusizer.engines.base.device_table import Devices
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.layout_rules import Dimensions, problem_of, scale_blocks, shape_dimensions
from gpusizer.engines.base.part_table import LayerSize, Part, PartTable, Tally, tally_of
from gpusizer.engines.base.sheet import Written
from gpusizer.engines.base.types import Deployment, Item, Layout
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator

__all__ = ["BY_PRECISION", "OUTSIDE_PARTS", "ModelColumns", "ModelTables", "Rotation", "mixers_key"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

OUTSIDE_PARTS = ("embedding", "final", "head", "towers", "tied-copy", "own-head")
"""Parts of a model beside its layers, in the order of their rows; its kinds of layers follow."""

BY_PRECISION = ("element_bytes", "families", "cache_rule", "cache_first", "error", "error_rocm", "unlisted", "unlisted_above", "bytes")
"""Columns of the table of models for each precision that every engine has."""

_KIND_COLUMNS = ("letter", "rotation", "copied", "copied_heads", "copied_nope", "copied_v", "copied_rank")

Rotation = tuple[int, int, int]  # width, positions, bytes of an element


@dataclass(frozen=True, slots=True)
class Kind:
    """Equal layers: part, rotation (0 without), latent mixers whose projections are copied."""

    part: int
    rotation: int
    copied: tuple[int, int, int, int, int]  # mixers, heads, qk_nope, v, kv_lora_rank


@dataclass
class ModelColumns:
    """One model as columns."""

    architecture: Architecture
    tally: Tally
    kinds: tuple[Kind, ...]
    pattern: str
    record: Any
    rotations: tuple[Rotation, ...]
    mixers: int  # number of what its cache depends on
    own_head: bool
    sizes: Dimensions
    cut_places: frozenset[int]  # tensor-parallel sizes that its shapes allow
    shared: dict[Any, Any] = field(default_factory=dict)  # of all models with the same tensors
    unlisted: dict[tuple[Any, ...], Item | None] = field(default_factory=dict)
    precisions: list[dict[str, Any]] = field(default_factory=list)  # in the order of the tables' precisions
    kind_rows: list[list[int]] = field(default_factory=list)  # what stands outside, then kinds


class ModelTables(ABC):
    """Everything that an account looks up, for models that are added one by one.

    Parameters
    ----------
    devices : Devices
        The engine's devices, at a version.
    precisions, kv_precisions : sequence of str
        Precisions of weights and of the cache to choose from.
    tps : tuple of int
        Tensor-parallel sizes to choose from.
    """

    def __init__(self, devices: Devices, precisions: Sequence[str], kv_precisions: Sequence[str], tps: tuple[int, ...]) -> None:
        self.devices, self.engine = devices, devices.engine
        self.precisions, self.kv_precisions, self.tps = tuple(precisions), tuple(kv_precisions), tps
        self.parts = PartTable(tps, devices.paddings, self.slack_of, self.beside_of, self.engine.stacked)
        self.columns: list[ModelColumns] = []
        self.families: dict[Contents, int] = {}
        self.shared: dict[tuple[Any, ...], dict[Any, Any]] = {}
        self.mixers: dict[tuple[Any, ...], int] = {}

    # ---- what an engine answers ------------------------------------------------------------------------------------

    @abstractmethod
    def record_of(self, architecture: Architecture) -> Any:
        """A record of numbers: what does not depend on the precision."""

    @abstractmethod
    def of_precision(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, Any]:
        """What else depends on the precision; the bands of stored tensors among it."""

    @abstractmethod
    def cache_rows(self, model: ModelColumns, architecture: Architecture, precision: str) -> Mapping[str, int]:
        """Rows of the cache: ``cache_rule`` and ``cache_first``."""

    @abstractmethod
    def cache_tables(self) -> Mapping[str, Written]:
        """The tables that these rows belong to."""

    @property
    @abstractmethod
    def most_groups(self) -> int:
        """Groups of layers that cache alike, the most of any model."""

    def rotations_of(self, architecture: Architecture) -> tuple[Sequence[int], tuple[Rotation, ...]]:
        """For each layer the number of its rotation (-1 without), and the rotations: FP32, one for each rotated width."""
        found: dict[tuple[int, bool], int] = {}
        layers = []
        for layer in architecture.layers:
            widths = {(mixer.rotary_width, mixer.windowed) for mixer in layer.mixers if mixer.rotary_width}
            if len(widths) > 1:
                raise FlagError("workbook-model", found=architecture.id)
            layers.append(found.setdefault(widths.pop(), len(found)) if widths else -1)
        return layers, tuple((width, architecture.max_position_embeddings or 0, 4) for width, _ in found)

    def own_head(self, architecture: Architecture) -> bool:
        """Whether the head is tied and yet loaded by itself."""
        return False

    def whole_tower(self, architecture: Architecture) -> bool:
        """Whether every rank holds the whole of a vision tower."""
        return False

    def square_shares(self, tensors: Iterable[tuple[Tensor, StorageFormat, int]]) -> dict[str, tuple[float, int]]:
        """For each group of parameters with FP8 in square blocks: their share of its bytes, and the side of a block, where that matters."""
        return {}

    beside_of: ClassVar[Mapping[str, LayerSize]] = {}
    """What else the engine counts of a layer's tensors in one cut, by name."""

    def slack_of(self, sizes: Iterable[int]) -> int:
        """What the allocator counts beyond matrices of these sizes. [bytes]"""
        return 0

    # ---- as the sheet reads them -----------------------------------------------------------------------------------

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The devices."""
        return self.devices.accelerators

    @property
    def class_of(self) -> Sequence[int]:
        """Number of the class of each device."""
        return self.devices.numbers

    @property
    def family_of(self) -> Sequence[tuple[int, bool]]:
        """Padding of kernels and whether it is ROCm, of each class."""
        return [(self.devices.paddings.index(each.paddings), each.rocm) for each in self.devices.classes]

    def add(self, architecture: Architecture) -> ModelColumns:
        """Add a model as published."""
        self.columns.append(_model(self, architecture))
        return self.columns[-1]

    def problems(self, sizes: Dimensions, layers: int) -> list[Notice | None]:
        """Why each tensor-parallel size cannot be, experts cut, then shared out whole; None where it can."""
        padded = self.engine.padded_formats(self.devices.start(self.devices.accelerators[0]))
        return [problem_of(sizes, layers, _layouts_of(tp)[whole], 0, padded) for whole in (False, True) for tp in self.tps]

    def device_columns(self) -> Written:
        """What the table of devices holds beside words: a row each."""
        return self.devices.columns()

    def written(self) -> dict[str, Written]:
        """The tables by name, but for those of models and of devices, which words belong to."""
        parts: dict[str, int] = {}
        for kind, line, _, _ in self.parts.columns():
            parts[line or kind] = parts.get(line or kind, 0) + 1
        kinds = [*((name, 1) for name in _KIND_COLUMNS), ("part", len(self.precisions))]
        return {
            "Kinds": (kinds, [row for each in self.columns for row in _kind_table(each)]),
            "Parts": (list(parts.items()), self.parts.rows),
            **self.cache_tables(),
            "Classes": self._classes(),
        }

    def _classes(self) -> Written:
        classes, paddings = self.devices.classes, self.devices.paddings
        names = [each.name for each in fields(next(iter(classes)).record)]
        rows = [
            [number, *(getattr(each.record, name) for name in names), paddings.index(each.paddings) + 1, int(each.rocm)]
            for number, each in enumerate(classes, 1)
        ]
        return [(name, 1) for name in ("class", *names, "padding", "rocm")], rows

    def start(self, architecture: Architecture, accelerator: Accelerator, precision: str, kv: str = "auto", tp: int = 1) -> Start:
        """A start of a model that leaves the rest to the engine."""
        asked = Deployment(
            "",
            accelerator.id,
            tp=tp,
            precision=precision,
            kv_precision=kv,
            max_model_len=4096,
            engine=self.engine.id,
            engine_version=self.devices.version,
        )
        return self.engine.start(asked, architecture, accelerator)

    def by_class(self, of_start: Callable[[Start], Any], architecture: Architecture, precision: str) -> tuple[Any, ...]:
        """What an engine says of each class of devices in each precision of the cache."""
        numbers = range(len(self.devices.classes))
        return tuple(
            of_start(self.start(architecture, self.devices.representative(number), precision, kv)) for number in numbers for kv in self.kv_precisions
        )

    def unlisted(self, model: ModelColumns, architecture: Architecture, precision: str, stored_bytes: int) -> dict[str, int]:
        """What the engine loads beyond the configuration; asked once where a precision stores as much as another."""
        found = None
        if architecture.towers:
            told = (architecture.quantization.method, architecture.dtype == "fp32", stored_bytes)
            if told not in model.unlisted:
                start = self.start(architecture, self.devices.accelerators[0], precision)
                lines = unlisted_tensors(start, Stage(0, range(len(architecture.layers)), first=True, last=True))
                model.unlisted[told] = lines[0] if lines else None
            found = model.unlisted[told]
        return {"unlisted": found.bytes if found else 0, "unlisted_above": found.high_bytes - found.bytes if found else 0}


def mixers_key(architecture: Architecture) -> tuple[Any, ...]:
    """What the layout of a cache depends on: the mixers of every layer without their weights."""
    seen: dict[int, tuple[Any, ...]] = {}
    keys = []
    for layer in architecture.layers:
        for mixer in layer.mixers:
            if id(mixer) not in seen:
                seen[id(mixer)] = (mixer.kind, *(getattr(mixer, name) for name in mixer.__slots__ if name != "tensors"))
        keys.append(tuple(seen[id(mixer)] for mixer in layer.mixers))
    return tuple(keys)


def _kind_table(model: ModelColumns) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for place, parts in enumerate(model.kind_rows, -len(OUTSIDE_PARTS)):
        if place < 0:
            rows.append([None] * len(_KIND_COLUMNS) + parts)
        else:
            kind = model.kinds[place]
            rows.append([_LETTERS[place], *(value or None for value in (kind.rotation, *kind.copied)), *parts])
    return rows


def _model(tables: ModelTables, architecture: Architecture) -> ModelColumns:
    tally = tally_of(architecture, tables.precisions)
    of_layer, rotations = tables.rotations_of(architecture)
    kinds: dict[Kind, int] = {}
    letters = []
    for index, layer in enumerate(architecture.layers):
        latent = layer.mixers_of(LatentAttention)
        first = latent[0] if latent else None
        copied = (0, 0, 0, 0, 0) if first is None else (len(latent), first.heads, first.qk_nope_head_dim, first.v_head_dim, first.kv_lora_rank)
        kind = Kind(tally.layers[index], of_layer[index] + 1, copied)
        letters.append(kinds.setdefault(kind, len(kinds)))
    if len(kinds) > len(_LETTERS):
        raise FlagError("workbook-model", found=architecture.id)
    sizes = shape_dimensions(architecture)
    found = ModelColumns(
        architecture,
        tally,
        tuple(kinds),
        "".join(_LETTERS[letter] for letter in letters),
        tables.record_of(architecture),
        rotations,
        tables.mixers.setdefault(mixers_key(architecture), len(tables.mixers)),
        tables.own_head(architecture),
        sizes,
        frozenset(
            place for place, tp in enumerate(tables.tps) if any(problem_of(sizes, len(architecture.layers), each) is None for each in _layouts_of(tp))
        ),
    )
    found.shared = tables.shared.setdefault(tally.key, {})
    for precision in tables.precisions:
        found.precisions.append(_precision(tables, found, precision))
    alike = (found.cut_places, found.own_head, architecture.tied_head, found.kinds)
    if alike not in found.shared:
        found.shared[alike] = _kind_rows(tables, found)
    found.kind_rows = found.shared[alike]
    return found


def _kind_rows(tables: ModelTables, model: ModelColumns) -> list[list[int]]:
    """Rows of the parts of each kind of layer, then of what stands outside, in each precision."""
    tally, tied_head = model.tally, model.architecture.tied_head
    rows = [_places(tables, model, tally.parts[kind.part], slack=True) for kind in model.kinds]
    tied = tuple(each for each in tally.embedding if each[0].group == "embedding")
    outside = ((tally.embedding, True), (tally.final, False), (tally.head, True), (tally.towers, False))
    copies = (tied if tied_head else (), False), (tied if model.own_head else (), False)
    return [_places(tables, model, part, slack=slack) for part, slack in (*outside, *copies)] + rows


def _layouts_of(tp: int) -> tuple[Layout, Layout]:
    """Experts cut, and shared out whole."""
    return Layout(tp=tp), Layout(tp=tp, ep=tp)


def _places(tables: ModelTables, model: ModelColumns, part: Part, *, slack: bool) -> list[int]:
    """Row of a part in each precision; precisions that store it alike share it."""
    tally, known, found = model.tally, {}, []
    for number, precision in enumerate(tables.precisions):
        shares = model.precisions[number]["shares"]
        forms = tally.forms(part, precision)
        whole = tables.whole_tower(tally.precisions[precision])
        key = (forms, tuple(shares.items()), whole)
        if key not in known:
            known[key] = tables.parts.place(tally.stored(part, forms), slack=slack, shares=shares, places=model.cut_places, whole_tower=whole)
        found.append(known[key])
    return found


def _precision(tables: ModelTables, model: ModelColumns, precision: str) -> dict[str, Any]:
    """What depends on the precision of the weights."""
    tally = model.tally
    architecture = tally.precisions[precision]
    if precision not in model.shared:
        model.shared[precision] = _of_tensors(tables, tally, precision)
    blocks, families, shares, kept = model.shared[precision]
    stored_bytes = _stored_bytes(architecture, kept)
    return {
        "sizes": replace(model.sizes, blocks=blocks),
        "families": tables.families.setdefault(Contents(families, mixer_kinds(architecture)), len(tables.families) + 1),
        **tables.cache_rows(model, architecture, precision),
        "element_bytes": element_bytes(architecture.dtype),
        "block_side": next((side for _, side in shares.values()), 1),
        "shares": {group: share for group, (share, _) in shares.items()},
        **tables.unlisted(model, architecture, precision, stored_bytes),
        **tables.of_precision(model, architecture, precision),
        "bytes": stored_bytes,
        "widest": families[0] if families else architecture.dtype,
    }


def _of_tensors(tables: ModelTables, tally: Tally, precision: str) -> tuple[frozenset[Any], tuple[str, ...], dict[str, tuple[float, int]], int]:
    """What follows from tensors and formats alone: blocks with scales, families of formats, FP8 in square blocks, bytes."""
    everything, asked = tally.in_precision(precision), tally.precisions[precision].quantization.asked
    return (
        frozenset() if asked else scale_blocks((tensor, form) for tensor, form, _, layer in everything if layer),
        format_families((form, tensor.params * count) for tensor, form, count, _ in everything),
        tables.square_shares((tensor, form, count) for tensor, form, count, _ in everything),
        sum(form.bytes_of(tensor.shape, tensor.copies) * count for tensor, form, count, _ in everything),
    )


def _stored_bytes(architecture: Architecture, kept: int) -> int:
    if architecture.header_bytes is not None:
        return checkpoint_bytes(architecture, mtp=False)
    quantization: Quantization = architecture.quantization
    in_vain: int = sum(quantization.format_of(each.name, each).bytes_of(each.shape, each.copies) for each in architecture.checkpoint_only)
    return kept + in_vain
