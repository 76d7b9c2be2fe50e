"""What vLLM adds to the stored tensors: padding of expert kernels, tables of positions, slack of the allocator, draft layers, adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, Split, Tensor
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.part_table import LayerSize
from gpusizer.engines.base.types import Inputs, Item, Section
from gpusizer.engines.base.weights import (
    ROUTED,
    Cut,
    ExpertPadding,
    StoredTensor,
    group_bytes,
    once_per_architecture,
    rank_shape,
    routed_block,
    weight_table,
)
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import allocation_slack_bytes, expert_index_bytes, group_sum_bytes, padded_experts_bytes, rope_table_bytes
from gpusizer.formulas.memory.weights import cut_units, experts_per_rank
from gpusizer.once import Remembered
from gpusizer.units import MiB

__all__ = [
    "BESIDE",
    "REPACKED_SPREAD",
    "TABLES_ON_HOST",
    "WHOLE_STEPS",
    "block_shares",
    "chunk_tokens",
    "deeper_levels",
    "expert_paddings",
    "has_own_head",
    "own_head",
    "padded_experts",
    "position_tables",
    "reads_packed",
    "rotations_of",
    "slack_bytes",
    "slack_of",
    "square_bytes",
    "tables_on_host",
    "unfolds_scales",
    "unfused_experts",
]

_SOURCE = "vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/"


# 0.30.0: vllm/envs.py gives VLLM_PLE_CPU_OFFLOAD = 1, the default of vllm/config/engram.py on CUDA; elsewhere there is no such configuration.
TABLES_ON_HOST = (
    "vllm-project/vllm: vllm/config/engram.py, vllm/models/qwen4_exp/common/ngram_embedding.py",
    "eugr/spark-vllm-docker issue 388: VLLM_PLE_TABLE_MEMORY=disk",
)


def tables_on_host(start: Start) -> bool:
    """Whether tables of n-grams lie in a file, or in memory of the host that is not the device's: as ``--engram-config`` says, else on CUDA."""
    if start.flag("ple_table_memory") == "disk":
        return True
    if start.accelerator.unified_memory:
        return False
    told = start.flag("engram_config")
    chosen = told.get("cpu_offload") if isinstance(told, Mapping) else None
    return chosen if isinstance(chosen, bool) else start.accelerator.vendor == "NVIDIA"


def expert_paddings(start: Start) -> tuple[ExpertPadding, ...]:
    """Multiples that the kernel of MXFP4 experts needs, by device and version (None of another format is padded)."""
    accelerator, version = start.accelerator, start.version
    if accelerator.vendor == "AMD":
        return (ExpertPadding("mxfp4", 256, 256),)
    if 9 <= start.capability < 10 and (0, 10, 2) <= version < (0, 17):
        return (ExpertPadding("mxfp4", 64, 256),)  # Triton kernels; Marlin before and after
    return (ExpertPadding("mxfp4", 128, 256),)


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
    return [computed("weights_head", group_sum_bytes, section=Section.WEIGHTS, embedding=weight_table(architecture).embedding_bytes(cut))]


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
    proportional = any("proportional" in (each.get("rope_type"), each.get("type")) for each in sections)
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
            if proportional and isinstance(mixer, Attention) and not windowed:
                width = mixer.head_dim  # what is not rotated is rotated by nothing (rotary_embedding/gemma4_rope.py)
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
    tables: list[Inputs] = []
    for number in sorted(used):
        width, count, element = rotations[number]
        if width and count:
            tables.append({"positions": count, "rotary_dim": width, "element_bytes": 4 if wide else element})
    sources = (_SOURCE + "rotary_embedding/base.py",)
    if not tables:
        return []
    if len(tables) == 1:
        return [computed("weights_tables", rope_table_bytes, section=Section.WEIGHTS, sources=sources, **tables[0])]
    sizes: Inputs = {f"table_{number}_bytes": rope_table_bytes(**inputs) for number, inputs in enumerate(tables, 1)}
    return [computed("weights_tables", sum_bytes, section=Section.WEIGHTS, sources=sources, **sizes)]


# ---- buffers and scales that are made while loading -------------------------------------------------------------------


def deeper_levels(architecture: Architecture) -> int:
    """Levels of the vision tower beside its last that the language part reads."""
    tower = architecture.config.get("vision_config")
    levels = tower.get("deepstack_visual_indexes") if isinstance(tower, Mapping) else None
    return len(levels) if isinstance(levels, list | tuple) else 0


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


def square_bytes(start: Start, stage: Stage, cut: Cut) -> int:
    """Weights in FP8 with a scale for each square block, whose scales are unfolded to one for each output: where the card has no such arithmetic, and
    of experts where the operator chose that kernel. [bytes]"""
    everywhere = unfolds_scales(start)
    if not everywhere and (start.accelerator.vendor != "NVIDIA" or start.flag("moe_backend") != "marlin"):
        return 0
    shares = _block_shares(start.architecture)
    groups = [group for group in shares if everywhere or group == "routed_experts"]
    if not groups:
        return 0
    table = weight_table(start.architecture).stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=False)
    return round(sum(table.get(group, 0) * shares[group][0] for group in groups))


NATIVE_BYTE_FLOATS = 8.9  # compute capability; below, weights of FP8 are read by a kernel for small formats


def unfolds_scales(start: Start) -> bool:
    """Whether every scale of FP8 blocks is unfolded: cards of NVIDIA that have no such arithmetic."""
    return start.accelerator.vendor == "NVIDIA" and 0 < start.capability < NATIVE_BYTE_FLOATS


# ---- experts in small integers on NVIDIA ----------------------------------------------------------------------------

# VLLM_FUSED_MOE_CHUNK_SIZE: vllm-project/vllm#7995; 16,384 in vllm/envs.py of 0.12; taken away in spring 2026 (issue 30620).
_CHUNKS: tuple[tuple[tuple[int, ...], int], ...] = (((0, 17), 1 << 24), ((0, 12), 16384), ((0, 6), 32768), ((0,), 65536))
WHOLE_STEPS = _CHUNKS[0][1]


def chunk_tokens(start: Start) -> int:
    """Tokens that routed experts of a version take at once; those of few bits take all. [tokens]"""
    chunk = next(tokens for since, tokens in _CHUNKS if start.version >= since)
    return WHOLE_STEPS if reads_packed(start) else chunk


MODULAR_PACKED = (0, 19)  # experts of few bits share their buffers with all others; before, fused_marlin_moe made its own


def reads_packed(start: Start) -> bool:
    """Whether routed experts are read in groups of integers by a kernel that makes its own buffers, one of them of the experts' inner width alone."""
    if start.accelerator.vendor != "NVIDIA" or start.version >= MODULAR_PACKED:
        return False
    return _packed_experts(start.architecture)


@once_per_architecture
def _packed_experts(architecture: Architecture) -> bool:
    return any(form.id.startswith("int4") for _, _, tensor, form in stored_tensors(architecture) if tensor.group == "routed_experts")


# ---- experts in small integers on ROCm --------------------------------------------------------------------------------

INDICES, INDEX_BYTES = 2, 4  # the group of an input and its place in the order
REPACKED_SPREAD = Spread(0.5, 0.3)


def unfused_experts(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """What experts in symmetric groups of integers keep where no Marlin kernel runs: their indices stay, and as ROCm counts what is taken from the
    device (vllm/platforms/rocm.py, get_current_memory_usage), so does the memory of one layer that was repacked."""
    architecture, table = start.architecture, weight_table(start.architecture)
    if start.accelerator.vendor != "AMD":
        return []
    inputs = {index: _integer_inputs(table.kinds[table.kind_of[index]], cut) for index in stage.layers}
    found = [index for index in stage.layers if inputs[index]]
    block = routed_block(architecture.layers[found[0]]) if found else None
    if block is None:
        return []
    return [
        computed(
            "weights_indices",
            expert_index_bytes,
            section=Section.WEIGHTS,
            sources=(_SOURCE + "quantization/compressed_tensors/compressed_tensors_moe/compressed_tensors_moe_wna16.py",),
            layers=len(found),
            experts=experts_per_rank(experts=block.experts, redundant=cut.redundant_experts, ep=cut.ep),
            inputs=inputs[found[0]],
            indices=INDICES,
            index_bytes=INDEX_BYTES,
        ),
        computed(
            "weights_repacked",
            sum_bytes,
            section=Section.WEIGHTS,
            band=REPACKED_SPREAD,
            experts_bytes=sum(table.layer_bytes(table.kind_of[index], cut).get(ROUTED, 0) for index in found) / len(found),
        ),
    ]


def indices_of(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """What these experts keep of one layer. [bytes]"""
    layer = tuple(tensors)
    inputs = _integer_inputs(layer, cut)
    experts = sum(one.count * rank_shape(one, cut)[1] for one in layer if one.group == ROUTED and one.split is Split.ROW and len(one.shape) == 2)
    return int(expert_index_bytes(layers=1, experts=experts, inputs=inputs, indices=INDICES, index_bytes=INDEX_BYTES)) if inputs else 0


def repacked_of(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """The experts of a layer that is repacked. [bytes]"""
    layer = tuple(tensors)
    return group_bytes(layer, cut).get(ROUTED, 0) if _integer_inputs(layer, cut) else 0


def is_repacked(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """1 for a layer whose experts are repacked."""
    return int(_integer_inputs(tensors, cut) > 0)


def _integer_inputs(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """Inputs of both matrices of one expert on one rank; 0 where they are not symmetric integers in groups."""
    sides = {}
    for stored in tensors:
        form = stored.form
        grouped = form.rows == 1 and form.columns and form.scale_bits == 16  # scales of four-bit floats have 8 bits, those of FP8 blocks 32
        if grouped and not (form.zero_bits or form.column_bits) and stored.group == ROUTED and len(stored.shape) == 2:
            down = stored.split is Split.ROW
            sides[down] = cut_units(size=stored.shape[1], parts=cut.experts_tp if down else 1)
    return sum(sides.values())


# ---- experts whose rows are padded on ROCm ----------------------------------------------------------------------------

PADDED_ROWS, ROW_PADDING = 512, 256  # rows of multiples of the one are longer by the other [bytes]


def padded_of(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """What the unquantised routed experts of one layer take beyond their tensors once their rows are padded. [bytes]"""
    sizes = {Split.COLUMN: 0, Split.ROW: 0}
    rows = {Split.COLUMN: 1, Split.ROW: 1}
    for one in tensors:
        if one.group == "routed_experts" and one.form.bits == 16 and len(one.shape) == 2 and one.split in sizes:
            shape, copies = rank_shape(one, cut)
            rows[one.split] = shape[1] * one.form.bits // 8
            sizes[one.split] += one.count * copies * shape[0] * rows[one.split]
    if not sizes[Split.COLUMN] or not sizes[Split.ROW]:
        return 0
    size = padded_experts_bytes(
        inner_bytes=sizes[Split.COLUMN],
        inner_row_bytes=rows[Split.COLUMN],
        outer_bytes=sizes[Split.ROW],
        outer_row_bytes=rows[Split.ROW],
        row_multiple=PADDED_ROWS,
        padding_bytes=ROW_PADDING,
    )
    return int(size)


@once_per_architecture
def _padded(architecture: Architecture) -> Remembered[tuple[Stage, Cut], int]:
    return Remembered(1024)


def padded_experts(architecture: Architecture, stage: Stage, cut: Cut) -> int:
    """What the unquantised routed experts of a stage take beyond their tensors where their rows are padded (remembered). [bytes]"""
    table = weight_table(architecture)

    def of_stage() -> int:
        kinds = Counter(table.kind_of[index] for index in stage.layers)
        return sum(count * padded_of(table.kinds[kind], cut) for kind, count in kinds.items())

    return _padded(architecture).once((stage, cut), of_stage)


BESIDE: Mapping[str, LayerSize] = {"padded": padded_of, "indices": indices_of, "repacked": repacked_of, "repacked_layers": is_repacked}
"""What ROCm adds to the experts of a layer, by name."""


# ---- slack of the allocator -----------------------------------------------------------------------------------------

SHARED_BELOW, SEGMENT, LARGEST_REST = 10 * MiB, 2 * MiB, MiB


def slack_of(sizes: Iterable[int]) -> int:
    """What the allocator counts beyond matrices of these sizes. [bytes]"""
    limits = {"smallest_bytes": SHARED_BELOW, "segment_bytes": SEGMENT, "largest_rest_bytes": LARGEST_REST}
    return sum(int(allocation_slack_bytes(size_bytes=size, **limits)) for size in sizes)


@once_per_architecture
def _slacks(architecture: Architecture) -> Remembered[tuple[Stage, Cut], int]:
    return Remembered(1024)


def slack_bytes(architecture: Architecture, stage: Stage, cut: Cut) -> int:
    """What the allocator counts beyond the matrices of a stage (remembered). [bytes]"""
    return _slacks(architecture).once((stage, cut), lambda: _slack_bytes(architecture, stage, cut))


def _slack_bytes(architecture: Architecture, stage: Stage, cut: Cut) -> int:
    parameters = weight_table(architecture).stage_parameters(stage.layers, cut, first=stage.first, last=stage.last)
    return sum(count * slack_of(sizes) for count, sizes in parameters)
