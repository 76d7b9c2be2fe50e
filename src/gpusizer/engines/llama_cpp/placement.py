"""Where llama.cpp puts each layer, its experts, the embedding and the output: on one of the GPUs or on the host."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.weights import ROUTED, Cut, WeightTable, routed_block, weight_table
from gpusizer.engines.llama_cpp.options import OUTPUT_FIRST_FROM, Options

__all__ = ["HOST", "Placement", "head_bytes", "place", "weights_by_device"]

HOST = -1
_WHOLE = Cut(vocabulary_multiple=1)  # a GGUF file pads no vocabulary
_ON_HOST = frozenset({"embedding", "per_layer_embedding"})  # looked up on the processor


@dataclass(frozen=True)
class Placement:
    """Which device holds what.

    Parameters
    ----------
    devices : int
        GPUs.
    layer : tuple of int
        Device of each decoder layer, ``HOST`` for the processor.
    experts : tuple of int
        Device of the routed experts of each layer, for dense layers that of the layer.
    output : int
        Device of the output.
    overridden : bool
        Single tensors were placed by the operator.
    """

    devices: int
    layer: tuple[int, ...]
    experts: tuple[int, ...]
    output: int
    overridden: bool

    @property
    def all_offloaded(self) -> bool:
        """Every layer and the output are on GPUs."""
        return self.output != HOST and HOST not in self.layer

    def holds_layers(self, device: int) -> tuple[int, ...]:
        """Layers of a device."""
        return tuple(index for index, place in enumerate(self.layer) if place == device)


def place(architecture: Architecture, options: Options, memories: Sequence[int]) -> Placement:
    """Share out the layers: by ``tensor_split``, else by memory; the last ``n_gpu_layers`` of them and the output.

    Parameters
    ----------
    architecture : Architecture
        The model.
    options : Options
        The start.
    memories : sequence of int
        Memory of each GPU. [bytes]

    Returns
    -------
    Placement
        Device of everything.
    """
    count, layers = len(memories), len(architecture.layers)
    offloaded = min(options.gpu_layers, layers + 1) if count else 0
    if offloaded == 0:
        everywhere = (HOST,) * layers
        return Placement(count, everywhere, everywhere, HOST, False)
    shares = [*options.shares[:count], *([0.0] * (count - len(options.shares)))] if options.shares else [float(size) for size in memories]
    if sum(shares) <= 0:
        shares = [1.0] * count
    bounds = [bound / sum(shares) for bound in accumulate(shares)]
    output_first = not options.fork and options.build >= OUTPUT_FIRST_FROM
    first = max(layers + 1 - offloaded, 0) if output_first else max(layers - offloaded, 0)

    def device(index: int) -> int:
        return min(bisect_right(bounds, (index - first) / offloaded), count - 1)

    where = tuple(HOST if index < first else device(index) for index in range(layers))
    output = device(layers) if output_first or offloaded > layers else HOST
    experts, overridden = _experts(architecture, options, where, count)
    return Placement(count, where, experts, output, overridden)


def _experts(architecture: Architecture, options: Options, where: Sequence[int], count: int) -> tuple[tuple[int, ...], bool]:
    found = list(where)
    moved = False
    for index, layer in enumerate(architecture.layers):
        if routed_block(layer) is None:
            continue
        wishes = [_override(options.overrides, f"blk.{index}.ffn_{part}_exps.weight", count) for part in ("gate", "up", "down")]
        wish = max(wishes, key=lambda place: (wishes.count(place), place is not None)) if options.overrides else None  # most of the three
        if wish is None and index < options.host_expert_layers:
            wish = HOST
        if wish is not None and wish != found[index]:
            found[index], moved = wish, True
    return tuple(found), moved or bool(options.overrides)


def _override(overrides: Sequence[tuple[str, str]], name: str, count: int) -> int | None:
    for pattern, buffer in overrides:
        try:
            hit = re.search(pattern, name)
        except re.error:
            continue
        if hit:
            number = re.search(r"\d{1,3}$", buffer)
            return min(int(number[0]), count - 1) if number and not buffer.upper().startswith("CPU") else HOST
    return None


def weights_by_device(architecture: Architecture, placement: Placement, options: Options) -> dict[int, dict[str, int]]:
    """Stored bytes of each device (``HOST`` among them) by parameter group.

    A tied output is a second copy of the embedding on the device of the output; multi-token prediction and towers are not loaded here.
    """
    table: WeightTable = weight_table(architecture)
    devices: dict[int, dict[str, int]] = {number: {} for number in (HOST, *range(placement.devices))}

    def add(device: int, group: str, size: int) -> None:
        devices[device][group] = devices[device].get(group, 0) + size

    for index, kind in enumerate(table.kind_of):
        for group, size in table.layer_bytes(kind, _WHOLE).items():
            add(placement.experts[index] if group == ROUTED else placement.layer[index], group, size)
    none = range(0)
    outside = table.stage_bytes(none, _WHOLE, first=True, last=False, tied=False, towers=False)
    for group, size in outside.items():
        add(HOST if group in _ON_HOST else placement.output, group, size)
    for group, size in table.stage_bytes(none, _WHOLE, first=False, last=True, tied=architecture.tied_head).items():
        add(placement.output, "lm_head" if group == "embedding" else group, size)
    if options.by_rows and placement.devices > 1:
        return _spread(devices, placement, options)
    return devices


def _spread(devices: dict[int, dict[str, int]], placement: Placement, options: Options) -> dict[int, dict[str, int]]:
    """Matrices cut over all GPUs by their shares."""
    count = placement.devices
    shares = [*options.shares[:count], *([0.0] * (count - len(options.shares)))] if options.shares else [1.0] * count
    total: dict[str, int] = {}
    for device in range(count):
        for group, size in devices[device].items():
            total[group] = total.get(group, 0) + size
    spread = {device: {group: round(size * shares[device] / sum(shares)) for group, size in total.items()} for device in range(count)}
    return {HOST: devices[HOST], **spread}


def head_bytes(architecture: Architecture) -> int:
    """Stored bytes of the output matrix, or of the embedding that stands in for it. [bytes]"""
    table = weight_table(architecture)
    groups = table.stage_bytes(range(0), _WHOLE, first=False, last=True, tied=architecture.tied_head)
    return groups.get("lm_head", 0) or groups.get("embedding", 0)
