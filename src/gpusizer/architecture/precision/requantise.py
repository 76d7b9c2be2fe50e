"""A model in another precision: what an engine or a publisher makes of its weights."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.gguf_recipes import RECIPES, gguf_mix, gguf_recipe, is_gguf_mix
from gpusizer.architecture.precision.listed import table_formats
from gpusizer.architecture.precision.mlx_formats import MLX_IDS, is_mlx, mlx_formats
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, plain_format, scaled_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.errors import UnknownIdError
from gpusizer.once import Remembered, once_per_object

__all__ = ["precision_ids", "with_precision"]

# What a linear weight becomes when an engine or a publisher requantises; embeddings, head, norms, router and towers keep the main format.
_REQUANTISED: dict[str, StorageFormat] = {
    "fp8": StorageFormat("fp8", 8, 1, 0, scale_bits=16),  # a BF16 scale per output row, as llm-compressor's FP8-dynamic
    "fp8_block": StorageFormat("fp8_block", 8, 128, 128, scale_bits=32),  # as DeepSeek and Qwen publish it
    "int8": StorageFormat("int8", 8, 1, 0, scale_bits=16),  # W8A8 and W8A16 with a scale per output row
    "int4": integer_groups(4, 128),  # W4A16, symmetric
    "mxfp4": scaled_format("mxfp4"),
    "mxfp8": scaled_format("mxfp8"),
    "nvfp4": scaled_format("nvfp4", 4),
}
_WHOLE = ("bf16", "fp16", "fp32")


def precision_ids() -> tuple[str, ...]:
    """Every precision that :func:`with_precision` knows, "checkpoint" first, GGUF recipes and those of MLX last."""
    return ("checkpoint", *_WHOLE, *_REQUANTISED, *RECIPES, *MLX_IDS)


def _mostly(architecture: Architecture, name: str) -> bool:
    """Whether the largest part of the quantised weights has a format; an FP8 checkpoint may hold its experts in FP4."""
    params: dict[str, int] = {}
    for _, _, tensor, form in stored_tensors(architecture):
        if form.quantised:
            params[form.id] = params.get(form.id, 0) + tensor.params
    largest = max(params, key=lambda form: params[form], default=name)
    return largest.startswith(name) or name not in _REQUANTISED


def with_precision(architecture: Architecture, precision: str) -> Architecture:
    """The model with its weights in another precision, its shapes as they are.

    "checkpoint" keeps what is stored; a plain type ("bf16", "fp16", "fp32") stores everything in it; a small one ("fp8", "int4" ...) takes the linear
    weights only and leaves embeddings, head, norms, router and towers at 16 bits; a GGUF recipe ("q4_k_m") chooses by role as llama.cpp does, and two
    joined by "+" ("iq2_xxs+q4_k_m") are that of routed experts and that of the rest; either may be a type, with that of the way out after a point.
    One of MLX ("mlx_4bit") takes embeddings and head as well.
    Tensors that a checkpoint keeps in F32 stay so.

    Parameters
    ----------
    architecture : Architecture
        The model.
    precision : str
        One of :func:`precision_ids`, any letter case.

    Returns
    -------
    Architecture
        The model, its shapes unchanged.
    """
    return _known(architecture).once(precision, lambda: _with_precision(architecture, precision))


@once_per_object
def _known(architecture: Architecture) -> Remembered[str, Architecture]:
    """A model in the precisions that were asked for: equal ones are one object."""
    return Remembered(16)


def _with_precision(architecture: Architecture, precision: str) -> Architecture:
    name = precision.lower().replace("-", "_")
    if name == "checkpoint" or (name == architecture.quantization.method and _mostly(architecture, name)):
        return architecture
    if name in _WHOLE:
        return replace(architecture, dtype=name, quantization=Quantization(None, plain_format(name)), header_bytes=None)
    if name in _REQUANTISED:
        plain = plain_format(architecture.dtype if architecture.dtype in ("bf16", "fp16") else "bf16")
        quantization = Quantization(name, plain, _REQUANTISED[name], {"lm_head": plain, **table_formats(name)}, asked=True)
        return replace(architecture, quantization=quantization, header_bytes=None)
    if name in RECIPES:
        return replace(architecture, quantization=gguf_recipe(architecture, name), header_bytes=None)
    if is_gguf_mix(name):
        return replace(architecture, quantization=gguf_mix(architecture, name), header_bytes=None)
    if is_mlx(name):
        return replace(architecture, quantization=mlx_formats(architecture, name), header_bytes=None)
    raise UnknownIdError("unknown-precision", id=precision, nearest=get_close_matches(name, precision_ids(), 3, 0.4))
