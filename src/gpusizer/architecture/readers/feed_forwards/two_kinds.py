"""Experts for text and narrower ones for images in one layer (ERNIE VL): each token uses those of its own kind."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS
from gpusizer.architecture.readers.feed_forwards.dense import gated
from gpusizer.architecture.readers.feed_forwards.experts import read_experts
from gpusizer.architecture.readers.registry import FeedForwardReader, register_feed_forward
from gpusizer.architecture.readers.tensor_kit import expert_matrices
from gpusizer.architecture.types import FeedForward, MixtureOfExperts, Tensor

__all__ = ["read_two_kinds"]


def read_two_kinds(layer: LayerContext) -> tuple[FeedForward, ...]:
    """The text experts, then those for images, of which a text token uses none."""
    count, width = layer.needed("image_experts", *EXPERT_COUNTS), layer.needed("image_expert_width")
    name = "mlp.vision_moe."
    tensors: tuple[Tensor, ...] = (Tensor(f"{name}gate.weight", (count, layer.hidden), "router", linear=True),)
    tensors += (Tensor(f"{name}gate.moe_statics.e_score_correction_bias", (1, count), "router", dtype="fp32"),)
    names = (f"{name}experts.*.gate_proj", f"{name}experts.*.up_proj", f"{name}experts.*.down_proj")
    tensors += expert_matrices(names, width, layer.hidden, count, gated=gated(layer))
    return (*read_experts(layer), MixtureOfExperts(count, 0, width, layer.hidden, gated(layer), tensors))


register_feed_forward(
    FeedForwardReader("two-kinds", lambda layer: layer.block == "experts" and layer.keys.has("image_expert_width"), read_two_kinds, order=80)
)
