"""Stored tensors that only one family has, as data: a name, dimensions by key, a group. They change counts, not how a layer works.

A row of ``extras`` is (kind, name, dimensions, group): the kind of mixer or of block in whose layers it stands, "" for every layer. A row of
``model_extras`` is (name, dimensions, group), once for the model. A dimension is a number, a key, a word of the tables below, or a sum of products.
"""

from __future__ import annotations

from collections.abc import Callable

from gpusizer.architecture.readers.classes.class_words import ClassWords, StoredExtra
from gpusizer.architecture.readers.context import LayerContext, ModelContext
from gpusizer.architecture.readers.feed_forwards.dense import dense_width, has_glu
from gpusizer.architecture.readers.mixers.attention import attention_geometry
from gpusizer.architecture.types import Tensor

__all__ = ["layer_extras", "model_extras"]


def _positions(model: ModelContext) -> int:
    """Rows of the table of learned positions, 0 where positions are rotated or weigh on the scores."""
    keys = model.keys
    learned = keys.text("position_embedding_type", default="absolute") == "absolute" and keys.flag("position_biased_input", default=True)
    return keys.needed("max_position_embeddings") if learned else 0


def _relative_positions(model: ModelContext) -> int:
    """Rows of the table of distances: both ways, in buckets where there are some."""
    keys = model.keys
    buckets = keys.integer("position_buckets", default=-1, low=-1)
    reach = buckets if buckets > 0 else keys.integer("max_relative_positions", default=-1, low=-1)
    return 2 * (reach if reach > 0 else keys.needed("max_position_embeddings")) if keys.flag("relative_attention") else 0


def _distances_seen(way: str) -> Callable[[ModelContext], int]:
    """Width of the matrices by which distances meet keys ("c2p") or queries ("p2c"), 0 where those of the tokens serve."""

    def width(model: ModelContext) -> int:
        keys = model.keys
        ways = keys.raw("pos_att_type") or ()
        own = keys.flag("relative_attention") and not keys.flag("share_att_key")
        return model.hidden if own and way in (ways.split("|") if isinstance(ways, str) else ways) else 0

    return width


def _labels(model: ModelContext) -> int:
    """Scores that a classifier gives: as many as it has labels, two where nobody says."""
    named = model.keys.section("id2label")
    if named is not None:
        named.ignore(*named.values)
    return model.keys.integer("num_labels", default=len(named.values) if named is not None else 2, high=1 << 20)


def _adapters(model: ModelContext) -> int:
    """Rows of the adapters that a checkpoint carries for its tasks, of all tasks together."""
    return len(model.keys.sequence("lora_adaptations") or ()) * model.keys.integer("lora_rank", default=0)


_MODEL_WORDS: dict[str, Callable[[ModelContext], int]] = {
    "hidden": lambda model: model.hidden,
    "layers": lambda model: model.layers,
    "positions": _positions,
    "relative_positions": _relative_positions,
    "distance_norm": lambda model: model.hidden if "layer_norm" in model.keys.text("norm_rel_ebd", default="none") else 0,
    "distance_keys": _distances_seen("c2p"),
    "distance_queries": _distances_seen("p2c"),
    "gated_hidden": lambda model: model.hidden if has_glu(model) else 0,
    "types": lambda model: model.keys.integer("type_vocab_size", default=0),
    "labels": _labels,
    "adapters": _adapters,
}
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
    value_of, words = _of_model(model), model.class_words
    return tuple(tensor for extra in (*words.model_extras, *_of_task(model, words)) for tensor in _tensor(extra, value_of))


def _of_task(model: ModelContext, words: ClassWords) -> tuple[StoredExtra, ...]:
    """What the class of the checkpoint has behind the last layer; the first class that is named counts."""
    named = str(next(iter(model.keys.sequence("architectures") or ()), ""))
    if named.endswith("ForSequenceClassification"):
        return words.classifier_extras
    return words.masked_extras if named.endswith("ForMaskedLM") else words.bare_extras
