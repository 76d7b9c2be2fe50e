"""Layers of a model by kind: a hundred of them are a handful of different ones, and only how many of each lie on a device matters."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Layer, MixtureOfExperts
from gpusizer.engines.base.weights import ROUTED, Cut, layer_kinds, once_per_architecture, routed_block, weight_table

__all__ = ["Kinds", "expert_tensors", "host_matrices", "kinds_of", "outside_weights"]

_DENSE = frozenset({"dense_mlp", "shared_experts"})
_WHOLE = Cut(vocabulary_multiple=1)  # a GGUF file pads no vocabulary


@dataclass(frozen=True)
class Kinds:
    """The different layers of a model.

    Parameters
    ----------
    of : tuple of int
        Kind of each decoder layer.
    first : tuple of int
        Index of the first layer of each kind.
    layers : tuple of Layer
        One layer of each kind.
    routed : tuple of MixtureOfExperts or None
        Routed experts of each kind.
    weights : tuple of dict
        Stored bytes of one layer of each kind, by parameter group.
    alike : tuple of int
        For each kind the first with the same blocks, whatever its weights are stored as.
    """

    of: tuple[int, ...]
    first: tuple[int, ...]
    layers: tuple[Layer, ...]
    routed: tuple[MixtureOfExperts | None, ...]
    weights: tuple[dict[str, int], ...]
    alike: tuple[int, ...]


@once_per_architecture
def kinds_of(architecture: Architecture) -> Kinds:
    """The different layers of a model (remembered)."""
    of = layer_kinds(architecture)
    first: dict[int, int] = {}
    for index, kind in enumerate(of):
        first.setdefault(kind, index)
    indices = tuple(first.values())
    layers = tuple(architecture.layers[index] for index in indices)
    table = weight_table(architecture)
    return Kinds(
        of=of,
        first=indices,
        layers=layers,
        routed=tuple(routed_block(layer) for layer in layers),
        weights=tuple(table.layer_bytes(table.kind_of[index], _WHOLE) for index in indices),
        alike=tuple(next(other for other, layer in enumerate(layers) if _blocks(layer) == _blocks(own)) for own in layers),
    )


def _blocks(layer: Layer) -> tuple[object, ...]:
    return layer.mixers, layer.feed_forwards, tuple(tensor.shape for tensor in layer.tensors)


@once_per_architecture
def outside_weights(architecture: Architecture) -> tuple[dict[str, int], dict[str, int]]:
    """Stored bytes before the layers and after them, by parameter group; towers are not loaded here (remembered). [bytes]"""
    table, none = weight_table(architecture), range(0)
    before = table.stage_bytes(none, _WHOLE, first=True, last=False, tied=False, towers=False)
    return before, table.stage_bytes(none, _WHOLE, first=False, last=True, tied=architecture.tied_head)


@once_per_architecture
def expert_tensors(architecture: Architecture) -> tuple[tuple[int, int], ...]:
    """By kind: bytes of one of the two matrices into the experts, and of the one back; 0 without experts (remembered). [bytes]"""
    found: dict[int, tuple[int, int]] = {}
    for index, _, tensor, form in stored_tensors(architecture):
        if index is None or tensor.group != ROUTED or len(tensor.shape) < 2:
            continue
        up, down = found.get(index, (0, 0))
        size = form.bytes_of(tensor.shape, tensor.copies)
        if "down" in tensor.name or tensor.name.split(".")[-2:-1] == ["w2"]:
            down = max(down, size)
        else:
            up = max(up, size // 2 if "gate_up" in tensor.name else size)
        found[index] = (up, down)
    return tuple(found.get(index, (0, 0)) for index in kinds_of(architecture).first)


@once_per_architecture
def host_matrices(architecture: Architecture) -> tuple[tuple[int, int], ...]:
    """By kind: bytes of the largest matrix of its mixers and of its dense block; 0 where there is none (remembered). [bytes]"""
    found: dict[int, tuple[int, int]] = {}
    for index, _, tensor, form in stored_tensors(architecture):
        if index is not None and tensor.group != ROUTED and len(tensor.shape) > 1:
            mixer, dense = found.get(index, (0, 0))
            size = form.bytes_of(tensor.shape, tensor.copies)
            found[index] = (mixer, max(dense, size)) if tensor.group in _DENSE else (max(mixer, size), dense)
    return tuple(found.get(index, (0, 0)) for index in kinds_of(architecture).first)
