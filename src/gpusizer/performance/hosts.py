"""The host of a start: what was told of its memory, and what is taken where nothing was."""

from __future__ import annotations

from typing import NamedTuple

from gpusizer.engines.base.types import Deployment
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.types import Host

__all__ = ["HostBandwidth", "host_bandwidth_of", "host_of"]


class HostBandwidth(NamedTuple):
    """How fast the memory of a host is taken to be.

    Parameters
    ----------
    bytes_per_s : float
        Of the whole machine. [bytes/s]
    origin : str
        "told", "assumed": that of a usual desktop, or "link": what a GPU reads it at.
    """

    bytes_per_s: float
    origin: str


def host_bandwidth_of(deployment: Deployment) -> HostBandwidth:
    """The bandwidth that speeds of a start stand on.

    >>> host_bandwidth_of(Deployment("m", "g", host_bandwidth_bytes_per_s=90e9)).origin, host_bandwidth_of(Deployment("m", "g"))
    ('told', HostBandwidth(bytes_per_s=76800000000.0, origin='assumed'))
    """
    if deployment.host_bandwidth_bytes_per_s is not None:
        return HostBandwidth(deployment.host_bandwidth_bytes_per_s, "told")
    return HostBandwidth(speed_constants().of("host_bytes_per_s", "unknown"), "assumed")


def host_of(deployment: Deployment) -> Host:
    """The host as far as it was told; KTransformers' kernels put a part of the weights beside each processor."""
    return Host(
        memory_bytes=deployment.host_memory_bytes,
        sockets=deployment.host_sockets,
        bandwidth_bytes_per_s=deployment.host_bandwidth_bytes_per_s,
        weights_spread=any(name.startswith("kt_") for name in deployment.flags),
    )
