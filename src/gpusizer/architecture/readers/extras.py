"""Stored tensors that only one family has, as data: a name, dimensions by key, a group. They change counts, not how a layer works.

A row of ``extras`` is (kind, name, dimensions, group): the kind of mixer or of block in whose layers it stands, "" for every layer. A row of
``model_extras`` is (name, dimensions, group), once for the model. A dimension is a number, a key, a word of the tables below, or a sum of products.
"""

from __future__ import annotations

from collections.abc import Callable

from gpusizer.architecture.readers.classes.class_words import StoredExtra
from gpusizer.architecture.readers.context import LayerContext, ModelContext
from gpusizer.architecture.readers.feed_forwards.dense import dense_width
from gpusizer.architecture.readers.mixers.attention import attention_geometry
from gpusizer.architecture.types import Tensor

__all__ = ["layer_extras", "model_extras"]

_MODEL_WORDS: dict[str, Callable[[ModelContext], int]] = {"hidden": lambda model: model.hidden, "layers": lambda model: model.layers}
_LAYER_WORDS: dict[str, Callable[[LayerContext], int]] = {
    "heads": lambda layer: attention_geometry(layer).heads,
    "kv_heads": lambda layer: attention_geometry(layer).kv_heads,
    "head_dim": lambda layer: attention_geometry(layer).head_dim,
    "width": dense_width,
}
_NOT_PRODUCTS = frozenset({"norms", "embedding", "buffer"})


def _size(dimension: int | str, value_of: Callable[[str], int]) -> int:
    """A dimension's value: ``3``, ``"hidden"``, ``"2*heads*head_dim+-1"``."""
    if isinstance(dimension, int):
        return dimension
    total = 0
    for term in dimension.split("+"):
        product = 1
        for factor in term.split("*"):
            product *= int(factor) if factor.lstrip("-").isdigit() else value_of(factor)
        total += product
    return total


def _tensor(extra: StoredExtra, value_of: Callable[[str], int]) -> tuple[Tensor, ...]:
    shape = tuple(_size(dimension, value_of) for dimension in extra.dimensions)
    if not all(shape):
        return ()
    return (Tensor(extra.name, shape, extra.group, linear=len(shape) == 2 and extra.group not in _NOT_PRODUCTS),)


def _of_model(model: ModelContext) -> Callable[[str], int]:
    def value_of(name: str) -> int:
        word = _MODEL_WORDS.get(name)
        return word(model) if word is not None else model.keys.needed(name, low=0)

    return value_of


def layer_extras(layer: LayerContext) -> tuple[Tensor, ...]:
    """Further tensors of one layer."""
    general = _of_model(layer.model)

    def value_of(name: str) -> int:
        word = _LAYER_WORDS.get(name)
        return word(layer) if word is not None else general(name)

    tensors: tuple[Tensor, ...] = ()
    for extra in layer.class_words.extras:
        if extra.layers in ("", layer.mixer, layer.block):
            tensors += _tensor(extra, value_of)
    return tensors


def model_extras(model: ModelContext) -> tuple[Tensor, ...]:
    """Further tensors of the model, outside its layers."""
    value_of = _of_model(model)
    return tuple(tensor for extra in model.class_words.model_extras for tensor in _tensor(extra, value_of))
