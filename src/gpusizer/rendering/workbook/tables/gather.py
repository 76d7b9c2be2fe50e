"""Everything that the sheets look up, asked of the library once: models by precision, parts, caches, legal layouts, devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import Quantization, checkpoint_bytes
from gpusizer.architecture.types import LatentAttention
from gpusizer.engines import get_engine
from gpusizer.engines.base.added_weights import unlisted_tensors
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.device_support import format_families, support_for
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.layout_rules import Dimensions, problem_of, scale_blocks, shape_dimensions
from gpusizer.engines.base.types import Deployment, Item, Layout
from gpusizer.engines.base.weight_error import weight_error
from gpusizer.engines.vllm.defaults import asks_for_fp8, mixer_kinds
from gpusizer.engines.vllm.engine import Vllm
from gpusizer.engines.vllm.record import ModelRecord, reads_bytes, shape_record
from gpusizer.engines.vllm.weights import block_shares, has_own_head, rotations_of
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.i18n import text
from gpusizer.rendering.workbook.tables.devices import Devices
from gpusizer.rendering.workbook.tables.layouts import Combination, Layouts, mixers_key
from gpusizer.rendering.workbook.tables.parts import TPS, Part, PartTable, Tally, tally_of

__all__ = ["KV_PRECISIONS", "PRECISIONS", "Facts", "ModelFacts", "Source", "gather"]

PRECISIONS = ("checkpoint", "bf16", "fp16", "fp32", "fp8", "int8", "int4", "mxfp4", "nvfp4")
"""Precisions of weights that vLLM loads."""

KV_PRECISIONS = ("auto", "bf16", "fp16", "fp8", "int8")
"""Precisions of the cache."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Source:
    """A model of the workbook: how it is called there, and what it is."""

    key: str
    name: str
    architecture: Architecture
    entry: ModelEntry | None


@dataclass(frozen=True, slots=True)
class Kind:
    """Equal layers: part, rotation (0 without), latent mixers whose projections are copied."""

    part: int
    rotation: int
    copied: tuple[int, int, int, int, int]  # mixers, heads, qk_nope, v, kv_lora_rank


@dataclass
class ModelFacts:
    """One model as columns."""

    source: Source
    tally: Tally
    kinds: tuple[Kind, ...]
    pattern: str
    record: ModelRecord
    rotations: tuple[tuple[int, int, int], ...]
    mixers: tuple[Any, ...]  # what its cache depends on
    own_head: bool
    cut_places: frozenset[int]  # tensor-parallel sizes that its shapes allow
    shared: dict[Any, Any] = field(default_factory=dict)  # of all models with the same tensors
    unlisted: dict[tuple[Any, ...], Item | None] = field(default_factory=dict)
    precisions: list[dict[str, Any]] = field(default_factory=list)  # in the order of the workbook's precisions
    kind_rows: list[list[int]] = field(default_factory=list)  # embedding, final, head, towers, tied copy, own head, then kinds


@dataclass
class Facts:
    """What the sheets look up: models, devices, parts, caches, legal layouts, in the words of one language."""

    language: str
    engine: Vllm
    precisions: tuple[str, ...]
    kv_precisions: tuple[str, ...]
    models: list[ModelFacts]
    devices: Devices
    parts: PartTable
    layouts: Layouts
    cache_rules: dict[tuple[Combination, ...], int] = field(default_factory=dict)  # format and block by class and precision of the cache -> number
    shared: dict[tuple[Any, ...], dict[Any, Any]] = field(default_factory=dict)
    rule_of: dict[tuple[Any, ...], tuple[Combination, ...]] = field(default_factory=dict)
    legal: dict[tuple[int, ...], int] = field(default_factory=dict)
    legal_of: dict[Dimensions, int] = field(default_factory=dict)
    families: dict[tuple[str, ...], int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    def letter(self, place: int) -> str:
        """The letter of a kind of layer."""
        return _LETTERS[place]

    def reason(self, words: str) -> int:
        """Number of a sentence, 0 for none."""
        return self.reasons.setdefault(words, len(self.reasons) + 1) if words else 0


def gather(
    sources: Sequence[Source],
    devices: Sequence[Accelerator],
    language: str,
    precisions: Iterable[str] = PRECISIONS,
    kv_precisions: Iterable[str] = KV_PRECISIONS,
) -> Facts:
    """Ask the library for everything.

    Parameters
    ----------
    sources : sequence of Source
        Models of the workbook.
    devices : sequence of Accelerator
        Devices of the workbook.
    language : str
        Of the reasons.
    precisions : iterable of str
        Precisions of weights to choose from.
    kv_precisions : iterable of str
        Precisions of the cache to choose from.
    """
    engine = get_engine("vllm")
    assert isinstance(engine, Vllm)
    known = Devices(tuple(devices), engine, sources[0].architecture)
    facts = Facts(language, engine, tuple(precisions), tuple(kv_precisions), [], known, PartTable(known.paddings), Layouts(TPS))
    for source in sources:
        facts.models.append(_model(facts, source))
    return facts


def _model(facts: Facts, source: Source) -> ModelFacts:
    architecture = source.architecture
    tally = tally_of(architecture, facts.precisions)
    of_layer, rotations = rotations_of(architecture)
    kinds: dict[Kind, int] = {}
    letters = []
    for index, layer in enumerate(architecture.layers):
        latent = [mixer for mixer in layer.mixers if isinstance(mixer, LatentAttention)]
        first = latent[0] if latent else None
        copied = (0, 0, 0, 0, 0) if first is None else (len(latent), first.heads, first.qk_nope_head_dim, first.v_head_dim, first.kv_lora_rank)
        kind = Kind(tally.layers[index], of_layer[index] + 1, copied)
        letters.append(kinds.setdefault(kind, len(kinds)))
    if len(kinds) > len(_LETTERS):
        raise ValueError("a model with more kinds of layers than the table has letters")
    sizes = shape_dimensions(architecture)
    facts_of = ModelFacts(
        source,
        tally,
        tuple(kinds),
        "".join(_LETTERS[letter] for letter in letters),
        shape_record(architecture, byte_inputs=False, block_side=1),
        rotations,
        mixers_key(architecture),
        has_own_head(architecture),
        frozenset(place for place, tp in enumerate(TPS) if any(problem_of(sizes, len(architecture.layers), layout) is None for layout in _both(tp))),
    )
    facts_of.shared = facts.shared.setdefault(tally.key, {})
    for precision in facts.precisions:
        facts_of.precisions.append(_precision(facts, facts_of, precision, sizes))
    alike = (facts_of.cut_places, facts_of.own_head, architecture.tied_head, facts_of.kinds)
    if alike not in facts_of.shared:
        facts_of.shared[alike] = _kind_rows(facts, facts_of)
    facts_of.kind_rows = facts_of.shared[alike]
    return facts_of


def _kind_rows(facts: Facts, model: ModelFacts) -> list[list[int]]:
    """Rows of the parts of each kind of layer, then of what stands outside, in each precision."""
    tally, tied_head = model.tally, model.source.architecture.tied_head
    rows = [_places(facts, model, tally.parts[kind.part], True) for kind in model.kinds]
    tied = tuple(each for each in tally.embedding if each[0].group == "embedding")
    outside = ((tally.embedding, True), (tally.final, False), (tally.head, True), (tally.towers, False))
    copies = (tied if tied_head else (), False), (tied if model.own_head else (), False)
    return [_places(facts, model, part, slack) for part, slack in (*outside, *copies)] + rows


def _both(tp: int) -> tuple[Layout, Layout]:
    """Experts cut, and shared out whole."""
    return Layout(tp=tp), Layout(tp=tp, ep=tp)


def _places(facts: Facts, model: ModelFacts, part: Part, slack: bool) -> list[int]:
    """Row of a part in each precision; precisions that store it alike share it."""
    tally, known, found = model.tally, {}, []
    for number, precision in enumerate(facts.precisions):
        shares = model.precisions[number]["shares"]
        forms = tally.forms(part, precision)
        key = (forms, tuple(shares.items()))
        if key not in known:
            known[key] = facts.parts.place(tally.stored(part, forms), slack=slack, shares=shares, places=model.cut_places)
        found.append(known[key])
    return found


def _precision(facts: Facts, model: ModelFacts, precision: str, sizes: Dimensions) -> dict[str, Any]:
    """What depends on the precision of the weights."""
    tally = model.tally
    architecture = tally.precisions[precision]
    if precision not in model.shared:
        model.shared[precision] = _of_tensors(tally, precision)
    inside, blocks, families, shares, kept = model.shared[precision]
    accelerators = facts.devices.accelerators
    plain = next((each for each in accelerators if each.vendor != "AMD"), accelerators[0])
    other = next((each for each in accelerators if each.vendor == "AMD"), plain)
    stored_bytes = _stored_bytes(architecture, kept)
    unlisted = _unlisted(facts, model, architecture, precision, stored_bytes)
    errors = [_error(facts, architecture, precision, each) for each in (plain, other)]
    return {
        "element_bytes": 4 if architecture.dtype == "fp32" else 2,
        "byte_inputs": inside,
        "legal": _legal(facts, replace(sizes, blocks=blocks), len(architecture.layers)),
        "families": facts.families.setdefault(families, len(facts.families) + 1),
        **_cache(facts, model, architecture, precision),
        "block_side": next((side for _, side in shares.values()), 1),
        "shares": {group: share for group, (share, _) in shares.items()},
        "unlisted": unlisted.bytes if unlisted else 0,
        "unlisted_above": unlisted.high_bytes - unlisted.bytes if unlisted else 0,
        "error": errors[0],
        "error_rocm": errors[1],
        "bytes": stored_bytes,
        "label": _label(facts.language, architecture, families, precision),
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


def _unlisted(facts: Facts, model: ModelFacts, architecture: Architecture, precision: str, stored_bytes: int) -> Item | None:
    """What the engine loads beyond the configuration; asked once where a precision stores as much as another."""
    if not architecture.towers:
        return None
    told = (architecture.quantization.method, architecture.dtype == "fp32", stored_bytes)
    if told not in model.unlisted:
        start = _start(facts, architecture, facts.devices.accelerators[0], precision)
        lines = unlisted_tensors(start, Stage(0, range(len(architecture.layers)), True, True))
        model.unlisted[told] = lines[0] if lines else None
    return model.unlisted[told]


def _label(language: str, architecture: Architecture, families: Sequence[str], precision: str) -> str:
    if precision != "checkpoint":
        return precision.upper()
    widest = families[0].upper().replace("_", " ") if families else architecture.dtype.upper()
    return text("ui", "precision-checkpoint", language, precision=widest)


def _error(facts: Facts, architecture: Architecture, precision: str, accelerator: Accelerator) -> float:
    return weight_error(Start(Deployment("", accelerator.id, precision=precision), architecture, accelerator, facts.engine.newest))


def _legal(facts: Facts, sizes: Dimensions, layers: int) -> int:
    """Number of the row that says for each tensor-parallel size, experts cut or whole, why it cannot be."""
    if sizes not in facts.legal_of:
        padded = facts.engine.padded_formats(facts.devices.start(facts.devices.accelerators[0]))
        row = []
        for whole in (False, True):
            for tp in TPS:
                problem = problem_of(sizes, layers, _both(tp)[whole], 0, padded)
                row.append(0 if problem is None else facts.reason(text("reason", problem.code, facts.language, **problem.parameters)))
        facts.legal_of[sizes] = facts.legal.setdefault(tuple(row), len(facts.legal) + 1)
    return facts.legal_of[sizes]


def _cache(facts: Facts, model: ModelFacts, architecture: Architecture, precision: str) -> dict[str, int]:
    """Rows of format and block of the cache by class of devices and precision of the cache, and of the layouts of these."""
    same = (mixer_kinds(architecture), architecture.dtype, precision == "checkpoint" and asks_for_fp8(architecture))
    if same not in facts.rule_of:
        found = []
        for number in range(len(facts.devices.classes)):
            for kv in facts.kv_precisions:
                start = _start(facts, architecture, facts.devices.representative(number), precision, kv)
                form = cache_format(start.deployment.kv_precision, architecture.dtype)
                assert form is not None
                found.append((replace(form, id=""), start.deployment.block_size or 16))
        facts.rule_of[same] = tuple(found)
    rule = facts.rule_of[same]
    combinations = tuple(dict.fromkeys(rule))
    request = facts.engine.cache_request(_start(facts, architecture, facts.devices.accelerators[0], precision))
    first = facts.layouts.place(architecture, model.mixers, request, combinations, model.cut_places)
    return {"cache_rule": facts.cache_rules.setdefault(rule, len(facts.cache_rules) + 1), "cache_first": first}


def _start(facts: Facts, architecture: Architecture, accelerator: Accelerator, precision: str, kv: str = "auto", tp: int = 1) -> Start:
    deployment = Deployment("", accelerator.id, tp=tp, precision=precision, kv_precision=kv, max_model_len=4096)
    return facts.engine.start(deployment, architecture, accelerator)


def family_reasons(facts: Facts) -> list[list[int]]:
    """For each device and each combination of formats the number of the reason why it does not serve, 0 where it does."""
    table = []
    for accelerator in facts.devices.accelerators:
        row = []
        for families in facts.families:
            refusal = support_for(facts.engine.id, families, accelerator).refusal
            row.append(0 if refusal is None else facts.reason(text("reason", refusal.code, facts.language, **refusal.parameters)))
        table.append(row)
    return table
