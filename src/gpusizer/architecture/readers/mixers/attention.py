"""Softmax attention with keys and values of its own (MHA, GQA, MQA): two geometries, windows, chunks, biases, norms, gates, sinks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, kv_columns, matrix, norm, row, vector
from gpusizer.architecture.types import Attention, EncoderAttention, Indexer, Mixer, RelativeAttention, Split, Tensor
from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["HEADS", "attention_geometry", "biases", "rotary_dim"]

GROUP = "attention"
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads", "attention_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups", "multi_query_group_num")
_HEAD_DIM = ("head_dim", "kv_channels", "attention_head_dim", "attention_head_size", "d_kv")


@dataclass(frozen=True)
class Geometry:
    """Heads and widths of one layer's attention."""

    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int


def attention_geometry(layer: LayerContext) -> Geometry:
    """Heads and widths; windowed layers and global ones may each have keys of their own."""
    window = layer.mixer == "window"
    keys = layer.keys
    heads = layer.integer("swa_num_attention_heads", low=1) if window else None
    heads = heads or layer.needed("num_attention_heads_per_layer", *HEADS)
    shared_values = layer.flag("attention_k_eq_v") and not window
    if window:
        kv_heads = layer.integer("swa_num_key_value_heads", low=1)
        head_dim = layer.integer("swa_head_dim", low=1)
        v_head_dim = layer.integer("swa_v_head_dim", low=1)
    else:
        kv_heads = layer.integer("num_global_key_value_heads", low=1) if shared_values else None
        head_dim = layer.integer("global_head_dim", low=1)
        v_head_dim = head_dim
    kv_heads = kv_heads or _plain_kv_heads(layer, heads)
    head_dim = head_dim or layer.integer(*_HEAD_DIM, low=1) or _even_share(layer, heads)
    v_head_dim = v_head_dim or layer.integer("v_head_dim", low=1) or head_dim
    keys.ignore("num_global_key_value_heads", "swa_num_attention_heads", "swa_num_key_value_heads", "swa_head_dim", "swa_v_head_dim")
    keys.ignore("global_head_dim", "num_key_value_groups", "num_attention_heads_per_layer", *HEADS)
    if not head_dim or kv_heads > heads:
        raise keys.refuse(_KV_HEADS[0], kv_heads, f"1 .. {heads}")
    if heads % kv_heads:
        raise UnsupportedArchitectureError("kv-heads-uneven", heads=heads, kv_heads=kv_heads)
    return Geometry(heads, kv_heads, head_dim, v_head_dim)


def _even_share(layer: LayerContext, heads: int) -> int:
    """The width of a head where the configuration leaves it to the hidden size."""
    width = layer.hidden // heads
    if layer.hidden % heads:
        layer.model.notice("head-width-uneven", hidden_size=layer.hidden, heads=heads, head_dim=width)
    return width


def _plain_kv_heads(layer: LayerContext, heads: int) -> int:
    keys = layer.keys
    keys.ignore(*_KV_HEADS, "multi_query", "multi_query_attention", "new_decoder_architecture")
    if keys.flag("multi_query") and not keys.flag("new_decoder_architecture"):
        return 1
    if keys.optional_flag("multi_query_attention") is False:
        return heads
    return layer.integer(*_KV_HEADS, low=1) or heads


def rotary_dim(layer: LayerContext, head_dim: int) -> int:
    """Rotated width of a head: 0 without rotary positions."""
    keys, words = layer.keys, layer.class_words
    if (
        not words.rotary
        or keys.flag("alibi")
        or keys.raw("position_embedding_type") in ("nope", "absolute", "alibi", "relative_key", "relative_key_query")
    ):
        return 0
    if "no-rope" in layer.traits:
        return 0
    width = keys.integer("rotary_dim", low=1)
    if width is not None:
        return min(width, head_dim)
    factor = keys.number("partial_rotary_factor", "rotary_pct", "rope_pct", "rope_percentage", "partial_rotary_factors", low=0.0, high=1.0)
    parameters = keys.raw("rope_parameters")
    if isinstance(parameters, dict):
        kind = parameters.get("sliding_attention" if layer.mixer == "window" else "full_attention")
        inner = kind if isinstance(kind, dict) else parameters
        value = inner.get("partial_rotary_factor")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
            factor = float(value)
    return min(int(head_dim * factor), head_dim) if factor is not None else head_dim


def biases(layer: LayerContext) -> tuple[bool, bool]:
    """Whether the projections of queries, keys and values have biases, and whether the output has one."""
    keys, words = layer.keys, layer.class_words
    keys.ignore("no_bias")
    general = keys.flag("use_bias", "bias", "add_bias_linear", "use_linear_bias", "enable_bias") and not keys.flag("no_bias")
    own = keys.flag("attention_bias", "qkv_bias", "use_qkv_bias", "add_qkv_bias", "attn_bias", "attention_in_bias", "qkv_proj_bias")
    inputs = own or general
    covers_output = words.attention_bias_covers_output
    output = keys.optional_flag("attention_out_bias", "attention_output_bias", "o_bias", "out_proj_bias")
    outputs = output if output is not None else (own and covers_output) or general
    return either(words.qkv_bias, inputs), either(words.o_bias, outputs)


def _window(layer: LayerContext) -> int | None:
    if layer.mixer != "window":
        if layer.class_words.sliding_attention:
            return layer.integer("attention_window_size", low=1)
        layer.keys.ignore("sliding_window", "sliding_window_size", "window_size", "max_window_layers")
        return None
    return layer.needed("sliding_window", "sliding_window_size", "window_size", "attention_window_size")


def _query_key_norms(layer: LayerContext, geometry: Geometry, name: str, *, keeps_keys: bool) -> tuple[Tensor, ...]:
    """Norms of queries and keys: none, one for a head's width, one for all heads' width, or one of its own for each head."""
    keys, words = layer.keys, layer.class_words
    kind: str = words.qk_norm
    flag = keys.optional_flag("use_qk_norm", "qk_norm", "qk_layernorm", "use_query_key_norm")
    if flag is not None:
        told = keys.text("qk_norm_type", default="")
        usual = either(words.qk_norm_when_used, {"per_layer": "full", "per_head": "head"}.get(told, "head"))
        kind = usual if flag else "none"
    query, key = words.q_norm_name, words.k_norm_name
    bias = words.qk_norm_bias
    if kind == "none":
        return ()
    widths = {"head": (geometry.head_dim, geometry.head_dim), "full": (geometry.heads * geometry.head_dim, geometry.kv_heads * geometry.head_dim)}
    if kind == "heads":  # one norm a head, stored as a matrix
        tensors: tuple[Tensor, ...] = (Tensor(f"{name}{query}.weight", (geometry.heads, geometry.head_dim), "norms"),)
        return (*tensors, Tensor(f"{name}{key}.weight", (geometry.kv_heads, geometry.head_dim), "norms")) if keeps_keys else tensors
    first, second = widths[kind]
    return norm(name + query, first, bias=bias) + (norm(name + key, second, bias=bias) if keeps_keys else ())


def _projections(layer: LayerContext, geometry: Geometry, name: str, *, own_keys: bool, own_values: bool) -> tuple[Tensor, ...]:
    """Query, key, value and output matrices."""
    words, hidden, keys = layer.class_words, layer.hidden, layer.keys
    inputs, output = biases(layer)
    fused = words.fused_qkv
    q, k, v = (name + (fused or part) for part in words.qkv_names)
    gated = keys.flag("attn_output_gate", "attention_output_gate", "output_gate", default=words.query_gate)
    width = geometry.heads * geometry.head_dim
    narrow = keys.integer("share_q_dim", low=1)
    tensors: tuple[Tensor, ...]
    if narrow is not None:  # queries pass through a narrow space that is not cut
        tensors = matrix(q, narrow, hidden, GROUP) + norm(f"{name}inter_norm", narrow) + column(f"{name}wq", width, narrow, GROUP, geometry.heads)
    else:
        tensors = column(q, width * (2 if gated else 1), hidden, GROUP, geometry.heads, bias=inputs)
    if own_keys:
        stored = kv_columns(k, geometry.kv_heads * geometry.head_dim, hidden, GROUP, geometry.kv_heads, bias=inputs and words.key_bias)
        tensors += stored if own_values else tuple(replace(tensor, places=2) for tensor in stored)
    if own_values:
        tensors += kv_columns(v, geometry.kv_heads * geometry.v_head_dim, hidden, GROUP, geometry.kv_heads, bias=inputs)
    out = name + words.o_name
    tensors += row(out, hidden, geometry.heads * geometry.v_head_dim, GROUP, geometry.heads, bias=output)
    if rows := _gate_rows(layer, geometry):
        tensors += column(f"{name}g_proj", rows, hidden, GROUP, geometry.heads)
    return tensors


def _gate_rows(layer: LayerContext, geometry: Geometry) -> int:
    """Rows of the gate on the output: one a head, one an element where a word says so, none without a gate."""
    keys, words = layer.keys, layer.class_words
    if isinstance(keys.raw("gating"), str):
        return geometry.heads if keys.text("gating") in ("per-head", "per_head") else geometry.heads * geometry.head_dim
    if words.always_gated and keys.optional_flag("gating") is False:
        return geometry.heads * geometry.head_dim  # of this class a false flag means the other gate, not none
    other = keys.flag(words.head_gate_key, default=words.head_gate)
    return geometry.heads if keys.flag("gating", "use_head_wise_attn_gate", default=other) else 0


def _sinks(layer: LayerContext) -> bool:
    key = "add_swa_attention_sink_bias" if layer.mixer == "window" else "add_full_attention_sink_bias"
    layer.keys.ignore("add_swa_attention_sink_bias", "add_full_attention_sink_bias")
    return layer.keys.flag(key, default=layer.class_words.sinks)


def _block_indexer(layer: LayerContext, name: str) -> tuple[Indexer, tuple[Tensor, ...]]:
    """An indexer whose keys stand for a few tokens each, from one matrix of queries and keys."""
    keys = layer.keys
    heads, width = keys.needed("indexer_n_heads"), keys.needed("indexer_head_dim")
    rows = (heads + keys.integer("indexer_kv_heads", default=1, low=1)) * width
    tensors = matrix(f"{name}indexer.index_qk_proj", rows, layer.hidden, "indexer")
    tensors += norm(f"{name}indexer.q_layernorm", width, group="indexer") + norm(f"{name}indexer.k_layernorm", width, group="indexer")
    ratio = keys.integer("indexer_compress_ratio", default=1, low=1)
    return Indexer(heads, width, keys.integer("indexer_budget", default=0), ratio=ratio), tensors


def _indexer(layer: LayerContext, name: str) -> tuple[Indexer | None, tuple[Tensor, ...]]:
    """An indexer over keys of plain attention, in the layers that a list names."""
    keys = layer.keys
    if keys.has("indexer_n_heads"):
        return _block_indexer(layer, name)
    heads, width, topk = (keys.integer(key, low=1) for key in ("index_n_heads", "index_head_dim", "index_topk"))
    if heads is None or width is None or layer.integer("index_layer_freq", default=1) == 0:
        return None, ()
    tensors = matrix(f"{name}indexer.q_proj", heads * width, layer.hidden, "indexer") + matrix(
        f"{name}indexer.k_proj", width, layer.hidden, "indexer"
    )
    tensors += norm(f"{name}indexer.q_norm", width, group="indexer") + norm(f"{name}indexer.k_norm", width, group="indexer")
    return Indexer(heads, width, topk or 0), tensors


def read_attention(layer: LayerContext) -> tuple[Mixer, ...]:
    """The attention of one layer."""
    geometry = attention_geometry(layer)
    name = layer.class_words.attention
    owns = "shared-kv" not in layer.traits
    stores_v = not (layer.flag("attention_k_eq_v") and layer.mixer != "window")
    tensors = _projections(layer, geometry, name, own_keys=owns, own_values=owns and stores_v)
    tensors += _query_key_norms(layer, geometry, name, keeps_keys=owns or "own-key-norm" in layer.traits)
    if _sinks(layer):
        tensors += vector(f"{name}sinks", geometry.heads, GROUP, Split.COLUMN)
    indexer, extra = _indexer(layer, name)
    chunk = layer.needed("attention_chunk_size") if layer.mixer == "chunk" else None
    layer.keys.ignore("attention_chunk_size")
    rotary = rotary_dim(layer, geometry.head_dim)
    window = _window(layer)
    both_ways = layer.model.both_ways
    relative = layer.keys.flag("relative_attention") or layer.keys.has("relative_attention_num_buckets")
    kind = (RelativeAttention if relative else EncoderAttention) if both_ways else Attention
    return (
        kind(
            geometry.heads,
            geometry.kv_heads,
            geometry.head_dim,
            geometry.v_head_dim,
            tensors + extra,
            window,
            chunk,
            owns and not both_ways,
            stores_v,
            rotary,
            indexer=indexer,
        ),
    )


def _claims(layer: LayerContext) -> bool:
    if layer.mixer not in ("attention", "window", "chunk"):
        return False
    return any(layer.keys.values.get(name) is not None for name in HEADS)


register_mixer(MixerReader("attention", _claims, read_attention, order=100))
register_mixer(MixerReader("none", lambda layer: layer.mixer == "none", lambda layer: (), order=0))
