"""llama.cpp's log and that of its fork: lines typed from their templates, and texts that people published beside what they measured."""

from __future__ import annotations

import pytest

from conftest import shared_lines
from gpusizer.engines.llama_cpp.log import CODES, LOG
from log_texts import compared, read_text

# Typed by people: sizes listed in their own order, tables, sentences.
REMARKS = {f"llama.cpp-{name}" for name in ("ik487-a", "ik645-a", "ik839-a", "ik839-b", "ik398-b", "ik749-b", "gemma4-12b-a", "pawsey-deepseek-r1")}

# Two cards, window layers, a projector and a draft behind it: templates of src/llama-*.cpp and tools/mtmd/clip.cpp, figures of our own.
SERVER = """\
ggml_cuda_init: found 2 CUDA devices:
  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes
  Device 1: NVIDIA RTX A4000, compute capability 8.6, VMM: yes
build: 6123 (79c1160b) with cc (Ubuntu) for x86_64-linux-gnu
0.01.234 I llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) (0000:01:00.0) - 23900 MiB free
0.01.235 I llama_model_load_from_file_impl: using device CUDA1 (NVIDIA RTX A4000) (0000:02:00.0) - 15900 MiB free
llama_model_loader: loaded meta data with 36 key-value pairs and 771 tensors from /srv/My Models/gemma-3-27b-it-Q4_K_M.gguf (version GGUF V3 (latest))
print_info: file type   = Q4_K - Medium
print_info: file size   = 15.00 GiB (4.85 BPW)
print_info: general.name     = Gemma 3 27b It
load_tensors: offloaded 63/63 layers to GPU
load_tensors:   CPU_Mapped model buffer size =  1102.50 MiB
load_tensors:        CUDA0 model buffer size =  9000.25 MiB
load_tensors:        CUDA1 model buffer size =  6000.50 MiB
llama_context: n_seq_max     = 2
llama_context: n_ctx         = 32768
llama_context: n_ctx_seq     = 16384
llama_context: n_batch       = 2048
llama_context: n_ubatch      = 512
llama_context: flash_attn    = auto
llama_context: kv_unified    = false
llama_context: n_ctx_seq (16384) < n_ctx_train (131072) -- the full capacity of the model will not be utilized
llama_context:  CUDA_Host  output buffer size =     2.00 MiB
llama_kv_cache_iswa: creating non-SWA KV cache, size = 16384 cells
llama_kv_cache:      CUDA0 KV buffer size =   680.00 MiB
llama_kv_cache:      CUDA1 KV buffer size =   340.00 MiB
llama_kv_cache: size = 1020.00 MiB ( 16384 cells,  10 layers,  2/2 seqs), K (q8_0):  510.00 MiB, V (q8_0):  510.00 MiB
llama_kv_cache_iswa: creating     SWA KV cache, size = 1536 cells
llama_kv_cache:      CUDA0 KV buffer size =   300.00 MiB
llama_kv_cache:      CUDA1 KV buffer size =   180.00 MiB
llama_kv_cache: size =  480.00 MiB (  1536 cells,  52 layers,  2/2 seqs), K (q8_0):  240.00 MiB, V (q8_0):  240.00 MiB
sched_reserve: Flash Attention was auto, set to enabled
sched_reserve:      CUDA0 compute buffer size =   522.62 MiB
sched_reserve:      CUDA1 compute buffer size =   600.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    42.01 MiB
load_hparams: model size:         811.82 MiB
alloc_compute_meta:      CUDA0 compute buffer size =  1132.00 MiB
llama_model_loader: loaded meta data with 36 key-value pairs and 340 tensors from draft.gguf (version GGUF V3 (latest))
print_info: file type   = Q8_0
print_info: file size   = 1.00 GiB (8.50 BPW)
load_tensors: offloaded 27/27 layers to GPU
load_tensors:        CUDA0 model buffer size =  1020.00 MiB
llama_context: n_ctx         = 4096
llama_kv_cache:      CUDA0 KV buffer size =   104.00 MiB
llama_kv_cache: size =  104.00 MiB (  4096 cells,  26 layers,  1/1 seqs), K (f16):   52.00 MiB, V (f16):   52.00 MiB
sched_reserve:      CUDA0 compute buffer size =   301.00 MiB
slot  load_model: id  0 | task -1 | new slot, n_ctx = 16384
main: server is listening on http://127.0.0.1:8080 - starting the main loop
"""


def test_what_serves_and_not_what_was_loaded_beside_it() -> None:
    record = read_text(LOG, SERVER)
    assert record.outcome == "starts"
    assert record.serving
    assert record.measured == {
        "layers_offloaded": "63/63",
        "kv_tokens": 32768,
        "n_ubatch": 512,
        "free_mib_by_device": {"CUDA0": 23900, "CUDA1": 15900},
        "model_buffer_mib_by_device": {"CUDA0": 9000.25, "CUDA1": 6000.5},
        "cpu_model_buffer_mib": 1102.5,
        "kv_buffer_mib_by_device": {"CUDA0": 980.0, "CUDA1": 520.0},
        "kv_total_mib": 1500.0,
        "kv_full_mib": 1020.0,
        "kv_swa_mib": 480.0,
        "k_gib": 0.7324,
        "v_gib": 0.7324,
        "compute_buffer_mib_by_device": {"CUDA0": 522.62, "CUDA1": 600.0, "CUDA_Host": 42.01},
        "compute_buffer_mib": 522.62,
        "cpu_compute_buffer_mib": 42.01,
    }
    assert record.launch == {
        "engine_version": "b6123",
        "model": "gemma-3-27b-it-Q4_K_M.gguf",
        "quantization": "Q4_K - Medium",
        "checkpoint_gib": 15.0,
        "gpu": "NVIDIA GeForce RTX 3090 + NVIDIA RTX A4000",
        "gpu_count": 2,
        "context_len": 32768,
        "max_running_requests": 2,
        "kv_cache_dtype": "q8_0",
    }
    assert record.flags == {
        "n_gpu_layers": 63,
        "ctx_size": 32768,
        "batch_size": 2048,
        "ubatch_size": 512,
        "parallel": 2,
        "flash_attn": "on",
        "cache_type_k": "q8_0",
        "cache_type_v": "q8_0",
    }
    assert {each.code: each.parameters for each in record.events} == {"context-below-training": {"context": 16384, "trained": 131072}}


def test_lines_that_were_joined_say_the_same() -> None:
    apart, joined = read_text(LOG, SERVER), read_text(LOG, " | ".join(SERVER.splitlines()))
    assert (joined.measured, joined.launch, joined.flags) == (apart.measured, apart.launch, apart.flags)


def test_a_trial_load_is_not_what_runs() -> None:
    trial = (
        "load_tensors: offloaded 33/33 layers to GPU\nload_tensors:        CUDA0 model buffer size =     0.00 MiB\n"
        "llama_context: n_ctx         = 131072\nllama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB\n"
        "sched_reserve:      CUDA0 compute buffer size =  9000.00 MiB\n"
    )
    real = (
        "load_tensors: offloaded 20/33 layers to GPU\nload_tensors:        CUDA0 model buffer size =  4000.00 MiB\n"
        "llama_context: n_ctx         = 8192\nllama_kv_cache:      CUDA0 KV buffer size =   512.00 MiB\n"
        "sched_reserve:      CUDA0 compute buffer size =   300.00 MiB\n"
    )
    assert read_text(LOG, trial + real).measured == read_text(LOG, real).measured
    assert read_text(LOG, real).measured["layers_offloaded"] == "20/33"


def test_the_fork_is_told_by_what_only_it_prints() -> None:
    record = read_text(
        LOG,
        "main: build = 3724 (626f49ab)\n"
        "llm_load_tensors:  CUDA_Host buffer size =   497.11 MiB\nllm_load_tensors: RPC[192.0.2.7:50052] buffer size = 19142.56 MiB\n"
        "llm_load_tensors:        CPU buffer size =  1000.00 MiB\nllm_load_tensors:      CUDA0 buffer size =  9996.68 MiB\n"
        "llama_new_context_with_model: n_ctx      = 32768\nllama_new_context_with_model: flash_attn = 1\n"
        "llama_new_context_with_model: mla_attn   = 3\nllama_new_context_with_model: attn_max_b = 512\n"
        "llama_kv_cache_init:      CUDA0 KV buffer size =  1166.65 MiB\n"
        "llama_new_context_with_model: KV self size  = 1166.62 MiB, c^KV (q8_0): 1166.62 MiB, kv^T: not used\n",
    )
    assert record.launch["engine_version"] == "ik_llama.cpp fork, build 3724"
    assert record.flags.items() >= {"fork": "ik_llama.cpp", "mla": 3, "amb": 512, "flash_attn": "on", "cache_type_k": "q8_0"}.items()
    assert record.measured["model_buffer_mib_by_device"] == {"RPC": 19142.56, "CUDA0": 9996.68}  # an address is nobody's business
    assert record.measured["cpu_model_buffer_mib"] == 1497.11
    assert record.measured["kv_gib_per_gpu"] == 1.1393
    assert "v_gib" not in record.measured


@pytest.mark.parametrize("path", ["", "./build/bin/", "~/llama.cpp/build/bin/"])
def test_the_command_is_kept_where_one_is_shown(path: str) -> None:
    assert read_text(LOG, f"$ {path}llama-server -m x.gguf -c 8192").command == f"{path}llama-server -m x.gguf -c 8192"


@pytest.mark.parametrize(
    ("lines", "gpu", "count"),
    [
        ("ggml_vulkan: 0 = Radeon 8060S Graphics (RADV STRIX_HALO) (radv) | uma: 1 | fp16: 1", "Radeon 8060S Graphics", 1),
        ("llm_load_tensors: AMD Radeon RX 7900 XTX (RADV NAVI31) buffer size = 18671.19 MiB", "AMD Radeon RX 7900 XTX", 1),
        ("ggml_metal_device_init: GPU name:   MTL0 (Apple M4 Max)", "Apple M4 Max", 1),
        ("  Device 0: Radeon 8060S Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32, VRAM: 122880 MiB", "Radeon 8060S Graphics", 1),
        ("  Device 0: Tesla T4, compute capability 7.5, VMM: yes\n  Device 1: Tesla T4, compute capability 7.5, VMM: yes", "Tesla T4", 2),
        ("load_tensors: CUDA0 model buffer size = 10.00 MiB\nload_tensors: CUDA1 model buffer size = 10.00 MiB", None, 2),
    ],
)
def test_devices_of_every_kind(lines: str, gpu: str | None, count: int) -> None:
    launch = read_text(LOG, lines).launch
    assert (launch.get("gpu"), launch["gpu_count"]) == (gpu, count)


def test_weights_that_no_line_names_are_not_made_up() -> None:
    record = read_text(
        LOG,
        "model size       = 300.0 GiB (4.0 BPW)\nllm_load_tensors:  CPU buffer size = 41420.65 MiB\n"
        "llm_load_tensors: CUDA0 buffer size =  9000.00 MiB\n",
    )
    assert record.measured["weights_gib_per_gpu"] == 8.7891
    assert "cpu_model_buffer_mib" not in record.measured


@pytest.mark.parametrize(
    ("lines", "expected", "outcome"),
    [
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 8900.01 MiB on device 0: cudaMalloc failed: out of memory\n"
            "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 9332334592\n"
            "llama_init_from_model: failed to initialize the context: failed to allocate compute pp buffers\n",
            {"device-allocation-failed": {"failed_alloc_mib": 8900.01, "device": "0"}, "compute-allocation-failed": {}},
            "out-of-memory",
        ),
        (
            "alloc_tensor_range: failed to allocate Vulkan0 buffer of size 4294967296\n"
            "llama_model_load: error loading model: unable to allocate Vulkan0 buffer\n",
            {
                "device-allocation-failed": {"failed_alloc_mib": 4096.0, "device": "Vulkan0"},
                "model-allocation-failed": {"device": "Vulkan0"},
                "model-load-failed": {"reason": "unable to allocate Vulkan0 buffer"},
            },
            "out-of-memory",
        ),
        (
            "ggml_aligned_malloc: insufficient memory (attempted to allocate 36000.00 MB)\n"
            "srv    load_model: failed to create_context with model 'x.gguf'\n",
            {"host-allocation-failed": {"failed_alloc_mib": 36000.0}, "context-creation-failed": {}},
            "out-of-memory",
        ),
        (
            "llama_kv_cache: failed to allocate buffer for kv cache\nmain: failed to create context with model 'x.gguf'\n",
            {"kv-allocation-failed": {}, "context-creation-failed": {}},
            "out-of-memory",
        ),
        (
            "llama_model_load: error loading model: unknown model architecture: 'x'\n",
            {"model-load-failed": {"reason": "unknown model architecture: 'x'"}},
            "refused",
        ),
        (
            "llama_context: compute buffer allocation failed, retrying without pipeline parallelism\nmain: server is listening on http://x\n",
            {"retry-without-pipeline": {}},
            "starts",
        ),
        (
            "common_params_fit_impl: projected to use 71326 MiB of device memory vs. 22459 MiB of free device memory\n"
            "common_params_fit_impl: context size reduced from 262144 to 40960 -> need 8000 MiB less memory in total\n",
            {
                "fit-projected": {"total_self_mib": 71326, "projected_free_mib": 22459},
                "fit-reduced-context": {"before": 262144, "after": 40960, "saved_mib": 8000},
            },
            "unknown",
        ),
    ],
)
def test_what_failed(lines: str, expected: dict[str, dict[str, object]], outcome: str) -> None:
    record = read_text(LOG, lines)
    assert {each.code: each.parameters for each in record.events if each.code in CODES} == expected
    assert record.outcome == outcome


TABLE = "common_memory_breakdown_print: | memory breakdown [MiB] |  total     free     self   model   context   compute    unaccounted |\n"
ROW = "common_memory_breakdown_print: |   - ROCm{} (8060S Graphics) | 115200 = 120459 + ({} = 61223 +    9306 +     796) + -76586 |\n"
HOST = "common_memory_breakdown_print: |   - Host                |           1385 =  1104 +       0 +     281             |\n"


def test_the_table_of_memory_stands_in_for_buffers() -> None:
    record = read_text(LOG, TABLE + ROW.format(0, 90000) + HOST + TABLE + ROW.format(0, 71326) + HOST)
    assert record.measured == {
        "total_mib": 115200,
        "self_mib": 71326,
        "weights_gib_per_gpu": 59.7881,
        "kv_gib_per_gpu": 9.0879,
        "compute_buffer_mib": 796,
    }
    assert record.outcome == "unknown"
    both = read_text(LOG, TABLE + ROW.format(0, 71326) + ROW.format(1, 71326) + HOST)
    assert both.measured == {"total_mib": 230400, "self_mib": 142652}


@pytest.mark.shared
def test_texts_that_people_published() -> None:
    rows = [row for row in shared_lines("starts.jsonl") if row["engine"] == "llama.cpp" and row["id"] not in REMARKS]
    printed, missing, wrong = compared(rows, LOG)
    assert wrong == []
    assert printed > 500
    assert len(missing) <= 0.03 * printed, missing
