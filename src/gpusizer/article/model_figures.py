"""Figures of a model that belong to no engine and no device: parameters, checkpoint, what a token and a request take in the cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import CompressedAttention, LatentAttention, Layer
from gpusizer.engines.base.cache import CacheFormat, cache_format, layer_caches
from gpusizer.errors import UnknownIdError
from gpusizer.formulas.memory.cache_blocks import page_bytes

__all__ = ["ModelFigures", "cache_figures", "model_figures"]

POOLED_BLOCK, POOLED_ALIGNMENT = 256, 576  # tokens of a block and bytes that pages align to: vllm/models/deepseek_v4/attention.py
GROWING = ("full", "pooled")  # kinds of cache that grow with the context; all others are bounded
KV_PRECISIONS = ("auto", "bf16", "fp16", "fp8", "fp8_ds_mla", "int8", "nvfp4", "fp32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What a reader asks first about a model.

    Parameters
    ----------
    total_params, activated_params, mtp_params : int
        All parameters, those that one token touches, and those of multi-token prediction apart. [parameters]
    checkpoint_bytes : int
        Stored tensors with multi-token prediction. [bytes]
    kv_cache_bytes_per_token : int
        What one more token of a long request takes, whole model, no engine's padding. [bytes]
    fixed_bytes_per_request : int
        What windows and states take at most, however long the request. [bytes]
    """

    total_params: int
    activated_params: int
    mtp_params: int
    checkpoint_bytes: int
    kv_cache_bytes_per_token: int
    fixed_bytes_per_request: int


def cache_figures(architecture: Architecture, kv_precision: str = "auto") -> tuple[int, int]:
    """Bytes of a token, and bytes of a request whatever its length.

    Parameters
    ----------
    architecture : Architecture
        The model.
    kv_precision : str
        Format of the cache; "auto" is the model's own 16-bit type. Sparse latent attention in "fp8" keeps scales beside the latent.

    Returns
    -------
    (int, int)
        Bytes a token and bytes a request, whole model. [bytes]
    """
    form = cache_format(kv_precision, architecture.dtype)
    if form is None:
        from difflib import get_close_matches

        raise UnknownIdError("unknown-kv-precision", id=kv_precision, nearest=get_close_matches(kv_precision.lower(), KV_PRECISIONS, 3, 0.3))
    growing = Fraction(0)
    fixed = 0
    alike = Counter(tuple(map(id, layer.mixers)) for layer in architecture.layers)
    for layer in {tuple(map(id, layer.mixers)): layer for layer in architecture.layers}.values():
        count = alike[tuple(map(id, layer.mixers))]
        pooled = bool(layer.mixers_of(CompressedAttention))
        for cache in layer_caches(layer, _own_format(layer, form, kv_precision), tp=1):
            if cache.kind not in GROWING:
                fixed += count * cache.row_bytes * (cache.window or 1)
            elif pooled and cache.row_bytes % 2**7:  # records of odd size lie in aligned pages
                page = page_bytes(block_tokens=POOLED_BLOCK, token_bytes=cache.row_bytes, ratio=cache.ratio, alignment_bytes=POOLED_ALIGNMENT)
                growing += count * Fraction(page, POOLED_BLOCK)
            else:
                growing += count * Fraction(cache.row_bytes, cache.ratio)
    return ceil(growing), fixed


def _own_format(layer: Layer, form: CacheFormat, kv_precision: str) -> CacheFormat:
    """The format of one layer: engines keep scales beside sparse latents in FP8, and pooled entries in FP8 unless they are told otherwise."""
    if form.id == "fp8" and any(mixer.picks is not None for mixer in layer.mixers_of(LatentAttention)):
        return CacheFormat("fp8_ds_mla", 1.0, scaled_latent=True)
    if layer.mixers_of(CompressedAttention):
        if kv_precision.lower() == "auto":
            return CacheFormat("fp8", 1.0)
        if form.element_bytes >= 2:
            return replace(form, index_element_bytes=form.element_bytes, index_scale_bytes=0)
    return form


def model_figures(architecture: Architecture, kv_precision: str = "auto") -> ModelFigures:
    """All figures of one model in the precision that it is given in."""
    count = architecture.parameters
    token, request = cache_figures(architecture, kv_precision)
    return ModelFigures(count.total, count.activated, count.mtp, checkpoint_bytes(architecture), token, request)
