"""What vLLM adds to the stored tensors: padding of expert kernels, tables of positions, slack of the allocator, draft layers, adapters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import checkpoint_bytes, stored_tensors
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import CompressedAttention, LatentAttention, Layer, Split, Tensor
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import item
from gpusizer.engines.base.types import Evidence, Item
from gpusizer.engines.base.weights import Cut, ExpertPadding, once_per_architecture, weight_table
from gpusizer.engines.vllm import constants as fitted
from gpusizer.errors import InputError
from gpusizer.facts.catalog import model_entry
from gpusizer.formulas.memory.weights import (
    adapter_bytes,
    allocation_slack_bytes,
    cut_units,
    rope_table_bytes,
    unfolded_scales_bytes,
    visual_levels_bytes,
)
from gpusizer.units import MiB

__all__ = [
    "SCALES_SPREAD",
    "SCALE_BYTES",
    "SLACK_SPREAD",
    "UNFOLDED_ELEMENT_BYTES",
    "adapter_slots",
    "allocation_slack",
    "block_shares",
    "deeper_levels",
    "draft_layers",
    "draft_weights",
    "expert_paddings",
    "external_head",
    "has_own_head",
    "own_head",
    "position_tables",
    "rotations_of",
    "slack_of",
    "unfolded_scales",
    "unfolds_scales",
    "visual_levels",
    "weight_error",
]

_SOURCE = "vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/"


def expert_paddings(start: Start) -> tuple[ExpertPadding, ...]:
    """Multiples that the kernel of MXFP4 experts needs, by device and version (None of another format is padded)."""
    accelerator, version = start.accelerator, start.version
    if accelerator.vendor == "AMD":
        return (ExpertPadding("mxfp4", 256, 256),)
    if 9 <= start.capability < 10 and (0, 10, 2) <= version < (0, 17):
        return (ExpertPadding("mxfp4", 64, 256),)  # Triton kernels; Marlin before and after
    return (ExpertPadding("mxfp4", 128, 256),)


_LISTS = ("ignore", "exclude_modules", "modules_to_not_convert", "ignored_layers", "quantized_layers", "config_groups")


def _list_missing(architecture: Architecture) -> bool:
    """A checkpoint in a format of four bits by NVIDIA's tools, without its list of what stays unquantised."""
    settings = architecture.config.get("quantization_config")
    if not isinstance(settings, Mapping) or "FP4" not in str(settings.get("quant_algo")).upper():
        return False
    return not any(settings.get(name) for name in _LISTS)


def weight_error(start: Start) -> float:
    """Band of the stored tensors: publishers quantise differently what a precision names, and ROCm keeps other layouts."""
    method, precision = start.architecture.quantization.method, start.deployment.precision
    error = fitted.WEIGHT_ERROR["plain" if method is None else "checkpoint"]
    if precision not in ("checkpoint", "bf16", "fp16", "fp32"):
        error = fitted.WEIGHT_ERROR.get(precision, fitted.WEIGHT_ERROR["checkpoint"])
    elif method is not None:
        other = start.deployment.similar_precision  # the list of what stays unquantised is another publisher's
        error = max(error, fitted.WEIGHT_ERROR.get(str(other), error), fitted.WEIGHT_ERROR["nvfp4"] if _list_missing(start.architecture) else error)
    if start.accelerator.vendor == "AMD" and method is not None:
        error = max(error, fitted.WEIGHT_ERROR["rocm"])
    return error


def has_own_head(architecture: Architecture) -> bool:
    """Whether the head is tied and yet not: vLLM builds the language part of a multimodal model from its own section of the configuration."""
    inner = architecture.config.get("text_config")
    return architecture.tied_head and isinstance(inner, Mapping) and inner.get("tie_word_embeddings") is False


def own_head(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """The output head of a multimodal model whose language part is not tied."""
    architecture = start.architecture
    if not stage.last or not has_own_head(architecture):
        return []
    if not stage.first:
        return []  # a last stage of its own holds the embedding again already
    size = weight_table(architecture).embedding_bytes(cut)
    return [item("weights_head", size, evidence=Evidence.EXACT)]


# ---- tables of rotary positions -------------------------------------------------------------------------------------


def _sections(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rotary settings of a configuration: one, or one for each kind of layer."""
    inner = config.get("text_config")
    text: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    found: list[Mapping[str, Any]] = []
    for name in ("rope_parameters", "rope_scaling"):
        section = text.get(name)
        if isinstance(section, Mapping):
            nested = [each for each in section.values() if isinstance(each, Mapping)]
            found += nested or [section]
    return found


def _reads_videos(config: Mapping[str, Any]) -> bool:
    """Whether the tower merges patches of frames in time and space: such models rotate by three axes, said in the configuration or not."""
    tower = config.get("vision_config")
    return isinstance(tower, Mapping) and "temporal_patch_size" in tower and "spatial_merge_size" in tower


@once_per_architecture
def rotations_of(architecture: Architecture) -> tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]:
    """For each layer the number of its rotation (-1 without), and each rotation as (width, positions, bytes of an element)."""
    config = architecture.config
    inner = config.get("text_config")
    text: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    sections = _sections(config)
    apart = "rope_local_base_freq" in text or len(sections) > 1 or any("linear" in (each.get("rope_type"), each.get("type")) for each in sections)
    times = 1.0
    for each in sections:
        factor = each.get("factor")
        if "linear" in (each.get("rope_type"), each.get("type")) and isinstance(factor, int | float) and 1 <= factor <= 4096:
            times = max(times, float(factor))
    if _reads_videos(config) or any("mrope_section" in each for each in sections):
        times = max(times, 4.0)  # positions of videos may be four times as far
    positions = architecture.max_position_embeddings or 0
    rotations: dict[tuple[int, int, int, int], int] = {}
    of_layer: list[int] = []
    for layer in architecture.layers:
        number = -1
        for mixer in layer.mixers:
            width = getattr(mixer, "rotary_dim", 0) or getattr(mixer, "qk_rope_head_dim", 0) or getattr(mixer, "rope_head_dim", 0)
            if not width:
                continue
            windowed = getattr(mixer, "window", None) is not None and not isinstance(mixer, CompressedAttention)
            kind = int(apart and windowed)
            if isinstance(mixer, CompressedAttention):
                kind = int(mixer.ratio > 0)
            whole = isinstance(mixer, CompressedAttention | LatentAttention)
            key = (width, kind, positions if windowed and apart else round(positions * times), 4 if whole else 2)
            number = rotations.setdefault(key, len(rotations))
        of_layer.append(number)
    return tuple(of_layer), tuple((width, count, element) for width, _, count, element in rotations)


def position_tables(start: Start, stage: Stage) -> list[Item]:
    """Tables of rotary positions on one GPU, once for each distinct rotation; latent attention keeps them in FP32."""
    of_layer, rotations = rotations_of(start.architecture)
    used = {of_layer[index] for index in stage.layers} - {-1}
    wide = start.architecture.dtype == "fp32"
    size = 0
    inputs: dict[str, Any] = {"positions": 0, "rotary_dim": 0, "element_bytes": 2}
    for number in used:
        width, count, element = rotations[number]
        inputs = {"positions": count, "rotary_dim": width, "element_bytes": 4 if wide else element}
        size += rope_table_bytes(**inputs)
    if not size:
        return []
    formula = "memory.weights.rope_table" if len(used) == 1 else None
    return [item("weights_tables", size, formula=formula, inputs=inputs, sources=(_SOURCE + "rotary_embedding/base.py",))]


# ---- buffers and scales that are made while loading -------------------------------------------------------------------


def deeper_levels(architecture: Architecture) -> int:
    """Levels of the vision tower beside its last that the language part reads."""
    tower = architecture.config.get("vision_config")
    levels = tower.get("deepstack_visual_indexes") if isinstance(tower, Mapping) else None
    return len(levels) if isinstance(levels, list | tuple) else 0


def visual_levels(start: Start, stage: Stage) -> list[Item]:
    """Buffers for features of several levels of the vision tower, one row for each token of a step."""
    levels = deeper_levels(start.architecture)
    if not levels or not stage.first or start.flag("language_model_only", False):
        return []
    inputs = {
        "levels": levels,
        "tokens": start.deployment.max_num_batched_tokens or 1,
        "hidden": start.architecture.hidden_size,
        "element_bytes": 4 if start.architecture.dtype == "fp32" else 2,
    }
    return [item("weights_buffers", visual_levels_bytes(**inputs), formula="memory.weights.visual_levels", inputs=inputs)]


LEAST_UNLISTED = 0.01  # of the checkpoint; sizes are published with three figures


@once_per_architecture
def _unlisted_bytes(architecture: Architecture) -> int:
    try:
        published = model_entry(architecture.id).checkpoint_bytes or 0
    except InputError:
        return 0
    size = published - checkpoint_bytes(architecture)
    return size if size > LEAST_UNLISTED * published else 0


def unlisted_tensors(start: Start, stage: Stage) -> list[Item]:
    """What the published checkpoint holds beyond its configuration: a tower whose shape is not told is loaded all the same."""
    architecture = start.architecture
    told = architecture.quantization.method is not None or architecture.dtype not in ("bf16", "fp16")
    if told or not stage.first or not architecture.towers or start.flag("language_model_only", False):
        return []
    size = _unlisted_bytes(architecture)
    return [item("weights_unlisted", size, low=size / (2 * start.layout.tp), high=size * 1.3, evidence=Evidence.ASSUMED)] if size else []


NATIVE_BYTE_FLOATS = 8.9  # compute capability; below, weights of FP8 are read by a kernel for small formats


UNFOLDED_ELEMENT_BYTES, SCALE_BYTES = 2, 4  # a scale as that kernel reads it, and as it is stored
SCALES_SPREAD = 0.1  # band of the unfolded scales, as a share


def block_shares(tensors: Iterable[tuple[Tensor, StorageFormat, int]]) -> dict[str, tuple[float, int]]:
    """For each group of parameters with FP8 in square blocks: their share of its bytes, and the side of a block; tensors with how many there are."""
    total: dict[str, int] = {}
    blocks: dict[str, tuple[int, int]] = {}
    for tensor, form, count in tensors:
        size = form.bytes_of(tensor.shape, tensor.copies) * count
        total[tensor.group] = total.get(tensor.group, 0) + size
        if form.id == "fp8_block" and tensor.linear:
            known, _ = blocks.get(tensor.group, (0, 0))
            blocks[tensor.group] = (known + size, form.columns)
    return {group: (size / total[group], side) for group, (size, side) in blocks.items()}


@once_per_architecture
def _block_shares(architecture: Architecture) -> dict[str, tuple[float, int]]:
    return block_shares((tensor, form, 1) for _, _, tensor, form in stored_tensors(architecture))


def unfolds_scales(start: Start) -> bool:
    """Whether every scale of FP8 blocks is unfolded: cards of NVIDIA that have no such arithmetic."""
    return start.accelerator.vendor == "NVIDIA" and 0 < start.capability < NATIVE_BYTE_FLOATS


def unfolded_scales(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """Scales of FP8 blocks, unfolded to one for each output where the card has no such arithmetic or the operator chose that kernel for experts."""
    everywhere = unfolds_scales(start)
    if not everywhere and (start.accelerator.vendor != "NVIDIA" or start.flag("moe_backend") != "marlin"):
        return []
    shares = _block_shares(start.architecture)
    groups = [group for group in shares if everywhere or group == "routed_experts"]
    if not groups:
        return []
    table = weight_table(start.architecture).stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=False)
    side = shares[groups[0]][1]
    inputs = {
        "weights_bytes": round(sum(table.get(group, 0) * shares[group][0] for group in groups)),
        "block": side,
        "element_bytes": UNFOLDED_ELEMENT_BYTES,
        "scale_bytes": SCALE_BYTES,
    }
    size = unfolded_scales_bytes(**inputs)
    low, high = size * (1 - SCALES_SPREAD), size * (1 + SCALES_SPREAD)
    return [item("weights_scales", size, low=low, high=high, formula="memory.weights.unfolded_scales", inputs=inputs)]


# ---- slack of the allocator -----------------------------------------------------------------------------------------

SHARED_BELOW, SEGMENT, LARGEST_REST = 10 * MiB, 2 * MiB, MiB
SLACK_SPREAD = 0.5  # band of the slack, as a share of it


def slack_of(sizes: Iterable[int]) -> int:
    """What the allocator counts beyond matrices of these sizes. [bytes]"""
    limits = {"smallest_bytes": SHARED_BELOW, "segment_bytes": SEGMENT, "largest_rest_bytes": LARGEST_REST}
    return sum(int(allocation_slack_bytes(size_bytes=size, **limits)) for size in sizes)


@once_per_architecture
def _slacks(architecture: Architecture) -> dict[tuple[Stage, Cut], int]:
    return {}


def _slack(architecture: Architecture, stage: Stage, cut: Cut) -> int:
    known = _slacks(architecture)
    if (stage, cut) not in known:
        if len(known) > 1024:
            known.clear()
        parameters = weight_table(architecture).stage_parameters(stage.layers, cut, first=stage.first, last=stage.last)
        known[stage, cut] = sum(count * slack_of(sizes) for count, sizes in parameters)
    return known[stage, cut]


def allocation_slack(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """What the allocator counts beyond the matrices, and what ROCm's matrix library keeps in it."""
    slack = _slack(start.architecture, stage, cut)
    library = fitted.ROCM_LIBRARY.bytes if start.accelerator.vendor == "AMD" else 0
    if not slack and not library:
        return []
    low, high = slack * (1 - SLACK_SPREAD), slack * (1 + SLACK_SPREAD) + library
    return [item("weights_slack", slack + library, low=low, high=high, evidence=Evidence.CALIBRATED)]


# ---- drafts ---------------------------------------------------------------------------------------------------------


def external_head(start: Start) -> bool:
    """A draft of one layer with a checkpoint of its own (EAGLE and its kin)."""
    return bool(start.deployment.speculative_tokens) and "eagle" in str(start.flag("speculative_method", "")).lower()


def draft_layers(start: Start) -> tuple[Layer, ...]:
    """Layers of the draft that cache in the pool: those of the checkpoint, or one like the model's first."""
    if not start.deployment.speculative_tokens:
        return ()
    return start.architecture.layers[:1] if external_head(start) else start.architecture.mtp


def draft_weights(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """Draft layers of the checkpoint; or an external head: a projection of three hidden states, one dense layer, an output head."""
    if not stage.last or not start.deployment.speculative_tokens:
        return []
    architecture, table = start.architecture, weight_table(start.architecture)
    if not external_head(start):
        size = table.draft_bytes(cut)
        inputs: dict[str, Any] = {"layers": len(architecture.mtp)}
        return [item("weights_draft", size, low=size * 0.95, high=size * 1.1, inputs=inputs, evidence=Evidence.EXACT)] if size else []
    layer = sum(table.layer_bytes(table.kind_of[0], cut).values())
    head = sum(table.stage_bytes(range(0), cut, first=False, last=True, tied=architecture.tied_head).values())
    projection = 3 * architecture.hidden_size**2 * 2
    size = layer + head + projection
    inputs = {"layer_bytes": layer, "head_bytes": head, "projection_bytes": projection}
    return [item("weights_draft", size, low=size * 0.6, high=size * 1.3, inputs=inputs, evidence=Evidence.ASSUMED)]


# ---- adapters -------------------------------------------------------------------------------------------------------


def adapter_slots(start: Start, stage: Stage) -> list[Item]:
    """Slots for LoRA adapters: two thin matrices beside every linear layer outside the experts."""
    if not start.flag("enable_lora", False):
        return []
    slots, rank = start.whole("max_loras", 1, 4096), start.whole("max_lora_rank", 16, 4096)
    tp = start.layout.tp
    rows = 0
    for index in stage.layers:
        for tensor in start.architecture.layers[index].all_tensors():
            if tensor.linear and len(tensor.shape) == 2 and tensor.copies == 1 and tensor.group not in ("router", "vision"):
                outputs, inputs = tensor.shape
                cut_outputs = tensor.split in (Split.COLUMN, Split.KV_HEADS, Split.VOCABULARY)
                rows += cut_units(size=outputs, parts=tp if cut_outputs else 1) + cut_units(size=inputs, parts=tp if tensor.split is Split.ROW else 1)
    values = {"slots": slots, "rank": rank, "rows": rows, "element_bytes": 2}
    size = adapter_bytes(**values)
    return [
        item("weights_adapters", size, low=size * 0.9, high=size * 1.2, formula="memory.weights.adapters", inputs=values, evidence=Evidence.EXACT)
    ]
