"""How llama.cpp was started, as its log tells: the build, the file, the devices, and what its context was made with."""

from __future__ import annotations

import re
from collections import Counter

from gpusizer.engines.base.log import LogRecord
from gpusizer.engines.llama_cpp.log_buffers import Buffers, is_host, is_trial, of_model

__all__ = [
    "built",
    "device_free",
    "device_listed",
    "flash_settled",
    "fork_seen",
    "layers_offloaded",
    "model_file",
    "model_named",
    "setting",
    "start_told",
]

FORK = "ik_llama.cpp"
_OLDEST_BUILD = 500  # lower numbers are those of packagers who build from one commit
_MOST_DEVICES = 256
_DRIVER = re.compile(r" \((?:RADV|AMD proprietary|NVIDIA)\b.*\)$")  # behind the card's name
_BLOB = re.compile(r"sha256[-:]")  # Ollama's files have no name
_ON = {"1": "on", "0": "off", "enabled": "on", "disabled": "off", "auto": "auto", "true": "on", "false": "off"}
_FLAGS = {"n_ctx": "ctx_size", "n_batch": "batch_size", "n_ubatch": "ubatch_size", "n_seq_max": "parallel", "mla_attn": "mla", "attn_max_b": "amb"}


def built(match: re.Match[str], record: LogRecord) -> None:
    """Number of the build."""
    if int(match["_build"]) >= _OLDEST_BUILD:
        record.state.setdefault("build", match["_build"])


def fork_seen(_match: re.Match[str], record: LogRecord) -> None:
    """Words that only the fork prints."""
    record.state["fork"] = True


def model_file(match: re.Match[str], record: LogRecord) -> None:
    """The file that is loaded first; its folder is nobody's business."""
    name = re.split(r"[/\\]", match["_path"].strip("'\" "))[-1]
    if name and not _BLOB.match(name):
        record.state.setdefault("file", name)


def model_named(match: re.Match[str], record: LogRecord) -> None:
    """The name inside of the file."""
    if match["_name"].strip() not in ("", "n/a"):
        record.state.setdefault("name", match["_name"].strip())


def device_listed(match: re.Match[str], record: LogRecord) -> None:
    """A device that the build sees."""
    devices = record.state.setdefault("devices_seen", {})
    if len(devices) < _MOST_DEVICES:
        devices.setdefault(match.groupdict().get("_index") or "0", match["_name"].strip())


def device_free(match: re.Match[str], record: LogRecord) -> None:
    """A device that the model uses, and what is free on it."""
    devices = record.state.setdefault("devices_used", {})
    if len(devices) < _MOST_DEVICES:
        devices.setdefault(match["_device"], (match["_name"].strip(), int(match["_free"])))


def layers_offloaded(match: re.Match[str], record: LogRecord) -> None:
    """ "offloaded 62/62 layers to GPU" of the model that serves."""
    buffers = of_model(record)
    if buffers.stage == 0 or is_trial(buffers):
        record.put("layers_offloaded", f"{int(match['_layers'])}/{int(match['_all'])}", "last")
        record.flags["n_gpu_layers"] = int(match["_layers"])


def setting(name: str, match: re.Match[str], record: LogRecord) -> None:
    """One line of what a context was made with."""
    of_model(record).settings.setdefault(name, match["_value"])
    if name in ("mla_attn", "attn_max_b", "fused_moe"):
        fork_seen(match, record)


def flash_settled(match: re.Match[str], record: LogRecord) -> None:
    """What "auto" came to."""
    of_model(record).settings["flash_attn"] = match["_value"]


def start_told(record: LogRecord) -> None:
    """Fields of a case and flags."""
    build, fork = record.state.get("build"), "fork" in record.state
    if fork:
        record.flags.setdefault("fork", FORK)
        record.put("engine_version", f"{FORK} fork" + (f", build {build}" if build else ""))
    elif build:
        record.put("engine_version", f"b{build}")
    model = record.state.get("file") or record.state.get("name")
    if model:
        record.put("model", model)
    _devices(record)
    buffers = record.state.get("buffers")
    if buffers is not None:
        _settings(record, buffers)


def _devices(record: LogRecord) -> None:
    used = record.state.get("devices_used", {})
    names = [name for name, _ in used.values()] or list(record.state.get("devices_seen", {}).values())
    buffers = [device for device in of_model(record).model if not is_host(device)]
    if not names:  # some builds name a buffer by its card, others by a number
        names = [device for device in buffers if " " in device]
        numbered = [device for device in buffers if device[-1].isdigit()]
        if numbered and not names:
            record.put("gpu_count", len(numbered))
    names = [_DRIVER.sub("", name) for name in names]
    if names:
        record.put("gpu", " + ".join(name if count == 1 or len({*names}) == 1 else f"{name} x{count}" for name, count in Counter(names).items()))
        record.put("gpu_count", len(names))
    if used:
        record.put("free_mib_by_device", {device: free for device, (_, free) in used.items()})


def _settings(record: LogRecord, buffers: Buffers) -> None:
    said = buffers.settings
    for name, flag in _FLAGS.items():
        if name in said and said[name].isdigit():
            record.flags.setdefault(flag, int(said[name]))
    if said.get("flash_attn") in _ON:
        record.flags.setdefault("flash_attn", _ON[said["flash_attn"]])
    if said.get("kv_unified") == "true":
        record.flags.setdefault("kv_unified", True)
    if said.get("fused_moe") == "1":
        record.flags.setdefault("fmoe", True)
    for name, fields in (("n_ctx", ("context_len", "kv_tokens")), ("n_seq_max", ("max_running_requests",)), ("n_ubatch", ("n_ubatch",))):
        for each in fields:
            if said.get(name, "").isdigit():
                record.put(each, int(said[name]))
