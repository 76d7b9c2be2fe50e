"""How many bytes a stored tensor takes: the format of its elements, its scales, and which tensors a checkpoint leaves unquantised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpusizer.architecture.files.headers import header_group
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, plain_format, scaled_format
from gpusizer.architecture.storage.module_patterns import ModulePatterns
from gpusizer.architecture.types import Tensor
from gpusizer.errors import UnknownIdError

if TYPE_CHECKING:
    from gpusizer.architecture.model import Architecture

__all__ = ["Quantization", "Rule", "StorageFormat", "checkpoint_bytes", "precision_ids", "stored_tensors", "with_precision"]

# A router and a vision tower stay in the main format unless a configuration names them one by one.
_NAMED_ONLY = frozenset({"router", "vision"})


@dataclass(frozen=True)
class Rule:
    """Modules and the format that they have; None is the format of what is not quantised. ``named`` lists modules one by one."""

    modules: ModulePatterns
    form: StorageFormat | None
    named: bool = False


@dataclass(frozen=True)
class Quantization:
    """Which format each tensor has; built by ``readers/quantization.py`` from ``quantization_config``.

    Parameters
    ----------
    method : str or None
        ``quant_method`` as configured, or the precision that was asked for; None without quantisation.
    default : StorageFormat
        What is not quantised.
    linear : StorageFormat or None
        Linear weights that no rule names; None leaves them as ``default``.
    groups : mapping of str to StorageFormat
        Formats of whole groups of linear weights ("routed_experts", "lm_head"), after the rules.
    rules : tuple of Rule
        The first that names the tensor decides.
    exact : mapping of str to StorageFormat
        Formats by path, as file headers tell them; they come before everything else.

    Examples
    --------
    >>> fp8 = Quantization("fp8", plain_format("bf16"), StorageFormat("fp8_block", 8, 128, 128, scale_bits=32))
    >>> fp8.format_of("model.layers.0.self_attn.o_proj.weight", Tensor("self_attn.o_proj.weight", (8, 8), "attention", linear=True)).id
    'fp8_block'
    """

    method: str | None
    default: StorageFormat
    linear: StorageFormat | None = None
    groups: Mapping[str, StorageFormat] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    exact: Mapping[str, StorageFormat] = field(default_factory=dict)
    _seen: dict[str, StorageFormat | None] = field(default_factory=dict, repr=False, compare=False)

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path`` (layer prefix and tensor name)."""
        if self.exact and path in self.exact:
            return self.exact[path]
        if tensor.dtype is not None:
            return plain_format(tensor.dtype)
        if (not tensor.linear and tensor.group not in self.groups) or (self.linear is None and not self.rules and not self.groups):
            return self.default
        key = path + "\0" + tensor.group
        if key not in self._seen:
            self._seen[key] = self._decide(path, tensor.group)
        return self._seen[key] or self.default

    def _decide(self, path: str, group: str) -> StorageFormat | None:
        for rule in self.rules:
            if (rule.named or group not in _NAMED_ONLY) and rule.modules.matches(path):
                return rule.form
        if group in _NAMED_ONLY:
            return None
        return self.groups.get(group, self.linear)


def stored_tensors(architecture: Architecture, mtp: bool = False) -> Iterator[tuple[int | None, str, Tensor, StorageFormat]]:
    """Every stored tensor with the index of its layer (None outside layers), its path and its format.

    Parameters
    ----------
    architecture : Architecture
        The model.
    mtp : bool
        Also the multi-token-prediction layers (their index goes on after the last layer) and their copies of embedding and head.

    Yields
    ------
    tuple
        Layer index or None, path, tensor, format.
    """
    format_of = architecture.quantization.format_of
    for tensor in architecture.embedding:
        yield None, tensor.name, tensor, format_of(tensor.name, tensor)
    layers = architecture.layers + (architecture.mtp if mtp else ())
    for index, layer in enumerate(layers):
        for tensor in layer.all_tensors():
            path = layer.prefix + tensor.name
            yield index, path, tensor, format_of(path, tensor)
    outside = architecture.final + architecture.head + architecture.towers + (architecture.mtp_copies if mtp else ())
    for tensor in outside:
        yield None, tensor.name, tensor, format_of(tensor.name, tensor)


def checkpoint_bytes(architecture: Architecture, mtp: bool = True) -> int:
    """Bytes of all stored tensors, headers of the files apart.

    Parameters
    ----------
    architecture : Architecture
        The model.
    mtp : bool
        With the multi-token-prediction layers and their copies of embedding and head, as a checkpoint has them.

    Returns
    -------
    int
        Exact from the files' headers where those were read, else from shapes and formats. [bytes]
    """
    if architecture.header_bytes is not None:
        layers = len(architecture.layers)
        return sum(size for name, size in architecture.header_bytes.items() if mtp or header_group(name, layers) != "mtp")
    kept = sum(form.bytes_of(tensor.shape, tensor.copies) for _, _, tensor, form in stored_tensors(architecture, mtp))
    in_vain = architecture.checkpoint_only
    return kept + sum(architecture.quantization.format_of(tensor.name, tensor).bytes_of(tensor.shape, tensor.copies) for tensor in in_vain)


# What a linear weight becomes when an engine or a publisher requantises; embeddings, head, norms, router and towers keep the main format.
_REQUANTISED: dict[str, StorageFormat] = {
    "fp8": StorageFormat("fp8", 8, 1, 0, scale_bits=16),  # a BF16 scale per output row, as llm-compressor's FP8-dynamic
    "int8": StorageFormat("int8", 8, 1, 0, scale_bits=16),  # W8A8 and W8A16 with a scale per output row
    "int4": integer_groups(4, 128),  # W4A16, symmetric
    "mxfp4": scaled_format("mxfp4"),
    "mxfp8": scaled_format("mxfp8"),
    "nvfp4": scaled_format("nvfp4", 4),
}
_WHOLE = ("bf16", "fp16", "fp32")


def precision_ids() -> tuple[str, ...]:
    """Every precision that :func:`with_precision` knows, "checkpoint" first, GGUF recipes last."""
    from gpusizer.architecture.precision.gguf_recipes import RECIPES

    return ("checkpoint", *_WHOLE, *_REQUANTISED, *RECIPES)


def _mostly(architecture: Architecture, name: str) -> bool:
    """Whether the largest part of the quantised weights has a format; an FP8 checkpoint may hold its experts in FP4."""
    params: dict[str, int] = {}
    for _, _, tensor, form in stored_tensors(architecture):
        if form.quantised:
            params[form.id] = params.get(form.id, 0) + tensor.params
    largest = max(params, key=lambda form: params[form], default=name)
    return largest.startswith(name) or name not in _REQUANTISED


def with_precision(architecture: Architecture, precision: str) -> Architecture:
    """The same model with its weights in another precision.

    "checkpoint" keeps what is stored; a plain type ("bf16", "fp16", "fp32") stores everything in it; a small one ("fp8", "int4" ...) takes the linear
    weights only and leaves embeddings, head, norms, router and towers at 16 bits; a GGUF recipe ("q4_k_m") chooses by role as llama.cpp does, and two
    joined by "+" ("iq2_xxs+q4_k_m") are that of routed experts and that of the rest. Tensors that a checkpoint keeps in F32 stay so.

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
    name = precision.lower().replace("-", "_")
    if name == "checkpoint" or (name == architecture.quantization.method and _mostly(architecture, name)):
        return architecture
    if name in _WHOLE:
        return replace(architecture, dtype=name, quantization=Quantization(None, plain_format(name)), header_bytes=None)
    if name in _REQUANTISED:
        plain = plain_format(architecture.dtype if architecture.dtype in ("bf16", "fp16") else "bf16")
        quantization = Quantization(name, plain, _REQUANTISED[name], {"lm_head": plain})
        return replace(architecture, quantization=quantization, header_bytes=None)
    from gpusizer.architecture.precision.gguf_recipes import RECIPES, gguf_mix, gguf_recipe

    if name in RECIPES:
        return replace(architecture, quantization=gguf_recipe(architecture, name), header_bytes=None)
    experts, plus, rest = name.partition("+")
    if plus and experts in RECIPES and rest in RECIPES:
        return replace(architecture, quantization=gguf_mix(architecture, experts, rest), header_bytes=None)
    from difflib import get_close_matches

    raise UnknownIdError("unknown-precision", id=precision, nearest=get_close_matches(name, precision_ids(), 3, 0.4))
