"""Names of accelerators as people, logs and drivers write them, brought to an id: only where one device is meant.

A name is cut into words; makers, markets and packaging ("NVIDIA", "GeForce", "HBM3", "GPU") say nothing and drop out. A size ("80GB") and a
form ("SXM5", "PCIe") only narrow what the rest names. "H100-80GB", "NVIDIA H100 80GB HBM3" and "H100 SXM 80GB" thus are one device; "Ascend 910B" is
four, and is refused with all of them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache

from gpusizer.errors import UnknownIdError
from gpusizer.facts.accelerators import read_accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["find_accelerator"]

LONGEST_NAME = 200

# Words that name no device: makers, product lines, packaging, memory kinds, and what a remark adds.
_SILENT = frozenset(
    re.findall(
        r"\w+",
        "nvidia amd intel huawei google apple hygon metax geforce tesla quadro instinct radeon rtx gtx rx gpu gpus card device accelerator graphics "
        "hbm hbm2 hbm2e hbm3 hbm3e hbm4 gddr6 gddr6x gddr7 ecc class unified memory generation edition tensor core per vram hopper blackwell",
    )
)
_FORMS = dict.fromkeys(("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "hgx", "dgx"), "sxm") | {"oam": "oam", "pcie": "pcie"}
_SIZE = re.compile(r"(\d{1,4}(?:\.\d+)?)\s?-?(?:gib|gb|g)(?![a-z0-9])")
_SIZE_TOLERANCE = 0.03  # 180, 183 and 179 GB are one B200; 94 and 96 GB two devices


def find_accelerator(name: str) -> Accelerator:
    """The one device that a name means.

    Parameters
    ----------
    name : str
        An id, an alias, or a name as a driver, a log or a shop writes it; any letter case.

    Returns
    -------
    Accelerator
        The device.

    Examples
    --------
    >>> [find_accelerator(name).id for name in ("H100 SXM 80GB", "NVIDIA H100 80GB HBM3", "nvidia-a100-sxm4-40gb", "RTX 4090-48GB", "h20")]
    ['h100-sxm-80gb', 'h100-sxm-80gb', 'a100-sxm-40gb', 'rtx4090-48gb', 'h20-sxm-96gb']
    >>> find_accelerator("Ascend 910B 64GB")
    Traceback (most recent call last):
    gpusizer.errors.UnknownIdError: ambiguous-accelerator: id='Ascend 910B 64GB', nearest=['ascend910b1-64gb', 'ascend910b2-64gb', \
'ascend910b3-64gb', 'ascend910b4-1-64gb']
    """
    wanted = name.strip().lower() if len(name) <= LONGEST_NAME else ""
    by_id = {each.id: each for each in read_accelerators()}
    if wanted in by_id:
        return by_id[wanted]
    without_remarks = re.sub(r"\([^()]*\)", " ", wanted)
    without_remarks = re.sub(r"(?<=\w)\+(?=\s)", " ", without_remarks)  # "Max+ 395" is one name, "A + B" are two
    if "+" in without_remarks:
        parts = [_candidates(re.sub(r"\bx\d+\b", " ", part)) for part in without_remarks.split("+")]
        raise UnknownIdError("several-accelerators", id=name, nearest=[each[0].id for each in parts if each])
    candidates: list[Accelerator] = []
    for words in dict.fromkeys((wanted, without_remarks)):
        candidates = _candidates(words)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise UnknownIdError("ambiguous-accelerator", id=name, nearest=[each.id for each in candidates])
    raise UnknownIdError("unknown-accelerator", id=name, nearest=_nearest(without_remarks))


def _candidates(words: str) -> list[Accelerator]:
    key, sizes, form = _parts(words)
    if not key:
        return []
    exact = [entry for entry in _names() if entry[0] == key] or _twice_named(key)
    fitting = [entry for entry in exact if _fits(entry, sizes, form)]
    # A name that says size and form just as asked, or neither, comes before one that only allows it.
    for same in (
        [entry for entry in fitting if entry[1] == sizes and entry[2] == form],
        [entry for entry in fitting if not sizes and not entry[1] and form == entry[2]],
        [entry for entry in fitting if not entry[1] and not entry[2]],
        fitting,
    ):
        devices = _devices(same)
        if len(devices) == 1:
            return devices
    if fitting:
        return _devices(fitting)
    if exact:
        return []  # the chip is known, but not with this memory or form
    longer = [entry for entry in _names() if len(key) >= 4 and re.fullmatch(re.escape(key) + r"[a-z0-9]{1,3}", entry[0]) and key[-1].isalpha()]
    return _devices([entry for entry in longer if _fits(entry, sizes, form)])


_Name = tuple[str, tuple[float, ...], str, Accelerator]


def _twice_named(key: str) -> list[_Name]:
    """Devices of which two names stand side by side ("GB10 DGX Spark")."""
    names: dict[str, set[str]] = {}
    for entry in _names():
        names.setdefault(entry[0], set()).add(entry[3].id)
    ids = {each for split in range(2, len(key) - 1) for each in names.get(key[:split], set()) & names.get(key[split:], set())}
    return [entry for entry in _names() if entry[3].id in ids]


def _devices(entries: Sequence[_Name]) -> list[Accelerator]:
    return list({entry[3].id: entry[3] for entry in entries}.values())


@cache
def _names() -> tuple[_Name, ...]:
    """Key, sizes, form and device of every id, name and alias."""
    entries: dict[tuple[str, tuple[float, ...], str, str], Accelerator] = {}
    for device in read_accelerators():
        for words in (device.id, device.name, *device.aliases):
            key, sizes, form = _parts(re.sub(r"\([^()]*\)", " ", words.lower()))
            if key:
                entries.setdefault((key, sizes, form, device.id), device)
    return tuple((key, sizes, form, device) for (key, sizes, form, _), device in entries.items())


def _parts(words: str) -> tuple[str, tuple[float, ...], str]:
    """What names the chip, joined to one word; sizes in GB; the form."""
    sizes = tuple(float(match) for match in _SIZE.findall(words))
    rest = _SIZE.sub(" ", words).replace("dgx spark", "dgxspark").replace("dgx-spark", "dgxspark")  # a desktop box, no DGX server
    kept: list[str] = []
    form = ""
    for word in re.findall(r"[a-z0-9]+", rest):
        word = re.sub(r"^(rtx|gtx|rx)(?=\d)", "", word)
        if word in _FORMS and not form:
            form = _FORMS[word]
        elif word not in _SILENT:
            kept.append(word)
    return "".join(kept), sizes, form


def _fits(entry: _Name, sizes: Sequence[float], form: str) -> bool:
    device = entry[3]
    if form and _form(device) not in ("", form):
        return False
    known = (device.marketing_memory_gb, device.memory_bytes / GiB, *(size for words in device.aliases for size in _parts(words.lower())[1]))
    return all(any(abs(size - each) <= _SIZE_TOLERANCE * each for each in known) for size in sizes)


def _form(device: Accelerator) -> str:
    form = (device.form_factor or "").lower()
    return next((kind for kind in ("sxm", "oam", "pcie") if kind in form), "")


def _nearest(words: str) -> list[str]:
    """Up to three ids whose name is close; the devices of a known chip where only size or form is wrong."""
    key = _parts(words)[0]
    by_key: dict[str, list[str]] = {}
    for entry in _names():
        by_key.setdefault(entry[0], []).append(entry[3].id)
    close = [key] if key in by_key else difflib.get_close_matches(key, by_key, 3, 0.6) or [each for each in by_key if len(each) >= 3 and each in key]
    ids = [each for name in close for each in by_key[name]]
    return list(dict.fromkeys(ids + difflib.get_close_matches(words, [device.id for device in read_accelerators()], 3, 0.6)))[:3]
