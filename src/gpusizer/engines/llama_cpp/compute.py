"""Compute buffers of llama.cpp: the widest moment of one micro-batch on each device, without running its allocator.

What lives together at that moment was read off start-up logs whose terms are exact (masks, scores, logits, feed-forward rows, copied weights); the
few counts below are all that is fitted. ``scripts/calibrate/llama_cpp.py`` prints the errors by source left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import stored_tensors
from gpusizer.architecture.types import Attention, CompressedAttention, DenseMLP, LatentAttention, Layer, LinearAttention, Mixer, MixtureOfExperts
from gpusizer.engines.base.weights import ROUTED, once_per_architecture, routed_block
from gpusizer.engines.llama_cpp.cache import Cells, LayerBuffers, cells_in_window, window_of
from gpusizer.engines.llama_cpp.options import Options
from gpusizer.engines.llama_cpp.placement import HOST, Placement, head_bytes
from gpusizer.formulas.memory.llama_cpp import compute_buffer_bytes, expanded_latent_bytes, float_rows_bytes, mask_bytes, scores_bytes
from gpusizer.units import MiB

__all__ = ["Phases", "phases_of"]

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
class _Step:
    """One micro-batch."""

    architecture: Architecture
    options: Options
    placement: Placement
    cells: Cells
    buffers: tuple[LayerBuffers, ...]

    @property
    def tokens(self) -> int:
        return min(self.options.micro_batch, self.cells.tokens)

    def rows(self, width: int, tokens: int | None = None) -> int:
        return int(float_rows_bytes(tokens=self.tokens if tokens is None else tokens, width=width))

    @property
    def hidden_bytes(self) -> int:
        return self.rows(self.architecture.hidden_size * self.architecture.residual_streams)

    @property
    def offloads(self) -> bool:
        return self.placement.devices > 0 and self.options.offload_operations and self.tokens >= _LEAST_OFFLOADED_BATCH

    @property
    def pipelined(self) -> bool:
        several = self.placement.devices > 1 and not (self.options.by_rows or self.options.fork or self.options.remote)
        return several and self.placement.all_offloaded and not self.placement.overridden and not self.options.host_cache


def phases_of(
    architecture: Architecture, options: Options, placement: Placement, cells: Cells, buffers: tuple[LayerBuffers, ...], device: int
) -> Phases:
    """The moments of one micro-batch on one device.

    Parameters
    ----------
    architecture : Architecture
        The model.
    options : Options
        The start.
    placement : Placement
        Which device holds what.
    cells : Cells
        Cells of the cache.
    buffers : tuple of LayerBuffers
        Caches of every layer.
    device : int
        A GPU, or ``HOST`` where there is none.

    Returns
    -------
    Phases
        The moments.
    """
    step = _Step(architecture, options, placement, cells, buffers)
    first = device in (0, HOST)
    layers = [architecture.layers[index] for index in placement.holds_layers(device)]
    guests = [index for index, place in enumerate(placement.layer) if place == HOST] if first and device != HOST and step.offloads else []
    computed = layers + [architecture.layers[index] for index in guests]
    masks = _masks(step, first=first)
    hidden = step.hidden_bytes
    copies = (_PIPELINE_COPIES - 1) * ((_inputs_mask(step, first=first)) + hidden) + hidden if step.pipelined else 0
    attention = max((_attention(step, mixer) for layer in computed for mixer in layer.mixers), default=0)
    feed_forward = max((_feed_forward(step, layer) for layer in computed), default=0)
    host_cache = _copied_cache(step, guests)
    copied = _copied_weights(step, guests, device) if first and device != HOST and step.offloads else 0
    return Phases(
        masks + copies,
        attention + host_cache,
        feed_forward + host_cache,
        copied,
        _output(step, device, copies + (masks if step.pipelined else 0)),
    )


def _mask_cells(step: _Step) -> int:
    """Cells that masks span: one mask for layers that see everything, one for each window, one for an indexer. [cells]"""
    windows = {window_of(mixer) for layer in step.architecture.layers for mixer in layer.mixers if not isinstance(mixer, LinearAttention)}
    if len(windows) == 1 and step.options.window_full:
        return step.cells.full
    indexed = any(isinstance(mixer, LatentAttention) and mixer.indexer is not None for layer in step.architecture.layers for mixer in layer.mixers)
    return sum(cells_in_window(step.options, step.cells, window) for window in windows) + (step.cells.full if indexed else 0)


def _inputs_mask(step: _Step, *, first: bool) -> int:
    """The mask as it is handed to a device: FP32 to the first in older builds, FP16 where flash attention reads it. [bytes]"""
    element = 2 if step.options.flash and (step.options.lean or not first) else 4
    return int(mask_bytes(cells=_mask_cells(step), tokens=step.tokens, element_bytes=element))


def _masks(step: _Step, *, first: bool) -> int:
    """Masks on a device; the first casts FP32 to FP16 for flash attention in older builds, and holds both. [bytes]"""
    if not step.options.flash:
        return _inputs_mask(step, first=first)
    cast = 2 if first and not step.options.lean else 0
    return _inputs_mask(step, first=first) + int(mask_bytes(cells=_mask_cells(step), tokens=step.tokens, element_bytes=cast))


def _attention(step: _Step, mixer: Mixer) -> int:
    """One mixer of a layer. [bytes]"""
    options = step.options
    if isinstance(mixer, LatentAttention):
        return _latent(step, mixer)
    if isinstance(mixer, LinearAttention):
        width = 2 * mixer.conv_channels + 2 * mixer.value_heads * mixer.value_dim
        return _RESIDUALS * step.hidden_bytes + step.rows(width)
    if not isinstance(mixer, Attention | CompressedAttention):
        return _RESIDUALS * step.hidden_bytes + step.rows(4 * mixer.inner_dim)
    queries = step.rows(mixer.heads * mixer.head_dim)
    beside = _RESIDUALS * step.hidden_bytes + _QUERIES * queries
    if isinstance(mixer, Attention) and any(_FUSED.search(tensor.name) for tensor in mixer.tensors):
        beside += step.rows(mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim))  # keys and values come in one piece with the queries
    if options.flash:
        return beside
    limited = isinstance(mixer, Attention) and mixer.kv_heads == mixer.heads  # the fork cuts scores of equal heads only
    return beside + _scores(step, mixer.heads, cells_in_window(options, step.cells, window_of(mixer)), limited=limited)


def _scores(step: _Step, heads: int, cells: int, *, limited: bool = True) -> int:
    size = int(scores_bytes(heads=heads, tokens=step.tokens, cells=cells))
    return min(size, step.options.attention_mib * MiB) if limited and step.options.attention_mib else size


def _latent(step: _Step, mixer: LatentAttention) -> int:
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


def _feed_forward(step: _Step, layer: Layer) -> int:
    """Feed-forward of a layer: up, gate and their product; of experts the wider of those and of the rows that go back. [bytes]"""
    widest = 0
    for block in layer.feed_forwards:
        if isinstance(block, DenseMLP):
            widest = max(widest, step.rows((3 if block.gated else 2) * block.width))
        elif isinstance(block, MixtureOfExperts):
            widest = max(widest, _experts(step, block))
    return _RESIDUALS * step.hidden_bytes + widest


def _experts(step: _Step, block: MixtureOfExperts) -> int:
    narrow, wide = block.top_k * block.expert_width, block.top_k * block.expert_hidden
    return step.rows(max(3 * narrow, 2 * narrow + wide))


def _output(step: _Step, device: int, copies: int) -> int:
    """Logits on the device of the output; on the first GPU with a copy of the matrix where the host has it. [bytes]"""
    architecture, options, where = step.architecture, step.options, step.placement.output
    rows = min(step.tokens, step.options.sequences) if options.lean else step.tokens
    logits = step.rows(architecture.vocab_size, rows)
    if where == device:
        others = step.placement.devices > 1
        return copies + logits + (2 if others else 1) * step.hidden_bytes
    if where == HOST and device == 0 and step.offloads:
        return copies + head_bytes(architecture) + logits + step.hidden_bytes
    return 0


def _copied_cache(step: _Step, guests: list[int]) -> int:
    """Keys and values of one host layer that a GPU attends to. [bytes]"""
    if step.options.fork or not step.options.flash:
        return 0
    return max((step.buffers[index].kv_bytes for index in guests), default=0)


def _copied_weights(step: _Step, guests: list[int], device: int) -> int:
    """Weights of the host that are copied for a long batch, one tensor at a time (two where up and gate are one operation). [bytes]"""
    architecture, placement, options = step.architecture, step.placement, step.options
    expert_layers = [index for index, layer in enumerate(architecture.layers) if routed_block(layer) is not None]
    hosted = [index for index in expert_layers if placement.experts[index] == HOST]
    hidden = step.hidden_bytes
    widest = 0
    if hosted:
        up, down = _expert_tensors(architecture)[hosted[0]]
        block = routed_block(architecture.layers[hosted[0]])
        assert block is not None  # hosted layers have routed experts
        back = step.rows(block.top_k * block.expert_hidden)
        if options.fused_experts:
            own = any(placement.experts[index] == device for index in expert_layers)  # their rows lie in the way of the copies
            widest = 2 * up + hidden + (2 * back if own else 0)
        else:
            widest = max(up, down) + _RESIDUALS * hidden + back + step.rows(block.top_k * block.expert_width)
    dense = [index for index in guests if index not in hosted]
    if dense and not options.fork:
        widest = max(widest, max(_dense_tensor(architecture)[index] for index in dense) + _feed_forward(step, architecture.layers[dense[0]]))
    return widest


@once_per_architecture
def _expert_tensors(architecture: Architecture) -> dict[int, tuple[int, int]]:
    """By layer: bytes of one of the two matrices into the experts, and of the one back. [bytes]"""
    found: dict[int, tuple[int, int]] = {}
    for index, _, tensor, form in stored_tensors(architecture):
        if index is None or tensor.group != ROUTED or len(tensor.shape) < 2:
            continue
        up, down = found.get(index, (0, 0))
        size = form.bytes_of(tensor.shape, tensor.copies)
        if "down" in tensor.name or tensor.name.split(".")[-2:-1] == ["w2"]:
            down = max(down, size)
        else:
            up = max(up, size // 2 if "gate_up" in tensor.name else size)
        found[index] = (up, down)
    return found


@once_per_architecture
def _dense_tensor(architecture: Architecture) -> dict[int, int]:
    """By layer: bytes of the largest matrix outside routed experts. [bytes]"""
    found: dict[int, int] = {}
    for index, _, tensor, form in stored_tensors(architecture):
        if index is not None and tensor.group != ROUTED and len(tensor.shape) > 1:
            found[index] = max(found.get(index, 0), form.bytes_of(tensor.shape, tensor.copies))
    return found
