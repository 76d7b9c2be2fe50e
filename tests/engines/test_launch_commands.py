"""Launch commands: what we print reads back to the same start; what people paste is understood, or answered with the reason."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.architecture.load import load_architecture
from gpusizer.cli.main import main
from gpusizer.engines import declarations, engine_ids, writing_engines
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import InputError
from gpusizer.facts.catalog import model_entry
from gpusizer.i18n import has
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.launch import command_line

MODELS = ("qwen3-8b", "deepseek-v3", "qwen3-30b-a3b", "gpt-oss-20b", "gemma-3-27b-it")
CARDS = ("rtx4090-24gb", "h100-sxm-80gb", "h200-sxm-141gb", "mi300x-192gb")
MACHINES = ("m4-pro-48gb", "m3-ultra-512gb")
PRECISIONS = {"mlx": ("mlx_4bit", "mlx_8bit", "mlx_mxfp4", "bf16")}
GGUF = tuple(each.id for each in declarations() if each.takes_gguf)
SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fit(deployment: Deployment) -> Fit:
    return make_fit(deployment).fit


def completed(fit: Fit) -> dict[str, Any]:
    """Every field of the start that was predicted; what the engine settled among the further flags is its own."""
    told = {each.name: getattr(fit.deployment, each.name) for each in fields(Deployment) if each.name != "flags"}
    stored = load_architecture(told["model"])
    as_stored = told["precision"] in (stored.quantization.method, *weight_formats(stored)[:1])
    return {**told, "model": model_entry(told["model"]).id, "precision": "checkpoint" if as_stored else told["precision"]}


def read_back(deployment: Deployment) -> Deployment:
    """The start that its own command describes; Ollama's names no model."""
    line = command_line(deployment)
    assert line is not None
    named = {"model": deployment.model, "given": {"precision": deployment.precision}} if "ollama" in line else {}
    launch = launch_of_command([line], gpu=deployment.gpu, **named)  # type: ignore[arg-type]
    assert {notice.code for notice in launch.notices} <= {"flags-neutral"}, line
    return launch.deployment


def flags_of(engine: str) -> st.SearchStrategy[dict[str, Any]]:
    options: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "vllm": {
            "enable_prefix_caching": st.booleans(),
            "cpu_offload_gb": st.sampled_from((1.0, 2.5)),
            "kv_cache_memory_bytes": st.sampled_from((1 << 30, 3 * 10**9)),
            "compilation_config": st.sampled_from(({"cudagraph_mode": "PIECEWISE"}, {"cudagraph_capture_sizes": [1, 2, 4]})),
            "cudagraph_capture_sizes": st.just((1, 2, 4, 8)),
        },
        "sglang": {"max_total_tokens": st.just(100_000), "cuda_graph_max_bs": st.sampled_from((4, 64)), "disable_radix_cache": st.just(True)},
        "tensorrt-llm": {"max_tokens": st.just(50_000)},
        "llama.cpp": {
            "cache_type_k": st.sampled_from(("q8_0", "f16")),
            "swa_full": st.just(True),
            "batch_size": st.just(1024),
            "override_tensor": st.just(("blk.1.ffn=CPU", "exps=CPU")),
            "n_gpu_layers": st.sampled_from((8, 99)),
        },
        "ollama": {"kv_cache_type": st.just("q8_0"), "flash_attention": st.sampled_from((True, False))},
        "transformers": {"attn_implementation": st.just("eager"), "prefill_chunk_size": st.just(512)},
        "mlx": {"prompt_concurrency": st.just(2), "prompt_cache_bytes": st.just(8 << 30), "prompt_cache_size": st.just(3)},
    }
    return st.fixed_dictionaries({}, optional=options[engine])


@st.composite
def starts(draw: st.DrawFn) -> Deployment:
    engine = draw(st.sampled_from(writing_engines()))
    gguf, ranks = engine in GGUF, 1 if engine == "mlx" else draw(st.sampled_from((1, 2, 4, 8)))
    by_devices = gguf or engine in ("transformers", "mlx")
    rows = draw(st.booleans())
    layout = {"tp": ranks if rows else 1, "pp": 1 if rows else ranks} if by_devices else {"tp": ranks, "pp": draw(st.sampled_from((1, 2)))}
    if engine in ("vllm", "sglang") and draw(st.booleans()):
        layout["ep"] = layout["tp"]
    if engine in ("vllm", "sglang", "tensorrt-llm") and draw(st.booleans()):
        layout |= {"tp": 1, "dp": 8, "pp": 1, "ep": 8 if engine == "vllm" else 1}
    flags = draw(flags_of(engine))
    caches = ("auto", "fp8") if not by_devices else ("auto", "q8_0") if engine == "llama.cpp" and "cache_type_k" not in flags else ("auto",)
    return Deployment(
        model=draw(st.sampled_from(MODELS)),
        gpu=draw(st.sampled_from(MACHINES if engine == "mlx" else CARDS)),
        engine=engine,
        precision=draw(st.sampled_from(PRECISIONS.get(engine, ("q4_k_m", "bf16", "q8_0") if gguf else ("checkpoint", "fp8", "int4", "bf16")))),
        kv_precision=draw(st.sampled_from(caches)),
        max_model_len=None if engine == "mlx" else draw(st.sampled_from((None, 4096, 20_000))),  # its server is told no length
        max_num_seqs=draw(st.sampled_from((None, 4, 32))),
        max_num_batched_tokens=None if by_devices else draw(st.sampled_from((None, 4096))),
        memory_fraction=None if by_devices else draw(st.sampled_from((None, 0.85, 0.5))),
        block_size=None if by_devices else draw(st.sampled_from((None, 64))),
        enforce_eager=False if by_devices else draw(st.booleans()),
        speculative_tokens=draw(st.sampled_from((0, 0, 2))) if engine in ("vllm", "sglang") else 0,
        flags=flags,
    )


@SMALL
@given(starts())
def test_every_command_that_we_print_reads_back_to_the_same_start(deployment: Deployment) -> None:
    again = read_back(deployment)
    try:
        first = fit(deployment)
    except InputError as refused:  # an engine may refuse a start; then it refuses the same start again
        with pytest.raises(type(refused)):
            fit(again)
        return
    second = fit(again)
    assert completed(second) == {**completed(first), "max_num_batched_tokens": second.deployment.max_num_batched_tokens}
    assert [[(line.id, line.bytes) for line in rank.items] for rank in second.ranks] == [
        [(line.id, line.bytes) for line in rank.items] for rank in first.ranks
    ]
    assert (second.fits, second.kv_cache, second.max_concurrency) == (first.fits, first.kv_cache, first.max_concurrency)


# What people paste -> the fields and further flags that it means. H200 everywhere.
PASTED: list[tuple[str, dict[str, Any]]] = [
    (
        "docker run --runtime nvidia --gpus all -v ~/models:/models --env 'TOKEN=<secret>' -p 8000:8000 --ipc=host "
        "vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-32B -tp 4",
        {"engine": "vllm", "engine_version": "0.11.0", "model": "qwen3-32b", "tp": 4},
    ),
    (
        "docker run --gpus '\"device=0,1\"' --shm-size 32g lmsysorg/sglang:latest python3 -m sglang.launch_server --model-path Qwen/Qwen3-32B --tp 2",
        {"engine": "sglang", "model": "qwen3-32b", "tp": 2},
    ),
    (
        "python -m vllm.entrypoints.openai.api_server --model deepseek-ai/DeepSeek-V3 --tensor-parallel-size=8 --max_model_len 32K > log.txt 2>&1 &",
        {"engine": "vllm", "model": "deepseek-v3", "tp": 8, "max_model_len": 32768},
    ),
    (
        "VLLM_USE_V1=1 vllm serve Qwen/Qwen3-30B-A3B --tensor-parallel-size 2 \\\n  --enable-expert-parallel \\\n"
        '  --speculative-config \'{"method": "mtp", "num_speculative_tokens": 4}\' --compilation-config.cudagraph_capture_sizes \'[1,2,4]\' -O3',
        {"tp": 2, "ep": 2, "speculative_tokens": 4, "compilation_config": {"cudagraph_capture_sizes": [1, 2, 4]}},
    ),
    ("vllm serve Qwen/Qwen3-8B --max-model-len=32k --max-num-batched-tokens 8k", {"max_model_len": 32_000, "max_num_batched_tokens": 8_000}),
    ("vllm serve Qwen/Qwen3-8B --kv-cache-memory-bytes 20G --gpu-memory-util 0.8", {"kv_cache_memory_bytes": 20 << 30, "memory_fraction": 0.8}),
    ("vllm serve someone/Qwen3-8B-GPTQ-Int4 --max-model-len -1", {"model": "qwen3-8b", "stored": "int4", "context_to_fit": True}),
    ("sglang serve --model-path meta-llama/Llama-3.1-8B-Instruct --tp 2 --dp 4", {"model": "llama-3.1-8b-instruct", "tp": 2, "dp": 1}),
    (
        "python3 -m sglang.launch_server --model deepseek-ai/DeepSeek-V3 --tp 16 --dp 16 --enable-dp-attention --nnodes 2 --node-rank 0",
        {"model": "deepseek-v3", "tp": 1, "dp": 16},
    ),
    (
        """echo '{"enable_attention_dp": true, "kv_cache_config": {"dtype": "fp8"}}' > x.yml && trtllm-serve deepseek-ai/DeepSeek-V3 --tp_size 8 """
        "--extra_llm_api_options x.yml",
        {"engine": "tensorrt-llm", "tp": 1, "dp": 8, "kv_precision": "fp8"},
    ),
    (
        "./build/bin/llama-server -m ~/models/Qwen3-30B-A3B-Q4_K_M.gguf -c 32768 -ngl 99 -fa --jinja -ot '.ffn_.*_exps.=CPU' "
        "-ctk q8_0 -ctv q8_0 -np 2",
        {
            "engine": "llama.cpp",
            "model": "qwen3-30b-a3b",
            "precision": "q4_k_m",
            "kv_precision": "q8_0",
            "max_model_len": 16_384,
            "max_num_seqs": 2,
            "override_tensor": (".ffn_.*_exps.=CPU",),
        },
    ),
    (
        "C:\\llama\\llama-server.exe -m D:\\models\\Qwen3-8B-Q8_0.gguf -c 16384 ^\n -ngl 20",
        {"precision": "q8_0", "max_model_len": 16_384, "n_gpu_layers": 20},
    ),
    (
        "CUDA_VISIBLE_DEVICES=0,1 LLAMA_ARG_CTX_SIZE=4096 llama-server -hf unsloth/Qwen3-8B-GGUF:Q5_K_M",
        {"pp": 2, "precision": "q5_k_m", "max_model_len": 4096},
    ),
    (
        "OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:32b 'why is the sky blue'",
        {"model": "qwen3-32b", "max_model_len": 8192},
    ),
    ("ollama run llama3.1:70b-instruct-q4_K_M", {"engine": "ollama", "model": "llama-3.1-70b-instruct", "precision": "q4_k_m"}),
]


@pytest.mark.parametrize(("command", "expected"), PASTED, ids=[command[:40] for command, _ in PASTED])
def test_commands_that_people_paste(command: str, expected: dict[str, Any]) -> None:
    start = launch_of_command([command], gpu="h200-sxm-141gb").deployment
    model = load_architecture(start.model)
    named = {each.name: getattr(start, each.name) for each in fields(start)}
    told = {**named, **start.flags, "model": model.id, "stored": getattr(model.quantization, "method", None)}
    assert {name: told[name] for name in expected} == expected


def test_a_command_says_the_same_as_one_word_as_words_and_from_the_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["vllm", "serve", "Qwen/Qwen3-8B", "-tp", "2", "--hf-overrides", '{"max_position_embeddings": 8192}']
    line = shlex.join(words)
    answers = []
    for arguments in (words, [line], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        assert main(["fit", "--gpu", "h100", "--format", "json", "--", *arguments]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] == answers[2]


def test_options_before_the_command_decide(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            ["fit", "qwen3-32b", "--gpu", "h100", "--max-model-len", "4k", "--precision", "fp8", "--format", "json", "--", "vllm serve /srv/m -tp 2"]
        )
        == 0
    )
    start = json.loads(capsys.readouterr().out)["deployment"]
    assert (start["model"], start["precision"], start["max_model_len"], start["tp"]) == ("qwen3-32b", "fp8", 4096, 2)


REFUSED = [
    ("vllm serve Qwen/Qwen3-8B --ctx-size 8192", "option-elsewhere"),
    ("vllm serve Qwen/Qwen3-8B -tp two", "bad-count"),
    ("vllm serve Qwen/Qwen3-8B -tp $TP", "bad-count"),
    ("vllm serve Qwen/Qwen3-8B --max-num-seqs", "option-needs-value"),
    ("vllm serve Qwen/Qwen3-8B --hf-overrides {a:1}", "bad-json"),
    ("vllm serve no-such/model-at-all", "unknown-model"),
    ("vllm serve --port 8000", "command-without-model"),
    ("kubectl apply -f x.yaml", "no-launcher"),
    ("lmdeploy serve api_server Qwen/Qwen3-8B --tp 2", "engine-not-modelled"),
    ("omlx serve --model mlx-community/Qwen3-8B-4bit", "engine-not-modelled"),
    ("vllm serve mlx-community/Qwen3-8B-4bit", "model-format-other-engine"),
    ("", "no-launcher"),
    ("vllm serve Qwen/Qwen3-8B " + "--port 1 " * 40_000, "command-too-long"),
]


@pytest.mark.parametrize(("command", "code"), REFUSED, ids=[f"{code}-{command[:16]}" for command, code in REFUSED])
def test_commands_that_cannot_be_read_are_refused_with_the_reason(command: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        launch_of_command([command], gpu="h200-sxm-141gb")
    assert refused.value.code == code


def test_unknown_flags_are_named_with_the_nearest() -> None:
    launch = launch_of_command(["vllm serve Qwen/Qwen3-8B --max-modellen 8192 --zzz 1 -tp 2"], gpu="h200-sxm-141gb")
    assert launch.deployment.tp == 2
    said = {notice.code: notice.parameters for notice in launch.notices}
    assert "--max-model-len" in said["flag-unknown"]["nearest"]
    assert said["flag-unknown-alone"]["flag"] == "--zzz"


WORDS = (
    "vllm serve Qwen/Qwen3-8B docker run llama-server ollama -m --tp -tp -- && > echo = \\ - ' \" --compilation-config.a.b -O -O9 {} [ "
    "X=1 CUDA_VISIBLE_DEVICES= --no- --no-tp python -c from_pretrained( vllm/vllm-openai:v9.9 --gpus device= \x00 --hf-overrides --served-model-name"
)
PIECES = st.one_of(st.sampled_from([*WORDS.split(" "), '{"a":1}', "$(touch pwned)", "`touch pwned`", "; touch pwned"]), st.text(max_size=12))


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(PIECES, max_size=14), whole=st.booleans())
def test_hostile_commands_end_in_a_start_or_a_reason(pieces: list[str], *, whole: bool) -> None:
    try:
        launch = launch_of_command([" ".join(pieces)] if whole else pieces, gpu="h200-sxm-141gb")
    except InputError as refused:
        code = refused.code
    else:
        code = launch.deployment.engine
    assert has("error", code) or code in engine_ids()
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--", "vllm", "serve", "Qwen/Qwen3-8B"], "--gpu is missing"),
        (["--gpu", "h100", "--", "vllm", "serve"], "names no model"),
        (["--gpu", "h100", "--engine", "sglang", "--", "vllm", "serve", "Qwen/Qwen3-8B"], "starts vllm"),
        (["--gpu", "h100", "--", ""], "no launch command"),
        (["--gpu", "h100", "--gpu", "rtx4090", "--", "vllm", "serve", "Qwen/Qwen3-8B"], "one kind"),
        (["qwen3-8b", "--gpu", "h100", "--precison", "fp8"], "--precision"),
        (["qwen3-8b"], "--gpu is missing"),
        (["--gpu", "h100"], "MODEL is missing"),
    ],
)
def test_what_is_lacking_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["fit", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert said in err


def test_accelerators_that_are_named_one_by_one() -> None:
    """Two unequal cards of llama.cpp, eight equal ones by their number."""
    several = json.loads(_stdout(["qwen3-8b", "--engine", "llama.cpp", "--gpu", "5090", "--gpu", "4090"]))
    assert several["deployment"]["devices"] == ["rtx5090-32gb", "rtx4090-24gb"]
    assert [rank["per_gpu"]["device_total_bytes"] >> 30 for rank in several["ranks"]] == [31, 23]
    eight = json.loads(_stdout(["qwen3-8b", "--engine", "llama.cpp", "--gpu", "4090", "--devices", "8"]))
    assert len(eight["ranks"]) == 8
    assert json.loads(_stdout(["qwen3-8b", "--gpu", "h100", "--gpu", "h100"]))["deployment"]["tp"] == 2


def _stdout(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as found:
        assert main(["fit", *words, "--format", "json"]) in (0, 3)
    return found.getvalue()


@pytest.mark.parametrize("engine", writing_engines())
@pytest.mark.parametrize(("model", "precision"), [("qwen3-8b", "checkpoint"), ("llama-3.1-70b-instruct", "int4"), ("deepseek-v3", "checkpoint")])
def test_commands_of_a_plan_read_back(engine: str, model: str, precision: str) -> None:
    """Whatever a plan offers, its command pasted into fit gives the same ledger, byte for byte."""
    precision = {"int4": "q4_k_m", "checkpoint": "q8_0"}[precision] if engine in GGUF else precision
    gpus = MACHINES if engine == "mlx" else ("rtx4090-24gb", "h200-sxm-141gb", "mi300x-192gb")
    request = gpusizer.Request(model=model, concurrency=4, context_tokens=4096, gpus=gpus, engine=engine, precision=precision)
    options = gpusizer.plan(request).options
    assert options
    for option in options:
        again = read_back(option.launch)
        assert (again.layout, again.precision) == (option.launch.layout, option.launch.precision)
        first, second = fit(option.launch), fit(again)
        assert [line.bytes for line in second.ranks[second.worst].items] == [line.bytes for line in first.ranks[first.worst].items]
