"""What this machine holds: GPUs as the catalogue names them, memory of the host, its processors; and what could not be told.

Tools of drivers are asked and files of the kernel are read. A stranger never asks: this is for the command line of the machine itself.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from gpusizer.detect.naming import Untold, identify
from gpusizer.detect.readers import (
    Seen,
    amd_cards,
    apple_machine,
    ascend_chips,
    board,
    memory_bytes,
    mig_slices,
    nvidia_cards,
    pci_displays,
    processors,
    rocm_cards,
    whole,
)
from gpusizer.detect.tools import Tools, beginning
from gpusizer.facts.hosts import sockets_said
from gpusizer.facts.types import Accelerator
from gpusizer.units import MiB

__all__ = ["Detected", "Seen", "Untold", "detect", "identify"]


class Detected(NamedTuple):
    """What a machine holds.

    Parameters
    ----------
    gpus : tuple of (str, int)
        Ids of the catalogue, with how many of each.
    host_memory_bytes : int or None
        Memory of the host, or the part that a container may use; None where it is not told. [bytes]
    cpu : str
        Name of its processors, led by their number where there are several ("2 x AMD EPYC 9654 ..."); empty where it is not told.
    untold : tuple of Untold
        What could not be told.
    """

    gpus: tuple[tuple[str, int], ...]
    host_memory_bytes: int | None
    cpu: str
    untold: tuple[Untold, ...]

    @property
    def sockets(self) -> int | None:
        """How many processors there are."""
        return sockets_said(self.cpu)


def detect(root: Path = Path("/"), path: str | None = None) -> Detected:
    """What this machine holds.

    Parameters
    ----------
    root : Path
        Where the files of the kernel stand.
    path : str, optional
        Folders in which tools are looked for; by default those of ``PATH``.

    Returns
    -------
    Detected
        With all that could be told, and what could not.
    """
    tools = Tools(os.environ.get("PATH", "") if path is None else path)
    mac = apple_machine(tools.answer("system_profiler", "SPHardwareDataType", "-json"))
    host = mac.memory_bytes if mac else memory_bytes(beginning(root, "proc/meminfo"), beginning(root, "sys/fs/cgroup/memory.max"))
    cards, untold = ([mac.gpu], []) if mac else _cards(tools, root)
    on_bus = [] if cards or untold else pci_displays(tools.answer("lspci"))
    found = [identify(each, host) for each in (*cards, *on_bus)]
    untold += [each for each in found if isinstance(each, Untold)]
    known = [each for each in found if isinstance(each, Accelerator)]
    if on_bus and known:
        untold.append(Untold("no-driver-tool", {"gpus": sorted({each.id for each in known})}))
    if not found and not untold:
        untold.append(Untold("no-gpu-found", {}))
    if limit := whole(tools.answer("sysctl", "-n", "iogpu.wired_limit_mb"), MiB) if mac else None:
        untold.append(Untold("gpu-share-set", {"memory_bytes": limit}))
    if host is None:
        untold.append(Untold("host-memory-untold", {}))
    untold += [Untold("tool-failed", {"tool": tool}) for tool in tools.failed]
    distinct = {json.dumps(each, sort_keys=True): each for each in untold}
    gpus = Counter(each.id for each in known)
    return Detected(tuple(gpus.items()), host, processors(beginning(root, "proc/cpuinfo")), tuple(distinct.values()))


def _cards(tools: Tools, root: Path) -> tuple[list[Seen], list[Untold]]:
    """What drivers name, cards that are split into slices apart; of a Jetson what its board says, as its driver calls all of them Orin or Thor."""
    model = board(beginning(root, "proc/device-tree/model"))
    if model:
        return [model], []
    cards = nvidia_cards(tools.answer("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"))
    split = mig_slices(tools.answer("nvidia-smi", "-L")) if cards else {}
    seen = [card for at, card in enumerate(cards) if at not in split]
    radeons = amd_cards(tools.answer("amd-smi", "static", "--asic", "--vram", "--json"))
    seen += radeons or rocm_cards(tools.answer("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json"))
    seen += ascend_chips(tools.answer("npu-smi", "info"))
    return seen, [Untold("gpu-split", {"name": cards[at].name, "slices": parts}) for at, parts in split.items() if at < len(cards)]
