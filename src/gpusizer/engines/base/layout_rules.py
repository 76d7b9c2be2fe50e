"""Which cuts a model allows: heads, key/value heads, widths, experts and quantisation blocks must divide; reasons are codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import DenseMLP, MixtureOfExperts, Notice, Split, Tensor
from gpusizer.engines.base.types import Layout
from gpusizer.engines.base.weights import ROUTED, once_per_architecture

__all__ = ["Dimensions", "dimensions", "layout_problem", "problem_of", "scale_blocks", "shape_dimensions"]


HALVED_GROUP = 32
"""Groups of routed experts in int4 are halved down to this where a cut needs it: ``moe_wna16.py``, create_weights, of vLLM and of SGLang."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a cut must divide, over all layers.

    Parameters
    ----------
    heads, kv_heads, state_heads, dense_widths, expert_widths, experts : frozenset of int
        Distinct values in the model.
    blocks : frozenset of tuple
        Width and scale block of quantised matrices that a tensor-parallel cut goes through: (routed, width, block, format).
    """

    heads: frozenset[int]
    kv_heads: frozenset[int]
    state_heads: frozenset[int]
    dense_widths: frozenset[int]
    expert_widths: frozenset[int]
    experts: frozenset[int]
    blocks: frozenset[tuple[bool, int, int, str]]


def _block(form: StorageFormat, split: Split) -> int:
    """Rows or columns that share a scale in the dimension that is cut; 0 where a cut may go anywhere."""
    if form.block_elements > 1:
        return form.block_elements if split is Split.ROW else 0
    if not form.scale_bits:
        return 0
    return form.columns if split is Split.ROW else (form.rows if form.rows > 1 else 0)


@once_per_architecture
def dimensions(architecture: Architecture) -> Dimensions:
    """Collect what a cut must divide (remembered)."""
    inside = ((tensor, form) for index, _, tensor, form in stored_tensors(architecture) if index is not None)
    return replace(shape_dimensions(architecture), blocks=scale_blocks(inside))


def scale_blocks(tensors: Iterable[tuple[Tensor, StorageFormat]]) -> frozenset[tuple[bool, int, int, str]]:
    """Width and scale block of the quantised matrices of layers that a tensor-parallel cut goes through: (routed, width, block, format)."""
    blocks: set[tuple[bool, int, int, str]] = set()
    for tensor, form in tensors:
        if len(tensor.shape) != 2 or tensor.split not in (Split.COLUMN, Split.ROW):
            continue
        size = _block(form, tensor.split)
        if size > 1:
            blocks.add((tensor.group == ROUTED, tensor.shape[-1] if tensor.split is Split.ROW else tensor.shape[0], size, form.id))
    return frozenset(blocks)


def shape_dimensions(architecture: Architecture) -> Dimensions:
    """What a cut must divide whatever the number format."""
    heads: set[int] = set()
    kv_heads: set[int] = set()
    state_heads: set[int] = set()
    dense: set[int] = set()
    widths: set[int] = set()
    experts: set[int] = set()
    for layer in architecture.layers:
        for mixer in layer.mixers:
            heads.add(mixer.query_heads)
            kv_heads.add(mixer.cut_kv_heads)
            state_heads.update(mixer.divided_heads)
        for block in layer.feed_forwards:
            match block:
                case DenseMLP():
                    dense.add(block.width)
                case MixtureOfExperts():
                    experts.add(block.experts)
                    widths.add(block.expert_width)
                case _:
                    assert_never(block)
    heads.discard(0)
    kv_heads.discard(0)
    return Dimensions(
        frozenset(heads), frozenset(kv_heads), frozenset(state_heads), frozenset(dense), frozenset(widths), frozenset(experts), frozenset()
    )


def layout_problem(
    architecture: Architecture,
    layout: Layout,
    *,
    redundant_experts: int = 0,
    padded_formats: frozenset[str] = frozenset(),
    cuts_shared: bool = False,
    own_blocks: bool = True,
) -> Notice | None:
    """Why a model cannot be cut this way; None where it can.

    Parameters
    ----------
    architecture : Architecture
        The model.
    layout : Layout
        How one replica is cut.
    redundant_experts : int
        Copies of experts, all ranks together.
    padded_formats : frozenset of str
        Formats of routed experts that the engine pads to whole blocks, so that any cut will do.
    cuts_shared : bool
        Fewer expert-parallel groups than ranks are legal: the ranks of a group cut its experts.
    own_blocks : bool
        The checkpoint itself says its blocks; where a precision stands for what publishers make of it, a cut through a block that we took for granted
        refuses nothing.

    Returns
    -------
    Notice or None
        A reason's code with what was found.
    """
    sizes = dimensions(architecture) if own_blocks else shape_dimensions(architecture)
    return problem_of(sizes, len(architecture.layers), layout, redundant_experts, padded_formats, cuts_shared=cuts_shared)


def problem_of(
    sizes: Dimensions,
    layers: int,
    layout: Layout,
    redundant_experts: int = 0,
    padded_formats: frozenset[str] = frozenset(),
    *,
    cuts_shared: bool = False,
) -> Notice | None:
    """Why dimensions that are at hand cannot be cut this way; see :func:`layout_problem`."""
    for name, value in (("tp", layout.tp), ("pp", layout.pp), ("dp", layout.dp), ("ep", layout.ep), ("dcp", layout.dcp)):
        if value < 1:
            return Notice("layout-not-positive", {"name": name, "value": value})
    if layout.pp > layers:
        return Notice("pp-more-than-layers", {"pp": layout.pp, "layers": layers})
    return (
        _tensor_parallel_problem(sizes, layout)
        or _experts_problem(sizes, layout, redundant_experts, cuts_shared=cuts_shared)
        or _block_problem(sizes, layout, padded_formats)
    )


def _tensor_parallel_problem(sizes: Dimensions, layout: Layout) -> Notice | None:
    tp = layout.tp
    for heads in sorted(sizes.heads):
        if heads % tp:
            return Notice("tp-heads", {"tp": tp, "heads": heads})
    for heads in sorted(sizes.kv_heads):
        if heads % tp and tp % heads:
            return Notice("tp-kv-heads", {"tp": tp, "kv_heads": heads})
    for heads in sorted(sizes.state_heads):
        if heads % tp:
            return Notice("tp-state-heads", {"tp": tp, "heads": heads})
    for width in sorted(sizes.dense_widths):
        if width % tp:
            return Notice("tp-width", {"tp": tp, "width": width})
    if tp % layout.dcp:
        return Notice("dcp-not-in-tp", {"tp": tp, "dcp": layout.dcp})
    return None


def _expert_cut(layout: Layout) -> int:
    """Ranks that cut one expert: all of them, or those of a group that shares whole experts with the other groups."""
    ranks = layout.tp * layout.dp
    return max(ranks // layout.ep, 1) if layout.ep > 1 else ranks


def _experts_problem(sizes: Dimensions, layout: Layout, redundant: int, *, cuts_shared: bool) -> Notice | None:
    ranks = layout.tp * layout.dp
    if layout.ep > 1:
        if not sizes.experts:
            return Notice("ep-without-experts", {"ep": layout.ep})
        if cuts_shared and ranks % layout.ep:
            return Notice("ep-does-not-divide", {"ep": layout.ep, "ranks": ranks})
        if not cuts_shared and layout.ep != ranks:
            return Notice("ep-not-tp-times-dp", {"ep": layout.ep, "tp": layout.tp, "dp": layout.dp})
        for experts in sorted(sizes.experts):
            if experts + redundant < layout.ep:
                return Notice("ep-more-than-experts", {"ep": layout.ep, "experts": experts + redundant})
    cut = _expert_cut(layout)
    for width in sorted(sizes.expert_widths):
        if width % cut:
            return Notice("tp-expert-width", {"tp": cut, "width": width})
    return None


def _block_problem(sizes: Dimensions, layout: Layout, padded: frozenset[str]) -> Notice | None:
    for routed, width, block, form in sorted(sizes.blocks):
        if routed and form in padded:
            continue
        cut = _expert_cut(layout) if routed else layout.tp
        least = min(block, HALVED_GROUP) if routed and form == "int4" else block
        if cut > 1 and width // cut % least:
            return Notice("tp-quantisation-block", {"tp": cut, "width": width, "block": block})
    return None
