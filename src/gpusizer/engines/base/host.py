"""Memory of the host of a start: what its system holds of it, and whether what an engine leaves there has room."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.ledger import computed, total_bytes
from gpusizer.engines.base.types import Evidence, Item, Section
from gpusizer.facts.other_memory import usual_other_memory
from gpusizer.formulas.memory.budget import other_memory_bytes

__all__ = ["host_refusal", "system_lines"]


def system_lines(start: Start) -> list[Item]:
    """The line for what the system and other programs hold of the host's memory; empty where nobody told how much there is.

    A GPU that shares the memory of its machine has this line in its own ledger.
    """
    memory = start.deployment.host_memory_bytes
    if memory is None or start.accelerator.unified_memory:
        return []
    usual = usual_other_memory()
    held = round(usual.fixed_bytes + usual.share * min(memory, usual.largest_bytes))
    ends = Limits(held * (1 - usual.below), held * (1 + usual.above))
    line = computed(
        "host_system",
        other_memory_bytes,
        section=Section.OUTSIDE,
        band=ends,
        evidence=Evidence.ASSUMED,
        sources=usual.sources,
        held_bytes=held,
        beside_bytes=0,
    )
    return [line]


def host_refusal(start: Start, lines: Sequence[Item], code: str) -> Notice | None:
    """Why the memory of the host does not do, None where it does or nobody told how much there is.

    Parameters
    ----------
    start : Start
        The start.
    lines : sequence of Item
        All that lies in the memory of the host.
    code : str
        What the engine makes of it: words under ``reason``.

    Returns
    -------
    Notice or None
        The code with what is needed, there and missing.
    """
    memory, needed = start.deployment.host_memory_bytes, total_bytes(lines)
    if memory is None or start.accelerator.unified_memory or needed <= memory:
        return None
    return Notice(code, {"needed_bytes": needed, "memory_bytes": memory, "missing_bytes": needed - memory})
