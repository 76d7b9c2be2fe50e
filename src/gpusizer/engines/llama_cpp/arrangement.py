"""One arrangement of a model over the devices of one start, and llama.cpp's own search for one that fits (``--fit``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.weights import routed_block
from gpusizer.engines.llama_cpp.cache import Cells, LayerBuffers, cells_of, layer_buffers
from gpusizer.engines.llama_cpp.compute import Phases, phases_of
from gpusizer.engines.llama_cpp.options import ALL_LAYERS, Options
from gpusizer.engines.llama_cpp.placement import HOST, Placement, place, weights_by_device
from gpusizer.units import MiB

__all__ = ["Arrangement", "arrange", "fitted"]

# common/fit.cpp: memory that stays free on each device, and the shortest context of a sequence.
_TARGET_BYTES = 1024 * MiB
_LEAST_CONTEXT = 4096
_STEP = 256


@dataclass(frozen=True)
class Arrangement:
    """Where everything lies and how large each buffer is.

    Parameters
    ----------
    options : Options
        The start.
    context : int
        Context of all sequences together, before padding. [tokens]
    placement : Placement
        Device of each layer.
    cells : Cells
        Cells of the cache.
    weights : dict
        Stored bytes by device and parameter group.
    buffers : tuple of LayerBuffers
        Caches of every layer.
    phases : dict
        Compute buffer of each GPU; of the host where there is none.
    """

    options: Options
    context: int
    placement: Placement
    cells: Cells
    weights: dict[int, dict[str, int]]
    buffers: tuple[LayerBuffers, ...]
    phases: dict[int, Phases]

    def cache_bytes(self, device: int) -> tuple[int, int]:
        """Keys and values, and recurrent states, of one device. [bytes]"""
        held = [self.buffers[index] for index in self.cached_layers(device)]
        return sum(buffer.kv_bytes for buffer in held), sum(buffer.state_bytes for buffer in held)

    def cached_layers(self, device: int) -> tuple[int, ...]:
        """Layers whose cache lies on one device."""
        if self.options.host_cache:
            return tuple(range(len(self.buffers))) if device == HOST else ()
        by_rows = self.options.by_rows  # rows are cut over all devices, caches lie on the first
        places = (0 if by_rows and place != HOST else place for place in self.placement.layer[: len(self.buffers)])
        return tuple(index for index, place in enumerate(places) if place == device)

    def used_bytes(self, device: int) -> int:
        """Model, cache and compute buffers of one device. [bytes]"""
        return sum(self.weights[device].values()) + sum(self.cache_bytes(device)) + self.phases[device].compute_bytes


def arrange(architecture: Architecture, options: Options, memories: Sequence[int], context: int) -> Arrangement:
    """Place everything for a context of so many tokens in all."""
    placement = place(architecture, options, memories)
    cells = cells_of(options, context)
    buffers = layer_buffers(architecture, options, context)
    devices = tuple(range(len(memories))) or (HOST,)
    return Arrangement(
        options,
        context,
        placement,
        cells,
        weights_by_device(architecture, placement, options),
        buffers,
        {device: phases_of(architecture, options, placement, cells, buffers, device) for device in devices},
    )


def fitted(architecture: Architecture, options: Options, memories: Sequence[int], *, to_host: bool, experts_first: bool = True) -> Arrangement:
    """The arrangement that the engine comes to: what was left open shrinks until every device keeps its target free.

    Parameters
    ----------
    architecture : Architecture
        The model.
    options : Options
        The start; an open context is the model's longest at first.
    memories : sequence of int
        Free memory of each GPU at the start. [bytes]
    to_host : bool
        Layers may go to the host where the operator placed nothing.
    experts_first : bool
        Routed experts go before whole layers.

    Returns
    -------
    Arrangement
        One that fits, or the smallest that was tried.
    """
    longest = (architecture.max_position_embeddings or _LEAST_CONTEXT) * (options.streams if options.fit else 1)
    context = options.context or longest
    found = arrange(architecture, options, memories, context)
    if not options.fit or not memories or _fits(found, memories):
        return found
    if options.context is None:
        least = min(_LEAST_CONTEXT * options.streams, longest)
        step = _STEP * options.streams
        shorter = _largest(lambda steps: arrange(architecture, options, memories, least + steps * step), memories, (longest - least) // step)
        found = shorter or arrange(architecture, options, memories, least)
        context = found.context
        if shorter is not None:
            return found
    if to_host and options.gpu_layers >= ALL_LAYERS and not options.overrides and not options.host_expert_layers:
        return _partly(architecture, options, memories, context, experts_first=experts_first) or found
    return found


def _fits(found: Arrangement, memories: Sequence[int]) -> bool:
    return all(found.used_bytes(device) + _TARGET_BYTES <= free for device, free in enumerate(memories))


def _largest(make: Callable[[int], Arrangement], memories: Sequence[int], most: int) -> Arrangement | None:
    """The arrangement of the largest number that fits; None where even 0 does not."""
    best = make(0)
    if not _fits(best, memories):
        return None
    low, high = 0, max(most, 0)
    while low < high:
        middle = (low + high + 1) // 2
        tried = make(middle)
        if _fits(tried, memories):
            low, best = middle, tried
        else:
            high = middle - 1
    return best


def _partly(architecture: Architecture, options: Options, memories: Sequence[int], context: int, *, experts_first: bool) -> Arrangement | None:
    layers = len(architecture.layers)
    sparse = experts_first and any(routed_block(layer) is not None for layer in architecture.layers)
    if sparse:  # as many layers with their experts as fit
        kept = _largest(lambda kept: arrange(architecture, replace(options, host_expert_layers=layers - kept), memories, context), memories, layers)
        if kept is not None:
            return kept
        options = replace(options, host_expert_layers=ALL_LAYERS)
    return _largest(lambda count: arrange(architecture, replace(options, gpu_layers=count), memories, context), memories, layers + 1)
