"""Gemma 4: a vision encoder with two tables of positions, and a conformer for sound."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, gated_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read_audio", "read_vision"]

_SIDES = 2  # one table of positions for rows, one for columns


@register_tower("gemma4-vision", "vision", lambda tower: tower.part.has("position_embedding_size") and tower.part.has("pooling_kernel_size"))
def read_vision(tower: Tower, shelf: Shelf) -> bool:
    """Four norms per block, norms of queries and keys, one projection. Clipping bounds are buffers, not weights."""
    part = tower.part
    width, inner = part.needed("hidden_size"), part.needed("intermediate_size")
    heads = part.needed("num_attention_heads")
    key_heads, head = part.integer("num_key_value_heads", default=heads, low=1), part.integer("head_dim", default=width // heads, low=1)
    encoder = shelf.under("vision_tower")
    encoder.array("patch_embedder.position_embedding_table", _SIDES, part.needed("position_embedding_size", high=1 << 24), width)
    encoder.linear("patch_embedder.input_proj", width, 3 * side(part, "patch_size") ** 2)
    block = encoder.each("encoder.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    bias = part.flag("attention_bias")
    near = block.under("self_attn")
    near.linear("q_proj", heads * head, width, Split.COLUMN, heads, bias=bias)
    near.linear("k_proj", key_heads * head, width, Split.KV_HEADS, key_heads, bias=bias)
    near.linear("v_proj", key_heads * head, width, Split.KV_HEADS, key_heads, bias=bias)
    near.linear("o_proj", width, heads * head, Split.ROW, heads, bias=bias)
    near.norm("q_norm", head, bias=False)
    near.norm("k_norm", head, bias=False)
    gated_mlp(block.under("mlp"), width, inner)
    for name in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"):
        block.norm(name, width, bias=False)
    shelf.linear("embed_vision.embedding_projection", tower.hidden_size, width)
    return True


@register_tower("gemma4-audio", "audio", lambda tower: tower.part.has("subsampling_conv_channels") and tower.part.has("conv_kernel_size"))
def read_audio(tower: Tower, shelf: Shelf) -> bool:
    """Two strided convolutions, conformer blocks (half feed-forward, attention, convolution, half feed-forward), a projection."""
    part = tower.part
    width, heads = part.needed("hidden_size"), part.needed("num_attention_heads")
    first, second = (part.integers("subsampling_conv_channels", low=1, high=1 << 20) or (128, 32))[:2]
    encoder = shelf.under("audio_tower")
    stem = encoder.under("subsample_conv_projection")
    stem.conv("layer0.conv", first, 1, 3, 3)
    stem.norm("layer0.norm", first, bias=False)
    stem.conv("layer1.conv", second, first, 3, 3)
    stem.norm("layer1.norm", second, bias=False)
    stem.linear("input_proj_linear", width, _MEL_BINS // 4 * second)
    block = encoder.each("layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    for name in ("feed_forward1", "feed_forward2"):
        half = block.under(name)
        half.linear("ffw_layer_1", 4 * width, width, Split.COLUMN, bias=False)
        half.linear("ffw_layer_2", width, 4 * width, Split.ROW, bias=False)
        half.norm("pre_layer_norm", width, bias=False)
        half.norm("post_layer_norm", width, bias=False)
    near = block.under("self_attn")
    near.array("per_dim_scale", width // heads)
    for name in ("q_proj", "k_proj", "v_proj"):
        near.linear(name, width, width, Split.COLUMN, heads, bias=False)
    near.linear("post", width, width, Split.ROW, heads, bias=False)
    near.linear("relative_k_proj", width, width)
    light = block.under("lconv1d")
    light.linear("linear_start", 2 * width, width)
    light.linear("linear_end", width, width)
    light.conv("depthwise_conv1d", width, 1, part.needed("conv_kernel_size", high=1 << 12))
    light.norm("pre_layer_norm", width, bias=False)
    light.norm("conv_norm", width, bias=False)
    for name in ("norm_pre_attn", "norm_post_attn", "norm_out"):
        block.norm(name, width, bias=False)
    out = part.integer("output_proj_dims", default=width, low=1)
    encoder.linear("output_proj", out, width, bias=True)
    shelf.linear("embed_audio.embedding_projection", tower.hidden_size, out)
    return True


_MEL_BINS = 128  # bands of the spectrum; two strides of 2 leave a quarter of them
