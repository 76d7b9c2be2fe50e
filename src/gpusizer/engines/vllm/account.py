"""vLLM's account of one GPU, without branches: what a stage holds beside the stored tensors, what is left for the cache, what it holds.

Every line calls the formula that it names. The records of :mod:`gpusizer.engines.vllm.record` hold numbers when a start is sized, and figures of a
sheet when the workbook records the same account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from gpusizer.engines.base.account import Place, StageFigures, Sum, conclude, left_of, stage_blocks, summed
from gpusizer.engines.base.band import Limits, Spread
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.margins import widened
from gpusizer.engines.base.offload import tables_moved
from gpusizer.engines.base.sheet import Outcome
from gpusizer.engines.base.types import Item, Quantity, Section
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.buffers import latents, workspace
from gpusizer.engines.vllm.device_record import DeviceRecord
from gpusizer.engines.vllm.record import ClassRecord, LayoutRecord, ModelRecord, StepRecord, VersionRules
from gpusizer.engines.vllm.weights import WHOLE_STEPS
from gpusizer.facts.margins import Margin
from gpusizer.formulas.core import floor_div, kept, maximum, minimum, where
from gpusizer.formulas.load import held_requests
from gpusizer.formulas.memory.activation import activation_peak_bytes, encoder_bytes
from gpusizer.formulas.memory.cache_blocks import pool_concurrency, pool_tokens
from gpusizer.formulas.memory.constants import share_bytes, sum_bytes
from gpusizer.formulas.memory.graphs import pooled_graph_bytes, split_buffers_bytes
from gpusizer.formulas.memory.loaded import unfolded_scales_bytes
from gpusizer.formulas.memory.step_peaks import encoded_bytes, layer_peak_bytes, sampling_peak_bytes, step_rows_bytes
from gpusizer.formulas.memory.steps import batch_requests, batch_tokens, captured_limit, captured_sizes, in_flight_tokens, profiled_images

__all__ = [
    "Asked",
    "Assembled",
    "above_free",
    "charged",
    "default_step",
    "estimated_graphs",
    "free_at_start",
    "growth",
    "host_images",
    "loaded",
    "needed_later",
    "outcome_of",
    "shared_out",
    "step_lines",
]


# ---- what loading adds ----------------------------------------------------------------------------------------------

UNFOLDED_ELEMENT_BYTES, SCALE_BYTES = 2, 4  # a scale as the kernel for small formats reads it, and as it is stored
INDEX_BYTES = 4  # the place of a token that an indexer picked
SCALES_SPREAD = Spread(0.1, 0.1)
SLACK_SPREAD = 0.5  # band of the allocator's slack, as a share of it
PADDED_SPREAD = Spread(0.05, 0.1)  # one block of the last layer stays in the allocator: n = 3 starts of two models, +1 and +4 %
_PADDED_SOURCES = ("vllm-project/vllm@017b8f23e: vllm/model_executor/layers/fused_moe/unquantized_fused_moe_method.py, _maybe_pad_weight",)


def loaded(model: ModelRecord, step: StepRecord, place: Place, *, square_bytes: Any, slack_bytes: Any, padded_bytes: Any) -> tuple[Item, ...]:
    """Buffers with a row for each token of a step, unfolded scales, experts with padded rows, slack of the allocator.

    ``square_bytes`` are weights in FP8 with a scale for each square block whose scales are unfolded, ``slack_bytes`` what the allocator counts
    beyond the matrices, ``padded_bytes`` what padded experts take beyond their tensors.
    """
    buffers = computed(
        "weights_buffers",
        step_rows_bytes,
        section=Section.WEIGHTS,
        tokens=step.tokens,
        levels=model.deeper_levels * place.first * step.reads_images + model.kept_streams * place.last,
        hidden=model.hidden,
        element_bytes=model.element_bytes,
        picked=model.picked,
        index_bytes=INDEX_BYTES,
    )
    scales = computed(
        "weights_scales",
        unfolded_scales_bytes,
        section=Section.WEIGHTS,
        band=SCALES_SPREAD,
        weights_bytes=square_bytes,
        block=model.block_side,
        element_bytes=UNFOLDED_ELEMENT_BYTES,
        scale_bytes=SCALE_BYTES,
    )
    slack = computed(
        "weights_slack",
        sum_bytes,
        section=Section.WEIGHTS,
        band=Limits(slack_bytes * (1 - SLACK_SPREAD), slack_bytes * (1 + SLACK_SPREAD) + step.library_bytes),
        sources=fitted.ROCM_LIBRARY.sources,
        allocator_bytes=slack_bytes,
        library_bytes=step.library_bytes,
    )
    padded = computed("weights_padded", sum_bytes, section=Section.WEIGHTS, band=PADDED_SPREAD, sources=_PADDED_SOURCES, padded_bytes=padded_bytes)
    return buffers, scales, padded, slack


def default_step(chosen: ClassRecord, context_tokens: Any, block_tokens: Any, capture_bytes: Any) -> StepRecord:
    """The largest step of a start that leaves everything to the engine."""
    tokens = kept(
        "step tokens",
        batch_tokens(default_tokens=chosen.default_tokens, default_requests=chosen.default_requests, context_tokens=context_tokens),
    )
    requests = kept("requests", batch_requests(default_requests=chosen.default_requests, step_tokens=tokens))
    limit = captured_limit(requests=requests, drafts=0, most=chosen.most_captured)
    reached = minimum(limit, requests)
    return StepRecord(
        context_tokens=context_tokens,
        tokens=tokens,
        requests=requests,
        block_tokens=block_tokens,
        graphs=kept("graphs", chosen.pieces * captured_sizes(limit=limit) + chosen.whole * captured_sizes(limit=reached)),
        graph_bytes=chosen.graph_bytes,
        whole_tokens=chosen.whole * reached,
        splits=chosen.splits,
        capture_bytes=capture_bytes,
        logit_copies=chosen.logit_copies,
        library_bytes=chosen.library_bytes,
        encodes=1,
        image_share=1,
        images_each=1,
        reads_images=1,
        decoded=1,
        chunk_tokens=WHOLE_STEPS,
        wide_experts=1,
        samples=1,
    )


# ---- one step -------------------------------------------------------------------------------------------------------

HANDED_ON = 2  # tensors: a stage hands on the hidden state and the residual


def _layer(model: ModelRecord, step: StepRecord, layout: LayoutRecord, place: Place, workspace_bytes: Any) -> Any:
    """The widest point of one decoder layer: a dense block, or the work buffers of experts. [bytes]"""
    dense, experts = (
        layer_peak_bytes(
            tokens=step.tokens,
            element_bytes=model.element_bytes,
            width=width,
            tp=layout.tp,
            matrices=model.dense_matrices,
            byte_inputs=model.byte_inputs,
            hidden=model.hidden,
            streams=model.streams,
            hidden_copies=fitted.HIDDEN_COPIES,
            handed_on=HANDED_ON * (1 - place.last),
        )
        for width in (model.dense_width, 0)
    )
    return kept("layer", maximum(dense, experts + workspace_bytes))


def _sampler(model: ModelRecord, step: StepRecord, rules: VersionRules) -> Any:
    """Logits of all dummy requests with their copies, and the hidden state that lives beside them. [bytes]"""
    peak = sampling_peak_bytes(
        rows=minimum(step.requests, step.tokens),
        vocabulary=model.vocabulary,
        logit_copies=step.logit_copies,
        element_bytes=model.element_bytes,
        tokens=step.tokens,
        hidden=model.hidden,
        held_copies=fitted.HELD_COPIES,
        held_bytes_per_token=fitted.HELD_BYTES_PER_TOKEN if rules.keeps_batch else 0,
    )
    return kept("sampler", peak)


PARTIAL_BYTES = 4  # of a partial result of attention
PATCHES_OF_A_TOKEN = 4  # of towers that take any size: squares of two by two patches become one token
PIXEL_BYTES = 4  # of a number of a patch as a processor hands it on


def _profiled(model: ModelRecord, step: StepRecord) -> tuple[Any, Any]:
    """Patches of the largest image, and images that are encoded at once. [patches, images]"""
    patches = kept("patches", model.tower_patches * step.image_share)
    tokens = floor_div(patches, PATCHES_OF_A_TOKEN)
    return patches, profiled_images(step_tokens=step.tokens, image_tokens=tokens, most=step.requests * step.images_each)


def _encoder(model: ModelRecord, step: StepRecord, layout: LayoutRecord) -> tuple[Any, Any]:
    """A vision tower at work, and its outputs that stay. [bytes]"""
    element, (patches, images) = model.element_bytes, _profiled(model, step)
    copies = kept("copies", fitted.ENCODER_COPIES + fitted.ENCODER_CUT_COPIES / layout.tower_ranks)
    work = encoder_bytes(patches=images * patches, width=model.tower_width, copies=copies, element_bytes=element)
    stays = encoded_bytes(
        tokens=step.tokens,
        patches=patches,
        element_bytes=element,
        hidden=model.hidden * model.tower_levels,
        copies=fitted.ENCODED_COPIES,
    )
    return kept("encoder", work * step.encodes), kept("encoded", where(model.tower_width > 0, stays, 0) * step.encodes)


def host_images(model: ModelRecord, step: StepRecord, device: DeviceRecord, place: Place) -> Any:
    """Profiled images in the host's memory, where that is the device's. [bytes]"""
    patches, images = _profiled(model, step)
    size = encoder_bytes(patches=images * patches, width=model.patch_elements, copies=device.image_copies, element_bytes=PIXEL_BYTES)
    return kept("images of the host", place.first * size * step.encodes)


def step_lines(
    model: ModelRecord, step: StepRecord, layout: LayoutRecord, place: Place, rules: VersionRules, workspace_bytes: Any
) -> tuple[Item, Item]:
    """Activation peak and captured graphs."""
    work, stays = _encoder(model, step, layout)
    inputs = {
        "workspace_bytes": workspace_bytes if rules.workspace_beside else 0,
        "sampler_bytes": place.last * step.samples * _sampler(model, step, rules),
        "block_bytes": _layer(model, step, layout, place, workspace_bytes if rules.workspace_in_layer else 0),
        "latent_bytes": latents(model, step, layout, rules),
        "encoder_bytes": place.first * work,
        "encoded_bytes": place.first * stays,
    }
    size = kept("activations", activation_peak_bytes(**inputs))
    ends = Limits(size * (1 - fitted.PEAK_BELOW), size * (1 + fitted.PEAK_ABOVE))
    peak = computed("activation_peak", activation_peak_bytes, section=Section.ACTIVATION, band=ends, **inputs)
    buffers = split_buffers_bytes(
        splits=step.splits,
        tokens=step.whole_tokens,
        width=model.split_width,
        tp=layout.tp,
        element_bytes=PARTIAL_BYTES,
    )
    captured = {
        "fixed_bytes": kept("buffers of graphs", buffers + step.capture_bytes),
        "graphs": step.graphs,
        "layers": place.layers,
        "bytes_per_graph_and_layer": step.graph_bytes * model.graph_weight,
    }
    size = kept("captured", pooled_graph_bytes(**captured))
    ends = Limits(size * (1 - fitted.GRAPHS.below), size * (1 + fitted.GRAPHS.above) + where(step.graphs > 0, fitted.GRAPHS.first_bytes, 0))
    graphs = computed("cuda_graphs", pooled_graph_bytes, section=Section.GRAPHS, band=ends, **captured)
    return peak, graphs


def estimated_graphs(graphs: Item, factor: Any) -> Item:
    """What the engine estimates for its graphs, which is what it charges."""
    size, (low, high) = kept("estimate", share_bytes(share=factor, of_bytes=graphs.bytes)), fitted.GRAPH_ESTIMATE_SPREAD
    return computed("cuda_graphs", share_bytes, section=Section.GRAPHS, band=Limits(size * low, size * high), share=factor, of_bytes=graphs.bytes)


# ---- what lies outside the allocator, and what is left ----------------------------------------------------------------


def growth(device: DeviceRecord, rules: VersionRules, workspace_bytes: Any, images_bytes: Any) -> Item:
    """Growth outside the allocator between the baseline and the end of the profile run; ``images_bytes`` of it by :func:`host_images`."""
    beside = workspace_bytes if rules.workspace_outside else 0
    inputs = {"growth_bytes": device.growth_bytes, "workspace_bytes": beside, "images_bytes": images_bytes}
    size = sum_bytes(**inputs)
    ends = Limits(maximum(size - device.growth_below_bytes, 0), size + device.growth_above_bytes)
    return computed("non_torch", sum_bytes, section=Section.NON_TORCH, band=ends, sources=device.growth_sources, **inputs)


def charged(lines: Iterable[Item], factor: Any, *, charges_graphs: bool) -> Sum:
    """What is taken off the budget: everything but what lies outside it; of graphs the estimate, where the start charges it."""
    found = []
    for line in lines:
        if line.section is not Section.OUTSIDE and line.section is not Section.GRAPHS:
            found.append(line)
        elif line.section is Section.GRAPHS and charges_graphs:
            found.append(estimated_graphs(line, factor))
    return summed(found)


def shared_out(available: Quantity, share: Any) -> Quantity:
    """What becomes cache of the memory that is left. [bytes]"""
    return Quantity(*(kept("pool", share_bytes(share=share, of_bytes=each)) for each in (available.value, available.low, available.high)))


def above_free(budget_bytes: Any, device: DeviceRecord) -> Any:
    """Whether the budget is above what is free at the start."""
    return budget_bytes > free_at_start(device)


def free_at_start(device: DeviceRecord) -> Any:
    """What is free when the budget is checked. [bytes]"""
    return device.visible_bytes - sum(line.bytes for line in device.outside if line.id != "driver_reserved")


def needed_later(lines: Iterable[Item]) -> Any:
    """What need not be there at the start: graphs are captured where the profile run's activations were, at the low end of their band. [bytes]"""
    by_section = {line.section: line for line in lines}
    graphs, peak = by_section.get(Section.GRAPHS), by_section.get(Section.ACTIVATION)
    if graphs is None or peak is None:
        return 0
    return graphs.bytes - maximum(graphs.low_bytes - peak.bytes, 0)


# ---- the whole account of a start that leaves everything to the engine --------------------------------------------------


class Assembled(Protocol):
    """A stage put together: its place, its stored tensors, its cache; figures of a sheet."""

    @property
    def place(self) -> Place:
        """Where the stage stands."""

    @property
    def square_bytes(self) -> Any:
        """Weights in FP8 with a scale for each square block. [bytes]"""

    @property
    def slack_bytes(self) -> Any:
        """What the allocator counts beyond the matrices. [bytes]"""

    @property
    def padded_bytes(self) -> Any:
        """What unquantised experts take beyond their tensors where their rows are padded. [bytes]"""

    @property
    def block_tokens(self) -> Any:
        """Block that the kernels need. [tokens]"""

    @property
    def capture_bytes(self) -> Any:
        """Work buffer that the first whole graph asks for. [bytes]"""

    @property
    def block_bytes(self) -> Any:
        """One block over all layers that share it. [bytes]"""

    def unfused(self, there: Any) -> tuple[Item, Item]:
        """Lines of what experts in integers keep where no Marlin kernel runs, where it is so."""

    def weights(self) -> dict[str, Item]:
        """Lines of the stored tensors and of what loading makes of them, by name."""

    def needed_blocks(self, in_flight_tokens: Any) -> Any:
        """Blocks of the longest request. [blocks]"""


@dataclass(frozen=True)
class Asked:
    """What is asked of the engine: layout, longest request, budget; and the margin of the pool's band."""

    layout: LayoutRecord
    pp: Any
    context_tokens: Any
    budget_bytes: Any
    margin: Margin


def outcome_of(model: ModelRecord, chosen: ClassRecord, device: DeviceRecord, stage: Assembled, asked: Asked, rules: VersionRules) -> Outcome:
    """Run the account of every stage and conclude."""
    step = default_step(chosen, asked.context_tokens, stage.block_tokens, stage.capture_bytes)
    square = kept("unfolded", stage.square_bytes * chosen.unfolds_scales)
    padded = kept("padded", stage.padded_bytes * where(model.byte_experts > 0, chosen.aligns_experts, chosen.pads_experts))
    made = loaded(model, step, stage.place, square_bytes=square, slack_bytes=stage.slack_bytes, padded_bytes=padded)
    lines = stage.weights() | {line.id: line for line in (*made, *stage.unfused(chosen.pads_experts))}
    lines["weights_ngrams_on_host"] = tables_moved(lines["weights_ngrams"].bytes * chosen.tables_on_host)
    weights_bytes = kept("weights", sum((line.bytes for line in lines.values()), 0))
    buffers = workspace(model, step, asked.layout)
    peak, graphs = step_lines(model, step, asked.layout, stage.place, rules, buffers)
    grown = growth(device, rules, buffers, host_images(model, step, device, stage.place))
    of_stage = charged([*lines.values(), peak, graphs], chosen.charges_graphs, charges_graphs=True)
    left = left_of(asked.budget_bytes, of_stage, charged([grown], 1, charges_graphs=True))
    available = widened(shared_out(left, device.pool_share), asked.margin, device.memory_bytes)
    needed = stage.needed_blocks(in_flight_tokens(step_tokens=step.tokens, pp=asked.pp))
    outside = kept("outside", sum(line.bytes for line in device.outside))
    used = kept("held", weights_bytes + peak.bytes + graphs.bytes) + grown.bytes + outside
    later = kept("later", needed_later([peak, graphs]))
    least = kept("least", maximum(needed, model.states * chosen.whole * step.requests))  # every version on a sheet wants a state for each request
    figures = StageFigures(available, stage_blocks(available, stage.block_bytes), stage.block_bytes, least, used, later)
    found = conclude([figures], memory_bytes=device.memory_bytes, refused=above_free(asked.budget_bytes, device) if rules.checks_budget else 0)
    counted = kept("counted", maximum(needed, 1))
    concurrency, low = (pool_concurrency(blocks=blocks, blocks_per_request=counted) for blocks in found.blocks[:2])
    return Outcome(
        lines=lines | {line.id: line for line in (peak, graphs, grown, *device.outside)},
        figures=figures,
        found=found,
        free_bytes=free_at_start(device),
        memory_bytes=device.memory_bytes,
        tokens=pool_tokens(blocks=found.blocks[0], blocks_per_request=counted, context_tokens=asked.context_tokens),
        concurrency=concurrency,
        held=minimum(held_requests(max_concurrency=concurrency), step.requests),
        held_low=minimum(held_requests(max_concurrency=low), step.requests),
        weights_bytes=weights_bytes,
        most_requests=step.requests,
        step_tokens=step.tokens,
    )
