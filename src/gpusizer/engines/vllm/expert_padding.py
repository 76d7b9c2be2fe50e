"""What routed experts take beyond their tensors: longer rows on ROCm, wider experts on Hopper and large Blackwell cards, indices without Marlin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import Split, Tensor
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.part_table import LayerSize
from gpusizer.engines.base.types import Item, Section
from gpusizer.engines.base.weights import ROUTED, Cut, StoredTensor, group_bytes, once_per_architecture, rank_shape, routed_block, weight_table
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded_experts import expert_index_bytes, padded_experts_bytes
from gpusizer.formulas.memory.weights import cut_units, experts_per_rank, padded_size
from gpusizer.once import Remembered

__all__ = [
    "BESIDE",
    "REPACKED_SPREAD",
    "aligns_experts",
    "padded_experts",
    "padded_of",
    "pads_experts",
    "plain_byte_experts",
    "unfused_experts",
]

_SOURCE = "vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/"

PADDED_ROWS, ROW_PADDING = 512, 256  # rows of unquantised experts in multiples of the one are longer by the other [bytes]
ALIGNED_WIDTH = 128  # elements of an expert without a gate, for kernels of FlashInfer: vllm-project/vllm#33506, min_alignment
ALIGNED_SINCE = (0, 16)


def pads_experts(start: Start) -> bool:
    """Whether rows of unquantised experts are padded."""
    return start.accelerator.vendor == "AMD"


def aligns_experts(start: Start) -> bool:
    """Whether experts of one byte without a gate are widened."""
    return 9 <= start.capability < 11 and start.version >= ALIGNED_SINCE


def plain_byte_experts(tensors: Iterable[tuple[Tensor, StorageFormat]]) -> bool:
    """Whether routed experts have one byte an element and no gate: as many elements before as after their activation."""
    params = {Split.COLUMN: 0, Split.ROW: 0}
    for tensor, form in tensors:
        if tensor.group == ROUTED and form.bits == 8 and len(tensor.shape) == 2 and tensor.split in params:
            params[tensor.split] += tensor.params
    return 0 < params[Split.COLUMN] == params[Split.ROW]


def padded_of(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    """What the routed experts of one layer take beyond their tensors once they are padded, by the rule for their format. [bytes]"""
    routed = [one for one in tensors if one.group == ROUTED and len(one.shape) == 2]
    inner, outer = ([one for one in routed if one.split is split] for split in (Split.COLUMN, Split.ROW))
    if not inner or not outer:
        return 0
    if all(one.form.bits == 16 for one in routed):
        return _longer_rows(inner, outer, cut)
    return _wider(inner, outer, cut) if all(one.form.bits == 8 for one in routed) else 0


def _longer_rows(inner: Sequence[StoredTensor], outer: Sequence[StoredTensor], cut: Cut) -> int:
    size = padded_experts_bytes(
        inner_bytes=2 * _elements(inner, cut),
        inner_row_bytes=2 * rank_shape(inner[-1], cut)[0][1],
        outer_bytes=2 * _elements(outer, cut),
        outer_row_bytes=2 * rank_shape(outer[-1], cut)[0][1],
        row_multiple=PADDED_ROWS,
        padding_bytes=ROW_PADDING,
    )
    return int(size)


def _wider(inner: Sequence[StoredTensor], outer: Sequence[StoredTensor], cut: Cut) -> int:
    """Nothing where there is a gate: its kernels need multiples of 16 alone."""
    before, after = _elements(inner, cut), _elements(outer, cut)
    if before != after:
        return 0
    width = rank_shape(inner[0], cut)[0][0]
    return int((before + after) * (padded_size(size=width, multiple=ALIGNED_WIDTH) - width) // width)


def _elements(tensors: Iterable[StoredTensor], cut: Cut) -> int:
    total = 0
    for one in tensors:
        (rows, columns), copies = rank_shape(one, cut)
        total += one.count * copies * rows * columns
    return total


@once_per_architecture
def _padded(architecture: Architecture) -> Remembered[tuple[Stage, Cut], int]:
    return Remembered(1024)


def padded_experts(architecture: Architecture, stage: Stage, cut: Cut) -> int:
    """What the routed experts of a stage take beyond their tensors once they are padded (remembered). [bytes]"""
    table = weight_table(architecture)

    def of_stage() -> int:
        kinds = Counter(table.kind_of[index] for index in stage.layers)
        return sum(count * padded_of(table.kinds[kind], cut) for kind, count in kinds.items())

    return _padded(architecture).once((stage, cut), of_stage)


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


BESIDE: Mapping[str, LayerSize] = {"padded": padded_of, "indices": indices_of, "repacked": repacked_of, "repacked_layers": is_repacked}
"""What kernels add to the experts of a layer, by name."""
