"""Caches of llama.cpp, layer by layer: cells, rows and states, exactly as its log prints them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import assert_never

from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, Layer, Mixer, State, StateMixer
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.llama_cpp.layers import Kinds
from gpusizer.engines.llama_cpp.options import LATENT_ONLY_FROM, Options
from gpusizer.formulas.memory.llama_cpp import context_cells, kv_buffer_bytes, pooled_cells, sequence_state_bytes, window_cells

__all__ = ["Cells", "LayerBuffers", "cells_of", "draft_cache_bytes", "layer_buffers"]


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one stream, and how many streams there are.

    Parameters
    ----------
    full : int
        Of a layer that sees everything. [cells]
    streams : int
        Streams. [streams]
    sequences : int
        Sequences of one stream. [sequences]
    """

    full: int
    streams: int
    sequences: int

    @property
    def tokens(self) -> int:
        """Tokens of all streams together. [tokens]"""
        return self.full * self.streams


@dataclass(frozen=True, slots=True)
class LayerBuffers:
    """What one layer caches: ``kv_bytes`` grows with the context, ``state_bytes`` with the sequences alone; and both for each of its mixers."""

    kv_bytes: int
    state_bytes: int
    mixers: tuple[tuple[str, int, int], ...] = ()


def cells_of(options: Options, context: int) -> Cells:
    """Cells for a context of so many tokens in all."""
    full = context_cells(context_tokens=context, streams=options.streams, padding=options.padding)
    return Cells(int(full), options.streams, options.sequences if options.streams == 1 else 1)


def cells_in_window(options: Options, cells: Cells, window: int) -> int:
    """Cells of one stream for a layer with such a window. [cells]"""
    if not window or options.window_full:
        return cells.full
    return int(
        window_cells(cells=cells.full, window=window, sequences=cells.sequences, micro_batch=options.micro_batch, padding=max(options.padding, 256))
    )


def layer_buffers(kinds: Kinds, options: Options, cells: Cells) -> tuple[LayerBuffers, ...]:
    """Caches of one layer of each kind.

    Parameters
    ----------
    kinds : Kinds
        The different layers of the model.
    options : Options
        The start.
    cells : Cells
        Cells for the context of all sequences together.

    Returns
    -------
    tuple of LayerBuffers
        In the order of the kinds.
    """
    known: dict[Mixer, LayerBuffers] = {}
    found = []
    for layer in kinds.layers:
        for mixer in layer.mixers:
            if mixer not in known:
                known[mixer] = _mixer(mixer, options, cells)
        parts = tuple((_input(mixer), known[mixer].kv_bytes, known[mixer].state_bytes) for mixer in layer.mixers)
        found.append(LayerBuffers(sum(kv for _, kv, _ in parts), sum(state for _, _, state in parts), parts))
    return tuple(found)


def draft_cache_bytes(layers: Iterable[Layer], options: Options, cells: Cells) -> int:
    """Cache of layers that draft tokens: a context of its own with as many cells in all, in FP16 whatever the model's cache is. [bytes]"""
    half = cache_format("f16")
    assert half is not None
    own = replace(options, keys=half, values=half)
    return sum(_mixer(mixer, own, cells).kv_bytes for layer in layers for mixer in layer.mixers)


def _bytes(cells: int, streams: int, *rows: tuple[int, float]) -> int:
    """Bytes of rows of (elements, bytes of one element) in every cell, block by block."""
    row = sum((Fraction(size) * elements for elements, size in rows), Fraction(0))
    return int(kv_buffer_bytes(cells=cells, streams=streams, row_bytes=row, layers=1))


def _input(mixer: Mixer) -> str:
    """Name of the formula's input that adds up such layers."""
    kind = mixer.kind if mixer.kind != "attention" else "window" if mixer.seen_tokens else "full"
    return f"{kind}_layers"


def _mixer(mixer: Mixer, options: Options, cells: Cells) -> LayerBuffers:
    match mixer:
        case Attention():
            return LayerBuffers(_rows(mixer, options, cells) if mixer.caches else 0, 0)
        case LatentAttention():
            return LayerBuffers(_latent(mixer, options, cells), 0)
        case CompressedAttention():
            return _compressed(mixer, options, cells)
        case StateMixer():
            return LayerBuffers(0, _state(mixer.state, options))
        case _:
            assert_never(mixer)


def _rows(mixer: Attention, options: Options, cells: Cells) -> int:
    rows = cells_in_window(options, cells, mixer.seen_tokens)
    keys, values = mixer.kv_heads * mixer.head_dim, mixer.kv_heads * mixer.v_head_dim
    return _bytes(rows, cells.streams, (keys, options.keys.element_bytes), (values, options.values.element_bytes))


def _latent(mixer: LatentAttention, options: Options, cells: Cells) -> int:
    keys, values = options.keys.element_bytes, options.values.element_bytes
    if options.mla == 0:
        key = mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim)
        return _bytes(cells.full, cells.streams, (key, keys), (mixer.heads * mixer.v_head_dim, values))
    rows = [(mixer.kv_lora_rank + mixer.qk_rope_head_dim, keys)]
    if options.fork and options.mla == 1 and not options.flash:
        rows.append((mixer.kv_lora_rank, 2.0))  # the transposed latent is never quantised
    elif not options.fork and options.build < LATENT_ONLY_FROM:
        rows.append((mixer.kv_lora_rank, values))
    if mixer.index is not None:
        rows.append((mixer.index.head_dim, 2.0 if options.fork else keys))
    return _bytes(cells.full, cells.streams, *rows)


def _compressed(mixer: CompressedAttention, options: Options, cells: Cells) -> LayerBuffers:
    """One stream for each sequence always; keys only; the compressor's unfinished rows (value and score) in FP32."""
    keys, sequences = options.keys.element_bytes, options.sequences
    own = cells.full if options.streams > 1 or sequences == 1 else context_cells(context_tokens=cells.tokens, streams=1, padding=options.padding)
    window = min(int(own), int(window_cells(cells=own, window=mixer.window, sequences=1, micro_batch=options.micro_batch, padding=256)))
    kv = _bytes(window, sequences, (mixer.head_dim, keys))
    state = 0
    if mixer.pools:
        rows = int(pooled_cells(cells=own, ratio=mixer.ratio, padding=256))
        kv += _bytes(rows, sequences, (mixer.head_dim, keys))
        overlap = mixer.overlap
        widths = [mixer.head_dim]
        if mixer.indexer is not None:
            kv += _bytes(rows, sequences, (mixer.indexer.head_dim, keys))
            widths.append(mixer.indexer.head_dim)
        for width in widths:
            elements = overlap * mixer.ratio * overlap * width
            state += int(sequence_state_bytes(state_elements=elements, convolution_elements=elements, sequences=sequences, layers=1))
    return LayerBuffers(kv, state)


def _state(state: State, options: Options) -> int:
    columns = state.columns * state.channels
    return int(sequence_state_bytes(state_elements=state.elements, convolution_elements=columns, sequences=options.sequences, layers=1))
