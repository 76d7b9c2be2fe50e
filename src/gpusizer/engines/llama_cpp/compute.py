"""Compute buffers of llama.cpp: the widest moment of one micro-batch on each device, without running its allocator.

What lives together at that moment was read off start-up logs whose terms are exact (masks, scores, logits, feed-forward rows, copied weights); the
few counts below are all that is fitted. ``scripts/calibrate/llama_cpp.py`` prints the errors by source left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, CompressedAttention, DenseMLP, LatentAttention, Layer, Mixer, MixtureOfExperts, StateMixer
from gpusizer.engines.llama_cpp.cache import Cells, LayerBuffers, cells_in_window
from gpusizer.engines.llama_cpp.layers import Kinds, dense_tensors, expert_tensors
from gpusizer.engines.llama_cpp.options import Options
from gpusizer.engines.llama_cpp.placement import HOST, Part, Placement, head_bytes
from gpusizer.formulas.memory.llama_cpp import compute_buffer_bytes, expanded_latent_bytes, float_rows_bytes, mask_bytes, scores_bytes
from gpusizer.units import MiB

__all__ = ["MicroBatch", "Phases", "phases_of"]

# Rows of the residual stream, and of queries, that live beside the scores of one layer (n = 7 logs without flash attention, within 1.5 %).
_RESIDUALS, _QUERIES = 2, 2
# Rows of the residual stream beside an expanded latent (n = 4 logs of cards that hold layers only, exact for three).
_LATENT_RESIDUALS = 3
_FUSED = re.compile(r"qkv|query_key_value|c_attn|W_pack", re.IGNORECASE)
_PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES
_LEAST_OFFLOADED_BATCH = 32  # tokens from which a GPU computes what lies on the host (ggml-cuda, op_offload)
_LEAST_EXPANDED_BATCH = 128  # tokens from which latents are expanded (fork)


@dataclass(frozen=True, slots=True)
class Phases:
    """The moments of one device, each in bytes; ``compute_bytes`` is the widest."""

    inputs_bytes: int
    attention_bytes: int
    feed_forward_bytes: int
    copied_weights_bytes: int
    output_bytes: int

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
    """One micro-batch, wherever its layers lie: what each kind of layer needs is worked out once.

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
    _attention: dict[int, int] = field(default_factory=dict, repr=False, compare=False)
    _feed_forward: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def tokens(self) -> int:
        """Tokens that are computed at once. [tokens]"""
        return min(self.options.micro_batch, self.cells.tokens)

    def rows(self, width: int, tokens: int | None = None) -> int:
        """FP32 rows of all tokens. [bytes]"""
        return int(float_rows_bytes(tokens=self.tokens if tokens is None else tokens, width=width))

    @cached_property
    def hidden_bytes(self) -> int:
        """Rows of the residual stream. [bytes]"""
        return self.rows(self.architecture.hidden_size * self.architecture.residual_streams)

    @cached_property
    def mask_cells(self) -> int:
        """Cells that masks span: one mask for layers that see everything, one for each window, one for an indexer. [cells]"""
        if len(self.kinds.windows) == 1 and self.options.window_full:
            return self.cells.full
        spanned = sum(cells_in_window(self.options, self.cells, window) for window in self.kinds.windows)
        return spanned + (self.cells.full if self.kinds.indexed else 0)

    def attention_bytes(self, kind: int) -> int:
        """Mixers of a layer of a kind. [bytes]"""
        if kind not in self._attention:
            self._attention[kind] = max((_attention(self, mixer) for mixer in self.kinds.layers[kind].mixers), default=0)
        return self._attention[kind]

    def feed_forward_bytes(self, kind: int) -> int:
        """Feed-forward of a layer of a kind. [bytes]"""
        if kind not in self._feed_forward:
            self._feed_forward[kind] = _feed_forward(self, self.kinds.layers[kind])
        return self._feed_forward[kind]

    def offloads(self, placement: Placement) -> bool:
        """Whether a GPU computes what lies on the host."""
        return placement.devices > 0 and self.options.offload_operations and self.tokens >= _LEAST_OFFLOADED_BATCH

    def pipelined(self, placement: Placement) -> bool:
        """Whether several micro-batches are under way at once."""
        several = placement.devices > 1 and not (self.options.by_rows or self.options.fork or self.options.remote)
        return several and placement.all_offloaded and not placement.overridden and not self.options.host_cache


def phases_of(step: MicroBatch, placement: Placement, device: int) -> Phases:
    """The moments of one micro-batch on one device.

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
        The moments.
    """
    first = device in (0, HOST)
    helps = first and device != HOST and step.offloads(placement)
    guests = _guests(placement) if helps else []
    computed = {*(part.kind for part in placement.parts[device] if part.layer), *(part.kind for part in guests)}
    masks, hidden, pipelined = _masks(step, first=first), step.hidden_bytes, step.pipelined(placement)
    copies = (_PIPELINE_COPIES - 1) * (_inputs_mask(step, first=first) + hidden) + hidden if pipelined else 0
    host_cache = _copied_cache(step, guests)
    return Phases(
        masks + copies,
        max(map(step.attention_bytes, computed), default=0) + host_cache,
        max(map(step.feed_forward_bytes, computed), default=0) + host_cache,
        _copied_weights(step, placement, guests, device) if helps else 0,
        _output(step, placement, device, copies + (masks if pipelined else 0)),
    )


def _guests(placement: Placement) -> list[Part]:
    """Layers of the host that the first GPU computes."""
    return [part for part in placement.parts[HOST] if part.layer]


def _inputs_mask(step: MicroBatch, *, first: bool) -> int:
    """The mask as it is handed to a device: FP32 to the first in older builds, FP16 where flash attention reads it. [bytes]"""
    element = 2 if step.options.flash and (step.options.lean or not first) else 4
    return int(mask_bytes(cells=step.mask_cells, tokens=step.tokens, element_bytes=element))


def _masks(step: MicroBatch, *, first: bool) -> int:
    """Masks on a device; the first casts FP32 to FP16 for flash attention in older builds, and holds both. [bytes]"""
    if not step.options.flash:
        return _inputs_mask(step, first=first)
    cast = 2 if first and not step.options.lean else 0
    return _inputs_mask(step, first=first) + int(mask_bytes(cells=step.mask_cells, tokens=step.tokens, element_bytes=cast))


def _attention(step: MicroBatch, mixer: Mixer) -> int:
    """One mixer of a layer. [bytes]"""
    options = step.options
    match mixer:
        case LatentAttention():
            return _latent(step, mixer)
        case StateMixer():
            return _RESIDUALS * step.hidden_bytes + step.rows(mixer.stream_elements)
        case Attention():
            fused = any(_FUSED.search(tensor.name) for tensor in mixer.tensors)  # keys and values come in one piece with the queries
            pieces = step.rows(mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)) if fused else 0
            limited = mixer.kv_heads == mixer.heads  # the fork cuts scores of equal heads only
        case CompressedAttention():
            pieces, limited = 0, False
        case _:
            assert_never(mixer)
    beside = _RESIDUALS * step.hidden_bytes + _QUERIES * step.rows(mixer.heads * mixer.head_dim) + pieces
    if options.flash:
        return beside
    return beside + _scores(step, mixer.heads, cells_in_window(options, step.cells, mixer.seen_tokens), limited=limited)


def _scores(step: MicroBatch, heads: int, cells: int, *, limited: bool = True) -> int:
    size = int(scores_bytes(heads=heads, tokens=step.tokens, cells=cells))
    return min(size, step.options.attention_mib * MiB) if limited and step.options.attention_mib else size


def _latent(step: MicroBatch, mixer: LatentAttention) -> int:
    """Latent attention: every head's keys, absorbed queries, or (fork) keys and values of all heads expanded for a long batch. [bytes]"""
    options, cells = step.options, step.cells.full
    key = mixer.qk_nope_head_dim + mixer.qk_rope_head_dim
    queries, hidden = step.rows(mixer.heads * key), step.hidden_bytes
    if options.mla == 0:
        beside = _RESIDUALS * hidden + _QUERIES * queries
        return beside if options.flash else beside + _scores(step, mixer.heads, cells)
    if options.fork and options.flash and options.mla > 1 and step.tokens >= _LEAST_EXPANDED_BATCH:
        piece = int(scores_bytes(heads=mixer.heads, tokens=mixer.qk_nope_head_dim + mixer.v_head_dim, cells=cells))
        if options.mla == 2:  # keys were FP32 before they were cast, and the piece was not cut
            piece += int(scores_bytes(heads=mixer.heads, tokens=key, cells=cells)) // 2
        else:
            while options.attention_mib and piece > options.attention_mib * MiB and piece > MiB:
                piece //= 2
        sizes = {"heads": mixer.heads, "key_dim": key, "value_dim": mixer.v_head_dim}
        return int(expanded_latent_bytes(cells=cells, float_bytes=piece, **sizes)) + queries + _LATENT_RESIDUALS * hidden
    absorbed = step.rows(mixer.heads * (mixer.kv_lora_rank + mixer.qk_rope_head_dim))
    latent = step.rows(mixer.heads * mixer.kv_lora_rank)
    if options.flash:
        index = int(scores_bytes(heads=1, tokens=step.tokens, cells=cells)) if mixer.indexer is not None else 0
        return _RESIDUALS * hidden + queries + absorbed + 2 * latent + index
    return 2 * absorbed + 2 * latent + _scores(step, mixer.heads, cells)


def _feed_forward(step: MicroBatch, layer: Layer) -> int:
    """Feed-forward of a layer: up, gate and their product; of experts the wider of those and of the rows that go back. [bytes]"""
    widest = 0
    for block in layer.feed_forwards:
        match block:
            case DenseMLP():
                widest = max(widest, step.rows((3 if block.gated else 2) * block.width))
            case MixtureOfExperts():
                widest = max(widest, _experts(step, block))
            case _:
                assert_never(block)
    return _RESIDUALS * step.hidden_bytes + widest


def _experts(step: MicroBatch, block: MixtureOfExperts) -> int:
    narrow, wide = block.top_k * block.expert_width, block.top_k * block.expert_hidden
    return step.rows(max(3 * narrow, 2 * narrow + wide))


def _output(step: MicroBatch, placement: Placement, device: int, copies: int) -> int:
    """Logits on the device of the output; on the first GPU with a copy of the matrix where the host has it. [bytes]"""
    architecture, options, where = step.architecture, step.options, placement.output
    rows = min(step.tokens, options.sequences) if options.lean else step.tokens
    if where == device:
        others = placement.devices > 1
        return copies + step.rows(architecture.vocab_size, rows) + (2 if others else 1) * step.hidden_bytes
    if where == HOST and device == 0 and step.offloads(placement):
        return copies + head_bytes(architecture) + step.rows(architecture.vocab_size, rows) + step.hidden_bytes
    return 0


def _copied_cache(step: MicroBatch, guests: list[Part]) -> int:
    """Keys and values of one host layer that a GPU attends to. [bytes]"""
    if step.options.fork or not step.options.flash:
        return 0
    return max((step.buffers[part.kind].kv_bytes for part in guests), default=0)


def _copied_weights(step: MicroBatch, placement: Placement, guests: list[Part], device: int) -> int:
    """Weights of the host that are copied for a long batch, one tensor at a time (two where up and gate are one operation). [bytes]"""
    architecture, options, routed = step.architecture, step.options, step.kinds.routed
    hosted = [part.kind for part in placement.parts[HOST] if part.experts and routed[part.kind] is not None]
    hidden = step.hidden_bytes
    widest = 0
    for kind in hosted[:1]:
        up, down = expert_tensors(architecture)[kind]
        block = routed[kind]
        assert block is not None  # hosted layers have routed experts
        back = step.rows(block.top_k * block.expert_hidden)
        if options.fused_experts:
            own = any(part.experts and routed[part.kind] is not None for part in placement.parts[device])  # their rows lie in the way of the copies
            widest = 2 * up + hidden + (2 * back if own else 0)
        else:
            widest = max(up, down) + _RESIDUALS * hidden + back + step.rows(block.top_k * block.expert_width)
    dense = [part.kind for part in guests if not part.experts or routed[part.kind] is None]
    if dense and not options.fork:
        sizes = dense_tensors(architecture)
        widest = max(widest, max(sizes[kind] for kind in dense) + step.feed_forward_bytes(dense[0]))
    return widest
