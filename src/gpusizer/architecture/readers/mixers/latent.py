"""Multi-head latent attention: one shared latent and one rotary key a token; with an indexer (own or shared) it is sparse."""

from __future__ import annotations

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, matrix, norm, row, vector
from gpusizer.architecture.types import Indexer, LatentAttention, Mixer, Split, Tensor

GROUP = "attention"


def _indexer(layer: LayerContext, name: str, q_rank: int | None) -> tuple[Indexer | None, tuple[Tensor, ...]]:
    """The lightning indexer: its own weights and key cache only in the layers that compute the selection."""
    keys, hidden = layer.keys, layer.hidden
    heads, width, topk = (keys.integer(key, low=1) for key in ("index_n_heads", "index_head_dim", "index_topk"))
    if heads is None or width is None:
        return None, ()
    ratio = keys.integer("index_kpool", default=1, low=1)  # tokens whose keys are pooled into one
    if "indexer-shared" in layer.traits:
        return Indexer(heads, width, topk or 0, caches=False, ratio=ratio), ()
    part = f"{name}indexer."
    tensors = matrix(f"{part}wq_b", heads * width, q_rank or hidden, "indexer") + matrix(f"{part}wk", width, hidden, "indexer")
    tensors += norm(f"{part}k_norm", width, bias=True, group="indexer") + matrix(f"{part}weights_proj", heads, hidden, "indexer")
    if layer.class_words.scaled_softmax:
        tensors += norm(f"{part}q_input_norm", hidden, bias=True, group="indexer")
        tensors += vector(f"{part}softmax_scaling.scale", heads, "indexer") + vector(f"{part}softmax_scaling.bias", heads, "indexer")
    return Indexer(heads, width, topk or 0, ratio=ratio), tensors


def latent_attention(layer: LayerContext, name: str) -> LatentAttention:
    """The latent attention whose modules stand under ``name``."""
    keys, words, hidden = layer.keys, layer.class_words, layer.hidden
    heads = layer.needed(*HEADS)
    keys.ignore("num_key_value_heads", "head_dim", "qk_head_dim")  # mean nothing here: one latent serves all heads
    q_rank = layer.integer("q_lora_rank", low=1)
    rank, nope, rope = keys.needed("kv_lora_rank"), keys.needed("qk_nope_head_dim"), keys.integer("qk_rope_head_dim", default=0)
    value = keys.integer("v_head_dim", low=1) or nope
    if "no-rope" in layer.traits:  # the rotary part of a head joins the rest, and the shared rotary key falls away
        nope, rope = nope + rope, 0
    bias = keys.flag("attention_bias")
    query = heads * (nope + rope)
    tensors: tuple[Tensor, ...]
    if q_rank is None:
        tensors = column(f"{name}q_proj", query, hidden, GROUP, heads)
    else:
        tensors = matrix(f"{name}q_a_proj", q_rank, hidden, GROUP, bias=bias) + norm(f"{name}q_a_layernorm", q_rank)
        if words.latent_query_gate:  # queries and their gates from the latent and its norm together
            tensors += column(f"{name}q_gate_proj", query + heads * value, 2 * q_rank, GROUP, heads)
        else:
            tensors += column(f"{name}q_b_proj", query, q_rank, GROUP, heads)
    tensors += matrix(f"{name}kv_a_proj_with_mqa", rank + rope, hidden, GROUP, bias=bias) + norm(f"{name}kv_a_layernorm", rank)
    tensors += column(f"{name}kv_b_proj", heads * (nope + value), rank, GROUP, heads)
    tensors += row(f"{name}o_proj", hidden, heads * value, GROUP, heads, bias=bias)
    gate = either(words.latent_gate, "full" if keys.flag("mla_use_output_gate") else "none")
    if gate != "none":
        tensors += column(f"{name}g_proj", heads if gate == "head" else heads * value, hidden, GROUP, heads)
    if words.scaled_softmax:
        tensors += vector(f"{name}softmax_scaling.scale", heads, GROUP, Split.COLUMN) + vector(
            f"{name}softmax_scaling.bias", heads, GROUP, Split.COLUMN
        )
    indexer, extra = _indexer(layer, name, q_rank)
    return LatentAttention(heads, q_rank, rank, nope, rope, value, tensors + extra, indexer)


def read_latent(layer: LayerContext) -> tuple[Mixer, ...]:
    """One latent attention, or two in a layer that has two blocks."""
    name = layer.class_words.attention
    copies = layer.class_words.mixers_per_layer
    if copies == 1:
        return (latent_attention(layer, name),)
    return tuple(latent_attention(layer, f"{name}{copy}.") for copy in range(copies))


def _claims(layer: LayerContext) -> bool:
    return layer.mixer == "attention" and layer.keys.has("kv_lora_rank") and layer.keys.optional_flag("use_mla") is not False


register_mixer(MixerReader("latent", _claims, read_latent, order=40))
