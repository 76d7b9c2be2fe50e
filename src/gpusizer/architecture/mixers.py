"""The kinds of mixers. Where arithmetic differs by kind, there is one ``match`` over :data:`Mixer` for the question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from gpusizer.architecture.mixer_base import Indexer, Label, MixerBase, State, StateMixer
from gpusizer.architecture.tensor import Tensor

__all__ = [
    "Attention",
    "CompressedAttention",
    "CrossAttention",
    "EncoderAttention",
    "LatentAttention",
    "LinearAttention",
    "Mixer",
    "RelativeAttention",
    "StateSpace",
]


@dataclass(frozen=True, slots=True)
class Attention(MixerBase):
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
    timed_as = "attention"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads and width, window or chunk, whose cache it reads."""
        found: list[Label] = [("mixer-attention", {"heads": self.heads, "kv_heads": self.kv_heads, "head_dim": self.head_dim})]
        if self.window:
            found.append(("mixer-window", {"window": self.window}))
        if self.chunk:
            found.append(("mixer-chunk", {"chunk": self.chunk}))
        if not self.caches:
            found.append(("mixer-shared-cache", {}))
        return tuple(found)

    @property
    def query_heads(self) -> int:
        """All of its heads. [heads]"""
        return self.heads

    @property
    def cut_kv_heads(self) -> int:
        """Its key/value heads. [heads]"""
        return self.kv_heads

    @property
    def seen_tokens(self) -> int:
        """Of its window or chunk. [tokens]"""
        return self.window or self.chunk or 0

    @property
    def windowed(self) -> bool:
        """Whether it has a window; a chunk is none."""
        return self.window is not None

    @property
    def rotary_width(self) -> int:
        """As configured. [elements]"""
        return self.rotary_dim

    @property
    def picks(self) -> Indexer | None:
        """Its indexer."""
        return self.indexer

    @property
    def index(self) -> Indexer | None:
        """Keys are picked where everything is kept."""
        return self.indexer if self.caches and not self.seen_tokens and self.indexer is not None and self.indexer.caches else None

    def with_own_cache(self) -> Self:
        """With keys and values of its own."""
        return self if self.caches else replace(self, caches=True)


@dataclass(frozen=True, slots=True)
class EncoderAttention(Attention):
    """Attention of an encoder: a token sees those after it as well, so a text is read whole and nothing is kept of it.

    Its ``window`` reaches half to each side, and ``caches`` is False.
    """

    kind = "encoder"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads and width, both ways, the window."""
        words: Label = ("mixer-encoder", {"heads": self.heads, "head_dim": self.head_dim})
        return (words, ("mixer-window", {"window": self.window})) if self.window else (words,)

    def with_own_cache(self) -> Self:
        """As it is: it never has one."""
        return self


@dataclass(frozen=True, slots=True)
class RelativeAttention(EncoderAttention):
    """Attention of an encoder whose scores are moved by learned vectors for the distance of two tokens: no fused kernel takes it."""

    kind = "relative encoder"


@dataclass(frozen=True, slots=True)
class LatentAttention(MixerBase):
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
    timed_as = "latent"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads and cached widths, how many tokens are picked."""
        words: Label = ("mixer-latent", {"heads": self.heads, "latent": self.kv_lora_rank, "rotary": self.qk_rope_head_dim})
        return (words,) if self.indexer is None else (words, ("mixer-indexer", {"topk": self.indexer.topk}))

    @property
    def key_dim(self) -> int:
        """Width of one head's expanded key. [elements]"""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def query_heads(self) -> int:
        """All of its heads. [heads]"""
        return self.heads

    @property
    def rotary_width(self) -> int:
        """Of the shared key. [elements]"""
        return self.qk_rope_head_dim

    @property
    def compressed_width(self) -> int | None:
        """The latent's. [elements]"""
        return self.kv_lora_rank

    @property
    def picks(self) -> Indexer | None:
        """Its indexer."""
        return self.indexer


@dataclass(frozen=True, slots=True)
class CompressedAttention(MixerBase):
    """DeepSeek-V4 attention: a raw window and, for ``ratio`` > 0, one pooled entry per ``ratio`` tokens (keys and values are one vector).

    ``ratio`` 0 has the window alone; the small ratio has an ``indexer`` over its pooled entries. ``caches`` is False for a layer that reads the
    pooled entries of an earlier one. A compressor may pool two overlapping halves or, with ``overlaps`` False, each token once.
    """

    heads: int
    head_dim: int
    rope_head_dim: int
    window: int
    ratio: int
    tensors: tuple[Tensor, ...]
    indexer: Indexer | None = None
    caches: bool = True
    overlaps: bool = True

    kind = "compressed"
    timed_as = "compressed"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads, window and ratio, whose pooled entries it reads."""
        words: Label = ("mixer-compressed", {"heads": self.heads, "window": self.window, "ratio": self.ratio})
        return (words,) if self.caches else (words, ("mixer-shared-cache", {}))

    @property
    def pools(self) -> bool:
        """Whether it caches pooled entries of its own."""
        return self.ratio > 0 and self.caches

    @property
    def query_heads(self) -> int:
        """All of its heads. [heads]"""
        return self.heads

    @property
    def windowed(self) -> bool:
        """Beside what is pooled it always has a window."""
        return True

    @property
    def rotary_width(self) -> int:
        """Of its one vector. [elements]"""
        return self.rope_head_dim

    @property
    def compressed_width(self) -> int | None:
        """Of its one vector. [elements]"""
        return self.head_dim

    @property
    def overlap(self) -> int:
        """Pooled entries in which a token takes part: those of the small ratio overlap. [entries]"""
        return 2 if self.indexer is not None and self.overlaps else 1

    @property
    def picks(self) -> Indexer | None:
        """Its indexer."""
        return self.indexer


@dataclass(frozen=True, slots=True)
class LinearAttention(StateMixer):
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

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads and what each keeps."""
        return (("mixer-linear", {"heads": self.value_heads, "key_dim": self.key_dim, "value_dim": self.value_dim}),)

    @property
    def divided_heads(self) -> tuple[int, ...]:
        """Heads of values and of keys; a pure convolution has none. [heads]"""
        return tuple(heads for heads in (self.value_heads, self.key_heads) if heads)

    @property
    def state(self) -> State:
        """The state of all value heads, and the convolution's columns."""
        return State(self.value_heads, self.key_dim, self.value_dim, self.conv_channels, self.conv_kernel, self.state_dtype)

    @property
    def stream_elements(self) -> int:
        """What passes the convolution and what the heads give, each read and written. [elements]"""
        return 2 * self.conv_channels + 2 * self.value_heads * self.value_dim


@dataclass(frozen=True, slots=True)
class CrossAttention(StateMixer):
    """Attention of a decoder to what an encoder made of the input: its keys and values are computed once and kept as long as the request.

    Parameters
    ----------
    heads, head_dim : int
        Heads of queries, keys and values, and their width.
    rows : int
        Positions that the encoder gives, however short the input is.
    """

    heads: int
    head_dim: int
    rows: int
    tensors: tuple[Tensor, ...]

    kind = "cross"
    timed_as = "attention"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Heads and what is kept of the input."""
        return (("mixer-cross", {"heads": self.heads, "head_dim": self.head_dim, "rows": self.rows}),)

    @property
    def divided_heads(self) -> tuple[int, ...]:
        """Its heads. [heads]"""
        return (self.heads,)

    @property
    def state(self) -> State:
        """A column of keys and values for each position, in the model's own type."""
        return State(0, 0, 0, 2 * self.heads * self.head_dim, self.rows + 1)

    @property
    def stream_elements(self) -> int:
        """Queries and results. [elements]"""
        return 2 * self.heads * self.head_dim


@dataclass(frozen=True, slots=True)
class StateSpace(StateMixer):
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
    timed_as = "state_space"

    @property
    def labels(self) -> tuple[Label, ...]:
        """Inner width and state."""
        return (("mixer-state-space", {"inner": self.inner_dim, "state": self.state_dim}),)

    @property
    def divided_heads(self) -> tuple[int, ...]:
        """Heads; every channel is one for the first Mamba. [heads]"""
        return (self.heads or self.inner_dim,)

    @property
    def state(self) -> State:
        """The state of all heads or channels, and the convolution's columns."""
        if self.heads:
            channels = self.inner_dim + 2 * self.groups * self.state_dim
            return State(self.heads, self.state_dim, self.head_dim, channels, self.conv_kernel, self.state_dtype)
        return State(self.inner_dim, self.state_dim, 1, self.inner_dim, self.conv_kernel, self.state_dtype)

    @property
    def stream_elements(self) -> int:
        """Input, gate, convolution and output of the inner width. [elements]"""
        return 4 * self.inner_dim


Mixer = Attention | LatentAttention | CompressedAttention | StateMixer
