"""Tables of hashed n-grams: the layers that look rows up by the last few tokens, and the projections by which what was found joins the streams.

A table has one range of rows for each head of each order of n-gram (pairs, triples ...), a prime number of them; a token reads one row of each.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

from gpusizer.architecture.readers.context import LayerContext, ModelContext
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.tensor_kit import matrix, norm
from gpusizer.architecture.types import Split, Tensor
from gpusizer.formulas.memory.weights import padded_size

__all__ = ["ngram_layers", "ngram_tensors"]

GROUP, AROUND = "ngram_embedding", "ngram_projection"
_MAX_HEADS = 256  # of all tables together
_MAX_ROWS = 1 << 36
_TRAIT = "ngram-"


def ngram_layers(model: ModelContext) -> dict[int, str]:
    """Which layers have a table: index of the layer, and the trait that says which table it is.

    Two spellings: ``engram_layer_ids`` counts layers from 0 and comes with the rows of every table; ``ple_layer_ids`` counts them from 1.
    """
    keys = model.keys
    told = keys.integers("engram_layer_ids", high=model.layers - 1) or ()
    counted = keys.integers("ple_layer_ids", low=1, high=model.layers) or ()
    layers = [*told, *(number - 1 for number in sorted(set(counted)))]
    return {index: f"{_TRAIT}{table}" for table, index in enumerate(layers)}


def ngram_tensors(layer: LayerContext) -> tuple[Tensor, ...]:
    """The table of a layer and what stands around it; nothing where the layer has none."""
    table = next((int(trait.removeprefix(_TRAIT)) for trait in layer.traits if trait.startswith(_TRAIT)), None)
    if table is None:
        return ()
    return _told(layer, table) if layer.keys.has("engram_layer_ids") else _derived(layer, table)


def _table(name: str, rows: int, width: int, read: int) -> Tensor:
    return Tensor(name, (rows, width), GROUP, Split.VOCABULARY, rows_read=min(read, rows))


def _told(layer: LayerContext, table: int) -> tuple[Tensor, ...]:
    """A table whose rows are told; one matrix makes a key for every stream and a value of what was found."""
    keys, hidden = layer.keys, layer.hidden
    rows = keys.integers("engram_num_embeddings", low=1, high=_MAX_ROWS) or ()
    if table >= len(rows):
        raise keys.refuse("engram_num_embeddings", f"{len(rows)} entries", f"{table + 1} entries")
    width, streams = keys.needed("engram_head_dim", high=1 << 20), keys.integer("hc_mult", default=1, low=1)
    read = (keys.needed("engram_max_ngram_size", low=2, high=64) - 1) * keys.needed("engram_n_heads", high=_MAX_HEADS)
    keys.ignore("engram_vocab_size", "engram_compressed_vocab_size", "engram_pad_token_id", "engram_pad_id")
    tensors: tuple[Tensor, ...] = (_table("engram.embed.weight", rows[table], width, read),)
    tensors += matrix("engram.wkv", hidden * (streams + 1), read * width, AROUND)
    return tensors + tuple(Tensor(f"engram.{side}_weight", (streams, hidden), "norms") for side in "qk")


def _derived(layer: LayerContext, table: int) -> tuple[Tensor, ...]:
    """A table whose rows follow from the primes above a number; keys and a value of what was found, norms, a short convolution of the streams."""
    keys, hidden = layer.keys, layer.hidden
    heads = (keys.integer("ngram_size", default=3, low=2, high=64) - 1) * keys.integer("heads_per_ngram", default=8, low=1, high=_MAX_HEADS)
    wide = keys.integer("ple_embed_dim", default=hidden, low=1, high=1 << 24)
    if heads * (table + 1) > _MAX_HEADS:
        raise keys.refuse("heads_per_ngram", heads * (table + 1), f"at most {_MAX_HEADS}")
    if wide % heads:
        raise keys.refuse("ple_embed_dim", wide, f"multiple of {heads}")
    streams = keys.integer("hc_count", default=1, low=1, high=64) * hidden
    kernel = keys.integer("ple_conv_kernel_size", default=4, low=1, high=1 << 12)
    keys.ignore("split_ngram_parts", "seed")
    part = "ple."
    tensors: tuple[Tensor, ...] = (_table(f"{part}ple_embedding.ngram_embedding.weight", _rows(keys, heads, table), wide // heads, heads),)
    tensors += matrix(f"{part}key_proj", streams, wide, AROUND) + matrix(f"{part}value_proj", hidden, wide, AROUND)
    for name in ("norm_key", "norm_query", "norm_conv"):
        tensors += norm(f"{part}{name}", streams)
    return (*tensors, Tensor(f"{part}conv1d.weight", (streams, 1, kernel), AROUND))


def _rows(keys: Keys, heads: int, table: int) -> int:
    """Rows of the ``table``-th table: as many primes from a number on as it has heads, after those of the tables before it."""
    first = keys.integer("ngram_vocab_size_base", default=20_000_000, low=3, high=1 << 28)
    step = keys.integer("make_ngram_vocab_size_divisible_by", default=128, low=1, high=1 << 24)
    return int(padded_size(size=sum(_primes(first, heads * (table + 1))[heads * table :]), multiple=step))


@cache
def _primes(first: int, count: int) -> tuple[int, ...]:
    """The first primes that are no smaller than a number.

    >>> _primes(20_000_000, 3)
    (20000003, 20000023, 20000033)
    """
    found: list[int] = []
    number = first
    while len(found) < count:
        if number % 2 and all(number % divisor for divisor in range(3, isqrt(number) + 1, 2)):
            found.append(number)
        number += 1
    return tuple(found)
