"""Time of one engine step: each operator takes the larger of its arithmetic and its memory traffic, then they add up.

Every argument may be a number or a NumPy column; the branching over kinds of layers was done when the work was tallied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpusizer.formulas.communication import all_reduce_seconds, all_to_all_seconds, expert_volume_bytes, transfer_seconds
from gpusizer.formulas.compute import (
    attended_pairs,
    attended_rows,
    expert_rows,
    experts_touched_skewed,
    operator_seconds,
    overhead_seconds,
    saturated_rate,
)
from gpusizer.formulas.core import maximum, minimum
from gpusizer.performance.step_work import Work

__all__ = ["ClassSpeed", "Parts", "Speeds", "step_parts"]


@dataclass(frozen=True, slots=True)
class ClassSpeed:
    """How fast products of one storage class run: memory bandwidth, peak of the number format that computes, share of it that is sustained."""

    bytes_per_s: Any
    peak_per_s: Any
    efficiency: Any
    half_tokens: Any


@dataclass(frozen=True, slots=True)
class Speeds:
    """How fast one device with one engine does the work of one rank.

    Parameters
    ----------
    linears, experts : tuple of ClassSpeed
        One for each entry of the work.
    head : ClassSpeed
        The output head.
    cache_bytes_per_s, latent_bytes_per_s : number
        Bandwidth of decode attention; of latent attention. [bytes/s]
    attention_flops_per_s, prefill_flops_per_s : number
        Arithmetic of decode and of prefill attention. [FLOP/s]
    kernel_s, step_s, sequence_s, quantise_s, eager_s : number
        Fixed costs: a kernel, a step, a sequence in a step, the quantisation of a product's input; the host's launch of a kernel of a step with
        prompts, which no graph holds. [s]
    tile_rows : number
        Rows of one tile of an expert's product. [tokens]
    imbalance, routing_evenness : number
        Load of the busiest rank of experts over the mean; how evenly popular experts are.
    reduce_latency_s, bus_bytes_per_s : number
        All-reduce of tensor parallelism. [s, bytes/s]
    gather_latency_s, gather_bytes_per_s, gather_copies, gather_element_bytes : number
        Exchange of tokens between data-parallel ranks of attention, for each layer of experts. [s, bytes/s, ranks, bytes]
    hop_latency_s, hop_bytes_per_s : number
        Between pipeline stages. [s, bytes/s]
    tp, dp, ep, pp : number
        Ranks.
    """

    linears: tuple[ClassSpeed, ...]
    experts: tuple[ClassSpeed, ...]
    head: ClassSpeed
    cache_bytes_per_s: Any
    latent_bytes_per_s: Any
    attention_flops_per_s: Any
    prefill_flops_per_s: Any
    kernel_s: Any
    step_s: Any
    sequence_s: Any
    quantise_s: Any
    eager_s: Any
    tile_rows: Any
    imbalance: Any
    routing_evenness: Any
    reduce_latency_s: Any
    bus_bytes_per_s: Any
    gather_latency_s: Any
    gather_bytes_per_s: Any
    gather_copies: Any
    gather_element_bytes: Any
    hop_latency_s: Any
    hop_bytes_per_s: Any
    tp: Any
    dp: Any
    ep: Any
    pp: Any


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the time of a step goes. [s]"""

    linears: Any
    experts: Any
    head: Any
    attention: Any
    prefill_attention: Any
    communication: Any
    overhead: Any

    @property
    def seconds(self) -> Any:
        """The whole step. [s]"""
        return self.linears + self.experts + self.head + self.attention + self.prefill_attention + self.communication + self.overhead


def _product(flops: Any, size: Any, tokens: Any, speed: ClassSpeed) -> Any:
    rate = saturated_rate(peak_per_s=speed.peak_per_s, efficiency=speed.efficiency, tokens=tokens, half_tokens=speed.half_tokens)
    return operator_seconds(flops=flops, flops_per_s=rate, moved_bytes=size, bytes_per_s=speed.bytes_per_s)


def step_parts(
    work: Work,
    speeds: Speeds,
    *,
    sequences: Any,
    context_tokens: Any,
    verified_tokens: Any = 1.0,
    prefill_tokens: Any = 0.0,
    prefix_tokens: Any = 0.0,
    prefill_sequences: Any = 0.0,
    prompt_tokens: Any = 1e12,
) -> Parts:
    """Time of one step of one data-parallel rank.

    Parameters
    ----------
    work, speeds : Work, Speeds
        What a rank must do, and how fast.
    sequences : number
        Sequences that decode. [sequences]
    context_tokens : number
        Mean length of their contexts. [tokens]
    verified_tokens : number
        Tokens that each checks in a step: 1, or drafts + 1. [tokens]
    prefill_tokens, prefix_tokens : number
        Prompt tokens in the step, and tokens cached before them. [tokens]
    prefill_sequences : number
        Prompts that end in the step. [sequences]
    prompt_tokens : number
        Length of one prompt: several short ones in a step do not see each other. [tokens]

    Returns
    -------
    Parts
        Where the time goes.
    """
    decoded = sequences * verified_tokens
    tokens = maximum(decoded + prefill_tokens, 1e-6)
    shared = tokens * speeds.dp  # tokens that meet at the experts
    linears = 0.0
    for linear, speed in zip(work.linears, speeds.linears, strict=True):
        linears = linears + _product(linear.flops_per_token * tokens, linear.weight_bytes, tokens, speed)
    experts = 0.0
    for block, speed in zip(work.experts, speeds.experts, strict=True):
        touched = experts_touched_skewed(experts=block.experts, top_k=block.top_k, tokens=shared, evenness=speeds.routing_evenness)
        rows = expert_rows(routed_tokens=shared * block.top_k, touched_experts=touched, tile_rows=speeds.tile_rows)
        per_expert = maximum(rows / maximum(touched, 1e-6), 1.0)
        share = block.layers * speeds.imbalance / speeds.ep
        experts = experts + _product(rows * block.expert_flops * share, touched * block.expert_bytes * share, per_expert, speed)
    ending = decoded + prefill_sequences
    head = _product(work.head.flops_per_token * ending, work.head.weight_bytes, maximum(ending, 1e-6), speeds.head)
    attention, prefill = 0.0, 0.0
    for one in work.attends:
        rows = attended_rows(context_tokens=context_tokens, ratio=one.ratio, cap_rows=one.cap_rows)
        bandwidth = speeds.latent_bytes_per_s if one.kind == "latent" else speeds.cache_bytes_per_s
        moved = sequences * (rows * one.row_bytes + context_tokens * one.scan_bytes + one.state_bytes)
        flops = decoded * (rows * one.row_flops + context_tokens * one.scan_flops)
        attention = attention + one.layers * operator_seconds(
            flops=flops, flops_per_s=speeds.attention_flops_per_s, moved_bytes=moved, bytes_per_s=bandwidth
        )
        length = minimum(prefill_tokens, prompt_tokens)
        prompts = prefill_tokens / maximum(length, 1e-6)
        pairs = prompts * attended_pairs(new_tokens=length, prefix_tokens=prefix_tokens, ratio=one.ratio, cap_rows=one.cap_rows)
        scanned = prefill_tokens * (prefix_tokens + length / 2)
        prefill = prefill + one.layers * (pairs * one.pair_flops + scanned * one.scan_flops) / speeds.prefill_flops_per_s
    return Parts(
        linears, experts, head, attention, prefill, _communication(work, speeds, tokens), _overhead(work, speeds, sequences + prefill_sequences)
    )


def _communication(work: Work, speeds: Speeds, tokens: Any) -> Any:
    many = minimum(maximum(speeds.tp - 1, 0), 1)  # 1 where attention is cut at all
    reduce = all_reduce_seconds(
        message_bytes=tokens * work.hidden_size * 2,
        ranks=maximum(speeds.tp, 1),
        bus_bytes_per_s=speeds.bus_bytes_per_s,
        latency_s=speeds.reduce_latency_s,
    )
    spread = minimum(maximum(speeds.dp - 1, 0), 1)
    volume = expert_volume_bytes(
        tokens=tokens,
        copies=speeds.gather_copies,
        hidden=work.hidden_size,
        element_bytes=speeds.gather_element_bytes,
        ranks=maximum(speeds.dp * speeds.tp, 1),
    )
    gather = all_to_all_seconds(volume_bytes=volume, bytes_per_s=speeds.gather_bytes_per_s, latency_s=speeds.gather_latency_s)
    hop = transfer_seconds(moved_bytes=tokens * work.hidden_size * 2, bytes_per_s=speeds.hop_bytes_per_s, latency_s=speeds.hop_latency_s)
    return many * 2 * work.layers * reduce + spread * work.expert_layers * gather + (speeds.pp - 1) * hop


def _overhead(work: Work, speeds: Speeds, sequences: Any) -> Any:
    fixed = overhead_seconds(kernels=work.kernels, kernel_s=speeds.kernel_s, step_s=speeds.step_s, sequences=sequences, sequence_s=speeds.sequence_s)
    return fixed + work.quantised_products * speeds.quantise_s
