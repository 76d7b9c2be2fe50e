"""What a start of llama.cpp leaves in the memory of the host: weights, caches, and the buffer in which the processor hands inputs to the GPUs."""

from __future__ import annotations

from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.host import system_lines
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Inputs, Item, Section
from gpusizer.engines.llama_cpp.arrangement import Arrangement
from gpusizer.engines.llama_cpp.cache import cells_in_window
from gpusizer.engines.llama_cpp.ledger import SOURCE, cache_lines, weight_lines
from gpusizer.engines.llama_cpp.placement import HOST
from gpusizer.formulas.memory.host import host_buffer_bytes
from gpusizer.formulas.memory.llama_cpp import compute_buffer_bytes, float_rows_bytes, mask_bytes

__all__ = ["host_lines"]

_SOURCES = (SOURCE + "src/llama-graph.cpp, build_inp_embd and build_attn_inp_kv; ggml/src/ggml-alloc.c",)
# Of 61 buffers in logs 54 are within 1 %; those further off were built with other numbers of micro-batches under way, or are of Vulkan.
_HANDED, _COMPUTED = Spread(0.05, 0.1), Spread(0.4, 0.15)


def host_lines(start: Start, found: Arrangement) -> tuple[Item, ...]:
    """Everything in the memory of the host.

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.

    Returns
    -------
    tuple of Item
        Weights, caches, compute buffer, and what the system holds where the memory was told.
    """
    return (*weight_lines(start, found, HOST), *cache_lines(start, found, HOST), _buffer_line(found), *system_lines(start))


def _buffer_line(found: Arrangement) -> Item:
    """The buffer that a log calls CUDA_Host (CPU without a GPU)."""
    if not found.placement.devices:
        phases: Inputs = dict(found.phases(HOST).inputs)
        source = (SOURCE + "ggml/src/ggml-alloc.c",)
        return computed("compute_buffer", compute_buffer_bytes, section=Section.ACTIVATION, band=Spread(0.08, 0.12), sources=source, **phases)
    rows, masks, computes = _embedded_bytes(found), _masks_bytes(found), _computed_bytes(found)
    return computed(
        "host_buffer",
        host_buffer_bytes,
        section=Section.ACTIVATION,
        band=_COMPUTED if computes else _HANDED,
        sources=_SOURCES,
        embedded_bytes=rows,
        masks_bytes=masks,
        copies=found.step.copies(found.placement),
        computed_bytes=computes,
    )


def _embedded_bytes(found: Arrangement) -> int:
    """Rows that the processor looks up in the embedding; newer builds keep room for rows that are handed in beside them. [bytes]"""
    rows = 2 if found.options.embeds_both else 1
    return rows * int(float_rows_bytes(tokens=found.step.tokens, width=found.step.architecture.hidden_size))


def _masks_bytes(found: Arrangement) -> int:
    """One mask for all layers that see as far. [bytes]"""
    options, step = found.options, found.step
    attends = (Attention, LatentAttention, CompressedAttention)
    mixers = [mixer for layer in step.kinds.layers for mixer in layer.mixers if isinstance(mixer, attends)]
    reach = {cells_in_window(options, step.cells, mixer.seen_tokens) if isinstance(mixer, Attention) else step.cells.full for mixer in mixers}
    element = 2 if options.flash and options.half_masks else 4
    return sum(int(mask_bytes(cells=cells, tokens=step.tokens, element_bytes=element)) for cells in reach)


def _computed_bytes(found: Arrangement) -> int:
    """What the processor's own share of the graph needs beyond its inputs; 0 where a GPU computes long batches for it. [bytes]"""
    step, placement = found.step, found.placement
    hosted = {kind for kind, experts in zip(placement.kinds.of, placement.experts, strict=True) if experts == HOST}
    rows, masks, moment = _embedded_bytes(found), _masks_bytes(found), found.phases(HOST).compute_bytes
    if HOST in placement.layer and not step.offloads:
        return max(moment - rows - masks, 0)
    blocks = [block for kind in hosted if (block := placement.kinds.routed[kind]) is not None and not step.offloads_experts(kind)]
    if not blocks:
        return 0
    returned = max(int(float_rows_bytes(tokens=step.tokens * block.top_k, width=step.architecture.hidden_size)) for block in blocks)
    if moment - returned <= masks:  # masks are freed once they are on the GPUs, and what experts read and make finds room there
        moment = returned
    return max(moment - rows, 0)
