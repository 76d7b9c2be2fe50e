"""How a measured speed is read: flags that bear on it reach the start, drafts of any method, loads, layouts, memory beside the cards."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.engines import engine_ids
from gpusizer.engines.base.flag import Effect
from gpusizer.engines.base.flags import flag_table
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.validation.hosts import host_of
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.speed_cases import PerformanceCase, performance_case
from gpusizer.validation.speed_flags import drafts_of, launch_words_of, unread
from gpusizer.validation.speed_load import load_of

FILES = ("serving-speeds.jsonl", "local-speeds.jsonl")
ROW: dict[str, Any] = {
    "model": "deepseek-ai/DeepSeek-R1",
    "gpu": "B200 SXM 180GB",
    "gpu_count": 8,
    "quantization": "fp8",
    "engine": "SGLang",
    "parallelism": "tp8",
    "isl": 1024,
    "osl": 1024,
    "concurrency": 64,
}


def case_of(**fields: Any) -> PerformanceCase:
    found = performance_case(ROW | fields)
    assert isinstance(found, PerformanceCase), found
    return found


# ---- flags -------------------------------------------------------------------------------------------------------------

# Words of the files that no speed and no memory follows from, with the reason.
IGNORED = {
    "quantization": "the format of the weights has a field of its own",
    "max_model_len": "the length that a request needs decides",
    "context_length": "the length that a request needs decides",
    "max_seq_len": "the length that a request needs decides",
    "tensor_parallel_size": "the layout has a field of its own",
    "data_parallel_size": "the layout has a field of its own",
    "tp_size": "the layout has a field of its own",
    "dp_size": "the layout has a field of its own",
    "ep_size": "the layout has a field of its own",
    "pp_size": "the layout has a field of its own",
    "enable_dp_attention": "the layout has a field of its own",
    "enable_attention_dp": "the layout has a field of its own",
    "enable_expert_parallel": "the layout has a field of its own",
    "speculative_config": "read into drafts",
    "speculative_algorithm": "read into drafts",
    "speculative_num_steps": "read into drafts",
    "speculative_num_draft_tokens": "read into drafts",
    "speculative_eagle_topk": "one draft after the other is what everybody runs",
}
# Flags that the engines' declarations pass over, or do not know.
PASSED_OVER = {
    *("enable_flashinfer_allreduce_fusion", "nsa_decode_backend", "nsa_prefill_backend", "deepep_mode"),  # kernels that come with the device
    *("cuda_graph_config.enable_padding", "kv_cache_config.enable_block_reuse", "torch_compile_config.enable_piecewise_cuda_graph"),
    *("enable_chunked_prefill", "driver"),
}


@pytest.mark.shared
@pytest.mark.parametrize("file", FILES)
def test_flags_of_every_row_arrive_or_are_known_to_be_passed_over(file: str) -> None:
    lost: Counter[tuple[str, str]] = Counter()
    for row in shared_lines(file):
        case = performance_case(row)
        if not isinstance(case, PerformanceCase) or case.deployment.engine not in engine_ids():
            continue
        asked = case.deployment
        table = flag_table(asked.engine)
        assert set(unread(asked.engine, row)) <= PASSED_OVER | set(IGNORED), (row["id"], unread(asked.engine, row))
        for name, value in launch_words_of(asked.engine, row).items():
            flag = table.named(name)
            if flag is None or flag.effect not in (Effect.MEMORY, Effect.SPEED) or name in IGNORED:
                continue
            arrived = asked.flags.get(flag.target, getattr(asked, flag.target, None))
            if arrived in (None, "auto") or (flag.kind in ("count", "tokens", "share") and arrived != value):
                lost[asked.engine, name] += 1
    assert not lost


@pytest.mark.parametrize(
    ("engine", "flags", "expected"),
    [
        ("SGLang", {"scheduler-recv-interval": 30}, {"scheduler_recv_interval": 30}),
        ("SGLang", {"chunked-prefill-size": 4096, "max-running-requests": 9}, {"max_num_batched_tokens": 4096, "max_num_seqs": 9}),
        ("SGLang", {"max-prefill-tokens": 8192, "enable-mixed-chunk": True}, {"max_prefill_tokens": 8192, "enable_mixed_chunk": True}),
        ("SGLang", {"disable-cuda-graph": True, "kv-cache-dtype": "fp8_e4m3"}, {"enforce_eager": True, "kv_precision": "fp8_e4m3"}),
        ("SGLang", {"disable-overlap-schedule": True, "num-continuous-decode-steps": 4}, {"num_continuous_decode_steps": 4}),
        ("SGLang", {"attention-backend": "fa3", "moe-runner-backend": "triton"}, {"attention_backend": "fa3", "moe_runner_backend": "triton"}),
        ("vLLM", {"max-num-batched-tokens": 4096, "max-num-seqs": 7}, {"max_num_batched_tokens": 4096, "max_num_seqs": 7}),
        ("vLLM", {"async-scheduling": True, "performance-mode": "throughput"}, {"async_scheduling": True, "performance_mode": "throughput"}),
        ("vLLM", {"compilation-config": '{"cudagraph_mode": "NONE"}'}, {"compilation_config": {"cudagraph_mode": "NONE"}}),
        ("vLLM", {"no-async-scheduling": True, "stream-interval": 20}, {"async_scheduling": False, "stream_interval": 20}),
        ("TensorRT-LLM", {"moe_config.backend": "CUTLASS", "max_num_tokens": 1152}, {"moe_backend": "CUTLASS", "max_num_batched_tokens": 1152}),
        ("TensorRT-LLM", {"cuda_graph_config.max_batch_size": 64}, {"cuda_graph_max_bs": 64}),
        ("TensorRT-LLM", {"attention_dp_config.timeout_iters": 60}, {"attention_dp_timeout_iters": 60}),
        ("TensorRT-LLM", {"speculative_config.decoding_type": "MTP", "speculative_config.num_nextn_predict_layers": 3}, {"speculative_tokens": 3}),
        ("llama.cpp", {"backend": "vulkan_radv", "threads": 12, "ubatch-size": 2048}, {"backend": "vulkan", "max_num_batched_tokens": 2048}),
        ("Ollama", {"backend": "ROCm"}, {"backend": "rocm"}),
    ],
    ids=str,
)
def test_flags_that_bear_on_speed_arrive(engine: str, flags: dict[str, Any], expected: dict[str, Any]) -> None:
    asked = case_of(engine=engine, flags=flags).deployment
    assert {name: asked.flags.get(name, getattr(asked, name, None)) for name in expected} == expected


def test_a_speed_flag_without_sense_refuses_no_run() -> None:
    asked = case_of(flags={"scheduler-recv-interval": "$(nproc)", "max-prefill-tokens": -4, 7: 8, "client": 5}).deployment
    assert not {"scheduler_recv_interval", "max_prefill_tokens"} & set(asked.flags)


# ---- drafts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "method", "tokens"),
    [
        ("none", "", 0),
        ("none stated", "", 0),
        ("", "", 0),
        ("MTP-1", "mtp", 1),
        ("MTP 3 drafts", "mtp", 3),
        ("MTP-3, acceptance length about 2.37", "mtp", 3),
        ("MTP in service; acceptance not stated", "mtp", 1),
        ("MTP (EAGLE), 3 steps, 4 draft tokens", "mtp", 3),
        ("EAGLE3, 3 draft tokens", "eagle3", 3),
        ("EAGLE-3 with 5 speculative tokens", "eagle3", 5),
        ("EAGLE, 3 steps, topk 1, 4 draft tokens", "eagle", 3),
        ("DFlash, 15 draft tokens", "dflash", 15),
        ("n-gram, 4 tokens", "ngram", 4),
        ("draft model Qwen3-0.6B, 5 drafts", "draft", 5),
    ],
)
def test_drafts_of_any_method(words: str, method: str, tokens: int) -> None:
    found = drafts_of({"speculative": words}, {}, {})
    assert (found.method, found.tokens) == (method, tokens)
    asked = case_of(speculative=words).deployment
    assert (asked.flags.get("speculative_method", ""), asked.speculative_tokens) == (method, tokens)


def test_flags_say_drafts_better_than_words() -> None:
    flags = {"speculative-algorithm": "EAGLE", "speculative-num-steps": 3, "speculative-eagle-topk": 1, "speculative-num-draft-tokens": 4}
    asked = case_of(flags=flags, speculative="MTP").deployment
    assert (asked.speculative_tokens, asked.flags["speculative_method"]) == (3, "eagle")


def test_a_length_of_acceptance_becomes_its_probability() -> None:
    acceptance = case_of(speculative="MTP-3, acceptance length about 2.37").load.acceptance
    assert acceptance is not None
    assert speculative_tokens(acceptance=acceptance, drafts=3) == pytest.approx(2.37)
    assert case_of(speculative="EAGLE3, 3 draft tokens, acceptance rate 0.7").load.acceptance == 0.7
    assert case_of(speculative="MTP-3, acceptance length 9").load.acceptance is None


def test_formats_of_weights_and_cache() -> None:
    table = {"engine": "TensorRT-LLM", "quantization": "NVFP4 weights"}
    assert case_of(**table).deployment.kv_precision == "fp8"
    assert case_of(**table | {"quantization": "NVFP4 weights, BF16 KV"}).deployment.kv_precision == "bf16"
    assert case_of(**table | {"quantization": "NVFP4, FP8 attention and KV"}).deployment.kv_precision == "fp8"
    own = {"engine": "llama.cpp", "gpu": "RTX 3090 24GB", "gpu_count": 1, "parallelism": "tp1"}
    plain, mixed = (case_of(**own, quantization=words) for words in ("IQ2_XXS", "UD-IQ2_XXS"))
    assert mixed.deployment.precision.startswith(plain.deployment.precision + "+")  # a publisher's mix keeps all but experts at more bits


def test_a_recipe_drafts_only_where_nothing_is_said() -> None:
    recipe = {"engine": "TensorRT-LLM", "engine_version": "1.2.0rc6.post3", "date": "2026-02-05", "disaggregated": False}
    assert case_of(**recipe, speculative="none stated").deployment.speculative_tokens == 3
    assert case_of(**recipe, speculative="none").deployment.speculative_tokens == 0
    assert case_of(**recipe, speculative="MTP-1").deployment.speculative_tokens == 1
    assert case_of(**recipe | {"engine_version": "1.2.0"}, speculative="none stated").deployment.speculative_tokens == 0


@pytest.mark.parametrize(
    ("words", "date", "build"),
    [
        ("b9775 / be4a6a63e", "2026-07", "9775"),
        ("build: 3fc4e1052 (9820)", "2026-06", "9820"),
        ("13f2b28", "2025-07", "5790"),
        ("b741 (1fd6dfe)", "2025-07", "5790"),
        (None, "2025", "5790"),
        (None, None, None),
    ],
)
def test_builds(words: str | None, date: str | None, build: str | None) -> None:
    assert case_of(engine="llama.cpp", quantization="Q4_K_M", engine_version=words, date=date).deployment.engine_version == build


# ---- loads -------------------------------------------------------------------------------------------------------------


def test_loads() -> None:
    lengths = {"isl": 1000, "osl": 500}
    burst = {"request_rate": "inf (burst of 1000 prompts)"}
    limited = load_of(lengths | burst | {"flags": {"client": {"num-prompts": 1000, "max-concurrency": 512}}})
    assert (limited.burst, limited.concurrency, limited.requests) == (1000, 512, 1000)
    assert load_of(lengths | burst | {"max_concurrency": 1000}).concurrency is None
    at_rate = load_of(lengths | {"request_rate": 8.0, "num_prompts": 500})
    assert (at_rate.request_rate_per_s, at_rate.burst, at_rate.concurrency, at_rate.requests) == (8, None, None, 500)
    assert load_of(lengths | {"concurrency": 1, "num_prompts": 10}).first_burst_share == 0.1
    assert load_of(lengths | {"concurrency": 64}).first_burst_share == 0.1
    assert load_of(lengths | {"batch_size": "max throughput (all requests queued at once)"}).concurrency == inf
    assert load_of(lengths | {"flags": {"client": {"max-concurrency": 32, "request-rate": "inf"}}}).concurrency == 32


def test_lengths_are_nominal_unless_the_client_draws_them() -> None:
    client = {"client": {"max-concurrency": 64, "num-prompts": 640, "request-rate": "inf"}}
    assert case_of(flags=client).load.input_tokens == pytest.approx(0.9 * 1024)
    assert case_of(flags={"client": {"num-prompts": 640}}).load.input_tokens == 1024
    assert case_of(flags=client, isl=1000).load.input_tokens == 1000


@pytest.mark.shared
def test_every_row_has_one_kind_of_load() -> None:
    for file in FILES:
        for row in shared_lines(file):
            load = load_of(row)
            given = [load.concurrency, load.request_rate_per_s, load.burst]
            assert sum(each is not None for each in given) == 1 or (load.burst and load.concurrency and load.concurrency < load.burst), row["id"]


# ---- layouts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "layout", "replicas", "prefill"),
    [
        ({"parallelism": "tp1dp32ep1"}, (1, 1, 32, 32), 1, None),
        ({"parallelism": "tp1dp8ep1"}, (1, 1, 8, 1), 1, None),
        ({"parallelism": "tp8", "flags": {"ep-size": 8}}, (8, 1, 1, 8), 1, None),
        ({"parallelism": "tp8", "flags": {"enable-dp-attention": True, "dp-size": 4, "tp-size": 8}}, (2, 1, 4, 1), 1, None),
        ({"parallelism": "tp8dp1ep1", "flags": {"enable-dp-attention": True, "dp-size": 4, "ep-size": 8}}, (8, 1, 1, 1), 1, None),
        ({"parallelism": "tp8", "engine": "TensorRT-LLM", "flags": {"enable_attention_dp": True, "ep_size": 8}}, (1, 1, 8, 8), 1, None),
        ({"parallelism": "tp8", "engine": "vLLM", "flags": {"enable-expert-parallel": True}}, (8, 1, 1, 8), 1, None),
        ({"parallelism": "prefill 1x(tp1dp16ep1) + decode 2x(tp8)"}, (8, 1, 1, 1), 2, (1, 1, 16, 16)),
        ({"parallelism": "1P1D on 8 GPUs, prefill pp4"}, (1, 1, 4, 4), 1, (1, 4, 1, 1)),
        ({"parallelism": "prefill chunked-pipeline (pp4) + decode wide-EP up to 32", "gpu_count": None}, (1, 1, 32, 32), 1, (1, 4, 1, 1)),
        ({"parallelism": "layers split over the cards", "engine": "llama.cpp", "gpu_count": 4}, (1, 4, 1, 1), 1, None),
    ],
    ids=str,
)
def test_layouts(fields: dict[str, Any], layout: tuple[int, ...], replicas: int, prefill: tuple[int, ...] | None) -> None:
    case = case_of(**fields)
    asked = case.deployment
    assert (asked.tp, asked.pp, asked.dp, asked.ep) == layout
    assert case.replicas == replicas
    pool = case.prefill and (case.prefill.deployment.tp, case.prefill.deployment.pp, case.prefill.deployment.dp, case.prefill.deployment.ep)
    assert pool == prefill


def test_a_dense_model_spreads_no_experts() -> None:
    assert case_of(model="meta-llama/Llama-3.3-70B-Instruct", parallelism="tp1dp16").deployment.ep == 1


# ---- hosts -------------------------------------------------------------------------------------------------------------


def test_bandwidth_of_a_host_follows_from_its_channels() -> None:
    """Intel ARK: eight channels of DDR5-4800 are 307.2 GB/s a processor; six of DDR4-3200 are 153.6."""
    assert host_of({"cpu": "Xeon Platinum 8480+", "memory": "8 x DDR5-4800 a socket"}).bandwidth_bytes_per_s == pytest.approx(307.2e9)  # type: ignore[union-attr]
    assert host_of({"cpu": "4 x Xeon", "memory": "6 x DDR4-3200 a socket"}).bandwidth_bytes_per_s == pytest.approx(4 * 153.6e9)  # type: ignore[union-attr]
    assert host_of({"cpu": "EPYC 9374F", "memory": "12-channel DDR5"}).bandwidth_bytes_per_s == pytest.approx(460.8e9)  # type: ignore[union-attr]
    assert host_of({"cpu": "2 x EPYC 9355"}).bandwidth_bytes_per_s == pytest.approx(2 * 460.8e9)  # type: ignore[union-attr]
    for words in ("not stated", "", None, 7, "999 x"):
        found = host_of({"memory": words})
        assert found is not None
        assert found.bandwidth_bytes_per_s is None


@pytest.mark.parametrize(
    "host", [None, 7, "DDR5", [], {}, {"memory_gb": "much", "cpu": 3, "offload": ["a"]}, {"memory_gb": 1e300, "offload": "-" * 9999}]
)
def test_hostile_hosts(host: Any) -> None:
    case = case_of(engine="llama.cpp", quantization="Q4_K_M", host=host, flags={})
    assert case.host is None or case.host.memory_bytes is None
    assert not case.deployment.flags


@pytest.mark.parametrize(
    ("engine", "offload", "flags", "said"),
    [
        ("llama.cpp", "--n-cpu-moe 36", {"n_cpu_moe": 36}, ("expert-layers", 36)),
        (
            "llama.cpp",
            "llama-server -m x.gguf -ngl 99 --n-cpu-moe 26 -c 150000 -fa on -",
            {"n_gpu_layers": 99, "n_cpu_moe": 26},
            ("expert-layers", 26),
        ),
        ("llama.cpp", "llama-server -ngl 99 -ot exps=CPU", {"n_gpu_layers": 99, "override_tensor": ["exps=CPU"]}, ("", None)),
        ("llama.cpp", "all experts in host memory (-ncmoe 999), op offload on", {"n_cpu_moe": 999}, ("expert-layers", 999)),
        ("ik_llama.cpp", "all routed experts in host memory (--cpu-moe)", {"cpu_moe": True}, ("experts", None)),
        ("ktransformers", "routed experts in host memory", {"cpu_moe": True, "no_op_offload": True}, ("experts", None)),
        ("ktransformers", "", {"cpu_moe": True, "no_op_offload": True}, ("experts", None)),
        ("llama.cpp", "8 layers on the card, the rest in host memory", {"n_gpu_layers": 8}, ("layers", 8)),
        ("llama.cpp", "--n-gpu-layers 36", {"n_gpu_layers": 36}, ("layers", 36)),
        ("llama.cpp", "layers or experts chosen by the client so that the card is full", {"n_cpu_moe": 60}, ("rest", None)),
        ("llama.cpp", "layers that do not fit in host memory", {"n_cpu_moe": 60}, ("rest", None)),
    ],
)
def test_what_lies_on_the_host(engine: str, offload: str, flags: dict[str, Any], said: tuple[str, int | None]) -> None:
    case = case_of(engine=engine, quantization="Q4_K_M", gpu="RTX 4090 24GB", gpu_count=1, parallelism="tp1", host={"offload": offload})
    assert case.deployment.engine == "llama.cpp"
    assert case.deployment.fork == ("ik_llama.cpp" if engine.startswith("ik") else "")
    assert case.deployment.flags == flags
    assert case.host is not None
    assert (case.host.offload, case.host.layers) == said


def test_ktransformers_is_a_part_of_sglang_since_october_2025() -> None:
    """Its tools then start SGLang; what the case itself says holds."""
    told = {"engine": "ktransformers", "engine_version": "0.5.1", "quantization": "FP8", "gpu": "RTX 5090 32GB", "gpu_count": 1, "parallelism": "tp1"}
    start = case_of(model="MiniMaxAI/MiniMax-M2.1", date="2026-01", flags={"kt-num-gpu-experts": 7}, **told).deployment
    assert (start.engine, start.engine_version) == ("sglang", None)
    assert start.flags["kt_num_gpu_experts"] == 7
    assert start.flags["kt_method"] == "FP8"
    assert case_of(date="2025-03", **(told | {"quantization": "Q4_K_M"})).deployment.engine == "llama.cpp"


# ---- what was measured -------------------------------------------------------------------------------------------------


def test_the_time_that_stands_first_is_the_one_that_is_judged() -> None:
    measured = {"ttft_ms_p99": 900, "ttft_ms_p50": 100, "ttft_ms_mean": 300, "tpot_ms_mean": 20, "tpot_ms_p50": 10, "itl_ms_mean": 1}
    assert measured_performance({"measured": measured}) == {"ttft_s": 0.1, "tpot_s": 0.02}
    assert measured_performance({"measured": {"tpot_ms_mean_or_p50": 7}}) == {"tpot_s": 0.007}
    assert measured_performance({"measured": {"tpot_ms_p99": 7, "tpot_ms_p50": "fast"}}) == {}
