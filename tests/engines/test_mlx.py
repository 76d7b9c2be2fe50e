"""MLX: weights of published checkpoints, caches by the shape of a model, measured peaks and speeds, and what it refuses by name."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import DATA, lines_of
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.mlx_formats import MLX_BITS
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.readers.config import read_config
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines import get_engine
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Evidence, Fit
from gpusizer.errors import FlagError, InputError
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.model_words import model_meant
from gpusizer.performance.predict import predict
from gpusizer.performance.types import Load
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit
from gpusizer.planning.words import named
from gpusizer.units import GB, GiB, KiB

# Bytes of all files of a checkpoint, as its index or hub counts them: exo-explore/exo@b5375f8ce, resources/inference_model_cards; without those that
# are a whole number of MiB, which are estimates there.
SIZES = lines_of(DATA / "mlx_sizes.jsonl")
# Printed by mlx_lm.generate and mlx_lm.benchmark, each with its source.
RUNS = lines_of(DATA / "mlx_runs.jsonl")
PEAKS = [run for run in RUNS if "peak_gb" in run]
SPEEDS = [run for run in RUNS if "output_tokens_per_s" in run]


def fit(model: str, gpu: str = "m4-max-128gb", **fields: Any) -> Fit:
    return make_fit(Deployment(model=model, gpu=gpu, engine="mlx", **fields)).fit


def used_bytes(found: Fit) -> tuple[int, int]:
    """Weights, cache and widest moment, and the upper end of all three together."""
    lines = [line for line in found.ranks[0].items if line.id.startswith(("weights", "kv_cache", "activation"))]
    return sum(line.bytes for line in lines), sum(line.high_bytes for line in lines)


# ---- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SIZES, ids=lambda row: row["model"].rpartition("/")[2])
def test_a_checkpoint_has_the_size_that_is_published(row: dict[str, Any]) -> None:
    model = load_architecture(row["model"])
    assert checkpoint_bytes(model, mtp=False) == pytest.approx(row["bytes"], rel=0.01)


def test_published_sizes_are_of_many_models_and_formats() -> None:
    meant = [model_meant(row["model"]) for row in SIZES]
    assert len({each.id for each in meant}) >= 12
    assert {each.precision for each in meant} >= {"mlx_3bit", "mlx_4bit", "mlx_5bit", "mlx_6bit", "mlx_8bit", "mlx_8bit_g32", "mlx_mxfp4_q8", "bf16"}


@pytest.mark.parametrize("bits", MLX_BITS)
def test_a_weight_takes_its_bits_and_half_a_bit_of_scale_and_bias(bits: int) -> None:
    model = load_architecture("qwen3-32b")
    size = checkpoint_bytes(with_precision(model, f"mlx_{bits}bit"), mtp=False)
    assert 8 * size / model.parameters.total == pytest.approx(bits + 0.5, abs=0.01)


def test_a_mix_lies_between_its_parts() -> None:
    model = load_architecture("qwen3-14b")
    low, mixed, high = (checkpoint_bytes(with_precision(model, f"mlx_{name}")) for name in ("3bit", "mixed_3_6", "6bit"))
    assert low < mixed < (low + high) / 2


def test_a_configuration_of_mlx_counts_what_its_name_counts() -> None:
    """What quantize_model writes: the general settings, and those of each router beside them."""
    model = load_architecture("qwen3-30b-a3b")
    settings: dict[str, Any] = {"group_size": 64, "bits": 4, "mode": "affine"}
    settings |= {f"model.layers.{index}.mlp.gate": {"group_size": 64, "bits": 8} for index in range(len(model.layers))}
    written = read_config({**model.config, "quantization": settings, "quantization_config": settings}, id="x", name="x")
    assert checkpoint_bytes(written) == checkpoint_bytes(with_precision(model, "mlx_4bit"))


def test_settings_of_single_modules_are_read_with_their_mode() -> None:
    """As of gpt-oss-20b-MXFP4-Q8: experts in MXFP4, the rest in affine groups of eight bits; experts stand stacked in one module."""
    model = load_architecture("qwen3-30b-a3b")
    experts = {
        f"model.layers.{index}.mlp.switch_mlp.{name}": {"group_size": 32, "bits": 4, "mode": "mxfp4"}
        for index in range(len(model.layers))
        for name in ("gate_proj", "up_proj", "down_proj")
    }
    settings = {"group_size": 64, "bits": 8, **experts}
    written = read_config({**model.config, "quantization": settings}, id="x", name="x")
    assert checkpoint_bytes(written) == pytest.approx(checkpoint_bytes(with_precision(model, "mlx_mxfp4_q8")), rel=0.001)


# ---- cache -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kibibytes"),  # 2 x layers x heads x width x 2 bytes; of latents (512 + 64) x layers x 2 bytes
    [("llama-3.1-8b-instruct", 128), ("qwen3-8b", 144), ("qwen3-30b-a3b", 96), ("deepseek-v3", 68.625), ("qwen3-235b-a22b", 188)],
)
def test_a_token_takes_what_the_shape_says(model: str, kibibytes: float) -> None:
    assert fit(model, "m3-ultra-512gb").kv_cache.bytes_per_token == kibibytes * KiB


@given(tokens=st.integers(1, 40_000), requests=st.integers(1, 8))
def test_a_cache_grows_by_whole_steps_and_by_requests(tokens: int, requests: int) -> None:
    sums = per_gpu(fit("llama-3.1-8b-instruct", max_model_len=tokens, max_num_seqs=requests).ranks[0].items)
    assert sums["kv_cache_pool_bytes"] == requests * -(-tokens // 256) * 256 * 128 * KiB


def test_layers_with_a_window_hold_no_more_than_it() -> None:
    """Gemma 3 27B: 52 of 62 layers see 1,024 tokens; 16 heads of 128, keys and values in 16 bits."""
    sums = [per_gpu(fit("gemma-3-27b-it", max_model_len=tokens).ranks[0].items)["kv_cache_pool_bytes"] for tokens in (32768, 65536)]
    row = 2 * 16 * 128 * 2
    assert sums == [10 * tokens * row + 52 * 1024 * row for tokens in (32768, 65536)]


@pytest.mark.parametrize(("bits", "share"), [(8, 8.5 / 16), (4, 4.5 / 16)])
def test_a_quantised_cache_has_scales_and_one_request(bits: int, share: float) -> None:
    plain = fit("qwen3-8b", max_model_len=32768)
    small = launch_of_command([f"mlx_lm.generate --model mlx-community/Qwen3-8B-4bit --kv-bits {bits}"], gpu="m4-max-128gb").deployment
    found = make_fit(replace(small, max_model_len=32768)).fit
    assert found.kv_cache.bytes_per_token == plain.kv_cache.bytes_per_token * share
    assert found.max_concurrency == 1
    short = make_fit(replace(small, max_model_len=4096)).fit  # --quantized-kv-start is 5,000
    assert short.kv_cache.bytes_per_token == plain.kv_cache.bytes_per_token


def test_a_bounded_cache_forgets() -> None:
    bounded = fit("qwen3-8b", max_model_len=32768, flags={"max_kv_size": 4096})
    assert per_gpu(bounded.ranks[0].items)["kv_cache_pool_bytes"] == 4096 * 144 * KiB


def test_what_a_server_keeps_is_said_or_bounded() -> None:
    free = fit("qwen3-8b", max_model_len=8192)
    kept = next(notice for notice in free.warnings if notice.code == "kept-prompts")
    assert kept.parameters == {"count": 10, "bytes": 10 * 8192 * 144 * KiB}
    bound = fit("qwen3-8b", max_model_len=8192, flags={"prompt_cache_bytes": 8 * GiB})
    assert per_gpu(bound.ranks[0].items)["kv_cache_pool_bytes"] == 8 * GiB
    assert not any(notice.code == "kept-prompts" for notice in bound.warnings)


# ---- peaks and speeds that people printed ------------------------------------------------------------------------------


@pytest.mark.parametrize("run", PEAKS, ids=lambda run: f"{run['model']}-{run['precision']}-{run['gpu']}")
def test_memory_is_what_was_printed(run: dict[str, Any]) -> None:
    step = {"max_num_batched_tokens": run["prefill_step_size"]} if "prefill_step_size" in run else {}
    found = fit(run["model"], run["gpu"], precision=run["precision"], max_model_len=run["prompt_tokens"] + run["output_tokens"], **step)
    used, high = used_bytes(found)
    assert used / GB == pytest.approx(run["peak_gb"], rel=0.05)
    assert run["peak_gb"] * GB <= high


def speeds(run: dict[str, Any]) -> Any:
    machine, model = accelerator(run["gpu"]), with_precision(load_architecture(run["model"]), run["precision"])
    start = Deployment(run["model"], machine.id, engine="mlx", precision=run["precision"], max_num_seqs=1, max_model_len=20_000)
    load = Load(run["prompt_tokens"], run["output_tokens"], concurrency=1)
    return predict(model, machine, start, load, replicas=1, fit=get_engine("mlx").fit(start, model, machine))


def test_speeds_are_those_of_metal_and_said_to_be_assumed() -> None:
    errors = []
    for run in SPEEDS:
        found = speeds(run)
        assert found.evidence is Evidence.ASSUMED
        assert found.tpot_s.low <= 1 / run["output_tokens_per_s"] <= found.tpot_s.high, run
        errors.append(abs(found.tpot_s.value * run["output_tokens_per_s"] - 1))
    assert median(errors) <= 0.2
    assert max(errors) <= 0.45


# ---- names, words and commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "id", "precision"),
    [
        ("mlx-community/Qwen3-8B-4bit", "qwen3-8b", "mlx_4bit"),
        ("lmstudio-community/Qwen3-32B-MLX-8bit", "qwen3-32b", "mlx_8bit"),
        ("mlx-community/Meta-Llama-3.1-8B-Instruct-4bit", "llama-3.1-8b-instruct", "mlx_4bit"),
        ("mlx-community/DeepSeek-V3-0324-4bit", "deepseek-v3-0324", "mlx_4bit"),
        ("mlx-community/gpt-oss-120b-MXFP4-Q8", "gpt-oss-120b", "mlx_mxfp4_q8"),
        ("mlx-community/GLM-4.7-8bit-gs32", "glm-4.7", "mlx_8bit_g32"),
        ("mlx-community/Qwen3-4B-4bit-DWQ-053125", "qwen3-4b", "mlx_4bit"),
        ("mlx-community/Qwen3-8B-bf16", "qwen3-8b", "bf16"),
        ("https://huggingface.co/mlx-community/Qwen3-8B-4bit", "qwen3-8b", "mlx_4bit"),
    ],
)
def test_names_of_checkpoints(name: str, id: str, precision: str) -> None:
    found = model_meant(name)
    assert (found.id, found.precision) == (id, precision)


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ("4bit", "mlx_4bit"),
        ("mlx-4bit", "mlx_4bit"),
        ("MLX 6bit", "mlx_6bit"),
        ("int4", "mlx_4bit"),
        ("8bit", "mlx_8bit"),
        ("fp8", "mlx_8bit"),
        ("q4_k_m", "mlx_4bit"),
        ("q6_k", "mlx_6bit"),
        ("nvfp4", "mlx_nvfp4"),
        ("bf16", "bf16"),
        ("mlx_4bit_g32", "mlx_4bit_g32"),
        ("mlx-mixed-3-6", "mlx_mixed_3_6"),
    ],
)
def test_words_for_a_precision(words: str, precision: str) -> None:
    found = named("qwen3-8b", words, "mlx")
    assert found.precision == precision
    assert found.notices or words.lower().replace("-", "_").replace(" ", "_") == precision


def test_without_a_word_it_is_what_the_converter_makes_and_said() -> None:
    found = named("qwen3-8b", "checkpoint", "mlx")
    assert (found.precision, [notice.code for notice in found.notices]) == ("mlx_4bit", ["mlx-default"])
    assert named("Qwen/Qwen3-8B", "checkpoint", "mlx").precision == "checkpoint"  # a repository is loaded as it is
    assert named("gpt-oss-20b", "checkpoint", "mlx").precision == "checkpoint"  # MXFP4 is read as published


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "transformers"])
def test_other_engines_say_whose_format_it_is(engine: str) -> None:
    for words in (("mlx-community/Qwen3-8B-4bit", "checkpoint"), ("qwen3-8b", "mlx-4bit")):
        with pytest.raises(InputError) as caught:
            named(*words, engine)
        assert caught.value.code in ("model-format-other-engine", "precision-other-engine")


def test_the_command_of_a_plan_is_a_server_and_gives_the_same_ledger() -> None:
    plan = make_plan(Request(model="qwen3-30b-a3b", gpus=("m3-ultra-512gb",), engine="mlx", concurrency=8, context_tokens=8192))
    option = plan.options[0]
    line = " ".join(get_engine("mlx").command(replace(option.launch, model="./Qwen3-30B-A3B-mlx_4bit")))
    assert line.startswith("mlx_lm.server --model ./Qwen3-30B-A3B-mlx_4bit --decode-concurrency 8")
    again = make_fit(launch_of_command([line], gpu="m3-ultra-512gb").deployment).fit
    assert again.deployment.max_model_len == 8192
    assert [(each.id, each.bytes) for each in again.ranks[0].items] == [(each.id, each.bytes) for each in option.fit.ranks[0].items]


@pytest.mark.parametrize(
    "command", ["mlx_lm.server", "mlx_lm server", "python -m mlx_lm server", "python -m mlx_lm.server", "mlx_lm.generate", "mlx_lm.chat"]
)
def test_commands_that_people_paste(command: str) -> None:
    found = launch_of_command([f"{command} --model mlx-community/Qwen3-8B-4bit --temp 0.7 --max-tokens 4096"], gpu="m4-max-128gb")
    assert (found.deployment.engine, found.deployment.model) == ("mlx", "mlx-community/Qwen3-8B-4bit")
    assert [notice.code for notice in found.notices] == ["flags-neutral"]


# ---- what holds of any start, and what is refused ----------------------------------------------------------------------


@given(
    model=st.sampled_from(("qwen3-8b", "gpt-oss-20b", "deepseek-v2-lite", "qwen3.6-35b-a3b", "gemma-3-27b-it")),
    gpu=st.sampled_from(("m4-16gb", "m4-pro-48gb", "m3-ultra-512gb")),
    precision=st.sampled_from(("mlx_4bit", "mlx_8bit", "mlx_mxfp4", "bf16")),
    requests=st.integers(1, 40),
    tokens=st.sampled_from((512, 8192, 32768)),
)
def test_a_ledger_sums_to_the_machine_and_what_fits_is_told_alike(model: str, gpu: str, precision: str, requests: int, tokens: int) -> None:
    found = fit(model, gpu, precision=precision, max_num_seqs=requests, max_model_len=tokens)
    assert sum(per_gpu(found.ranks[0].items).values()) == accelerator(gpu).memory_bytes
    assert found.fits == (found.free_bytes >= 0) == (found.max_concurrency >= requests)
    assert found.low_concurrency <= found.max_concurrency
    start = get_engine("mlx").for_requests(found.deployment, with_precision(load_architecture(model), precision), accelerator(gpu), requests)
    assert 1 <= (start.max_num_seqs or 0) <= min(requests, 32)


@pytest.mark.parametrize("gpu", ["h100", "mi300x", "gb10-128gb", "ryzen-ai-max-395-128gb", "ascend910b3-64gb"])
def test_other_makers_are_refused_with_an_engine_that_runs(gpu: str) -> None:
    found = fit("qwen3-8b", gpu)
    assert found.reason is not None
    assert found.reason.code == "engine-not-on-device"


@pytest.mark.parametrize(
    ("model", "fields", "code"),
    [
        ("qwen3-8b", {"pp": 2}, "one-gpu-only"),
        ("deepseek-v4-flash", {}, "mixer-not-known"),
        ("bge-m3", {}, "mixer-not-known"),
        ("gpt-oss-20b", {"kv_precision": "int8"}, "cache-of-windows-not-quantised"),
        ("qwen3-8b", {"kv_precision": "int8", "flags": {"max_kv_size": 4096}}, "cache-of-windows-not-quantised"),
        ("deepseek-v3", {"kv_precision": "int4"}, "cache-of-latents-not-quantised"),
        ("qwen3-8b", {"kv_precision": "int8", "flags": {"kv_group_size": 96}}, "cache-of-heads-not-quantised"),
        ("llama-3.1-405b-instruct", {"precision": "bf16"}, "out-of-memory"),
        ("qwen3-8b", {"max_model_len": 1_000_000}, "context-too-long"),
    ],
)
def test_refusals_have_names(model: str, fields: dict[str, Any], code: str) -> None:
    found = fit(model, **fields)
    assert found.reason is not None
    assert found.reason.code == code


def test_a_format_of_the_cache_that_it_lacks_is_refused() -> None:
    with pytest.raises(FlagError):
        fit("qwen3-8b", kv_precision="fp8")


def test_files_of_llama_cpp_are_refused() -> None:
    machine, model = accelerator("m4-max-128gb"), with_precision(load_architecture("qwen3-8b"), "q4_k_m")
    found = get_engine("mlx").fit(Deployment("qwen3-8b", machine.id, engine="mlx"), model, machine)
    assert found.reason is not None
    assert found.reason.code == "no-gguf-files"


def test_eight_bit_floats_become_sixteen_bits_and_it_is_said() -> None:
    found = fit("Qwen/Qwen3-8B-FP8")
    assert any(notice.code == "dequantised-on-load" for notice in found.warnings)
    assert found.quantities["weights_bytes"].value == pytest.approx(2 * 8_190_735_360, rel=0.001)
