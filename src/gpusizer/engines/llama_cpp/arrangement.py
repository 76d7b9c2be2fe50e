"""One arrangement of a model over the devices of one start, and llama.cpp's own search for one that fits (``--fit``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention
from gpusizer.engines.llama_cpp.cache import Cells, cells_of, layer_buffers
from gpusizer.engines.llama_cpp.compute import MicroBatch, Phases, phases_of
from gpusizer.engines.llama_cpp.layers import kinds_of
from gpusizer.engines.llama_cpp.options import ALL_LAYERS, Options
from gpusizer.engines.llama_cpp.placement import HOST, Part, Placement, place, share_of, weights_of
from gpusizer.units import MiB

__all__ = ["Arrangement", "fitted", "keeps_target", "rearranged"]

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
    step : MicroBatch
        Cells, caches and what is computed at once.
    """

    options: Options
    context: int
    placement: Placement
    step: MicroBatch
    _weights: dict[int, dict[str, int]] = field(default_factory=dict, repr=False, compare=False)
    _phases: dict[int, Phases] = field(default_factory=dict, repr=False, compare=False)

    @property
    def cells(self) -> Cells:
        """Cells of the cache."""
        return self.step.cells

    def weights(self, device: int) -> dict[str, int]:
        """Stored bytes of one device by parameter group. [bytes]"""
        if device not in self._weights:
            self._weights[device] = weights_of(self.step.architecture, self.placement, self.options, device)
        return self._weights[device]

    def phases(self, device: int) -> Phases:
        """Compute buffer of a GPU; of the host where there is none."""
        if device not in self._phases:
            self._phases[device] = phases_of(self.step, self.placement, device)
        return self._phases[device]

    def compute_limits(self, device: int) -> tuple[int, int]:
        """The least and the most that the compute buffer of a GPU may come to. [bytes]"""
        return self.step.limits(self.placement, device)

    def cache_bytes(self, device: int) -> tuple[int, int]:
        """Keys and values, and recurrent states, of one device. [bytes]"""
        kv, state = self.cache_parts(device)
        return sum(kv.values()), sum(state.values())

    def cache_parts(self, device: int) -> tuple[dict[str, int], dict[str, int]]:
        """Cache and states of a device by kind of layer, as the lines of the ledger show them; what caches nothing is left out. [bytes]"""
        kv: dict[str, int] = {}
        state: dict[str, int] = {}
        for part, count in self._cached(device):
            for kind, kv_bytes, state_bytes in self.step.buffers[part.kind].mixers:
                for sizes, size in ((kv, kv_bytes), (state, state_bytes)):
                    if size:
                        sizes[kind] = sizes.get(kind, 0) + count * size
        if self.options.cuts_caches and device != HOST:
            share = share_of(self.options, self.placement.devices, device)
            kv, state = ({kind: round(size * share) for kind, size in sizes.items()} for sizes in (kv, state))
        return kv, state

    def _cached(self, device: int) -> Iterator[tuple[Part, int]]:
        """Layers whose cache lies on one device, and how many of each."""
        parts = self.placement.parts
        if self.options.host_cache:
            held = tuple(parts) if device == HOST else ()
        elif self.options.by_rows and device != HOST:  # rows are cut over all devices, caches lie on the first
            held = tuple(range(self.placement.devices)) if device == 0 or self.options.cuts_caches else ()
        else:
            held = (device,)
        found = ((part, count) for where in held for part, count in parts[where].items() if part.layer)
        last = Part(self.placement.kinds.of[-1], layer=True, experts=True)
        return chain(found, ((last, self._drafts),) if self._drafts and self.placement.layer[-1] in held else ())

    @property
    def _drafts(self) -> int:
        """Layers that draft tokens and are cached like the last layer. [layers]"""
        drafts = self.step.architecture.mtp if self.options.caches_drafts else ()
        return sum(bool(layer.mixers_of(Attention)) for layer in drafts)

    def all_cache_bytes(self) -> tuple[int, int]:
        """Keys and values, and recurrent states, of all devices and the host. [bytes]"""
        kinds = self.placement.kinds.of
        buffers = [self.step.buffers[kind] for kind in (*kinds, *kinds[-1:] * self._drafts)]
        return sum(buffer.kv_bytes for buffer in buffers), sum(buffer.state_bytes for buffer in buffers)

    def used_bytes(self, device: int) -> int:
        """Model, cache and compute buffers of one device. [bytes]"""
        return sum(self.weights(device).values()) + sum(self.cache_bytes(device)) + self.phases(device).compute_bytes

    @property
    def twins(self) -> tuple[int, ...]:
        """For each GPU the first one with the same buffers."""
        return tuple(range(self.placement.devices)) if self.options.by_rows else self.placement.twins


def _micro_batch(architecture: Architecture, options: Options, context: int) -> MicroBatch:
    """Cells, caches and what is computed at once, for a context of so many tokens in all."""
    kinds, cells = kinds_of(architecture), cells_of(options, context)
    return MicroBatch(architecture, kinds, options, cells, layer_buffers(kinds, options, cells))


def _arrange(step: MicroBatch, options: Options, memories: Sequence[int], context: int) -> Arrangement:
    """Place everything; ``options`` may place it otherwise than those of the micro-batch."""
    return Arrangement(options, context, place(step.architecture, options, memories), step)


def rearranged(found: Arrangement, options: Options, memories: Sequence[int]) -> Arrangement:
    """The same micro-batch with weights placed otherwise: what it needs is the same wherever its layers lie.

    Parameters
    ----------
    found : Arrangement
        Another arrangement of the start.
    options : Options
        The start, placed otherwise.
    memories : sequence of int
        Free memory of each GPU at the start. [bytes]

    Returns
    -------
    Arrangement
        With the context of the other.
    """
    return _arrange(found.step, options, memories, found.context)


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

    def with_context(tokens: int) -> Arrangement:
        return _arrange(_micro_batch(architecture, options, tokens), options, memories, tokens)

    found = with_context(options.context or longest)
    movable = to_host and options.gpu_layers >= ALL_LAYERS and not options.overrides and not options.host_expert_layers
    if not options.fit or not memories or not (movable or options.context is None) or keeps_target(found, memories):
        return found
    if options.context is None:
        least = min(_LEAST_CONTEXT * options.streams, longest)
        step = _STEP * options.streams
        shorter = _largest(lambda steps: with_context(least + steps * step), memories, (longest - least) // step)
        if shorter is not None:
            return shorter
        found = with_context(least)
    return (_partly(found, options, memories, experts_first=experts_first) if movable else None) or found


def keeps_target(found: Arrangement, memories: Sequence[int]) -> bool:
    """Whether every GPU keeps free what the engine wants to leave."""
    least: dict[int, int] = {}
    for twin, free in zip(found.twins, memories, strict=True):
        least[twin] = min(free, least.get(twin, free))
    return all(found.used_bytes(device) + _TARGET_BYTES <= free for device, free in least.items())


def _largest(make: Callable[[int], Arrangement], memories: Sequence[int], most: int) -> Arrangement | None:
    """The arrangement of the largest number that fits; None where even 0 does not."""
    best = make(0)
    if not keeps_target(best, memories):
        return None
    low, high = 0, max(most, 0)
    while low < high:
        middle = (low + high + 1) // 2
        tried = make(middle)
        if keeps_target(tried, memories):
            low, best = middle, tried
        else:
            high = middle - 1
    return best


def _partly(found: Arrangement, options: Options, memories: Sequence[int], *, experts_first: bool) -> Arrangement | None:
    """As much as fits, the rest on the host."""
    kinds = found.placement.kinds
    layers = len(kinds.of)

    def with_options(changed: Options) -> Arrangement:
        return rearranged(found, changed, memories)

    if experts_first and any(block is not None for block in kinds.routed):  # as many layers with their experts as fit
        kept = _largest(lambda kept: with_options(replace(options, host_expert_layers=layers - kept)), memories, layers)
        if kept is not None:
            return kept
        options = replace(options, host_expert_layers=ALL_LAYERS)
    return _largest(lambda count: with_options(replace(options, gpu_layers=count)), memories, layers + 1)
