"""Graphs of feed-forward blocks, in the order in which llama.cpp builds them (src/llama-graph.cpp, build_ffn and build_moe_ffn)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gpusizer.architecture.types import DenseMLP, FeedForward, MixtureOfExperts
from gpusizer.engines.llama_cpp.builder import Builder
from gpusizer.engines.llama_cpp.graph import HERE, Tensor

__all__ = ["Experts", "fed_forward"]


@dataclass(frozen=True, slots=True)
class Experts:
    """Where the experts of a layer are computed, and what has to be copied for it.

    Parameters
    ----------
    place, sum_place : int
        Where they are computed, and where their rows are added up.
    up_bytes, down_bytes : int
        Matrices of all experts that are copied: each of the two into them, and the one back; 0 where they lie there. [bytes]
    """

    place: int = HERE
    sum_place: int = HERE
    up_bytes: int = 0
    down_bytes: int = 0


def fed_forward(build: Builder, block: FeedForward, normed: Tensor, experts: Experts) -> Tensor:
    """What a feed-forward block adds to the residual stream.

    Parameters
    ----------
    build : Builder
        The graph.
    block : FeedForward
        The block.
    normed : Tensor
        Its input.
    experts : Experts
        Where its experts are computed.

    Returns
    -------
    Tensor
        Its output.
    """
    match block:
        case DenseMLP():
            if block.gated and any("gate_up" in tensor.name for tensor in block.tensors):
                return _in_one(build, block.width, normed)
            return _dense(build, block.width, normed, gated=block.gated)
        case MixtureOfExperts():
            found = _experts(build, block, normed, experts)
            if not block.shared_width:
                return found
            return build.node("add", found.size_bytes, found, _dense(build, block.shared_width, normed, gated=block.gated))
        case _:
            assert_never(block)


def _dense(build: Builder, width: int, normed: Tensor, *, gated: bool) -> Tensor:
    """Up, gate and their product."""
    matrix = build.matrix_bytes[1]
    inner = build.product(width, normed, weights_bytes=matrix)
    inner = _gated(build, build.product(width, normed, weights_bytes=matrix), inner) if gated else build.node("unary", inner.size_bytes, inner)
    return build.node("product", normed.size_bytes, *build.copied(matrix), inner)


def _in_one(build: Builder, width: int, normed: Tensor) -> Tensor:
    """Up and gate as one matrix: halves are taken apart in older builds."""
    matrix, half = build.matrix_bytes[1], build.rows(width)
    both = build.product(2 * width, normed, weights_bytes=matrix)
    if build.options.fork or build.options.gate_fused:
        inner = build.node("gated", half, both)
    else:
        gate, up = (build.node("cont", half, build.graph.view(both, half, begins=False)) for _ in range(2))
        inner = build.node("mul", half, build.node("unary", half, gate), up)
    return build.node("product", normed.size_bytes, *build.copied(matrix), inner)


def _gated(build: Builder, gate: Tensor, up: Tensor) -> Tensor:
    """The gate on what goes up: one operation with room of its own in newer builds and in the fork, two in place before."""
    if build.options.fork or build.options.gate_fused:
        return build.node("gated", up.size_bytes, gate, up)
    return build.node("mul", up.size_bytes, build.node("unary", gate.size_bytes, gate), up)


def _experts(build: Builder, block: MixtureOfExperts, normed: Tensor, experts: Experts) -> Tensor:
    """The router's choice, experts' rows, and their sum."""
    graph, rows = build.graph, build.rows
    scores = rows(block.experts + block.zero_experts)
    chances = build.node("unary", scores, build.product(block.experts + block.zero_experts, normed))
    order = build.node("argsort", scores, build.node("add", scores, chances))
    chosen = graph.view(order, rows(block.top_k))
    weights = graph.view(build.node("get_rows", rows(block.top_k), graph.view(chances), chosen))
    weights = build.node("div", rows(block.top_k), weights, build.node("sum_rows", rows(1), weights))
    before, graph.place = graph.place, experts.place
    narrow, wide, given = rows(block.top_k * block.expert_width), rows(block.top_k * block.expert_hidden), graph.view(normed)
    up, gate = build.copied(experts.up_bytes), build.copied(experts.up_bytes)
    if build.options.fused_experts and block.gated:
        inner = build.node("experts_up_gate", narrow, *up, *gate, given, chosen)
    else:
        inner = build.node("experts", narrow, *up, given, chosen)
        inner = _gated(build, build.node("experts", narrow, *gate, given, chosen), inner) if block.gated else build.node("unary", narrow, inner)
    found = build.node("experts", wide, *build.copied(experts.down_bytes), inner, chosen)
    graph.place = experts.sum_place
    found = build.node("mul", wide, found, weights)
    total = build.node("sum", rows(block.expert_hidden), graph.view(found, rows(block.expert_hidden), begins=False))
    graph.place = before
    return total
