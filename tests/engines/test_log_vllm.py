"""vLLM's log: lines typed from the templates of its versions, and texts that people published beside what they measured."""

from __future__ import annotations

import pytest

from conftest import shared_lines
from gpusizer.engines.base.log import LogRecord
from gpusizer.engines.base.log_common import CODES as SHARED_CODES
from gpusizer.engines.base.log_values import printed_items, printed_value
from gpusizer.engines.vllm.log import LOG
from gpusizer.engines.vllm.log_errors import CODES
from log_texts import compared, read_text

# Words of the engine that no remark has: a text with one of them holds a line that it printed.
PRINTED = ("Available KV cache memory: ", "tokens per request: ", "odel loading took ", "model weights took ", "on startup", "max seq len (", "]")

# Sentences and tables that people typed about a start.
REMARKS = (
    "KV pool 17.02 GiB / 3,382,054 tok",
    "| FP8 | 377,456 | 14.28 GiB",
    "38.43 GiB KV cache, 3,511,589 tokens, full 1M context at 3.35x concurrency",
    "| openai/gpt-oss-20b | weights 13.47 | activation 7.38 | non-torch 0.13 | CUDA graph 0.39 | KV 50.28 | TP 1 | util 0.9 |",
    "Model load 50.33 GiB | Available KV memory 40.63 GiB | Max concurrency at 262,144 3.00x",
    "Loading weights took 12.34 seconds",
)

# 0.6.6, V0: vllm/worker/worker.py, executor; figures of our own.
V0 = """\
INFO 12-20 20:25:01 api_server.py:712] vLLM API server version 0.6.6.post1
INFO 12-20 20:25:01 api_server.py:713] args: Namespace(subparser='serve', model_tag='o/m', host=None, port=8000, api_key='sk-secret', \
model='facebook/opt-125m', tensor_parallel_size=2, max_model_len=40000, gpu_memory_utilization=0.9, enforce_eager=False, swap_space=4, \
dispatch_function=<function serve at 0x7f3a5c>)
INFO 12-20 20:25:05 llm_engine.py:234] Initializing an LLM engine (v0.6.6.post1) with config: model='o/m', speculative_config=None, \
tokenizer='o/m', dtype=torch.float16, max_seq_len=40000, load_format=LoadFormat.AUTO, tensor_parallel_size=2, pipeline_parallel_size=1, \
quantization=awq, enforce_eager=False, kv_cache_dtype=auto, decoding_config=DecodingConfig(guided_decoding_backend='xgrammar'), seed=0,
(VllmWorkerProcess pid=90) INFO 12-20 20:25:26 model_runner.py:1099] Loading model weights took 7.5143 GB
INFO 12-20 20:25:46 worker.py:241] Memory profiling takes 19.77 seconds
INFO 12-20 20:25:46 worker.py:241] the current vLLM instance can use total_gpu_memory (15.77GiB) x gpu_memory_utilization (0.90) = 14.20GiB
INFO 12-20 20:25:46 worker.py:241] model weights take 7.51GiB; non_torch_memory takes 0.39GiB; PyTorch activation peak memory takes \
2.53GiB; the rest of the memory reserved for KV Cache is 3.76GiB.
INFO 12-20 20:25:46 distributed_gpu_executor.py:57] # GPU blocks: 3852, # CPU blocks: 4096
INFO 12-20 20:25:46 distributed_gpu_executor.py:61] Maximum concurrency for 40000 tokens per request: 1.54x
INFO 12-20 20:26:10 model_runner.py:1535] Graph capturing finished in 21 secs, took 0.31 GiB
INFO:     Application startup complete.
WARNING 12-20 21:00:10 scheduler.py:1481] Sequence group chat-1 is preempted by PreemptionMode.RECOMPUTE mode because there is not enough \
KV cache space. This can affect the end-to-end performance. total_num_cumulative_preemption=1
WARNING 12-20 21:10:10 scheduler.py:1481] Sequence group chat-9 is preempted by PreemptionMode.RECOMPUTE mode because there is not enough \
KV cache space. This can affect the end-to-end performance. total_num_cumulative_preemption=51
"""

# 0.28 and later: vllm/v1/worker/gpu_worker.py, kv_cache_utils.py, entrypoints/common/startup.py, metrics/loggers.py.
V1 = """\
(APIServer pid=1) INFO 09-13 10:00:00 [startup.py:30]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.28.0
(APIServer pid=1) INFO 09-13 10:00:00 [startup.py:30]   █▄█▀ █     █     █     █  model   Qwen/Qwen3.6-35B-A3B
(APIServer pid=1) INFO 09-13 10:00:01 [startup.py:96] non-default args: {'model_tag': 'Qwen/Qwen3.6-35B-A3B', 'max_num_seqs': 32, \
'tensor_parallel_size': 2, 'enable_expert_parallel': True, 'speculative_config': {'method': 'mtp', 'model': 'draft/m', \
'num_speculative_tokens': 3}, 'limit_mm_per_prompt': {'image': 0}}
(EngineCore pid=9) INFO 09-13 10:00:05 [core.py:100] Initializing a V1 LLM engine (v0.28.0) with config: model='Qwen/Qwen3.6-35B-A3B', \
speculative_config=SpeculativeConfig(method='mtp', model='draft/m', num_spec_tokens=3), dtype=torch.bfloat16, max_seq_len=65536, \
tensor_parallel_size=2, pipeline_parallel_size=1, data_parallel_size=1, quantization=fp8, enforce_eager=False, kv_cache_dtype=fp8_e4m3,
(Worker_TP0 pid=20) INFO 09-13 10:01:00 [gpu_model_runner.py:5448] Model loading took 34.06 GiB memory and 38.07 seconds
(Worker_TP1 pid=21) INFO 09-13 10:01:01 [gpu_model_runner.py:5448] Model loading took 34.07 GiB memory and 39.07 seconds
(Worker_TP0 pid=20) INFO 09-13 10:01:02 [fused_moe.py:9] Using configuration from /x/E=256,N=256,device_name=NVIDIA_H100_80GB_HBM3.json
(Worker_TP0 pid=20) INFO 09-13 10:01:03 [gpu_model_runner.py:6663] Estimated CUDA graph memory: 0.47 GiB total
(Worker_TP0 pid=20) INFO 09-13 10:01:04 [gpu_worker.py:773] Available KV cache memory: 31.5 GiB
(EngineCore pid=9) INFO 09-13 10:01:05 [kv_cache_utils.py:2315] GPU KV cache size: 2,120,416 tokens, \
Maximum concurrency for 65,536 tokens per request: 106.95x
(Worker_TP0 pid=20) INFO 09-13 10:01:20 [gpu_worker.py:1004] CUDA graph pool memory: 0.52 GiB (actual), 0.47 GiB (estimated), \
difference: 0.05 GiB (9.6%).
(Worker_TP0 pid=20) INFO 09-13 10:01:20 [gpu_worker.py:1046] Free memory on device (77.7/79.19 GiB) on startup. Desired GPU memory \
utilization is (0.9, 71.27 GiB). Actual usage is 36.4 GiB for consumed memory (weights + non-torch), 3.4 GiB for peak activation, and \
0.52 GiB for CUDAGraph memory. Current kv cache memory in use is 31.5 GiB.
(EngineCore pid=9) INFO 09-13 10:01:21 [core.py:300] init engine (profile, create kv cache, warmup model) took 70.10 s
(APIServer pid=1) INFO:     Application startup complete.
(APIServer pid=1) INFO 09-13 10:10:00 [loggers.py:271] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 9.1 \
tokens/s, Running: 32 reqs, Waiting: 50 reqs, Preemptions: 3, GPU KV cache usage: 99.1%, Prefix cache hit rate: 0.0%
(APIServer pid=1) INFO 09-13 10:10:10 [loggers.py:271] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 9.1 \
tokens/s, Running: 30 reqs, Waiting: 52 reqs, Preemptions: 4, GPU KV cache usage: 98.0%, Prefix cache hit rate: 0.0%
"""

OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 1 has a total capacity of 79.19 GiB of which 552.50 MiB is "
    "free. Including non-PyTorch memory, this process has 78.64 GiB memory in use. Of the allocated memory 74.91 GiB is allocated by PyTorch, "
    "with 626.00 MiB allocated in private pools (e.g., CUDA Graphs), and 1.12 GiB is reserved by PyTorch but unallocated."
)


def test_a_start_of_the_old_engine() -> None:
    record = read_text(LOG, V0)
    assert (record.outcome, record.serving) == ("starts", True)
    assert record.launch.items() >= {"engine_version": "0.6.6.post1", "model": "o/m", "tp": 2, "pp": 1, "gpu_count": 2}.items()
    assert record.launch.items() >= {"dtype": "float16", "quantization": "awq", "max_model_len": 40000, "gpu_memory_utilization": 0.9}.items()
    assert record.measured.items() >= {"weights_gib_per_gpu": 7.5143, "total_gpu_memory_gib": 15.77, "non_torch_gib": 0.39}.items()
    assert record.measured.items() >= {"activation_peak_gib": 2.53, "kv_available_gib_per_gpu": 3.76, "kv_blocks": 3852}.items()
    assert record.measured.items() >= {"max_concurrency": 1.54, "cuda_graph_gib": 0.31, "preemptions": 51}.items()
    assert record.flags["swap_space"] == 4
    assert not {"api_key", "dispatch_function", "host"} & set(record.flags)
    (event,) = record.events
    assert (event.code, event.parameters, event.count) == ("preempted", {"preemptions": 51}, 2)


def test_a_start_of_today() -> None:
    record = read_text(LOG, V1)
    assert (record.outcome, record.serving) == ("starts", True)
    assert record.launch.items() >= {"engine_version": "0.28.0", "model": "Qwen/Qwen3.6-35B-A3B", "tp": 2, "ep": True, "dp": 1}.items()
    assert record.launch.items() >= {"max_model_len": 65536, "max_num_seqs": 32, "kv_cache_dtype": "fp8_e4m3", "quantization": "fp8"}.items()
    assert record.launch.items() >= {"gpu": "NVIDIA H100 80GB HBM3", "gpu_memory_utilization": 0.9, "enforce_eager": False}.items()
    assert record.measured.items() >= {"weights_gib_per_gpu": 34.06, "kv_available_gib_per_gpu": 31.5, "kv_tokens": 2120416}.items()
    assert record.measured.items() >= {"max_concurrency": 106.95, "cuda_graph_gib": 0.52, "cuda_graph_estimated_gib": 0.47}.items()
    assert record.measured.items() >= {"initial_free_gib": 77.7, "total_gpu_memory_gib": 79.19, "weights_plus_non_torch_gib": 36.4}.items()
    assert record.measured.items() >= {"activation_peak_gib": 3.4, "preemptions": 7, "kv_usage_most_percent": 99.1}.items()
    assert record.flags["speculative_config"] == {"method": "mtp", "model": "draft/m", "num_speculative_tokens": 3}
    assert [(each.code, each.parameters) for each in record.events] == [("preempted", {"preemptions": 7})]


@pytest.mark.parametrize("text", [V0, V1])
def test_how_the_lines_come_makes_no_difference(text: str) -> None:
    """Joined by bars, behind the names of containers, as JSON of Kubernetes, a block at a time."""
    plain = read_text(LOG, text)
    lines = text.splitlines()
    journal = "\n".join(f"Dec 20 20:25:01 host vllm-1  | {line}" for line in lines)
    wrapped = "\n".join(f'{{"log":"{line}\\n","stream":"stderr","time":"2026-09-13T10:00:00Z"}}' for line in lines)
    for other in (" | ".join(lines), journal, wrapped):
        record = read_text(LOG, other)
        assert record.measured == plain.measured
        assert record.launch == plain.launch
        assert record.outcome == plain.outcome
        assert [each.code for each in record.events] == [each.code for each in plain.events]
    narrowed = LOG.within(text)
    assert len(narrowed.patterns) < len(LOG.patterns) / 2
    assert read_text(narrowed, text) == plain


@pytest.mark.parametrize(
    ("line", "code", "parameters"),
    [
        ("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing.", "no-cache-memory", {}),
        (
            "ValueError: To serve at least one request with the models's max seq len (32768), (2.00 GB KV cache is needed, which is larger than "
            "the available KV cache memory (0.78 GB). Try increasing `gpu_memory_utilization`",
            "request-too-long",
            {"max_model_len": 32768, "kv_needed_gib": 2.0, "kv_available_gib_per_gpu": 0.78},
        ),
        (
            "ValueError: To serve at least one request with the model's max seq len (131072), (8.18 GiB KV cache is needed, which is larger than "
            "the available KV cache memory (7.04 GiB). Based on the available memory, the estimated maximum model length is 112896. Try",
            "request-too-long",
            {"max_model_len": 131072, "kv_needed_gib": 8.18, "kv_available_gib_per_gpu": 7.04, "estimated_max_model_len": 112896},
        ),
        (
            "ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in KV cache (81536). Try",
            "request-too-long",
            {"max_model_len": 131072, "kv_tokens": 81536},
        ),
        (
            "ValueError: Free memory on device cuda:0 (5.01/6.0 GiB) on startup is less than desired GPU memory utilization (0.9, 5.4 GiB).",
            "not-enough-free",
            {"initial_free_gib": 5.01, "total_gpu_memory_gib": 6.0, "gpu_memory_utilization": 0.9, "requested_gib": 5.4},
        ),
        (
            "AssertionError: Error in memory profiling. Initial free memory 21.9 GiB, current free memory 22.4 GiB. This happens when",
            "profiling-disturbed",
            {"initial_free_gib": 21.9, "free_now_gib": 22.4},
        ),
        (
            "ValueError: max_num_seqs (1024) exceeds available Mamba cache blocks (939). Each decode sequence requires one Mamba cache block",
            "mamba-blocks-too-few",
            {"max_num_seqs": 1024, "mamba_blocks": 939},
        ),
        (
            "ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).",
            "heads-not-divided",
            {"heads": 28, "tp": 8},
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5.",
            "dtype-unsupported",
            {"name": "Bfloat16", "gpu": "Tesla T4", "capability": 7.5},
        ),
        (
            "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. Current capability: 80.",
            "quantization-unsupported",
            {"name": "fp8", "needed_capability": 89, "capability": 80},
        ),
        (
            "ValueError: World size (8) is larger than the number of available GPUs (4) in this node. If this is intentional and you are using:",
            "gpus-too-few",
            {"gpus_asked": 8, "gpus_found": 4},
        ),
        (
            "Value error, User-specified max_model_len (65536) is greater than the derived max_model_len (max_position_embeddings=32768 or",
            "context-beyond-model",
            {"max_model_len": 65536, "derived_max_model_len": 32768},
        ),
    ],
)
def test_what_keeps_it_from_starting(line: str, code: str, parameters: dict[str, object]) -> None:
    record = read_text(LOG, f"(EngineCore_DP0 pid=1) ERROR 11-06 10:51:48 [core.py:708] {line}")
    assert [(each.code, each.parameters) for each in record.events if each.code != "raised"] == [(code, parameters)]
    assert record.outcome == "refused"
    assert code in CODES


@pytest.mark.parametrize(
    ("line", "code", "parameters"),
    [
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 23.65 GiB total capacity; 22.90 GiB already "
            "allocated; 10.00 MiB free; 22.95 GiB reserved in total by PyTorch)",
            "torch-out-of-memory",
            {"failed_alloc_mib": 20.0, "device": 0, "total_gpu_memory_gib": 23.65, "allocated_gib": 22.9, "free_mib": 10.0},
        ),
        (
            "RuntimeError: NPU out of memory. Tried to allocate 3.47 GiB (NPU 0; 60.97 GiB total capacity; 58.92 GiB already allocated; "
            "58.92 GiB current active; 1.66 GiB free; 58.95 GiB reserved in total by PyTorch)",
            "torch-out-of-memory",
            {"failed_alloc_mib": 3553.28, "device": 0, "total_gpu_memory_gib": 60.97, "allocated_gib": 58.92, "free_mib": 1699.84},
        ),
        ("torch.OutOfMemoryError: NPU out of memory. Tried to allocate 524.00 MiB", "torch-out-of-memory", {"failed_alloc_mib": 524.0}),
        (
            "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:268, unhandled system error (run with NCCL_DEBUG=INFO)",
            "nccl-failed",
            {"reason": "unhandled system error"},
        ),
        ("Out of memory: Killed process 4242 (VLLM::EngineCor) total-vm:88123456kB", "host-killed", {"process": "VLLM::EngineCor"}),
        ("./serve.sh: line 12:  4242 Killed                  vllm serve o/m", "host-killed", {}),
        ("vllm-1 exited with code 137", "host-killed", {"exit_code": 137}),
        ("    reason: OOMKilled", "host-killed", {}),
        (
            "NCCL: Error while creating shared memory segment /dev/shm/nccl-7vG (size 9637888), error: No space left on device (28)",
            "shared-memory-too-small",
            {},
        ),
        ("OSError: [Errno 28] No space left on device", "disk-full", {}),
        (
            "RuntimeError: CUDA error: an illegal memory access was encountered",
            "device-failed",
            {"reason": "an illegal memory access was encountered"},
        ),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "device-code-missing", {}),
        ("RuntimeError: No CUDA GPUs are available", "no-device", {}),
        ("NVRM: Xid (PCI:0000:18:00): 79, pid=1234, GPU has fallen off the bus.", "device-lost", {"xid": 79}),
    ],
)
def test_what_any_program_may_say(line: str, code: str, parameters: dict[str, object]) -> None:
    record = read_text(LOG, line)
    assert record.matched == 0  # no line says which engine it was
    assert [(each.code, each.parameters) for each in record.events if each.code != "raised"][:1] == [(code, parameters)]
    assert code in SHARED_CODES


def test_every_event_has_a_code_that_is_listed() -> None:
    events = {each.event for each in LOG.patterns if each.event} | {each.event_serving for each in LOG.patterns if each.event_serving}
    assert events == set(CODES) | set(SHARED_CODES)


def test_where_memory_ran_out() -> None:
    trace = 'Traceback (most recent call last):\n  File "gpu_worker.py", line 300, in compile_or_warm_up_model\n'
    record = read_text(LOG, f'{trace}  File "gpu_model_runner.py", line 4000, in capture_model\n{OUT_OF_MEMORY}\n{OUT_OF_MEMORY}')
    assert record.outcome == "out-of-memory"
    (event,) = (each for each in record.events if each.code != "raised")
    assert event.count == 2
    assert event.parameters == {
        "failed_alloc_mib": 1536.0,
        "device": 1,
        "total_gpu_memory_gib": 79.19,
        "free_mib": 552.5,
        "in_use_gib": 78.64,
        "allocated_gib": 74.91,
        "graphs_mib": 626.0,
        "reserved_mib": pytest.approx(1.12 * 1024),
        "stage": "graphs",
    }


def test_a_server_that_was_up_did_start() -> None:
    record = read_text(LOG, f"{V1}{OUT_OF_MEMORY}\nEngineCore encountered a fatal error.\n")
    assert record.outcome == "starts"
    assert {each.code for each in record.events} == {"preempted", "torch-out-of-memory-serving", "engine-died", "raised-serving"}


@pytest.mark.parametrize("ranks", ["1.2.3", "'two'", "0", "-4", "9" * 30, "None", "[2]", "2.5"])
def test_a_number_of_ranks_that_is_none_says_nothing(ranks: str) -> None:
    found = read_text(LOG, f"non-default args: {{'model': 'o/m', 'tensor_parallel_size': {ranks}, 'pipeline_parallel_size': 2}}")
    assert ("tp" in found.launch, found.launch["pp"], found.launch["gpu_count"]) == (False, 2, 2)


def test_a_figure_of_hundreds_of_digits_says_nothing() -> None:
    line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {} GiB. GPU 0 has a total capacity of 44.40 GiB of which 0.90 GiB is free."
    sane, absurd = (read_text(LOG, line.format(digits)) for digits in ("2", "9" * 400))
    assert sane.outcome == absurd.outcome == "out-of-memory"
    assert sane.events[-1].parameters == {"failed_alloc_mib": 2048.0, **absurd.events[-1].parameters}


def test_an_error_that_nobody_explains_is_told() -> None:
    record = read_text(LOG, "(EngineCore pid=1) ERROR 11-06 10:51:48 [core.py:708] google.rpc.OddError: no such thing: 3")
    assert [(each.code, each.parameters) for each in record.events] == [("raised", {"name": "google.rpc.OddError", "reason": "no such thing: 3"})]


def test_memory_weighs_more_than_what_follows_from_it() -> None:
    record = read_text(LOG, f"EngineCore failed to start.\n{OUT_OF_MEMORY}\nRuntimeError: Engine core initialization failed. See root cause above.")
    assert record.outcome == "out-of-memory"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("$ CUDA_VISIBLE_DEVICES=0,1 vllm serve o/m -tp 2 | tee log", "CUDA_VISIBLE_DEVICES=0,1 vllm serve o/m -tp 2"),
        ("+ python3 -m vllm.entrypoints.openai.api_server --model o/m", "python3 -m vllm.entrypoints.openai.api_server --model o/m"),
        ("vllm serve o/m \\\n  --max-model-len 8192 \\\n  -tp 2\nINFO 01-01", "vllm serve o/m --max-model-len 8192 -tp 2"),
        ('    command: ["vllm", "serve", "o/m", "--hf-overrides", "{}"]', "vllm serve o/m --hf-overrides '{}'"),
        ("    command: --model o/m --tensor-parallel-size 2", "vllm serve --model o/m --tensor-parallel-size 2"),
        (
            "docker run --gpus all \\\n  vllm/vllm-openai:v0.11.0 \\\n  --model o/m",
            "docker run --gpus all vllm/vllm-openai:v0.11.0 --model o/m",
        ),
        ("docker run --rm \\\n  postgres:16", ""),
        ("Please use `vllm serve` instead of this", ""),
    ],
)
def test_the_command_line(text: str, command: str) -> None:
    assert read_text(LOG, text).command.strip() == command


def test_a_model_of_the_cache_has_its_name() -> None:
    folder = "/models/hub/models--deepseek-ai--DeepSeek-V4-Flash-0731/snapshots/7872f01b"
    record = read_text(LOG, f"non-default args: {{'model_tag': '{folder}', 'max_num_seqs': 4}}")
    assert record.launch == {"model": "deepseek-ai/DeepSeek-V4-Flash-0731", "max_num_seqs": 4}


def test_the_tables_of_the_driver() -> None:
    table = """\
| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:18:00.0 Off |                    0 |
| N/A   33C    P0             70W /  700W |       1MiB /  81559MiB |      0%      Default |
|   1  NVIDIA H100 80GB HBM3          On  |   00000000:2A:00.0 Off |                    0 |
"""
    record = read_text(LOG, table)
    assert record.launch["gpu"] == "NVIDIA H100 80GB HBM3"
    assert record.measured.items() >= {"gpus_listed": 2, "smi_total_mib": 81559, "driver": "550.54.15"}.items()
    assert read_text(LOG, "GPU 0: NVIDIA L40S (UUID: GPU-1)\nGPU 1: NVIDIA L40S (UUID: GPU-2)").measured["gpus_listed"] == 2


@pytest.mark.parametrize("text", REMARKS)
def test_a_remark_is_no_line_of_the_engine(text: str) -> None:
    record = read_text(LOG, text)
    assert (record.matched, record.measured, record.outcome) == (0, {}, "unknown")


@pytest.mark.parametrize("text", ["non-default args: {" + "'a': {" * 9000, "args: Namespace(" + "a=(" * 9000, "config: model=" + "'" * 9000])
def test_hostile_prints_are_no_figures(text: str) -> None:
    record = read_text(LOG, f"Initializing an LLM engine (v0.6.0) with {text}")
    assert record.flags == {}
    assert "model" not in record.launch


def test_printed_values() -> None:
    items = dict(printed_items("a='x, y=1', b=C(d='e', f=[1, 2]), g=None, h=<T.AUTO: 'auto'>, k={'m': \"it's\"}) n=1"))
    assert items == {"a": "'x, y=1'", "b": "C(d='e', f=[1, 2])", "g": "None", "h": "<T.AUTO: 'auto'>", "k": "{'m': \"it's\"}"}
    assert [printed_value(each) for each in items.values()] == ["x, y=1", None, None, None, {"m": "it's"}]


def test_what_is_looked_for_in_the_rest_of_a_long_log() -> None:
    assert set(LOG.begins) <= set(LOG.later)
    assert len(LOG.later) <= 16  # each costs a pass over gigabytes
    record = LogRecord()
    later = [line for line in f"{V0}{V1}{OUT_OF_MEMORY}".splitlines() if any(word in line for word in LOG.later)]
    for number, line in enumerate(later, 1):
        LOG.read(line, number, record)
    assert {"preempted", "torch-out-of-memory-serving"} <= {each.code for each in record.events}


@pytest.mark.shared
def test_no_line_of_another_engine_is_taken_for_one_of_vllm() -> None:
    others = [row for row in shared_lines("starts.jsonl") if row["engine"] not in ("vllm", "lmdeploy")]
    assert len(others) > 100
    assert [row["id"] for row in others if read_text(LOG, row["log"]).matched] == []


@pytest.mark.shared
def test_published_texts() -> None:
    rows = [row for row in shared_lines("starts.jsonl") if row["engine"] == "vllm"]
    printed, missing, wrong = compared(rows, LOG)
    assert wrong == []
    assert printed > 1300
    assert len(missing) <= 0.03 * printed, missing
    silent = [row["id"] for row in rows if any(word in row["log"] for word in PRINTED[:-1]) and not read_text(LOG, row["log"]).matched]
    assert silent == []
