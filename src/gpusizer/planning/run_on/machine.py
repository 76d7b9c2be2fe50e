"""The machines that somebody has: GPUs with their numbers ("l40s:4", "4xl40s"), memory of the host, its bandwidth, a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gpusizer.architecture.types import Notice
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.own_card import given_card
from gpusizer.facts.types import Accelerator
from gpusizer.planning.owned import owned

__all__ = ["MOST_GROUPS", "Group", "Machine", "machine_of"]

MOST_GROUPS = 64
MOST_TOGETHER = 8  # cards of one machine
ROOM = 0.97  # of the memory of a GPU that weights and cache of one request may take at most, before anything else is counted
HOST_ROOM = 0.9  # of the host's memory: the rest is the system's
SERVERS = ("data-centre", "cloud-only", "announced")
AT_HOME = ("gaming", "hobby", "edge", "workstation")


@dataclass(frozen=True)
class Group:
    """GPUs of one kind, or unequal ones in one machine.

    Parameters
    ----------
    accelerator : Accelerator
        The device; of unequal ones the first.
    gpus : int
        How many there are. [GPUs]
    devices : tuple of str
        Ids of all of them where they are unequal.
    """

    accelerator: Accelerator
    gpus: int
    devices: tuple[str, ...] = ()

    @cached_property
    def memory_bytes(self) -> int:
        """Of all of them. [bytes]"""
        if not self.devices:
            return self.gpus * self.accelerator.memory_bytes
        return sum(accelerator(each).memory_bytes for each in self.devices)

    @cached_property
    def at_home(self) -> bool:
        """One card, or unequal ones, of a kind that people have at home."""
        device = self.accelerator
        alone = self.gpus == 1 or device.is_machine or bool(self.devices)
        return device.sold_as in AT_HOME and "HBM" not in (device.memory_type or "") and alone

    @cached_property
    def serves_many(self) -> bool:
        """GPUs of a server, which people do not buy for one user."""
        device = self.accelerator
        return not self.at_home and (device.sold_as in SERVERS or "HBM" in (device.memory_type or ""))

    @cached_property
    def room_bytes(self) -> float:
        """What weights and cache may take of them at most. [bytes]"""
        return self.memory_bytes * ROOM

    @cached_property
    def one_box_bytes(self) -> float:
        """The same of those that stand in one machine: engines that share layers out reach no other. [bytes]"""
        return self.accelerator.memory_bytes * ROOM if self.accelerator.is_machine else self.room_bytes

    @cached_property
    def bandwidth_bytes_per_s(self) -> float:
        """Of all of them together; of unequal ones, that work one after the other, of one. [bytes/s]"""
        if not self.devices:
            return self.gpus * (self.accelerator.bandwidth_bytes_per_s or 0.0)
        return min(accelerator(each).bandwidth_bytes_per_s or 0.0 for each in self.devices)


@dataclass(frozen=True)
class Machine:
    """What somebody has.

    Parameters
    ----------
    groups : tuple of Group
        GPUs, each kind once.
    host_memory_bytes : int or None
        Memory of the host beside them; None where nobody told it. [bytes]
    host_bandwidth_bytes_per_s : float or None
        Of that memory. [bytes/s]
    disk_bytes : int or None
        Room for the files of one model. [bytes]
    notices : tuple of Notice
        What must be said of it.
    """

    groups: tuple[Group, ...]
    host_memory_bytes: int | None = None
    host_bandwidth_bytes_per_s: float | None = None
    disk_bytes: int | None = None
    notices: tuple[Notice, ...] = ()

    def room_bytes(self, group: Group) -> float:
        """What weights and cache may take of GPUs and of the host. [bytes]"""
        host = 0 if group.accelerator.unified_memory else self.host_memory_bytes or 0
        return group.room_bytes + host * HOST_ROOM

    @cached_property
    def choices(self) -> tuple[Group, ...]:
        """The kinds one by one, and cards of several kinds that stand in one machine at home: engines that share layers out take them together.

        The quickest first.
        """
        count = sum(group.gpus for group in self.groups)
        cards = len(self.groups) > 1 and count <= MOST_TOGETHER and not any(_apart(group.accelerator) for group in self.groups)
        if not cards:
            return tuple(sorted(self.groups, key=lambda group: -group.bandwidth_bytes_per_s))
        ordered = sorted(self.groups, key=lambda group: -(group.accelerator.bandwidth_bytes_per_s or 0.0))
        devices = tuple(group.accelerator.id for group in ordered for _ in range(group.gpus))
        return (*ordered, Group(ordered[0].accelerator, count, devices))


def _apart(device: Accelerator) -> bool:
    """Whether it is a machine of its own, or stands in a server with its like."""
    return device.is_machine or device.unified_memory or device.whole_nodes or "HBM" in (device.memory_type or "") or device.sold_as == "data-centre"


def machine_of(
    words: Sequence[str],
    *,
    host_memory_bytes: int | None = None,
    host_bandwidth_bytes_per_s: float | None = None,
    disk_bytes: int | None = None,
    notices: Iterable[Notice] = (),
) -> Machine:
    """Machines as somebody names them, those of one kind together.

    Parameters
    ----------
    words : sequence of str
        Devices with their numbers.
    host_memory_bytes, host_bandwidth_bytes_per_s, disk_bytes, notices
        As in :class:`Machine`.

    Returns
    -------
    Machine
        With devices of the catalogue, or cards that a line describes.

    Examples
    --------
    >>> [(group.accelerator.id, group.gpus) for group in machine_of(["l40s:4", "8 x A100 40GB", "L40S"]).groups]
    [('l40s-48gb', 5), ('a100-sxm-40gb', 8)]
    """
    counts: Counter[str] = Counter()
    for name, count in map(owned, words):
        counts[accelerator(given_card(name)).id] += count
    if not counts or len(counts) > MOST_GROUPS:
        raise FlagError("bad-machine", found=" ".join(words)[:40])
    groups = tuple(Group(accelerator(name), count) for name, count in counts.items())
    return Machine(groups, host_memory_bytes, host_bandwidth_bytes_per_s, disk_bytes, tuple(notices))
