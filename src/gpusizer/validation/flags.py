"""Fields and flags of a start from the launch words of a case: which word means which field, engine by engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.engines.base.flags import FLAGS
from gpusizer.errors import InputError
from gpusizer.validation.devices import Devices

__all__ = ["engine_fields"]

# Field of a deployment -> field of a case, then launch words, the first that is there decides.
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "vllm": {
        "max_model_len": ("max_model_len",),
        "max_num_seqs": ("max_num_seqs",),
        "max_num_batched_tokens": ("max_num_batched_tokens",),
        "block_size": ("block_size",),
        "memory_fraction": ("gpu_memory_utilization",),
    },
    "sglang": {
        "max_model_len": ("context_len", "context_length"),
        "max_num_seqs": ("max_running_requests",),
        "max_num_batched_tokens": ("chunked_prefill_size",),
        "block_size": ("page_size",),
        "memory_fraction": ("mem_fraction_static",),
    },
    "tensorrt-llm": {
        "max_model_len": ("context_len", "max_seq_len", "max_output_len"),
        "max_num_seqs": ("max_running_requests", "max_batch_size"),
        "max_num_batched_tokens": ("chunked_prefill_size", "max_num_tokens"),
        "block_size": ("tokens_per_block",),
        "memory_fraction": ("mem_fraction_static", "free_gpu_memory_fraction", "kv_cache_free_gpu_mem_fraction", "kv_cache_free_gpu_memory_fraction"),
    },
    "llama.cpp": {
        "max_model_len": ("context_len", "ctx_size"),
        "max_num_seqs": ("parallel",),
        "max_num_batched_tokens": ("ubatch_size",),
    },
    "ollama": {"max_model_len": ("context_len", "num_ctx"), "max_num_seqs": ("num_parallel",)},
    "transformers": {"max_model_len": ("context_len", "max_model_len")},
}
_BOUNDS = {"max_model_len": 1 << 28, "max_num_seqs": 1 << 20, "max_num_batched_tokens": 1 << 24, "block_size": 1 << 16}
_ENVIRONMENT = re.compile(r"^(?:VLLM|SGLANG|SGL|OLLAMA|LLAMA_ARG)_")
# Words that change nothing in memory, or that became fields.
_SILENT = frozenset(
    [
        "model",
        "model_tag",
        "host",
        "port",
        "served_model_name",
        "tool_call_parser",
        "reasoning_parser",
        "enable_auto_tool_choice",
        "trust_remote_code",
        "alias",
        "api_server_count",
        "threads",
        "threads_batch",
        "p",
        "f",
        "o",
        "prompt",
        "seed",
        "temp",
        "top_k",
        "top_p",
        "min_p",
        "repeat_penalty",
        "revision",
        "tokenizer_mode",
        "disable_log_stats",
        "disable_uvicorn_access_log",
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "data_parallel_size",
        "expert_parallel_size",
        "decode_context_parallel_size",
        "kv_cache_dtype",
        "dtype",
        "enforce_eager",
        "speculative_config",
        "enable_dp_attention",
        "enable_expert_parallel",
        "enable_ep_moe",
    ]
)
_OURS = frozenset({"devices", "device_memory_bytes", "fork", "similar_precision"})  # said by us, never by a launch word
MOST_RANKS = 1 << 14
_LARGEST_FLAG = 1 << 20
_KINDS = {flag.name: flag.kind for flag in FLAGS}
_OF_BYTES = re.compile(r"bytes|overhead|memory|seed|tokens|context|ctx")


def engine_fields(engine_id: str, row: Mapping[str, Any], words: Mapping[str, Any], devices: Devices) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and further flags of a start.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    row : mapping
        What was known before the start.
    words : mapping
        Its launch words.
    devices : Devices
        Its devices.

    Returns
    -------
    tuple of (dict, dict)
        Fields of a deployment; flags by the engine's own names, ``-`` as ``_``, environment variables without the engine's prefix.
    """
    fields: dict[str, Any] = {}
    for field, names in _WORDS[engine_id].items():
        value = _first(row, words, names)
        if value is None:
            continue
        fields[field] = _share(field, value) if field == "memory_fraction" else _whole(field, value, _BOUNDS[field])
    fields = {name: value for name, value in fields.items() if value}
    fields.update(_layout(engine_id, row, words, devices))
    fields["enforce_eager"] = bool(row.get("enforce_eager") or words.get("enforce_eager") or words.get("disable_cuda_graph"))
    named = {_flag(name): value for name, value in words.items() if value is not None}
    flags = {name: value for name, value in named.items() if name not in _SILENT | _OURS}
    cache = row.get("kv_cache_dtype") or words.get("kv_cache_dtype")
    fields["kv_precision"] = _cache_format(cache, flags)
    method, tokens, draft = _speculation(row.get("speculative"), words)
    if method:
        fields["speculative_tokens"] = tokens
        flags["speculative_method"] = method
        if draft:
            flags["speculative_model"] = draft
    partition = flags.get("pp_layer_partition")
    if isinstance(partition, str) and re.fullmatch(r"\d{1,4}(,\d{1,4}){0,255}", partition):
        flags["pp_layer_partition"] = tuple(int(part) for part in partition.split(","))
    sizes = row.get("cuda_graph_max_bs")
    if isinstance(sizes, int) and not isinstance(sizes, bool):
        flags.setdefault("cuda_graph_max_bs", sizes)
    _check(flags)
    if devices.unequal:
        flags["devices"] = tuple(device.id for device in devices.each)
        flags["device_memory_bytes"] = tuple(device.memory_bytes for device in devices.each)
    if engine_id == "llama.cpp" and isinstance(row.get("context_len"), int):
        flags["ctx_size"] = row["context_len"]  # of all sequences together
    if engine_id in ("llama.cpp", "ollama") and not devices.each:
        flags["n_gpu_layers"] = 0
        flags["device"] = "none"
    return fields, flags


def _check(flags: Mapping[str, Any]) -> None:
    """Refuse a flag that is counted and is no number, or one beyond all bounds: engines may trust what they are given."""
    for name, value in flags.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and abs(value) > _LARGEST_FLAG and not _OF_BYTES.search(name):
            raise InputError("bad-case-number", field=name, found=str(value)[:40], most=_LARGEST_FLAG)
        if not number and _KINDS.get(name, "word") in ("count", "tokens", "bytes", "share"):
            raise InputError("bad-case-number", field=name, found=str(value)[:40], most=_LARGEST_FLAG)


def _flag(name: str) -> str:
    return _ENVIRONMENT.sub("", name).lower() if name.isupper() else name


def _first(row: Mapping[str, Any], words: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for source in (row, words):
        for name in names:
            if source.get(name) is not None:
                return source[name]
    return None


def _whole(field: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= most:
        raise InputError("bad-case-number", field=field, found=str(value)[:40], most=most)
    return max(value, 0)


def _share(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise InputError("bad-case-number", field=field, found=str(value)[:40], most=1)
    return float(value)


def _layout(engine_id: str, row: Mapping[str, Any], words: Mapping[str, Any], devices: Devices) -> dict[str, Any]:
    """tp, pp, dp, ep and dcp. The launch words say what was started; the fields of the case stand in where they are silent."""
    sizes = {}
    for name, word in (("tp", "tensor_parallel_size"), ("pp", "pipeline_parallel_size"), ("dp", "data_parallel_size")):
        value = words.get(word) if isinstance(words.get(word), int) else row.get(name)
        sizes[name] = max(_whole(name, value, MOST_RANKS), 1) if value is not None else 1
    if engine_id in ("llama.cpp", "ollama"):
        count = max(len(devices.each), 1)
        by_rows = words.get("split_mode") in ("row", "tensor")
        return {"tp": count if by_rows else 1, "pp": 1 if by_rows else count}
    shared_attention = engine_id == "sglang" and bool(row.get("dp_attention") or words.get("enable_dp_attention"))
    if shared_attention:  # its tp counts all ranks; attention uses tp / dp of them
        sizes["tp"] = max(sizes["tp"] // sizes["dp"], 1)
    experts = row.get("ep")
    asked = bool(words.get("enable_expert_parallel") or words.get("enable_ep_moe") or experts is True)
    ranks = sizes["tp"] * sizes["dp"]
    ep = ranks if asked else 1
    for value in (words.get("expert_parallel_size"), experts):
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            ep = min(_whole("ep", value, MOST_RANKS), ranks)
            break
    if engine_id == "sglang" and sizes["dp"] > 1 and not shared_attention:
        sizes["dp"] = 1  # whole copies of the engine: each is one start
    sizes["ep"] = max(ep, 1)
    dcp = words.get("decode_context_parallel_size")
    sizes["dcp"] = max(_whole("dcp", dcp, MOST_RANKS), 1) if dcp is not None else 1
    return sizes


def _cache_format(value: Any, flags: dict[str, Any]) -> str:
    """The format of the cache; keys and values apart become two flags."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_=,. -]{1,60}", value):
        return "auto"
    apart = re.fullmatch(r"K=([a-z0-9_]+),\s*V=([a-z0-9_]+)", value)
    if apart:
        flags["cache_type_k"], flags["cache_type_v"] = apart[1], apart[2]
        return apart[1]
    return plain_dtype(value) or value


def _speculation(field: Any, words: Mapping[str, Any]) -> tuple[str | None, int, str | None]:
    """(method, draft tokens, draft model) of speculative decoding; one token where their number is not said."""
    from gpusizer.validation.command_lines import launch_words

    settings: Mapping[str, Any] = {}
    if isinstance(field, str) and field:
        settings = launch_words(field) if field.lstrip().startswith("{") else {}
    elif isinstance(words.get("speculative_config"), Mapping):
        settings = words["speculative_config"]
    if settings:
        method, draft = settings.get("method"), settings.get("model")
        return (
            str(method or "draft")[:40],
            _draft_tokens(settings.get("num_speculative_tokens")),
            str(draft)[:200] if isinstance(draft, str) else None,
        )
    if isinstance(field, str) and field:
        number = re.search(r"(\d{1,2})\s+tokens", field)
        draft = re.search(r"[\w.-]+/[\w.-]+", field)
        method = re.match(r"[A-Za-z0-9_]{1,40}", field)
        return (method[0].lower() if method else "draft"), int(number[1]) if number else 1, draft[0] if draft else None
    algorithm = words.get("speculative_algorithm")
    if isinstance(algorithm, str):
        draft = words.get("speculative_draft_model_path")
        tokens = _draft_tokens(words.get("speculative_num_draft_tokens", words.get("speculative_num_steps")))
        return algorithm.lower()[:40], tokens, draft if isinstance(draft, str) else None
    return None, 0, None


def _draft_tokens(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 256 else 1
