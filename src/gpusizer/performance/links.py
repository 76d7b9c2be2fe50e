"""How fast devices of one replica reach each other: the fast interconnect, PCIe, or the network between servers."""

from __future__ import annotations

from gpusizer.facts.hosts import slots
from gpusizer.facts.types import Accelerator
from gpusizer.performance.constants import Constants

__all__ = ["crosses_servers", "host_link_bytes_per_s", "link_bytes_per_s", "network_bytes_per_s"]

_SHARED_ROOT_BEFORE = 5  # from this generation of PCIe on servers have switches or roots enough
_NEWEST = 6
_OLDEST_KNOWN = 4  # generation of a slot that nobody states


def network_bytes_per_s(constants: Constants) -> float:
    """What one port of the network between servers carries. [bytes/s]"""
    return constants.of("network_bytes_per_s", "port")


def host_link_bytes_per_s(accelerator: Accelerator, host_generation: int | None = None) -> float:
    """What copies from pinned memory of the host reach, where sixteen lanes lead there; the memory's own bandwidth where both share it. [bytes/s]

    >>> from gpusizer.facts.catalog import accelerator
    >>> round(host_link_bytes_per_s(accelerator("rtx4090-24gb")) / 1e9, 1), round(host_link_bytes_per_s(accelerator("h100-sxm-80gb")) / 1e9, 1)
    (25.6, 56.0)
    """
    if accelerator.unified_memory:
        return float(accelerator.bandwidth_bytes_per_s or 0.0)
    generation = min(accelerator.pcie_generation or _OLDEST_KNOWN, host_generation or _NEWEST)
    known = {slot.generation: slot for slot in slots()}
    slot = known[min(max(generation, min(known)), max(known))]
    low, high = slot.measured_bytes_per_s
    return float((low + high) / 2 * 2.0 ** (generation - slot.generation))  # each generation doubles the one before


def crosses_servers(accelerator: Accelerator, ranks: int) -> bool:
    """Whether so many ranks need the network: more than a server has, and no fast interconnect beyond it."""
    return ranks > accelerator.node_size and accelerator.domain_devices is None


def link_bytes_per_s(accelerator: Accelerator, ranks: int, constants: Constants) -> float:
    """Bus bandwidth of a collective of so many ranks. [bytes/s]

    Parameters
    ----------
    accelerator : Accelerator
        The device.
    ranks : int
        Devices that take part. [ranks]
    constants : Constants
        Shares of a link that collectives reach.

    Returns
    -------
    float
        One way. [bytes/s]
    """
    both, bridge = accelerator.interconnect_bytes_per_s, accelerator.bridge_devices
    if both and not (bridge is not None and ranks > bridge):
        within = both / 2 * constants.of("bus_share", "nvlink" if accelerator.vendor == "NVIDIA" else "link")
        return min(within, network_bytes_per_s(constants)) if crosses_servers(accelerator, ranks) else within
    slot = accelerator.pcie_generation or _OLDEST_KNOWN
    one_way = constants.of("pcie_bytes_per_s", "x16_gen4") * 2.0 ** (slot - _OLDEST_KNOWN)
    if slot < _SHARED_ROOT_BEFORE:
        shared = float((2 / max(ranks, 2)) ** constants.of("pcie_sharing", "exponent"))
        return one_way * constants.of("pcie_share", "two") * shared
    return one_way * constants.of("pcie_share", "two" if ranks <= 2 else "many")
