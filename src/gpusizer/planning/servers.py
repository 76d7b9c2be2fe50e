"""Where an option stands: the servers that its accelerator is sold in, how many it takes, and what they need of a machine room."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.facts.servers import Server, servers_of
from gpusizer.formulas.load import gpus_power_w, servers_needed
from gpusizer.planning.types import Option

__all__ = ["Housed", "gpus_power_of", "housed_in"]


@dataclass(frozen=True, slots=True)
class Housed:
    """So many of one server; of a figure that no sheet says all of them together are unknown as well."""

    server: Server
    count: int

    @property
    def rack_units(self) -> int | None:
        """Height of all of them. [U]"""
        return None if self.server.rack_units is None else self.count * self.server.rack_units

    @property
    def maximum_w(self) -> float | None:
        """What all of them take at most. [W]"""
        return None if self.server.maximum_w is None else self.count * self.server.maximum_w

    @property
    def ports(self) -> int | None:
        """Ports for the compute fabric of all of them."""
        return None if self.server.ports is None else self.count * self.server.ports


def housed_in(option: Option) -> tuple[Housed, ...]:
    """The servers that an option can be bought in, the usual one first; none where none is known, or nothing is to buy.

    Parameters
    ----------
    option : Option
        A deployment; what must be ordered is counted, not only what works.
    """
    order = option.gpus_to_order
    if option.is_there:
        return ()
    return tuple(Housed(each, int(servers_needed(gpus=order, devices_per_node=each.gpus))) for each in servers_of(option.accelerator.id))


def gpus_power_of(option: Option) -> float | None:
    """Power of the GPUs that work, at their limit; None where no sheet says it. [W]"""
    limit = option.accelerator.tdp_w
    return None if limit is None else float(gpus_power_w(gpus=option.gpus, tdp_w=limit))
