"""What each layer caches on one rank: rows per token, windows, states. Engines decide how rows become blocks, cells or slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes, plain_dtype
from gpusizer.architecture.types import Attention, CompressedAttention, Indexer, LatentAttention, Layer, Mixer, State, StateMixer
from gpusizer.formulas.memory.kv_cache import (
    attention_token_bytes,
    compressed_row_bytes,
    compressed_state_bytes,
    convolution_state_bytes,
    indexer_token_bytes,
    latent_packed_token_bytes,
    latent_scaled_token_bytes,
    latent_token_bytes,
    recurrent_state_bytes,
)
from gpusizer.formulas.memory.weights import kv_heads_per_rank

__all__ = ["CacheFormat", "LayerCache", "asks_for_fp8", "cache_format", "layer_caches"]

FULL, WINDOW, CHUNK, STATE, POOLED, PARTIAL = "full", "window", "chunk", "state", "pooled", "partial"


@dataclass(frozen=True, slots=True)
class CacheFormat:
    """Number format of a cache.

    Parameters
    ----------
    id : str
        "bf16", "fp8", "fp8_ds_mla", "nvfp4", "q8_0" ...
    element_bytes : float
        Bytes of one element of keys and values, block scales included. [bytes]
    scaled_latent : bool
        A latent row has FP8 elements with FP32 scales and a 16-bit rotary part (``fp8_ds_mla``).
    packed_latent : bool
        A latent row has 4-bit elements with one-byte scales and a 16-bit rotary part (``nvfp4_ds_mla``, of forks).
    head_scale_bytes : int
        Scale of the keys, and one of the values, of a token and a head (vllm/v1/kv_cache_interface.py, AttentionSpec). [bytes]
    index_element_bytes : float
        Bytes of one element of an index key. [bytes]
    index_scale_bytes : int
        Scale of one index key. [bytes]
    """

    id: str
    element_bytes: float
    scaled_latent: bool = False
    packed_latent: bool = False
    head_scale_bytes: int = 0
    index_element_bytes: float = 1
    index_scale_bytes: int = 4


_ELEMENT_BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "fp8_ds_mla": 1.0,
    "nvfp4_ds_mla": 9 / 16,
    "int8": 1.0,
    "int8_per_token_head": 1.0,
    "fp8_per_token_head": 1.0,
    "int4_per_token_head": 0.5,
    "nvfp4": 9 / 16,
    "mxfp8": 33 / 32,
    "f32": 4.0,
    "f16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
    **{f"mlx_{bits}bit": (bits + 0.5) / 8 for bits in (2, 3, 4, 5, 6, 8)},  # a scale and a bias of 16 bits for 64 elements
}
_PACKED_GROUP = 32  # elements that share a scale in a packed latent
_ALIASES = {
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "fp8_inc": "fp8",
    "fp4": "nvfp4",
    "fp4_e2m1": "nvfp4",
}


def asks_for_fp8(architecture: Architecture) -> bool:
    """Whether the checkpoint brings scales for a cache in FP8."""
    settings = architecture.config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return False
    inner = settings.get("quantization")
    for block in (settings, inner if isinstance(inner, Mapping) else {}):
        scheme = block.get("kv_cache_scheme")
        if str(block.get("kv_cache_quant_algo")).upper() == "FP8" or (isinstance(scheme, Mapping) and scheme.get("num_bits") == 8):
            return True
    return False


def cache_format(name: str, model_dtype: str = "bf16") -> CacheFormat | None:
    """The format that a cache option names; None where the name is unknown.

    Parameters
    ----------
    name : str
        "auto" (the model's own 16-bit type), "fp8", "fp8_e4m3", "bfloat16" ...
    model_dtype : str
        Format of what is not quantised in the model.

    Returns
    -------
    CacheFormat or None
        The format.

    Examples
    --------
    >>> cache_format("auto").element_bytes, cache_format("fp8_e4m3").id
    (2.0, 'fp8')
    >>> cache_format("int8_per_token_head").head_scale_bytes, cache_format("turboquant_4bit")
    (4, None)
    """
    key = name.lower()
    if key in ("auto", ""):
        key = model_dtype
    if key not in _ELEMENT_BYTES:
        key = _ALIASES.get(key) or plain_dtype(key) or key
    if key not in _ELEMENT_BYTES:
        return None
    return CacheFormat(
        key,
        _ELEMENT_BYTES[key],
        scaled_latent=key == "fp8_ds_mla",
        packed_latent=key == "nvfp4_ds_mla",
        head_scale_bytes=4 if key.endswith("_per_token_head") else 0,
    )


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One thing that one layer caches on one rank.

    Parameters
    ----------
    kind : str
        "full" keeps every token, "window" the last ``window``, "chunk" those of the current chunk of ``window``, "pooled" one row per ``ratio``
        tokens, "partial" the tokens of unfinished pooled rows, "state" a fixed state per request.
    part : str
        "keys-values", "latent", "index" or "state": for the ledger's words.
    row_bytes : int
        Bytes of one row (of one token, or of ``ratio`` tokens); of one request for a state. [bytes]
    window : int
        Tokens of the window or chunk. [tokens]
    ratio : int
        Tokens that share a row. [tokens]
    per_draft_bytes : int
        What one draft token adds to a state. [bytes]
    """

    kind: str
    part: str
    row_bytes: int
    window: int = 0
    ratio: int = 1
    per_draft_bytes: int = 0


def layer_caches(
    layer: Layer, form: CacheFormat, *, tp: int, model_element_bytes: int = 2, state_element_bytes: int | None = None
) -> tuple[LayerCache, ...]:
    """What one layer caches on one rank.

    Parameters
    ----------
    layer : Layer
        The layer.
    form : CacheFormat
        Number format of keys, values and latents.
    tp : int
        Tensor-parallel ranks of attention. [ranks]
    model_element_bytes : int
        Bytes of the model's own 16-bit type, for convolution states. [bytes]
    state_element_bytes : int or None
        Bytes of one element of a recurrent state, where the operator chose them. [bytes]

    Returns
    -------
    tuple of LayerCache
        Empty where the layer caches nothing.
    """
    found: list[LayerCache] = []
    for mixer in layer.mixers:
        found.extend(_mixer_caches(mixer, form, tp, model_element_bytes, state_element_bytes))
    return tuple(found)


def _mixer_caches(mixer: Mixer, form: CacheFormat, tp: int, conv_bytes: int, state_bytes: int | None) -> list[LayerCache]:
    match mixer:
        case Attention():
            return _attention(mixer, form, tp)
        case LatentAttention():
            return _latent(mixer, form)
        case CompressedAttention():
            return _compressed(mixer, form)
        case StateMixer():
            return [_state(mixer.state, tp, conv_bytes, state_bytes)]
        case _:
            assert_never(mixer)


def _attention(mixer: Attention, form: CacheFormat, tp: int) -> list[LayerCache]:
    if not mixer.caches:
        return []
    heads = kv_heads_per_rank(kv_heads=mixer.kv_heads, tp=tp)
    row = ceil(attention_token_bytes(kv_heads=heads, head_dim=mixer.head_dim, v_head_dim=mixer.v_head_dim, element_bytes=form.element_bytes))
    row += 2 * heads * form.head_scale_bytes
    if mixer.window:
        return [LayerCache(WINDOW, "keys-values", row, mixer.window)]
    if mixer.chunk:
        return [LayerCache(CHUNK, "keys-values", row, mixer.chunk)]
    caches = [LayerCache(FULL, "keys-values", row)]
    # index keys beside plain keys and values are 16-bit without a scale, whatever those are (vllm/models/minimax_m3/common/indexer.py, 0.24)
    plain = replace(form, index_element_bytes=max(form.index_element_bytes, 2), index_scale_bytes=0)
    return caches + _index(mixer.index, plain)


def _index(indexer: Indexer | None, form: CacheFormat) -> list[LayerCache]:
    if indexer is None:
        return []
    row = _index_row(indexer.head_dim, form)
    return [LayerCache(POOLED, "index", row, ratio=indexer.ratio) if indexer.ratio > 1 else LayerCache(FULL, "index", row)]


def _index_row(head_dim: int, form: CacheFormat) -> int:
    size: float = indexer_token_bytes(head_dim=head_dim, element_bytes=form.index_element_bytes, scale_bytes=form.index_scale_bytes)
    return ceil(size)


def _latent(mixer: LatentAttention, form: CacheFormat) -> list[LayerCache]:
    if form.scaled_latent:
        row = latent_scaled_token_bytes(kv_lora_rank=mixer.kv_lora_rank, rope_dim=mixer.qk_rope_head_dim, scale_group=128)
    elif form.packed_latent:
        row = latent_packed_token_bytes(kv_lora_rank=mixer.kv_lora_rank, rope_dim=mixer.qk_rope_head_dim, scale_group=_PACKED_GROUP)
    else:
        row = ceil(latent_token_bytes(kv_lora_rank=mixer.kv_lora_rank, rope_dim=mixer.qk_rope_head_dim, element_bytes=form.element_bytes))
    caches = [LayerCache(FULL, "latent", row)]
    return caches + _index(mixer.index, form)


def _compressed(mixer: CompressedAttention, form: CacheFormat) -> list[LayerCache]:
    if form.packed_latent:
        width = mixer.head_dim - mixer.rope_head_dim
        row = latent_packed_token_bytes(kv_lora_rank=width, rope_dim=mixer.rope_head_dim, scale_group=_PACKED_GROUP)
    elif form.element_bytes <= 1:
        row = compressed_row_bytes(head_dim=mixer.head_dim, rope_head_dim=mixer.rope_head_dim, scale_group=64, padding_bytes=1)
    else:
        row = ceil(mixer.head_dim * form.element_bytes)
    caches = [LayerCache(WINDOW, "latent", row, mixer.window)]
    if not mixer.pools:
        return caches
    overlaps = mixer.overlap  # content and weight, for each entry in which a token takes part
    caches.append(LayerCache(POOLED, "latent", row, ratio=mixer.ratio))
    if mixer.ratio > 1:
        state = compressed_state_bytes(head_dim=mixer.head_dim, vectors=2 * overlaps, element_bytes=4)
        caches.append(LayerCache(PARTIAL, "state", state, overlaps * mixer.ratio))
    if mixer.indexer is not None:
        caches.append(LayerCache(POOLED, "index", _index_row(mixer.indexer.head_dim, form), ratio=mixer.ratio))
        if mixer.overlaps:  # its keys are pooled by a compressor of their own
            index_state = compressed_state_bytes(head_dim=mixer.indexer.head_dim, vectors=2 * overlaps, element_bytes=4)
            caches.append(LayerCache(PARTIAL, "index", index_state, overlaps * mixer.ratio))
    return caches


def _state_element(dtype: str | None, otherwise: int) -> int:
    return element_bytes(dtype) if dtype is not None and plain_dtype(dtype) else otherwise


def _state(state: State, tp: int, conv_bytes: int, chosen: int | None) -> LayerCache:
    element = chosen if chosen is not None else _state_element(state.dtype, conv_bytes)
    recurrent = recurrent_state_bytes(heads=-(-state.heads // tp), key_dim=state.key_dim, value_dim=state.value_dim, element_bytes=element)
    channels = -(-state.channels // tp)
    column = convolution_state_bytes(channels=channels, kernel=2, speculative_tokens=0, element_bytes=conv_bytes) if state.kernel else 0
    return LayerCache(STATE, "state", int(recurrent + state.columns * column), per_draft_bytes=int(column))
