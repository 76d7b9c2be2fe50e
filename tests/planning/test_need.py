"""A need: what is taken where nothing was said, how it is said, and how the answer moves with it."""

from __future__ import annotations

import re
from math import ceil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import model_entry, model_ids, scenario
from gpusizer.i18n import LANGUAGES
from gpusizer.planning.launch_length import rounded_tokens
from gpusizer.planning.need import DEFAULT_SCENARIO, need_of
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.request import Request
from gpusizer.rendering.need import need_line

SMALL = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CARDS = ("rtx4090-24gb", "l40s-48gb", "h100-sxm-80gb", "h20-sxm-96gb")


def plan(**request: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(**request)).to_dict()


def numbers(words: str) -> list[float]:
    return [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", words)]


# What is taken ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [{}, {"users": 1000}, {"concurrency": 7}, {"request_rate": 2.0}])
def test_a_need_that_says_little_is_a_retrieval_knowledge_base(said: dict[str, Any]) -> None:
    """The contract: 4k in, 1k out, 5 % at once."""
    need = need_of(Request(model="m", **said))
    assert need.scenario == DEFAULT_SCENARIO == "rag-knowledge-base"
    assert (need.input_tokens, need.output_tokens, need.context_tokens) == (4096, 1024, 5120)
    if "users" in said or not said:
        assert (need.users, need.active_share, need.concurrency) == (1000, 0.05, 50)


@given(st.integers(5, 2**20))
def test_a_context_alone_is_split_as_the_scenario_is(context: int) -> None:
    need = need_of(Request(model="m", concurrency=1, context_tokens=context))
    assert need.input_tokens + need.output_tokens == need.context_tokens == context
    assert need.output_tokens == context // 5  # 1k of 5k
    assert need.split is not None
    assert need.split.parameters["input_share"] == pytest.approx(0.8, abs=1 / context)
    article = need_of(Request(model="m", concurrency=1, context_tokens=context, scenario="knowledge-base"))
    assert article.output_tokens == context * 2000 // 2048


def test_the_article_s_own_scenario_gives_the_article_s_own_figures() -> None:
    answer = plan(model="deepseek-v3", scenario="knowledge-base", gpus=("h200",))
    assert (answer["request"]["users"], answer["request"]["concurrency"], answer["request"]["context_tokens"]) == (1000, 10, 2048)
    article = answer["article"]
    assert (article["total_bytes"], article["bytes_per_user"], article["concurrency"], article["context_tokens"]) == (
        105_834_767_360,
        3_183_476_736,
        10,
        2048,
    )


def test_the_request_carries_what_was_taken() -> None:
    answer = plan(model="qwen3-8b", users=300, gpus=("h100",))
    taken = answer["request"]
    assert (taken["concurrency"], taken["active_share"], taken["input_tokens"], taken["output_tokens"]) == (15, 0.05, 4096, 1024)
    assert taken["scenario"] == "rag-knowledge-base"
    assert answer["need"]["origin"] == {"users": "given", "active_share": "scenario", "input_tokens": "scenario", "output_tokens": "scenario"}


def test_a_short_first_token_is_not_had_by_taking_a_short_prompt() -> None:
    """A context alone was nearly all answer once, and its first token came after 0.13 s."""
    alone = plan(model="qwen3-8b", concurrency=10, context_tokens=32768, gpus=("rtx4090",))["options"][0]
    said = plan(model="qwen3-8b", concurrency=10, input_tokens=26215, output_tokens=6553, gpus=("rtx4090",))["options"][0]
    assert alone["ttft_s"] == said["ttft_s"] > 1


# How it is said -------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(1, 10**5), st.integers(1, 10**5), st.sampled_from(LANGUAGES))
def test_the_numbers_of_the_line_multiply(users: int, per_mille: int, tokens_in: int, tokens_out: int, language: str) -> None:
    need = need_of(Request(model="m", users=users, active_share=per_mille / 1000, input_tokens=tokens_in, output_tokens=tokens_out))
    said = numbers(need_line(need, language))
    assert said[0] == users
    assert said[1] == pytest.approx(per_mille / 10)
    assert said[2] == max(ceil(users * per_mille / 1000), 1)
    assert said[3:5] == [tokens_in, tokens_out]
    assert "rag" not in need_line(need, language), "everything was given"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("said", "given", "taken"),
    [
        ({}, (), ("users", "active_share", "input_tokens", "output_tokens")),
        ({"users": 5}, ("users",), ("active_share", "input_tokens", "output_tokens")),
        ({"concurrency": 5, "input_tokens": 7}, ("concurrency", "input_tokens"), ("output_tokens",)),
        ({"concurrency": 5, "context_tokens": 100}, ("concurrency", "context_tokens"), ("split",)),
        ({"concurrency": 5, "context_tokens": 100, "input_tokens": 60}, ("concurrency", "input_tokens", "output_tokens"), ()),
    ],
)
def test_where_each_part_comes_from_is_said(said: dict[str, Any], given: tuple[str, ...], taken: tuple[str, ...], language: str) -> None:
    from gpusizer.i18n import text

    line = need_line(need_of(Request(model="m", **said)), language)
    share = {"share": 0.8}
    before, found, after = line.partition("rag-knowledge-base")
    assert bool(found) == bool(taken)
    if given and taken:
        assert all(text("need", f"part-{part}", language, **share) in after for part in taken)
        assert all(text("need", f"part-{part}", language, **share) in before for part in given)


def test_every_plan_has_its_line_in_text_and_json() -> None:
    from gpusizer.planning.pipeline import make_plan
    from gpusizer.rendering.plan_document import PlanDocument
    from gpusizer.rendering.render import render

    made = make_plan(Request(model="qwen3-8b", concurrency=3, input_tokens=1000, output_tokens=24, gpus=("h100",)))
    for language, word in (("en", "Need: 3 concurrent"), ("zh", "需求：3 路并发")):
        document = PlanDocument(made, language)
        assert word in render(document, "text")
        assert document.data["need"]["sentence"][language].startswith(word)


def test_concurrency_follows_from_a_rate_and_says_so() -> None:
    answer = plan(model="qwen3-8b", request_rate=2, gpus=("h100",))
    need, option = answer["need"], answer["options"][0]
    seconds = option["ttft_s"] + 1023 * option["tpot_s"]
    assert need["request_s"] == pytest.approx(seconds)
    assert need["concurrency"] == ceil(2 * seconds - 1e-9) == answer["request"]["concurrency"]
    rate, shown, at_once = numbers(need["sentence"]["en"])[:3]
    assert (rate, at_once) == (2, need["concurrency"])
    assert rate * shown == pytest.approx(at_once, abs=1.5)
    unmet = plan(model="qwen3-8b", request_rate=5000, gpus=("h100",), max_gpus=1)
    assert not unmet["options"]
    assert unmet["need"]["request_s"] is None
    assert numbers(unmet["need"]["sentence"]["en"])[0] == 5000


def test_the_sentence_carries_speed_and_price() -> None:
    answer = plan(model="qwen3-32b", concurrency=8, input_tokens=3000, output_tokens=500, gpus=("h100", "h20"))
    option = answer["options"][0]
    rate = option["output_tokens_per_s"]
    for language in LANGUAGES:
        sentence = answer["sentence"][language]
        assert f"{rate:,.0f}" in sentence
        assert f"{rate / 8:,.0f}" in sentence
        assert f"{option['cost']['amount']:,.2f}" in sentence
        assert option["cost"]["currency"] in sentence
    assert "an hour" in answer["sentence"]["en"]


def test_what_is_unknown_is_said_briefly_in_the_sentence() -> None:
    options = plan(model="qwen3-8b", concurrency=1, context_tokens=2048)["options"]
    unpriced = next(each["gpu"] for each in options if each["cost"] is each["purchase"] is None and each["ttft_s"] is not None)
    sentence = plan(model="qwen3-8b", concurrency=1, context_tokens=2048, gpus=(unpriced,))["sentence"]
    assert "price unknown" in sentence["en"]
    assert "价格未知" in sentence["zh"]
    assert "each" not in sentence["en"], "one request is all of them"


# A model that thinks --------------------------------------------------------------------------------------------------------


def test_what_was_taken_for_answers_that_are_thought_over_is_said() -> None:
    def said(**request: Any) -> list[dict[str, Any]]:
        warnings = plan(gpus=("h200",), **request)["warnings"]
        return [each for each in warnings if each["code"] == "reasoning-answers"]

    assert said(model="deepseek-r1", users=100)[0]["parameters"] == {"output_tokens": 1024, "usual_tokens": 8192}
    assert not said(model="deepseek-r1", users=100, output_tokens=5000)
    assert not said(model="deepseek-r1", scenario="reasoning")
    assert not said(model="deepseek-v3", users=100)
    assert scenario("reasoning").output_tokens == 8192


def test_only_models_of_which_somebody_says_so_think() -> None:
    thinking = {id for id in model_ids() if model_entry(id).reasoning_source}
    assert {"deepseek-r1", "qwq-32b", "gpt-oss-120b", "qwen3-32b", "kimi-k2-thinking"} <= thinking
    assert not thinking & {"deepseek-v3", "llama-3.1-8b-instruct", "qwen3-235b-a22b-instruct-2507", "qwen3-coder-30b-a3b-instruct", "phi-4"}


# The launch line ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**28), st.one_of(st.none(), st.integers(1, 2**21)))
def test_the_length_of_a_launch_is_the_need_or_a_little_more(context: int, longest: int | None) -> None:
    found = rounded_tokens(context, longest)
    assert found >= context
    assert found <= max(context + max(511, context // 8), 512)
    assert longest is None or found <= max(longest, context)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_a_rounded_launch_holds_what_was_asked_and_says_so(engine: str) -> None:
    answer = plan(model="qwen3-8b", concurrency=20, context_tokens=9000, engine=engine, gpus=("h100-sxm-80gb",))
    best = answer["options"][0]
    launch = launch_of_command([best["command"]], gpu="h100-sxm-80gb").deployment
    assert best["max_concurrency_low"] >= 20
    if engine == "llama.cpp":  # room for the whole length is reserved for each request: not a token more
        assert (launch.max_model_len or 0) in (9000, 9000 * 20)
        assert not answer["need"]["notices"][1:]
        return
    assert launch.max_model_len == 9216
    assert answer["need"]["notices"][-1]["parameters"] == {"max_model_len": 9216, "context_tokens": 9000}
    fit = gpusizer.fit(launch).to_dict()
    assert fit["fits"]
    assert fit["per_gpu"] == best["per_gpu"]
    exact = gpusizer.fit(Deployment(**{**_fields(launch), "max_model_len": 9000})).result
    assert best["max_concurrency"] <= exact.max_concurrency * best["replicas"] + 1e-6
    assert best["max_concurrency"] > 0.97 * exact.max_concurrency * best["replicas"] - 1


def _fields(deployment: Deployment) -> dict[str, Any]:
    from dataclasses import fields

    return {each.name: getattr(deployment, each.name) for each in fields(deployment)}


def test_a_launch_never_allows_more_than_the_model() -> None:
    longest = 40960  # max_position_embeddings of Qwen3-8B
    best = plan(model="qwen3-8b", concurrency=1, context_tokens=longest - 100, gpus=("h100-sxm-80gb",))["options"][0]
    assert f"--max-model-len {longest}" in best["command"]


# How the answer moves -------------------------------------------------------------------------------------------------------


@SMALL
@given(st.sampled_from(["qwen3-8b", "qwen3-30b-a3b", "deepseek-v2-lite"]), st.sampled_from(CARDS), st.integers(1, 200), st.integers(256, 8192))
def test_twice_as_much_never_takes_fewer_gpus(model: str, gpu: str, concurrency: int, context: int) -> None:
    answer = plan(model=model, gpus=(gpu,), concurrency=concurrency, context_tokens=context)
    if not answer["options"]:
        assert not answer["sensitivity"]
        return
    asked, share, longer = answer["sensitivity"]
    assert [each["what"] for each in (asked, share, longer)] == ["asked", "share", "context"]
    assert asked["gpus"] == answer["options"][0]["gpus"]
    assert (share["concurrency"], share["context_tokens"]) == (2 * concurrency, context)
    assert (longer["concurrency"], longer["context_tokens"]) == (concurrency, 2 * context)
    for each in (share, longer):
        assert each["gpus"] is None or each["gpus"] >= asked["gpus"]
        assert (each["gpus"] is None) == (each["reason"] is not None)


def test_rows_are_what_a_plan_of_their_own_says() -> None:
    answer = plan(model="qwen3-32b", users=2000, gpus=("h100-sxm-80gb",))
    _, share, longer = answer["sensitivity"]
    twice = plan(model="qwen3-32b", users=2000, active_share=0.1, gpus=("h100-sxm-80gb",))["options"][0]
    double = plan(model="qwen3-32b", users=2000, input_tokens=8192, output_tokens=2048, gpus=("h100-sxm-80gb",))["options"][0]
    assert share["active_share"] == 0.1
    for row, own in ((share, twice), (longer, double)):
        assert (row["gpus"], row["layout"], row["replicas"]) == (own["gpus"], own["layout"], own["replicas"])
        assert row["tpot_s"] == pytest.approx(own["tpot_s"])
        assert row["ttft_s"] == pytest.approx(own["ttft_s"])


def test_rows_show_what_more_than_is_allowed_would_take() -> None:
    answer = plan(model="qwen3-32b", concurrency=30, context_tokens=9216, precision="bf16", tuning="off", gpus=("h100-sxm-80gb",), max_gpus=2)
    assert answer["options"][0]["gpus"] == 2
    assert answer["sensitivity"][1]["gpus"] > 2


def test_a_context_beyond_the_model_is_no_row_of_numbers() -> None:
    longer = plan(model="qwen3-8b", concurrency=1, context_tokens=32768, gpus=("h100",))["sensitivity"][2]
    assert (longer["gpus"], longer["reason"]["code"]) == (None, "context-beyond-model")


# What nearly does -----------------------------------------------------------------------------------------------------------


def test_two_cards_that_hold_thirty_of_thirty_two_are_named() -> None:
    """By the engine's own settings; with fewer sequences two hold all."""
    answer = plan(model="qwen3-32b", precision="bf16", concurrency=32, input_tokens=8192, output_tokens=1024, tuning="off", gpus=("h100-sxm-80gb",))
    near = answer["near_misses"][0]
    needed = answer["options"][0]["gpus"]
    said = near["parameters"]
    assert said["gpus"] < needed
    assert 0.8 * 32 <= said["held"] < said["concurrency"] == 32
    assert str(said["held"]) in near["sentence"]["zh"]
    held = plan(
        model="qwen3-32b",
        precision="bf16",
        concurrency=said["held"],
        input_tokens=8192,
        output_tokens=1024,
        tuning="off",
        gpus=("h100-sxm-80gb",),
        max_gpus=said["gpus"],
    )
    assert held["options"][0]["gpus"] == said["gpus"], "what is said to hold so many is a plan for so many"


@SMALL
@given(st.sampled_from(["qwen3-8b", "qwen3-32b"]), st.sampled_from(CARDS), st.integers(1, 300), st.integers(1024, 16384))
def test_a_near_miss_takes_fewer_gpus_and_holds_most(model: str, gpu: str, concurrency: int, context: int) -> None:
    answer = plan(model=model, gpus=(gpu,), concurrency=concurrency, context_tokens=context)
    for near in answer["near_misses"]:
        said = near["parameters"]
        assert said["gpus"] < answer["options"][0]["gpus"]
        assert 0.8 * concurrency <= said["held"] < concurrency


def test_a_load_beyond_all_reason_is_answered_like_any_other() -> None:
    """The numbers of replicas are not gone through one by one."""
    answer = plan(model="qwen3-8b", concurrency=999_999_999, context_tokens=131072, gpus=("h100-sxm-80gb",))
    assert answer["options"][0]["max_concurrency_low"] >= 999_999_999
    for near in answer["near_misses"]:
        assert 0.8 * 999_999_999 <= near["parameters"]["held"] < 999_999_999
