"""Time of one engine step: each operator takes the larger of its arithmetic and its memory traffic, then they add up.

Every argument may be a number or a NumPy column; the branching over kinds of layers was done when the work was tallied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpusizer.formulas.communication import expert_volume_bytes
from gpusizer.formulas.compute import attended_rows, expert_rows, experts_touched_skewed, kernels_seconds, overhead_seconds
from gpusizer.formulas.core import maximum, where
from gpusizer.formulas.step.attention import (
    attention_bytes,
    attention_flops,
    prompt_attention_seconds,
    prompt_pairs,
    repeated_operator_seconds,
    scanned_tokens,
)
from gpusizer.formulas.step.exchange import exchange_seconds, hop_seconds, reduction_seconds
from gpusizer.formulas.step.work import moved_weights_seconds, product_seconds, quantisation_seconds, step_seconds
from gpusizer.performance.kernel_counts import Kernels
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.step_work import AttentionWork, StepWork

__all__ = ["NEVER_MOVED", "ClassSpeed", "Speeds", "Step", "communication_seconds", "step_time"]

PAID_SHARE = 0.75  # of what narrow weights save that quantising their input costs at most
NEVER_MOVED = 1e30  # tokens of a step
_A_FEW = 1e-6  # tokens of an empty step: divisors are never zero


class ClassSpeed(NamedTuple):
    """How fast products of one storage class run: bandwidth, peak of the format that computes, the share of it that is sustained, weights widened a
    second, rows of a tile that an expert's product is padded to."""

    bytes_per_s: Any
    peak_per_s: Any
    efficiency: Any
    widen_per_s: Any
    tile_rows: Any = 0.0
    # where weights lie on the host: tokens of a step from which they are moved to the device, how fast they reach it, and how fast it multiplies
    moved_from_tokens: Any = NEVER_MOVED
    moved_bytes_per_s: Any = 1.0
    moved_flops_per_s: Any = 1.0


class Speeds(NamedTuple):
    """How fast one device with one engine does the work of one rank.

    Parameters
    ----------
    linears, experts : tuple of ClassSpeed
        One for each entry of the work.
    head : ClassSpeed
        The output head.
    cache_bytes_per_s, latent_bytes_per_s, state_bytes_per_s : number
        Bandwidth of decode attention; of latent attention; of states that a step reads and writes. [bytes/s]
    attention_flops_per_s, prefill_flops_per_s : number
        Arithmetic of decode and of prefill attention. [FLOP/s]
    kernel_s : Kernels
        A kernel by kind of block. [s]
    step_s, sequence_s, quantise_s, eager_s, handover_s : number
        Fixed costs: a step, a sequence in a step, the quantisation of a product's input; the host's launch of a kernel of a step with
        prompts, which no graph holds; a layer whose experts the processor computes. [s]
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
    state_bytes_per_s: Any
    attention_flops_per_s: Any
    prefill_flops_per_s: Any
    kernel_s: Kernels
    step_s: Any
    sequence_s: Any
    quantise_s: Any
    eager_s: Any
    handover_s: Any
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


class Step(NamedTuple):
    """What one step of one data-parallel rank carries.

    Parameters
    ----------
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
    """

    sequences: Any
    context_tokens: Any
    verified_tokens: Any = 1.0
    prefill_tokens: Any = 0.0
    prefix_tokens: Any = 0.0
    prefill_sequences: Any = 0.0
    prompt_tokens: Any = 1e12


def step_time(work: StepWork, speeds: Speeds, step: Step, note: Note = unnoted) -> Any:
    """Time of one step of one data-parallel rank.

    Parameters
    ----------
    work, speeds : StepWork, Speeds
        What a rank must do, and how fast.
    step : Step
        What the step carries.
    note : Note
        Writes down the parts.

    Returns
    -------
    number
        Time. [s]
    """
    decoded = step.sequences * step.verified_tokens
    tokens = maximum(decoded + step.prefill_tokens, _A_FEW)
    linears = sum(
        _product("step_linears", note, linear.flops_per_token, tokens, linear.weight_bytes, speed, tokens)
        for linear, speed in zip(work.linears, speeds.linears, strict=True)
    )
    ending = decoded + step.prefill_sequences
    attention = sum(_attention(one, speeds, step, note) for one in work.attention)
    without_prompts = type(step.prefill_tokens) is float and step.prefill_tokens == 0.0
    prompts = 0.0 if without_prompts else sum(_prompt_attention(one, speeds, step, note) for one in work.attention)
    experts, saved = _experts(work, speeds, tokens, note)
    for linear, speed in zip(work.linears, speeds.linears, strict=True):
        saved = saved + _narrow(linear.flops_per_token, linear.weight_bytes, speed)
    return note("step_total", step_seconds)(
        linears_s=linears,
        experts_s=experts,
        head_s=_product("step_head", note, work.head.flops_per_token, ending, work.head.weight_bytes, speeds.head, tokens),
        attention_s=attention,
        prompt_attention_s=prompts,
        communication_s=communication_seconds(work, speeds, tokens, note),
        overhead_s=_handovers(work, speeds, note) + _overhead(work, speeds, step.sequences + step.prefill_sequences, saved, note),
    )


def _product(id: str, note: Note, row_flops: Any, rows: Any, size: Any, speed: ClassSpeed, tokens: Any) -> Any:
    seconds = note(id, product_seconds)(
        flops=row_flops * rows,
        peak_per_s=speed.peak_per_s,
        efficiency=speed.efficiency,
        moved_bytes=size,
        bytes_per_s=speed.bytes_per_s,
        weights=row_flops / 2,
        widen_per_s=speed.widen_per_s,
    )
    if type(speed.moved_from_tokens) is float and speed.moved_from_tokens == NEVER_MOVED:
        return seconds
    moved = note("weights_moved", moved_weights_seconds)(
        moved_bytes=size, bytes_per_s=speed.moved_bytes_per_s, flops=row_flops * rows, flops_per_s=speed.moved_flops_per_s
    )
    return where(tokens >= speed.moved_from_tokens, moved, seconds)


def _experts(work: StepWork, speeds: Speeds, tokens: Any, note: Note) -> tuple[Any, Any]:
    """Time of the routed experts, and the time that their narrow weights save."""
    seconds: Any = 0.0
    saved: Any = 0.0
    shared = tokens * speeds.dp  # tokens that meet at the experts
    for block, speed in zip(work.experts, speeds.experts, strict=True):
        touched = note("experts_touched", experts_touched_skewed)(
            experts=block.experts,
            top_k=block.top_k,
            tokens=shared,
            evenness=speeds.routing_evenness,
        )
        rows = note("expert_rows", expert_rows)(routed_tokens=shared * block.top_k, touched_experts=touched, tile_rows=speed.tile_rows)
        share = block.layers * speeds.imbalance / speeds.ep * touched  # experts that this rank reads in all layers together
        seconds = seconds + _product(
            "step_experts", note, block.expert_flops * share, rows / maximum(touched, _A_FEW), block.expert_bytes * share, speed, tokens
        )
        saved = saved + _narrow(block.expert_flops * share, block.expert_bytes * share, speed)
    return seconds, saved


def _narrow(row_flops: Any, size: Any, speed: ClassSpeed) -> Any:
    """Reading the bytes by which weights are shorter than 16-bit ones: two for each weight, of which a row makes two operations. [s]"""
    return maximum(row_flops - size, 0) / speed.bytes_per_s


def _attention(one: AttentionWork, speeds: Speeds, step: Step, note: Note) -> Any:
    rows = note("attended_rows", attended_rows)(context_tokens=step.context_tokens, ratio=one.ratio, cap_rows=one.cap_rows)
    moved = note("attention_bytes", attention_bytes)(
        sequences=step.sequences,
        rows=rows,
        row_bytes=one.row_bytes,
        context_tokens=step.context_tokens,
        scan_bytes=one.scan_bytes,
        state_bytes=one.state_bytes,
    )
    flops = note("attention_flops", attention_flops)(
        tokens=step.sequences * step.verified_tokens,
        rows=rows,
        row_flops=one.row_flops,
        context_tokens=step.context_tokens,
        scan_flops=one.scan_flops,
    )
    return note("step_attention", repeated_operator_seconds)(
        layers=one.layers,
        flops=flops,
        flops_per_s=speeds.attention_flops_per_s,
        moved_bytes=moved,
        bytes_per_s=where(one.latent, speeds.latent_bytes_per_s, where(one.state_bytes > 0, speeds.state_bytes_per_s, speeds.cache_bytes_per_s)),
    )


def _prompt_attention(one: AttentionWork, speeds: Speeds, step: Step, note: Note) -> Any:
    lengths = {"new_tokens": step.prefill_tokens, "prompt_tokens": step.prompt_tokens, "prefix_tokens": step.prefix_tokens}
    return note("step_prompt_attention", prompt_attention_seconds)(
        layers=one.layers,
        pairs=note("prompt_pairs", prompt_pairs)(**lengths, ratio=one.ratio, cap_rows=one.cap_rows),
        pair_flops=one.pair_flops,
        scanned=note("scanned_tokens", scanned_tokens)(**lengths),
        scan_flops=one.scan_flops,
        flops_per_s=speeds.prefill_flops_per_s,
    )


def communication_seconds(work: StepWork, speeds: Speeds, tokens: Any, note: Note = unnoted) -> Any:
    """Messages of a step with so many tokens; none with a single rank. [s]"""
    if type(speeds.tp) is float and speeds.tp * speeds.dp * speeds.pp == 1.0:
        return 0.0
    reduction = note("step_reduction", reduction_seconds)(
        layers=work.layers,
        tokens=tokens,
        hidden=work.hidden_size,
        ranks=speeds.tp,
        bus_bytes_per_s=speeds.bus_bytes_per_s,
        latency_s=speeds.reduce_latency_s,
    )
    volume = note("expert_volume", expert_volume_bytes)(
        tokens=tokens,
        copies=speeds.gather_copies,
        hidden=work.hidden_size,
        element_bytes=speeds.gather_element_bytes,
        ranks=maximum(speeds.dp * speeds.tp, 1),
    )
    exchange = note("step_exchange", exchange_seconds)(
        layers=work.expert_layers,
        volume_bytes=volume,
        ranks=speeds.dp,
        bytes_per_s=speeds.gather_bytes_per_s,
        latency_s=speeds.gather_latency_s,
    )
    hops = note("step_hops", hop_seconds)(
        stages=speeds.pp,
        tokens=tokens,
        hidden=work.hidden_size,
        bytes_per_s=speeds.hop_bytes_per_s,
        latency_s=speeds.hop_latency_s,
    )
    return reduction + exchange + hops


def _handovers(work: StepWork, speeds: Speeds, note: Note) -> Any:
    """Going to the processor and back. [s]"""
    if type(work.handovers) is float and not work.handovers:
        return 0.0
    return note("step_handovers", kernels_seconds)(kernels=work.handovers, kernel_s=speeds.handover_s)


def _overhead(work: StepWork, speeds: Speeds, sequences: Any, narrow_s: Any, note: Note) -> Any:
    launched: Any = 0.0
    for number, each_s in zip(work.kernels, speeds.kernel_s, strict=True):
        if type(number) is not float or number:
            launched = launched + note("kernels", kernels_seconds)(kernels=number, kernel_s=each_s)
    fixed = note("step_overhead", overhead_seconds)(kernels_s=launched, step_s=speeds.step_s, sequences=sequences, sequence_s=speeds.sequence_s)
    return fixed + note("step_quantisation", quantisation_seconds)(
        products=work.quantised_products, quantise_s=speeds.quantise_s, narrow_s=narrow_s, paid_share=PAID_SHARE
    )
