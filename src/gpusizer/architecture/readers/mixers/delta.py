"""Linear attention by delta rules: the gated delta net (heads of keys and values apart) and KDA (a gate for each channel)."""

from __future__ import annotations

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, matrix, norm, row, vector
from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.architecture.types import LinearAttention, Mixer, Split, Tensor

GROUP = "linear_attention"


def state_dtype(layer: LayerContext) -> str | None:
    """Format of the state where the configuration gives one."""
    found = layer.keys.raw("mamba_ssm_cache_dtype", "mamba_ssm_dtype", "ssm_cache_dtype")
    known = plain_dtype(found)
    if found is not None and known is None:
        layer.model.notice("unknown-dtype", found=str(found)[:40], assumed="bf16")
    return known


def convolution(name: str, channels: int, kernel: int, *, bias: bool = False) -> tuple[Tensor, ...]:
    """A short convolution of one filter a channel."""
    weight = Tensor(f"{name}.weight", (channels, 1, kernel), GROUP, Split.COLUMN)
    return (weight, Tensor(f"{name}.bias", (channels,), GROUP, Split.COLUMN)) if bias else (weight,)


def read_gated_delta(layer: LayerContext) -> tuple[Mixer, ...]:
    """A gated delta net: fewer key heads than value heads, one convolution over queries, keys and values."""
    keys, hidden = layer.keys, layer.hidden
    key_heads, value_heads = keys.needed("linear_num_key_heads"), keys.needed("linear_num_value_heads")
    key_dim, value_dim = keys.needed("linear_key_head_dim"), keys.needed("linear_value_head_dim")
    kernel = keys.integer("linear_conv_kernel_dim", default=4, low=1, high=1 << 16)
    name = "linear_attn."
    key_width, value_width = key_heads * key_dim, value_heads * value_dim
    channels = 2 * key_width + value_width
    tensors = vector(f"{name}dt_bias", value_heads, GROUP, Split.COLUMN) + vector(f"{name}A_log", value_heads, GROUP, Split.COLUMN)
    tensors += convolution(f"{name}conv1d", channels, kernel)
    if layer.class_words.delta_projections == "fused":
        tensors += column(f"{name}in_proj_qkvz", channels + value_width, hidden, GROUP, key_heads)
        tensors += column(f"{name}in_proj_ba", 2 * value_heads, hidden, GROUP, key_heads)
    else:
        tensors += column(f"{name}in_proj_qkv", channels, hidden, GROUP, key_heads) + column(
            f"{name}in_proj_z", value_width, hidden, GROUP, value_heads
        )
        tensors += column(f"{name}in_proj_b", value_heads, hidden, GROUP, value_heads) + column(
            f"{name}in_proj_a", value_heads, hidden, GROUP, value_heads
        )
    tensors += norm(f"{name}norm", value_dim, group=GROUP) + row(f"{name}out_proj", hidden, value_width, GROUP, value_heads)
    return (LinearAttention(key_heads, value_heads, key_dim, value_dim, tensors, channels, kernel, state_dtype(layer)),)


def read_kda(layer: LayerContext) -> tuple[Mixer, ...]:
    """Kimi delta attention: equal heads of keys and values, a convolution for each of them, low-rank (or full) gates."""
    keys, words, hidden = layer.keys, layer.class_words, layer.hidden
    heads, width = keys.needed("linear_num_heads"), keys.needed("linear_head_dim")
    kernel = keys.integer("linear_conv_kernel_dim", "short_conv_kernel_size", default=4, low=1, high=1 << 16)
    keys.ignore("short_conv_kernel_size")
    name = words.attention
    wide = heads * width
    tensors: tuple[Tensor, ...] = ()
    for part in "qkv":
        tensors += column(f"{name}{part}_proj", wide, hidden, GROUP, heads) + convolution(f"{name}{part}_conv1d", wide, kernel)
    tensors += vector(f"{name}dt_bias", wide, GROUP, Split.COLUMN, "fp32") + vector(f"{name}A_log", heads, GROUP, Split.COLUMN, "fp32")
    forget = words.forget_rank
    output = either(words.output_rank, "full" if keys.flag("linear_gate_full_rank") else "low")
    for letter, rank in (("f", forget), ("g", output)):
        if rank == "full":
            tensors += column(f"{name}{letter}_proj", wide, hidden, GROUP, heads)
        else:
            tensors += matrix(f"{name}{letter}_a_proj", width, hidden, GROUP) + column(f"{name}{letter}_b_proj", wide, width, GROUP, heads)
    tensors += column(f"{name}b_proj", heads, hidden, GROUP, heads) + norm(f"{name}o_norm", width)
    tensors += row(f"{name}o_proj", hidden, wide, GROUP, heads)
    return (LinearAttention(heads, heads, width, width, tensors, 3 * wide, kernel, state_dtype(layer) or "fp32"),)


register_mixer(
    MixerReader("gated-delta", lambda layer: layer.mixer == "linear" and layer.keys.has("linear_num_value_heads"), read_gated_delta, order=30)
)
register_mixer(MixerReader("kda", lambda layer: layer.mixer == "linear" and layer.keys.has("linear_num_heads"), read_kda, order=30))
