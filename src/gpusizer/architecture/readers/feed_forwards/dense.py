"""A feed-forward block that every token passes: gated (three matrices) or plain (two), with the widths that configurations give it."""

from __future__ import annotations

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext, ModelContext
from gpusizer.architecture.readers.keys import MAX_NUMBER
from gpusizer.architecture.readers.registry import FeedForwardReader, register_feed_forward
from gpusizer.architecture.readers.tensor_kit import mlp_matrices
from gpusizer.architecture.types import DenseMLP, FeedForward

__all__ = ["DENSE_FIRST", "WIDTHS", "gated", "has_glu", "mlp_bias", "mlp_names", "read_dense"]

WIDTHS = ("block_ff_dim", "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff", "inner_hidden_size")
DENSE_FIRST = ("intermediate_size_mlp", "dense_intermediate_size")
_UNGATED = ("relu2",)


def has_glu(model: ModelContext) -> bool:
    """Whether an encoder's configuration asks for blocks with a gate; then only the way out of them has a bias."""
    return model.keys.text("feed_forward_type", default="").endswith("glu")


def gated(layer: LayerContext) -> bool:
    """Whether blocks have a gate: told by the activation where that has none, else by the class."""
    layer.keys.ignore(*DENSE_FIRST)
    if layer.keys.raw("mlp_hidden_act") in _UNGATED:
        return False
    return layer.class_words.gated or has_glu(layer.model)


def mlp_bias(layer: LayerContext) -> bool:
    """Whether the matrices of a block have biases."""
    keys = layer.keys
    if has_glu(layer.model):
        return False
    general = keys.flag("use_bias", "bias", "add_bias_linear", "use_linear_bias", "enable_bias") and not keys.flag("no_bias")
    return either(layer.class_words.mlp_has_bias, keys.flag("mlp_bias", "use_mlp_bias", default=general))


def mlp_names(layer: LayerContext, module: str) -> tuple[str, str, str]:
    """Names of gate, up and down under a module."""
    words = layer.class_words
    gate = words.gate_name
    return f"{module}{gate}", f"{module}{words.up_name}", f"{module}{words.down_name}"


def dense_width(layer: LayerContext) -> int:
    """Width of a dense block; 0 where a layer has none."""
    keys = layer.keys
    keys.ignore(*DENSE_FIRST)
    own = layer.class_words.dense_width_key
    if own is not None:
        keys.ignore(*WIDTHS)
    width = (layer.integer(own) if own is not None else None) or layer.integer(*DENSE_FIRST) or layer.integer(*WIDTHS)
    if width is None:
        ratio = keys.integer("expansion_ratio", "mlp_ratio", low=1, high=1 << 16) or layer.class_words.mlp_ratio
        if ratio is None:
            raise keys.missing(WIDTHS[0])
        width = ratio * layer.hidden
    if not width and not any(isinstance(keys.values.get(name), (list, tuple)) for name in (*DENSE_FIRST, *WIDTHS, own or "")):
        raise keys.refuse(own or next(name for name in WIDTHS if keys.has(name)), 0, f"1 .. {MAX_NUMBER}")  # lists alone leave blocks out
    if layer.class_words.halved_width:
        width //= 2
    if keys.flag("block_auto_adjust_ff_dim"):  # two thirds, times a factor, rounded up
        width = int(int(2 * width / 3) * keys.number("block_ffn_dim_multiplier", default=1.0, high=1024.0))
        step = keys.integer("block_multiple_of", default=1, low=1)
        width = -(-width // step) * step
    if keys.flag("use_double_wide_mlp") and "shared-kv" in layer.traits:
        width *= 2
    return width


def read_dense(layer: LayerContext) -> tuple[FeedForward, ...]:
    """The dense block of a layer, or several where a layer has several."""
    width = dense_width(layer)
    if not width:
        return ()
    copies = layer.class_words.mixers_per_layer
    module = layer.class_words.mlp
    modules = [module] if copies == 1 else [f"mlps.{copy}." for copy in range(copies)]
    blocks = []
    for one in modules:
        tensors = mlp_matrices(mlp_names(layer, one), width, layer.hidden, "dense_mlp", gated=gated(layer), bias=mlp_bias(layer))
        blocks.append(DenseMLP(width, gated(layer), tensors))
    return tuple(blocks)


register_feed_forward(FeedForwardReader("dense", lambda layer: layer.block == "dense", read_dense, order=100))
register_feed_forward(FeedForwardReader("none", lambda layer: layer.block == "none", lambda layer: (), order=0))
