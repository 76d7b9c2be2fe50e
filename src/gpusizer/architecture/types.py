"""What a model is: a list of layers, each a mixer and a feed-forward block, and the tensors that they store.

A *mixer* moves information between tokens (attention of some kind, or a recurrent state); a *feed-forward block* works on one token.
Every memory and speed figure follows from these shapes, never from a family's name. A reader (``architecture/readers``) turns a configuration
into these types; engines ask the mixers what they cache and the tensors how they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from typing import Any

__all__ = [
    "Attention",
    "CompressedAttention",
    "DenseMLP",
    "FeedForward",
    "Indexer",
    "LatentAttention",
    "Layer",
    "LinearAttention",
    "Mixer",
    "MixtureOfExperts",
    "Notice",
    "Split",
    "StateSpace",
    "Tensor",
]


class Split(StrEnum):
    """How tensor parallelism cuts a tensor."""

    REPLICATED = "replicated"  # every rank holds it whole
    COLUMN = "column"  # the output dimension (rows of the stored matrix) is cut
    ROW = "row"  # the input dimension (columns of the stored matrix) is cut
    KV_HEADS = "kv_heads"  # like COLUMN, but never below one head: replicated when there are more ranks than heads
    VOCABULARY = "vocabulary"  # rows are vocabulary entries, padded before they are cut


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored matrix or vector: logical weights, before any quantisation.

    Parameters
    ----------
    name : str
        Path below its layer, as the checkpoint names it: ``self_attn.q_proj.weight``; ``mlp.experts.*.gate_proj.weight`` (``*``: the expert).
    shape : tuple of int
        As stored: (output, input) for a matrix.
    group : str
        Group of the parameter count: embedding, attention, linear_attention, indexer, norms, dense_mlp, routed_experts, shared_experts, router,
        latent_projection, hyper_connection, residual_mixing, per_layer_embedding, vision, lm_head; "buffer" is stored and not counted as parameters
        (correction biases of routers, tables of integers).
    split : Split
        How tensor parallelism cuts it.
    units : int
        Number of indivisible units (heads, KV heads, groups) in the dimension that is cut; 0 when any row may be cut.
    copies : int
        How many tensors of this shape the layer stores: the number of experts for an expert's matrix.
    linear : bool
        A weight of a matrix product: it may be quantised and costs FLOPs. Embeddings, norms, biases and convolutions are not.
    dtype : str or None
        Number format when it differs from the checkpoint's main one ("fp32" for some routers); None follows the checkpoint.

    Examples
    --------
    >>> Tensor("mlp.experts.*.down_proj.weight", (7168, 2048), "routed_experts", Split.ROW, copies=256, linear=True).params
    3758096384
    """

    name: str
    shape: tuple[int, ...]
    group: str
    split: Split = Split.REPLICATED
    units: int = 0
    copies: int = 1
    linear: bool = False
    dtype: str | None = None

    @property
    def params(self) -> int:
        """Number of parameters, all copies together."""
        return prod(self.shape) * self.copies


@dataclass(frozen=True, slots=True)
class Attention:
    """Softmax attention over cached keys and values; MHA, GQA and MQA are cases of it.

    Parameters
    ----------
    heads, kv_heads : int
        Query heads and key/value heads.
    head_dim, v_head_dim : int
        Width of one key (and query) head and of one value head.
    window : int or None
        Tokens that a sliding window sees; None sees all.
    chunk : int or None
        Tokens of a chunk in chunked local attention (Llama 4); None is not chunked.
    caches : bool
        False for a layer that reuses the cache of an earlier layer.
    stores_v : bool
        False where values are the keys (no value projection).
    tensors : tuple of Tensor
        Its stored weights.
    rotary_dim : int
        Rotated width of a head, 0 without rotary positions.
    indexer : Indexer or None
        A small indexer that picks blocks of keys (MiniMax-M3's sparse attention); its keys are cached beside the layer's own.
    """

    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int
    tensors: tuple[Tensor, ...]
    window: int | None = None
    chunk: int | None = None
    caches: bool = True
    stores_v: bool = True
    rotary_dim: int = 0
    indexer: Indexer | None = None

    kind = "attention"


@dataclass(frozen=True, slots=True)
class Indexer:
    """The lightning indexer of sparse attention: it picks ``topk`` tokens with small keys of its own.

    ``caches`` is False for a layer that reuses the selection of an earlier layer (no indexer weights and no key cache of its own).
    """

    heads: int
    head_dim: int
    topk: int
    caches: bool = True


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention (MLA): one shared latent and one rotary key per token, held whole by every tensor-parallel rank.

    ``q_lora_rank`` is None for a plain query projection. With an ``indexer`` it is sparse (DSA); sparsity saves work, not capacity.
    """

    heads: int
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    tensors: tuple[Tensor, ...]
    indexer: Indexer | None = None

    kind = "latent"


@dataclass(frozen=True, slots=True)
class CompressedAttention:
    """DeepSeek-V4 attention: a raw window and, for ``ratio`` > 0, one pooled entry per ``ratio`` tokens (keys and values are one vector).

    ``ratio`` 0 has the window alone; the small ratio has an ``indexer`` over its pooled entries.
    """

    heads: int
    head_dim: int
    rope_head_dim: int
    window: int
    ratio: int
    tensors: tuple[Tensor, ...]
    indexer: Indexer | None = None

    kind = "compressed"


@dataclass(frozen=True, slots=True)
class LinearAttention:
    """Linear attention with a fixed state per request: gated delta net, KDA, lightning attention, short convolutions.

    Parameters
    ----------
    key_heads, value_heads, key_dim, value_dim : int
        Geometry of the state: value_heads x key_dim x value_dim elements (0 for a pure convolution).
    conv_channels, conv_kernel : int
        Channels that pass a short convolution, and its width; the cache holds conv_kernel - 1 columns (0 without one).
    state_dtype : str or None
        Format of the state when the configuration gives one.
    """

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    tensors: tuple[Tensor, ...]
    conv_channels: int = 0
    conv_kernel: int = 0
    state_dtype: str | None = None

    kind = "linear"


@dataclass(frozen=True, slots=True)
class StateSpace:
    """Mamba-1 (``heads`` 0) or Mamba-2: a fixed state of inner width x state, and a short convolution.

    For Mamba-1 the state is inner_dim x state_dim and the convolution has inner_dim channels; for Mamba-2 heads x head_dim x state_dim,
    with inner_dim + 2 x groups x state_dim channels.
    """

    inner_dim: int
    state_dim: int
    conv_kernel: int
    tensors: tuple[Tensor, ...]
    heads: int = 0
    head_dim: int = 0
    groups: int = 0
    state_dtype: str | None = None

    kind = "state_space"


Mixer = Attention | LatentAttention | CompressedAttention | LinearAttention | StateSpace


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

    def all_tensors(self) -> tuple[Tensor, ...]:
        """Every stored tensor of the layer."""
        parts = [mixer.tensors for mixer in self.mixers] + [block.tensors for block in self.feed_forwards] + [self.tensors]
        return tuple(tensor for part in parts for tensor in part)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader of the answer must know: a code and its parameters (texts live in ``i18n`` under ``warning.<code>``)."""

    code: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
