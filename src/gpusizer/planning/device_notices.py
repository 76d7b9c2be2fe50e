"""What must be said of a device itself: which one a name was taken for, that it is the user's own, and what of its facts nobody checked."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError
from gpusizer.facts.accelerator_names import alike
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import peak_flops_per_s

__all__ = ["device_notices"]


def device_notices(device: Accelerator, names: Sequence[str], gpus: int) -> tuple[Notice, ...]:
    """What must be said of a device.

    Parameters
    ----------
    device : Accelerator
        The device of an answer.
    names : sequence of str
        What was written for devices; empty where none was named.
    gpus : int
        GPUs of the answer: of one alone nobody asks for servers and links. [GPUs]

    Returns
    -------
    tuple of Notice
        "own-card", "gpu-name-taken" and "facts-from-memory", each where it applies.

    Examples
    --------
    >>> device = accelerator("H100")
    >>> [notice.code for notice in device_notices(device, ("H100",), 8)], device_notices(device, ("H100 SXM",), 8)
    (['gpu-name-taken'], ())
    """
    if device.own:
        return (Notice("own-card", {"gpu": device.id}),)
    found: list[Notice] = []
    written = next((name for name in names if _means(name, device)), None)
    others = alike(written, device) if written is not None else []
    if others:
        found.append(Notice("gpu-name-taken", {"found": written, "gpu": device.id, "others": [each.id for each in others]}))
    unchecked = [name for name in _deciding(device, gpus) if device.is_unverified(name)]
    unchecked += ["prices"] if device.prices and all(price.unverified for price in device.prices) else []
    if unchecked:
        found.append(Notice("facts-from-memory", {"gpu": device.id, "fields": unchecked}))
    return tuple(found)


def _means(name: str, device: Accelerator) -> bool:
    try:
        return accelerator(name).id == device.id
    except InputError:
        return False


def _deciding(device: Accelerator, gpus: int) -> list[str]:
    """The facts that an answer stands on."""
    names = ["memory_bytes", "marketing_memory_gb", "bandwidth_bytes_per_s"]
    form = "bf16" if "bf16" in device.peak_flops else "fp16"
    if device.peak_flops:
        form = form if form in device.peak_flops else peak_flops_per_s(device, "16")[1] if device.bandwidth_bytes_per_s else form
        names.append(f"peak_flops.{form}")
    if gpus > 1:
        names.append("interconnect_bytes_per_s")
    return [*names, "devices_per_node"] if device.whole_nodes else names  # of cards in slots it is a choice of server anyhow
