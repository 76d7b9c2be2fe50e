"""Activations of one prefill step, for engines whose logs do not say them: the widest block of a layer and the work buffers of its experts."""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import MixtureOfExperts
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.constants import HIDDEN_COPIES, HIDDEN_COPIES_BASIS, INTERMEDIATE_COPIES
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Evidence, Item, Section
from gpusizer.engines.base.weights import once_per_architecture, routed_block
from gpusizer.formulas.memory.activation import decoder_block_bytes, expert_workspace_bytes, prefill_step_bytes

__all__ = ["prefill_peak"]

_ELEMENT_BYTES = 2


@once_per_architecture
def _widest(architecture: Architecture) -> tuple[int, MixtureOfExperts | None]:
    """Width of the widest dense block, and the block whose experts are widest together."""
    blocks = [routed_block(layer) for layer in architecture.layers]
    experts = max((block for block in blocks if block is not None), key=lambda block: block.top_k * block.expert_width, default=None)
    return max((getattr(block, "width", 0) for layer in architecture.layers for block in layer.feed_forwards), default=0), experts


def prefill_peak(start: Start, tokens: int, *, band: Spread, evidence: Evidence, workspace_factor: float = 1.0, with_experts: bool = True) -> Item:
    """Tensors of one prefill step.

    Parameters
    ----------
    start : Start
        The start; dense blocks and experts are cut over all its ranks.
    tokens : int
        Tokens of the step. [tokens]
    band : Spread
        Band of the peak, as shares.
    evidence : Evidence
        How surely it is known.
    workspace_factor : float
        What the engine sets aside for each byte of the widest point. [factor]
    with_experts : bool
        Routed experts have work buffers of their own.

    Returns
    -------
    Item
        The line.
    """
    layout = start.layout
    ranks = layout.tp * layout.dp
    width, experts = _widest(start.architecture)
    block = decoder_block_bytes(
        tokens=tokens,
        element_bytes=_ELEMENT_BYTES,
        intermediate=width / ranks,
        intermediate_copies=INTERMEDIATE_COPIES,
        hidden=start.architecture.hidden_size,
        hidden_copies=HIDDEN_COPIES,
    )
    workspace = 0
    if with_experts and experts is not None:
        workspace = expert_workspace_bytes(
            tokens=tokens,
            top_k=experts.top_k,
            intermediate=experts.expert_width / (1 if layout.ep > 1 else ranks),
            gate_up=2 if experts.gated else 1,
            hidden=experts.expert_hidden,
            element_bytes=_ELEMENT_BYTES,
        )
    return computed(
        "activation_peak",
        prefill_step_bytes,
        section=Section.ACTIVATION,
        band=band,
        evidence=evidence,
        sources=(HIDDEN_COPIES_BASIS.source,),
        block_bytes=float(block),
        expert_bytes=workspace,
        expert_ranks=max(layout.ep, 1),
        workspace_factor=workspace_factor,
    )
