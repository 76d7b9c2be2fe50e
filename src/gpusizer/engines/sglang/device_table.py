"""What SGLang asks of a device, as columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gpusizer.engines.base.band import Band
from gpusizer.engines.base.device_table import LINE_FIGURES, DeviceClass, Devices, line_figures, looked_line
from gpusizer.engines.base.kinds import Kinds
from gpusizer.engines.base.margins import MARGIN, device_margin
from gpusizer.engines.base.sheet import DeviceLookup, Written
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.sglang.defaults import (
    captures_prefill,
    decode_graph_sizes,
    is_ascend,
    prefill_graph_limit,
    prefill_graph_sizes,
    steps_by_memory,
)
from gpusizer.engines.sglang.engine import ENGINE
from gpusizer.engines.sglang.record import DeviceRecord, communicators, decode_graph_price, device_record, graph_pool_mib, joined_line
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import where
from gpusizer.units import MiB

__all__ = ["ClassRecord", "SglangDevices", "looked_device"]

_LINES = ("driver_reserved", "device_context", "system_memory", "late_workspace")
_BAND = ("bytes", "below", "above")
_PLAIN_KINDS = Kinds(latent=False, sparse=False, compressed=False, states=False, windows=False, towers=False, channel_gates=False)


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """What the engine chooses for a class of devices where the operator says nothing; graphs by whether fewer than four ranks share one."""

    tokens: Any  # of a prefill step
    few_limit: Any  # largest captured batch
    many_limit: Any
    few_graphs: Any
    many_graphs: Any
    prefill_graphs: Any
    latent_graphs: Any  # the same of latent attention
    alone_bytes: Any  # of a graph and layer, on one GPU and on several
    joined_bytes: Any
    pool_bytes: Any  # that graphs share
    captures: Any  # 1 where prefill steps are captured at all
    process: Any  # 1 where the engine reads from the process how large the device is, not from the driver's tool


class SglangDevices(Devices):
    """All devices and their classes."""

    def class_of(self, accelerator: Accelerator) -> DeviceClass:
        """The class of a device; vendor and capability decide on formats of the cache and on pages."""
        start = self.start(accelerator)
        _, chunk, few, many = steps_by_memory(accelerator, start.version)
        captured = captures_prefill(Deployment("", accelerator.id), _PLAIN_KINDS, accelerator, start.version)
        few_graphs, many_graphs = (decode_graph_sizes(limit, drafts=False) for limit in (few, many))
        alone, joined = (decode_graph_price(accelerator, gpus)[0] * MiB for gpus in (1, 2))
        limits = (prefill_graph_limit(replace(_PLAIN_KINDS, latent=latent), chunk, start.version) for latent in (False, True))
        plain, latent_graphs = (prefill_graph_sizes(limit) for limit in limits)
        pool = graph_pool_mib(accelerator, exchanges=False) * MiB
        reads = int(is_ascend(accelerator))
        record = ClassRecord(chunk, few, many, few_graphs, many_graphs, plain, latent_graphs, alone, joined, pool, int(captured), reads)
        return DeviceClass(record, ENGINE.cut(start).paddings, accelerator.vendor == "AMD", (accelerator.vendor, start.capability))

    def columns(self) -> Written:
        """What the table of devices holds beside words: a row each."""
        rows = []
        for accelerator, number in zip(self.accelerators, self.numbers, strict=True):
            found = device_record(self.start(accelerator))
            bands = [(band.bytes, band.below, band.above) for band in communicators(accelerator)]
            lines = line_figures((*found.before_weights, *found.beside), *_LINES)
            margin = device_margin(ENGINE.id, accelerator)
            rows.append(
                [accelerator.memory_bytes, number + 1, margin.below, margin.above, *lines, *(size or None for band in bands for size in band)]
            )
        names = [f"{id}_{name}" for id in _LINES for name in LINE_FIGURES]
        names += [f"{part}_{name}" for part in ("together", "each") for name in _BAND]
        return [(name, 1) for name in ("memory", "class", *MARGIN, *names)], rows


def looked_device(get: DeviceLookup, gpus: Any) -> DeviceRecord:
    """The record of devices as their columns say, for replicas of so many GPUs."""
    together, each = (Band(*(get(f"{part}_{name}") for name in _BAND)) for part in ("together", "each"))
    several = where(gpus > 1, 1, 0)
    joined = joined_line(Band(*(size * several for size in (together.bytes, together.below, together.above))), each, gpus - 1)
    driver, context, system, workspace = (looked_line(get, id) for id in _LINES)
    return DeviceRecord(get("memory"), (driver, context, joined, system), (workspace,))
