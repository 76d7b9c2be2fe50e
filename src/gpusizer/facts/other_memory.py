"""What others hold of a machine whose memory its GPU shares, from ``data/other_memory.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["OtherMemory", "bytes_beside", "usual_other_memory"]


@dataclass(frozen=True, slots=True)
class OtherMemory:
    """Memory that a system and its programs hold: a fixed part and a share of the machine, with its band as shares; the largest machine measured."""

    fixed_bytes: int
    share: float
    below: float
    above: float
    largest_bytes: int
    sources: tuple[str, ...]


@cache
def usual_other_memory() -> OtherMemory:
    """What is held where nobody says it.

    >>> round((usual_other_memory().fixed_bytes + usual_other_memory().share * 121.6 * GiB) / GiB, 1)
    10.1
    """
    with (Path(__file__).parent / "data" / "other_memory.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return OtherMemory(
        round(table["fixed_gib"] * GiB), table["share"], table["below"], table["above"], round(table["largest_gib"] * GiB), tuple(table["sources"])
    )


def bytes_beside(accelerator: Accelerator) -> int:
    """Memory of the machine that its GPU cannot have, so that others may lie there: what a Mac or a Ryzen keeps for the system. [bytes]

    NVIDIA's drivers report all that the firmware leaves, so that nothing lies beside.
    """
    if not accelerator.unified_memory or accelerator.vendor == "NVIDIA":
        return 0
    return max(round(accelerator.marketing_memory_gb * GiB) - accelerator.memory_bytes, 0)
