"""The host of a start on the command line, in Python and over HTTP: the same answer, no flag of ours in the printed command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import gpusizer
from command_line import ANSWERED, DOES_NOT_FIT, refused, run
from gpusizer.api import fit
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.brief import fit_brief
from gpusizer.rendering.fit import fit_document
from gpusizer.web.fit_asked import fit_asked

START = ("fit", "gpt-oss-120b", "--gpu", "rtx-4090", "--engine", "llama.cpp", "--ctx-size", "32k", "--parallel", "1")
HOST = ("--host-memory", "128GB", "--host-bandwidth", "2xDDR5-5600")


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, _ = run(capsys, *START, *words, "--format", "json")
    found: dict[str, Any] = json.loads(out)
    assert code == (ANSWERED if found["fits"] else DOES_NOT_FIT)
    return found


def test_the_host_is_stated_beside_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, *HOST, "--offload", "auto")
    host, speed = found["host"], found["speed"]
    assert host["memory_bytes"] == 128 * 10**9
    assert host["total_bytes"] == sum(line["bytes"] for line in host["items"])
    assert host["total_bytes"] == sum(host[name] for name in ("weights_bytes", "kv_cache_bytes", "compute_buffer_bytes", "system_bytes"))
    assert all({"formula", "sources", "evidence"} <= line.keys() for line in host["items"])
    assert host["mapped"]
    assert speed["host_bandwidth_bytes_per_s"] == 2 * 8 * 5.6e9
    assert speed["host_bandwidth_origin"] == "told"
    assert speed["tpot_s"]["low"] < speed["tpot_s"]["value"] < speed["tpot_s"]["high"]
    assert "--n-cpu-moe" in found["command"]
    assert not [word for word in found["command"].split() if word.startswith(("--host", "--offload"))]


def test_python_http_and_agents_answer_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, *HOST, "--offload", "auto")
    deployment = gpusizer.Deployment(
        "gpt-oss-120b",
        "rtx-4090",
        engine="llama.cpp",
        max_model_len=32768,
        max_num_seqs=1,
        host_memory_bytes=128 * 10**9,
        host_bandwidth_bytes_per_s=89.6e9,
        offload="auto",
    )
    assert fit(deployment).to_dict() == found
    pairs = [("model", "gpt-oss-120b"), ("gpu", "rtx-4090"), ("engine", "llama.cpp"), ("ctx-size", "32k"), ("parallel", 1)]
    launch = fit_asked([*pairs, ("host-memory", "128GB"), ("host_bandwidth", 89.6e9), ("offload", "auto")]).launch()
    verdict = make_fit(launch.deployment, launch.notices)
    assert (verdict.launch.flags["n_cpu_moe"], verdict.fit.host_items) == (
        found["deployment"]["flags"]["n_cpu_moe"],
        fit(deployment).result.host_items,
    )
    brief = fit_brief(found, "en")
    assert brief["host"]["total_bytes"] == found["host"]["total_bytes"]
    assert brief["speed"]["input_tokens"] == found["speed"]["input_tokens"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_languages_say_it(capsys: pytest.CaptureFixture[str], language: str) -> None:
    code, out, _ = run(capsys, *START, *HOST, "--offload", "auto", "--language", language)
    assert code == ANSWERED
    words = ("Host memory: ", "TTFT", "as told") if language == "en" else ("主机内存占用 ", "TTFT", "用户给出")
    assert all(each in out for each in words)


def test_without_a_word_about_the_host_a_desktop_is_assumed_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "--offload", "auto")
    assert found["host"]["memory_bytes"] is None
    assert found["speed"]["host_bandwidth_origin"] == "assumed"
    said = {warning["code"]: warning["parameters"] for warning in found["warnings"]}
    assert said["host-bandwidth-assumed"]["bytes_per_s"] == found["speed"]["host_bandwidth_bytes_per_s"]


def test_a_host_that_is_too_small_ends_in_no(capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "--host-memory", "32GB", "--n-cpu-moe", "30")
    assert found["reason"]["code"] == "host-memory-too-small-mapped"
    assert "disk" in found["reason"]["sentence"]["en"]
    assert "磁盘" in found["reason"]["sentence"]["zh"]


def test_an_engine_that_leaves_nothing_on_the_host_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "fit", "qwen3-8b", "--gpu", "rtx-4090", "--max-model-len", "8192", "--host-memory", "64GB", "--format", "json")
    found = json.loads(out)
    assert (found["host"], found["speed"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--host-memory", "128G"), "128GiB"),
        (("--host-memory", "0GB"), "--host-memory"),
        (("--host-bandwidth", "fast"), "fast"),
        (("--host-bandwidth", "1MB/s"), "1MB/s"),
        (("--offload", "everything"), "auto"),
    ],
)
def test_what_no_host_has_is_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, str], expected: str) -> None:
    assert expected in refused(capsys, *START, *words)


def test_a_deployment_that_is_built_by_hand_has_the_same_bounds() -> None:
    bare = gpusizer.Deployment("qwen3-8b", "rtx4090-24gb", engine="llama.cpp", max_model_len=8192)
    wrong: list[dict[str, Any]] = [{"host_memory_bytes": 0}, {"host_memory_bytes": True}, {"host_bandwidth_bytes_per_s": 1.0}, {"offload": "all"}]
    for fields in wrong:
        with pytest.raises(gpusizer.GpusizerError):
            fit(replace(bare, **fields))


def test_a_verdict_without_a_speed_has_a_document() -> None:
    verdict = make_fit(gpusizer.Deployment("qwen3-8b", "rtx4090-24gb", engine="llama.cpp", max_model_len=8192))
    document = fit_document(verdict, (), "en")
    assert document.data["speed"] is None
    assert document.data["host"]["kv_cache_bytes"] == 0


@pytest.mark.parametrize(
    "start",
    [
        ("gpt-oss-120b", "--gpu", "rtx-4090", "--ctx-size", "16k", "--parallel", "1"),
        ("qwen3-235b-a22b", "--gpu", "rtx-3090", "--gpu", "rtx-4090", "--ctx-size", "32k", "--parallel", "1"),
        ("llama-3.3-70b", "--gpu", "rtx-3090", "--gpus", "2", "--ctx-size", "32k", "--precision", "q5_k_m"),
        ("qwen3-30b-a3b", "--gpu", "rtx-3060-12gb", "--precision", "q8_0"),
        ("qwen3-235b-a22b", "--gpu", "rtx-3090", "--gpus", "2", "--fork", "ik_llama.cpp", "--ctx-size", "32k"),
    ],
)
def test_the_printed_command_alone_is_the_same_start(capsys: pytest.CaptureFixture[str], start: tuple[str, ...]) -> None:
    _, out, _ = run(capsys, "fit", *start, "--engine", "llama.cpp", "--host-memory", "256GB", "--offload", "auto", "--format", "json")
    found = json.loads(out)
    assert found["fits"]
    assert found["host"]["weights_bytes"] > found["per_gpu"]["weights_bytes"] / 10
    gpus = [word for place, name in enumerate(start) if name in ("--gpu", "--fork") for word in start[place : place + 2]]
    code, out, _ = run(capsys, "fit", *gpus, "--host-memory", "256GB", "--format", "json", "--", found["command"])
    again = json.loads(out)
    assert code == ANSWERED
    assert (again["per_gpu"], again["items"], again["host"]) == (found["per_gpu"], found["items"], found["host"])
    assert again["command"] == found["command"]
    assert ("ik_llama.cpp 4840" in found["sentence"]["en"]) == ("--fork" in start)
