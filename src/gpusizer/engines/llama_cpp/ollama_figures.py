"""Figures of what Ollama's own lines say: sizes by device in binary units of its choice, the runner's command, and its settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gpusizer.engines.base.log import LogRecord, bytes_in
from gpusizer.engines.llama_cpp.log import finish as finish_runner
from gpusizer.engines.llama_cpp.log_buffers import is_host, of_model
from gpusizer.units import GiB, MiB

__all__ = [
    "any_reason",
    "device_found",
    "environment",
    "finish",
    "layers_planned",
    "model_opened",
    "planned",
    "request",
    "runner",
    "size_told",
    "total_told",
]

_MOST_DEVICES = 256
_PAIR = re.compile(r"(\w{1,40})=(\"[^\"]{0,200}\"|\S{1,200})")
_SETTING = re.compile(r"(OLLAMA_\w{1,40}):(\S{0,200})")
_FLAG = re.compile(r"(?<!\S)--?(ctx-size|c|parallel|np|cache-type-k|kv-cache-type|flash-attn)(?:[ =]([^\s-]\S{0,40}))?(?!\S)")
_REQUEST = re.compile(r"\b(Parallel|FlashAttention|KvSize|KvCacheType):(\w{0,24})")
_NO_ROOM = re.compile(r"out of memory|out-of-memory|unable to allocate|failed to allocate|cudaMalloc", re.IGNORECASE)
_OFF = ("", "0", "false", "disabled", "off", "auto")
_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "OLLAMA_CONTEXT_LENGTH": ("num_ctx", int),
    "OLLAMA_NUM_PARALLEL": ("num_parallel", int),
    "OLLAMA_GPU_OVERHEAD": ("gpu_overhead", int),
    "OLLAMA_KV_CACHE_TYPE": ("kv_cache_type", str),
    "OLLAMA_FLASH_ATTENTION": ("flash_attention", lambda value: True),
}


def any_reason(match: re.Match[str], record: LogRecord) -> None:
    """Why a load failed: memory, or something else."""
    record.state["no_room" if _NO_ROOM.search(match["_reason"]) else "refused"] = True


def environment(match: re.Match[str], record: LogRecord) -> None:
    """Its settings as it took them; those that say nothing are not set."""
    for name, value in _SETTING.findall(match["_environment"]):
        if name in _SETTINGS and value.lower() not in _OFF:
            flag, read = _SETTINGS[name]
            if read is not int or value.isdigit():
                record.state.setdefault("environment", {}).setdefault(flag, read(value))


def device_found(match: re.Match[str], record: LogRecord) -> None:
    """A device that it found; with none it says the processor."""
    said = {name: value.strip('"') for name, value in _PAIR.findall(match["_said"])}
    devices = record.state.setdefault("devices_seen", {})
    if said.get("library", "cpu").lower() != "cpu" and len(devices) < _MOST_DEVICES:
        devices.setdefault(said.get("id", str(len(devices))), said.get("description") or said.get("name", ""))


def runner(match: re.Match[str], record: LogRecord) -> None:
    """The command of the process that runs the model; a context is that of all requests together."""
    said = {name: value or "on" for name, value in _FLAG.findall(match["_cmd"].rstrip('"'))}
    context = said.get("ctx-size") or said.get("c")
    if context:
        record.state["asked"] = {
            "context": context,
            "parallel": said.get("parallel") or said.get("np", "1"),
            "type": said.get("cache-type-k") or said.get("kv-cache-type", ""),
            "flash": said.get("flash-attn", ""),
        }


def request(match: re.Match[str], record: LogRecord) -> None:
    """The same where its own engine runs the model."""
    said = dict(_REQUEST.findall(match["_said"]))
    if "KvSize" in said:
        record.state["asked"] = {
            "context": said["KvSize"],
            "parallel": said.get("Parallel", "1"),
            "type": said.get("KvCacheType", ""),
            "flash": said.get("FlashAttention", ""),
        }


def planned(match: re.Match[str], record: LogRecord) -> None:
    """The context that it takes by the memory that it found."""
    record.state["default_context"] = int(match["_tokens"])


def model_opened(match: re.Match[str], record: LogRecord) -> None:
    """The name inside of the file."""
    name = match["_name"].strip('"')
    if name:
        record.state.setdefault("name", name)


def layers_planned(match: re.Match[str], record: LogRecord) -> None:
    """What its estimate puts on GPUs."""
    record.state["planned_layers"] = f"{int(match['_layers'])}/{int(match['_all'])}"


def size_told(match: re.Match[str], record: LogRecord) -> None:
    """A share of one device; lines up to the total belong together, and the last such group holds."""
    if record.state.pop("group_ended", False):
        record.state.pop("sizes", None)
    sizes = record.state.setdefault("sizes", {}).setdefault(match["_what"], {})
    if len(sizes) < _MOST_DEVICES:
        sizes[match["_device"]] = bytes_in(float(match["_size"]), match["_unit"])


def total_told(match: re.Match[str], record: LogRecord) -> None:
    """All devices together."""
    record.state["group_ended"] = True
    record.state["total_bytes"] = bytes_in(float(match["_size"]), match["_unit"])


def finish(record: LogRecord) -> None:
    """What llama.cpp's lines tell, which are exact; then what only Ollama's own tell."""
    finish_runner(record)
    _sizes(record)
    if "planned_layers" in record.state:
        record.put("layers_offloaded", record.state["planned_layers"])
    _settings(record)
    if record.outcome == "unknown" and record.state.keys() & {"no_room", "refused"}:
        record.outcome = "out-of-memory" if "no_room" in record.state else "refused"


def _sizes(record: LogRecord) -> None:
    sizes: dict[str, dict[str, float]] = record.state.get("sizes", {})
    for what, name in (("model weights", "weights_gib_per_gpu"), ("kv cache", "kv_gib_per_gpu")):
        gpus = [size for device, size in sizes.get(what, {}).items() if not is_host(device)]
        if len(gpus) == 1:
            record.put(name, round(gpus[0] / GiB, 3))
    host = [size for device, size in sizes.get("model weights", {}).items() if is_host(device)]
    if host:
        record.put("cpu_weights_gib", round(sum(host) / GiB, 3))
    if "kv cache" in sizes:
        record.put("kv_total_gib", round(sum(sizes["kv cache"].values()) / GiB, 3))
    elif "kv_total_mib" in record.measured:
        record.put("kv_total_gib", round(record.measured["kv_total_mib"] * MiB / GiB, 3))
    graphs = [size for device, size in sizes.get("compute graph", {}).items() if not is_host(device)]
    if graphs:
        record.put("compute_buffer_mib", round(graphs[0] / MiB, 2))
    if "total_bytes" in record.state:
        record.put("total_gib", round(record.state["total_bytes"] / GiB, 3))


def _settings(record: LogRecord) -> None:
    """Its own names for what its runner was told; that a context is shared among requests is told by the runner alone."""
    asked, said = record.state.get("asked", {}), of_model(record).settings
    layers = record.flags.get("n_gpu_layers")
    record.flags.clear()
    whole = said.get("n_ctx") or asked.get("context", "")
    parallel = said.get("n_seq_max") or asked.get("parallel", "1")
    if whole.isdigit() and parallel.isdigit() and int(parallel):
        record.flags |= {"num_ctx": int(whole) // int(parallel), "num_parallel": int(parallel)}
        record.launch["context_len"] = int(whole) // int(parallel)
    cache = asked.get("type") or record.launch.get("kv_cache_dtype", "")
    if cache:
        record.flags["kv_cache_type"] = cache
        record.put("kv_cache_dtype", cache)
    if asked.get("flash", "").lower() not in _OFF or said.get("flash_attn") in ("1", "enabled"):
        record.flags["flash_attention"] = True
    if layers is not None:
        record.flags["n_gpu_layers"] = layers
    for name, value in record.state.get("environment", {}).items():
        record.flags.setdefault(name, value)
    if "default_context" in record.state:
        record.flags.setdefault("num_ctx", record.state["default_context"])
