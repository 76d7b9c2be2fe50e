"""TensorRT-LLM's log: lines typed from its templates, and texts that people published beside what they measured."""

from __future__ import annotations

import pytest

from conftest import shared_lines
from gpusizer.engines.tensorrt_llm.log import LOG
from log_texts import compared, read_text

PROFILED = """\
[TensorRT-LLM] TensorRT LLM version: 1.2.0
[11/22/2025-11:19:23] [TRT-LLM] [I] Using LLM with PyTorch backend
[11/22/2025-11:20:02] [TRT-LLM] [I] Use 63.32 GB for model weights.
[11/22/2025-11:20:03] [TRT-LLM] [W] Attention window size 131072 exceeds upper bound 8224 for available blocks. Reducing to 8224.
[11/22/2025-11:20:03] [TRT-LLM] [W] Adjusted max_seq_len to 8224
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.56 GiB for max tokens in paged KV cache (8224).
[11/22/2025-11:20:03] [TRT-LLM] [I] max_seq_len=8224, max_num_requests=64, max_num_tokens=8192, max_batch_size=64
[11/22/2025-11:20:08] [TRT-LLM] [I] Memory used after loading model weights (inside torch) in memory usage profiling: 63.52 GiB
[11/22/2025-11:20:08] [TRT-LLM] [I] Memory used after loading model weights (outside torch) in memory usage profiling: 2.78 GiB
[11/22/2025-11:20:08] [TRT-LLM] [I] Memory dynamically allocated during inference (inside torch) in memory usage profiling: 0.85 GiB
[11/22/2025-11:20:08] [TRT-LLM] [I] Memory used outside torch (e.g., NCCL and CUDA graphs) in memory usage profiling: 3.28 GiB
[11/22/2025-11:20:08] [TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 67.65 GiB, available KV cache memory \
when calculating max tokens: 10.88 GiB, fraction is set 0.8999999761581421, kv size is 73728. device total memory 79.18 GiB, , tmp kv_mem 0.56 GiB
"""
FINAL = """\
[TensorRT-LLM][INFO] Max KV cache blocks per sequence: 4096 [window size=131072], tokens per block=32, primary blocks=4951, secondary blocks=0
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 10.88 GiB for max tokens in paged KV cache (158432).
[11/22/2025-11:20:09] [TRT-LLM] [I] max_seq_len=131072, max_num_requests=64, max_num_tokens=8192, max_batch_size=64
"""


def test_the_last_of_two_pools_is_the_one_that_serves() -> None:
    record = read_text(LOG, PROFILED + FINAL)
    assert record.outcome == "starts"
    assert record.measured == {
        "weights_gib_per_gpu": 63.52,
        "activation_gib": 0.85,
        "outside_torch_gib": 3.28,
        "peak_gib": 67.65,
        "kv_bytes_per_token": 73728,
        "total_gib": 79.18,
        "kv_blocks": 4951,
        "max_num_tokens": 8192,
        "kv_gib_per_gpu": 10.88,
        "kv_tokens": 158432,
    }
    assert record.launch == {"engine_version": "1.2.0", "context_len": 131072, "max_running_requests": 64, "block_size": 32}
    assert record.flags == {"kv_cache_free_gpu_memory_fraction": 0.9}
    assert record.events == []  # what was cut to the pool of the profile no longer holds


def test_what_is_cut_to_the_pool_that_serves_is_said() -> None:
    cut = "[TRT-LLM] [W] Attention window size 131072 exceeds upper bound 40000 for available blocks.\n[TRT-LLM] [W] Adjusted max_seq_len to 40000\n"
    record = read_text(LOG, PROFILED + cut + FINAL)
    assert {each.code: each.parameters for each in record.events} == {
        "window-cut-to-cache": {"attention_window": 131072, "upper_bound": 40000},
        "context-cut-to-cache": {"max_seq_len": 40000},
    }


def test_the_pool_of_the_profile_alone_is_no_pool() -> None:
    record = read_text(LOG, PROFILED)
    assert record.outcome == "unknown"
    assert record.measured["kv_gib_per_gpu"] == 10.88
    assert "kv_tokens" not in record.measured


def test_the_newer_manager_of_caches_says_bytes() -> None:
    quota = "[TRT-LLM] [I] KV cache manager v2 device quota set to 10.879999160766602GiB\n"
    assert read_text(LOG, PROFILED.replace("10.88 GiB, fraction", "11.11 GiB, fraction") + quota).measured["kv_gib_per_gpu"] == 10.88


def test_an_engine_file() -> None:
    record = read_text(
        LOG,
        "[TensorRT-LLM][INFO] Loaded engine size: 8925 MiB\n"
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 1013.01 MiB for execution context memory.\n"
        "[TensorRT-LLM][INFO] [MemUsageChange] TensorRT-managed allocation in IExecutionContext creation: "
        "CPU +0, GPU +0, now: CPU 0, GPU 8727 (MiB)\n"
        "[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.10 GiB, available: 57.87 GiB\n"
        "[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 42668\n"
        "[TensorRT-LLM][INFO] Number of tokens per block: 64.\n"
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 52.08 GiB for max tokens in paged KV cache (2730752).\n",
    )
    assert record.measured.items() >= {"weights_gib_per_gpu": 8.522, "activation_gib": 0.989, "kv_blocks": 42668, "kv_tokens": 2730752}.items()


@pytest.mark.parametrize(
    ("reason", "outcome"), [("CUDA out of memory. Tried to allocate 1002.00 MiB.", "out-of-memory"), ("illegal memory access", "refused")]
)
def test_an_executor_that_failed(reason: str, outcome: str) -> None:
    record = read_text(LOG, f"[06/02/2026-03:50:53] [TRT-LLM] [E] Failed to initialize executor on rank 0: {reason}")
    assert "executor-failed" in [each.code for each in record.events]
    assert record.outcome == outcome


@pytest.mark.shared
def test_texts_that_people_published() -> None:
    rows = [row for row in shared_lines("starts.jsonl") if row["engine"] == "tensorrt-llm" and row["id"] != "tensorrt-llm-azir-llama8b-nvfp4"]
    printed, missing, wrong = compared(rows, LOG)
    assert (missing, wrong) == ([], [])
    assert printed > 60
