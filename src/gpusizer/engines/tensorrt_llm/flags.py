"""TensorRT-LLM's flags: NVIDIA/TensorRT-LLM, commands/serve.py of 0.20 to 1.2; its options file: llmapi/llm_args.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.engines.base.settling import drafts_of

__all__ = ["FLAGS", "OF_FILE", "settle", "settle_case"]

_MEMORY = (
    Flag("--tp_size", "count", "tp", ("--tensor_parallel_size", "--tp"), 1, MAX_RANKS),
    Flag("--pp_size", "count", "pp", ("--pipeline_parallel_size", "--pp"), 1, MAX_RANKS),
    Flag("--ep_size", "count", "ep", ("--moe_expert_parallel_size", "--ep"), 1, MAX_RANKS),
    Flag("--enable_attention_dp", "switch"),
    Flag("--max_seq_len", "tokens", "max_model_len", ("--max_model_len",), 1, MAX_TOKENS, case=("context_len", "max_output_len")),
    Flag("--max_batch_size", "count", "max_num_seqs", low=1, high=1 << 20, case=("max_running_requests",)),
    Flag("--max_num_tokens", "tokens", "max_num_batched_tokens", low=1, high=MAX_TOKENS, case=("chunked_prefill_size",)),
    Flag(
        "--kv_cache_free_gpu_memory_fraction",
        "share",
        "memory_fraction",
        ("--free_gpu_memory_fraction", "--kv_cache_free_gpu_mem_fraction", "--kv_cache_config.free_gpu_memory_fraction"),
        case=("mem_fraction_static",),
    ),
    Flag("--kv_cache_dtype", "word", "kv_precision", ("--kv_cache_config.dtype",), case=("kv_cache_dtype",)),
    Flag("--tokens_per_block", "count", "block_size", ("--kv_cache_config.tokens_per_block",), 1, 1 << 16),
    Flag("--disable_cuda_graph", "switch", "enforce_eager", case=("enforce_eager",)),
    Flag("--model", "word", also=("--model_path",), effect=Effect.NOTHING),
    Flag("--backend", "word"),
    Flag("--dtype", "word"),
    Flag("--quantization", "word"),
    Flag("--max_tokens", "tokens", also=("--kv_cache_config.max_tokens",), high=1 << 40),
    Flag("--max_input_len", "tokens", high=1 << 20),
    Flag("--extra_llm_api_options", "json", "options_file", ("--config",)),
    Flag("--speculative_config", "json"),
    Flag(
        "--num_speculative_tokens",
        "count",
        "speculative_tokens",
        ("--speculative_config.num_nextn_predict_layers", "--speculative_config.max_draft_len"),
        high=256,
    ),
    Flag("--speculative_method", "word", also=("--speculative_config.decoding_type",)),
    Flag("--pp_layer_partition", "word", "pp_layer_partition"),
    Flag("--stream_interval", "count", low=1, effect=Effect.SPEED),
)
# Settings that stand in the file of options alone, by their keys joined with dots.
OF_FILE = (
    Flag("--cuda_graph_config.max_batch_size", "count", "cuda_graph_max_bs", effect=Effect.SPEED),
    Flag("--moe_config.backend", "word", "moe_backend", ("--moe_backend",), effect=Effect.SPEED),
    Flag("--attention_dp_config.enable_balance", "switch", "attention_dp_balance", effect=Effect.SPEED),
    Flag("--attention_dp_config.timeout_iters", "count", "attention_dp_timeout_iters", effect=Effect.SPEED),
    Flag("--attention_dp_config.batching_wait_iters", "count", "attention_dp_wait_iters", effect=Effect.SPEED),
)
_OTHER = (
    Flag("--max_beam_width", "count", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--context_parallel_size", "count", also=("--cp_size",), effect=Effect.UNCOUNTED, caveat="not-counted-layout"),
    Flag("--moe_cluster_parallel_size", "count", also=("--cluster_size",), effect=Effect.UNCOUNTED, caveat="not-counted-layout"),
    Flag("--server_role", "word", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--host_cache_size", "number", high=1 << 50, effect=Effect.HOST),
)
_NOTHING = passed_over(
    switches="--trust_remote_code --enable_chunked_prefill --enable_chunked_context --fail_fast_on_attention_window_too_large --enable_block_reuse",
    values=(
        "--host --port --log_level --tokenizer --custom_tokenizer --custom_module_dirs --gpus_per_node "
        "--num_postprocess_workers --revision --reasoning_parser --tool_parser --metadata_server_config_file --otlp_traces_endpoint "
        "--disagg_cluster_uri --media_io_kwargs --chat_template --served_model_name --video_pruning_rate --attn_backend "
        "--allowed_origins --allowed_local_media_path --kv_connector_config"
    ),
)
FLAGS: tuple[Flag, ...] = (*_MEMORY, *OF_FILE, *_OTHER, *_NOTHING)
"""Every flag that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields; with attention data parallelism every rank of the tensor-parallel size holds attention whole.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        What of it is not counted.
    """
    notices = [*drafts_of(values, values.pop("speculative_config", None))]
    file = values.pop("options_file", None)
    if file is not None and "" in file:  # a name: its content does not stand with the command
        notices.append(Notice("file-not-read", {"flag": f"--extra_llm_api_options {str(file[''])[:80]}"}))
    elif file is not None:
        _from_file(values, file)
    if values.pop("enable_attention_dp", False):
        values["dp"], values["tp"] = values.get("tp", 1) * values.get("dp", 1), 1
    return tuple(notices)


def settle_case(row: Mapping[str, Any], fields: dict[str, Any], flags: dict[str, Any]) -> None:
    """A measured case may say its backend beside the version: "1.0.0rc1 (TensorRT engine)"."""
    version = str(row.get("engine_version") or "").lower()
    told = next((backend for words, backend in _BACKENDS.items() if words in version), None)
    if told is not None:
        flags.setdefault("backend", told)


_BACKENDS = {"pytorch backend": "pytorch", "tensorrt engine": "tensorrt"}


def _from_file(values: dict[str, Any], file: Mapping[str, Any]) -> None:
    """The options file that stands with the command, brought to the names of its flags."""
    cache = file.get("kv_cache_config")
    if isinstance(cache, Mapping):
        for name, key in _CACHE_WORDS.items():
            if cache.get(name) is not None:
                values.setdefault(key, _BY_TARGET[key].read(cache[name]))
    if file.get("enable_attention_dp") is True:
        values["enable_attention_dp"] = True
    if "cuda_graph_config" in file and file["cuda_graph_config"] is None:
        values["enforce_eager"] = True
    for name in ("max_batch_size", "max_num_tokens", "max_seq_len"):
        flag = next(each for each in _MEMORY if each.name == name)
        if file.get(name) is not None:
            values.setdefault(flag.target, flag.read(file[name]))
    for flag in OF_FILE:
        head, _, key = flag.name.partition(".")
        section = file.get(head)
        if isinstance(section, Mapping) and section.get(key) is not None:
            values.setdefault(flag.target, flag.read(section[key]))
    if file.get("stream_interval") is not None:
        values.setdefault("stream_interval", _BY_TARGET["stream_interval"].read(file["stream_interval"]))
    drafts = file.get("speculative_config")
    if isinstance(drafts, Mapping):  # its own words for the same
        tokens = drafts.get("num_nextn_predict_layers", drafts.get("max_draft_len", 1))
        drafts_of(values, {"method": drafts.get("decoding_type"), "num_speculative_tokens": tokens})


_CACHE_WORDS = {"dtype": "kv_precision", "tokens_per_block": "block_size", "free_gpu_memory_fraction": "memory_fraction", "max_tokens": "max_tokens"}
_BY_TARGET = {flag.target: flag for flag in _MEMORY}
