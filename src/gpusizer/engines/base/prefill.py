"""Activations of one prefill step, for engines whose logs do not say them: the widest block of a layer and the work buffers of its experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.constants import HIDDEN_COPIES, HIDDEN_COPIES_BASIS, INTERMEDIATE_COPIES
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Evidence, Item, Layout, Section
from gpusizer.engines.base.weights import once_per_architecture, routed_block
from gpusizer.formulas.core import kept, where
from gpusizer.formulas.memory.activation import decoder_block_bytes, expert_workspace_bytes, prefill_step_bytes

__all__ = ["PrefillCut", "PrefillModel", "prefill_cut", "prefill_cut_of", "prefill_model", "prefill_peak"]

_ELEMENT_BYTES = 2


@dataclass(frozen=True, slots=True)
class PrefillModel:
    """A model as a prefill step feels it; what it does not have is 0."""

    axes: ClassVar[tuple[str, ...]] = ("model",)

    hidden: Any
    width: Any  # of the widest dense block
    top_k: Any
    expert_width: Any
    gate_up: Any
    expert_hidden: Any


@once_per_architecture
def prefill_model(architecture: Architecture) -> PrefillModel:
    """Collect what a prefill step depends on (remembered): the widest dense block, and the block whose experts are widest together."""
    blocks = [routed_block(layer) for layer in architecture.layers]
    experts = max((block for block in blocks if block is not None), key=lambda block: block.top_k * block.expert_width, default=None)
    return PrefillModel(
        hidden=architecture.hidden_size,
        width=max((getattr(block, "width", 0) for layer in architecture.layers for block in layer.feed_forwards), default=0),
        top_k=experts.top_k if experts else 0,
        expert_width=experts.expert_width if experts else 0,
        gate_up=(2 if experts.gated else 1) if experts else 0,
        expert_hidden=experts.expert_hidden if experts else 0,
    )


@dataclass(frozen=True, slots=True)
class PrefillCut:
    """How a layout cuts a prefill step."""

    axes: ClassVar[tuple[str, ...]] = ("layout",)

    ranks: Any  # that cut dense blocks
    expert_cut: Any  # ranks that cut the matrices of routed experts
    expert_ranks: Any  # that share out whole experts


def prefill_cut(layout: Layout) -> PrefillCut:
    """Dense blocks and experts are cut over all ranks, attention-data-parallel ones among them."""
    ranks = layout.tp * layout.dp
    return PrefillCut(ranks, 1 if layout.ep > 1 else ranks, max(layout.ep, 1))


def prefill_cut_of(tp: Any, *, whole_experts: Any) -> PrefillCut:
    """The same for figures of a sheet: experts are cut over all ranks, or shared out whole."""
    return PrefillCut(tp, where(whole_experts, 1, tp), where(whole_experts, tp, 1))


def prefill_peak(model: PrefillModel, cut: PrefillCut, tokens: Any, *, band: Spread, evidence: Evidence, workspace_factor: Any = 1.0) -> Item:
    """Tensors of one prefill step, without branches.

    Parameters
    ----------
    model, cut : PrefillModel, PrefillCut
        The model, and how a layout cuts it.
    tokens : int
        Tokens of the step. [tokens]
    band : Spread
        Band of the peak, as shares.
    evidence : Evidence
        How surely it is known.
    workspace_factor : float
        What the engine sets aside for each byte of the widest point. [factor]

    Returns
    -------
    Item
        The line.
    """
    block = decoder_block_bytes(
        tokens=tokens,
        element_bytes=_ELEMENT_BYTES,
        intermediate=model.width / cut.ranks,
        intermediate_copies=INTERMEDIATE_COPIES,
        hidden=model.hidden,
        hidden_copies=HIDDEN_COPIES,
    )
    experts = expert_workspace_bytes(
        tokens=tokens,
        top_k=model.top_k,
        intermediate=model.expert_width / cut.expert_cut,
        gate_up=model.gate_up,
        hidden=model.expert_hidden,
        wide=1,
        element_bytes=_ELEMENT_BYTES,
    )
    return computed(
        "activation_peak",
        prefill_step_bytes,
        section=Section.ACTIVATION,
        band=band,
        evidence=evidence,
        sources=(HIDDEN_COPIES_BASIS.source,),
        block_bytes=kept("block", block),
        expert_bytes=kept("experts", where(model.top_k > 0, experts, 0)),
        expert_ranks=cut.expert_ranks,
        workspace_factor=workspace_factor,
    )
