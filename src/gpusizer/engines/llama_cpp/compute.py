"""Compute buffers of llama.cpp: its graph of one micro-batch, laid out by its own allocator, device by device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.llama_cpp.allocator import Moment, widest_moment
from gpusizer.engines.llama_cpp.attention_graph import mixed
from gpusizer.engines.llama_cpp.builder import Builder
from gpusizer.engines.llama_cpp.cache import Cells, LayerBuffers
from gpusizer.engines.llama_cpp.feed_forward_graph import Experts, fed_forward
from gpusizer.engines.llama_cpp.graph import ELSEWHERE, HERE, Tensor
from gpusizer.engines.llama_cpp.layers import Kinds, expert_tensors, host_matrices
from gpusizer.engines.llama_cpp.options import Options
from gpusizer.engines.llama_cpp.placement import HOST, Placement, Seen, head_bytes
from gpusizer.formulas.memory.llama_cpp import compute_buffer_bytes, mask_bytes
from gpusizer.once import Remembered

__all__ = ["MicroBatch", "Phases", "least_offloaded_tokens", "phases_of"]

_LEAST_OFFLOADED_BATCH = 32  # tokens from which a GPU computes what lies on the host (ggml-cuda, op_offload)
_MOST_STARTS, _MOST_MOMENTS = 64, 128
_NORMS_ON_BOTH_SIDES = 4  # norms of a layer that has one before and one after each of its two blocks


def least_offloaded_tokens(options: Options, kinds: Kinds) -> float:
    """Tokens of a step from which a GPU computes what lies on the host, infinitely many where it never does. [tokens]"""
    blocks = [block for block in kinds.routed if block is not None]
    if not options.offload_operations or (blocks and not options.experts_on_card):
        return inf
    spread = max((block.experts / block.top_k for block in blocks), default=1.0) if options.counts_experts else 1.0
    return _LEAST_OFFLOADED_BATCH * spread


@dataclass(frozen=True, slots=True)
class Phases:
    """The widest moment of one device: what lives then, each in bytes; ``compute_bytes`` is their sum."""

    inputs_bytes: int
    attention_bytes: int
    feed_forward_bytes: int
    copied_weights_bytes: int
    output_bytes: int
    gaps_bytes: int

    @property
    def compute_bytes(self) -> int:
        """What the device reserves. [bytes]"""
        return int(compute_buffer_bytes(**self.inputs))

    @property
    def inputs(self) -> dict[str, int]:
        """By the names of the formula."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class MicroBatch:
    """One micro-batch, wherever its layers lie; each arrangement is laid out once.

    Parameters
    ----------
    architecture : Architecture
        The model.
    kinds : Kinds
        Its different layers.
    options : Options
        The start.
    cells : Cells
        Cells of the cache.
    buffers : tuple of LayerBuffers
        Caches of one layer of each kind.
    """

    architecture: Architecture
    kinds: Kinds
    options: Options
    cells: Cells
    buffers: tuple[LayerBuffers, ...]

    @cached_property
    def tokens(self) -> int:
        """Tokens that are computed at once. [tokens]"""
        return min(self.options.micro_batch, self.cells.tokens)

    @cached_property
    def outputs(self) -> int:
        """Tokens whose logits are reserved. [tokens]"""
        asked = self.options.sequences if self.options.lean else self.options.most_outputs
        return min(self.tokens, asked or self.tokens)

    @cached_property
    def offloads(self) -> bool:
        """Whether a GPU computes what lies on the host."""
        return self.options.offload_operations and self.tokens >= _LEAST_OFFLOADED_BATCH

    def offloads_experts(self, kind: int) -> bool:
        """Whether a GPU computes experts that lie on the host: in newer builds of the fork only where each has enough tokens to do."""
        block = self.kinds.routed[kind]
        if not self.offloads or not self.options.experts_on_card or block is None:
            return False
        return not self.options.counts_experts or self.tokens * block.top_k >= _LEAST_OFFLOADED_BATCH * block.experts

    def copies(self, placement: Placement) -> int:
        """Micro-batches that are under way at once."""
        options = self.options
        several = len(set(placement.layer)) > 1 and placement.all_offloaded and not (options.by_rows or options.remote or options.host_cache)
        overridden = placement.overridden if options.overrides_end_pipeline else HOST in placement.experts
        return options.pipeline_copies if several and not overridden else 1

    def phases(self, placement: Placement, device: int) -> Phases:
        """The widest moment on one device."""
        places, copies, alone = placement.seen_from(device), self.copies(placement), device == HOST
        borrowed = placement.output == HOST and device == 0 and self.offloads
        told = {"first": device in (0, HOST), "alone": alone, "output": borrowed or placement.output == device, "borrowed": borrowed}
        return self._known.once((places, copies, *told.values()), lambda: self._laid(places, copies, **told))

    def limits(self, placement: Placement, device: int) -> tuple[int, int]:
        """The least and the most that the widest moment may come to.

        The least has one micro-batch under way, for an engine that was built so. At most masks lie below the logits, or a matrix of the host above
        everything: which gaps are free then follows from the order of the graph to the last small tensor. [bytes]
        """
        phases = self.phases(placement, device)
        most = phases.compute_bytes
        if phases.output_bytes:
            most += int(mask_bytes(cells=self.cells.full, tokens=self.tokens, element_bytes=2 if self.options.half_masks else 4))
        if device == 0 and not phases.copied_weights_bytes:
            hosted = {kind for kind, experts in zip(placement.kinds.of, placement.experts, strict=True) if experts == HOST}
            most += max((expert_tensors(self.architecture)[kind][0] for kind in hosted if self.offloads_experts(kind)), default=0)
        alone = self._alone if self.copies(placement) > 1 else self
        return alone.phases(placement, device).compute_bytes, most

    @cached_property
    def _alone(self) -> MicroBatch:
        """The same without others under way."""
        return replace(self, options=replace(self.options, pipeline_copies=1))

    @cached_property
    def _known(self) -> Remembered[object, Phases]:
        """Moments that were worked out for a model, of all that a graph depends on, whatever lies where."""
        asked = replace(self.options, context=None, gpu_layers=0, shares=(), host_expert_layers=0, overrides=(), fit=False)
        return _laid_out(self.architecture).once((asked, self.cells), lambda: Remembered(_MOST_MOMENTS))

    def _laid(self, places: tuple[Seen, ...], copies: int, *, first: bool, alone: bool, output: bool, borrowed: bool) -> Phases:
        build = Builder(self.options, self.cells, self.tokens, first, HERE if alone else ELSEWHERE)
        hidden = self.architecture.hidden_size
        width = hidden * self.architecture.residual_streams
        stream = build.graph.leaf(build.rows(width), ELSEWHERE)
        if alone:
            stream = build.node("get_rows", build.rows(width), build.graph.leaf(4 * self.tokens, HERE))
        for number, place in enumerate(places):
            stream = self._layer(build, place, stream, last=output and number == len(places) - 1)
        if output:
            build.graph.part, build.graph.place = "output", HERE
            build.matrix_bytes, build.cache_bytes = (0, 0), 0
            vocabulary = self.architecture.vocab_size
            rows = self.outputs
            if stream.size_bytes > build.rows(hidden, rows):
                stream = build.node("get_rows", build.rows(hidden, rows), stream)
            matrix = build.stored(head_bytes(self.architecture) if borrowed else 0, here=not borrowed)
            stream = build.node("product", build.rows(vocabulary, rows), matrix, build.norm(stream))
        build.graph.expand(stream)
        return _phases(widest_moment(build.graph, copies=copies))

    def _layer(self, build: Builder, place: Seen, stream: Tensor, *, last: bool) -> Tensor:
        """One layer: mixers and feed-forward blocks, each added to the residual stream; the last goes on with those tokens that are put out."""
        layer, graph, hidden = self.kinds.layers[place.kind], build.graph, self.architecture.hidden_size
        guest = place.layer == HOST and self.offloads
        build.matrix_bytes = host_matrices(self.architecture)[place.kind] if guest else (0, 0)
        build.cache_bytes = self.buffers[place.kind].kv_bytes if guest and not self.options.fork else 0
        graph.place = HERE if place.layer == HERE or guest else ELSEWHERE
        if graph.place == ELSEWHERE:
            here = place.experts == HERE or self.offloads_experts(place.kind)
            return self._experts_elsewhere(build, place, stream) if here else stream
        sandwiched = sum(tensor.shape == (hidden,) for tensor in layer.tensors) >= _NORMS_ON_BOTH_SIDES
        for mixer in layer.mixers:
            graph.part = "attention"
            added = mixed(build, mixer, self._input(build, stream), hidden)
            if last and mixer is layer.mixers[-1] and self.architecture.residual_streams == 1:
                build.tokens = self.outputs
                ids = build.graph.leaf(4 * self.outputs, build.inputs_place)
                added, stream = (build.node("get_rows", build.rows(hidden), tensor, ids) for tensor in (added, stream))
            stream = build.node("add", stream.size_bytes, build.norm(added) if sandwiched else added, stream)
        for block in layer.feed_forwards:
            graph.part = "feed_forward"
            added = fed_forward(build, block, self._input(build, stream), self._experts(build, place))
            stream = build.node("add", stream.size_bytes, build.norm(added) if sandwiched else added, stream)
        return stream

    def _input(self, build: Builder, stream: Tensor) -> Tensor:
        """What a block reads of the residual stream: one stream of several, normed."""
        width = build.rows(self.architecture.hidden_size)
        return build.norm(stream if stream.size_bytes == width else build.node("mixed_streams", width, stream))

    def _experts(self, build: Builder, place: Seen) -> Experts:
        if place.experts == HERE:
            return Experts()
        if place.experts == HOST and not self.offloads_experts(place.kind):
            return Experts(ELSEWHERE, build.graph.place)
        if place.experts == HOST and build.first:
            return Experts(HERE, HERE, *expert_tensors(self.architecture)[place.kind])
        return Experts(ELSEWHERE, ELSEWHERE)

    def _experts_elsewhere(self, build: Builder, place: Seen, stream: Tensor) -> Tensor:
        """A layer of another card whose experts are computed here."""
        graph, width = build.graph, build.rows(self.architecture.hidden_size)
        graph.part = "feed_forward"
        normed = build.node("mul", width, build.node("rms_norm", width, stream))
        block = self.kinds.routed[place.kind]
        assert block is not None
        graph.place = ELSEWHERE
        added = fed_forward(build, block, normed, self._experts(build, place))
        graph.place = ELSEWHERE
        return build.node("add", stream.size_bytes, added, stream)


def phases_of(step: MicroBatch, placement: Placement, device: int) -> Phases:
    """The widest moment of one micro-batch on one device.

    Parameters
    ----------
    step : MicroBatch
        The micro-batch.
    placement : Placement
        Which device holds what.
    device : int
        A GPU, or ``HOST`` where there is none.

    Returns
    -------
    Phases
        What lives then.
    """
    return step.phases(placement, device)


@once_per_architecture
def _laid_out(architecture: Architecture) -> Remembered[object, Remembered[object, Phases]]:
    """Moments that were worked out for a model, by start."""
    return Remembered(_MOST_STARTS)


def _phases(moment: Moment) -> Phases:
    def part(name: str) -> int:
        return moment.parts.get(name, 0)

    return Phases(
        inputs_bytes=part("inputs"),
        attention_bytes=part("attention"),
        feed_forward_bytes=part("feed_forward"),
        copied_weights_bytes=part("copied_weights"),
        output_bytes=part("output"),
        gaps_bytes=moment.total_bytes - sum(moment.parts.values()),
    )
