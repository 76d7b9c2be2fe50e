"""What people type: words for precisions, names of models, times. Each row is of our own choosing, and what it means stands beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import gpusizer
from command_line import refused, run
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.asked import asked_precision
from gpusizer.architecture.precision.requantise import precision_ids, with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError, UnitError, UnknownIdError
from gpusizer.facts.catalog import model_ids
from gpusizer.facts.model_words import QUANTISED, model_meant
from gpusizer.i18n import has
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request, from_mapping
from gpusizer.planning.words import named
from gpusizer.units import GB, GiB, parse_duration_s

# Precisions ------------------------------------------------------------------------------------------------------------------

WORDS = [
    ("awq", "int4", "q4_k_m"),
    ("AWQ", "int4", "q4_k_m"),
    ("gptq", "int4", "q4_k_m"),
    ("GPTQ-Int4", "int4", "q4_k_m"),
    ("gptq-int8", "int8", "q8_0"),
    ("w4a16", "int4", "q4_k_m"),
    ("w4a8", "int4", "q4_k_m"),
    ("W4A8-FP8", "int4", "q4_k_m"),
    ("w8a8", "int8", "q8_0"),
    ("w8a8-int8", "int8", "q8_0"),
    ("w8a8-fp8", "fp8", "q8_0"),
    ("4bit", "int4", "q4_k_m"),
    ("4-bit", "int4", "q4_k_m"),
    ("4比特", "int4", "q4_k_m"),
    ("int4量化", "int4", "q4_k_m"),
    ("8 bit", "int8", "q8_0"),
    ("bnb", "int4", "q4_k_m"),
    ("nf4", "int4", "q4_k_m"),
    ("fp8-dynamic", "fp8", "q8_0"),
    ("fp8_block", "fp8_block", "q8_0"),
    ("float8", "fp8", "q8_0"),
    ("f16", "fp16", "fp16"),
    ("half", "fp16", "fp16"),
    ("bfloat16", "bf16", "bf16"),
    ("mxfp4", "mxfp4", "mxfp4_moe"),
    ("nvfp4", "nvfp4", "nvfp4"),
    ("q4", "q4_k_m", "q4_k_m"),
    ("q8", "q8_0", "q8_0"),
    ("Q4_K_M", "q4_k_m", "q4_k_m"),
    ("q4-k-m", "q4_k_m", "q4_k_m"),
    ("IQ2_XXS", "iq2_xxs", "iq2_xxs"),
    ("iq4_nl", "iq4_nl", "iq4_nl"),
    ("q3_k_xl", "q3_k_m", "q3_k_m"),
    ("UD-Q4_K_XL", "q4_k_m", "q4_k_m"),
    ("ud-q2_k_xl", "q2_k", "q2_k"),
    ("UD-IQ1_S", "iq1_s", "iq1_s"),
    ("1.58bit", "iq1_s", "iq1_s"),
    ("UD-Q8_K_XL", "q8_0", "q8_0"),
    ("IQ4_KS_R4", "iq4_ks.iq5_ks+iq5_ks", "iq4_ks.iq5_ks+iq5_ks"),
]


@pytest.mark.parametrize(("words", "precision", "in_gguf"), WORDS)
def test_a_word_for_a_precision(words: str, precision: str, in_gguf: str) -> None:
    dense = load_architecture("qwen3-14b")
    assert asked_precision(words, model=dense).precision == precision
    assert asked_precision(words, gguf=True, model=dense).precision == in_gguf


@pytest.mark.parametrize("precision", precision_ids())
def test_our_own_words_mean_themselves_and_need_no_notice(precision: str) -> None:
    found = asked_precision(precision.upper())
    assert (found.precision, found.notice) == (precision, None)


def test_whatever_is_taken_for_something_else_is_said() -> None:
    plain = {"f16", "half", "bfloat16", "float8", "w8a8-fp8", "q4-k-m", "int4量化"}
    for words, precision, _ in WORDS:
        notice = asked_precision(words).notice
        if words.lower().replace("-", "_") != precision and words not in plain and words.lower() not in precision_ids():
            assert notice is not None, words
            assert notice.parameters["found"] == words
            assert all(has("warning", notice.code, language) for language in ("en", "zh"))


@pytest.mark.parametrize(
    ("words", "code", "offered"),
    [
        ("exl3", "precision-elsewhere", "q4_k_m"),
        ("exl2-3.0bpw", "precision-elsewhere", "q3_k_m"),
        ("mlx-7bit", "unknown-precision", "mlx_4bit"),
        ("int3", "unknown-precision", "int4"),
        ("fp6", "unknown-precision", "fp8"),
        ("q4_k_mm", "unknown-precision", "q4_k_m"),
        ("w4a4", "unknown-precision", "w4a8"),
    ],
)
def test_what_no_engine_here_runs_is_refused_with_the_nearest(words: str, code: str, offered: str) -> None:
    with pytest.raises(InputError) as caught:
        asked_precision(words)
    assert caught.value.code == code
    assert offered in (caught.value.parameters.get("precision"), *caught.value.parameters.get("nearest", ()))


@pytest.mark.parametrize("words", ["", "x" * 10_000, "\0", "../../x", "q4_k_m+", "+", "int4\nint8", "🙂"])
def test_a_hostile_word_is_refused(words: str) -> None:
    with pytest.raises(UnknownIdError):
        asked_precision(words)


@pytest.mark.parametrize(
    ("model", "words", "published", "tolerated"),
    [  # files as their publisher, a start-up log or the page of the repository states them
        ("deepseek-r1", "1.58bit", 131 * GiB, 0.01),
        ("deepseek-r1", "UD-IQ2_XXS", 183 * GiB, 0.05),
        ("deepseek-r1", "UD-Q2_K_XL", 226.6 * GB, 0.03),
        ("deepseek-v3-0324", "UD-Q4_K_XL", 405 * GB, 0.01),
        ("deepseek-v3.1", "ud-q5_k_xl", 485 * GB, 0.03),
        ("qwen3-32b", "UD-Q4_K_XL", 18.641 * GiB, 0.02),
        ("qwen3-30b-a3b", "UD-Q4_K_XL", 16.493 * GiB, 0.06),
        ("minimax-m2.1", "UD-Q4_K_XL", 131 * GB, 0.03),
    ],
)
def test_a_publishers_own_mix_is_as_large_as_its_file(model: str, words: str, published: float, tolerated: float) -> None:
    stored = load_architecture(model)
    found = asked_precision(words, gguf=True, model=stored)
    assert checkpoint_bytes(with_precision(stored, found.precision), mtp=False) == pytest.approx(published, rel=tolerated)
    assert found.notice is not None
    assert found.notice.code == "mix-stands-published"


@pytest.mark.parametrize("words", ["awq", "gptq", "w8a8", "w4a8", "UD-Q4_K_XL", "ud-q2_k_xl", "q3_k_xl", "4bit", "1.58bit"])
def test_handover_25(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    gguf = "--engine llama.cpp" if words.lower().startswith(("ud", "q", "1")) else "--engine vllm --max-model-len 4k"
    code, out, _ = run(capsys, "fit", "qwen3-14b", "--precision", words, "--gpu", "4090", *gguf.split(), "--format", "json")
    answer = json.loads(out)
    assert (code, answer["fits"]) == (0, True)
    assert words in " ".join(str(each["parameters"]) for each in answer["warnings"])
    assert run(capsys, "fit", "qwen3-14b", "--precision", words, "--gpu", "4090")[0] in (0, 3)  # as it was typed
    bits = {"awq": 4.125, "gptq": 4.125, "w4a8": 4.125, "4bit": 4.125, "w8a8": 8.0}.get(words)
    if bits is not None:  # 14.77e9 parameters, 1.56e9 of them in embedding and head at 16 bits
        expected = 13.21e9 * bits / 8 + 1.556e9 * 2
        assert answer["per_gpu"]["weights_bytes"] == pytest.approx(expected, rel=0.02)


def test_plan_fit_python_and_json_take_the_same_words() -> None:
    plan = make_plan(from_mapping({"model": "qwen3-14b", "precision": "awq", "gpus": ["rtx4090-24gb"], "concurrency": 1, "context_tokens": 4096}))
    launch = plan.options[0].launch
    fit = gpusizer.fit(Deployment("qwen3-14b", "rtx4090-24gb", precision="awq", max_model_len=4096))
    assert (launch.precision, fit.launch.precision, plan.request.precision) == ("int4", "int4", "int4")
    assert {notice.code for notice in plan.warnings} >= {"precision-taken"}
    assert {notice.code for notice in fit.result.warnings} >= {"precision-taken"}


# Models ----------------------------------------------------------------------------------------------------------------------

NAMES: list[tuple[str, str, str | None]] = [
    ("Qwen/Qwen3-14B-FP8", "qwen3-14b", "fp8_block"),
    ("Qwen/Qwen3-32B-AWQ", "qwen3-32b", "int4"),
    ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2.5-72b-instruct", "int4"),
    ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "qwen2.5-72b-instruct", "int8"),
    ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "llama-3.3-70b-instruct", "nvfp4"),
    ("RedHatAI/Qwen3-32B-quantized.w4a16", "qwen3-32b", "int4"),
    ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "llama-3.1-8b-instruct", "int8"),
    ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b-instruct", "fp8"),
    ("unsloth/Qwen3-32B-GGUF", "qwen3-32b", "gguf"),
    ("unsloth/DeepSeek-R1-GGUF:UD-IQ1_S", "deepseek-r1", "iq1_s"),
    ("unsloth/Llama-3.3-70B-Instruct-bnb-4bit", "llama-3.3-70b-instruct", "int4"),
    ("unsloth/Qwen3-14B-unsloth-bnb-4bit", "qwen3-14b", "int4"),
    ("bartowski/google_gemma-3-27b-it-GGUF", "gemma-3-27b-it", "gguf"),
    ("bartowski/Qwen_Qwen3-32B-GGUF", "qwen3-32b", "gguf"),
    ("cyankiwi/GLM-4.6-AWQ-4bit", "glm-4.6", "int4"),
    ("vllm-ascend/DeepSeek-R1-0528-W8A8", "deepseek-r1-0528", "int8"),
    ("someone/DeepSeek-V3.1-w4a8-mtp-QuaRot", "deepseek-v3.1", "int4"),
    ("Intel/Qwen3-32B-int4-AutoRound", "qwen3-32b", "int4"),
    ("QuantTrio/GLM-4.5-GPTQ-Int4-Int8Mix", "glm-4.5", "int4"),
    ("amd/DeepSeek-R1-MXFP4-Preview", "deepseek-r1", "mxfp4"),
    ("qwen3:235b", "qwen3-235b-a22b", None),
    ("llama3.3:70b-instruct-q4_K_M", "llama-3.3-70b-instruct", "q4_k_m"),
    ("qwen3:30b-a3b-q8_0", "qwen3-30b-a3b", "q8_0"),
    ("deepseek-r1:70b-llama-distill-q8_0", "deepseek-r1-distill-llama-70b", "q8_0"),
    ("gemma3:27b-it-qat", "gemma-3-27b-it", "q4_0"),
    ("phi4:14b", "phi-4", None),
    ("mistral:7b", "mistral-7b-instruct-v0.3", None),
    ("hf.co/unsloth/Qwen3-32B-GGUF:Q4_K_M", "qwen3-32b", "q4_k_m"),
    ("https://huggingface.co/Qwen/Qwen3-32B-AWQ/tree/main", "qwen3-32b", "int4"),
    ("https://modelscope.cn/models/deepseek-ai/DeepSeek-R1/summary", "deepseek-r1", None),
    ("deepseek r1 满血版", "deepseek-r1", None),
    ("DeepSeek-R1满血版", "deepseek-r1", None),
    ("DeepSeek-R1 蒸馏版 32B", "deepseek-r1-distill-qwen-32b", None),
    ("DeepSeek-R1-蒸馏-70B", "deepseek-r1-distill-llama-70b", None),
    ("deepseek-r1 量化版", "deepseek-r1", QUANTISED),
    ("千问3-32B", "qwen3-32b", None),
    ("通义千问2.5-72B", "qwen2.5-72b", None),
    ("智谱 GLM-4.5", "glm-4.5", None),
    ("混元A13B", "hunyuan-a13b-instruct", None),
    ("qwen 3 32b", "qwen3-32b", None),
    ("deepseekr1", "deepseek-r1", None),
    ("glm4.6", "glm-4.6", None),
    ("Qwen3-235B", "qwen3-235b-a22b", None),
    ("llama3.3", "llama-3.3-70b-instruct", None),
    # as logs, file names, served names and hubs have them
    ("Qwen3-235B-A22B-128K-Q4_K_M-00001-of-00003.gguf", "qwen3-235b-a22b", "q4_k_m"),
    ("Qwen3-30B-A3B-mix-IQ4_K.gguf", "qwen3-30b-a3b", "iq4_k"),
    ("GLM-4.5-Air-IQ4_KSS-00001-of-00002.gguf", "glm-4.5-air", "iq4_kss"),
    ("DeepSeek-V3-0324-UD-Q2_K_XL-merged.gguf", "deepseek-v3-0324", "q2_k_xl"),
    ("Meta_Llama_3.1_8b_it-f16-iMat-Q5_K_S_q4_v6.gguf", "llama-3.1-8b", "q5_k_s"),
    ("unsloth/GLM-5.2-GGUF/UD-IQ2_M", "glm-5.2", "iq2_m"),
    ("ubergarm/GLM-5-GGUF smol-IQ2_KS", "glm-5", "iq2_ks"),
    ("MiniMaxAI/MiniMax-M2.7 (AWQ)", "minimax-m2.7", "int4"),
    ("Qwen3.6-27B (AutoRound int4, DFlash)", "qwen3.6-27b", "int4"),
    ("Qwen3.8-27B (checkpoint not named)", "qwen3.8-27b", None),
    ("gpt-oss-120b Q8_0 GGUF (mxfp4 experts)", "gpt-oss-120b", "q8_0"),
    ("ISTA-DASLab/gemma-3-27b-it-GPTQ-4b-128g", "gemma-3-27b-it", "int4"),
    ("QuantTrio/GLM-4.5-Air-AWQ-FP16Mix", "glm-4.5-air", "int4"),
    ("Qwen3.6-35B-A3B-MXFP4_MOE.gguf", "qwen3.6-35b-a3b", "mxfp4"),
    ("/home/x/hub/models--Qwen--Qwen3-14B-AWQ/snapshots/0123456789abcdef", "qwen3-14b", "int4"),
    ("qwen38-27b-single", "qwen3.8-27b", None),
    ("GLM-4.6-355B-A32B", "glm-4.6", None),
    ("InternVL 3.5 38B", "internvl3.5-38b", None),
    ("Jackrong/Qwen3.5-27B-Claude-4.6-Opus-Reasoning-Distilled-GGUF", "qwen3.5-27b", "gguf"),
    ("NousResearch/Hermes-3-Llama-3.1-8B", "llama-3.1-8b", None),
]
EXACT = [
    ("qwen3:32b", "qwen3-32b"),
    ("deepseek-r1:671b", "deepseek-r1"),
    ("deepseek-r1:14b", "deepseek-r1-distill-qwen-14b"),
    ("gpt-oss:120b", "gpt-oss-120b"),
    ("LLM-Research/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
    ("ZhipuAI/GLM-4.6", "glm-4.6"),
    ("Qwen3_32B", "qwen3-32b"),
    ("Qwen/Qwen3-32B-FP8", "qwen3-32b-fp8"),  # an entry of its own wins
    ("https://www.modelscope.cn/models/Qwen/Qwen3-32B", "qwen3-32b"),
]


@pytest.mark.parametrize(("name", "id", "precision"), NAMES)
def test_a_name_for_a_model(name: str, id: str, precision: str | None) -> None:
    meant = model_meant(name)
    assert (meant.id, meant.precision, meant.exact) == (id, precision, False)


@pytest.mark.parametrize(("name", "id"), EXACT)
def test_a_name_of_the_catalogue_is_exact(name: str, id: str) -> None:
    meant = model_meant(name)
    assert (meant.id, meant.precision, meant.exact) == (id, None, True)


def test_every_id_means_itself() -> None:
    for id in model_ids():
        assert (model_meant(id).id, model_meant(id).exact) == (id, True)


@pytest.mark.parametrize(
    ("name", "code", "offered"),
    [
        ("qwen3", "ambiguous-model", "qwen3-32b"),
        ("通义千问", "ambiguous-model", "qwen3-8b"),
        ("文心", "ambiguous-model", "ernie-4.5-300b-a47b-pt"),
        ("混元", "ambiguous-model", "hunyuan-a13b-instruct"),
        ("deepseek-v4", "ambiguous-model", "deepseek-v4-pro"),
        ("gpt-oss", "ambiguous-model", "gpt-oss-20b"),
        ("GPT-4", "model-not-published", "gpt-oss-120b"),
        ("gpt-4o", "model-not-published", "gpt-oss-120b"),
        ("Claude Sonnet 4.5", "model-not-published", "deepseek-v3.2"),
        ("gemini 2.5 pro", "model-not-published", "gemma-4-31b-it"),
        ("豆包", "model-not-published", "seed-oss-36b-instruct"),
        ("文心一言", "model-not-published", "ernie-4.5-300b-a47b-pt"),
        ("Qwen3-Max", "model-not-published", "qwen3-235b-a22b"),
        ("turboderp/Qwen3-32B-exl3", "model-format-elsewhere", "qwen3-32b"),
        ("deepsek-v3", "unknown-model", "deepseek-v3"),
        ("DeepSeek-V3-Draft-1B", "unknown-model", "deepseek-v3"),
    ],
)
def test_what_a_name_leaves_open_is_asked_back(name: str, code: str, offered: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError) as caught:
        model_meant(name)
    assert caught.value.code == code
    near = list(caught.value.parameters["nearest"])
    assert offered in near or (code == "ambiguous-model" and caught.value.parameters["count"] > len(near))
    assert set(near) <= set(model_ids())
    assert all(near_id in refused(capsys, "plan", name, "--language", "en") for near_id in near[:1])
    refused(capsys, "fit", name, "--gpu", "h100")


@pytest.mark.parametrize(
    "name",
    [
        "google/gemma-4-31B-it-assistant",  # a draft for it
        "RedHatAI/Qwen3-32B-speculator.eagle3",
        "lmsys/gpt-oss-120b-eagle3",
        "Qwen/Qwen2.5-7B-Instruct-1M",  # another context
        "DeepSeek-R1-Distill-Qwen-13B",  # no size that exists
        "Salesforce/SFR-Embedding-Mistral",  # made of one that is
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",  # built around it
    ],
)
def test_a_relative_of_a_known_model_is_not_taken_for_it(name: str) -> None:
    with pytest.raises(UnknownIdError):
        model_meant(name)


def codes(answer: dict[str, Any]) -> set[str]:
    return {each["code"] for each in answer["warnings"]}


def test_a_quantised_copy_is_planned_and_started_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", "Qwen/Qwen3-14B-AWQ", "--gpu", "4090", "--concurrency", "2", "--context-tokens", "4k", "--format", "json")
    plan = json.loads(out)
    assert (plan["model"]["id"], "model-taken-in" in codes(plan)) == ("qwen3-14b", True)
    assert "vllm serve Qwen/Qwen3-14B-AWQ" in plan["options"][0]["command"]
    _, out, _ = run(capsys, "fit", "Qwen/Qwen3-14B-AWQ", "--gpu", "4090", "--max-model-len", "4k", "--format", "json")
    _, base, _ = run(capsys, "fit", "qwen3-14b", "--precision", "int4", "--gpu", "4090", "--max-model-len", "4k", "--format", "json")
    fit, same = json.loads(out), json.loads(base)
    assert "model-taken-in" in codes(fit)
    groups = 13_212_057_600 / 128  # linear weights, 128 to a scale: Qwen's AWQ copies keep a zero point of 4 bits beside each
    assert fit["per_gpu"]["weights_bytes"] - same["per_gpu"]["weights_bytes"] == pytest.approx(groups / 2, rel=0.01)
    assert fit["per_gpu"]["weights_bytes"] < 11 * GB
    assert plan["options"][0]["per_gpu"]["weights_bytes"] == fit["per_gpu"]["weights_bytes"]


def test_a_precision_that_was_asked_for_decides_over_the_name() -> None:
    found = named("Qwen/Qwen3-14B-AWQ", "fp8", "vllm")
    assert (found.model, found.precision, found.notices[0].code) == ("qwen3-14b", "fp8", "model-taken-precision-decides")


def test_a_copy_that_does_not_say_its_format_is_asked_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--precision" in refused(capsys, "plan", "deepseek-r1 量化版", "--language", "en")
    assert named("deepseek-r1 量化版", "int4", "vllm").precision == "int4"


def test_the_python_face_reads_a_copy_as_stored() -> None:
    model = gpusizer.load_architecture("RedHatAI/Qwen3-32B-quantized.w4a16")
    assert model.quantization.method == "int4"
    assert gpusizer.load_architecture("qwen3-32b").quantization.method is None


# Engines that run GGUF -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "words", "engine", "precision"),
    [
        ("qwen3-32b", "checkpoint", "llama.cpp", "q4_k_m"),
        ("qwen3:32b", "checkpoint", "ollama", "q4_k_m"),
        ("deepseek-v3", "checkpoint", "llama.cpp", "q4_k_m"),
        ("qwen3-32b", "f16", "llama.cpp", "fp16"),
        ("gpt-oss-120b", "checkpoint", "llama.cpp", "checkpoint"),
        ("gpt-oss:20b", "checkpoint", "ollama", "checkpoint"),
        ("unsloth/gpt-oss-20b-GGUF", "checkpoint", "llama.cpp", "checkpoint"),
        ("unsloth/Qwen3-32B-GGUF", "checkpoint", "llama.cpp", "q4_k_m"),
        ("qwen3-32b", "checkpoint", "vllm", "checkpoint"),
    ],
)
def test_engines_that_run_gguf_take_the_usual_recipe_where_nothing_is_said(model: str, words: str, engine: str, precision: str) -> None:
    found = named(model, words, engine)
    assert found.precision == precision
    defaulted = precision == "q4_k_m" and "GGUF" not in model
    assert ("gguf-default" in {notice.code for notice in found.notices}) == defaulted


def test_plan_and_fit_agree_on_the_usual_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(Request(model="qwen3-14b", engine="llama.cpp", gpus=("rtx4090-24gb",), concurrency=1, context_tokens=8192))
    _, out, _ = run(capsys, "fit", "qwen3-14b", "--engine", "llama.cpp", "--gpu", "4090", "--ctx-size", "8k", "--format", "json")
    fit = json.loads(out)
    assert (plan.options[0].launch.precision, "gguf-default" in codes(fit)) == ("q4_k_m", True)
    weights = sum(line.bytes for line in plan.options[0].fit.ranks[0].items if line.section == "weights_bytes")
    assert weights == fit["per_gpu"]["weights_bytes"] < 9.5 * GB  # 9.0 GB on the publisher's page; 29.5 in 16 bits


# Times -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["2", "0.5", " 50 ", "1e3"])
def test_a_time_without_a_unit_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnitError) as caught:
        parse_duration_s(words)
    if caught.value.code == "time-without-unit":
        line = refused(capsys, "plan", "qwen3-8b", "--ttft", words, "--language", "en")
        assert f"{words.strip()}s" in line
        assert f"{words.strip()}ms" in line
