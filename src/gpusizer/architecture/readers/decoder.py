"""From a configuration to layers: geometry, kinds of layers, their mixers, blocks, norms and extras; equal layers are read once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext, ModelContext
from gpusizer.architecture.readers.extras import layer_extras
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.layer_kinds import block_kinds, mixer_kinds
from gpusizer.architecture.readers.ngrams import ngram_layers, ngram_tensors
from gpusizer.architecture.readers.registry import feed_forward_of, mixer_of
from gpusizer.architecture.readers.tensor_kit import matrix, norm, vector
from gpusizer.architecture.types import FeedForward, Layer, Mixer, Tensor
from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["LayerFactory", "layer_traits", "read_layers"]


Parts = tuple[tuple[Mixer, ...], tuple[FeedForward, ...], tuple[Tensor, ...]]


def _hashable(value: Any) -> Any:
    """A value that can be looked up; lists and objects by how they are written."""
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


class LayerFactory:
    """Reads layers of one model, each distinct one once."""

    def __init__(self, model: ModelContext) -> None:
        self.model = model
        # by kind: for each set of keys that readings depended on, what was read by the values of these keys
        self._known: dict[tuple[str, str, frozenset[str]], dict[tuple[str, ...], dict[tuple[Any, ...], Parts]]] = {}

    def parts(self, index: int, mixer: str, block: str, traits: frozenset[str] = frozenset()) -> Parts:
        """Mixers, feed-forward blocks and further tensors of the layer at ``index``."""
        layer = LayerContext(self.model, index, mixer, block, traits)
        known = self._known.setdefault((mixer, block, traits), {})
        for names, read in known.items():
            parts = read.get(tuple(_hashable(layer.value_at(name, index)) for name in names))
            if parts is not None:
                return parts
        mixers = mixer_of(layer)
        if mixers is None:
            raise UnsupportedArchitectureError("unknown-mixer", layer=index, kind=mixer)
        blocks = feed_forward_of(layer)
        if blocks is None:
            raise UnsupportedArchitectureError("unknown-feed-forward", layer=index, kind=block)
        parts = (mixers, blocks, self._around(layer, mixers, blocks))
        known.setdefault(tuple(layer.depends), {})[tuple(map(_hashable, layer.depends.values()))] = parts
        return parts

    def _around(self, layer: LayerContext, mixers: tuple[Mixer, ...], blocks: tuple[FeedForward, ...]) -> tuple[Tensor, ...]:
        """Norms and what else stands beside mixers and blocks."""
        words, keys, hidden = layer.class_words, layer.keys, layer.hidden
        tensors: tuple[Tensor, ...] = ()
        for name in norm_names(layer, mixers=bool(mixers), blocks=bool(blocks)):
            tensors += norm(name, hidden, bias=words.norm_bias)
        narrow = keys.integer("hidden_size_per_layer_input", default=0)
        if narrow:
            group = "per_layer_embedding"
            tensors += matrix("per_layer_input_gate", narrow, hidden, group) + matrix("per_layer_projection", hidden, narrow, group)
            tensors += norm("post_per_layer_input_norm", hidden, group=group)
        tensors += ngram_tensors(layer) + layer_extras(layer)
        if words.layer_scalar:
            tensors += vector("layer_scalar", 1, "buffer")
        streams = keys.integer("hc_mult", default=0)
        if streams and (words.mtp_hyper or "mtp" not in layer.traits):
            mixed = words.hyper_mixing  # a matrix between the streams beside what goes in and what comes out
            rows = streams * (streams + 2 if mixed else 2)
            for part in ("attn_hc", "ffn_hc"):
                tensors += hyper_connection(f"{part}.", rows, streams * hidden, 3 if mixed else 2, dtype=words.hyper_dtype)
        for part in ("attn_hyper_connection", "mlp_hyper_connection"):
            tensors += gated_streams(f"{part}.", keys, hidden, injects=True)
        if keys.integer("attn_res_block_size", default=0):
            for part in ("self_attention_res", "mlp_res"):
                tensors += norm(f"{part}_norm", hidden) + vector(f"{part}_proj.weight", hidden, "residual_mixing")
        return tensors


def hyper_connection(name: str, rows: int, columns: int, scales: int, inner: str = "", *, dtype: str = "fp32") -> tuple[Tensor, ...]:
    """Weights that mix parallel residual streams: a matrix, and vectors in F32."""
    group = "hyper_connection"
    mixing = Tensor(f"{name}{inner}fn", (rows, columns), group, dtype=dtype)
    return (mixing, *vector(f"{name}{inner}base", rows, group, dtype="fp32"), *vector(f"{name}{inner}scale", scales, group, dtype="fp32"))


def gated_streams(name: str, keys: Keys, hidden: int, *, injects: bool) -> tuple[Tensor, ...]:
    """Parallel residual streams that a gate of low rank mixes; nothing without a rank."""
    rank = keys.integer("hc_lowrank", default=0, high=1 << 24)
    if not rank:
        return ()
    streams = keys.needed("hc_count", high=64)
    wide, group = streams * hidden, "hyper_connection"
    tensors = norm(f"{name}hc_norm", wide, group=group)
    tensors += matrix(f"{name}input_mix_weight_down", rank, wide, group) + matrix(f"{name}input_mix_weight_up", wide, rank, group)
    return tensors + (matrix(f"{name}block_inject_weight", streams, wide, group) if injects else ())


def norm_names(layer: LayerContext, *, mixers: bool, blocks: bool) -> tuple[str, ...]:
    """Names of a layer's norms; a layer of two norms that lacks a block lacks its norm."""
    words, keys = layer.class_words, layer.keys
    if not words.norm_weight or keys.has("hc_lowrank"):  # a gate of the streams norms what goes in
        return ()
    names = words.norms
    single = words.norms_when_single
    side_by_side = keys.flag(either(words.single_norm_key, "parallel_attn"))
    if single is not None and (side_by_side if words.single_norm_key else parallel_norms(keys) == 1):
        names = single
    if "no-first-norm" in layer.traits:
        return names[1:]
    if len(names) == 2 and not (mixers and blocks):
        names = names[:1] if mixers else names[1:] if blocks else ()
    if layer.block != "dense" and "experts" in layer.block:
        names += words.norms_with_experts
    return names


def parallel_norms(keys: Any) -> int:
    """Norms of a block whose attention and feed-forward may run side by side: one before both, or one for each."""
    given = keys.integer("num_ln_in_parallel_attn", low=1, high=2)
    keys.ignore("parallel_attn", "new_decoder_architecture")
    if given is not None:
        return int(given)
    if keys.flag("new_decoder_architecture"):
        return 2
    return 1 if keys.flag("parallel_attn") else 2


def layer_traits(model: ModelContext) -> list[frozenset[str]]:
    """What sets layers apart beside their kinds: shared caches, no rotary positions, shared indexers."""
    keys, layers = model.keys, model.layers
    traits: list[set[str]] = [set() for _ in range(layers)]
    shared = keys.integer("num_kv_shared_layers", default=0, high=layers)
    for index in range(layers - shared, layers):
        traits[index].add("shared-kv")
    every = keys.integer("cla_share_factor", default=1, low=1) if keys.flag("use_cla") else 1
    for index in range(layers):
        if index % every:  # between two layers with keys and values of their own; such a layer norms the shared keys itself
            traits[index] |= {"shared-kv", "own-key-norm"}
    keys.ignore("cla_share_factor")
    if not model.class_words.first_norm:
        traits[0].add("no-first-norm")  # the embeddings are normed already
    for index in range(keys.integer("num_hash_layers", default=0, high=layers)):
        traits[index].add("hash-routed")
    rotated = keys.raw("no_rope_layers")
    if isinstance(rotated, (list, tuple)) and len(rotated) >= layers:
        for index in range(layers):
            if rotated[index] == 0:
                traits[index].add("no-rope")
    for index, trait in (*ngram_layers(model).items(), *_sources(model)):
        traits[index].add(trait)
    for index, kind in enumerate(_indexers(model)[:layers]):
        if kind == "shared":
            traits[index].add("indexer-shared")
    return [frozenset(one) for one in traits]


def _sources(model: ModelContext) -> Iterator[tuple[int, str]]:
    """Layers whose compressed entries, or whose choice among them, serve the layers after them."""
    for name, trait in (("kv_source_layer_ids", "pools"), ("index_source_layer_ids", "picks")):
        for index in model.keys.integers(name, high=model.layers - 1) or ():
            yield index, trait


def _indexers(model: ModelContext) -> list[str]:
    """Which layers compute an index of their own: a list, a pattern, or every n-th after the first few."""
    keys, layers = model.keys, model.layers
    keys.ignore("index_topk_pattern", "index_topk_freq", "index_skip_topk_offset", "indexer_types")
    if not keys.has("index_n_heads"):
        return []
    listed = keys.sequence("indexer_types")
    if listed is not None:
        return [str(one) for one in listed]
    pattern = keys.raw("index_topk_pattern")
    if isinstance(pattern, (str, list, tuple)) and pattern:
        return ["shared" if str(one) in ("S", "shared") else "full" for one in pattern]
    frequency = keys.integer("index_topk_freq", default=1, low=1)
    offset = keys.integer("index_skip_topk_offset", default=2)
    return ["full" if max(index - offset + 1, 0) % frequency == 0 else "shared" for index in range(layers)]


def read_layers(factory: LayerFactory, prefix: str) -> tuple[Layer, ...]:
    """All decoder layers in order."""
    model = factory.model
    mixers, blocks, traits = mixer_kinds(model), block_kinds(model), layer_traits(model)
    return tuple(Layer(f"{prefix}{index}.", *factory.parts(index, mixers[index], blocks[index], traits[index])) for index in range(model.layers))
