"""What a plan puts beside the model of a workbook: memory of the GPUs that are shared, GPUs of other models, replicas in reserve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device_table import WIDEST
from gpusizer.facts.types import Accelerator
from gpusizer.planning.companions import SHARED, Stack, companions_on
from gpusizer.planning.types import Plan
from gpusizer.rendering.workbook.tables.gather import Reserve

__all__ = ["beside"]


def beside(plan: Plan, engine: str, devices: Sequence[Accelerator]) -> tuple[Reserve, dict[str, Any]]:
    """GPUs beside the replicas of the load, and the setting that says what of the shared GPUs is taken.

    Where other models lie is decided by the plan for its options; on other devices they share.

    Parameters
    ----------
    plan : Plan
        The answer.
    engine : str
        Who serves the model of the workbook.
    devices : sequence of Accelerator
        The devices to choose from.
    """
    if not plan.request.with_models:
        return Reserve(plan.request.spare), {}
    placed = {option.accelerator.id: option.companions for option in reversed(plan.options)}
    own: dict[str, int] = {}
    held: dict[str, tuple[int, ...]] = {}
    for device in devices:
        known = placed.get(device.id)
        found = companions_on(device, plan.request.with_models, engine) if known is None else tuple(each.companion for each in known)
        if isinstance(found, Notice):
            held[device.id] = (device.memory_bytes,) * WIDEST  # nothing is left where one of them does not run
            continue
        stack = Stack(found, SHARED if not known else known[0].placed)
        own[device.id] = stack.own_gpus
        held[device.id] = tuple(stack.beside_bytes(gpus) for gpus in range(1, WIDEST + 1))
    settings: Mapping[str, Any] = {"beside_bytes": held} if any(map(any, held.values())) else {}
    return Reserve(plan.request.spare, own if any(own.values()) else {}), dict(settings)
