"""Whisper-like audio encoders of Qwen Omni: convolutions over the spectrum, plain blocks, a projection."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    return all(tower.part.has(name) for name in ("d_model", "encoder_layers", "encoder_ffn_dim", "output_dim", "n_window"))


@register_tower("whisper", "audio", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Two generations: convolutions along time alone, or over time and pitch (``downsample_hidden_size``) with a longer projection."""
    part = tower.part
    width, inner, heads = part.needed("d_model"), part.needed("encoder_ffn_dim"), part.needed("encoder_attention_heads")
    bins, out = part.integer("num_mel_bins", default=128, low=8, high=1 << 16), part.needed("output_dim")
    narrow = part.integer("downsample_hidden_size", low=1)
    encoder = shelf.under("audio_tower")
    block = encoder.each("layers", part.needed("encoder_layers", high=MAX_BLOCKS))
    attention(block.under("self_attn"), width, heads, key_bias=narrow is not None)
    plain_mlp(block, width, inner)
    block.norm("self_attn_layer_norm", width)
    block.norm("final_layer_norm", width)
    encoder.norm("ln_post", width)
    if narrow is None:
        encoder.conv("conv1", width, bins, 3, bias=True)
        encoder.conv("conv2", width, width, 3, bias=True)
        encoder.array("audio_bos_eos_token.weight", 2, out)
        encoder.linear("proj", out, width, bias=True)
        return True
    encoder.conv("conv2d1", narrow, 1, 3, 3, bias=True)
    encoder.conv("conv2d2", narrow, narrow, 3, 3, bias=True)
    encoder.conv("conv2d3", narrow, narrow, 3, 3, bias=True)
    encoder.linear("conv_out", width, narrow * -(-bins // 8))  # three strides of 2
    encoder.linear("proj1", width, width, bias=True)
    encoder.linear("proj2", out, width, bias=True)
    return True


def _listens(tower: Tower) -> bool:
    return all(tower.part.has(name) for name in ("d_model", "encoder_layers", "encoder_ffn_dim", "max_source_positions")) and not tower.part.has(
        "output_dim"
    )


@register_tower("listening-encoder", "audio", _listens)
def read_encoder(tower: Tower, shelf: Shelf) -> bool:
    """The encoder of a model that writes down what it hears: the same blocks, with a table of positions and no projection."""
    part = tower.part
    width, inner, heads = part.needed("d_model"), part.needed("encoder_ffn_dim"), part.needed("encoder_attention_heads")
    encoder = shelf.under("model").under("encoder")
    encoder.conv("conv1", width, part.needed("num_mel_bins"), 3, bias=True)
    encoder.conv("conv2", width, width, 3, bias=True)
    encoder.array("embed_positions.weight", part.needed("max_source_positions"), width)
    block = encoder.each("layers", part.needed("encoder_layers", high=MAX_BLOCKS))
    attention(block.under("self_attn"), width, heads, key_bias=False)
    plain_mlp(block, width, inner)
    block.norm("self_attn_layer_norm", width)
    block.norm("final_layer_norm", width)
    encoder.norm("layer_norm", width)
    return True
