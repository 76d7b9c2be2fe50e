"""What vLLM adds to the stored tensors: padding of expert kernels, tables of positions, slack of the allocator, draft layers, adapters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.listed import ListedFormats
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, Tensor
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Inputs, Item, Section
from gpusizer.engines.base.weights import Cut, ExpertPadding, once_per_architecture, weight_table
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import allocation_slack_bytes, group_sum_bytes, rope_table_bytes
from gpusizer.once import Remembered
from gpusizer.units import MiB

__all__ = [
    "TABLES_ON_HOST",
    "WHOLE_STEPS",
    "block_shares",
    "chunk_tokens",
    "deeper_levels",
    "expert_paddings",
    "has_own_head",
    "native_tower",
    "own_head",
    "position_tables",
    "reads_packed",
    "rotations_of",
    "slack_bytes",
    "slack_of",
    "square_bytes",
    "tables_on_host",
    "unfolds_scales",
    "whole_tower",
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


NATIVE_FORMAT = (0, 12)  # a repository that also holds Mistral's own format is read in it: vllm/transformers_utils/config.py, is_mistral_model_repo


def whole_tower(start: Start) -> bool:
    """Whether every rank holds the whole tower: as ``--mm-encoder-tp-mode`` says, and that of Mistral's own format, which is not cut
    (vllm/model_executor/models/pixtral.py, VisionTransformer); copies of others are in the common format."""
    if start.flag("mm_encoder_tp_mode") == "data":
        return True
    return start.version >= NATIVE_FORMAT and native_tower(start.architecture)


def native_tower(architecture: Architecture) -> bool:
    """Whether a checkpoint of Mistral's own has a tower."""
    quantization = architecture.quantization
    own = not quantization.asked and not isinstance(quantization, ListedFormats)
    return own and architecture.config.get("model_type") in ("mistral3", "pixtral")


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
