"""The cache of a batch of ``generate()`` on one GPU, at its full length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import assert_never

from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, Layer, Mixer, StateMixer
from gpusizer.engines.base.cache import FULL, POOLED, STATE, CacheFormat, LayerCache, layer_caches
from gpusizer.formulas.memory.kv_cache import attention_token_bytes
from gpusizer.formulas.memory.transformers import dynamic_cache_bytes
from gpusizer.formulas.memory.weights import kv_heads_per_rank

__all__ = ["Batch", "StageCache", "stage_cache"]

_STATE_BYTES = 4  # recurrent states are FP32 whatever the model's type (checked by running 5.23.0)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of equal requests."""

    requests: int
    tokens: int


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

    @property
    def kept(self) -> bool:
        """Whether anything is kept of a text; an encoder keeps nothing."""
        return bool(self.token_bytes or self.windows or self.request_bytes)

    def bounded_bytes(self, tokens: int) -> int:
        """What a request takes that does not grow without end. [bytes]"""
        return self.request_bytes + sum(min(kept, tokens) * size for kept, size in self.windows)

    def whole_prompt_bytes(self, batch: Batch, rows: int) -> int:
        """What layers with a window hold beyond it until the first step: what they keep is a view of the ``rows`` tokens read last. [bytes]"""
        return batch.requests * sum((min(kept + rows, batch.tokens) - min(kept, batch.tokens)) * size for kept, size in self.windows)

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
