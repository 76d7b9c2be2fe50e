"""How SGLang was launched, as its log tells: the arguments that it prints whole, and the limits of its last line."""

from __future__ import annotations

import re
from typing import Any

from gpusizer.engines.base.flag import Effect
from gpusizer.engines.base.log import LogRecord, number_of
from gpusizer.engines.base.log_values import printed_items, printed_value
from gpusizer.engines.sglang.flags import FLAGS

__all__ = ["cache_type", "device_of_kernels", "free_in_the_end", "limits", "server_arguments"]

_FIELDS = {
    "model_path": "model",
    "tp_size": "tp",
    "pp_size": "pp",
    "dp_size": "dp",
    "ep_size": "ep",
    "dtype": "dtype",
    "quantization": "quantization",
    "kv_cache_dtype": "kv_cache_dtype",
    "context_length": "context_len",
    "max_running_requests": "max_running_requests",
    "chunked_prefill_size": "chunked_prefill_size",
    "mem_fraction_static": "mem_fraction_static",
    "page_size": "block_size",
    "disable_cuda_graph": "enforce_eager",
}
_KNOWN = frozenset({flag.name for flag in FLAGS if flag.effect is not Effect.NOTHING})
_LIMITS = {"context_len": "context_len", "chunked_prefill_size": "chunked_prefill_size", "max_running_requests": "max_running_requests"}
_OF_MANY = re.compile(r"\bDP\d")
_NUMBER = re.compile(r"\b([a-z_]{4,32})=(-?\d{1,12})\b")


def server_arguments(match: re.Match[str], record: LogRecord) -> None:
    """Every argument that is set: fields of a case, and flags by their names."""
    for name, printed in printed_items(match["_args"].replace("...", "")):
        value = printed_value(printed)
        if value in (None, False, "", "auto") and name != "kv_cache_dtype":
            continue
        if name in _FIELDS:
            record.put(_FIELDS[name], value)
        if name in _KNOWN and _is_plain(value):
            record.flags.setdefault(name, value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) or (isinstance(value, list) and all(isinstance(each, int | str) for each in value))


def limits(match: re.Match[str], record: LogRecord) -> None:
    """The last line before it serves: what the pool holds, and the limits with which it will run. They are those of one rank of data parallelism."""
    record.state.setdefault("final_tokens", number_of(match["_tokens"].rstrip(",")))
    said = {name: int(number) for name, number in _NUMBER.findall(match["_rest"])}
    if "max_running_requests" in said:
        record.put("max_running_requests_rank", said["max_running_requests"])
    shared = record.launch.get("dp", 1) == 1 and not _OF_MANY.search(match.string, max(0, match.start() - 60), match.start())
    for name, fields in _LIMITS.items():
        if name in said and (name != "max_running_requests" or shared):
            record.put(fields, said[name])


def cache_type(match: re.Match[str], record: LogRecord) -> None:
    """The type of the cache, by the word of the flag."""
    record.put("kv_cache_dtype", match["_type"].removesuffix("uz").removesuffix("fn").replace("float8", "fp8"))


def free_in_the_end(match: re.Match[str], record: LogRecord) -> None:
    """What is left on a rank when all is allocated."""
    record.state.setdefault("free_in_the_end", float(match["_free"]))


def device_of_kernels(match: re.Match[str], record: LogRecord) -> None:
    """The name of the card in the file of a kernel's settings."""
    record.put("gpu", match["_device"].replace("_", " "))
