"""What runs where, against what the engines publish and what people started: one table, asked by plan, fit, remedies and workbook."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.cli.main import main
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.device_support import Support, device_support, layout_refusal, mixer_kinds
from gpusizer.engines.base.support_table import ANSWERS, KINDS, conversion, rows_of, sources_of
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.i18n import LANGUAGES, has
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.remedies import Remedy, remedies_for
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.planning.verdict import Verdict, make_fit
from gpusizer.rendering.launch import command_line
from gpusizer.units import GB
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import deployment_of
from gpusizer.validation.speed_cases import performance_case

NVIDIA = {7.0: "v100-sxm-32gb", 7.5: "t4-16gb", 8.0: "a100-sxm-80gb", 8.6: "rtxa6000-48gb", 8.9: "l40s-48gb", 9.0: "h100-sxm-80gb"} | {
    10.0: "b200-sxm-180gb",
    12.0: "rtxpro6000-server-96gb",
}


def support(model: str, gpu: str, engine: str = "vllm", precision: str = "checkpoint", **more: Any) -> Support:
    return device_support(engine, with_precision(load_architecture(model), precision), accelerator(gpu), **more)


def code(found: Support) -> str | None:
    return None if found.refusal is None else found.refusal.code


def fitted(model: str, gpu: str, **more: Any) -> Verdict:
    return make_fit(Deployment(model=model, gpu=gpu, **more))


def planned(model: str, gpu: str, **more: Any) -> Plan:
    return make_plan(Request(model=model, gpus=(gpu,), **{"concurrency": 4, "context_tokens": 2048, **more}))


def remedies(verdict: Verdict) -> dict[str, Remedy]:
    found = remedies_for(verdict.fit, verdict.launch, verdict.architecture, verdict.accelerator)
    return {each.code: each for each in found}


# ---- the published matrices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "least"),
    [("int8", 7.5), ("fp8", 7.5), ("nvfp4", 7.5), ("mxfp4", 8.0), ("int4", 7.0), ("fp16", 7.0), ("bf16", 7.0)],
)
def test_vllm_loads_formats_from_the_compute_capability_that_it_publishes(precision: str, least: float) -> None:
    """docs.vllm.ai, Quantization, Supported Hardware: Volta has GPTQ alone, Turing no Marlin MXFP4; BF16 becomes FP16 below 8.0."""
    for capability, gpu in NVIDIA.items():
        refused = code(support("qwen3-8b", gpu, precision=precision))
        assert refused == (None if capability >= least else "precision-not-on-device"), gpu


@pytest.mark.parametrize(
    ("precision", "runs"),
    [("nvfp4", {10.0, 12.0}), ("fp8", {8.9, 9.0, 10.0, 12.0}), ("int4", {8.0, 8.6, 8.9, 9.0, 10.0, 12.0})],
)
def test_tensorrt_llm_has_the_formats_of_its_hardware_matrix(precision: str, runs: set[float]) -> None:
    """docs/source/features/quantization.md, Hardware Support Matrix: FP8 from Ada, NVFP4 from Blackwell, W4A16 from Ampere; nothing older."""
    for capability, gpu in NVIDIA.items():
        refused = code(support("qwen3-8b", gpu, "tensorrt-llm", precision))
        wanted = "engine-not-on-device" if capability < 8 else None if capability in runs else "precision-not-on-device"
        assert refused == wanted, gpu


def test_tensorrt_llm_keeps_an_fp8_cache_from_ada_on() -> None:
    for capability, gpu in NVIDIA.items():
        refused = code(support("qwen3-8b", gpu, "tensorrt-llm", "bf16", kv_precision="fp8"))
        assert refused == ("engine-not-on-device" if capability < 8 else "cache-not-on-device" if capability < 8.9 else None), gpu
    assert support("qwen3-8b", "t4-16gb", "tensorrt-llm", version=(0, 12)).refusal is None  # older releases had Turing


def test_an_fp8_cache_runs_on_ampere_with_vllm_and_sglang() -> None:
    """People run it on RTX 3090 (vLLM with FlashInfer, SGLang)."""
    for engine in ("vllm", "sglang"):
        assert support("qwen3-8b", "rtx3090-24gb", engine, kv_precision="fp8_e4m3").refusal is None


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize("model", ["deepseek-v3.2", "glm-5"])
def test_sparse_latent_attention_has_kernels_from_hopper_on(engine: str, model: str) -> None:
    """docs/design/attention_backends.md of vLLM (9.x, 10.x, 12.x); docs/basic_usage/deepseek_v32.md of SGLang; llama.cpp computes anything."""
    assert "sparse-latent" in mixer_kinds(load_architecture(model))
    for capability, gpu in NVIDIA.items():
        found = support(model, gpu, engine, precision="int4")
        if 8 <= capability < 9:
            assert found.refusal is not None
            assert (found.refusal.code, found.refusal.parameters["instead"]) == ("sparse-latent-not-on-device", "llama.cpp"), gpu
        if capability >= 9:
            assert found.refusal is None, gpu


def test_attention_and_devices_that_run_it_beside_nvidia() -> None:
    for gpu in ("mi300x-192gb", "mi355x-288gb", "ascend910b3-64gb", "kunlun-p800-96gb"):
        assert support("deepseek-v3.2", gpu, precision="int8").refusal is None, gpu
    assert code(support("deepseek-v3.2", "rx7900xtx-24gb", precision="int4")) == "sparse-latent-not-on-device"
    assert support("minimax-m3", "a100-sxm-80gb", precision="int4").refusal is None  # its sparse attention runs everywhere


def test_what_nobody_states_is_said_and_not_refused() -> None:
    """A format, an attention and a cache of cards whose makers publish no list."""
    for found, said in (
        (support("deepseek-v3", "mtt-s4000-48gb"), "precision-not-proven"),
        (support("deepseek-v3.2", "metax-c500-64gb", precision="int8"), "mixer-not-proven"),
        (support("qwen3-8b", "hygon-k100-ai-64gb", kv_precision="fp8"), "cache-not-proven"),
        (support("deepseek-v4-flash", "l40s-48gb"), "mixer-in-patched-builds"),
    ):
        assert found.refusal is None
        assert said in [each.code for each in found.notices]
        assert found.tier >= 1


def test_decode_context_parallelism_of_sparse_attention_has_no_kernels_on_hopper() -> None:
    """FLASHMLA_SPARSE and FLASH_ATTN_MLA_SPARSE have no DCP; the dense latent backends have."""
    hopper, layout = accelerator("h200-sxm-141gb"), Layout(tp=8, dcp=8)
    refused = layout_refusal("vllm", load_architecture("deepseek-v3.2"), hopper, layout, (0, 33))
    assert refused is not None
    assert refused.code == "layout-not-on-device"
    assert layout_refusal("vllm", load_architecture("deepseek-v3"), hopper, layout, (0, 33)) is None
    assert fitted("deepseek-v3.2", "h200-sxm-141gb", tp=8, dcp=8).fit.reason == refused


# ---- combinations that fit used to call starts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "wanted", "instead"),
    [
        ("qwen3-8b", "m4-max-64gb", "vllm", "engine-not-on-device", "llama.cpp"),
        ("qwen3-8b", "mlu370-x8-48gb", "vllm", "engine-not-on-device-alone", None),
        ("qwen3-8b", "mi300x-192gb", "tensorrt-llm", "engine-not-on-device", "vllm"),
        ("qwen3-8b", "ascend910b3-64gb", "tensorrt-llm", "engine-not-on-device", "sglang"),
        ("deepseek-v3.2", "a100-sxm-80gb", "vllm", "sparse-latent-not-on-device", "llama.cpp"),
        ("qwen3-32b-fp8", "v100-sxm-32gb", "vllm", "precision-not-on-device", "int4"),
        ("deepseek-v4-flash", "910b4", "vllm", "precision-not-on-device", "int8"),
        ("gpt-oss-120b", "ascend310p3-24gb", "vllm", "precision-not-on-device", "int8"),
        ("qwen3-32b-fp8", "metax-c500-64gb", "vllm", "precision-not-on-device", "int8"),
        ("qwen3-32b-fp8", "kunlun-p800-96gb", "vllm", "precision-not-on-device", "int8"),
        ("qwen3-32b-fp8", "enflame-s60-48gb", "vllm", "precision-not-on-device", "int8"),
    ],
)
def test_fit_refuses_what_the_table_refuses_and_names_what_runs(model: str, gpu: str, engine: str, wanted: str, instead: str | None) -> None:
    fit = fitted(model, gpu, engine=engine, tp=4).fit
    assert fit.reason is not None
    assert (fit.fits, fit.reason.code, fit.reason.parameters.get("instead")) == (False, wanted, instead)


def test_vllm_on_a_card_with_a_package_of_its_own_says_so() -> None:
    """MLU590: vLLM runs there by Cambricon's vllm-mlu alone."""
    for gpu, package in (("mlu590-80gb", "vllm-mlu"), ("910b3", "vllm-ascend"), ("metax-c500-64gb", "vllm-metax"), ("gaudi3-128gb", "vllm-gaudi")):
        fit = fitted("qwen3-8b", gpu, max_model_len=4096).fit
        assert fit.fits
        assert package in [each.parameters.get("package") for each in fit.warnings if each.code == "engine-by-package"]


def test_deepseek_v4_flash_is_refused_on_ascend_with_its_size_in_w8a8(capsys: pytest.CaptureFixture[str]) -> None:
    """H-16. vllm-ascend, DeepSeek-V4-Flash.md: W8A8 on one server of 8 x 64 GB; the published copy has 294 GB."""
    assert main(["fit", "deepseek-v4-flash", "--gpu", "910b4", "--tp", "8"]) == 3
    said = capsys.readouterr().out
    assert "no kernels for mxfp4 + fp8 weights" in said
    assert "W8A8 with msModelSlim" in said
    larger = fitted("deepseek-v4-flash", "910b3", tp=8)
    assert larger.fit.reason is not None
    assert larger.fit.reason.code == "precision-not-on-device"
    first = remedies(larger)["convert-first"]
    assert first.launch.precision == "int8"
    assert (first.parameters["gpus"], first.fit.fits) == (8, True)
    assert first.parameters["weights_bytes"] == pytest.approx(294 * GB, rel=0.01)


def test_fp8_on_volta_is_refused_by_fit_as_by_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """H-17."""
    assert main(["fit", "qwen3-32b-fp8", "--gpu", "v100-sxm-32gb", "--tp", "4"]) == 3
    assert "no kernels for fp8 weights" in capsys.readouterr().out
    fit = fitted("qwen3-32b-fp8", "v100-sxm-32gb", tp=4).fit
    (rejected,) = planned("qwen3-32b-fp8", "v100-sxm-32gb", precision="fp8").rejected
    assert fit.reason == rejected.reason
    assert fitted("qwen3-32b-fp8", "t4-16gb", tp=4, max_model_len=2048).fit.fits  # FP8 Marlin from 7.5 on


def test_no_remedy_advises_what_does_not_run() -> None:
    """FP8 weights used to be advised on V100 and Ascend."""
    for gpu in ("v100-sxm-32gb", "910b4"):
        found = remedies(fitted("qwen3-32b", gpu))
        assert found
        for each in found.values():
            assert get_engine("vllm").support(each.launch, with_precision(load_architecture("qwen3-32b"), each.launch.precision), accelerator(gpu))
            assert each.launch.precision not in ("fp8",)
            assert each.launch.kv_precision not in ("fp8",)
    other = remedies(fitted("qwen3-8b", "910b3", kv_precision="fp8"))
    assert other["other-cache"].launch.kv_precision == "auto"


# ---- conversion by plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["deepseek-v3", "deepseek-r1", "deepseek-v3.1"])
def test_deepseek_on_910b_is_converted_to_w8a8_on_two_servers(model: str) -> None:
    """vllm-ascend, DeepSeek-R1.md and DeepSeek-V3.1.md: W8A8 on 2 Atlas 800 A2 (64 GB x 8); in BF16 four."""
    plan = planned(model, "910b3", concurrency=8, context_tokens=8192)
    (option,) = plan.options
    assert (option.launch.precision, option.gpus, option.nodes) == ("int8", 16, 2)
    (said,) = [each for each in option.notices if each.code == "convert-first"]
    assert (said.parameters["name"], said.parameters["tool"], said.parameters["stored"]) == ("W8A8", "msModelSlim", "FP8")
    line = command_line(option.launch)
    assert line is not None
    assert "--quantization ascend" in line
    plain = planned(model, "910b3", precision="bf16", concurrency=8, context_tokens=8192)
    assert [(each.gpus, each.nodes) for each in plain.options] == [(32, 4)]


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "precision"),
    [
        ("gpt-oss-120b", "910b3", "vllm", "int8"),
        ("deepseek-v4-flash", "910b3", "sglang", "int8"),
        ("qwen3-235b-a22b-nvfp4", "910b3", "vllm", "int8"),
        ("qwen3-32b-fp8", "kunlun-p800-96gb", "vllm", "int8"),
        ("qwen3-32b-fp8", "metax-c500-64gb", "vllm", "int8"),
        ("qwen3-32b-fp8", "hygon-bw1000-64gb", "vllm", "int8"),
        ("qwen3-32b-fp8", "v100-sxm-32gb", "vllm", "int4"),
        ("qwen3-235b-a22b-nvfp4", "h200", "tensorrt-llm", "fp8"),
        ("qwen3-32b-fp8", "a100-sxm-80gb", "vllm", "checkpoint"),
        ("qwen3-32b", "910b3", "vllm", "checkpoint"),
        ("qwen3-32b-fp8", "ascend950dt-96gb", "vllm", "checkpoint"),
        ("qwen3-32b-fp8", "l4-24gb", "sglang", "checkpoint"),
    ],
)
def test_a_plan_takes_the_best_format_that_runs(model: str, gpu: str, engine: str, precision: str) -> None:
    options = planned(model, gpu, engine=engine, concurrency=1).options
    assert {each.launch.precision for each in options} == {precision}
    for option in options:
        codes = [each.code for each in option.notices]
        assert ("convert-first" in codes) == (precision != "checkpoint")


def test_what_somebody_named_and_cannot_run_is_refused_with_what_to_take() -> None:
    for precision in ("fp8", "nvfp4", "mxfp4"):
        plan = planned("qwen3-32b", "910b3", precision=precision)
        assert plan.options == ()
        (rejected,) = plan.rejected
        assert (rejected.reason.code, rejected.reason.parameters["instead"]) == ("precision-not-on-device", "int8")


def test_a_copy_that_somebody_wants_is_no_conversion_that_a_device_asks_for() -> None:
    """FP8 weights run on a 4090 as they are: INT4 is another copy; on Ascend W8A8 is made with its own tool."""
    copy = [each.code for each in planned("qwen3-32b-fp8", "rtx4090-24gb", precision="int4").options[0].notices]
    assert ("other-checkpoint" in copy, "convert-first" in copy) == (True, False)
    assert "convert-first" in [each.code for each in planned("qwen3-32b", "910b3", precision="int8").options[0].notices]


# ---- layouts ---------------------------------------------------------------------------------------------------------


def test_sglang_shares_whole_experts_over_fewer_groups_than_ranks() -> None:
    """TP8 EP2: the expert width 1,536 is cut by four, 384 = 3 blocks of 128; over all eight ranks a block would be cut through."""
    for engine in ("sglang", "tensorrt-llm"):
        assert fitted("qwen3-235b-a22b-fp8", "h200", engine=engine, tp=8, ep=2, max_model_len=8192).fit.fits
        for wrong, reason in ((8, None), (3, "ep-does-not-divide"), (1, "tp-quantisation-block")):
            found = fitted("qwen3-235b-a22b-fp8", "h200", engine=engine, tp=8, ep=wrong, max_model_len=8192).fit.reason
            assert (None if found is None else found.code) == reason, (engine, wrong)
    vllm = fitted("qwen3-235b-a22b-fp8", "h200", tp=8, ep=2).fit.reason
    assert vllm is not None
    assert vllm.code == "ep-not-tp-times-dp"


def test_blocks_that_no_checkpoint_states_refuse_no_layout() -> None:
    """A published copy in blocks of 128 cannot be cut to 192; one that is asked for by its precision may have any blocks, or is made on load."""
    found = fitted("qwen3-30b-a3b-fp8", "h100", engine="sglang", tp=4, max_model_len=8192).fit.reason
    assert found is not None
    assert found.code == "tp-quantisation-block"
    for precision in ("fp8", "int4"):
        assert fitted("qwen3-30b-a3b", "h100", engine="sglang", tp=4, max_model_len=8192, precision=precision).fit.fits


# ---- the table itself ------------------------------------------------------------------------------------------------


def test_every_row_has_a_source_and_every_refusal_words_in_both_languages() -> None:
    for engine in engine_ids():
        assert all(source.strip() for source in sources_of(engine))
        for kind in KINDS:
            for row in rows_of(engine, kind):
                assert row.sources
                assert row.answer in ANSWERS
                if kind == "attention" and row.answer == "no":
                    for mixer in row.attention:
                        assert all(has("reason", f"{mixer}-not-on-device{end}", each) for each in LANGUAGES for end in ("", "-alone"))


def test_no_device_runs_into_a_defect_and_what_is_offered_instead_runs() -> None:
    """Every device, engine and format: a refusal names something that the same table takes."""
    model = load_architecture("qwen3-8b")
    for precision in ("fp8", "int8", "int4", "mxfp4", "nvfp4", "bf16"):
        wanted = with_precision(model, precision)
        for engine in ("vllm", "sglang", "tensorrt-llm"):
            for device in accelerators():
                found = device_support(engine, wanted, device)
                if code(found) == "precision-not-on-device":
                    assert found.refusal is not None
                    other = with_precision(model, found.refusal.parameters["instead"])
                    assert device_support(engine, other, device).refusal is None, (engine, device.id, precision)
                elif code(found) == "engine-not-on-device":
                    assert found.refusal is not None
                    assert code(device_support(found.refusal.parameters["instead"], model, device)) is None, (engine, device.id)


def test_tools_are_those_that_the_makers_name() -> None:
    assert conversion("vllm", accelerator("910b3"), "int8").tool == "msModelSlim"
    assert conversion("vllm", accelerator("h100"), "int8").tool == "LLM Compressor"
    assert conversion("vllm", accelerator("v100-sxm-32gb"), "int4").tool == "GPTQModel"
    assert conversion("tensorrt-llm", accelerator("h100"), "fp8").tool == "NVIDIA ModelOpt"


# ---- what people started ---------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_nothing_that_started_is_refused() -> None:
    started = 0
    for row in shared_lines("starts.jsonl"):
        case = deployment_of(row)
        if isinstance(case, Notice) or not measured_memory(row).get("fits"):
            continue
        started += 1
        engine = get_engine(case.deployment.engine)
        assert engine.support(case.deployment, case.architecture, case.accelerator).refusal is None, row["id"]
        version = engine.version_of(case.deployment)
        assert layout_refusal(engine.id, case.architecture, case.accelerator, case.deployment.layout, version) is None, row["id"]
    assert started > 100


@pytest.mark.shared
@pytest.mark.parametrize("name", ["serving-speeds.jsonl", "local-speeds.jsonl"])
def test_nothing_whose_speed_was_measured_is_refused(name: str) -> None:
    """But two rows of MLPerf that name TensorRT-LLM on MI300X: no build of it has kernels for AMD."""
    refused = []
    for row in shared_lines(name):
        case = performance_case(row)
        if isinstance(case, Notice) or case.deployment.engine not in engine_ids():
            continue
        if get_engine(case.deployment.engine).support(case.deployment, case.architecture, case.accelerator).refusal is not None:
            refused.append((row["engine"], row["gpu"]))
    assert set(refused) <= {("TensorRT-LLM (MLPerf harness)", "MI300X 192GB")}
    assert len(refused) <= 2
