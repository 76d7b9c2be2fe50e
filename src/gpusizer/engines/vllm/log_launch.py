"""What vLLM's log tells of how it was launched: version, arguments, resolved configuration, ranks, devices.

Templates of: vllm/entrypoints/openai/api_server.py, vllm/entrypoints/utils.py, vllm/v1/engine/core.py, vllm/engine/llm_engine.py,
vllm/config, vllm/distributed/parallel_state.py, vllm/model_executor/layers/fused_moe, of 0.6 to 0.33.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.engines.base.log import LogPattern, LogRecord
from gpusizer.engines.base.log_common import command_pattern, listed_command_pattern
from gpusizer.engines.base.log_values import printed_items, printed_value

__all__ = ["BEGINS", "LAUNCH"]

BEGINS = ("vLLM API server version", "vLLM server version", "non-default args: {")
_SECRET = frozenset({"api_key", "hf_token"})
_OF_THE_PROGRAM = frozenset({"subparser", "dispatch_function", "config", "uvicorn_log_level"})
_FIELD_OF_FLAG = {
    "model": "model",
    "model_tag": "model",
    "tensor_parallel_size": "tp",
    "pipeline_parallel_size": "pp",
    "data_parallel_size": "dp",
    "enable_expert_parallel": "ep",
    "max_model_len": "max_model_len",
    "max_num_seqs": "max_num_seqs",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "block_size": "block_size",
    "enforce_eager": "enforce_eager",
    "quantization": "quantization",
    "kv_cache_dtype": "kv_cache_dtype",
}
_AUTO = frozenset({"dtype", "max_model_len"})
_FIELD_OF_CONFIG = _FIELD_OF_FLAG | {"max_seq_len": "max_model_len", "dtype": "dtype"}


def _taken(items: Mapping[str, Any], fields: Mapping[str, str], record: LogRecord, *, resolved: bool) -> None:
    """Set the fields that a printed mapping names; what the engine resolved replaces what was asked for."""
    for name, value in items.items():
        if (
            name in fields
            and isinstance(value, str | int | float)
            and value not in ("", "None", "auto" if name in ("dtype", "max_model_len") else None)
        ):
            record.put(fields[name], value, "last" if resolved else "first")


def _items(text: str) -> dict[str, Any]:
    """Values by name; the first of one name counts, what a cut line runs into does not."""
    items: dict[str, Any] = {}
    for name, printed in printed_items(text):
        value = printed_value(printed)
        if value is not None:
            items.setdefault(name, value)
    return items


def _asked(match: re.Match[str], record: LogRecord) -> None:
    """The arguments, as a mapping of those that differ from their defaults, or all as a namespace."""
    items = {name: value for name, value in _items(match["_rest"]).items() if value not in (False, "", [], {})}
    for name, value in items.items():
        if name not in _SECRET | _OF_THE_PROGRAM:
            record.flags.setdefault(name, value)
    _taken(items, _FIELD_OF_FLAG, record, resolved=False)


def _resolved(match: re.Match[str], record: LogRecord) -> None:
    """The configuration that an engine starts with."""
    _taken(_items(match["_rest"]), _FIELD_OF_CONFIG, record, resolved=True)


def _device_of_file(match: re.Match[str], record: LogRecord) -> None:
    """Tables of tuned kernels are named by the device that they were looked up for; "AMD-gfx1201" names no device."""
    if "gfx" not in match["_device"]:
        record.put("gpu", match["_device"].replace("_", " "))


def _flags_alone(match: re.Match[str], record: LogRecord) -> None:
    """A compose file's command holds only the flags: the image starts the server."""
    record.command = record.command or f"vllm serve {match['_flags'].strip()}"


_VERSION = r"(?P<engine_version>\d[\w.+-]{2,80})"

LAUNCH = (
    LogPattern(rf"vLLM API server version v?{_VERSION}", "vLLM API server version", keep="last"),
    LogPattern(rf"vLLM Version\s{{0,30}}: {_VERSION}", "vLLM Version"),
    LogPattern(r"\bvllm-openai(?:-\w{1,12})?:v(?P<engine_version>\d{1,3}\.\d{1,3}\.[\w.]{1,20})", "vllm-openai", own=False),
    LogPattern(rf"(?<![█▄▀])[█▄▀][█▄▀ ]{{1,80}}\s{{1,12}}version v?{_VERSION}", "█", keep="last"),
    LogPattern(r"(?<![█▄▀])[█▄▀][█▄▀ ]{1,80}\s{1,12}model\s{1,12}(?P<model>[\w./:-]{2,256})", "█"),
    LogPattern(rf"Initializing (?:a|an) (?:V\d )?LLM engine \(v{_VERSION}\) with config", "LLM engine (v", keep="last"),
    LogPattern(r"Initializing (?:a|an) (?:V\d )?LLM engine .{0,120}?(?P<_rest>(?:model=|dtype=).{0,65536})", "LLM engine", read=_resolved),
    LogPattern(r"non-default args: \{(?P<_rest>.{0,65536})", "non-default args: {", read=_asked),
    LogPattern(r"\bargs: Namespace\((?P<_rest>.{0,65536})", "args: Namespace(", read=_asked),
    command_pattern(r"vllm\s{1,4}serve", "serve"),
    command_pattern(r"(?:[\w./-]{0,128}/)?python[\d.]{0,5}\s{1,4}-m\s{1,4}vllm\.entrypoints\.[\w.]{2,40}", "vllm.entrypoints."),
    listed_command_pattern(r'"vllm"\s{0,4},\s{0,4}"serve"', '"serve"'),
    listed_command_pattern(r'"python3?"\s{0,4},\s{0,4}"-m"\s{0,4},\s{0,4}"vllm\.entrypoints\.', "vllm.entrypoints."),
    LogPattern(r"\bcommand: {1,8}(?P<_flags>--model[ =][^|;&\n]{1,8192})", "command: ", read=_flags_alone, own=False),
    command_pattern(r"(?:docker|podman)\s{1,4}run(?=\s[^|;&\n]{0,4096}?(?:vllm[\w-]{0,20}:|\\\s*$))", " run", own=False),
    LogPattern(rf"vLLM server version v?{_VERSION}, serving model (?P<model>[^\s|]{{1,256}})", "vLLM server version"),
    LogPattern(r"Using max model len (?P<max_model_len>\d{1,12})", "Using max model len"),
    LogPattern(r"[Cc]hunked prefill is enabled (?:with|\()\s?max_num_batched_tokens=(?P<max_num_batched_tokens>\d{1,9})", "max_num_batched_tokens="),
    LogPattern(r"(?:Defaulting|Setting) max_num_batched_tokens to (?P<max_num_batched_tokens>\d{1,9}) for", "max_num_batched_tokens to"),
    LogPattern(r"(?:Defaulting|Setting) max_num_seqs to (?P<max_num_seqs>\d{1,7}) for", "max_num_seqs to"),
    LogPattern(r"(?:Setting|Forcing) kv cache block size to (?P<block_size>\d{1,6}) for", "kv cache block size to"),
    LogPattern(r"Updated max_model_len to (?P<max_model_len>\d{1,12})", "Updated max_model_len", keep="last"),
    LogPattern(r"Using (?:AttentionBackendEnum\.)?(?P<attention_backend>[A-Z][A-Z0-9_]{3,40}) (?:attention )?backend", " backend"),
    LogPattern(r"Using (?P<attention_backend>[A-Z][\w ]{2,40}?) backend on V1 engine", "backend on V1 engine"),
    LogPattern(r"\brank \d{1,5} in world size (?P<gpu_count>\d{1,5}) is assigned", "in world size", keep="most"),
    LogPattern(r"\bworld_size=(?P<gpu_count>\d{1,5}) rank=\d{1,5} local_rank=", "world_size=", keep="most"),
    LogPattern(r"device_name=(?P<_device>[A-Za-z][\w-]{2,64}?)(?:,|\.json)", "device_name=", read=_device_of_file, own=False),
    LogPattern(r"Your (?P<gpu>[^|]{3,48}?) GPU has compute capability", "GPU has compute capability", own=False),
    LogPattern(r"Setting attention block size to (?P<block_size>\d{1,6}) tokens", "Setting attention block size"),
    LogPattern(r"[Cc]heckpoint size: (?P<checkpoint_gib>\d{1,6}(?:\.\d+)?) GiB", "heckpoint size:"),
)
