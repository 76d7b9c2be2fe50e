"""SGLang's flags: sgl-project/sglang, python/sglang/srt/server_args.py of 0.4 to 0.5.23."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.engines.base.settling import attention_ranks, context_of_overrides, partition_of

__all__ = ["FLAGS", "settle", "settle_case", "usual_drafts"]

_LORAS = 8  # max_loras_per_batch where adapters are served and nobody says how many

_SPEED = (
    Flag("--stream-interval", "count", low=1, effect=Effect.SPEED),
    Flag("--scheduler-recv-interval", "count", low=1, effect=Effect.SPEED),
    Flag("--max-prefill-tokens", "tokens", low=1, high=MAX_TOKENS, effect=Effect.SPEED),
    Flag("--num-continuous-decode-steps", "count", low=1, effect=Effect.SPEED),
    Flag("--enable-mixed-chunk", "switch", effect=Effect.SPEED),
    Flag("--attention-backend", "word", effect=Effect.SPEED),
    Flag("--prefill-attention-backend", "word", effect=Effect.SPEED),
    Flag("--decode-attention-backend", "word", effect=Effect.SPEED),
    Flag("--tokenizer-worker-num", "count", low=1, effect=Effect.SPEED),
    Flag("--kt-cpuinfer", "count", low=1, high=1 << 16, effect=Effect.SPEED),
    Flag("--kt-threadpool-count", "count", low=1, high=1 << 10, effect=Effect.SPEED),
    Flag("--kt-max-deferred-experts-per-token", "count", high=1 << 10, effect=Effect.SPEED),
)
_MEMORY = (
    Flag("--tp-size", "count", "tp", ("--tensor-parallel-size", "--tp"), 1, MAX_RANKS),
    Flag("--pp-size", "count", "pp", ("--pipeline-parallel-size", "--pp"), 1, MAX_RANKS),
    Flag("--dp-size", "count", "dp", ("--data-parallel-size", "--dp"), 1, MAX_RANKS),
    Flag("--ep-size", "count", "ep", ("--expert-parallel-size", "--ep"), 1, MAX_RANKS),
    Flag("--enable-dp-attention", "switch"),
    Flag("--enable-ep-moe", "switch", "ep_all"),
    Flag("SGLANG_PP_LAYER_PARTITION", "word", "pp_layer_partition", ("--pp-layer-partition",)),
    Flag("--context-length", "tokens", "max_model_len", low=1, high=MAX_TOKENS, case=("context_len",)),
    Flag("--max-running-requests", "count", "max_num_seqs", low=1, high=1 << 20, case=("max_running_requests",)),
    Flag("--chunked-prefill-size", "tokens", "max_num_batched_tokens", low=1, high=MAX_TOKENS, left_open=True, case=("chunked_prefill_size",)),
    Flag("--mem-fraction-static", "share", "memory_fraction", case=("mem_fraction_static",)),
    Flag("--page-size", "count", "block_size", low=1, high=1 << 16),
    Flag("--kv-cache-dtype", "word", "kv_precision", case=("kv_cache_dtype",)),
    Flag("--model-path", "word", "model", ("--model",), effect=Effect.NOTHING),
    Flag("--dtype", "word"),
    Flag("--quantization", "word"),
    Flag("--disable-cuda-graph", "switch", "enforce_eager", case=("enforce_eager",)),
    Flag("--cuda-graph-max-bs", "count", also=("--cuda-graph-max-bs-decode",), case=("cuda_graph_max_bs",)),
    Flag("--cuda-graph-bs", "numbers", also=("--cuda-graph-bs-decode",)),
    Flag("--disable-piecewise-cuda-graph", "switch"),
    Flag("--disable-prefill-cuda-graph", "switch"),
    Flag("--max-total-tokens", "tokens", high=1 << 40),
    Flag("--swa-full-tokens-ratio", "number", high=1),
    Flag("--disable-hybrid-swa-memory", "switch"),
    Flag("--disable-radix-cache", "switch"),
    Flag("--disable-overlap-schedule", "switch"),
    Flag("--mamba-ssm-dtype", "word"),
    Flag("--mamba-full-memory-ratio", "number", high=1 << 10),
    Flag("--max-mamba-cache-size", "count"),
    Flag("--mamba-radix-cache-strategy", "word"),
    Flag("--mamba-scheduler-strategy", "word"),
    Flag("--moe-dense-tp-size", "count"),
    Flag("--moe-a2a-backend", "word"),
    Flag("--enable-deepep-moe", "switch"),
    Flag("--moe-runner-backend", "word"),
    Flag("--ep-num-redundant-experts", "count", high=1 << 20),
    Flag("--mm-enable-dp-encoder", "switch"),
    Flag("--enable-dp-lm-head", "switch"),
    Flag("--enable-symm-mem", "switch"),
    Flag("--language-model-only", "switch", also=("--language-only",)),
    Flag("--enable-lora", "switch"),
    Flag("--lora-paths", "words"),
    Flag("--max-loras-per-batch", "count", "max_loras", high=4096),
    Flag("--max-lora-rank", "count", high=4096),
    Flag("--json-model-override-args", "json"),
    Flag("--speculative-algorithm", "word", "speculative_method", ("--speculative-algo",)),
    Flag("--speculative-num-draft-tokens", "count", high=257),
    Flag("--num-speculative-tokens", "count", "speculative_tokens", high=256),  # ours: drafts of a chain
    Flag("--speculative-num-steps", "count", high=256),
    Flag("--speculative-draft-model-path", "word", "speculative_model", ("--speculative-draft-model",)),
    Flag("--cpu-offload-gb", "number", high=1 << 20),
    Flag("--ple-offload-embedding", "switch"),
    Flag("--ple-offload-backend", "word"),
    Flag("--ple-storage", "word"),
    Flag("--kt-weight-path", "word"),
    Flag("--kt-method", "word"),
    Flag("--kt-num-gpu-experts", "count"),
    Flag("--kt-gpu-experts-ratio", "number", high=1),
    Flag("--kt-gpu-prefill-token-threshold", "count"),
    Flag("--kt-numa-nodes", "numbers", effect=Effect.NOTHING),
    *_SPEED,
)
_OTHER = (
    Flag("--offload-group-size", "count", left_open=True, effect=Effect.UNCOUNTED, caveat="not-counted-offload"),
    Flag("--enable-eplb", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--enable-two-batch-overlap", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--disaggregation-mode", "word", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--attn-cp-size", "count", low=1, effect=Effect.UNCOUNTED, caveat="not-counted-layout"),
    Flag("--is-embedding", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-use"),
    Flag("--config", "word", effect=Effect.UNCOUNTED, caveat="file-not-read"),
    Flag("--hicache-size", "number", high=1 << 20, effect=Effect.HOST),
    Flag("--hicache-ratio", "number", high=1 << 20, effect=Effect.HOST),
    Flag("--enable-hierarchical-cache", "switch", effect=Effect.HOST),
)
_NOTHING = passed_over(
    switches=(
        "--trust-remote-code --enable-metrics --enable-cache-report --log-requests --skip-server-warmup --skip-tokenizer-init "
        "--disable-custom-all-reduce --enable-p2p-check --enable-torch-compile --disable-shared-experts-fusion "
        "--disable-cuda-graph-padding --enable-multimodal --enable-nccl-nvls --disable-flashinfer-autotune --enable-flashinfer-trtllm-moe "
        "--enable-flashinfer-cutlass-moe --enable-flashinfer-allreduce-fusion --enable-fp32-lm-head --enable-memory-saver "
        "--enable-weights-cpu-backup --delete-ckpt-after-loading --disable-overlap-cg-plan --disable-outlines-disk-cache --enable-trace "
        "--show-time-cost --enable-metrics-for-all-schedulers --weight-loader-disable-mmap --disable-chunked-prefix-cache "
        "--disable-fast-image-processor --enable-return-hidden-states --enable-custom-logit-processor --enable-deterministic-inference "
        "--triton-attention-reduce-in-fp32 --numa-bind --disable-tokenizer-batch-decode --enable-priority-scheduling "
        "--enable-profile-cuda-graph --enable-mscclpp --grpc-mode --enable-single-batch-overlap --enable-tokenizer-batch-encode "
        "--keep-mm-feature-on-device --use-cpu --enable-lora-overlap-loading --enable-prefill-delayer --enable-nan-detection "
        "--kt-enable-dynamic-expert-update --record-kt-gpu-expert-distribution"
    ),
    values=(
        "--host --port --served-model-name --tokenizer-path --tokenizer-mode --load-format --device --revision --chat-template "
        "--completion-template --mm-attention-backend "
        "--sampling-backend --grammar-backend --tool-call-parser --reasoning-parser --log-level --log-level-http --log-requests-level "
        "--api-key --admin-api-key --random-seed --schedule-policy --schedule-conservativeness "
        "--dist-init-addr|--nccl-init-addr --dist-timeout --nnodes --node-rank --watchdog-timeout --download-dir --base-gpu-id "
        "--gpu-id-step --model-loader-extra-config --preferred-sampling-params --speculative-eagle-topk "
        "--speculative-draft-attention-backend --speculative-attention-mode --speculative-token-map --speculative-moe-runner-backend "
        "--fp8-gemm-backend --fp8-gemm-runner-backend --fp4-gemm-backend --deepep-mode --deepep-config --moe-data-parallel-size "
        "--init-expert-location --disaggregation-transfer-backend --disaggregation-ib-device --disaggregation-bootstrap-port "
        "--load-balance-method --model-impl --limit-mm-data-per-request --mm-process-config --mamba-backend "
        "--nsa-prefill-backend --nsa-decode-backend --torch-compile-max-bs --triton-attention-num-kv-splits "
        "--file-storage-path --max-queued-requests --weight-version --hicache-write-policy --hicache-io-backend --hicache-mem-layout "
        "--hicache-storage-backend --hicache-storage-prefetch-policy --hicache-storage-backend-extra-config "
        "--kt-expert-placement-strategy --lora-backend --lora-eviction-policy --lora-target-modules "
        "--constrained-json-whitespace-pattern --ssl-keyfile --ssl-certfile --sleep-on-idle --soft-watchdog-timeout --kv-events-config "
        "--hf-chat-template-name --cuda-graph-backend-prefill --cuda-graph-backend-decode --batch-size --batch --input-len --output-len "
        "--ple-offload-dir"
    ),
)
FLAGS: tuple[Flag, ...] = (*_MEMORY, *_OTHER, *_NOTHING)
"""Every flag that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields: ranks of attention out of the tensor-parallel size, drafts, adapters, graphs.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        What of it is not counted.
    """
    shared = bool(values.pop("enable_dp_attention", False))
    if values.pop("enable_deepep_moe", False):
        values.setdefault("moe_a2a_backend", "deepep")
    notices = [*attention_ranks(values, "--dp-size", attention=shared)]
    notices += context_of_overrides(values, "--json-model-override-args", values.pop("json_model_override_args", None))
    partition_of(values)
    steps, verified = values.pop("speculative_num_steps", None), values.pop("speculative_num_draft_tokens", None)
    if "speculative_method" in values:
        values["speculative_method"] = values["speculative_method"].lower()[:40]
    if "speculative_method" in values or verified:
        usual = usual_drafts(str(values.get("speculative_method", "")))
        values.setdefault("speculative_tokens", max(verified - 1, 1) if verified else steps or usual)  # one of the verified is no draft
    if values.get("max_num_batched_tokens") == -1:  # prompts are not cut
        del values["max_num_batched_tokens"]
    _settle_graphs(values)
    if values.pop("lora_paths", None) or values.get("enable_lora"):
        values["enable_lora"] = True
        values.setdefault("max_loras", _LORAS)
    return tuple(notices)


def usual_drafts(method: str) -> int:
    """Draft tokens of a step where nobody says how many: srt/arg_groups/speculative_hook.py.

    >>> usual_drafts("eagle"), usual_drafts("dflash"), usual_drafts("ngram")
    (3, 15, 11)
    """
    return {"dflash": 15, "ngram": 11}.get(method, 3)  # the token before them is verified with them: 4, 16, 12


def settle_case(row: Mapping[str, Any], fields: dict[str, Any], flags: dict[str, Any]) -> None:
    """A measured case names batch sizes of graphs as a command line does."""
    _settle_graphs(flags)


def _settle_graphs(values: dict[str, Any]) -> None:
    """Named batch sizes say the largest too."""
    sizes = values.get("cuda_graph_bs")
    if isinstance(sizes, list | tuple) and sizes:
        values["cuda_graph_bs"] = tuple(sizes)
        values.setdefault("cuda_graph_max_bs", max(sizes))
