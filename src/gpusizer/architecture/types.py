"""What a model is: a list of layers, each a mixer and a feed-forward block, and the tensors that they store.

A *mixer* moves information between tokens (attention of some kind, or a recurrent state); a *feed-forward block* works on one token.
Every memory and speed figure follows from these shapes, never from a family's name. A reader (``architecture/readers``) turns a configuration
into these types; engines ask the mixers what they cache and the tensors how they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gpusizer.architecture.mixer_base import Indexer, MixerBase, State, StateMixer
from gpusizer.architecture.mixers import (
    Attention,
    CompressedAttention,
    CrossAttention,
    EncoderAttention,
    LatentAttention,
    LinearAttention,
    Mixer,
    RelativeAttention,
    StateSpace,
)
from gpusizer.architecture.tensor import Split, Tensor

__all__ = [
    "Attention",
    "CompressedAttention",
    "CrossAttention",
    "DenseMLP",
    "EncoderAttention",
    "FeedForward",
    "Indexer",
    "LatentAttention",
    "Layer",
    "LinearAttention",
    "Mixer",
    "MixerBase",
    "MixtureOfExperts",
    "Notice",
    "RelativeAttention",
    "Split",
    "State",
    "StateMixer",
    "StateSpace",
    "Tensor",
]

_Kind = TypeVar("_Kind", bound=MixerBase)


@dataclass(frozen=True, slots=True)
class DenseMLP:
    """A feed-forward block that every token passes; ``gated`` has three matrices, plain two."""

    width: int
    gated: bool
    tensors: tuple[Tensor, ...]

    kind = "dense"


@dataclass(frozen=True, slots=True)
class MixtureOfExperts:
    """Routed experts, of which ``top_k`` work on a token, and shared ones that always work.

    Parameters
    ----------
    experts, top_k : int
        Routed experts with weights, and how many a token uses.
    expert_width : int
        Intermediate width of one routed expert.
    expert_hidden : int
        Width of an expert's input and output: the hidden size, or the latent size where experts live in a narrower space.
    gated : bool
        Three matrices per expert, or two.
    shared_width : int
        Intermediate width of all shared experts together, 0 without.
    zero_experts : int
        Identity experts: in the router, without weights.
    """

    experts: int
    top_k: int
    expert_width: int
    expert_hidden: int
    gated: bool
    tensors: tuple[Tensor, ...]
    shared_width: int = 0
    zero_experts: int = 0

    kind = "experts"


FeedForward = DenseMLP | MixtureOfExperts


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer; ``mixers`` and ``feed_forwards`` usually hold one entry each, none or two where a config says so.

    ``prefix`` is the path of the layer in the checkpoint (``model.layers.3.``); ``tensors`` are those outside mixers and feed-forward (norms ...).
    """

    prefix: str
    mixers: tuple[Mixer, ...]
    feed_forwards: tuple[FeedForward, ...]
    tensors: tuple[Tensor, ...] = ()

    def mixers_of(self, kind: type[_Kind]) -> tuple[_Kind, ...]:
        """Its mixers of one class."""
        return tuple(mixer for mixer in self.mixers if isinstance(mixer, kind))

    @property
    def experts(self) -> tuple[MixtureOfExperts, ...]:
        """Its blocks of routed experts."""
        return tuple(block for block in self.feed_forwards if isinstance(block, MixtureOfExperts))

    def all_tensors(self) -> tuple[Tensor, ...]:
        """Every stored tensor of the layer."""
        parts = [mixer.tensors for mixer in self.mixers] + [block.tensors for block in self.feed_forwards] + [self.tensors]
        return tuple(tensor for part in parts for tensor in part)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader of the answer must know: a code and its parameters (texts live in ``i18n`` under ``warning.<code>``)."""

    code: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
