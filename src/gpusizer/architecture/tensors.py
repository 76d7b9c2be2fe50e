"""The inventory of what a model stores: every tensor with its path and format, the bytes of a checkpoint, and whose part a stored name is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import Tensor
from gpusizer.once import once_per_object

__all__ = ["checkpoint_bytes", "header_group", "stored_tensors"]

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|blk)\.(\d{1,6})(?:\.|$)")
_MTP = re.compile(r"(?:^|\.)(?:mtp|mtp_layers|nextn)(?:\.|_|$)")
_TOWER = re.compile(r"(?:^|\.)(?:vision\w*|visual|audio\w*|image\w*|mm_projector|multi_modal_projector|embed_vision|embed_audio|v|mm|a)\.")


def stored_tensors(architecture: Architecture, *, mtp: bool = False) -> Iterator[tuple[int | None, str, Tensor, StorageFormat]]:
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


def checkpoint_bytes(architecture: Architecture, *, mtp: bool = True) -> int:
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
    known = _known_bytes(architecture)
    if mtp not in known:
        known[mtp] = _checkpoint_bytes(architecture, mtp=mtp)
    return known[mtp]


@once_per_object
def _known_bytes(architecture: Architecture) -> dict[bool, int]:
    """Sizes with and without multi-token prediction, once they were asked for."""
    return {}


def _checkpoint_bytes(architecture: Architecture, *, mtp: bool) -> int:
    if architecture.header_bytes is not None:
        layers = len(architecture.layers)
        return sum(size for name, size in architecture.header_bytes.items() if mtp or header_group(name, layers) != "mtp")
    kept = sum(form.bytes_of(tensor.shape, tensor.copies) for _, _, tensor, form in stored_tensors(architecture, mtp=mtp))
    in_vain = architecture.checkpoint_only
    return kept + sum(architecture.quantization.format_of(tensor.name, tensor).bytes_of(tensor.shape, tensor.copies) for tensor in in_vain)


def header_group(name: str, layers: int) -> str:
    """Whether a tensor belongs to the text model, a tower, or multi-token prediction ("text", "vision", "mtp").

    >>> [header_group(name, 61) for name in ("model.layers.61.eh_proj.weight", "mtp.layers.0.norm.weight", "visual.blocks.0.attn.qkv.weight")]
    ['mtp', 'mtp', 'vision']
    >>> header_group("model.layers.60.mlp.gate.weight", 61)
    'text'
    """
    if _TOWER.search(name):
        return "vision"
    if _MTP.search(name):
        return "mtp"
    layer = _LAYER.search(name)
    return "mtp" if layer and int(layer.group(1)) >= layers else "text"
