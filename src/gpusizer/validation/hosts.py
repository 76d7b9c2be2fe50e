"""Host memory of a measured run and what lies in it, from free words: "8 x DDR5-4800 a socket", "--n-cpu-moe 36", "routed experts in host memory"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.facts.hosts import channels_bytes_per_s, memory_said, platform_of, sockets_said
from gpusizer.performance.types import Host
from gpusizer.units import GB
from gpusizer.validation.command_lines import launch_words

__all__ = ["host_flags", "host_of"]

LONGEST_WORDS = 4_000
_MOST = 1e15  # bytes, and bytes a second: no host has more
_MOST_LAYERS = 1 << 20
_PLACED = ("n_cpu_moe", "cpu_moe", "n_gpu_layers", "override_tensor")
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
    cpu, memory = _words(given.get("cpu")), memory_said(_words(given.get("memory")))
    sockets = None if cpu == "not stated" else sockets_said(cpu)
    platform = platform_of(cpu)
    count = memory.channels
    if count is not None and memory.each_socket:
        count = count * sockets if sockets else None
    if memory.channels is None and platform and sockets:
        count = platform.channels * sockets
    transfers = memory.transfers_per_s or (platform.usual_transfers_per_s if platform and memory.kind in ("", platform.kind) else None)
    bandwidth = memory.measured_bytes_per_s
    if bandwidth is None and count and transfers:
        bandwidth = channels_bytes_per_s(count, transfers)
    size = given.get("memory_gb")
    known = isinstance(size, int | float) and not isinstance(size, bool) and 0 < size * GB <= _MOST
    offload, layers = _offload(_words(given.get("offload")))
    return Host(
        memory_bytes=float(size) * GB if known and isinstance(size, int | float) else None,
        memory_kind=memory.kind,
        sockets=sockets,
        channels=count,
        transfers_per_s=transfers,
        bandwidth_bytes_per_s=bandwidth if bandwidth is not None and 0 < bandwidth <= _MOST else None,
        offload=offload,
        layers=layers,
        pcie_generation=platform.pcie_generation if platform else None,
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
    return found


def _words(value: object) -> str:
    return value[:LONGEST_WORDS] if isinstance(value, str) else ""


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
