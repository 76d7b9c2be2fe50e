"""Memory of hosts from ``data/hosts.toml``: channels and speed of processors' memory, what reading of it reached, slots; and words about it, read.

"8xDDR5-4800", "4-channel DDR4, 102 GB/s measured", "256-bit LPDDR5X-8000" and "2 x EPYC 9654" each say a bandwidth, in ways that differ in what they
promise: of channels and processors it is the most that the wires carry, a measured one is what a program saw.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from gpusizer.errors import UnitError
from gpusizer.units import GB, parse_bytes, parse_bytes_per_s

__all__ = [
    "LEAST_BYTES_PER_S",
    "MOST_BYTES",
    "HostBandwidth",
    "MemoryWords",
    "Platform",
    "Read",
    "Slot",
    "channels_bytes_per_s",
    "host_bandwidth",
    "memory_said",
    "parse_host_memory",
    "platform_of",
    "platforms",
    "read_share",
    "reads",
    "slots",
    "sockets_said",
]

LONGEST_WORDS = 4_000
MOST_BYTES = 10**15
"""No host has more memory, and none reads more in a second."""
LEAST_BYTES_PER_S = GB
LEAST_BYTES = GB // 10  # less is a number whose unit was forgotten
"""No memory of a host is read slower."""
_BYTES_A_TRANSFER = 8  # of a channel of 64 bits
_BITS_A_CHANNEL = 64
_MEGA, _GIGA = 1e6, 1e9
_SERVER_CHANNELS = 4
_LANES = 16
_PAYLOAD = 128 / 130  # of the bits on a lane, PCIe 3.0 to 5.0
_COUNTED = {"single": 1, "dual": 2, "quad": 4, "octa": 8, "单": 1, "双": 2, "四": 4, "八": 8}
_CHANNELS = re.compile(
    r"(?:(\d{1,3})\s*(?:[x×*]|-?\s*channels?|\s*通道)|(\d{2,4})[- ]?bit|(single|dual|quad|octa|[单双四八])(?:[- ]?channel|通道))"
    r"\s*(?:of\s*)?(?=LP|DDR|MRDIMM|MCR)",
    re.IGNORECASE,
)
_KIND = re.compile(r"((?:LP)?DDR\d?X?|MRDIMM|MCR ?DIMM)(?:[- @](\d{4,5}))?", re.IGNORECASE)
_MEASURED = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*GB/s", re.IGNORECASE)
_SOCKETS = re.compile(r"(\d{1,2})\s*[x×]\s", re.IGNORECASE)
_MARKS = re.compile(r"\((?:R|TM)\)|[®™]|\bCPU\b", re.IGNORECASE)


class MemoryWords(NamedTuple):
    """What words say of a host's memory; None, or empty, where they say nothing.

    Parameters
    ----------
    kind : str
        "DDR5", "LPDDR5X", "MRDIMM".
    channels : int or None
        Of 64 bits.
    transfers_per_s : float or None
        Of one channel. [1/s]
    measured_bytes_per_s : float or None
        A bandwidth that stands in the words. [bytes/s]
    each_socket : bool
        Whether the channels are those of one of several processors.
    """

    kind: str
    channels: int | None
    transfers_per_s: float | None
    measured_bytes_per_s: float | None
    each_socket: bool


class HostBandwidth(NamedTuple):
    """A bandwidth of a host's memory.

    Parameters
    ----------
    bytes_per_s : float
        Of the whole machine. [bytes/s]
    origin : str
        "stated": given as a rate; "channels": what the stated channels carry; "processor": what those of a processor carry with usual memory.
    """

    bytes_per_s: float
    origin: str


@dataclass(frozen=True, slots=True)
class Platform:
    """A family of processors by the memory that it takes.

    Parameters
    ----------
    id, name : str
        Ours, and its maker's.
    channels : int
        Of one processor, 64 bits each.
    kind : str
        Of memory.
    transfers_per_s : float
        Of a channel, as fast as the maker allows. [1/s]
    usual_transfers_per_s : float
        Of a channel, where nobody says which memory it has. [1/s]
    faster : str
        Memory of another kind that raises it, as "MRDIMM-8800"; empty where there is none.
    pcie_generation : int
        Of its slots.
    sources : tuple of str
        Who says so.
    """

    id: str
    name: str
    channels: int
    kind: str
    transfers_per_s: float
    usual_transfers_per_s: float
    faster: str
    pcie_generation: int
    sources: tuple[str, ...]

    @property
    def usual_bytes_per_s(self) -> float:
        """What all channels of one processor carry, where nobody says which memory it has. [bytes/s]"""
        return channels_bytes_per_s(self.channels, self.usual_transfers_per_s)


class Read(NamedTuple):
    """What reading the memory of a machine reached.

    Parameters
    ----------
    platform : str
        Id of the family of its processors.
    sockets : int
        Processors.
    bytes_per_s : float
        Seen. [bytes/s]
    share : float
        Of what its channels carry.
    sources : tuple of str
        Who measured it.
    """

    platform: str
    sockets: int
    bytes_per_s: float
    share: float
    sources: tuple[str, ...]


class Slot(NamedTuple):
    """Sixteen lanes of PCIe, one direction.

    Parameters
    ----------
    generation : int
        3 to 5.
    bytes_per_s : float
        Payload that the lanes carry. [bytes/s]
    measured_bytes_per_s : tuple of float
        Lowest and highest that copies from pinned memory reached. [bytes/s]
    sources : tuple of str
        Who says so.
    """

    generation: int
    bytes_per_s: float
    measured_bytes_per_s: tuple[float, float]
    sources: tuple[str, ...]


def channels_bytes_per_s(channels: float, transfers_per_s: float) -> float:
    """What channels of 64 bits carry: eight bytes a transfer. [bytes/s]

    >>> channels_bytes_per_s(8, 4.8e9)
    307200000000.0
    """
    return channels * transfers_per_s * _BYTES_A_TRANSFER


@cache
def platforms() -> tuple[Platform, ...]:
    """Families of processors, in the order in which their names are tried."""
    return tuple(_platform(entry) for entry in _table()["platforms"])


@cache
def reads() -> tuple[Read, ...]:
    """What people measured."""
    return tuple(_read(entry) for entry in _table()["reads"])


@cache
def slots() -> tuple[Slot, ...]:
    """Generations of PCIe."""
    return tuple(_slot(entry) for entry in _table()["pcie"])


def read_share(platform: Platform | None = None) -> float:
    """The share of what channels carry that reading reaches: the median of a family's measurements, else of all families' medians.

    Parameters
    ----------
    platform : Platform, optional
        The family.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> round(read_share(platform_of("EPYC 9654")), 2), 0.7 < read_share() < 0.9
    (0.82, True)
    """
    shares: dict[str, list[float]] = {}
    for row in reads():
        shares.setdefault(row.platform, []).append(row.share)
    own = shares.get(platform.id) if platform else None
    return median(own) if own else median(median(each) for each in shares.values())


def platform_of(cpu: str) -> Platform | None:
    """The family of a processor by its name, None where it is not known.

    Parameters
    ----------
    cpu : str
        As a driver, a shop or a person writes it.

    Examples
    --------
    >>> [platform_of(name).id for name in ("AMD EPYC 9654 96-Core Processor", "Intel(R) Xeon(R) Gold 6454S", "13th Gen Intel(R) Core(TM) i9-13900K")]
    ['epyc-9004', 'xeon-scalable-4', 'core-13-14']
    """
    name = re.sub(r"\s+", " ", _MARKS.sub(" ", cpu[:LONGEST_WORDS]))
    return next((found for pattern, found in zip(_patterns(), platforms(), strict=True) if pattern.search(name)), None)


def sockets_said(cpu: str) -> int | None:
    """How many processors a name tells: "2 x Xeon Gold 6454S" two, a lone name one; None where there is no name.

    >>> sockets_said("2 x Xeon Gold 6454S (32 cores each)"), sockets_said("EPYC 9654"), sockets_said("")
    (2, 1, None)
    """
    if not cpu:
        return None
    several = _SOCKETS.match(cpu)
    return max(int(several[1]), 1) if several else 1


def memory_said(words: str) -> MemoryWords:
    """What words say of a host's memory.

    Parameters
    ----------
    words : str
        Free words.

    Examples
    --------
    >>> memory_said("8 x DDR5-4800 a socket")[:3], memory_said("256-bit LPDDR5X-8000")[:3], memory_said("双通道DDR5-6000")[1]
    (('DDR5', 8, 4800000000.0), ('LPDDR5X', 4, 8000000000.0), 2)
    >>> memory_said("4-channel DDR4, 102 GB/s measured")
    MemoryWords(kind='DDR4', channels=4, transfers_per_s=None, measured_bytes_per_s=102000000000.0, each_socket=False)
    """
    words = words[:LONGEST_WORDS]
    kind, channels, measured = _KIND.search(words), _CHANNELS.search(words), _MEASURED.search(words)
    return MemoryWords(
        kind=kind[1].upper() if kind else "",
        channels=_count(channels) if channels else None,
        transfers_per_s=float(kind[2]) * _MEGA if kind and kind[2] else None,
        measured_bytes_per_s=float(measured[1]) * GB if measured else None,
        each_socket=bool(re.search(r"(?:a|per|each) socket", words)),
    )


def host_bandwidth(words: str) -> HostBandwidth:
    """The bandwidth that a person types: a rate, channels with their speed, or the name of a processor.

    Parameters
    ----------
    words : str
        As "90GB/s", "8xDDR5-4800" or "2 x EPYC 9654".

    Returns
    -------
    HostBandwidth
        With what it rests on.

    Raises
    ------
    UnitError
        The words say none, or one that no machine has.

    Examples
    --------
    >>> host_bandwidth("90GB/s"), host_bandwidth("8xDDR5-4800"), host_bandwidth("2 x EPYC 9654").bytes_per_s
    (HostBandwidth(bytes_per_s=90000000000, origin='stated'), HostBandwidth(bytes_per_s=307200000000.0, origin='channels'), 921600000000.0)
    """
    found = _bandwidth(words) if len(words) <= LONGEST_WORDS else None
    if found is None or not LEAST_BYTES_PER_S <= found.bytes_per_s <= MOST_BYTES:
        raise UnitError("bad-bandwidth", found=words[:60])
    return found


def parse_host_memory(words: str | int) -> int:
    """Memory of a host that a person types, in bytes.

    >>> parse_host_memory("128GB"), parse_host_memory("64GiB")
    (128000000000, 68719476736)
    """
    size = parse_bytes(words)
    if not LEAST_BYTES <= size <= MOST_BYTES:
        raise UnitError("bad-size", found=str(words)[:60])
    return size


def _bandwidth(words: str) -> HostBandwidth | None:
    if "/" in words:
        return HostBandwidth(parse_bytes_per_s(words), "stated")
    told = memory_said(words)
    if told.channels and told.transfers_per_s:
        return HostBandwidth(channels_bytes_per_s(told.channels, told.transfers_per_s), "channels")
    platform, sockets = platform_of(words), sockets_said(words.strip())
    return HostBandwidth(platform.usual_bytes_per_s * sockets, "processor") if platform and sockets else None


def _count(found: re.Match[str]) -> int:
    """Channels: as a number, as the bits of all, or as a word."""
    number, bits, word = found.groups()
    if number or bits:
        return int(number) if number else int(bits) // _BITS_A_CHANNEL
    return _COUNTED[word.lower()]


@cache
def _table() -> Mapping[str, Any]:
    with (Path(__file__).parent / "data" / "hosts.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"\b{entry['cpu']}", re.IGNORECASE) for entry in _table()["platforms"])


def _platform(entry: Mapping[str, Any]) -> Platform:
    told = memory_said(entry["memory"])
    transfers = told.transfers_per_s or 0.0
    usual = _table()["usual"]["servers" if entry["channels"] >= _SERVER_CHANNELS else "desktops"]
    return Platform(
        id=entry["id"],
        name=entry["name"],
        channels=entry["channels"],
        kind=told.kind,
        transfers_per_s=transfers,
        usual_transfers_per_s=min(transfers, usual[told.kind] * _MEGA) if told.kind in usual else transfers,
        faster=entry.get("faster", ""),
        pcie_generation=entry["pcie"],
        sources=_sources(entry["sources"]),
    )


def _read(entry: Mapping[str, Any]) -> Read:
    told, seen = memory_said(entry["memory"]), entry["gb_s"] * GB
    carried = channels_bytes_per_s(told.channels or 0, told.transfers_per_s or 0.0)
    return Read(entry["platform"], entry["sockets"], seen, seen / carried, _sources(entry["sources"]))


def _slot(entry: Mapping[str, Any]) -> Slot:
    low, high = (each * GB for each in entry["measured_gb_s"])
    lanes_bits_per_s = _LANES * entry["lane_gt_s"] * _GIGA
    return Slot(entry["generation"], lanes_bits_per_s * _PAYLOAD / 8, (low, high), _sources(entry["sources"]))


def _sources(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(_table()["sources"][key] for key in keys)
