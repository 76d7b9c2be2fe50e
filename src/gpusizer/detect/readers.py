"""What tools of drivers and files of the kernel say, each answer read by a pure function of its text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusizer.facts.hosts import MOST_BYTES
from gpusizer.units import GiB, KiB, MiB

__all__ = [
    "MOST_OUTPUT_BYTES",
    "Machine",
    "Seen",
    "amd_cards",
    "apple_machine",
    "ascend_chips",
    "board",
    "memory_bytes",
    "mig_slices",
    "nvidia_cards",
    "pci_displays",
    "processors",
    "rocm_cards",
    "whole",
]

MOST_OUTPUT_BYTES = 1 << 20
MOST_CARDS = 1024
_MOST_LINES = 20_000
_LONGEST_NAME = 80
_LONGEST_NUMBER = 16


class Seen(NamedTuple):
    """A device as a driver names it.

    Parameters
    ----------
    name : str
        In the driver's words.
    memory_bytes : int or None
        As the driver reports it; None where it is shared, or not told. [bytes]
    chips : int
        Devices that its card shows.
    """

    name: str
    memory_bytes: int | None = None
    chips: int = 1


class Machine(NamedTuple):
    """What a Mac says of itself: its GPU, and its memory. [bytes]"""

    gpu: Seen
    memory_bytes: int


def nvidia_cards(csv: str) -> list[Seen]:
    """Cards of ``nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits``; memory that is shared is "[N/A]".

    >>> nvidia_cards("NVIDIA GeForce RTX 4090, 24564\\nNVIDIA GB10, [N/A]")
    [Seen(name='NVIDIA GeForce RTX 4090', memory_bytes=25757220864, chips=1), Seen(name='NVIDIA GB10', memory_bytes=None, chips=1)]
    """
    rows = (line.rpartition(",") for line in _lines(csv))
    found = [Seen(_name(name), whole(size.replace("MiB", ""), MiB)) for name, comma, size in rows if comma]
    return [each for each in found if each.name][:MOST_CARDS]


def mig_slices(listing: str) -> dict[int, list[str]]:
    """Slices that cards are split into, by the card's number, of ``nvidia-smi -L``.

    >>> mig_slices("GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)\\n  MIG 3g.40gb     Device  0: (UUID: MIG-2)")
    {0: ['3g.40gb']}
    """
    found: dict[int, list[str]] = {}
    card = None
    for line in _lines(listing):
        if head := re.match(r"GPU (\d{1,4}):", line):
            card = int(head[1])
        elif (part := re.match(r"\s+MIG (\S{1,20})\s+Device", line)) and card is not None:
            found.setdefault(card, []).append(part[1])
    return found


def amd_cards(answer: str) -> list[Seen]:
    """Cards of ``amd-smi static --asic --vram --json``.

    >>> amd_cards('{"gpu_data": [{"asic": {"market_name": "AMD Instinct MI300X"}, "vram": {"size": {"value": 196592, "unit": "MB"}}}]}')
    [Seen(name='AMD Instinct MI300X', memory_bytes=206141652992, chips=1)]
    """
    content = _json(answer)
    rows = content.get("gpu_data") if isinstance(content, Mapping) else content
    found = []
    for row in rows if isinstance(rows, list) else ():
        asic, vram = _table(row, "asic"), _table(_table(row, "vram"), "size")
        name = _named(asic, "market_name") or _named(asic, "target_graphics_version")
        if name:
            found.append(Seen(name, whole(vram.get("value"), MiB)))
    return found[:MOST_CARDS]


def rocm_cards(answer: str) -> list[Seen]:
    """Cards of ``rocm-smi --showproductname --showmeminfo vram --json``; its keys differ by release.

    >>> rocm_cards('{"card0": {"Card Series": "Radeon RX 7900 XT", "VRAM Total Memory (B)": "21458059264"}, "system": {"Driver version": "6.8.5"}}')
    [Seen(name='Radeon RX 7900 XT', memory_bytes=21458059264, chips=1)]
    """
    content = _json(answer)
    found = []
    for key, row in content.items() if isinstance(content, Mapping) else ():
        told = {str(word).lower(): value for word, value in row.items()} if isinstance(row, Mapping) else {}
        words = ("card series", "card model", "device name", "gfx version")
        name = next((each for each in (_named(told, word) for word in words) if each and not each.startswith("0x")), "")
        if str(key).startswith("card") and name:
            found.append(Seen(name, whole(told.get("vram total memory (b)"), 1)))
    return found[:MOST_CARDS]


def ascend_chips(table: str) -> list[Seen]:
    """Chips of ``npu-smi info``: a row with card and name, and below it one with the chip's address on the bus and its memory."""
    chips: list[tuple[str, Seen]] = []
    card = name = ""
    for line in _lines(table):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 3:
            continue
        head = re.fullmatch(r"(\d{1,6})\s+(\S*[A-Za-z]\S*)", cells[0])
        used = re.findall(r"\d{1,9}\s*/\s*(\d{1,9})", cells[2])
        if head:
            card, name = head[1], head[2] if head[2].lower().startswith("ascend") else f"Ascend {head[2]}"
        elif name and used and re.fullmatch(r"\w{4,8}:\w\w:\w\w\.\w", cells[1]):
            chips.append((card, Seen(_name(name), whole(used[-1], MiB))))
    each = Counter(card for card, _ in chips)
    return [seen._replace(chips=each[card]) for card, seen in chips][:MOST_CARDS]


def apple_machine(answer: str) -> Machine | None:
    """The Mac of ``system_profiler SPHardwareDataType -json``; None where it is no Mac with a chip of Apple.

    >>> apple_machine('{"SPHardwareDataType": [{"chip_type": "Apple M4", "physical_memory": "24 GB"}]}').gpu.name
    'Apple M4 24 GB'
    """
    content = _json(answer)
    rows = content.get("SPHardwareDataType") if isinstance(content, Mapping) else None
    told = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], Mapping) else {}
    chip, size = _named(told, "chip_type"), re.fullmatch(r"(\d{1,4}) GB", str(told.get("physical_memory", "")))
    if not chip.startswith("Apple M") or size is None:
        return None
    return Machine(Seen(f"{chip} {size[1]} GB"), int(size[1]) * GiB)


def pci_displays(listing: str) -> list[Seen]:
    """Graphics of ``lspci``, by what stands in their last brackets, else by all words.

    >>> [each.name for each in pci_displays("03:00.0 VGA compatible controller: Intel Corporation Battlemage G21 [Arc B580]")]
    ['Arc B580']
    """
    kinds = re.compile(r"^\S+ (?:VGA compatible controller|3D controller|Display controller)(?: \[\w+\])?: (.+)$")
    words = (found[1] for line in _lines(listing) if (found := kinds.match(line)))
    bare = (re.sub(r" \((?:rev|prog-if) [^)]*\)| \[[0-9a-f]{4}:[0-9a-f]{4}\]", "", each) for each in words)
    brackets = ((re.findall(r"\[([^\[\]]+)\]", each), each) for each in bare if "ASPEED" not in each and "Matrox" not in each)
    return [Seen(_name(inner[-1] if inner else each)) for inner, each in brackets][:MOST_CARDS]


def board(model: str) -> Seen | None:
    """The Jetson of ``/proc/device-tree/model``; None where the board is another, or none is told.

    >>> board("NVIDIA Jetson AGX Orin Developer Kit").name
    'NVIDIA Jetson AGX Orin'
    """
    name = re.sub(r" (?:Engineering Reference )?Developer Kit.*", "", _name(model))
    return Seen(name) if "Jetson" in name else None


def processors(cpuinfo: str) -> str:
    """The processors of ``/proc/cpuinfo``, led by their number where there are several; empty where it has no name.

    >>> processors("model name : AMD EPYC 9654\\nphysical id : 0\\n\\nmodel name : AMD EPYC 9654\\nphysical id : 1")
    '2 x AMD EPYC 9654'
    """
    names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    sockets = len(set(re.findall(r"^physical id\s*:\s*(\d{1,5})\s*$", cpuinfo, re.MULTILINE)))
    name = _name(names[0]) if names else ""
    return f"{sockets} x {name}" if name and 1 < sockets < 100 else name


def memory_bytes(meminfo: str, limit: str) -> int | None:
    """Bytes of ``/proc/meminfo``, or of the limit of a container where that is less."""
    total = re.search(r"^MemTotal:\s*(\d{1,15}) kB", meminfo, re.MULTILINE)
    sizes = [int(total[1]) * KiB] if total else []
    capped = whole(limit, 1)
    return min([*sizes, *([capped] if sizes and capped else [])], default=None)


def _lines(words: str) -> list[str]:
    return words[:MOST_OUTPUT_BYTES].splitlines()[:_MOST_LINES]


def _json(answer: str) -> Any:
    """The JSON behind warnings that a tool prints first; None where there is none."""
    start = re.search(r"^[ \t]*[\[{]", answer[:MOST_OUTPUT_BYTES], re.MULTILINE)
    try:
        return json.JSONDecoder().raw_decode(answer[: MOST_OUTPUT_BYTES + 1], start.end() - 1)[0] if start else None
    except (ValueError, RecursionError):
        return None


def _table(content: object, key: str) -> Mapping[str, Any]:
    inner = content.get(key) if isinstance(content, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _named(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return _name(value) if isinstance(value, str) and value not in ("N/A", "") else ""


def _name(words: str) -> str:
    """A name on one line, without what no terminal should print."""
    return "".join(letter for letter in words[: 4 * _LONGEST_NAME] if letter.isprintable()).strip()[:_LONGEST_NAME]


def whole(value: object, unit: int) -> int | None:
    """A size of so many units; None where it is no number, none at all or more than any machine has."""
    words = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    size = int(words) * unit if words.isascii() and words.isdigit() and len(words) <= _LONGEST_NUMBER else 0
    return size if 0 < size <= MOST_BYTES else None
