"""Mixture of experts under every naming: routed and shared experts, their router and its correction bias, narrower spaces, identity experts."""

from __future__ import annotations

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS, EXPERT_WIDTHS, SELECTED, SHARED_COUNTS, SHARED_WIDTHS
from gpusizer.architecture.readers.feed_forwards.dense import DENSE_FIRST, WIDTHS, gated, mlp_bias, read_dense
from gpusizer.architecture.readers.layer_kinds import block_kinds
from gpusizer.architecture.readers.registry import FeedForwardReader, register_feed_forward
from gpusizer.architecture.readers.tensor_kit import expert_matrices, matrix, mlp_matrices, norm
from gpusizer.architecture.types import FeedForward, MixtureOfExperts, Tensor
from gpusizer.errors import UnsupportedArchitectureError

_LATENT = ("moe_latent_size", "routed_expert_hidden_size", "moe_hidden_size")


def _shared_width(layer: LayerContext, expert_width: int) -> int:
    """Width of the shared experts together: a field of its own, or their number times an expert's width."""
    layer.keys.ignore(*SHARED_COUNTS, *SHARED_WIDTHS)
    count = layer.integer(*SHARED_COUNTS)
    own = layer.integer(*SHARED_WIDTHS)
    if own is not None:
        return own
    if count is None:
        count = layer.class_words.shared_experts
    return count * expert_width


def _router(layer: LayerContext, rows: int, name: str) -> tuple[Tensor, ...]:
    """The router, replicated on every rank; a correction bias is a buffer in most models, a parameter in some."""
    words, keys = layer.class_words, layer.keys
    dtype = words.router_dtype
    if "hash-routed" in layer.traits:  # a table from token to experts beside the router, instead of a correction bias
        table = Tensor(f"{name}.tid2eid", (keys.needed("vocab_size"), layer.needed(*SELECTED)), "buffer", dtype="int64")
        return Tensor(f"{name}.weight", (rows, layer.hidden), "router", linear=True, dtype=dtype), table
    tensors: tuple[Tensor, ...] = (Tensor(f"{name}.weight", (rows, layer.hidden), "router", linear=True, dtype=dtype),)
    if words.router_has_bias:
        tensors += (Tensor(f"{name}.bias", (rows,), "router"),)
    for suffix in words.router_scales:
        module = name.rpartition(".")[0]
        tensors += (Tensor(f"{module}.{suffix}", (rows if "expert" in suffix else layer.hidden,), "router"),)
    kind = words.router_bias
    flag = keys.optional_flag("use_routing_bias", "use_expert_bias", "moe_router_enable_expert_bias", "use_moe_router_bias")
    method = keys.raw("topk_method") if flag is None else None
    if kind == "none" and (flag or method == "noaux_tc"):
        kind = "buffer"
    if kind != "none" and flag is not False and method not in ("greedy", "group_limited_greedy"):
        bias = either(words.router_bias_name, f"{name}.e_score_correction_bias")
        for each in (bias, f"{bias}_vl")[: 2 if words.image_router_bias else 1]:
            tensors += (Tensor(each, (rows,), "router" if kind == "parameter" else "buffer", dtype="fp32"),)
    return tensors


def _width_of_dense(layer: LayerContext) -> int:
    """The one width that a configuration gives; said where dense or shared blocks may be meant by it."""
    width = layer.needed(*WIDTHS)
    emptied = any(layer.keys.present(name) for name in EXPERT_WIDTHS)  # null: neither this class's usual width nor one of its own
    mixed = any("dense" in kind for kind in block_kinds(layer.model)) and not layer.model.told(*DENSE_FIRST)
    shared = layer.model.told(*SHARED_COUNTS) and not layer.model.told(*SHARED_WIDTHS)
    if not layer.class_words.one_width and (mixed or shared or emptied):
        layer.model.notice("expert-width-assumed", key=next(name for name in WIDTHS if layer.keys.has(name)), width=width)
    return width


def _told(layer: LayerContext, names: tuple[str, ...]) -> int:
    """A number of experts of this layer; those of a drafter may have keys of their own."""
    own = layer.integer(*(f"dspark_{name}" for name in names), low=1) if "mtp" in layer.traits else None
    return own or layer.needed(*names)


def read_experts(layer: LayerContext) -> tuple[FeedForward, ...]:
    """The experts of one layer."""
    keys, words, hidden = layer.keys, layer.class_words, layer.hidden
    if words.unknown_experts:
        raise UnsupportedArchitectureError("unknown-feed-forward", layer=layer.index, kind="experts")
    count = _told(layer, EXPERT_COUNTS)
    zero = keys.integer("zero_expert_num", default=0)
    width = layer.integer(*EXPERT_WIDTHS, low=1) or _width_of_dense(layer)
    keys.ignore(*WIDTHS)  # of dense layers, or of none
    top_k = _told(layer, SELECTED)
    if top_k > count + zero:
        raise keys.refuse(next(name for name in SELECTED if keys.has(name)), top_k, f"1 .. {count + zero}")
    keys.ignore(*EXPERT_COUNTS, *SELECTED)
    inner = layer.integer(*_LATENT, low=1) or hidden
    has_gate = gated(layer)
    module = words.experts_module
    names = (f"{module}{words.expert_gate}", f"{module}{words.expert_up}", f"{module}{words.expert_down}")
    suffix = (words.expert_suffix, words.expert_bias_suffix)
    biased = either(words.experts_have_bias, mlp_bias(layer))
    tensors = _router(layer, count + zero, either(words.router, f"{module}gate"))
    tensors += expert_matrices(names, width, inner, count, suffix, gated=has_gate, bias=biased)
    shared = _shared_width(layer, width)
    if shared:
        under = either(words.shared, f"{module}shared_experts.")
        parts = (under + words.shared_gate_proj, under + words.shared_up_proj, under + words.shared_down_proj)
        tensors += mlp_matrices(parts, shared, hidden, "shared_experts", gated=has_gate, bias=mlp_bias(layer))
        if words.shared_gate:
            tensors += matrix(f"{module}shared_expert_gate", 1, hidden, "shared_experts")
    if inner != hidden:
        down, up = either(words.latent_down, f"{module}fc1_latent_proj"), either(words.latent_up, f"{module}fc2_latent_proj")
        kept = words.latent_dtype  # where they stay out of the quantisation although no list says so
        tensors += matrix(down, inner, hidden, "latent_projection", dtype=kept) + matrix(up, hidden, inner, "latent_projection", dtype=kept)
        if keys.flag("latent_moe_use_norm"):
            tensors += norm(either(words.latent_norm, f"{module}latent_norm"), inner)
    return (MixtureOfExperts(count, top_k, width, inner, has_gate, tensors, shared, zero),)


def _read_both(layer: LayerContext) -> tuple[FeedForward, ...]:
    return read_dense(layer) + read_experts(layer)


register_feed_forward(FeedForwardReader("experts", lambda layer: layer.block == "experts", read_experts, order=90))
register_feed_forward(FeedForwardReader("dense+experts", lambda layer: layer.block == "dense+experts", _read_both, order=90))
