"""The smallest stack on each accelerator: the language model with the models beside it, on its GPUs or on GPUs of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpusizer.architecture.types import Notice
from gpusizer.facts.types import Accelerator
from gpusizer.planning.companions import OWN, SHARED, Stack, companions_on
from gpusizer.planning.search import search
from gpusizer.planning.types import Found, Option, Rejected
from gpusizer.planning.wanted import Search

__all__ = ["candidates", "fewer", "stack_on", "with_stack"]


def candidates(wanted: Search, devices: Sequence[Accelerator]) -> Sequence[Found]:
    """On each accelerator the smallest deployment that holds the load (and keeps the targets, where there are some), or why there is none.

    Other models lie on the GPUs of the first replica, or on GPUs of their own where that takes fewer in all or the others have no room.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model.
    devices : sequence of Accelerator
        The accelerators to consider.

    Returns
    -------
    sequence of Found
        One for each accelerator, in their order.
    """
    if not wanted.request.with_models:
        return _alone(wanted, devices)
    sized = {device.id: stack_on(wanted, device) for device in devices}
    stacks = {id: found for id, found in sized.items() if isinstance(found, Stack)}
    runs = [device for device in devices if device.id in stacks]
    together = _alone(replace(wanted, stacks=stacks), runs)
    apart = _alone(replace(wanted, stacks={id: replace(each, placed=OWN) for id, each in stacks.items()}), runs)
    found = dict(zip(stacks, map(fewer, together, apart), strict=True))
    refused = {id: reason for id, reason in sized.items() if isinstance(reason, Notice)}
    return [found[device.id] if device.id in found else Found(None, Rejected(device, None, refused[device.id])) for device in devices]


def stack_on(wanted: Search, device: Accelerator) -> Stack | Notice:
    """The other models on the GPUs of a replica, or why one of them will not run on this device."""
    found = companions_on(device, wanted.request.with_models, wanted.engine.id)
    return found if isinstance(found, Notice) else Stack(found, SHARED)


def with_stack(wanted: Search, option: Option) -> Search:
    """The same search on the device of an option with the models beside it where they lie in it."""
    placed = option.companions
    stack = {option.accelerator.id: Stack(tuple(each.companion for each in placed), placed[0].placed)} if placed else {}
    return replace(wanted, stacks=stack)


def fewer(first: Found, second: Found) -> Found:
    """What takes fewer GPUs; the second only where it saves some, or nothing else holds the load."""
    if second.option is None or (first.option is not None and first.option.gpus <= second.option.gpus):
        return first
    return second


def _alone(wanted: Search, devices: Sequence[Accelerator]) -> Sequence[Found]:
    """The smallest deployments with other models in one place."""
    if wanted.request.has_targets:
        from gpusizer.planning.targets import search_targets  # here: most plans have none

        return search_targets(wanted, devices)
    return [search(wanted, device) for device in devices]
