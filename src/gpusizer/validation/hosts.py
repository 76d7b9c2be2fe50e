"""Host memory of a measured run and what lies in it, from free words: "8 x DDR5-4800 a socket", "--n-cpu-moe 36", "routed experts in host memory"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.performance.types import Host
from gpusizer.units import GB
from gpusizer.validation.command_lines import launch_words

__all__ = ["host_flags", "host_of"]

LONGEST_WORDS = 4_000
_BYTES_A_TRANSFER = 8  # of a DDR channel of 64 bits
_MEGA = 1e6
_MOST = 1e15  # bytes, and bytes a second: no host has more
_MOST_LAYERS = 1 << 20
_PLACED = ("n_cpu_moe", "cpu_moe", "n_gpu_layers", "override_tensor")
_CHANNELS = re.compile(r"(\d{1,3})\s*(?:x|-?\s*channels?)\s*(?:of\s*)?(?=LP|DDR)", re.IGNORECASE)
_KIND = re.compile(r"((?:LP)?DDR\d?X?)(?:[- ](\d{4,5}))?", re.IGNORECASE)
_MEASURED = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*GB/s", re.IGNORECASE)
_SOCKETS = re.compile(r"(\d{1,2})\s*x\s", re.IGNORECASE)
# Channels of a socket, and the slowest transfers a second of its memory kind as servers are sold: AMD's and Intel's product pages.
_PROCESSORS = (
    (re.compile(r"EPYC 9\d{3}"), 12, "DDR5"),
    (re.compile(r"EPYC 7\d{3}"), 8, "DDR4"),
    (re.compile(r"Threadripper PRO [79]\d{3}"), 8, "DDR5"),
    (re.compile(r"Xeon \w+ [3-9][45]\d{2}|Xeon w[79]|Xeon 6\d{3}"), 8, "DDR5"),
    (re.compile(r"Xeon \w+ [3-9]3\d{2}"), 8, "DDR4"),
    (re.compile(r"Xeon \w+ [3-9][12]\d{2}"), 6, "DDR4"),
    (re.compile(r"Xeon(?:\(R\) CPU)? E5"), 4, "DDR4"),
)
_USUAL_TRANSFERS = {"DDR5": 4.8e9, "DDR4": 2.666e9}
_ON_CARD = re.compile(r"(\d{1,4}) layers on the (?:card|GPU)", re.IGNORECASE)
_EXPERTS = re.compile(r"\bexperts? (?:in|on|to) (?:the )?(?:host|CPU)|experts in host memory", re.IGNORECASE)
_REST = re.compile(r"card is full|do(?:es)? not fit", re.IGNORECASE)


def host_of(given: object) -> Host | None:
    """The host that a case describes, None where it describes none.

    Parameters
    ----------
    given : object
        The field "host" of a case: "cpu", "memory", "memory_gb" and "offload", each perhaps absent.

    Returns
    -------
    Host or None
        What the words say.

    Examples
    --------
    >>> found = host_of({"cpu": "2 x Xeon Gold 6454S", "memory": "8 x DDR5-4800 a socket", "offload": "routed experts in host memory"})
    >>> found.channels, found.bandwidth_bytes_per_s, found.offload
    (16, 614400000000.0, 'experts')
    >>> host_of({"memory": "4-channel DDR4, 102 GB/s measured", "offload": "--n-cpu-moe 36"}).bandwidth_bytes_per_s
    102000000000.0
    """
    if not isinstance(given, Mapping):
        return None
    memory = _words(given.get("memory"))
    sockets = _sockets(_words(given.get("cpu")))
    kind, channels = _KIND.search(memory), _CHANNELS.search(memory)
    count = int(channels[1]) if channels else None
    if count is not None and re.search(r"(?:a|per|each) socket", memory):
        count = count * sockets if sockets else None
    usual_channels, usual_kind = _usual(_words(given.get("cpu")))
    transfers = float(kind[2]) * _MEGA if kind and kind[2] else _USUAL_TRANSFERS.get(kind[1].upper() if kind else usual_kind)
    if channels is None and usual_channels and sockets:
        count = usual_channels * sockets
    measured = _MEASURED.search(memory)
    bandwidth = float(measured[1]) * GB if measured else None
    if bandwidth is None and count and transfers:
        bandwidth = count * transfers * _BYTES_A_TRANSFER
    size = given.get("memory_gb")
    known = isinstance(size, int | float) and not isinstance(size, bool) and 0 < size * GB <= _MOST
    offload, layers = _offload(_words(given.get("offload")))
    return Host(
        memory_bytes=float(size) * GB if known and isinstance(size, int | float) else None,
        memory_kind=kind[1].upper() if kind else "",
        sockets=sockets,
        channels=count,
        transfers_per_s=transfers,
        bandwidth_bytes_per_s=bandwidth if bandwidth is not None and 0 < bandwidth <= _MOST else None,
        offload=offload,
        layers=layers,
    )


def host_flags(given: object) -> dict[str, Any]:
    """Flags of llama.cpp that say the same, from the words of the field "host".

    >>> host_flags({"offload": "all experts in host memory (-ncmoe 999), op offload on"}), host_flags({"offload": "routed experts in host memory"})
    ({'n_cpu_moe': 999}, {'cpu_moe': True})
    >>> host_flags({"offload": "8 layers on the card, the rest in host memory"})
    {'n_gpu_layers': 8}
    """
    if not isinstance(given, Mapping):
        return {}
    words = _words(given.get("offload"))
    found = _typed(words)
    offload, layers = _offload(words)
    if not found and offload == "experts":
        return {"cpu_moe": True}
    if offload == "layers" and layers is not None:
        found.setdefault("n_gpu_layers", layers)
    return {"fit": "on"} if offload == "rest" and not found else found


def _usual(cpu: str) -> tuple[int | None, str]:
    """Channels and kind of memory that a socket has, where its name is known."""
    plain = cpu.replace("(R)", "")
    return next(((channels, kind) for pattern, channels, kind in _PROCESSORS if pattern.search(plain)), (None, ""))


def _words(value: object) -> str:
    return value[:LONGEST_WORDS] if isinstance(value, str) else ""


def _sockets(cpu: str) -> int | None:
    """ "2 x Xeon Gold 6454S" has two; a lone name one."""
    if not cpu or cpu == "not stated":
        return None
    several = _SOCKETS.match(cpu)
    return max(int(several[1]), 1) if several else 1


def _typed(words: str) -> dict[str, Any]:
    """What of a command line, or of flags in a sentence, places weights."""
    found = launch_words(re.sub(r"[(),]", " ", words), "llama.cpp")
    return {name: found[name] for name in _PLACED if _placed(name, found.get(name))}


def _placed(name: str, value: object) -> bool:
    if name == "cpu_moe":
        return value is True
    if name == "override_tensor":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_LAYERS


def _offload(words: str) -> tuple[str, int | None]:
    """(what lies on the host, of or beside how many layers)."""
    typed = _typed(words)
    if "n_cpu_moe" in typed:
        return "expert-layers", int(typed["n_cpu_moe"])
    if "cpu_moe" in typed:
        return "experts", None
    on_card = _ON_CARD.search(words)
    if on_card:
        return "layers", int(on_card[1])
    if "n_gpu_layers" in typed and "override_tensor" not in typed and typed["n_gpu_layers"] < 99:
        return "layers", int(typed["n_gpu_layers"])
    if _EXPERTS.search(words):
        return "experts", None
    return ("rest", None) if _REST.search(words) else ("", None)
