"""What must be said of a start on a device that shares its memory with the system."""

from __future__ import annotations

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.launch import Start
from gpusizer.engines.vllm.account import free_at_start
from gpusizer.engines.vllm.device_record import device_record
from gpusizer.formulas.core import floor_div

__all__ = ["shared_memory"]


def shared_memory(start: Start) -> tuple[Notice, ...]:
    """What is counted for the system and other programs, and the share of the card that starts where they hold as much as the band says.

    Parameters
    ----------
    start : Start
        A start; on a device of its own memory there is nothing to say.

    Returns
    -------
    tuple of Notice
        "shared-memory", or "shared-memory-said" where the operator told what others hold.
    """
    device = start.lasting(device_record)
    line = next((each for each in device.outside if each.id == "system_memory"), None)
    if line is None:
        return ()
    found = {"gpu": start.accelerator.id, "held_bytes": line.bytes}
    if start.deployment.other_memory_bytes is not None:
        return (Notice("shared-memory-said", found),)
    free = free_at_start(device) - (line.high_bytes - line.bytes)
    share = max(floor_div(100 * free, device.visible_bytes) / 100, 0)
    return (Notice("shared-memory", {**found, "high_bytes": line.high_bytes, "share": share}),)
