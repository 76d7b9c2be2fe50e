"""The devices of a measured case, from the words of its ``gpu`` field: one kind, several kinds together, a size only, or none at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator

__all__ = ["Devices", "devices_of"]

_SIZE = re.compile(r"(\d{1,4})\s?-?\s?(?:gib|gb|g)\b", re.IGNORECASE)
_TOLERANCE = 0.03
_NEAR = 0.08  # sizes are written as sold, as 1,024-based, or as the driver reports them
_AMD = re.compile(r"\b(?:rx|radeon|instinct|mi\d{2,3}x?|w\d{4})\b", re.IGNORECASE)
_HUAWEI = re.compile(r"\b(?:ascend|npu)\b", re.IGNORECASE)
_OTHER_MAKERS = re.compile(r"\b(?:apple|m\d (?:pro|max|ultra)|arc|intel|tpu|gaudi|snapdragon|adreno|mali)\b", re.IGNORECASE)
_MAKERS = re.compile(r"\b(?:nvidia|geforce|[rg]tx|quadro|tesla|titan|cuda|class|amd|radeon|rx|instinct|mi\d{2,3}x?|w\d{4})\b", re.IGNORECASE)
_SMALLEST, _LARGEST = 4, 512  # [GB]
MOST_KINDS = 64


@dataclass(frozen=True)
class Devices:
    """The devices of a case.

    Parameters
    ----------
    each : tuple of Accelerator
        In the order in which they are named, one for each GPU; empty where only the processor works.
    first : Accelerator
        The device that an engine is asked about.
    memory_known : bool
        Whether the size of their memory can be told.
    notices : tuple of Notice
        What was taken for granted.
    """

    each: tuple[Accelerator, ...]
    first: Accelerator
    memory_known: bool = True
    notices: tuple[Notice, ...] = ()

    @property
    def unequal(self) -> bool:
        """Whether different kinds work together."""
        return len({device.id for device in self.each}) > 1


def devices_of(words: str, count: int | None, *, optional: bool) -> Devices:
    """The devices that words name.

    Parameters
    ----------
    words : str
        As written: "H100-80GB-SXM", "RTX 3090-24GB x2 + RTX A4000-16GB", "96GB class (name not given)", "none (CPU run)".
    count : int or None
        GPUs that work.
    optional : bool
        The engine's figures do not all depend on the device, so that an unknown one is no reason to refuse, and one of its size will do. Where
        everything depends on it, a device that the catalogue lacks is refused.

    Returns
    -------
    Devices
        The devices.

    Examples
    --------
    >>> [device.id for device in devices_of("RTX 3090-24GB x2 + RTX A4000-16GB", 3, optional=True).each]
    ['rtx3090-24gb', 'rtx3090-24gb', 'rtxa4000-16gb']
    >>> devices_of("none (CPU run)", 0, optional=True).each
    ()
    """
    plain = re.sub(r"\([^()]*\)", " ", words).strip()
    if count == 0 or re.match(r"none\b|cpu\b", plain, re.IGNORECASE):
        if not optional:
            raise InputError("case-without-device", found=words)
        return Devices((), _nameless(0), memory_known=False)
    try:
        kinds, whole, notices = _kinds(words, plain, by_size=optional)
    except UnknownIdError as error:
        if not optional:
            raise
        return Devices((_nameless(0),) * max(count or 1, 1), _nameless(0), memory_known=False, notices=(Notice(error.code, dict(error.parameters)),))
    each = tuple(device for device, number in kinds for _ in range(number))
    if count is not None and len(kinds) == 1:
        each = (kinds[0][0],) * count
    elif count is not None and len(each) < count:
        each += (each[0],) * (count - len(each))
    told = all(device.usual or not device.unified_memory for device in each)  # files mapped into a desktop's shared memory are not counted
    return Devices(each, each[0], memory_known=whole and told, notices=notices)


def _kinds(words: str, plain: str, *, by_size: bool) -> tuple[list[tuple[Accelerator, int]], bool, tuple[Notice, ...]]:
    """Kinds with their numbers, whether all are known, and what was taken for granted."""
    parts = [part.strip() for part in re.split(r"\s\+\s", plain)][:MOST_KINDS] if " + " in plain else [words]
    kinds: list[tuple[Accelerator, int]] = []
    notices: list[Notice] = []
    for part in parts:
        times = re.search(r"\s[x×]\s?(\d{1,2})$", part) or re.match(r"(\d{1,2})\s?[x×]\s?(?=[A-Za-z])", part)
        name = part.replace(times[0], " ").strip() if times else part
        try:
            device, notice = _one(name, by_size=by_size)
        except UnknownIdError:
            if not kinds:
                raise
            notices.append(Notice("device-not-named", {"found": name}))  # a peer beside a card that is known
            continue
        if notice:
            notices.append(notice)
        kinds.append((device, int(times[1]) if times else 1))
    return kinds, len(notices) == 0 or len(kinds) == len(parts), tuple(notices)


def _one(name: str, *, by_size: bool) -> tuple[Accelerator, Notice | None]:
    """The device of one name: named, named among other words, one of several that are alike, or, where that will do, of a size only."""
    try:
        return accelerator(name), None
    except UnknownIdError as error:
        unknown = error
    alike = [accelerator(each) for each in unknown.parameters.get("nearest", ())] if unknown.code == "ambiguous-accelerator" else []
    remarks = re.sub(r"\([^()]*\)|\b(?:class|unified)\b", " ", name)
    size = _SIZE.search(remarks) or _SIZE.search(name)
    alike = alike or _named_within(remarks) or _named_within(name)
    if size:  # "40GB class (A100 inferred)" is no A100 of 80 GB
        alike = [device for device in alike if abs(device.marketing_memory_gb - float(size[1])) <= _NEAR * float(size[1])]
    elif len({device.marketing_memory_gb for device in alike}) > 1:  # "RTX 3080": the edition that stands for the others
        alike = [device for device in alike if device.usual]
    if alike and len({device.marketing_memory_gb for device in alike}) == 1:
        return alike[0], None if len(alike) == 1 else Notice("device-alike", {"found": name, "gpu": alike[0].id})
    if size is None or not by_size or _OTHER_MAKERS.search(name):
        raise unknown
    vendor = "AMD" if _AMD.search(name) else "Huawei" if _HUAWEI.search(name) else "NVIDIA"
    same = _of_size(float(size[1]), vendor=vendor, unified="unified" in name.lower())
    if not same:
        card = _scaled(float(size[1]), vendor=vendor) if _MAKERS.search(name) else None
        if card is None:
            raise unknown
        return card, Notice("device-by-size", {"found": name, "gpu": card.id})
    return same[len(same) // 2], Notice("device-by-size", {"found": name, "gpu": same[len(same) // 2].id})


def _named_within(words: str) -> list[Accelerator]:
    """Devices whose alias stands among other words, unless a word beside it makes another device of it."""
    lower = words.lower().replace("-", " ")
    if re.search(r"\b(?:ti|super|nvl|ada|max q|laptop|mobile)\b", lower):
        return []
    return list({device.id: device for alias, device in _aliases() if alias in lower and _whole(alias).search(lower)}.values())


@cache
def _aliases() -> tuple[tuple[str, Accelerator], ...]:
    """Aliases of devices that can stand among other words."""
    plain = ((alias.lower().replace("-", " "), device) for device in accelerators() for alias in (device.name, *device.aliases))
    return tuple((alias, device) for alias, device in plain if len(alias) >= 3 and re.search(r"[a-z]", alias))


@cache
def _whole(alias: str) -> re.Pattern[str]:
    """What finds an alias as a word of its own; made for those alone that occur."""
    return re.compile(rf"(?<![a-z0-9]){re.escape(alias)}(?![a-z0-9])")


def _of_size(size: float, *, vendor: str, unified: bool) -> list[Accelerator]:
    """Devices of a maker with so much memory on the box, by what their driver reports."""
    same = [device for device in _usual(vendor) if device.unified_memory == unified]
    exact = [device for device in same if device.marketing_memory_gb == size]
    close = exact or [device for device in same if abs(device.marketing_memory_gb - size) <= _TOLERANCE * size]
    return sorted(close, key=lambda device: device.memory_bytes)


def _usual(vendor: str) -> list[Accelerator]:
    """Devices of a maker that may stand for others of their size."""
    return [each for each in accelerators() if each.vendor == vendor and each.usual]


def _scaled(size: float, *, vendor: str) -> Accelerator | None:
    """The device of a maker that is nearest in size, with the memory that was named: its driver keeps the same share."""
    if not _SMALLEST <= size <= _LARGEST:
        return None
    same = [device for device in _usual(vendor) if not device.unified_memory]
    near = min(same, key=lambda device: abs(device.marketing_memory_gb - size))
    return replace(near, memory_bytes=int(near.memory_bytes * size / near.marketing_memory_gb), marketing_memory_gb=size, torch_total_bytes=None)


def _nameless(memory_bytes: int) -> Accelerator:
    """A device of which nothing is known but, perhaps, its memory: no figure that depends on it is predicted."""
    some = accelerators()[0]
    return replace(
        some,
        id="unknown",
        name="unknown",
        aliases=(),
        compute_capability=None,
        architecture=None,
        memory_bytes=memory_bytes,
        marketing_memory_gb=0.0,
        bandwidth_bytes_per_s=None,
        peak_flops={},
        devices_per_node=None,
        prices=(),
        engines={},
        measured=(),
        torch_total_bytes=None,
    )
