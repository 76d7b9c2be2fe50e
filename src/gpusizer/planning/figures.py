"""Figures of a model that belong to no engine and no device: parameters, checkpoint, what a token and a request take in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision import checkpoint_bytes
from gpusizer.architecture.types import LatentAttention
from gpusizer.engines.cache import CacheFormat, cache_format, layer_caches
from gpusizer.errors import UnknownIdError
from gpusizer.formulas.core import ceil_div

__all__ = ["ModelFigures", "cache_figures", "model_figures"]

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
    growing = fixed = 0
    for layer in architecture.layers:
        sparse = any(isinstance(mixer, LatentAttention) and mixer.indexer is not None for mixer in layer.mixers)
        of_layer = CacheFormat("fp8_ds_mla", 1.0, scaled_latent=True) if sparse and form.id == "fp8" else form
        for cache in layer_caches(layer, of_layer, tp=1):
            if cache.kind in GROWING:
                growing += ceil_div(cache.row_bytes, cache.ratio)
            else:
                fixed += cache.row_bytes * (cache.window or 1)
    return growing, fixed


def model_figures(architecture: Architecture, kv_precision: str = "auto") -> ModelFigures:
    """All figures of one model in the precision that it is given in."""
    count = architecture.parameters
    token, request = cache_figures(architecture, kv_precision)
    return ModelFigures(count.total, count.activated, count.mtp, checkpoint_bytes(architecture), token, request)
