"""Flags that put on the host what GPUs do not hold: routed experts of as few layers as will do, else all experts and as few layers as will do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from gpusizer.engines.base.search import largest
from gpusizer.engines.base.weights import ROUTED
from gpusizer.engines.llama_cpp.arrangement import Arrangement, rearranged
from gpusizer.engines.llama_cpp.options import (
    EXPERTS_OF_LAYERS_FROM,
    FORK_EXPERTS_OF_LAYERS_FROM,
    FORK_OVERRIDES_FROM,
    OVERRIDES_FROM,
    Options,
)
from gpusizer.engines.llama_cpp.placement import HOST

__all__ = ["fewest_on_host", "is_placed", "placing_flags"]

_PLACED_BY = ("n_cpu_moe", "cpu_moe", "override_tensor", "device")
_HALVINGS = 40  # of the room of GPUs, far below the size of a layer


def is_placed(flags: Mapping[str, Any], options: Options, layers: int) -> bool:
    """Whether the operator placed weights; "all layers on the GPUs" is what people type before they know better.

    Parameters
    ----------
    flags : mapping of str to object
        Of the start.
    options : Options
        The same, read.
    layers : int
        Decoder layers. [layers]

    Returns
    -------
    bool
        Then nothing is chosen.
    """
    return options.gpu_layers <= layers or any(name in flags for name in _PLACED_BY)


def fewest_on_host(found: Arrangement, free: Sequence[int], room: Callable[[Arrangement], float]) -> Arrangement | None:
    """The arrangement with as little on the host as will do.

    Parameters
    ----------
    found : Arrangement
        Everything on GPUs.
    free : sequence of int
        Free memory of each GPU. [bytes]
    room : callable
        What the tightest GPU of an arrangement has left on the safe side, negative where that is too little. [bytes]

    Returns
    -------
    Arrangement or None
        None where not even a start with every layer on the host has room on its GPUs.
    """
    kinds, options = found.placement.kinds, found.options
    layers = len(kinds.of)
    if any(block is not None for block in kinds.routed) and options.build >= (FORK_OVERRIDES_FROM if options.fork else OVERRIDES_FROM):

        def experts(kept: int) -> Arrangement:
            return _balanced(rearranged(found, replace(options, host_expert_layers=layers - kept), free), free)

        kept = largest(lambda kept: room(experts(kept)), layers)
        if kept or room(experts(0)) >= 0:
            return _fewer(experts(kept), found, free, room)
        options = replace(options, host_expert_layers=layers)

    def whole(count: int) -> Arrangement:
        return rearranged(found, replace(options, gpu_layers=count), free)

    count = largest(lambda count: room(whole(count)), layers)
    return whole(count) if count or room(whole(0)) >= 0 else None


def _fewer(chosen: Arrangement, found: Arrangement, free: Sequence[int], room: Callable[[Arrangement], float]) -> Arrangement:
    """Experts of fewer layers on the host, as far as the same share of layers has room for them: layers are whole, so a share may suit several."""
    while chosen.options.host_expert_layers and len(free) > 1:
        options = replace(chosen.options, host_expert_layers=chosen.options.host_expert_layers - 1)
        tried = rearranged(found, options, free)
        if room(tried) < 0:
            break
        chosen = tried
    return chosen


def placing_flags(chosen: Arrangement, before: Options) -> Mapping[str, Any]:
    """What an operator types for an arrangement, in the words of the build.

    Parameters
    ----------
    chosen : Arrangement
        Where everything lies.
    before : Options
        The start before anything was chosen.

    Returns
    -------
    mapping of str to object
        Flags by their names.
    """
    options = chosen.options
    flags: dict[str, Any] = {}
    count = options.host_expert_layers
    if count and options.build >= (FORK_EXPERTS_OF_LAYERS_FROM if options.fork else EXPERTS_OF_LAYERS_FROM):
        flags["n_cpu_moe"] = count
    elif count:
        named = "|".join(map(str, range(count)))
        everywhere = count == len(chosen.placement.layer)
        flags["override_tensor"] = ("exps=CPU",) if everywhere else (rf"blk\.({named})\.ffn_(up|down|gate)_exps=CPU",)
    if options.shares != before.shares:
        flags["tensor_split"] = ",".join(str(round(share)) for share in options.shares)
    if options.gpu_layers != before.gpu_layers:
        flags["n_gpu_layers"] = options.gpu_layers
    return flags


def _balanced(found: Arrangement, free: Sequence[int]) -> Arrangement:
    """Layers shared out so that the GPU with the least room has the most; as they are on one GPU, or where something else decides.

    The first layers lose their experts, so that a GPU takes many of them.
    """
    options = found.options
    if len(free) < 2 or options.shares or options.by_rows or (options.spreads_experts and options.host_expert_layers):
        return found
    sizes = _layer_bytes(found)
    fixed = [found.used_bytes(number) for number in range(len(free))]
    for size, device in zip(sizes, found.placement.layer, strict=True):
        fixed[device] -= size
    limits = [available - used for available, used in zip(free, fixed, strict=True)]
    ends = list(accumulate(sizes, initial=0))
    low, high = -float(ends[-1]), float(max(limits))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _filled(ends, limits, middle)[-1] == len(sizes) else (low, middle)
    bounds = [*_filled(ends, limits, low)[:-1], len(sizes)]
    counts = [after - before for before, after in zip((0, *bounds), bounds, strict=False)]
    counts[-1] += 1  # the output
    return rearranged(found, replace(options, shares=tuple(map(float, counts))), free)


def _filled(ends: Sequence[int], limits: Sequence[float], spared: float) -> list[int]:
    """One after another each GPU takes layers until so much of it is left, at least one and no more than leave one to each GPU behind it."""
    layers, bounds, taken = len(ends) - 1, [], 0
    for number, limit in enumerate(limits):
        full = bisect_right(ends, ends[taken] + limit - spared) - 1
        taken = min(max(full, taken + 1), layers - (len(limits) - 1 - number))
        bounds.append(taken)
    return bounds


def _layer_bytes(found: Arrangement) -> list[int]:
    """What each layer takes of its GPU: weights without experts that lie elsewhere, and its cache. [bytes]"""
    kinds, buffers = found.placement.kinds, found.step.buffers
    cached = [0 if found.options.host_cache else buffer.kv_bytes + buffer.state_bytes for buffer in buffers]
    whole = [sum(groups.values()) for groups in kinds.weights]
    routed = [groups.get(ROUTED, 0) for groups in kinds.weights]
    places = zip(kinds.of, found.placement.experts, strict=True)
    return [whole[kind] - (routed[kind] if experts == HOST else 0) + cached[kind] for kind, experts in places]
