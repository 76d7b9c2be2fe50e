"""vLLM's flags: vllm-project/vllm, vllm/engine/arg_utils.py and vllm/entrypoints/openai/cli_args.py of 0.8 to 0.33; environment: vllm/envs.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.engines.base.settling import context_of_overrides, drafts_of, for_generation, only_graph_words, partition_of
from gpusizer.engines.vllm.pooling import POOLED_USES

__all__ = ["FLAGS", "settle"]

_LAYOUT = (
    Flag("--tensor-parallel-size", "count", "tp", ("-tp", "--tp", "--tensor-parallel"), 1, MAX_RANKS),
    Flag("--pipeline-parallel-size", "count", "pp", ("-pp", "--pp"), 1, MAX_RANKS),
    Flag("--data-parallel-size", "count", "dp", ("-dp", "--dp"), 1, MAX_RANKS),
    Flag("--decode-context-parallel-size", "count", "dcp", ("-dcp", "--dcp", "--decode-context-parallel"), 1, MAX_RANKS),
    Flag("--enable-expert-parallel", "switch", "ep_all", ("-ep",)),
    Flag("VLLM_PP_LAYER_PARTITION", "word", "pp_layer_partition", ("--pp-layer-partition",)),
    Flag("--num-redundant-experts", "count"),
    Flag("--eplb-config", "json"),
    Flag("--mm-encoder-tp-mode", "word"),
    Flag("--prefill-context-parallel-size", "count", also=("-pcp",), low=1, effect=Effect.UNCOUNTED, caveat="not-counted-layout"),
    Flag("--enable-eplb", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--all2all-backend", "word", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--enable-dbo", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
)
_SIZES = (
    Flag("--max-model-len", "tokens", low=1, high=MAX_TOKENS, left_open=True, case=("max_model_len",)),
    Flag("--max-num-seqs", "count", low=1, high=1 << 20, case=("max_num_seqs",)),
    Flag("--max-num-batched-tokens", "tokens", low=1, high=MAX_TOKENS, case=("max_num_batched_tokens",)),
    Flag("--gpu-memory-utilization", "share", "memory_fraction", case=("gpu_memory_utilization",)),
    Flag("--block-size", "count", low=1, high=1 << 16, case=("block_size",)),
    Flag("--kv-cache-memory-bytes", "bytes", also=("--kv-cache-memory",), high=1 << 50),
    Flag("--num-gpu-blocks-override", "count", high=1 << 40),
    Flag("--context-to-fit", "switch"),  # ``--max-model-len auto``
    Flag("--cpu-offload-gb", "number", high=1 << 20),
    Flag("--engram-config", "json"),
    Flag("VLLM_PLE_TABLE_MEMORY", "word", "ple_table_memory", ("--ple-table-memory",)),  # of builds for DGX Spark
    Flag("--hf-overrides", "json", also=("--hf-override",)),
    Flag("--rope-scaling", "json"),
    Flag("--limit-mm-per-prompt", "json"),
    Flag("--language-model-only", "switch"),
    Flag("--skip-mm-profiling", "switch"),
    Flag("--max-loras", "count", high=4096),
    Flag("--max-lora-rank", "count", high=4096),
    Flag("--enable-lora", "switch"),
    Flag("--mm-processor-kwargs", "json"),
    Flag("--enable-prompt-embeds", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
)
_FORMATS = (
    Flag("--model", "word", also=("--model-tag",), effect=Effect.NOTHING),
    Flag("--dtype", "word"),
    Flag("--quantization", "word", also=("-q",)),
    Flag("--kv-cache-dtype", "word", "kv_precision", case=("kv_cache_dtype",)),
    Flag("--mamba-ssm-cache-dtype", "word"),
    Flag("--mamba-cache-dtype", "word"),
    Flag("--moe-backend", "word"),
)
_STEPS = (
    Flag("--enforce-eager", "switch", case=("enforce_eager",)),
    Flag("--compilation-config", "json", also=("-cc",)),
    Flag("--optimization-level", "word", "optimization", ("-O",)),
    Flag("--cudagraph-capture-sizes", "numbers", also=("--cuda-graph-sizes",)),
    Flag("--max-cudagraph-capture-size", "count"),
    Flag("--cudagraph-mode", "word"),
    Flag("HCCL_BUFFSIZE", "count", "hccl_buffsize", ("--hccl-buffsize",)),
    Flag("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS", "setting", "memory_profiler_estimate_cudagraphs", ("--memory-profiler-estimate-cudagraphs",)),
    Flag("VLLM_USE_V1", "setting", "use_v1", ("--use-v1",)),
    Flag("--enable-prefix-caching", "switch"),
    Flag("--disable-hybrid-kv-cache-manager", "switch"),
    Flag("--speculative-config", "json", also=("-sc",)),
    Flag("--num-speculative-tokens", "count", "speculative_tokens"),
    Flag("--speculative-model", "word"),
    Flag("--speculative-method", "word"),
    Flag("--stream-interval", "count", low=1, effect=Effect.SPEED),
    Flag("--async-scheduling", "switch", effect=Effect.SPEED),
    Flag("--attention-backend", "word", effect=Effect.SPEED),
    Flag("--performance-mode", "word", effect=Effect.SPEED),
    Flag("--runner", "word"),
    Flag("--task", "word"),
    Flag("--convert", "word"),
    Flag("--config", "word", effect=Effect.UNCOUNTED, caveat="file-not-read"),
)
_HOST = (
    Flag("--swap-space", "number", high=1 << 20, effect=Effect.HOST),
    Flag("--kv-offloading-size", "number", high=1 << 20, effect=Effect.HOST),
    Flag("--mm-processor-cache-gb", "number", high=1 << 20, effect=Effect.HOST),
    Flag("--max-cpu-loras", "count", effect=Effect.HOST),
)
_NOTHING = passed_over(
    switches=(
        "--trust-remote-code --enable-chunked-prefill --disable-custom-all-reduce --disable-log-stats "
        "--disable-log-requests --enable-log-requests --enable-auto-tool-choice --calculate-kv-scales --disable-uvicorn-access-log "
        "--enable-flashinfer-autotune --skip-tokenizer-init --use-v2-block-manager --disable-sliding-window --disable-cascade-attn "
        "--enable-sleep-mode --headless --disable-mm-preprocessor-cache --enable-request-id-headers --enable-server-load-tracking "
        "--enable-force-include-usage --enable-tokenizer-info-endpoint --return-tokens-as-token-ids --allow-credentials "
        "--disable-frontend-multiprocessing --enable-ssl-refresh --disable-fastapi-docs --fully-sharded-loras --enable-lora-bias "
        "--ray-workers-use-nsight --worker-use-ray --disable-async-output-proc --multi-step-stream-outputs --disable-chunked-mm-input "
        "--data-parallel-hybrid-lb|-dph --data-parallel-external-lb|-dpe --enable-prompt-tokens-details --log-config-file "
        "--enable-log-outputs --scheduler-reserve-full-isl --interleave-mm-strings --kv-sharing-fast-prefill "
        "--enable-layerwise-nvtx-tracing --enable-mfu-metrics --enable-logging-iteration-details --enable-reasoning "
        "--disable-logprobs-during-spec-decoding --lazy-load --use-tqdm-on-load --enable-return-routed-experts "
        "--show-hidden-metrics-for-version --kv-cache-metrics --grpc --disable-access-log-for-endpoints"
    ),
    values=(
        "--host --port --uds --served-model-name-prefix --distributed-executor-backend --load-format "
        "--kv-transfer-config --kv-events-config --max-seq-len-to-capture|--max-context-len-to-capture --reasoning-parser "
        "--tool-call-parser --tool-parser-plugin --reasoning-parser-plugin --chat-template --chat-template-content-format --response-role "
        "--tokenizer --tokenizer-mode --revision --code-revision --tokenizer-revision --seed --download-dir --config-format "
        "--hf-config-path --hf-token --generation-config --override-generation-config --override-pooler-config --pooler-config "
        "--model-impl --data-parallel-size-local|-dpl --data-parallel-address|-dpa --data-parallel-rpc-port|-dpp "
        "--data-parallel-rank|-dpn --data-parallel-start-rank|-dpr --data-parallel-backend|-dpb --expert-placement-strategy --nnodes|-n "
        "--node-rank|-r --master-addr --master-port --api-server-count|-asc --api-key --root-path --ssl-keyfile --ssl-certfile "
        "--ssl-ca-certs --ssl-cert-reqs --log-level --uvicorn-log-level --max-log-len --max-logprobs --logprobs-mode --scheduling-policy "
        "--scheduler-cls --scheduler-delay-factor --num-scheduler-steps --num-lookahead-slots --max-num-partial-prefills "
        "--max-long-partial-prefills --long-prefill-token-threshold --preemption-mode --worker-cls --worker-extension-cls "
        "--max-parallel-loading-workers --model-loader-extra-config --ignore-patterns --rope-theta --device --otlp-traces-endpoint "
        "--collect-detailed-traces --guided-decoding-backend --structured-outputs-config --logits-processor-pattern "
        "--prefix-caching-hash-algo --kv-offloading-backend --mm-encoder-attn-backend --mm-processor-cache-type "
        "--mm-shm-cache-max-object-size-mb --media-io-kwargs --allowed-local-media-path --kernel-config --attention-config "
        "--profiler-config --observability-config --additional-config --lora-dtype --lora-extra-vocab-size --default-mm-loras "
        "--tool-server --default-chat-template-kwargs --tokens-only --mamba-block-size --mamba-cache-mode "
        "--mamba-backend --use-index-cache --auto-round --disable-nccl-for-dp-synchronization --weight-transfer-config "
        "--ec-transfer-config --numa-bind --input-len --output-len --num-iters --batch-size --dataset-name --num-prompts "
        "--h11-max-incomplete-event-size --h11-max-header-count --spec-decoding-acceptance-method "
        "--speculative-draft-tensor-parallel-size|-spec-draft-tp --speculative-disable-by-batch-size --ngram-prompt-lookup-max "
        "--ngram-prompt-lookup-min --exclude-tools-when-tool-choice-none"
    ),
    lists=(
        "--served-model-name --lora-modules --prompt-adapters --allowed-origins --allowed-methods --allowed-headers --middleware "
        "--logits-processors --long-lora-scaling-factors --allowed-media-domains"
    ),
)
FLAGS: tuple[Flag, ...] = (*_LAYOUT, *_SIZES, *_FORMATS, *_STEPS, *_HOST, *_NOTHING)
"""Every flag that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields: drafts out of their JSON, graphs out of levels, a context out of overrides.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        What of it is not counted.
    """
    pooled = {name: values.pop(name) for name in ("runner", "task", "convert") if str(values.get(name)).lower() in POOLED_USES}
    notices = [*drafts_of(values, values.pop("speculative_config", None)), *for_generation(values, "runner", "task", "convert")]
    values |= pooled
    notices += context_of_overrides(values, "--hf-overrides", values.pop("hf_overrides", None))
    notices += context_of_overrides(values, "--rope-scaling", {"rope_scaling": scaling} if (scaling := values.pop("rope_scaling", None)) else None)
    if values.get("max_model_len") == -1:  # as long as fits
        del values["max_model_len"]
        values["context_to_fit"] = True
    _graphs(values)
    images = values.get("mm_processor_kwargs")
    if isinstance(images, Mapping) and not {"max_pixels", "size"} & set(images):
        notices.append(Notice("not-counted-images", {"flag": "--mm-processor-kwargs"}))
    partition_of(values)
    balance = values.pop("eplb_config", None)
    if isinstance(balance, Mapping) and isinstance(count := balance.get("num_redundant_experts"), int) and 0 <= count <= 1 << 20:
        values.setdefault("num_redundant_experts", count)
    return tuple(notices)


def _graphs(values: dict[str, Any]) -> None:
    """``-O0`` and ``{"level": 0}`` capture nothing; ``cudagraph_capture_sizes`` may stand alone or inside the settings of compilation."""
    settings = values.pop("compilation_config", None)
    level = values.pop("optimization", None)
    if isinstance(settings, Mapping):
        kept = only_graph_words(settings)
        level = settings.get("", settings.get("level", settings.get("mode", level)))
        if kept:
            values["compilation_config"] = kept
    if str(level) == "0" and "cudagraph_mode" not in values.get("compilation_config", {}):
        values.setdefault("cudagraph_mode", "NONE")
