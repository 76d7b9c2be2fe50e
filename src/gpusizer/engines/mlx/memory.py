"""What moves under mlx-lm: the cache of a batch, and what lives beside it while a piece of the prompts is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.types import Attention, CompressedAttention, DenseMLP, FeedForward, LatentAttention, Layer, Mixer, StateMixer
from gpusizer.engines.base.cache import CHUNK, FULL, POOLED, STATE, WINDOW, CacheFormat, LayerCache, layer_caches
from gpusizer.engines.base.types import Inputs
from gpusizer.formulas.memory.mlx import grown_cache_bytes, prompt_peak_bytes
from gpusizer.formulas.memory.transformers import last_logits_bytes
from gpusizer.formulas.memory.transformers_prompt import eager_scores_bytes

__all__ = ["LAYERS_AT_ONCE", "STEP", "Batch", "Cache", "Prompts", "cache_of"]

STEP = 256  # rows by which a cache grows: mlx_lm/models/cache.py
_STATE_BYTES = 4  # mlx_lm/models/gated_delta.py, ssm.py: states are FP32
# Layers whose arrays live at a time: 24 peaks of seven models that people printed, less weights and cache (tests/data/mlx_runs.jsonl).
LAYERS_AT_ONCE = 2.3
_UNFUSED_WIDTHS = frozenset({192, 256})  # of a head: ml-explore/mlx@846d17622, mlx/backend/metal/scaled_dot_product_attention.cpp, use_fallback
_FUSED_MOST = 256
_SCAN_TOKENS = 256  # a state space reads a prompt in pieces: mlx_lm/models/ssm.py, ssm_attn
_SCAN_COPIES = 3  # products, decay, and both together, in FP32


class Batch(NamedTuple):
    """A batch of equal requests."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Cache:
    """Cache of all layers.

    Parameters
    ----------
    token_bytes : int
        Of one token over all layers that keep everything. [bytes]
    windows : tuple of (int, int)
        Tokens seen and bytes of one of them, by kind of window, all such layers together.
    state_bytes : int
        States of one request. [bytes]
    """

    token_bytes: int
    windows: tuple[tuple[int, int], ...]
    state_bytes: int

    def bounded_bytes(self, tokens: int) -> int:
        """What a request takes that does not grow without end. [bytes]"""
        grown = -(-tokens // STEP) * STEP
        return self.state_bytes + sum(min(seen, grown) * size for seen, size in self.windows)

    def beyond_windows_bytes(self, batch: Batch, piece: int) -> int:
        """What layers with a window hold beyond it while a piece of the prompts is read. [bytes]"""
        return batch.requests * sum(max(min(seen - 1 + piece, batch.tokens) - seen, 0) * size for seen, size in self.windows)

    def inputs(self, batch: Batch, held_bytes: int) -> Inputs:
        """What the size of a batch is computed from."""
        sizes = {"token_bytes": self.token_bytes, "request_bytes": self.bounded_bytes(batch.tokens), "held_bytes": held_bytes}
        return {"requests": batch.requests, "tokens": batch.tokens, "step": STEP, **sizes}

    def bytes_of(self, batch: Batch, held_bytes: int = 0) -> int:
        """Cache of a batch. [bytes]"""
        return int(grown_cache_bytes(**self.inputs(batch, held_bytes)))


def cache_of(layers: Iterable[Layer], form: CacheFormat, model_bytes: int, *, most_tokens: int | None = None) -> Cache:
    """Cache of a model.

    Parameters
    ----------
    layers : iterable of Layer
        The layers.
    form : CacheFormat
        Format of keys and values.
    model_bytes : int
        Of one element of the model's own type. [bytes]
    most_tokens : int or None
        Rows to which every layer is cut, where somebody asked for it. [tokens]

    Returns
    -------
    Cache
        The cache.
    """
    found: list[LayerCache] = []
    for layer in layers:
        found += layer_caches(layer, form, tp=1, model_element_bytes=model_bytes, state_element_bytes=_STATE_BYTES)
    windows: dict[int, int] = {}
    for each in found:
        seen = each.window if each.kind in (WINDOW, CHUNK) else most_tokens if each.kind == FULL else None
        if seen:
            windows[seen] = windows.get(seen, 0) + each.row_bytes
    token = 0 if most_tokens else sum(-(-each.row_bytes // each.ratio) for each in found if each.kind in (FULL, POOLED))
    state = sum(each.row_bytes for each in found if each.kind == STATE)
    return Cache(token, tuple(sorted(windows.items())), state)


@dataclass(frozen=True)
class Prompts:
    """What prompts make of a model while they are read.

    Parameters
    ----------
    architecture : Architecture
        The model.
    piece : int
        Tokens of one prompt that are read at once. [tokens]
    at_once : int
        Prompts that are read together. [requests]
    quantised_cache : bool
        Keys and values are quantised: no kernel fuses their attention.
    """

    architecture: Architecture
    piece: int
    at_once: int
    quantised_cache: bool = False
    layer_elements: int = field(init=False)

    def __post_init__(self) -> None:
        widest = max(_layer_elements(layer, self.architecture.hidden_size) for layer in self.architecture.layers)
        object.__setattr__(self, "layer_elements", widest)

    def inputs(self, batch: Batch, cache: Cache) -> Inputs:
        """What the peak of a batch is computed from."""
        together = Batch(min(batch.requests, self.at_once), batch.tokens)
        piece, size = min(self.piece, batch.tokens), element_bytes(self.architecture.dtype)
        vocabulary = max((tensor.shape[0] for tensor in self.architecture.head or self.architecture.embedding), default=0)
        return {
            "layers_at_once": LAYERS_AT_ONCE,
            "tokens": together.requests * piece,
            "layer_elements": self.layer_elements,
            "element_bytes": size,
            "scores_bytes": max(self._scores_bytes(mixer, together, piece) for mixer in self.architecture.mixers),
            "whole_prompt_bytes": cache.beyond_windows_bytes(together, piece),
            "logits_bytes": int(last_logits_bytes(requests=batch.requests, vocabulary=vocabulary, element_bytes=size)),
        }

    def bytes_of(self, batch: Batch, cache: Cache) -> float:
        """The widest moment of a batch. [bytes]"""
        return float(prompt_peak_bytes(**self.inputs(batch, cache)))

    def _scores_bytes(self, mixer: Mixer, batch: Batch, piece: int) -> int:
        """Scores of one layer that are written out. [bytes]"""
        copies = self._written_scores(mixer)
        if not copies:
            return 0
        seen = mixer.seen_tokens
        keys = min(seen - 1 + piece, batch.tokens) if seen else batch.tokens
        sizes = {"requests": batch.requests, "heads": mixer.query_heads, "queries": piece, "keys": keys}
        return int(eager_scores_bytes(**sizes, score_bytes=copies * element_bytes(self.architecture.dtype)))

    def _written_scores(self, mixer: Mixer) -> int:
        """Scores that are written out: masks and softmax take their place. Peaks of two models at up to 192k tokens grow by just one of them."""
        match mixer:
            case LatentAttention():  # those of the rotated part are a mask to the rest
                return 1 + _unfused(mixer.qk_nope_head_dim)
            case Attention():
                return int(self.quantised_cache or _unfused(mixer.head_dim))
            case _:
                return 0


def _unfused(head_dim: int) -> bool:
    return head_dim in _UNFUSED_WIDTHS or head_dim > _FUSED_MOST


def _layer_elements(layer: Layer, hidden: int) -> int:
    """Every array that a layer makes of one token: two norms, two sums, and what mixers and blocks give and make inside. [elements]"""
    inside = [_mixer_elements(mixer) for mixer in layer.mixers] + [_block_elements(block, hidden) for block in layer.feed_forwards]
    return 6 * hidden + sum(inside)


def _mixer_elements(mixer: Mixer) -> int:
    """Queries as projected, rotated and transposed, with their results; keys and values as projected and rotated. [elements]"""
    match mixer:
        case Attention():
            return 4 * mixer.heads * mixer.head_dim + 2 * mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
        case LatentAttention():
            return mixer.heads * (3 * mixer.key_dim + mixer.qk_nope_head_dim + 3 * mixer.v_head_dim)
        case CompressedAttention():
            return 4 * mixer.heads * mixer.head_dim
        case StateMixer():
            scanned = _SCAN_COPIES * _SCAN_TOKENS * mixer.state.heads * 2 if mixer.kind == "state_space" else 0
            return 2 * mixer.stream_elements + scanned
        case _:
            assert_never(mixer)


def _block_elements(block: FeedForward, hidden: int) -> int:
    """Going in, gate and their product; for experts also the gathered input and its results, in two orders and weighted. [elements]"""
    if isinstance(block, DenseMLP):
        return (3 if block.gated else 2) * block.width
    inner = 3 if block.gated else 2
    return block.top_k * (4 * block.expert_hidden + inner * block.expert_width) + inner * block.shared_width + hidden
