"""Names of drivers, brought to devices of the catalogue by the memory that is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gpusizer.detect.readers import Seen
from gpusizer.errors import UnknownIdError
from gpusizer.facts.accelerator_names import find_accelerator
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["Untold", "identify"]

_NEAR = 0.08  # what drivers report of one card differs by this at most: ECC takes 6.25 % of GDDR6
_SOLD_GB = (4, 8, 12, 16, 18, 24, 32, 36, 48, 64, 96, 128, 192, 256, 512)  # memory of machines whose GPU shares it


class Untold(NamedTuple):
    """Something that could not be told: a code and its parameters, as of a warning."""

    code: str
    parameters: Mapping[str, Any]


def identify(seen: Seen, host_memory_bytes: int | None = None) -> Accelerator | Untold:
    """The device of the catalogue that a driver names, chosen among those of one name by the memory that it reports.

    Parameters
    ----------
    seen : Seen
        The driver's words.
    host_memory_bytes : int, optional
        Memory of the host, of which devices without their own are known. [bytes]

    Returns
    -------
    Accelerator or Untold
        Untold where it is unknown, has another memory than any of its name, or is one of several.

    Examples
    --------
    >>> identify(Seen("NVIDIA GeForce RTX 3060", 12288 * 2**20)).id, identify(Seen("NVIDIA GeForce RTX 4090", 49140 * 2**20)).id
    ('rtx3060-12gb', 'rtx4090-48gb')
    """
    by_name = _meant(seen.name)
    sized = _meant(f"{seen.name} {seen.memory_bytes / GiB:.1f}GB") if seen.memory_bytes else []
    named = _unique([*by_name, *sized])
    if not named:
        return Untold("gpu-unknown", {"name": seen.name})
    fitting = _of_size(named, seen, host_memory_bytes)
    if not fitting:
        memory = seen.memory_bytes or host_memory_bytes
        return Untold("gpu-memory-differs", {"name": seen.name, "memory_bytes": memory, "nearest": [each.id for each in named][:3]})
    if len(by_name) == 1 and by_name[0] in fitting:
        return by_name[0]
    chosen = [each for each in fitting if each.devices_per_card == seen.chips] or fitting
    return chosen[0] if len(chosen) == 1 else Untold("gpu-ambiguous", {"name": seen.name, "nearest": [each.id for each in chosen]})


def _of_size(named: Sequence[Accelerator], seen: Seen, host_memory_bytes: int | None) -> list[Accelerator]:
    """Those of the memory that is seen; of devices that share the host's, those of a machine that holds as much."""
    if all(each.unified_memory for each in named):
        if host_memory_bytes is None:
            return list(named)
        whole = host_memory_bytes + (seen.memory_bytes or 0)  # firmware may set a part of it aside for the GPU
        box = next((size for size in _SOLD_GB if size * GiB >= whole), 0)
        sized = _meant(f"{seen.name} {box}GB") or [each for each in named if each.marketing_memory_gb == box]
        return sized or list(named) * (len(named) == 1)
    if not seen.memory_bytes:
        return list(named)
    apart = [(abs(each.memory_bytes - seen.memory_bytes) / each.memory_bytes, each) for each in named]
    nearest = min(share for share, _ in apart)
    return [each for share, each in apart if share <= _NEAR and share == nearest]


def _meant(name: str) -> list[Accelerator]:
    """The device that a name means, or all among which it does not choose; where that is none, those of its parts between slashes."""
    return _named(name) or (_unique(each for part in name.split("/") for each in _named(part.strip())) if "/" in name else [])


def _named(name: str) -> list[Accelerator]:
    try:
        return [find_accelerator(name)]
    except UnknownIdError as error:
        return [accelerator(id) for id in error.parameters["nearest"]] if error.code == "ambiguous-accelerator" else []


def _unique(devices: Iterable[Accelerator]) -> list[Accelerator]:
    return list({each.id: each for each in devices}.values())
