"""Buffers that llama.cpp names, gathered by device: of the model that serves, not of a projector, a draft, or a trial load of ``--fit``.

A model's lines come in one order: weights, cache, workspace. Weights behind a workspace are another model's, a cache behind one another context's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gpusizer.engines.base.log import LogRecord
from gpusizer.units import GiB, MiB

__all__ = [
    "breakdown_begins",
    "breakdown_device",
    "breakdown_row",
    "buffer_named",
    "buffers_told",
    "cache_sized",
    "is_host",
    "is_trial",
    "of_model",
    "window_next",
]

MOST_DEVICES = 256
_HOST = re.compile(r"^(?:CPU|AMX|BLAS|ACCEL|HBM|.{1,24}_Host$)", re.IGNORECASE)
_LEAST_OF_FILE = 0.955  # all buffers together, where no line was cut out: layers that only draft are not loaded
_PROJECTOR = ("alloc_compute_meta", "reserve_compute_meta", "warmup")


@dataclass
class Buffers:
    """MiB by device, as one model and one context have them.

    Parameters
    ----------
    model, cache, state, compute : dict of str to float
        By the name of the device, or of a kind of host memory.
    caches : list of dict
        Cells, streams, size, K and V of each cache. [MiB]
    settings : dict
        What the context was made with, by the names that it prints.
    stage : int
        0 weights, 1 cache, 2 workspace; what comes at 3 belongs to others.
    """

    model: dict[str, float] = field(default_factory=dict)
    cache: dict[str, float] = field(default_factory=dict)
    state: dict[str, float] = field(default_factory=dict)
    compute: dict[str, float] = field(default_factory=dict)
    caches: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    stage: int = 0


def of_model(record: LogRecord) -> Buffers:
    """What was gathered so far."""
    found: Buffers = record.state.setdefault("buffers", Buffers())
    return found


def is_host(device: str) -> bool:
    """Whether a buffer of this name lies in the memory of the host.

    >>> is_host("CPU_Mapped"), is_host("CUDA_Host"), is_host("CUDA0"), is_host("MTL0")
    (True, True, False, False)
    """
    return _HOST.match(device) is not None


def buffer_named(match: re.Match[str], record: LogRecord) -> None:
    """ "CUDA0 KV buffer size = 741.11 MiB", with or without the function that says it. Older builds say no kind for weights."""
    if (match["_function"] or "") in _PROJECTOR:
        return
    buffers, kind = of_model(record), match["_kind"] or "model"
    device, size = match["_device"].strip(), float(match["_size"])
    device = device if is_host(device) else device.removesuffix("_Mapped")
    if kind == "model":
        _take_weights(record, buffers, device, size)
    elif kind in ("KV", "RS") or kind.startswith("DSV4"):
        if _still_own(buffers, 1):
            _add(buffers.cache if kind == "KV" else buffers.state, device, size)
    elif kind == "compute" and buffers.stage < 3:
        buffers.stage = 2
        _add(buffers.compute, device, size, add=False)


def _take_weights(record: LogRecord, buffers: Buffers, device: str, size: float) -> None:
    if buffers.stage and buffers.model:
        if not is_trial(buffers):  # a draft's, a projector's, the next model's
            buffers.stage = 3
            return
        record.state["buffers"] = buffers = Buffers()
    _add(buffers.model, device, size)


def is_trial(buffers: Buffers) -> bool:
    """Whether nothing was allocated: ``--fit`` loads a model so, to learn what it would need."""
    return not any(buffers.model.values())


def _still_own(buffers: Buffers, stage: int) -> bool:
    """Whether a line of this stage still belongs to the first context."""
    buffers.stage = 3 if buffers.stage > stage else stage
    return buffers.stage == stage


def _add(where: dict[str, float], device: str, size: float, *, add: bool = True) -> None:
    if device in where:
        where[device] = where[device] + size if add else size
    elif len(where) < MOST_DEVICES:
        where[device] = size


def cache_sized(match: re.Match[str], record: LogRecord) -> None:
    """The summary of a cache: "size = 2304.00 MiB (65536 cells, 18 layers, 4/1 seqs), K (f16): ...", and "KV self size  = ..." before."""
    buffers = of_model(record)
    if not _still_own(buffers, 1) or len(buffers.caches) >= MOST_DEVICES:
        return
    said = match.groupdict()
    found: dict[str, Any] = {name.lstrip("_"): float(said[name]) for name in ("_size", "_keys", "_values") if said.get(name) is not None}
    found |= {name.lstrip("_"): int(said[name]) for name in ("_cells", "_streams") if said.get(name) is not None}
    found |= {name.lstrip("_"): said[name] for name in ("_key_type", "_value_type") if said.get(name) is not None}
    found["recurrent"] = said.get("_recurrent") is not None
    found["window"] = record.state.pop("window_next", None)
    buffers.caches.append(found)


def window_next(match: re.Match[str], record: LogRecord) -> None:
    """Which of two caches is said next: that of all layers, or that of the layers with a window."""
    record.state["window_next"] = match["_full"] is None


def breakdown_begins(_match: re.Match[str], record: LogRecord) -> None:
    """The head of the table of memory: ``--fit`` prints one for each trial, the last one is of what ran."""
    record.state["breakdown"] = {}


def breakdown_device(match: re.Match[str], record: LogRecord) -> None:
    """The first cell of a row."""
    record.state["breakdown_device"] = match["_device"]


def breakdown_row(match: re.Match[str], record: LogRecord) -> None:
    """One device's figures in that table. [MiB]"""
    rows = record.state.setdefault("breakdown", {})
    if len(rows) < MOST_DEVICES:
        rows[record.state.get("breakdown_device", "")] = {name.lstrip("_"): int(value) for name, value in match.groupdict().items()}


def buffers_told(record: LogRecord) -> None:
    """Figures of a case: by device, the first GPU's, and, where one GPU holds all of a kind, in GiB."""
    buffers = of_model(record)
    _weights_told(record, buffers)
    _cache_told(record, buffers)
    by_device = _named(buffers.compute)
    if by_device:
        record.put("compute_buffer_mib_by_device", by_device)
        own = [size for device, size in by_device.items() if not is_host(device)] or list(by_device.values())
        record.put("compute_buffer_mib", own[0])
        host = [size for device, size in by_device.items() if is_host(device)]
        if host:
            record.put("cpu_compute_buffer_mib", round(sum(host), 2))
    _breakdown_told(record, list(record.state.get("breakdown", {}).values()), alone=not buffers.model)


def _breakdown_told(record: LogRecord, rows: list[dict[str, int]], *, alone: bool) -> None:
    """All devices of the table together; where no buffer was named it stands in for them, if there is one device."""
    if rows:
        record.put("total_mib", sum(row["total"] for row in rows))
        record.put("self_mib", sum(row["self"] for row in rows))
    if len(rows) == 1 and alone:
        record.put("weights_gib_per_gpu", round(rows[0]["model"] * MiB / GiB, 4))
        record.put("kv_gib_per_gpu", round(rows[0]["context"] * MiB / GiB, 4))
        record.put("compute_buffer_mib", rows[0]["compute"])


def _named(sizes: dict[str, float]) -> dict[str, float]:
    """Without addresses of machines, where that leaves one name for each."""
    short = [device.partition("[")[0] for device in sizes]
    return dict(zip(short if len({*short}) == len(short) else sizes, (round(size, 2) for size in sizes.values()), strict=True))


def _weights_told(record: LogRecord, buffers: Buffers) -> None:
    gpus = {device: size for device, size in buffers.model.items() if not is_host(device)}
    host = [size for device, size in buffers.model.items() if is_host(device)]
    if not buffers.model:
        return
    record.put("model_buffer_mib_by_device", _named(gpus))
    whole_gib = record.launch.get("checkpoint_gib", 0.0)
    if host and sum(buffers.model.values()) * MiB >= _LEAST_OF_FILE * whole_gib * GiB:
        record.put("cpu_model_buffer_mib", round(sum(host), 2))
    if len(gpus) == 1:
        record.put("weights_gib_per_gpu", round(sum(gpus.values()) * MiB / GiB, 4))


def _cache_told(record: LogRecord, buffers: Buffers) -> None:
    if buffers.cache:
        record.put("kv_buffer_mib_by_device", _named(buffers.cache))
    if buffers.state:
        record.put("rs_buffer_mib_by_device", _named(buffers.state))
    gpus = [size for device, size in buffers.cache.items() if not is_host(device)]
    if len(gpus) == 1 and not buffers.state:
        record.put("kv_gib_per_gpu", round(gpus[0] * MiB / GiB, 4))
    caches = [each for each in buffers.caches if not each["recurrent"]]
    if caches:
        _caches_told(record, caches)
    elif buffers.cache:
        record.put("kv_total_mib", round(sum(buffers.cache.values()), 2))
    cells = [each["cells"] * each.get("streams", 1) for each in caches if "cells" in each and not each["window"]]
    if cells and "n_ctx" not in buffers.settings:
        record.put("kv_tokens", max(cells))


def _caches_told(record: LogRecord, caches: list[dict[str, Any]]) -> None:
    """All caches of a model together: of all layers, of those with a window, of an indexer."""
    record.put("kv_total_mib", round(sum(each["size"] for each in caches), 2))
    for name, part in (("k_gib", "keys"), ("v_gib", "values")):
        if any(part in each for each in caches):
            record.put(name, round(sum(each.get(part, 0.0) for each in caches) * MiB / GiB, 4))
    for name, window in (("kv_full_mib", False), ("kv_swa_mib", True)):
        sizes = [each["size"] for each in caches if each["window"] is window]
        if sizes:
            record.put(name, round(sum(sizes), 2))
    types = [(each.get("key_type"), each.get("value_type")) for each in caches if "key_type" in each]
    if types:
        keys, values = types[0]
        record.put("kv_cache_dtype", keys if values in (None, keys) else f"K={keys},V={values}")
        record.flags.setdefault("cache_type_k", keys)
        if values is not None:
            record.flags.setdefault("cache_type_v", values)
