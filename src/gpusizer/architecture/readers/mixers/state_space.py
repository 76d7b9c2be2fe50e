"""Mamba: the first kind (a state for each channel) and the second (heads that share one decay), under their two families of keys."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.mixers.delta import convolution, state_dtype
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import column, norm, row, vector
from gpusizer.architecture.types import Mixer, Split, StateSpace, Tensor

__all__ = ["STATE_SPACE_KEYS", "read_state_space"]

GROUP = "linear_attention"
_HEADS = ("mamba_num_heads", "mamba_n_heads", "n_mamba_heads")
_HEAD_DIMS = ("mamba_head_dim", "mamba_d_head", "mamba_headdim")
_STATES = ("ssm_state_size", "mamba_d_state", "state_size", "mamba_state_dim", "d_state")
_KERNELS = ("conv_kernel", "mamba_d_conv", "d_conv", "conv_dimension")
_EXPANDS = ("expand", "mamba_expand")
_GROUPS = ("n_groups", "mamba_n_groups", "mamba_ngroups", "mamba_num_groups")
_OTHERS = (
    *("mamba_d_ssm", "mamba_intermediate_size", "mamba_dt_rank", "time_step_rank", "dt_rank", "mamba_proj_bias", "mamba_conv_bias", "use_conv_bias"),
    *("mamba_rms_norm", "mamba_norm_before_gate", "mamba_ssm_cache_dtype", "mamba_ssm_dtype"),
)
STATE_SPACE_KEYS = (*_HEADS, *_HEAD_DIMS, *_STATES, *_KERNELS, *_EXPANDS, *_GROUPS, *_OTHERS)


def _second(layer: LayerContext, name: str, heads: int) -> StateSpace:
    keys, words, hidden = layer.keys, layer.class_words, layer.hidden
    inner = keys.integer("mamba_d_ssm", "mamba_intermediate_size", low=1)
    told = _HEAD_DIMS + (("head_dim",) if words.no_feed_forward else ())
    head_dim = keys.integer(*told, low=1) if not isinstance(keys.raw(*told), str) else None  # "auto"
    if head_dim is None:
        head_dim = (inner or keys.integer(*_EXPANDS, default=2, low=1) * hidden) // heads
    inner = heads * head_dim
    state, groups = keys.needed(*_STATES), keys.integer(*_GROUPS, default=1, low=1)
    kernel = keys.integer(*_KERNELS, default=4, low=1, high=1 << 16)
    keys.ignore(*_EXPANDS, *_HEADS, *_HEAD_DIMS, *_STATES, *_KERNELS, *_GROUPS, "mamba_rms_norm", "mamba_norm_before_gate")
    channels = inner + 2 * groups * state
    bias = keys.flag("mamba_proj_bias", "use_bias")
    tensors = column(f"{name}in_proj", inner + channels + heads, hidden, GROUP, bias=bias)
    tensors += convolution(f"{name}conv1d", channels, kernel, bias=keys.flag("use_conv_bias", "mamba_conv_bias", default=True))
    for part in ("dt_bias", "A_log", "D"):
        tensors += vector(f"{name}{part}", heads, GROUP, Split.COLUMN)
    if keys.flag("mamba_rms_norm", default=words.mamba_gated_norm):
        tensors += vector(f"{name}norm.weight", inner, GROUP, Split.COLUMN)
    tensors += row(f"{name}out_proj", hidden, inner, GROUP, bias=keys.flag("projectors_bias", default=bias))
    return StateSpace(inner, state, kernel, tensors, heads, head_dim, groups, state_dtype(layer))


def _first(layer: LayerContext, name: str) -> StateSpace:
    keys, words, hidden = layer.keys, layer.class_words, layer.hidden
    alone = ("intermediate_size",) if words.no_feed_forward else ()  # without feed-forward blocks this is the mixer's width
    inner = keys.integer("mamba_intermediate_size", "d_inner", *alone, low=1)
    inner = inner or keys.integer(*_EXPANDS, default=2, low=1) * hidden
    state = keys.integer(*_STATES, default=16, low=1)
    kernel = keys.integer(*_KERNELS, default=4, low=1, high=1 << 16)
    rank = keys.raw("mamba_dt_rank", "time_step_rank", "dt_rank")
    rank = keys.integer("mamba_dt_rank", "time_step_rank", "dt_rank", low=1) if not isinstance(rank, str) else None
    rank = rank or -(-hidden // 16)
    keys.ignore(*_EXPANDS, *_STATES, *_KERNELS)
    bias = keys.flag("mamba_proj_bias", "use_bias")
    tensors = column(f"{name}in_proj", 2 * inner, hidden, GROUP, bias=bias)
    tensors += convolution(f"{name}conv1d", inner, kernel, bias=keys.flag("use_conv_bias", "mamba_conv_bias", default=True))
    tensors += (Tensor(f"{name}A_log", (inner, state), GROUP, Split.COLUMN), *vector(f"{name}D", inner, GROUP, Split.COLUMN))
    tensors += row(f"{name}x_proj", rank + 2 * state, inner, GROUP) + column(f"{name}dt_proj", inner, rank, GROUP, bias=True)
    tensors += row(f"{name}out_proj", hidden, inner, GROUP, bias=bias)
    if words.mamba_norms:
        for part, width in (("dt", rank), ("b", state), ("c", state)):
            tensors += norm(f"{name}{part}_layernorm", width, group=GROUP)
    return StateSpace(inner, state, kernel, tensors, state_dtype=state_dtype(layer))


def _heads(layer: LayerContext) -> tuple[str, ...]:
    """Names of the number of heads; in a model of nothing else the plain one as well."""
    return (*_HEADS, "num_heads") if layer.class_words.no_feed_forward else _HEADS


def read_state_space(layer: LayerContext) -> tuple[Mixer, ...]:
    """The Mamba block of one layer."""
    name = layer.class_words.mamba
    heads = layer.keys.integer(*_heads(layer), low=1)
    return (_first(layer, name) if heads is None else _second(layer, name, heads),)


def _claims(layer: LayerContext) -> bool:
    if layer.mixer == "linear" and (layer.keys.has("linear_num_value_heads", "linear_num_heads") or not layer.keys.has(*_STATES)):
        return False
    return layer.mixer in ("mamba", "linear") and layer.keys.has(*_STATES, *_heads(layer), *_EXPANDS)


register_mixer(MixerReader("state-space", _claims, read_state_space, order=30))
