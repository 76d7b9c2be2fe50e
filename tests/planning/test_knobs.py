"""Knobs before servers: what people run on fewer GPUs than the engine's defaults allow, and the rules of the two verdicts of an option."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer import Request
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.types import Option
from gpusizer.planning.verdict import make_fit

MODELS = ("qwen3-8b", "qwen3-32b", "llama-3.1-70b-instruct", "deepseek-r1", "gpt-oss-120b", "glm-4.6", "qwen3-235b-a22b")
CARDS = ("h20-sxm-96gb", "h100-sxm-80gb", "rtx4090-24gb", "l40s-48gb", "a100-sxm-80gb", "mi300x-192gb")

# What people start: model and need, cards of one replica, the most that must be turned. Sources: public questions of /field (H-18, H-19), the model
# card of gpt-oss ("fits a single 80 GB GPU"), tutorials of vllm-ascend, and the rule that a server is not doubled for 4 of 32 requests.
TRUTHS: list[tuple[dict[str, Any], int]] = [
    ({"model": "deepseek-r1", "gpus": ("h20",), "concurrency": 8, "input_tokens": "16k", "output_tokens": "1k"}, 8),
    ({"model": "deepseek-r1", "gpus": ("h20",), "concurrency": 7, "input_tokens": "16k", "output_tokens": "1k", "max_gpus": 8}, 8),
    ({"model": "gpt-oss-120b", "gpus": ("h100-sxm-80gb",), "concurrency": 4, "context_tokens": "5k"}, 1),
    ({"model": "minimax-m3", "precision": "int8", "gpus": ("910b3",), "concurrency": 2, "context_tokens": "32k"}, 8),
    ({"model": "glm-5.1", "precision": "int8", "gpus": ("910b3",), "concurrency": 4, "context_tokens": "32k"}, 16),
    ({"model": "qwen3-32b", "gpus": ("h100-sxm-80gb",), "concurrency": 32, "input_tokens": "8k", "output_tokens": "1k"}, 2),
]


def options(**values: Any) -> tuple[Option, ...]:
    return gpusizer.plan(Request(**values)).options


@pytest.mark.parametrize(("need", "gpus"), TRUTHS)
def test_what_people_run_is_an_option_that_is_sure(need: dict[str, Any], gpus: int) -> None:
    found = [option for option in options(**need) if option.gpus == gpus]
    assert [option.verdict for option in found] == ["fits"]
    assert found[0].held_requests_low >= need["concurrency"]


def test_a_16_bit_cache_that_was_asked_for_is_kept_and_the_answer_is_tight_or_larger() -> None:
    need = {"model": "deepseek-r1", "gpus": ("h20",), "concurrency": 8, "input_tokens": "16k", "output_tokens": "1k", "kv_precision": "bf16"}
    found = options(**need)
    assert all(option.launch.kv_precision == "bf16" for option in found)
    assert all(option.verdict == "tight" for option in found if option.gpus == 8)
    assert any(option.gpus == 8 for option in found)


def test_with_tuning_off_the_engine_keeps_its_defaults() -> None:
    for option in options(model="qwen3-32b", gpus=CARDS, concurrency=32, context_tokens="9k", tuning="off"):
        assert not option.knobs
        assert option.launch.max_num_seqs is option.launch.max_num_batched_tokens is option.launch.memory_fraction is None


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(MODELS), st.integers(1, 400), st.sampled_from([2048, 8192, 32768]), st.sampled_from(["vllm", "sglang", "tensorrt-llm"]))
def test_turning_settings_never_costs_gpus_and_the_verdicts_keep_their_rule(model: str, concurrency: int, context: int, engine: str) -> None:
    need = {"model": model, "concurrency": concurrency, "context_tokens": context, "engine": engine, "gpus": CARDS}
    plain = {option.accelerator.id: option.gpus for option in options(**need, tuning="off") if option.verdict == "fits"}
    sure: dict[str, int] = {}
    for option in options(**need):
        card = option.accelerator.id
        if option.verdict == "fits":
            assert option.held_requests_low >= concurrency
            sure[card] = option.gpus
        else:
            assert option.held_requests >= concurrency > option.held_requests_low or any(knob.code == "memory-share-risky" for knob in option.knobs)
    assert all(sure[card] <= gpus for card, gpus in plain.items())
    assert all(option.gpus < sure.get(option.accelerator.id, 10**9) for option in options(**need) if option.verdict == "tight")


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize("model", ["deepseek-r1", "qwen3-32b"])
def test_the_printed_command_holds_what_was_turned(model: str, engine: str) -> None:
    answer = gpusizer.plan(Request(model=model, engine=engine, concurrency=48, context_tokens=9216, gpus=CARDS))
    assert any(option.knobs for option in answer.options) or (model, engine) != ("qwen3-32b", "vllm")
    for option, document in zip(answer.options, answer.to_dict()["options"], strict=True):
        words = [document["command"]] if "options.yaml" in document["command"] else shlex.split(document["command"])
        again = make_fit(launch_of_command(words, gpu=option.accelerator.id, engine=engine).deployment).fit
        assert again.fits
        assert [line.bytes for line in again.ranks[again.worst].items] == [line.bytes for line in option.fit.ranks[option.fit.worst].items]
        assert [flag["code"] for flag in document["flags"]] == [knob.code for knob in option.knobs]


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(MODELS), st.integers(1, 200), st.sampled_from([0.03, 0.08]))
def test_with_targets_turning_settings_never_costs_gpus_either(model: str, concurrency: int, tpot_s: float) -> None:
    need = {"model": model, "concurrency": concurrency, "context_tokens": 8192, "tpot_s": tpot_s, "speculative": "off", "gpus": CARDS[:3]}
    plain = {option.accelerator.id: option.gpus for option in options(**need, tuning="off")}
    turned = {option.accelerator.id: option for option in options(**need)}
    assert all(turned[card].gpus <= gpus for card, gpus in plain.items())
    assert all(option.performance is not None and option.performance.tpot_s.value <= tpot_s for option in turned.values())
