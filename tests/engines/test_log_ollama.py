"""Ollama's log: its own lines and llama.cpp's inside of it, typed from their templates, and texts that people published."""

from __future__ import annotations

import pytest

from conftest import shared_lines
from gpusizer.engines.llama_cpp.log import LOG as RUNNER
from gpusizer.engines.llama_cpp.ollama_log import LOG
from log_texts import compared, read_text

INFO = "time=2025-09-20T10:00:00.000Z level=INFO source="
STARTED = f"""\
{INFO}routes.go:1475 msg="server config" env="map[CUDA_VISIBLE_DEVICES: OLLAMA_CONTEXT_LENGTH:4096 OLLAMA_FLASH_ATTENTION:false \
OLLAMA_GPU_OVERHEAD:1073741824 OLLAMA_KV_CACHE_TYPE: OLLAMA_NUM_PARALLEL:2 no_proxy:]"
{INFO}routes.go:1528 msg="Listening on 127.0.0.1:11434 (version 0.12.0)"
{INFO}types.go:131 msg="inference compute" id=GPU-1 library=cuda variant=v12 compute=8.6 driver=12.4 name="NVIDIA GeForce RTX 3090" total="23.6 GiB" \
available="23.3 GiB"
"""
LOADED = f"""\
{INFO}server.go:398 msg="starting runner" cmd="/usr/bin/ollama runner --model /ollama/models/blobs/sha256-abc --port 41231"
llama_model_loader: loaded meta data with 36 key-value pairs and 771 tensors from /ollama/models/blobs/sha256-abc (version GGUF V3 (latest))
print_info: general.name     = Qwen3 32B
{INFO}runner.go:1173 msg=load request="{{Operation:commit LoraPath:[] Parallel:2 BatchSize:512 FlashAttention:true KvSize:16384 KvCacheType:q8_0 \
NumThreads:8 GPULayers:60[ID:GPU-1 Layers:60(4..63)] MultiUserCache:false}}"
load_tensors: offloaded 60/65 layers to GPU
load_tensors:   CPU_Mapped model buffer size =  1417.30 MiB
load_tensors:        CUDA0 model buffer size = 17846.40 MiB
llama_context: n_seq_max     = 2
llama_context: n_ctx         = 16384
llama_context: n_ubatch      = 512
llama_context: flash_attn    = enabled
llama_kv_cache:      CUDA0 KV buffer size =  2048.00 MiB
llama_kv_cache:        CPU KV buffer size =   128.00 MiB
llama_kv_cache: size = 2176.00 MiB (  8192 cells,  64 layers,  2/2 seqs), K (q8_0): 1088.00 MiB, V (q8_0): 1088.00 MiB
llama_context:      CUDA0 compute buffer size =   306.75 MiB
{INFO}server.go:1289 msg="llama runner started in 5.00 seconds"
time=2025-09-20T10:01:15.001Z level=WARN source=runner.go:127 msg="truncating input prompt" limit=8192 prompt=9731 keep=4 new=8192
"""


def test_ollama_and_the_runner_inside_of_it() -> None:
    record = read_text(LOG, STARTED + LOADED)
    assert record.outcome == "starts"
    assert (
        record.measured.items()
        >= {
            "layers_offloaded": "60/65",
            "weights_gib_per_gpu": 17.4281,
            "kv_gib_per_gpu": 2.0,
            "kv_total_mib": 2176.0,
            "kv_total_gib": 2.125,
            "compute_buffer_mib": 306.75,
            "cpu_model_buffer_mib": 1417.3,
        }.items()
    )
    assert record.launch == {
        "engine_version": "0.12.0",
        "model": "Qwen3 32B",
        "gpu": "NVIDIA GeForce RTX 3090",
        "gpu_count": 1,
        "context_len": 8192,
        "max_running_requests": 2,
        "kv_cache_dtype": "q8_0",
    }
    assert record.flags == {
        "num_ctx": 8192,
        "num_parallel": 2,
        "kv_cache_type": "q8_0",
        "flash_attention": True,
        "gpu_overhead": 1073741824,
        "n_gpu_layers": 60,
    }
    assert {each.code: each.parameters for each in record.events} == {"prompt-cut": {"limit": 8192, "prompt_tokens": 9731}}


def test_a_log_of_ollama_matches_more_of_ollama() -> None:
    for text in (STARTED + LOADED, LOADED, " | ".join(LOADED.splitlines())):
        assert read_text(LOG, text).matched > read_text(RUNNER, text).matched
    plain = "\n".join(line for line in LOADED.splitlines() if line.startswith(("load_tensors", "llama_")))
    assert read_text(LOG, plain).matched == read_text(RUNNER, plain).matched > 0  # nothing tells them apart: the engine of the lines is named


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            "ollama_llama_server runner --ctx-size 8192 --batch-size 512 --n-gpu-layers 33 --flash-attn --kv-cache-type q8_0 --parallel 4",
            {"num_ctx": 2048, "num_parallel": 4, "kv_cache_type": "q8_0", "flash_attention": True},
        ),
        (
            "llama-server --model /m --port 1 -c 65536 -np 2 --no-jinja --cache-type-k q4_0 --cache-type-v q4_0 --flash-attn auto",
            {"num_ctx": 32768, "num_parallel": 2, "kv_cache_type": "q4_0"},
        ),
    ],
)
def test_the_command_of_a_runner_shares_its_context(command: str, flags: dict[str, object]) -> None:
    assert read_text(LOG, f'{INFO}server.go:433 msg="starting llama-server" cmd="/usr/lib/ollama/{command}"').flags == flags


def test_sizes_of_its_own_engine() -> None:
    record = read_text(
        LOG,
        f'{INFO}ggml.go:136 msg="" architecture=gptoss file_type=MXFP4 name="Gpt Oss 20b" description="" num_tensors=315\n'
        f'{INFO}device.go:240 msg="model weights" device=CUDA0 size="20.0 GiB"\n'
        f'{INFO}device.go:272 msg="total memory" size="20.0 GiB"\n'  # a first try that did not fit
        f'{INFO}device.go:240 msg="model weights" device=CUDA0 size="10.5 GiB"\n'
        f'{INFO}device.go:245 msg="model weights" device=CPU size="1.1 GiB"\n'
        f'{INFO}device.go:251 msg="kv cache" device=CUDA0 size="300.0 MiB"\n'
        f'{INFO}device.go:256 msg="kv cache" device=CPU size="212.0 MiB"\n'
        f'{INFO}device.go:262 msg="compute graph" device=CUDA0 size="190.5 MiB"\n'
        f'{INFO}device.go:272 msg="total memory" size="12.3 GiB"\n',
    )
    assert record.measured == {
        "weights_gib_per_gpu": 10.5,
        "cpu_weights_gib": 1.1,
        "kv_gib_per_gpu": 0.293,
        "kv_total_gib": 0.5,
        "compute_buffer_mib": 190.5,
        "total_gib": 12.3,
    }
    assert record.launch == {"model": "Gpt Oss 20b", "quantization": "MXFP4"}


@pytest.mark.parametrize(
    ("line", "code", "parameters", "outcome"),
    [
        (
            'error="model requires more system memory (62.5 GiB) than is available (7.5 GiB)"',
            "host-memory-short",
            {"needed_gib": 62.5, "available_gib": 7.5},
            "refused",
        ),
        (
            'msg="error loading llama server" error="llama runner process has terminated: cudaMalloc failed: out of memory"',
            "runner-ended",
            {"reason": "cudaMalloc failed: out of memory"},
            "out-of-memory",
        ),
        ('msg="llama runner process has terminated: exit status 2"', "runner-ended", {"reason": "exit status 2"}, "refused"),
        (
            'msg="requested context size too large for model" num_ctx=131072 n_ctx_train=8192',
            "context-above-training",
            {"context": 131072, "trained": 8192},
            "unknown",
        ),
        (
            'msg="llama-server load failed; reducing automatic context and retrying once" model=/m old_num_ctx=0 effective_num_ctx=131072 '
            "new_num_ctx=32768 old_num_batch=512",
            "context-reduced",
            {"before": 131072, "after": 32768},
            "unknown",
        ),
        (
            'error="llama-server reported out-of-memory during startup: unable to allocate CUDA0 buffer"',
            "runner-ended",
            {"reason": "unable to allocate CUDA0 buffer"},
            "out-of-memory",
        ),
        ('msg="no compatible GPUs were discovered"', "no-gpu-used", {}, "unknown"),
    ],
)
def test_what_failed(line: str, code: str, parameters: dict[str, object], outcome: str) -> None:
    record = read_text(LOG, f"{INFO}sched.go:450 {line}")
    assert {each.code: each.parameters for each in record.events}[code] == parameters
    assert record.outcome == outcome


@pytest.mark.shared
def test_texts_that_people_published() -> None:
    printed, missing, wrong = compared([row for row in shared_lines("starts.jsonl") if row["engine"] == "ollama"], LOG)
    assert (missing, wrong) == ([], [])
    assert printed > 10
