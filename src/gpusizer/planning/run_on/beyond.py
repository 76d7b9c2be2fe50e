"""Models that do not run: what they lack, and what would make them run, tried with the same arithmetic before it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from gpusizer.architecture.types import Notice
from gpusizer.planning.need import Need
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.shortlist import Candidate, smallest_bytes, trials
from gpusizer.planning.run_on.starts import started
from gpusizer.planning.run_on.types import Start
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.types import FITS

__all__ = ["lacking", "remedies"]

MOST_GPUS = 64
TRIED = 3  # precisions of each size


def lacking(candidate: Candidate, machine: Machine, engines: Sequence[str]) -> Notice:
    """That not even the smallest precision that is worth a start finds room."""
    smallest = smallest_bytes(candidate, machine, engines)
    memory = max(group.count * group.accelerator.memory_bytes for group in machine.groups)
    return Notice("larger-than-machine", {"weights_bytes": smallest, "memory_bytes": memory + (machine.host_memory_bytes or 0)})


def remedies(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str]) -> tuple[Notice, ...]:
    """More GPUs of the kind that has most memory together.

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

    Returns
    -------
    tuple of Notice
        Words under "remedy"; empty where nothing of a usual size helps.
    """
    device, count = max(machine.groups, key=lambda group: group.count * group.accelerator.memory_bytes)
    for more in replica_sizes(device, MOST_GPUS):
        if more <= count:
            continue
        wider = replace(machine, groups=(Group(device, more),), host_memory_bytes=None)
        for trial in islice(trials(candidate, wider, need, engines), TRIED):
            found = started(trial, candidate.model, need, wider)
            if isinstance(found, Start) and found.verdict == FITS:
                said = {"gpus": found.gpus, "gpu": device.id, "precision": trial.precision, "engine": trial.engine}
                return (Notice("have-gpus", said),)
    return ()
