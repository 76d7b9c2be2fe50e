"""A start over HTTP: the command line's own answer, whatever was pasted; nothing of the machine is touched; what is offered works."""

from __future__ import annotations

import html
import json
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from gpusizer.cli.main import main
from gpusizer.errors import GpusizerError
from gpusizer.given_files import stands_here, without_files
from gpusizer.planning.remedies import remedies_for
from gpusizer.planning.verdict import make_fit
from gpusizer.web.fit_asked import applied, fit_asked
from gpusizer.web.job import Job
from gpusizer.web.replies import reply_to

COMMANDS = (
    "vllm serve deepseek-ai/DeepSeek-V3 --tensor-parallel-size 8 --max-model-len 32768",
    "vllm serve Qwen/Qwen3-32B -tp 2 --gpu-memory-utilization 0.95 --enforce-eager; rm -rf /tmp/nothing",
    "vllm serve Qwen/Qwen3-8B --served-model-name $(touch /tmp/nothing) --max-model-len 8k && curl http://example.org",
    'vllm serve Qwen/Qwen3-8B --served-model-name "<script>alert(1)</script>" --port 80',
    "CUDA_VISIBLE_DEVICES=0,1 vllm serve Qwen/Qwen3-14B --tensor-parallel-size 2 --kv-cache-dtype fp8",
    "docker run --gpus all vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B --max-model-len 16384",
    "python -m sglang.launch_server --model-path Qwen/Qwen3-32B --tp 2 --mem-fraction-static 0.85",
    "trtllm-serve Qwen/Qwen3-8B --max_batch_size 64",
    "llama-server -m ./Qwen3-8B-Q4_K_M.gguf -c 32768 -ngl 99 -np 2",
)
GPU = "h200-sxm-141gb"


def asked_over_http(pairs: list[tuple[str, str]], form: str = "json") -> tuple[int, Any]:
    """What a worker answers."""
    reply = reply_to(Job("fit", form, "en", urlencode(pairs)))
    return reply.status, json.loads(reply.body) if form == "json" else reply.body.decode()


def on_the_command_line(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["fit", *words]) in (0, 3)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pasted_command_gets_the_answer_of_the_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "--gpu", GPU, "--format", "json", "--", command)
    status, found = asked_over_http([("command", command), ("gpu", GPU)])
    assert status == 200
    assert found == expected


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([("tp", "8"), ("max-model-len", "8192")], ["--tp", "8", "--max-model-len", "8192"]),
        ([("engine", "sglang"), ("tp", "8"), ("mem-fraction-static", "0.8")], ["--engine", "sglang", "--tp", "8", "--mem-fraction-static", "0.8"]),
        ([("gpus", "8"), ("enable-prefix-caching", "off")], ["--gpus", "8", "--no-enable-prefix-caching"]),
        (
            [("tensor_parallel_size", "8"), ("cudagraph-capture-sizes", "1,2,4")],
            ["--tensor-parallel-size", "8", "--cudagraph-capture-sizes", "1", "2", "4"],
        ),
        (
            [("engine", "llama.cpp"), ("c", "16384"), ("n-gpu-layers", "99"), ("gpus", "8")],
            ["--engine", "llama.cpp", "-c", "16384", "-ngl", "99", "--gpus", "8"],
        ),
    ],
)
def test_flags_by_their_names_are_the_flags_of_the_command_line(
    flags: list[tuple[str, str]], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = on_the_command_line(capsys, "deepseek-v3", "--gpu", GPU, "--format", "json", *words)
    assert asked_over_http([("model", "deepseek-v3"), ("gpu", GPU), *flags]) == (200, expected)


def test_a_body_says_the_same_as_a_query(server: str) -> None:
    body = {"model": "qwen3-32b", "gpu": "h100", "flags": {"tp": 2, "max-model-len": 8192, "enforce_eager": True}}
    sent = httpx.post(f"{server}/api/v1/fit", json=body)
    asked = httpx.get(f"{server}/api/v1/fit", params={"model": "qwen3-32b", "gpu": "h100", "tp": 2, "max-model-len": 8192, "enforce-eager": "true"})
    assert (sent.status_code, asked.status_code) == (200, 200)
    assert sent.json() == asked.json()
    assert sent.json()["deployment"]["enforce_eager"] is True


def test_a_question_is_its_own_address() -> None:
    for pairs in (
        [("command", COMMANDS[1]), ("gpu", GPU), ("tp", "4")],
        [("model", "qwen3-8b"), ("gpu", "h200"), ("gpu", "h200"), ("kv_precision", "fp8"), ("max-model-len", "32k")],
        [("model", "qwen3-8b"), ("gpu", "48GB,864GB/s,362TFLOPS")],
    ):
        asked = fit_asked(pairs)
        again = fit_asked(parse_qsl(asked.query))
        assert again == asked
        assert again.launch() == asked.launch()


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("model", "/etc/passwd.json"), ("gpu", GPU)], "not-over-http"),
        ([("model", "qwen3-8b"), ("gpu", "/etc/card.toml")], "not-over-http"),
        ([("model", "qwen3-8b"), ("gpu", GPU), ("hub", "https://example.org")], "not-over-http"),
        ([("model", "etc"), ("gpu", GPU)], "unknown-model"),
        ([("command", "vllm serve /etc"), ("gpu", GPU)], "unknown-model"),
        ([("command", "vllm serve pasted:44136fa355b3678a1146ad16f7e8649e"), ("gpu", GPU)], "unknown-model"),
        ([("model", "qwen3-8b"), ("gpu", GPU), ("tp", "2"), ("tp", "4")], "given-twice"),
        ([("model", "qwen3-8b"), ("gpu", GPU), ("mem-fraction-static", "0.9")], "option-elsewhere"),
        ([("model", "qwen3-8b"), ("gpu", GPU), ("nonsense", "1")], "unknown-option"),
        ([("model", "qwen3-8b")], "missing-argument"),
        ([("command", "rm -rf /"), ("gpu", GPU)], "no-launcher"),
    ],
)
def test_what_names_a_file_a_network_or_nothing_is_refused(pairs: list[tuple[str, str]], code: str) -> None:
    status, found = asked_over_http(pairs)
    assert (status, found["code"]) == (422, code)


def test_a_stranger_reads_no_file_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is called like a model is read on the command line, and is not there for who asks over HTTP."""
    folder = tmp_path / "Qwen3-8B"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "card.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert stands_here("Qwen3-8B")
    with pytest.raises(GpusizerError):
        make_fit(fit_asked([("model", "Qwen3-8B"), ("gpu", GPU)]).launch().deployment)  # as if it were typed here
    status, found = asked_over_http([("model", "Qwen3-8B"), ("gpu", GPU)])
    assert (status, found["fits"]) == (200, True)
    assert stands_here("Qwen3-8B")
    with without_files():
        assert not stands_here("Qwen3-8B")


MODELS = ("qwen3-14b", "deepseek-v3", "gpt-oss-20b", "llama-3.3-70b-instruct")
GPUS = ("rtx4090-24gb", "a100-sxm-40gb", "h100-sxm-80gb")


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"])
def test_the_address_of_every_remedy_makes_it_start(engine: str) -> None:
    """And the cache is the one that was promised."""
    tried = 0
    for model in MODELS:
        for gpu in GPUS:
            for more in ((), (("gpus", "2"),)):
                asked = fit_asked([("model", model), ("gpu", gpu), ("engine", engine), *more])
                try:
                    launch = asked.launch()
                except GpusizerError:
                    continue  # no such layout
                verdict = make_fit(launch.deployment, launch.notices)
                for remedy in remedies_for(verdict.fit, verdict.launch, verdict.architecture, verdict.accelerator):
                    changed = fit_asked(parse_qsl(applied(asked, verdict.launch, remedy.launch).query)).launch()
                    after = make_fit(changed.deployment).fit
                    assert after.fits, (model, gpu, more, remedy.code)
                    assert after.kv_cache == remedy.fit.kv_cache, (model, gpu, more, remedy.code)
                    tried += 1
    assert tried > 3


@pytest.mark.parametrize("command", ["CUDA_VISIBLE_DEVICES=0 vllm serve Qwen/Qwen3-32B", "sglang serve --model-path Qwen/Qwen3-32B --tp 1"])
def test_remedies_of_a_pasted_command_keep_the_command(command: str) -> None:
    status, page = asked_over_http([("command", command), ("gpu", "rtx4090-24gb")], "page")
    assert status == 200
    assert urlencode({"command": command}).replace("&", "&amp;") in page


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_says_what_the_command_line_says(command: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "--gpu", GPU, "--format", "json", "--", command)
    page = reply_to(Job("fit", "page", language, urlencode([("command", command), ("gpu", GPU)]))).body.decode()
    assert f"<h1>{expected['sentence'][language]}</h1>" in page
    assert f"{expected['kv_cache']['tokens']:,}" in page
    assert "<script>alert" not in page
    for item in expected["items"]:
        if item["bytes"]:
            assert f'id="why-{item["id"]}"' in page


def test_the_command_line_that_the_page_shows_gives_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from gpusizer.web.fit_page import on_command_line

    for pairs in (
        [("command", COMMANDS[1]), ("gpu", GPU)],
        [("model", "qwen3-32b"), ("gpu", "rtx 4090"), ("gpu", "rtx 4090"), ("engine", "sglang"), ("mem-fraction-static", "0.8")],
        [("model", "qwen3-8b"), ("gpu", "h20"), ("kv_precision", "fp8"), ("max-model-len", "32k"), ("enforce-eager", "on")],
    ):
        words = shlex.split(on_command_line(fit_asked(pairs)))
        place = words.index("--") if "--" in words else len(words)
        assert on_the_command_line(capsys, *words[2:place], "--format", "json", *words[place:]) == asked_over_http(pairs)[1]


def test_models_beside_a_start_are_answered_as_on_the_command_line_and_shown_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    command = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
    expected = on_the_command_line(capsys, "--gpu", "l40s-48gb", "--with", "bge-m3,whisper-large-v3", "--format", "json", "--", command)
    pairs = [("command", command), ("gpu", "l40s-48gb"), ("with", "bge-m3"), ("with", "whisper-large-v3")]
    status, found = asked_over_http(pairs)
    assert status == 200
    assert found == expected
    _, page = asked_over_http(pairs, "page")
    assert html.escape(found["companions"][0]["command"]) in page
    assert "whisper-large-v3, Transformers on GPU 0" in page


def test_files_are_no_models_beside() -> None:
    for name in ("/etc/passwd", "config.json", "./model.gguf"):
        status, _ = asked_over_http([("model", "qwen3-8b"), ("gpu", "l40s-48gb"), ("with", name)])
        assert status in (404, 422), name
