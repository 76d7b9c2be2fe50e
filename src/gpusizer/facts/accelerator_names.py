"""Names of accelerators as people, logs and drivers write them, brought to an id: only where devices of one size are meant.

"H100-80GB", "NVIDIA H100 80GB HBM3" and "H100 SXM 80GB" are one device; "Ascend 910B" is five and "V100" has two sizes: both are refused with all
that they may mean. A name that several devices of the same memory share is taken as the usual one, and :func:`alike` lists the others. A record that
says ``by_size`` (a memory mod, a rarer edition with a name of its own) is meant only where its size is told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from gpusizer.errors import UnknownIdError
from gpusizer.facts.accelerators import read_accelerators
from gpusizer.facts.hardware_words import Said, hardware_words, plain_name, said, system_key, without_remarks
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["alike", "find_accelerator"]

_SIZE_TOLERANCE = 0.03  # 180, 183 and 179 GB are one B200; 94 and 96 GB two devices
_NEAR_SIZE = 0.35  # how far memory may differ among near names
MOST_NEAR = 3
MOST_LISTED = 12
_COUNT = re.compile(r"^(?:\d{1,3}|[双两四八])\s*(?:x\s+|x(?=[a-z])|[*]\s*)|(?:\s*[*]\s*|\s+x\s*)\d{1,3}$|\s(?:\d{1,2}|[双两四八])x$")
_EDITIONS = ("workstation", "maxq", "server")  # words behind a name that make another edition of it


@lru_cache(maxsize=1024)  # cases and options name the same few again and again
def find_accelerator(name: str) -> Accelerator:
    """The one device that a name means.

    Parameters
    ----------
    name : str
        An id, an alias, or a name as a driver, a log or a shop writes it; any letter case, Latin or Chinese.

    Returns
    -------
    Accelerator
        The device.

    Examples
    --------
    >>> [find_accelerator(name).id for name in ("H100 SXM 80GB", "NVIDIA H100 80GB HBM3", "nvidia-a100-sxm4-40gb", "RTX 4090-48GB", "华为昇腾910B3")]
    ['h100-sxm-80gb', 'h100-sxm-80gb', 'a100-sxm-40gb', 'rtx4090-48gb', 'ascend910b3-64gb']
    >>> find_accelerator("Ascend 910B 64GB")
    Traceback (most recent call last):
    gpusizer.errors.UnknownIdError: "Ascend 910B 64GB" fits several accelerators; say which: ascend910b1-64gb, ascend910b2-64gb, \
ascend910b3-64gb, ascend910b4-1-64gb
    """
    wanted = plain_name(name)
    if wanted in _by_id():
        return _by_id()[wanted]
    bare = without_remarks(wanted)
    if "+" in bare:
        parts = [_candidates(re.sub(r"\bx\d+\b", " ", part)) for part in bare.split("+")]
        raise UnknownIdError("several-accelerators", id=name, nearest=[each[0].id for each in parts if each])
    candidates: list[Accelerator] = []
    for words in dict.fromkeys((wanted, bare)):
        candidates = _held_by(words) or _candidates(words)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise UnknownIdError("ambiguous-accelerator", id=name, nearest=_listed(candidates))
    raise _refusal(name, bare)


def alike(name: str, device: Accelerator) -> list[Accelerator]:
    """Other devices of the same memory that a name may mean just as well.

    Parameters
    ----------
    name : str
        What was written.
    device : Accelerator
        What it was taken for.

    Returns
    -------
    list of Accelerator
        Empty where the name means one device.

    Examples
    --------
    >>> [each.id for each in alike("H100", find_accelerator("H100"))], alike("H100 SXM", find_accelerator("H100 SXM"))
    (['h100-pcie-80gb'], [])
    """
    words = without_remarks(plain_name(name))
    if words in _by_id():
        return []
    told = said(words)
    keys = {told.key, *(told.key + edition for edition in _EDITIONS)}
    others = [entry[1] for entry in _names() if entry[0].key in keys and entry[1].vendor == device.vendor and _fits(entry[1], told)]
    return [each for each in _unique(others) if each.id != device.id and each.marketing_memory_gb == device.marketing_memory_gb and not each.by_size]


def _candidates(words: str) -> list[Accelerator]:
    """Devices that a plain name fits: one, or all that it does not choose among."""
    told = said(words)
    if not told.key:
        return []
    if told.key in hardware_words()["shared"] and not _exactly_named(words):
        return _matching(hardware_words()["shared"][told.key], told)
    exact = [entry for entry in _names() if entry[0].key == told.key and _made_by(entry[1], told)]
    exact = exact or _twice_named(told.key) or _with_line(told)
    fitting = [entry for entry in exact if _fits(entry[1], told)]
    if fitting:
        return _one_of(fitting, told)
    if exact:
        return _larger_chips(told)  # the chip is known, but not with this memory or form
    if len(told.key) < 4 or not told.key[-1].isalpha():
        return []
    longer = re.compile(re.escape(told.key) + r"[a-z0-9]{1,3}")
    return _unique(entry[1] for entry in _names() if longer.fullmatch(entry[0].key) and _made_by(entry[1], told) and _fits(entry[1], told))


def _larger_chips(told: Said) -> list[Accelerator]:
    """Apple's chips of the told generation that are made with the told memory: a "MacBook Pro M4 48GB" is one with an M4 Pro or M4 Max."""
    if not told.sizes or not re.fullmatch(r"m\d", told.key):
        return []
    chips = {told.key + size for size in ("pro", "max", "ultra")}
    return _unique(entry[1] for entry in _names() if entry[0].key in chips and _fits(entry[1], told))


def _one_of(fitting: Sequence[_Name], told: Said) -> list[Accelerator]:
    """The usual one of devices that share a name and a size; all where they differ in memory, or none is usual."""
    if not told.sizes:
        fitting = [entry for entry in fitting if not entry[1].by_size] or fitting
        if len({entry[1].marketing_memory_gb for entry in fitting}) > 1:
            return _unique(entry[1] for entry in fitting)
    # A name that says size and form just as asked, or neither, comes before one that only allows it.
    for same in (
        [entry for entry in fitting if entry[0].sizes == told.sizes and entry[0].form == told.form],
        [entry for entry in fitting if not told.sizes and not entry[0].sizes and told.form == entry[0].form],
        [entry for entry in fitting if not entry[0].sizes and not entry[0].form],
    ):
        devices = _unique(entry[1] for entry in same)
        if len(devices) == 1:
            return devices
    return _unique(entry[1] for entry in fitting)


_Name = tuple[Said, Accelerator]


@cache
def _by_id() -> dict[str, Accelerator]:
    return {each.id: each for each in read_accelerators()}


@cache
def _names() -> tuple[_Name, ...]:
    """What every id, name and alias says, with its device."""
    entries: dict[tuple[Said, str], Accelerator] = {}
    for device in read_accelerators():
        for words in (device.id, device.name, *device.aliases):
            told = said(without_remarks(plain_name(words)))
            if told.key:
                entries.setdefault((told, device.id), device)
    return tuple((told, device) for (told, _), device in entries.items())


@cache
def _written() -> frozenset[str]:
    return frozenset(plain_name(words) for device in read_accelerators() for words in (device.name, *device.aliases))


def _exactly_named(words: str) -> bool:
    """Whether these are the words of a record, so that nothing else of that key is meant ("Quadro RTX 6000")."""
    return words.removeprefix("nvidia ") in _written()


def _twice_named(key: str) -> list[_Name]:
    """Devices of which two names stand side by side ("GB10 DGX Spark")."""
    names: dict[str, set[str]] = {}
    for told, device in _names():
        names.setdefault(told.key, set()).add(device.id)
    ids = {each for split in range(2, len(key) - 1) for each in names.get(key[:split], set()) & names.get(key[split:], set())}
    return [entry for entry in _names() if entry[1].id in ids]


def _with_line(told: Said) -> list[_Name]:
    """Devices of a told maker whose names have letters of a product line before the key ("寒武纪 590" is an MLU590)."""
    if not told.makers or len(told.key) < 3:
        return []
    behind = re.compile(r"[a-z]{1,4}" + re.escape(told.key))
    return [entry for entry in _names() if _made_by(entry[1], told) and behind.fullmatch(entry[0].key)]


def _held_by(words: str) -> list[Accelerator]:
    """What a server, a desktop or a machine of a cloud holds."""
    key = system_key(words)
    for name, ids in hardware_words()["systems"].items():
        if system_key(name.lower()) == key:
            return _matching(ids, said(words))
    return []


def _matching(patterns: Sequence[str], told: Said) -> list[Accelerator]:
    """Devices whose ids match, of the size that is told."""
    wanted = re.compile("|".join(re.escape(each).replace(r"\#", r"\d+").replace(r"\*", ".*") for each in patterns))
    sized = told._replace(form="")
    return [device for device in read_accelerators() if wanted.fullmatch(device.id) and _fits(device, sized)]


def _unique(devices: Iterable[Accelerator]) -> list[Accelerator]:
    return list({device.id: device for device in devices}.values())


def _made_by(device: Accelerator, told: Said) -> bool:
    return not told.makers or device.vendor in told.makers


def _fits(device: Accelerator, told: Said) -> bool:
    if told.form and _form(device) not in ("", told.form):
        return False
    named = (size for words in device.aliases for size in said(plain_name(words)).sizes)
    known = (device.marketing_memory_gb, device.memory_bytes / GiB, *named)
    return all(any(abs(size - each) <= _SIZE_TOLERANCE * each for each in known) for size in told.sizes)


def _form(device: Accelerator) -> str:
    form = (device.form_factor or "").lower()
    return next((kind for kind in ("sxm", "oam", "pcie") if kind in form), "")


def _listed(devices: Sequence[Accelerator]) -> list[str]:
    """Ids to choose from; of very many those that are still made."""
    still = [each for each in devices if each.status != "discontinued"]
    return [each.id for each in (still if len(devices) > MOST_LISTED and still else devices)][: 2 * MOST_LISTED]


def _refusal(name: str, words: str) -> UnknownIdError:
    """Why a name means no device: a count in it, no accelerator at all, one that is not modelled, or unknown, with near ones."""
    if _COUNT.search(words) and (devices := _candidates(_COUNT.sub(" ", words))):
        return UnknownIdError("count-in-name", id=name, nearest=_listed(devices))
    elsewhere = hardware_words()["elsewhere"]
    if not said(words).makers - {"AMD", "Intel", "Hygon"}:
        starts = tuple(re.match(r"[a-z]*", word)[0] for word in re.findall(r"[a-z0-9]+", words))  # type: ignore[index]
        if any(start in elsewhere["accelerators"] for start in starts):
            return UnknownIdError("accelerator-not-modelled", id=name, nearest=[])
        if any(start in elsewhere["cpus"] for start in starts) or re.search(r"\bi[3579]-\d{4,5}", words):
            return UnknownIdError("processor-not-accelerator", id=name, nearest=[])
    told = said(words)
    if re.fullmatch(r"\d{1,4}(?:\.\d+)? ?g(?:i?b)?", words):
        near = sorted((each for each in read_accelerators() if each.considered), key=lambda each: abs(each.marketing_memory_gb - told.sizes[0]))
        return UnknownIdError("size-without-name", id=name, nearest=[each.id for each in near][:MOST_NEAR])
    return UnknownIdError("unknown-accelerator", id=name, nearest=_nearest(words))


def _nearest(words: str) -> list[str]:
    """Up to three ids whose name is close, of the maker and about the size that are told; of a known chip those of other sizes or forms."""
    told = said(words)
    by_key: dict[str, list[Accelerator]] = {}
    for entry, device in _names():
        if _made_by(device, told):
            by_key.setdefault(entry.key, []).append(device)
    known = by_key.get(told.key) or [device for entry, device in _names() if entry.key == told.key]  # or a chip of another maker than is told
    if told.key and known:
        return [each.id for each in _unique(known)][:MOST_NEAR]
    close = _close(told.key, by_key)
    found = _unique(device for key in close for device in by_key[key])
    if found and not told.makers:  # names of another maker that only look alike are of no use
        found = [each for each in found if each.vendor == found[0].vendor]
    if told.makers and not found:
        found = [each for each in _unique(device for devices in by_key.values() for device in devices) if each.considered]
    near = [each for each in found if all(abs(each.marketing_memory_gb - size) <= _NEAR_SIZE * size for size in told.sizes)]
    return [each.id for each in near or found][:MOST_NEAR]


def _close(key: str, keys: Iterable[str]) -> list[str]:
    """Names that look like one: those with its numbers first, then by their letters, then those that stand within it."""
    known = list(keys)
    if not key:
        return []
    number = re.match(r"[a-z]*\d{3,}", key)  # "590" may be an MLU590, "h2000" is no P2000
    same = [each for each in known if number and re.match(("[a-z]*" if key.isdigit() else "") + number[0] + r"(?!\d)", each)]
    alike_ones = difflib.get_close_matches(key, known, 2 * MOST_NEAR, 0.6)
    within = [each for each in known if len(each) >= 3 and each in key]
    found = difflib.get_close_matches(key, same, MOST_NEAR, 0.0) + alike_ones + within
    return list(dict.fromkeys(found or difflib.get_close_matches(key, known, MOST_NEAR, 0.4)))
