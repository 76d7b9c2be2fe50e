"""Formats by a short list: one for linear matrices, others for groups of parameters, the rest in 16 bits, as quantisers leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, plain_format, scaled_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import Tensor

__all__ = ["FAMILIES", "FORMATS", "QUANTISED_GROUPS", "ListedFormats", "listed", "table_formats"]

FORMATS: Mapping[str, StorageFormat] = {
    **{f"int4-g{group}": integer_groups(4, group) for group in (32, 64, 128)},
    **{f"int4-g{group}-zp": integer_groups(4, group, zero_bits=4) for group in (32, 64, 128)},
    **{f"int8-g{group}": integer_groups(8, group) for group in (32, 128)},
    "int8": StorageFormat("int8", 8, 1, 0, scale_bits=16),
    "fp8": StorageFormat("fp8", 8, 1, 0, scale_bits=16),
    "fp8-tensor": StorageFormat("fp8", 8, 0, 0, scale_bits=32, tensor_bytes=4),
    "fp8-block": StorageFormat("fp8_block", 8, 128, 128, scale_bits=32),
    "fp8-block-16": StorageFormat("fp8_block", 8, 128, 128, scale_bits=16),
    "nf4": StorageFormat("nf4", 4, 1, 64, scale_bits=8, tensor_bytes=1200),
    "nvfp4": scaled_format("nvfp4", 4),
    "mxfp4": scaled_format("mxfp4"),
    "mxfp8": scaled_format("mxfp8"),
    "bf16": plain_format("bf16"),
}
"""Formats of linear matrices by the words of ``publishers.toml``."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "int4": ("int4-g128", "int4-g128-zp", "int4-g64", "int4-g32", "int4-g32-zp", "nf4"),
    "int8": ("int8", "int8-g128", "int8-g32"),
    "fp8": ("fp8", "fp8-block"),
    "fp8_block": ("fp8-block", "fp8"),
    "nvfp4": ("nvfp4",),
    "mxfp4": ("mxfp4",),
    "mxfp8": ("mxfp8",),
}
"""What a precision may be in a file, the usual one first."""

QUANTISED_GROUPS = (
    *("routed_experts", "shared_experts", "dense_mlp", "attention", "linear_attention", "indexer", "latent_projection"),
    "per_layer_embedding",
)
"""Groups of the parameter count whose matrices a quantiser takes unless it is told otherwise."""

_TABLES = "ngram_embedding"
# Tables of n-grams beside such weights are FP8 with one scale: Qwen's own FP8 checkpoint, the NVFP4 ones of NVIDIA and RadixArk.
_TABLE, _TABLES_WITH = StorageFormat("fp8", 8, 0, 0, scale_bits=32), ("fp8", "fp8_block", "mxfp8", "nvfp4")
# Gates of a delta rule, a few rows wide: left out by llm-compressor, ModelOpt, AutoRound and GPTQModel alike.
_NARROW = frozenset({"in_proj_a", "in_proj_b", "in_proj_ba"})


@dataclass(frozen=True)
class ListedFormats(Quantization):
    """Which format each tensor has by a list of groups; multi-token prediction stays in the main format.

    Parameters
    ----------
    drafts : tuple of str
        Paths below which layers of multi-token prediction stand.
    late : mapping of str to StorageFormat
        Groups that have another format from layer ``late_from`` on.
    late_from : int
        Index of a layer.
    kept_parts : frozenset of str
        Parts of names of further matrices in the main format.

    Examples
    --------
    >>> form = FORMATS["int4-g32"]
    >>> some = ListedFormats("int4", plain_format("bf16"), form, {"attention": plain_format("bf16")}, drafts=("mtp.",))
    >>> paths = ("layers.0.mlp.experts.*.up_proj.weight", "mtp.layers.0.mlp.experts.*.up_proj.weight")
    >>> tensor = Tensor("mlp.experts.*.up_proj.weight", (64, 64), "routed_experts", linear=True)
    >>> [some.format_of(path, tensor).id for path in paths]
    ['int4_g32', 'bf16']
    """

    drafts: tuple[str, ...] = ()
    late: Mapping[str, StorageFormat] = field(default_factory=dict)
    late_from: int = 0
    kept_parts: frozenset[str] = frozenset()

    @property
    def tells_layers_apart(self) -> bool:
        """Whether equal layers may be stored in different formats."""
        return bool(self.late)

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path`` (layer prefix and tensor name)."""
        if tensor.dtype is not None:
            return plain_format(tensor.dtype)
        if tensor.group == _TABLES:
            return self.groups.get(_TABLES, self.default)
        if not tensor.linear or tensor.group in ("router", "vision") or path.startswith(self.drafts):
            return self.default
        parts = path.split(".")
        if not (_NARROW | self.kept_parts).isdisjoint(parts):
            return self.default
        if tensor.group in self.late and next((int(part) for part in parts if part.isdigit()), -1) >= self.late_from:
            return self.late[tensor.group]
        return self.groups.get(tensor.group, self.linear) or self.default


def table_formats(precision: str) -> dict[str, StorageFormat]:
    """Formats of tables of n-grams beside weights in a precision; empty where they stay in 16 bits.

    >>> [table_formats(name).keys() for name in ("nvfp4", "int4")]
    [dict_keys(['ngram_embedding']), dict_keys([])]
    """
    return {_TABLES: _TABLE} if precision in _TABLES_WITH else {}


def listed(
    model: Architecture,
    precision: str,
    form: StorageFormat,
    groups: Mapping[str, StorageFormat | None],
    *,
    late: Mapping[str, StorageFormat] | None = None,
    late_share: float = 0.0,
) -> ListedFormats:
    """Formats of a model by a list.

    Parameters
    ----------
    model : Architecture
        The model.
    precision : str
        What the list is a kind of.
    form : StorageFormat
        Linear matrices that no group names.
    groups : mapping of str to StorageFormat or None
        Formats of groups; None keeps 16 bits.
    late, late_share : mapping of str to StorageFormat or None, float
        Formats of groups in the last layers, and the share of the layers that those are.

    Returns
    -------
    ListedFormats
        The head in 16 bits unless it is among the groups.
    """
    plain = plain_format(model.dtype if model.dtype in ("bf16", "fp16") else "bf16")
    layers = len(model.layers)
    return ListedFormats(
        precision,
        plain,
        form,
        {"lm_head": plain, **table_formats(precision), **{group: each or plain for group, each in groups.items()}},
        drafts=tuple(layer.prefix for layer in model.mtp) or ("\0",),
        late=late or {},
        late_from=layers - round(layers * late_share),
    )
