"""Formats of MLX ("mlx_4bit", "mlx_mxfp4", "mlx_mixed_4_6" ...): what ``mlx_lm.convert -q`` stores in how many bits.

Everything that is a matrix product or a table is quantised, embeddings and head included; norms, biases and convolutions stay in 16 bits, routers get
eight, and a matrix whose rows are no whole number of groups stays as it is. Affine groups carry a scale and a bias of 16 bits each.

Source: ml-explore/mlx-lm@d78bf58e2 (0.32.0): mlx_lm/utils.py, quantize_model; mlx_lm/convert.py, mixed_quant_predicate_builder; mlx_lm/models,
quant_predicate of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.gguf_recipes import gguf_role
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, plain_format, scaled_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import Tensor

__all__ = ["MLX_BITS", "MLX_IDS", "MLXFormats", "affine_groups", "groups_of_mode", "is_mlx", "mlx_formats"]

MLX_BITS = (2, 3, 4, 5, 6, 8)
"""Bits of an element in affine groups: mlx.core.quantize of MLX 0.32."""

MLX_IDS = (*(f"mlx_{bits}bit" for bits in (4, 8, 6, 5, 3, 2)), "mlx_mxfp4", "mlx_nvfp4", "mlx_mxfp8")
"""The usual ones, that of most checkpoints first; groups of 32 ("mlx_4bit_g32") and mixes are understood as well."""

_AFFINE = re.compile(r"mlx_([234568])bit(?:_g(32|64|128))?")
_FLOATS = re.compile(r"mlx_(mxfp4|mxfp8|nvfp4)(?:_q([4568]))?")
_MIXED = re.compile(r"mlx_mixed_(2_6|3_4|3_6|4_6)")
_FLOAT_MODES = frozenset({"mxfp4", "mxfp8", "nvfp4"})
_GROUP = 64
_TABLES = frozenset({"embedding", "per_layer_embedding", "ngram_embedding"})
_RAISED = frozenset({"attn_v", "ffn_down"})  # of a mix: some layers' values and ways down
_END = 8  # a mix raises the first and the last eighth of the layers, and every third between
_EVERY = 3


class _Parts(NamedTuple):
    """What a word says: the format of most tensors, that of routed experts where they differ, that of the raised ones of a mix."""

    form: StorageFormat
    experts: StorageFormat | None = None
    raised: StorageFormat | None = None


def affine_groups(bits: int, group: int = _GROUP) -> StorageFormat:
    """Integers with a scale and a bias of 16 bits per group.

    >>> 8 * affine_groups(4).bytes_of((64, 64)) / 64**2, 8 * affine_groups(8, 32).bytes_of((64, 64)) / 64**2
    (4.5, 9.0)
    """
    return integer_groups(bits, group, zero_bits=16)


def groups_of_mode(mode: str, bits: int, group: int) -> StorageFormat:
    """The format of a mode of ``mlx.core.quantize``: floats have groups and bits of their own.

    >>> groups_of_mode("affine", 6, 64).id, groups_of_mode("mxfp4", 4, 32).id
    ('int6_g64', 'mxfp4')
    """
    return affine_groups(bits, group) if mode not in _FLOAT_MODES else scaled_format(mode)


@lru_cache(maxsize=64)
def _parts(name: str) -> _Parts | None:
    if match := _AFFINE.fullmatch(name):
        return _Parts(affine_groups(int(match[1]), int(match[2] or _GROUP)))
    if match := _FLOATS.fullmatch(name):
        floats = scaled_format(match[1])
        return _Parts(affine_groups(int(match[2])), experts=floats) if match[2] else _Parts(floats)
    if match := _MIXED.fullmatch(name):
        low, high = map(int, match[1].split("_"))
        return _Parts(affine_groups(low), raised=affine_groups(high))
    return None


def is_mlx(name: str) -> bool:
    """Whether a precision is one of MLX.

    >>> [is_mlx(name) for name in ("mlx_4bit", "mlx_5bit_g32", "mlx_mxfp4_q8", "mlx_mixed_3_6", "mlx_7bit", "int4")]
    [True, True, True, True, False, False]
    """
    return _parts(name) is not None


@dataclass(frozen=True)
class MLXFormats(Quantization):
    """Which format each tensor has in a checkpoint of MLX.

    Parameters
    ----------
    layers : int
        Decoder layers.
    raised : StorageFormat or None
        Format of the head, and of some layers' values and ways down, in a mix.
    drafts : tuple of str
        Paths below which layers of multi-token prediction stand; mlx-lm drops them.

    Examples
    --------
    >>> formats = MLXFormats("mlx_4bit", plain_format("bf16"), affine_groups(4))
    >>> [formats.format_of("x", Tensor("x", (8, width), "attention", linear=True)).id for width in (128, 96)]
    ['int4_g64', 'bf16']
    """

    layers: int = 0
    raised: StorageFormat | None = None
    drafts: tuple[str, ...] = field(default=())

    @property
    def tells_layers_apart(self) -> bool:
        """Whether equal layers may be stored in different formats."""
        return self.raised is not None

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path`` (layer prefix and tensor name)."""
        product = tensor.linear or (tensor.group in _TABLES and len(tensor.shape) > 1)
        if not product or tensor.group == "vision" or path.startswith(self.drafts):
            return plain_format(tensor.dtype) if tensor.dtype is not None else self.default
        form = affine_groups(8) if tensor.group == "router" else self._of_product(path, tensor)
        return form if form is not None and tensor.shape[-1] % form.columns == 0 else self.default

    def _of_product(self, path: str, tensor: Tensor) -> StorageFormat | None:
        if self.raised is not None and (tensor.group == "lm_head" or (gguf_role(tensor) in _RAISED and self._raises(path))):
            return self.raised
        return self.groups.get(tensor.group, self.linear)

    def _raises(self, path: str) -> bool:
        index = next((int(part) for part in path.split(".") if part.isdigit()), 0)
        first = self.layers // _END
        return index < first or index >= (_END - 1) * self.layers // _END or (index - first) % _EVERY == _EVERY - 1


def mlx_formats(architecture: Architecture, name: str) -> MLXFormats:
    """The formats of a model that was converted.

    Parameters
    ----------
    architecture : Architecture
        The model.
    name : str
        One that :func:`is_mlx` knows.

    Returns
    -------
    MLXFormats
        Its formats; what is not quantised has the model's own 16 bits.
    """
    parts = _parts(name)
    if parts is None:
        raise KeyError(name)
    plain = plain_format(architecture.dtype if architecture.dtype in ("bf16", "fp16") else "bf16")
    groups: Mapping[str, StorageFormat] = {} if parts.experts is None else {"routed_experts": parts.experts}
    drafts = tuple(layer.prefix for layer in architecture.mtp) or ("\0",)
    return MLXFormats(name, plain, parts.form, groups, asked=True, layers=len(architecture.layers), raised=parts.raised, drafts=drafts)
