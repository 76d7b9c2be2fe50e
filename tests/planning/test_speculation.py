"""Plans with drafts: what they cost is counted, what they gain is said, and nothing changes where nobody asked for speed."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.architecture.load import load_architecture
from gpusizer.engines import declarations, get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import model_ids
from gpusizer.performance.acceptance import assumed_acceptance
from gpusizer.performance.predict import predict
from gpusizer.performance.types import Load
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit

CARDS = ("h200-sxm-141gb", "b200-sxm-180gb", "h20-96gb")
SMALL = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TARGET = {"tpot_s": 0.03, "ttft_s": 2.0, "input_tokens": 1000, "output_tokens": 500, "gpus": CARDS}


def plan(**request: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(**request)).to_dict()


def options(**request: Any) -> dict[str, dict[str, Any]]:
    return {each["gpu"]: each for each in plan(**request)["options"]}


def bytes_of(option: dict[str, Any]) -> dict[str, int]:
    return {line["id"]: line["bytes"] for line in option["items"]}


@pytest.mark.parametrize("model", ["deepseek-v3", "qwen3.5-27b", "qwen3-8b"])
def test_without_a_target_nothing_drafts_and_the_answer_is_that_of_off(model: str) -> None:
    by_itself, off = (plan(model=model, users=1000, gpus=CARDS, speculative=word) for word in ("auto", "off"))
    assert all(each["speculative"] is None for each in by_itself["options"])
    assert [(each["gpu"], each["gpus"], each["command"], each["items"]) for each in by_itself["options"]] == [
        (each["gpu"], each["gpus"], each["command"], each["items"]) for each in off["options"]
    ]
    said = [each["code"] for each in by_itself["options"][0]["warnings"]]
    assert ("drafts-would-help" in said) == bool(load_architecture(model).mtp)
    assert "drafts-would-help" not in [each["code"] for each in off["options"][0]["warnings"]]


@pytest.mark.parametrize("concurrency", [1, 16, 400])
def test_with_a_target_drafts_are_taken_only_where_they_help(concurrency: int) -> None:
    by_itself, off = (options(model="deepseek-v3", concurrency=concurrency, speculative=word, **TARGET) for word in ("auto", "off"))
    assert set(by_itself) >= set(off)
    for gpu, option in by_itself.items():
        if option["speculative"] is None:
            assert option["tpot_s"] == off[gpu]["tpot_s"]
            continue
        assert option["speculative"]["evidence"] == "assumed"
        assert not option["speculative"]["asked"]
        without = option["speculative"]["without"]
        assert (without is None) == (gpu not in off)
        if without is not None:
            assert (without["gpus"], without["tpot_s"]) == (off[gpu]["gpus"], off[gpu]["tpot_s"])
            assert (option["gpus"], option["tpot_s"]) < (off[gpu]["gpus"], off[gpu]["tpot_s"])
    assert concurrency > 16 or any(each["speculative"] for each in by_itself.values())


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize(("words", "concurrency"), [("off", 16), ("mtp", 16), ("mtp:2", 16), ("mtp", 200)])
def test_the_printed_command_takes_the_same_bytes(engine: str, words: str, concurrency: int) -> None:
    request = Request(model="deepseek-r1", concurrency=concurrency, engine=engine, speculative=words, context_tokens=4096, gpus=CARDS)
    answer = gpusizer.plan(request)
    assert all((option.held_requests_low if option.verdict == "fits" else option.held_requests) >= concurrency for option in answer.options)
    for option, document in zip(answer.options, answer.to_dict()["options"], strict=True):
        command = [document["command"]] if "options.yaml" in document["command"] else shlex.split(document["command"])
        gpu = option.accelerator.id
        launched = launch_of_command(command, gpu=gpu, model=None, engine=engine, given={}, flags={}).deployment
        assert launched.speculative_tokens == (0 if words == "off" else int(words.partition(":")[2] or 1))
        again = make_fit(launched).fit
        assert [[(line.id, line.bytes) for line in rank.items] for rank in again.ranks] == [
            [(line.id, line.bytes) for line in rank.items] for rank in option.fit.ranks
        ]


@SMALL
@given(st.sampled_from(["deepseek-v3", "glm-4.6", "qwen3.5-35b-a3b", "mimo-7b-base"]), st.sampled_from(["vllm", "sglang"]), st.integers(1, 4))
def test_drafts_never_free_memory(model: str, engine: str, tokens: int) -> None:
    off, on = (
        options(model=model, engine=engine, concurrency=8, context_tokens=4096, gpus=CARDS, speculative=word, tuning="off")
        for word in ("off", f"mtp:{tokens}")
    )
    for gpu in set(off) & set(on):
        assert on[gpu]["gpus"] >= off[gpu]["gpus"]
        if on[gpu]["layout"] == off[gpu]["layout"]:
            assert on[gpu]["per_gpu"]["weights_bytes"] > off[gpu]["per_gpu"]["weights_bytes"]
            assert on[gpu]["kv_cache_tokens"] <= off[gpu]["kv_cache_tokens"]


@SMALL
@given(st.floats(0.05, 0.85), st.integers(1, 5))
def test_the_more_is_accepted_the_quicker(share: float, tokens: int) -> None:
    few, many = (
        options(model="deepseek-v3", concurrency=16, context_tokens=4096, gpus=CARDS[:1], speculative=str(tokens), acceptance=accepted)[CARDS[0]]
        for accepted in (share, share + 0.1)
    )
    assert many["tpot_s"] < few["tpot_s"]
    assert few["speculative"]["acceptance"] == {"value": share, "low": share, "high": share}


def test_the_band_of_acceptance_is_that_of_the_answer() -> None:
    option = options(model="deepseek-v3", concurrency=16, context_tokens=4096, gpus=CARDS[:1], speculative="mtp")[CARDS[0]]
    found, tpot = option["speculative"]["acceptance"], option["speculative"]["tpot_s"]
    assert found["low"] < found["value"] < found["high"]
    assert tpot["low"] < tpot["value"] == option["tpot_s"] < tpot["high"]
    assert 0.85 <= found["high"] <= 0.9  # DeepSeek-V3 technical report, 5.4.3


@pytest.mark.parametrize("drafts", [1, 2, 3])
def test_what_is_assumed_is_what_speed_assumes(drafts: int) -> None:
    deployment = Deployment(model="deepseek-v3", gpu=CARDS[0], tp=8, speculative_tokens=drafts)
    model, device = load_architecture("deepseek-v3"), make_fit(deployment).accelerator
    load = Load(1000, 500, concurrency=16)
    given_share = Load(1000, 500, concurrency=16, acceptance=assumed_acceptance(drafts).value)
    assert predict(model, device, deployment, load).tpot_s == predict(model, device, deployment, given_share).tpot_s


def test_a_model_without_draft_layers_is_refused_by_name() -> None:
    with pytest.raises(FlagError) as caught:
        plan(model="qwen3-8b", speculative="mtp", gpus=CARDS)
    assert (caught.value.code, caught.value.parameters["model"]) == ("no-draft-layers", "Qwen3-8B")


@pytest.mark.parametrize(("engine", "version"), [("llama.cpp", None), ("vllm", "0.8.1"), ("tensorrt-llm", None)])
def test_an_engine_that_does_not_run_them_says_so(engine: str, version: str | None) -> None:
    model = "deepseek-v3" if engine != "tensorrt-llm" else "qwen3.5-27b"
    answer = plan(model=model, speculative="mtp", engine=engine, engine_version=version, gpus=CARDS)
    assert not answer["options"]
    assert {each["code"] for each in answer["rejected"]} == {"drafts-not-run"}


def test_older_releases_take_the_word_of_their_time() -> None:
    request = {"model": "deepseek-v3", "speculative": "mtp", "gpus": CARDS[:1]}
    old, new = (plan(**request, engine_version=version)["options"][0]["command"] for version in ("0.10.0", "0.12.0"))
    assert '"method": "deepseek_mtp"' in old
    assert '"method": "mtp"' in new


def test_a_head_with_a_checkpoint_of_its_own() -> None:
    option = plan(model="qwen3-8b", concurrency=8, speculative="eagle3:3:Org/Head", gpus=CARDS[:1])["options"][0]
    assert (option["speculative"]["method"], option["speculative"]["tokens"], option["speculative"]["draft"]) == ("eagle3", 3, "Org/Head")
    assert '"model": "Org/Head"' in option["command"]
    assert bytes_of(option)["weights_draft"] > 0


def test_kinds_that_an_engine_runs_are_kinds_that_draft() -> None:
    """A word in a table of an engine that stands for a checkpoint without such layers would be a slip of the pen."""
    models = [load_architecture(each) for each in model_ids()]
    without = {str(model.config.get("model_type")) for model in models} - {str(model.config.get("model_type")) for model in models if model.mtp}
    for declared in declarations():
        assert not (set(get_engine(declared.id).own_drafts) & without) - {"qwen3_next", "longcat_flash"}  # published configurations leave theirs out
