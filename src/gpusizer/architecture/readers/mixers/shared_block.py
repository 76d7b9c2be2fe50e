"""State-space layers of which some also pass a transformer block that they share (Zamba2): shared weights, a cache for each layer."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.layer_kinds import mixer_kinds
from gpusizer.architecture.readers.mixers.attention import HEADS
from gpusizer.architecture.readers.mixers.state_space import read_state_space
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, kv_columns, matrix, norm, row
from gpusizer.architecture.types import Attention, Mixer, Tensor

__all__ = ["read_shared_block"]

GROUP = "attention"


def _shared(layer: LayerContext, heads: int, kv_heads: int, head_dim: int, inner: int) -> tuple[Tensor, ...]:
    """The block itself: attention over the stream beside the embeddings (twice as wide), and a gated feed-forward."""
    hidden, name = layer.hidden, "shared_transformer."
    wide = 2 * hidden
    tensors = column(f"{name}self_attn.q_proj", heads * head_dim, wide, GROUP, heads)
    for part in ("k_proj", "v_proj"):
        tensors += kv_columns(f"{name}self_attn.{part}", kv_heads * head_dim, wide, GROUP, kv_heads)
    tensors += row(f"{name}self_attn.o_proj", hidden, heads * head_dim, GROUP, heads)
    bias = layer.keys.flag("add_bias_linear")
    tensors += column(f"{name}feed_forward.gate_up_proj", 2 * inner, hidden, "dense_mlp", bias=bias)
    tensors += row(f"{name}feed_forward.down_proj", hidden, inner, "dense_mlp", bias=bias)
    return tensors + norm(f"{name}input_layernorm", wide) + norm(f"{name}pre_ff_layernorm", hidden)


def read_shared_block(layer: LayerContext) -> tuple[Mixer, ...]:
    """Attention with a cache of its own; the shared weights stand with the first layers that use them, adapters with every one."""
    keys, hidden = layer.keys, layer.hidden
    blocks, rank = keys.needed("num_mem_blocks", high=64), keys.integer("adapter_rank", default=128, low=1)
    heads = layer.needed(*HEADS)
    kv_heads = layer.integer("num_key_value_heads", default=heads, low=1, high=heads)
    head_dim = layer.integer("attention_head_dim", low=1) or 2 * hidden // heads
    inner = layer.needed("intermediate_size")
    keys.ignore("attention_hidden_size", "kv_channels", "num_query_groups", "hybrid_layer_ids", "use_mem_rope", "ffn_hidden_size")
    before = mixer_kinds(layer.model)[: layer.index].count(layer.mixer)
    tensors: tuple[Tensor, ...] = _shared(layer, heads, kv_heads, head_dim, inner) if before < blocks else ()
    name = f"shared_transformer.feed_forward.gate_up_proj_adapter_list.{before}."
    tensors += matrix(f"{name}0", rank, hidden, "dense_mlp") + matrix(f"{name}1", 2 * inner, rank, "dense_mlp")
    if keys.flag("use_shared_attention_adapter"):
        for part in ("q", "k", "v"):
            adapter = f"shared_transformer.self_attn.linear_{part}_adapter_list.{before}."
            tensors += matrix(f"{adapter}0", rank, 2 * hidden, GROUP) + matrix(f"{adapter}1", heads * head_dim, rank, GROUP)
    tensors += matrix("linear", hidden, hidden, GROUP)
    return (Attention(heads, kv_heads, head_dim, head_dim, tensors), *read_state_space(layer))


def _claims(layer: LayerContext) -> bool:
    return layer.mixer == "attention+mamba" and layer.keys.has("num_mem_blocks")


register_mixer(MixerReader("shared-block", _claims, read_shared_block, order=25))
