"""Models as rows of numbers: kinds of layers and their parts, caches, what a precision changes; all that the account of a layout looks up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import LatentAttention, Notice
from gpusizer.engines.base.added_weights import unlisted_tensors
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.device_support import format_families
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.layout_rules import Dimensions, problem_of, scale_blocks, shape_dimensions
from gpusizer.engines.base.part_table import Part, PartTable, Tally, tally_of
from gpusizer.engines.base.sheet import Written
from gpusizer.engines.base.types import Deployment, Item, Layout
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.vllm.cache_table import NEEDS, SIZES, Combination, Layouts, mixers_key
from gpusizer.engines.vllm.defaults import asks_for_fp8, mixer_kinds
from gpusizer.engines.vllm.device_table import Devices
from gpusizer.engines.vllm.record import ClassRecord, ModelRecord, reads_bytes, shape_record
from gpusizer.engines.vllm.weights import block_shares, has_own_head, rotations_of, slack_of
from gpusizer.facts.types import Accelerator

__all__ = ["KEPT", "OUTSIDE_PARTS", "EngineTables", "ModelColumns"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

OUTSIDE_PARTS = ("embedding", "final", "head", "towers", "tied-copy", "own-head")
"""Parts of a model beside its layers, in the order of their rows; its kinds of layers follow."""

KEPT = ("kept_tokens", "kept_steps", "block_tokens", "added_blocks", "groups")
"""What a kind of group keeps of a request, and how many such groups there are."""

_KIND_COLUMNS = ("letter", "rotation", "copied", "copied_heads", "copied_nope", "copied_v", "copied_rank")


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
    record: ModelRecord
    rotations: tuple[tuple[int, int, int], ...]
    mixers: int  # number of what its cache depends on
    own_head: bool
    sizes: Dimensions
    cut_places: frozenset[int]  # tensor-parallel sizes that its shapes allow
    shared: dict[Any, Any] = field(default_factory=dict)  # of all models with the same tensors
    unlisted: dict[tuple[Any, ...], Item | None] = field(default_factory=dict)
    precisions: list[dict[str, Any]] = field(default_factory=list)  # in the order of the tables' precisions
    kind_rows: list[list[int]] = field(default_factory=list)  # what stands outside, then kinds


class EngineTables:
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
        self.parts, self.layouts = PartTable(tps, devices.paddings, slack_of), Layouts(tps)
        self.columns: list[ModelColumns] = []
        self.cache_rules: dict[tuple[Combination, ...], int] = {}  # format and block by class and precision of the cache -> number
        self.families: dict[tuple[str, ...], int] = {}
        self.shared: dict[tuple[Any, ...], dict[Any, Any]] = {}
        self.mixers: dict[tuple[Any, ...], int] = {}
        self.rule_of: dict[tuple[Any, ...], tuple[Combination, ...]] = {}
        self.cache_of: dict[tuple[Any, ...], dict[str, int]] = {}

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The devices."""
        return self.devices.accelerators

    @property
    def most_groups(self) -> int:
        """Groups of layers that share a pool, the most of any model."""
        return self.layouts.most

    @property
    def class_of(self) -> Sequence[int]:
        """Number of the class of each device."""
        return [each.class_number for each in self.devices.figures]

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
        rows = [
            [
                each.accelerator.memory_bytes,
                each.class_number + 1,
                each.visible_bytes,
                each.driver_bytes,
                each.context_bytes,
                *each.joined_bytes,
                *each.shares,
                *each.budgets,
                *(size for size, _ in each.growth),
                *(above for _, above in each.growth),
            ]
            for each in self.devices.figures
        ]
        single = [(name, 1) for name in ("memory", "class", "visible", "driver", "context")]
        return [*single, *((name, 3) for name in ("joined", "share", "budget", "growth", "above"))], rows

    def written(self) -> dict[str, Written]:
        """The tables by name, but for those of models and of devices, which words belong to."""
        combinations, precisions = len(self.devices.classes) * len(self.kv_precisions), len(self.precisions)
        parts: dict[str, int] = {}
        for kind, line, _, _ in self.parts.columns():
            parts[line or kind] = parts.get(line or kind, 0) + 1
        names = [each.name for each in fields(ClassRecord)]
        paddings = self.devices.paddings
        classes = [
            [number, *(getattr(each.record, name) for name in names), paddings.index(each.paddings) + 1, int(each.rocm)]
            for number, each in enumerate(self.devices.classes, 1)
        ]
        rules = [[*map(list(dict.fromkeys(rule)).index, rule), *(block for _, block in rule)] for rule in self.cache_rules]
        return {
            "Kinds": ([*((name, 1) for name in _KIND_COLUMNS), ("part", precisions)], [row for each in self.columns for row in _kind_table(each)]),
            "Parts": (list(parts.items()), self.parts.rows),
            "Groups": ([("pattern", 1), ("size", SIZES)], self.layouts.groups),
            "Layouts": ([("first", 1), ("count", 1), ("need", 1)], self.layouts.rows),
            "Needs": ([(f"{name}{each}", 1) for each in range(NEEDS) for name in KEPT], self.layouts.needs),
            "Rules": ([("combination", combinations), ("block", combinations)], rules),
            "Classes": ([(name, 1) for name in ("class", *names, "padding", "rocm")], classes),
        }


def _kind_table(model: ModelColumns) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for place, parts in enumerate(model.kind_rows, -len(OUTSIDE_PARTS)):
        if place < 0:
            rows.append([None] * len(_KIND_COLUMNS) + parts)
        else:
            kind = model.kinds[place]
            rows.append([_LETTERS[place], *(value or None for value in (kind.rotation, *kind.copied)), *parts])
    return rows


def _model(tables: EngineTables, architecture: Architecture) -> ModelColumns:
    tally = tally_of(architecture, tables.precisions)
    of_layer, rotations = rotations_of(architecture)
    kinds: dict[Kind, int] = {}
    letters = []
    for index, layer in enumerate(architecture.layers):
        latent = layer.mixers_of(LatentAttention)
        first = latent[0] if latent else None
        copied = (0, 0, 0, 0, 0) if first is None else (len(latent), first.heads, first.qk_nope_head_dim, first.v_head_dim, first.kv_lora_rank)
        kind = Kind(tally.layers[index], of_layer[index] + 1, copied)
        letters.append(kinds.setdefault(kind, len(kinds)))
    if len(kinds) > len(_LETTERS):
        raise ValueError("a model with more kinds of layers than the table has letters")
    sizes = shape_dimensions(architecture)
    found = ModelColumns(
        architecture,
        tally,
        tuple(kinds),
        "".join(_LETTERS[letter] for letter in letters),
        shape_record(architecture, byte_inputs=False, block_side=1),
        rotations,
        tables.mixers.setdefault(mixers_key(architecture), len(tables.mixers)),
        has_own_head(architecture),
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


def _kind_rows(tables: EngineTables, model: ModelColumns) -> list[list[int]]:
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


def _places(tables: EngineTables, model: ModelColumns, part: Part, *, slack: bool) -> list[int]:
    """Row of a part in each precision; precisions that store it alike share it."""
    tally, known, found = model.tally, {}, []
    for number, precision in enumerate(tables.precisions):
        shares = model.precisions[number]["shares"]
        forms = tally.forms(part, precision)
        key = (forms, tuple(shares.items()))
        if key not in known:
            known[key] = tables.parts.place(tally.stored(part, forms), slack=slack, shares=shares, places=model.cut_places)
        found.append(known[key])
    return found


def _precision(tables: EngineTables, model: ModelColumns, precision: str) -> dict[str, Any]:
    """What depends on the precision of the weights."""
    tally = model.tally
    architecture = tally.precisions[precision]
    if precision not in model.shared:
        model.shared[precision] = _of_tensors(tally, precision)
    inside, blocks, families, shares, kept = model.shared[precision]
    accelerators = tables.devices.accelerators
    plain = next((each for each in accelerators if each.vendor != "AMD"), accelerators[0])
    other = next((each for each in accelerators if each.vendor == "AMD"), plain)
    stored_bytes = _stored_bytes(architecture, kept)
    unlisted = _unlisted(tables, model, architecture, precision, stored_bytes)
    errors = [_error(tables, architecture, precision, each) for each in (plain, other)]
    return {
        "element_bytes": element_bytes(architecture.dtype),
        "byte_inputs": inside,
        "sizes": replace(model.sizes, blocks=blocks),
        "families": tables.families.setdefault(families, len(tables.families) + 1),
        **_cache(tables, model, architecture, precision),
        "block_side": next((side for _, side in shares.values()), 1),
        "shares": {group: share for group, (share, _) in shares.items()},
        "unlisted": unlisted.bytes if unlisted else 0,
        "unlisted_above": unlisted.high_bytes - unlisted.bytes if unlisted else 0,
        "error": errors[0],
        "error_rocm": errors[1],
        "bytes": stored_bytes,
        "widest": families[0] if families else architecture.dtype,
    }


def _of_tensors(tally: Tally, precision: str) -> tuple[int, frozenset[Any], tuple[str, ...], dict[str, tuple[float, int]], int]:
    """What follows from tensors and formats alone: inputs of one byte, blocks with scales, families of formats, FP8 in square blocks, bytes."""
    everything = [(tensor, tally.form_in(precision, tensor, form), count, layer) for tensor, form, count, layer in tally.tensors]
    inside = [(tensor, form) for tensor, form, _, layer in everything if layer]
    return (
        int(reads_bytes(inside)),
        scale_blocks(inside),
        format_families((form, tensor.params * count) for tensor, form, count, _ in everything),
        block_shares((tensor, form, count) for tensor, form, count, _ in everything),
        sum(form.bytes_of(tensor.shape, tensor.copies) * count for tensor, form, count, _ in everything),
    )


def _stored_bytes(architecture: Architecture, kept: int) -> int:
    if architecture.header_bytes is not None:
        return checkpoint_bytes(architecture, mtp=False)
    quantization: Quantization = architecture.quantization
    in_vain: int = sum(quantization.format_of(each.name, each).bytes_of(each.shape, each.copies) for each in architecture.checkpoint_only)
    return kept + in_vain


def _unlisted(tables: EngineTables, model: ModelColumns, architecture: Architecture, precision: str, stored_bytes: int) -> Item | None:
    """What the engine loads beyond the configuration; asked once where a precision stores as much as another."""
    if not architecture.towers:
        return None
    told = (architecture.quantization.method, architecture.dtype == "fp32", stored_bytes)
    if told not in model.unlisted:
        start = _start(tables, architecture, tables.devices.accelerators[0], precision)
        lines = unlisted_tensors(start, Stage(0, range(len(architecture.layers)), first=True, last=True))
        model.unlisted[told] = lines[0] if lines else None
    return model.unlisted[told]


def _error(tables: EngineTables, architecture: Architecture, precision: str, accelerator: Accelerator) -> float:
    return weight_error(Start(Deployment("", accelerator.id, precision=precision), architecture, accelerator, tables.engine.newest))


def _cache(tables: EngineTables, model: ModelColumns, architecture: Architecture, precision: str) -> dict[str, int]:
    """Rows of format and block of the cache by class of devices and precision of the cache, and of the layouts of these."""
    same = (mixer_kinds(model.architecture), architecture.dtype, precision == "checkpoint" and asks_for_fp8(architecture))
    key = (same, model.mixers, model.cut_places)
    if key in tables.cache_of:
        return tables.cache_of[key]
    if same not in tables.rule_of:
        found = []
        for number in range(len(tables.devices.classes)):
            for kv in tables.kv_precisions:
                start = _start(tables, architecture, tables.devices.representative(number), precision, kv)
                form = cache_format(start.deployment.kv_precision, architecture.dtype)
                assert form is not None
                found.append((replace(form, id=""), start.deployment.block_size or 16))
        tables.rule_of[same] = tuple(found)
    rule = tables.rule_of[same]
    combinations = tuple(dict.fromkeys(rule))
    request = tables.engine.cache_request(_start(tables, architecture, tables.devices.accelerators[0], precision))
    first = tables.layouts.place(architecture, model.mixers, request, combinations, model.cut_places)
    tables.cache_of[key] = {"cache_rule": tables.cache_rules.setdefault(rule, len(tables.cache_rules) + 1), "cache_first": first}
    return tables.cache_of[key]


def _start(tables: EngineTables, architecture: Architecture, accelerator: Accelerator, precision: str, kv: str = "auto", tp: int = 1) -> Start:
    deployment = Deployment(
        "", accelerator.id, tp=tp, precision=precision, kv_precision=kv, max_model_len=4096, engine_version=tables.devices.version
    )
    return tables.engine.start(deployment, architecture, accelerator)
