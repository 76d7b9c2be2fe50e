"""What a batch of ``generate()`` takes on one GPU beside weights: the cache at its full length and the widest moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, CompressedAttention, DenseMLP, LatentAttention, Layer, Mixer, MixtureOfExperts, StateMixer
from gpusizer.engines.base.cache import FULL, POOLED, STATE, CacheFormat, LayerCache, layer_caches
from gpusizer.engines.base.constants import HIDDEN_COPIES, INTERMEDIATE_COPIES
from gpusizer.formulas.memory.activation import decoder_block_bytes
from gpusizer.formulas.memory.kv_cache import attention_token_bytes
from gpusizer.formulas.memory.transformers import (
    dynamic_cache_bytes,
    eager_scores_bytes,
    expanded_latent_step_bytes,
    generate_peak_bytes,
    last_logits_bytes,
    regrown_layer_bytes,
)
from gpusizer.formulas.memory.weights import kv_heads_per_rank

__all__ = ["Batch", "Method", "Moments", "StageCache", "moments_of", "stage_cache"]

_STATE_BYTES = 4  # recurrent states are FP32 whatever the model's type (checked by running 5.23.0)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of equal requests."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Method:
    """How one GPU computes its layers.

    Parameters
    ----------
    tp, element_bytes : int
        Ranks; bytes of the model's own type.
    eager : bool
        Attention writes its scores.
    latents : bool
        Latents are cached, and expanded in every step.
    chunk : int
        ``prefill_chunk_size``, 0 for the whole prompt. [tokens]
    last : bool
        The GPU holds the head.
    """

    tp: int
    element_bytes: int
    eager: bool
    latents: bool
    chunk: int
    last: bool


@dataclass(frozen=True, slots=True)
class StageCache:
    """Cache of the layers of one GPU.

    Parameters
    ----------
    token_bytes : int
        Of one token over all layers that keep everything. [bytes]
    windows : tuple of (int, int)
        Tokens kept and bytes of one token, by kind of window, all such layers together.
    request_bytes : int
        States of one request. [bytes]
    widest_tensor_bytes : int
        One token in the widest of the tensors that grow. [bytes]
    """

    token_bytes: int
    windows: tuple[tuple[int, int], ...]
    request_bytes: int
    widest_tensor_bytes: int

    def bounded_bytes(self, tokens: int) -> int:
        """What a request takes that does not grow without end. [bytes]"""
        return self.request_bytes + sum(min(kept, tokens) * size for kept, size in self.windows)

    def bytes_of(self, batch: Batch) -> int:
        """Cache of a batch. [bytes]"""
        bounded = self.bounded_bytes(batch.tokens)
        return int(dynamic_cache_bytes(requests=batch.requests, tokens=batch.tokens, token_bytes=self.token_bytes, request_bytes=bounded))


def stage_cache(layers: Iterable[Layer], *, tp: int, element_bytes: int, latents: bool, counts: Iterable[int] | None = None) -> StageCache:
    """Cache of the layers of one GPU.

    Parameters
    ----------
    layers : iterable of Layer
        The layers.
    tp : int
        Tensor-parallel ranks. [ranks]
    element_bytes : int
        Bytes of the model's own type. [bytes]
    latents : bool
        The latent is cached, not every head's keys and values.
    counts : iterable of int or None
        How many layers are like each of them; one where it is not said.

    Returns
    -------
    StageCache
        The cache.
    """
    form = CacheFormat("own", float(element_bytes), index_element_bytes=element_bytes, index_scale_bytes=0)
    token = request = widest = 0
    windows: dict[int, int] = {}
    for layer, count in zip(layers, repeat(1) if counts is None else counts, strict=False):
        plain = layer.mixers_of(LatentAttention) if not latents else ()
        for mixer in plain:
            key, heads = mixer.key_dim, -(-mixer.heads // tp)
            token += count * int(attention_token_bytes(kv_heads=heads, head_dim=key, v_head_dim=mixer.v_head_dim, element_bytes=element_bytes))
            widest = max(widest, heads * key * element_bytes)
        for cache in () if plain else layer_caches(layer, form, tp=tp, model_element_bytes=element_bytes, state_element_bytes=_STATE_BYTES):
            if cache.kind in (FULL, POOLED):
                token += count * -(-cache.row_bytes // cache.ratio)
            elif cache.kind == STATE:
                request += count * (cache.row_bytes + cache.per_draft_bytes)  # the convolution keeps as many columns as it is wide
            else:
                kept = _kept(cache)
                windows[kept] = windows.get(kept, 0) + count * cache.row_bytes
        widest = max([widest, *(_tensor(mixer, tp, element_bytes) for mixer in layer.mixers)])
    return StageCache(token, tuple(sorted(windows.items())), request, widest)


def _kept(cache: LayerCache) -> int:
    """A window keeps one token less than it sees: the new one comes beside them."""
    return cache.window - 1 if cache.kind == "window" else cache.window


def _tensor(mixer: Mixer, tp: int, element_bytes: int) -> int:
    """One tensor of the cache that grows by concatenation, of one token; 0 where none does. [bytes]"""
    match mixer:
        case LatentAttention():
            return max(mixer.kv_lora_rank, mixer.qk_rope_head_dim) * element_bytes
        case Attention():
            if mixer.window or not mixer.caches:
                return 0
            return int(kv_heads_per_rank(kv_heads=mixer.kv_heads, tp=tp)) * max(mixer.head_dim, mixer.v_head_dim) * element_bytes
        case CompressedAttention() | StateMixer():
            return 0
        case _:
            assert_never(mixer)


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of one GPU, by the names of the formula ``memory.transformers.peak``. [bytes]"""

    prompt_bytes: int
    attention_bytes: int
    step_bytes: int
    logits_bytes: int

    @property
    def inputs(self) -> dict[str, int]:
        """By the names of the formula."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def peak_bytes(self) -> int:
        """The widest. [bytes]"""
        return int(generate_peak_bytes(**self.inputs))


def moments_of(architecture: Architecture, layers: Iterable[Layer], cache: StageCache, batch: Batch, method: Method) -> Moments:
    """The moments of one batch on one GPU.

    Parameters
    ----------
    architecture : Architecture
        The model.
    layers : iterable of Layer
        Layers of the GPU.
    cache : StageCache
        Their cache.
    batch : Batch
        The batch.
    method : Method
        How it is computed.

    Returns
    -------
    Moments
        The moments.
    """
    tp, element_bytes = method.tp, method.element_bytes
    tokens = batch.requests * (min(method.chunk, batch.tokens) if method.chunk else batch.tokens)
    prompt = scores = expanded = 0
    for layer in layers:
        width = max((_width(block, tp) for block in layer.feed_forwards), default=0)
        prompt = max(
            prompt,
            round(
                decoder_block_bytes(
                    tokens=tokens,
                    element_bytes=element_bytes,
                    intermediate=width,
                    intermediate_copies=INTERMEDIATE_COPIES,
                    hidden=architecture.hidden_size * architecture.residual_streams,
                    hidden_copies=HIDDEN_COPIES,
                )
            ),
        )
        for mixer in layer.mixers:
            heads = -(-mixer.query_heads // tp)
            if heads and method.eager:
                scores = max(scores, int(eager_scores_bytes(requests=batch.requests, heads=heads, tokens=batch.tokens, element_bytes=element_bytes)))
        for latent in layer.mixers_of(LatentAttention) if method.latents else ():
            sizes = {"heads": -(-latent.heads // tp), "key_dim": latent.key_dim, "value_dim": latent.v_head_dim, "element_bytes": element_bytes}
            expanded = max(expanded, int(expanded_latent_step_bytes(requests=batch.requests, tokens=batch.tokens, **sizes)))
    regrown = int(regrown_layer_bytes(requests=batch.requests, tokens=batch.tokens, tensor_bytes=cache.widest_tensor_bytes))
    logits = int(last_logits_bytes(requests=batch.requests, vocabulary=architecture.vocab_size, element_bytes=element_bytes)) if method.last else 0
    return Moments(prompt + expanded, scores + expanded, regrown + expanded, logits)


def _width(block: DenseMLP | MixtureOfExperts, tp: int) -> int:
    """Elements of one token in the intermediate of a block on one rank; routed tokens are gathered once for each of their experts. [elements]"""
    match block:
        case DenseMLP():
            return -(-block.width // tp)
        case MixtureOfExperts():
            return -(-(block.top_k * max(block.expert_width, block.expert_hidden) + block.shared_width) // tp)
        case _:
            assert_never(block)
