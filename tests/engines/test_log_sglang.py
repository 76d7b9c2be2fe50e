"""SGLang's log: lines typed from its templates, and texts that people published beside what they measured."""

from __future__ import annotations

import pytest

from conftest import shared_lines
from gpusizer.engines.sglang.log import CODES, LOG
from log_texts import compared, read_text

# Typed by people: tables and sentences around a line or two of the engine.
REMARKS = {"sglang-qwen35-35b-spark-a", "sglang-qwen38flashnext-spark2-a", "sglang-sf-qwen3-32b-h100"}
REMARKS |= {"sglang-pr28620-dsv4flash-l20-nomtp", "sglang-pr28620-dsv4flash-l20-mtp"}

# Two ranks, interleaved, with a draft model: templates of model_runner.py and kv_cache_configurator.py, figures of our own.
DRAFTED = """\
[2026-02-26 05:19:00] server_args=ServerArgs(model_path='o/m', context_length=40960, kv_cache_dtype='fp8_e4m3', mem_fraction_static=0.8, \
max_running_requests=None, chunked_prefill_size=8192, page_size=64, tp_size=2, dp_size=1, cuda_graph_bs=[1, 2, 4], disable_cuda_graph=False, \
json_model_override_args='{"a, b": (1)}', speculative_algorithm='EAGLE3', disable_radix_cache=True)
[2026-02-26 05:20:20 TP0] Init torch distributed ends. mem usage=0.55 GB
[2026-02-26 05:20:21 TP1] Load weight begin. avail mem=78.08 GB
[2026-02-26 05:20:21 TP0] Load weight begin. avail mem=78.10 GB
[2026-02-26 05:21:21 TP1] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=47.38 GB, mem usage=30.70 GB.
[2026-02-26 05:21:22 TP0] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=47.40 GB, mem usage=30.70 GB.
[2026-02-26 05:21:23 TP1] KV Cache is allocated. #tokens: 481234, K size: 14.68 GB, V size: 14.67 GB
[2026-02-26 05:21:23 TP0] KV Cache is allocated. #tokens: 481234, K size: 14.68 GB, V size: 14.67 GB
[2026-02-26 05:21:24 TP1] Memory pool end. avail mem=17.08 GB
[2026-02-26 05:21:24 TP0] Memory pool end. avail mem=17.10 GB
[2026-02-26 05:21:25 TP1] Capture cuda graph begin. This can take up to several minutes. avail mem=16.90 GB
[2026-02-26 05:21:35 TP1] Capture cuda graph end. Time elapsed: 5.11 s. mem usage=0.61 GB. avail mem=16.29 GB.
[2026-02-26 05:21:35 TP0] Capture cuda graph end. Time elapsed: 5.12 s. mem usage=0.61 GB. avail mem=16.31 GB.
[2026-02-26 05:21:41 TP1] Load weight begin. avail mem=16.20 GB
[2026-02-26 05:21:42 TP1] Load weight end. type=LlamaForCausalLMEagle3, dtype=torch.bfloat16, avail mem=15.50 GB, mem usage=0.70 GB.
[2026-02-26 05:21:43 TP1] KV Cache is allocated. #tokens: 481234, K size: 0.23 GB, V size: 0.23 GB
[2026-02-26 05:21:44 TP1] Memory pool end. avail mem=15.04 GB
[2026-02-26 05:21:49 TP1] Capture draft cuda graph end. Time elapsed: 1.10 s. mem usage=0.05 GB. avail mem=14.99 GB.
[2026-02-26 05:21:50 TP1] max_total_num_tokens=481234, chunked_prefill_size=8192, max_prefill_tokens=16384, max_running_requests=64, \
context_len=40960, available_gpu_mem=14.95 GB
[2026-02-26 05:22:10] The server is fired up and ready to roll!
[2026-02-26 05:23:10 TP0] KV cache pool is full. Retract requests. #retracted_reqs: 2, #new_token_ratio: 0.0980 -> 0.3487
[2026-02-26 05:23:11 TP0] KV cache pool is full. Retract requests. #retracted_reqs: 1, #new_token_ratio: 0.3397 -> 0.3530
"""


def test_a_start_with_a_draft_model() -> None:
    record = read_text(LOG, DRAFTED)
    assert record.outcome == "starts"
    assert record.serving
    assert (
        record.measured.items()
        >= {
            "init_dist_gib": 0.55,
            "avail_before_gib": 78.08,
            "weights_gib_per_gpu": 30.7,
            "draft_weights_gib": 0.7,
            "avail_after_weights_gib": 47.38,
            "kv_tokens": 481234,
            "kv_gib_per_gpu": 29.35,
            "k_gib": 14.68,
            "v_gib": 14.67,
            "draft_kv_gib": 0.46,
            "avail_after_pool_gib": 17.08,
            "avail_after_draft_pool_gib": 15.04,
            "avail_at_graph_begin_gib": 16.9,
            "cuda_graph_gib": 0.66,
            "cuda_graph_parts_gib": [0.61, 0.05],
            "avail_after_gib": 14.95,
        }.items()
    )
    assert record.launch == {
        "model": "o/m",
        "context_len": 40960,
        "kv_cache_dtype": "fp8_e4m3",
        "mem_fraction_static": 0.8,
        "chunked_prefill_size": 8192,
        "block_size": 64,
        "tp": 2,
        "dp": 1,
        "gpu_count": 2,
        "max_running_requests": 64,
    }
    assert record.flags["cuda_graph_bs"] == [1, 2, 4]
    assert record.flags["disable_radix_cache"] is True
    assert "disable_cuda_graph" not in record.flags
    assert [(each.code, each.count) for each in record.events] == [("requests-retracted", 2)]


def test_states_windows_and_newer_words() -> None:
    record = read_text(
        LOG,
        "Memory baseline taken. mem usage=0.71 GB\n"
        "Load weight begin. avail mem=78.48 GB\n"
        "Load weight end. elapsed=42.52 s, type=QForConditionalGeneration, quant=fp8, fmt=e4m3, avail mem=50.01 GB, mem usage=28.47 GB.\n"
        "Mamba Cache is allocated. max_mamba_cache_size: 124, conv_state size: 0.34GB, ssm_state size: 17.58GB\n"
        "Use sliding window memory pool. full_layer_tokens=998400, swa_layer_tokens=79872\n"
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 79872, K size: 2.00 GB, V size: 2.00 GB\n"
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 998400, K size: 8.00 GB, V size: 8.00 GB\n"
        "SWAKVPool mem usage: 20.00 GB, swa size: 79872, full size: 998400\n"
        "Memory pool end. avail mem=9.40 GB\n"
        "Capture target decode CUDA graph begin. backend=full, num_tokens_per_req=1, avail mem=9.20 GB\n"
        "Capture target decode CUDA graph end. bs=[1, 2, 4], elapsed=4.76 s, mem usage=0.10 GB, avail mem=9.10 GB.\n",
    )
    assert (
        record.measured.items()
        >= {
            "init_dist_gib": 0.71,
            "mamba_slots": 124,
            "mamba_conv_gib": 0.34,
            "mamba_ssm_gib": 17.58,
            "kv_tokens": 998400,
            "kv_gib_per_gpu": 20.0,
            "k_gib": 10.0,
            "swa_tokens": 79872,
            "avail_at_graph_begin_gib": 9.2,
            "avail_after_gib": 9.1,
        }.items()
    )
    assert "draft_kv_gib" not in record.measured
    assert read_text(LOG, "[TP0] Using KV cache dtype: torch.float8_e4m3fn").launch == {"kv_cache_dtype": "fp8_e4m3"}


SIZED = "[DP0 TP0] DSV4 memory calculation: bytes_per_full_token=7705.45, available_bytes=6.16 GB, c128_state_fixed=0.04 GB, full_token=852992\n"


def test_compressed_pools_take_all_that_was_free_unless_a_limit_cuts_them() -> None:
    whole = read_text(LOG, SIZED + "[DP0 TP0] DSV4 pool sizes: full=852992, swa=85248, c4=213248, c128=6664, c4_state=5328, c128_state=0\n")
    assert whole.measured.items() >= {"kv_tokens": 852992, "kv_gib_per_gpu": 6.16, "bytes_per_full_token": 7705.45}.items()
    cut = read_text(LOG, SIZED + "[DP0 TP0] DSV4 pool sizes: full=32768, swa=3200, c4=8192, c128=256, c4_state=200, c128_state=0\n")
    assert cut.measured["kv_tokens"] == 32768
    assert "kv_gib_per_gpu" not in cut.measured


def test_addresses_that_are_only_reserved_are_no_memory() -> None:
    record = read_text(
        LOG,
        "KV Cache VA upper bound. dtype: torch.bfloat16, #tokens: 900000, K size: 30.00 GB, V size: 30.00 GB\n"
        "Post-capture KV sizing: KV cache allocated. dtype: torch.bfloat16, #tokens: 600000, KV size: 40.00 GB, avail mem=2.10 GB\n",
    )
    assert (record.measured["kv_tokens"], record.measured["kv_gib_per_gpu"]) == (600000, 40.0)


@pytest.mark.parametrize(
    ("line", "code", "parameters", "outcome"),
    [
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "no-memory-for-cache", {}, "out-of-memory"),
        (
            "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.88. Raise --mem-fraction-static above "
            "0.912 (minimum viable = 1 - available/pre = 0.9113). If using speculative decoding, draft weights are now counted.",
            "weights-leave-nothing",
            {"mem_fraction_static": 0.88, "min_mem_fraction_static": 0.9113},
            "out-of-memory",
        ),
        (
            "ValueError: SWA pool (1024 tokens) cannot hold even one request: the prefill admission floor is sliding_window_size (4096) + page_size",
            "swa-pool-too-small",
            {"swa_tokens": 1024, "window": 4096},
            "out-of-memory",
        ),
        (
            "max_total_tokens=131072 is larger than the profiled value -561981. Use the profiled value instead.",
            "token-limit-above-profiled",
            {"max_total_tokens": 131072, "profiled_max_total_tokens": -561981},
            "out-of-memory",
        ),
        (
            "max_total_tokens=131072 is larger than the profiled value 90000. Use the profiled value instead.",
            "token-limit-above-profiled",
            {"max_total_tokens": 131072, "profiled_max_total_tokens": 90000},
            "unknown",
        ),
        (
            "RuntimeError: The memory capacity is unbalanced. Some GPUs may be occupied by other processes. "
            "min_per_gpu_memory=16.28, local_gpu_memory=46.81, local_gpu_memory * 0.9=42.1",
            "memory-unbalanced",
            {"least_free_gib": 16.28, "own_free_gib": 46.81},
            "refused",
        ),
        (
            "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "graph-capture-failed",
            {"reason": "CUDA out of memory. Tried to allocate 2.00 GiB."},
            "out-of-memory",
        ),
        ("Prefill out of memory. Try to lower your batch size.", "prefill-out-of-memory", {}, "unknown"),
    ],
)
def test_what_failed(line: str, code: str, parameters: dict[str, object], outcome: str) -> None:
    record = read_text(LOG, line)
    event = next(each for each in record.events if each.code in CODES)
    assert (event.code, event.parameters, record.outcome) == (code, parameters, outcome)


@pytest.mark.parametrize(
    "line",
    [
        "available_gpu_mem=1.2.3 GB",
        "[TP0] Load weight end. avail mem=.. GB, mem usage=- GB",
        "DSV4 memory calculation: bytes_per_full_token=7.7.05, available_bytes=6.1.6 GB, full_token=852992",
        "server_args=ServerArgs(((((((tp_size=2",
        "[TP0] Capture cuda graph end. mem usage= GB",
    ],
)
def test_what_is_no_number_says_nothing(line: str) -> None:
    record = read_text(LOG, line)
    assert (record.measured, record.launch) == ({}, {})


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("$ CUDA_VISIBLE_DEVICES=0 python3 -m sglang.launch_server --model-path o/m --tp 2", True),
        ("+ sglang serve o/m --tp 2", True),
        ("This loads: python -m sglang.bench", False),
    ],
)
def test_the_command_is_kept_where_one_is_shown(line: str, *, command: bool) -> None:
    assert bool(read_text(LOG, line).command) is command


@pytest.mark.shared
def test_texts_that_people_published() -> None:
    rows = [row for row in shared_lines("starts.jsonl") if row["engine"] == "sglang" and row["id"] not in REMARKS]
    printed, missing, wrong = compared(rows, LOG)
    assert wrong == []
    assert printed > 300
    assert len(missing) <= 0.03 * printed, missing
