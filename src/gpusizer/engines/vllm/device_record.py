"""What the account reads of a device: lines outside the budget, growth beside the allocator, the share of the rest that becomes cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.device import driver_reserved, models_beside, system_memory, visible_bytes
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.ledger import banded, computed
from gpusizer.engines.base.types import Inputs, Item, Layout, Section
from gpusizer.engines.vllm import constants as fitted
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.units import MiB

__all__ = ["JOINED_EARLY", "DeviceRecord", "device_record", "growth_kind", "pool_share"]

# First versions of a behaviour.
LATER_COMMUNICATORS = (0, 18)  # communicators are made before the baseline
SNAPSHOT_ON_NPU = (0, 15)  # vllm-ascend: growth is taken from a first look; before, all that is used counts (vllm_ascend/worker/worker_v1.py)
HALVED_POOL = (0, 18)  # vllm-ascend on a 310P


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What of a device does not depend on the model, but on whether and how ranks are joined."""

    memory_bytes: Any
    visible_bytes: Any
    outside: tuple[Item, ...]  # lines that exist before the baseline, what the driver keeps, and what others hold of shared memory
    growth_bytes: Any
    growth_below_bytes: Any
    growth_above_bytes: Any
    growth_sources: tuple[str, ...]
    pool_share: Any  # of what is left that becomes cache
    image_copies: Any  # of profiled images that lie in memory which counts as the device's; 0 where the host has its own


def device_record(start: Start) -> DeviceRecord:
    """Collect what the account reads of a device."""
    accelerator, layout, kind = start.accelerator, start.layout, growth_kind(start)
    grown, ranks = fitted.GROWTH[kind], layout.tp if kind.endswith(JOINED_EARLY) else 1
    context = banded("device_context", fitted.CONTEXT[_context_kind(start)], section=Section.OUTSIDE)
    return DeviceRecord(
        memory_bytes=accelerator.memory_bytes,
        visible_bytes=visible_bytes(accelerator),
        outside=(
            *driver_reserved(accelerator),
            context,
            *_communication(accelerator, layout, kind),
            *system_memory(accelerator, start.deployment),
            *models_beside(start.deployment),
        ),
        growth_bytes=ranks * grown.bytes + _collective_buffers(start),
        growth_below_bytes=ranks * grown.below,
        growth_above_bytes=ranks * grown.above,
        growth_sources=grown.sources,
        pool_share=pool_share(start),
        image_copies=fitted.HOST_IMAGE_COPIES if kind == "unified" else 0.0,
    )


JOINED_EARLY = ("switched-before-0.18", "linked-before-0.18")  # kinds of growth that are counted for each rank


def pool_share(start: Start) -> float:
    """What part of the memory that is left becomes cache: half on a 310P, whose operators need workspaces.

    vllm-project/vllm-ascend@v0.18.0: vllm_ascend/_310p/worker_310p.py, determine_available_memory.
    """
    return 0.5 if "310" in start.accelerator.id and start.accelerator.vendor == "Huawei" and start.version >= HALVED_POOL else 1.0


def _collective_buffers(start: Start) -> float:
    """Buffers of HCCL for the communicators of joined NPUs, which are made after the first look at the memory. [bytes]"""
    layout = start.layout
    if start.accelerator.vendor != "Huawei" or layout.gpus == 1:
        return 0.0
    groups = fitted.HCCL_GROUPS + (1 if layout.ep > 1 else 0)
    return float(groups * fitted.HCCL_BUFFERS * start.whole("hccl_buffsize", fitted.HCCL_BUFFER_MIB) * MiB)


def _context_kind(start: Start) -> str:
    """Which of the fitted contexts applies."""
    if start.accelerator.vendor == "Huawei":
        return "ascend-before-0.15" if start.version < SNAPSHOT_ON_NPU else "ascend"
    return "rocm" if start.accelerator.vendor == "AMD" else "cuda"


def _switched(accelerator: Accelerator) -> bool:
    """Ranks are joined by switches: every pair at full speed."""
    return (accelerator.fabric_devices or 0) >= 8


def growth_kind(start: Start) -> str:
    """Which of the fitted growths applies: by memory, vendor, version, and whether ranks are joined by switches."""
    accelerator, layout = start.accelerator, start.layout
    early = "-before-0.18" if start.version < LATER_COMMUNICATORS else ""
    if accelerator.vendor == "Huawei":
        return _context_kind(start)
    if accelerator.vendor == "AMD":  # what is free is asked of the driver, even where memory is shared
        linked = "rocm-linked" if _switched(accelerator) else "rocm"
        return linked + early if linked == "rocm-linked" and layout.tp > 1 else linked
    if accelerator.unified_memory:
        return "unified"
    if layout.tp > 1:
        if _switched(accelerator):
            return "switched" + early
        return "unswitched-blackwell" if start.capability >= 12 else "unswitched"
    return "pipeline" if layout.pp > 1 else "alone" + early


def _communication(accelerator: Accelerator, layout: Layout, kind: str) -> list[Item]:
    """Communicators that exist before the baseline: of all ranks, and a second group where experts are shared out."""
    if layout.gpus == 1 or accelerator.vendor == "Huawei" or kind.endswith(JOINED_EARLY):
        return []  # NPUs make theirs after the first look at the memory, as others did before 0.18
    first = fitted.COMMUNICATION["rocm" if accelerator.vendor == "AMD" else "switched" if _switched(accelerator) else "unswitched"]
    groups = {"ranks_bytes": first} | ({"experts_bytes": fitted.EXPERT_COMMUNICATION} if layout.ep > 1 else {})
    size = sum(group.bytes for group in groups.values())
    ends = Limits(size - sum(group.below for group in groups.values()), size + sum(group.above for group in groups.values()))
    sources = tuple(source for group in groups.values() for source in group.sources)
    sizes: Inputs = {name: group.bytes for name, group in groups.items()}
    return [computed("communication", sum_bytes, section=Section.OUTSIDE, band=ends, sources=sources, **sizes)]
