"""Models that do not run: what they lack, and what would make them run, tried with the same arithmetic before it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from gpusizer.architecture.types import Notice
from gpusizer.facts.service_floor import usual_floor
from gpusizer.planning.need import Need
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.request import RunOnRequest
from gpusizer.planning.run_on.shortlist import Candidate, request_bytes, smallest_bytes, trials
from gpusizer.planning.run_on.starts import started
from gpusizer.planning.run_on.types import Start
from gpusizer.planning.service import below_floor
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.standing import MOST_SERVERS, joins_servers
from gpusizer.planning.types import FITS
from gpusizer.units import GB

__all__ = ["lacking", "remedies"]

TRIED, SIZES_TRIED = 2, 2  # precisions of each size, sizes of those that hold a model at all
FEW_GPUS = 2
HOST_SIZES = tuple(size * GB for size in (64, 96, 128, 192, 256, 384, 512, 768, 1024))
"""Memory that people put into one machine. [bytes]"""


def lacking(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str]) -> Notice:
    """That not even the smallest precision that is worth a start finds room, on the disk or in memory."""
    smallest = smallest_bytes(candidate, machine, engines)
    if machine.disk_bytes is not None and smallest > machine.disk_bytes:
        return Notice("larger-than-disk", {"weights_bytes": smallest, "disk_bytes": machine.disk_bytes})
    memory = max(machine.room_bytes(group) for group in machine.choices)
    return Notice("larger-than-machine", {"weights_bytes": smallest, "cache_bytes": request_bytes(candidate, need), "memory_bytes": round(memory)})


def remedies(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str], request: RunOnRequest) -> tuple[Notice, ...]:
    """More memory of the host, and more GPUs of the kind that has most memory together.

    Parameters
    ----------
    candidate : Candidate
        A model that does not run.
    machine : Machine
        What there is.
    need : Need
        The load.
    engines : sequence of str
        Engines that may be chosen from.
    request : RunOnRequest
        What stands beside each model, and the slowest answer that is wanted.

    Returns
    -------
    tuple of Notice
        Words under "remedy"; empty where nothing of a usual size helps.
    """
    found = (_more_host(candidate, machine, need, engines, request), _more_gpus(candidate, machine, need, engines, request))
    return tuple(each for each in found if each is not None)


def _more_gpus(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str], request: RunOnRequest) -> Notice | None:
    largest = max(machine.groups, key=lambda group: group.memory_bytes)
    device, count = largest.accelerator, largest.gpus
    for more in replica_sizes(device, (MOST_SERVERS if joins_servers(device) else 1) * device.node_size):
        if more > count:
            wider = replace(machine, groups=(Group(device, more),), host_memory_bytes=None)
            found = _first(candidate, wider, need, engines, request)
            if found is not None and found.verdict == FITS:
                launch = found.launch
                return Notice("have-gpus", {"gpus": found.gpus, "gpu": device.id, "precision": launch.precision, "engine": launch.engine})
    return None


def _more_host(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str], request: RunOnRequest) -> Notice | None:
    """Host memory for the experts of a model, beside one or two GPUs that have memory of their own."""
    group = max(machine.groups, key=lambda group: group.memory_bytes)
    if group.accelerator.unified_memory or group.gpus > FEW_GPUS or not candidate.sizes.expert_share:
        return None
    larger = (replace(machine, host_memory_bytes=size) for size in HOST_SIZES if size > (machine.host_memory_bytes or 0))
    for wider in islice((each for each in larger if trials(candidate, each, need, engines)), SIZES_TRIED):
        if (size := wider.host_memory_bytes) is not None:
            found = _first(candidate, wider, need, engines, request)
            if found is not None and not below_floor(usual_floor(), found.performance):
                return Notice("have-host", {"host_bytes": size, "precision": found.launch.precision, "engine": found.launch.engine})
    return None


def _first(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str], request: RunOnRequest) -> Start | None:
    ways = (started(trial, candidate.model, need, machine, request.with_models) for trial in islice(trials(candidate, machine, need, engines), TRIED))
    return next((each for each in ways if isinstance(each, Start) and each.tokens_per_s >= (request.min_speed or 0)), None)
