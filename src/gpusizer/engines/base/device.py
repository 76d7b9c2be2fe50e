"""What a process sees of a device: the driver's tool reports more than ``cudaMemGetInfo`` gives."""

from __future__ import annotations

from functools import lru_cache

from gpusizer.engines.base.band import Basis, Limits, Spread
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Deployment, Evidence, Inputs, Item, Section
from gpusizer.facts.other_memory import bytes_beside, usual_other_memory
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import driver_reserved_bytes, invisible_bytes, other_memory_bytes
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.units import MiB

__all__ = ["OF_THE_DEVICE", "driver_reserved", "models_beside", "system_memory", "visible_bytes"]

OF_THE_DEVICE = frozenset({"driver_reserved", "system_memory", "models_beside"})
"""Lines that a device has once, however many processes use it."""

# n = 9 NVIDIA cards from 15 to 183 GiB whose two totals are known; error 90 MiB (0.1 % of a large card). Fitted 2026-11-25.
_FIXED_BYTES = 420 * MiB
_SHARE = 0.0017
_SPREAD = Spread(0.2, 0.3)
_BASIS = Basis("base.driver_reserved", 9, 15, 183, "GiB of card")


@lru_cache(maxsize=1024)
def visible_bytes(accelerator: Accelerator) -> int:
    """What a process sees of a device: the reading where one is known, else the driver's total less what it keeps.

    Parameters
    ----------
    accelerator : Accelerator
        The device.

    Returns
    -------
    int
        Bytes. [bytes]
    """
    if accelerator.torch_total_bytes is not None:
        return min(accelerator.torch_total_bytes, accelerator.memory_bytes)
    if accelerator.vendor != "NVIDIA" or accelerator.unified_memory:
        return accelerator.memory_bytes
    kept = driver_reserved_bytes(fixed_bytes=_FIXED_BYTES, share=_SHARE, device_total_bytes=accelerator.memory_bytes)
    return max(accelerator.memory_bytes - int(kept), 0)


def driver_reserved(accelerator: Accelerator) -> list[Item]:
    """The line of the ledger for what the driver keeps; empty where it keeps nothing."""
    kept = accelerator.memory_bytes - visible_bytes(accelerator)
    if not kept:
        return []
    if accelerator.torch_total_bytes is not None:
        sizes: Inputs = {"device_total_bytes": accelerator.memory_bytes, "visible_bytes": visible_bytes(accelerator)}
        return [computed("driver_reserved", invisible_bytes, section=Section.OUTSIDE, evidence=Evidence.MEASURED, **sizes)]
    inputs: Inputs = {"fixed_bytes": _FIXED_BYTES, "share": _SHARE, "device_total_bytes": accelerator.memory_bytes}
    return [computed("driver_reserved", driver_reserved_bytes, section=Section.OUTSIDE, band=_SPREAD, sources=(_BASIS.source,), **inputs)]


def system_memory(accelerator: Accelerator, deployment: Deployment) -> list[Item]:
    """The line for what the system and other programs hold of memory that a GPU shares with its machine; empty where it shares none.

    What the operator said has no band; without it the facts say what is usual.
    """
    if not accelerator.unified_memory:
        return []
    beside, said = bytes_beside(accelerator), deployment.other_memory_bytes
    if said is not None:
        line = computed("system_memory", other_memory_bytes, section=Section.OUTSIDE, held_bytes=said, beside_bytes=beside)
        return [line] if line.bytes else []
    usual = usual_other_memory()
    held = round(usual.fixed_bytes + usual.share * accelerator.memory_bytes)
    ends = (other_memory_bytes(held_bytes=held * share, beside_bytes=beside) for share in (1 - usual.below, 1 + usual.above))
    sizes: Inputs = {"held_bytes": held, "beside_bytes": beside}
    line = computed(
        "system_memory",
        other_memory_bytes,
        section=Section.OUTSIDE,
        band=Limits(*ends),
        evidence=Evidence.ASSUMED,
        sources=usual.sources,
        **sizes,
    )
    return [line] if line.high_bytes else []


def models_beside(deployment: Deployment) -> list[Item]:
    """The line for other models on the same GPU, on the safe side of what they hold; empty where there are none."""
    if not deployment.beside_bytes:
        return []
    size: Inputs = {"beside_bytes": deployment.beside_bytes}
    return [computed("models_beside", sum_bytes, section=Section.OUTSIDE, evidence=Evidence.CALIBRATED, **size)]
