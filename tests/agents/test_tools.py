"""Tools for agents say what the other faces say, in both languages, within the schemas that they announce."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import jsonschema
import pytest

from agent import Said, talk, talk_to_process
from command_line import run
from gpusizer.i18n import LANGUAGES
from gpusizer.mcp.tools import tools
from gpusizer.planning.request import FIELDS, Request, to_arguments
from gpusizer.rendering.formulas import registry

NAMES = ["plan", "fit", "run_on", "explain", "models", "accelerators"]
REQUESTS: list[dict[str, Any]] = [
    {"model": "deepseek-v3", "users": 1000},
    {"model": "qwen3-32b", "concurrency": 32, "gpus": ["h100-sxm-80gb", "rtx4090-24gb"], "ttft_s": 5},
    {"model": "qwen3-8b", "concurrency": 4, "input_tokens": 2000, "output_tokens": 500, "market": "cn", "engine": "sglang"},
    {"model": "llama-3.3-70b-instruct", "users": 200, "active_share": 0.1, "precision": "fp8", "vendor": "amd", "sort": "gpus"},
    {"model": "deepseek-v3", "concurrency": 50, "gpus": ["rtx4090-24gb"], "max_gpus": 2},
]
STARTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"model": "deepseek-v3", "gpu": "h200-sxm-141gb", "tp": 8, "max_model_len": 8192}, ["deepseek-v3", "--tp", "8", "--max-model-len", "8192"]),
    (
        {"model": "qwen3-32b", "gpu": "h200-sxm-141gb", "engine": "sglang", "memory_fraction": 0.8, "flags": {"max_total_tokens": 100000}},
        ["qwen3-32b", "--engine", "sglang", "--mem-fraction-static", "0.8", "--max-total-tokens", "100000"],
    ),
    ({"gpu": "h200-sxm-141gb", "command": "vllm serve Qwen/Qwen3-8B -tp 2"}, ["--", "vllm", "serve", "Qwen/Qwen3-8B", "-tp", "2"]),
    ({"model": "qwen3-32b", "gpu": "rtx4090-24gb"}, ["qwen3-32b"]),
]
MACHINES: list[tuple[dict[str, Any], list[str]]] = [
    ({"machine": ["l40s:4", "2 x RTX 4090"], "use": ["code"], "concurrency": 8}, ["l40s:4", "2 x RTX 4090", "--use", "code", "--concurrency", "8"]),
    ({"machine": "rtx3060-12gb", "use": "chat,embedding", "top": 4}, ["rtx3060-12gb", "--use", "chat,embedding"]),
    ({"machine": "h200", "models": "kimi-k2-instruct"}, ["h200", "--model", "kimi-k2-instruct"]),
]


def data(said: Said) -> dict[str, Any]:
    """An answer, which the text repeats for models that read nothing else."""
    assert not said.failed, said.data
    assert json.loads(said.text) == said.data
    return said.data


def test_the_command_offers_six_tools_and_answers_as_the_command_line_does(capsys: pytest.CaptureFixture[str]) -> None:
    listed, (planned, spoken, wrong) = talk_to_process(
        [("plan", REQUESTS[0]), ("plan", {**REQUESTS[0], "language": "zh", "top": 1}), ("plan", {"model": "deepsek-v3"})]
    )
    assert [tool.name for tool in listed] == NAMES
    code, out, _ = run(capsys, "plan", "deepseek-v3", "--users", "1000", "--format", "json")
    whole = json.loads(out)
    assert code == 0
    assert data(planned)["sentence"] == whole["sentence"]["en"]
    assert data(spoken)["sentence"] == whole["sentence"]["zh"]
    assert wrong.failed
    assert wrong.data["code"] == "unknown-model"


@pytest.mark.parametrize("asked", REQUESTS)
def test_a_plan_has_the_numbers_of_the_command_line(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    _, (answer,) = talk([("plan", asked)])
    brief = data(answer)
    code, out, _ = run(capsys, "plan", *to_arguments(Request(**asked)), "--format", "json")
    whole = json.loads(out)
    assert brief["fits"] == (code == 0)
    assert brief["left_out"] == max(len(whole["options"]) - 5, 0)
    assert brief["need"]["concurrency"] == whole["need"]["concurrency"]
    assert set(brief["need"].get("assumed", [])) == {part for part, origin in whole["need"]["origin"].items() if origin == "scenario"}
    assert brief.get("warnings", []) == [each["sentence"]["en"] for each in whole["warnings"]]
    for short, long in zip(brief["options"], whole["options"], strict=False):
        same = ("rank", "verdict", "gpu", "gpus", "gpus_to_order", "nodes", "replicas", "engine", "precision", "evidence", "command")
        assert {name: short[name] for name in same} == {name: long[name] for name in same}
        assert (short["max_concurrency_low"], short["max_concurrency"]) == (long["max_concurrency_low"], long["max_concurrency"])
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s"):
            band = long["speed"][name]
            assert short["speed"][name] == pytest.approx([band["low"], band["value"], band["high"]], rel=5e-4)
        assert (short.get("cost") or {}).get("amount") == (None if long["cost"] is None else pytest.approx(long["cost"]["amount"], rel=5e-4))
        assert short.get("why_not_first") == (None if long["why_not_first"] is None else long["why_not_first"]["sentence"]["en"])


@pytest.mark.parametrize(("asked", "typed"), MACHINES)
def test_what_runs_has_the_numbers_of_the_command_line(asked: dict[str, Any], typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, (answer,) = talk([("run_on", asked)])
    brief = data(answer)
    code, out, _ = run(capsys, "run-on", *typed, "--top", str(asked.get("top", 2)), "--format", "json")
    whole = json.loads(out)
    runs = [each for each in whole["models"] if each["verdict"] != "no"]
    assert code == (0 if runs else 3)
    assert (brief["sentence"], brief["need"], brief.get("by_use", {})) == (whole["sentence"]["en"], whole["need"], whole["by_use"])
    for short, long in zip(brief["models"], runs, strict=True):
        same = ("model", "verdict", "precision", "engine", "gpu", "gpus", "replicas", "context_tokens", "command")
        assert {name: short[name] for name in same} == {name: long[name] for name in same}
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s"):
            assert short.get(name) == (None if long[name] is None else pytest.approx(long[name], rel=5e-4))
    said = [(each["model"], each["reason"]["sentence"]["en"]) for each in whole["models"] if each["verdict"] == "no"]
    assert [(each["model"], each["reason"]) for each in brief.get("does_not_run", [])] == said


@pytest.mark.parametrize(("asked", "typed"), STARTS)
def test_a_start_has_the_numbers_of_the_command_line(asked: dict[str, Any], typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, (answer,) = talk([("fit", asked)])
    brief = data(answer)
    code, out, _ = run(capsys, "fit", "--gpu", asked["gpu"], "--format", "json", *typed)
    whole = json.loads(out)
    assert brief["fits"] == (code == 0)
    same = ("per_gpu", "kv_cache", "evidence", "command")
    assert {name: brief[name] for name in same} == {name: whole[name] for name in same}
    assert [each["sentence"] for each in brief.get("remedies", [])] == [each["sentence"]["en"] for each in whole["remedies"]]


def test_every_input_of_a_plan_is_an_argument_with_its_own_default_and_bounds() -> None:
    schema = talk([])[0][0].input_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    files_and_networks = {"trace", "prices", "calibrate", "hub"}
    assert set(schema["properties"]) == {field.name for field in FIELDS} - files_and_networks | {"top", "detail", "language"}
    defaults = {name: each["default"] for name, each in schema["properties"].items() if "default" in each and name != "detail"}
    assert Request(model="qwen3-8b", **defaults) == Request(model="qwen3-8b")
    announced = {each.name: each.default for each in fields(Request) if isinstance(each.default, str | int)}
    assert defaults == announced
    assert schema["required"] == ["model"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_descriptions_speak_the_language_of_the_server(language: str) -> None:
    for tool in talk([], language=language)[0]:
        words = [tool.description, *(each["description"] for each in tool.input_schema["properties"].values())]
        chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in each) for each in words]
        assert all(chinese) if language == "zh" else not any("\u4e00" <= letter <= "\u9fff" for letter in tool.description)
        assert tool.annotations.read_only_hint


def test_answers_keep_to_what_an_agent_needs() -> None:
    others = [("run_on", {"machine": "l40s:4"}), ("fit", STARTS[0][0]), ("accelerators", {"id": "h200"}), ("models", {})]
    listed, answers = talk([("plan", asked) for asked in REQUESTS] + others)
    sizes = [len(answer.text) for answer in answers]
    assert max(sizes) < 6000, sizes
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in listed) < 24_000


def test_detail_brings_one_card_s_memory_and_what_was_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    _, (planned, started) = talk([("plan", {**REQUESTS[1], "detail": True, "top": 1}), ("fit", {**STARTS[0][0], "detail": True})])
    option = data(planned)["options"][0]
    for items, per_gpu in ((option["items"], option["per_gpu"]), (data(started)["items"], data(started)["per_gpu"])):
        assert sum(item["bytes"] for item in items) == per_gpu["device_total_bytes"]
    whole = json.loads(run(capsys, "plan", *to_arguments(Request(**REQUESTS[1])), "--format", "json")[1])
    assert [each["gpu"] for each in data(planned).get("rejected", [])] == [each["gpu"] for each in whole["rejected"]]


def test_the_catalogue_and_the_formulas_are_found_by_words_and_shown_by_name() -> None:
    _, answers = talk(
        [
            ("models", {"query": "qwen3 coder moe"}),
            ("models", {"id": "Qwen3 8B"}),
            ("accelerators", {"vendor": "huawei", "memory": ">=64GB", "top": 3}),
            ("accelerators", {"id": "H200"}),
            ("explain", {"query": "kv_cache pool"}),
            ("explain", {"id": "article.total"}),
        ]
    )
    models, model, cards, card, formulas, formula = map(data, answers)
    assert "qwen3-coder-480b-a35b-instruct" in [each["id"] for each in models["models"]]
    assert model["id"] == "qwen3-8b"
    assert model["total_params"] == 8190735360  # as transformers counts the class on the meta device
    assert len(cards["accelerators"]) == 3
    assert all(each["vendor"] == "Huawei" for each in cards["accelerators"])
    assert card["memory_bytes"] == 143771 * 2**20  # what nvidia-smi prints
    assert all("kv_cache" in each["id"] and each["id"] in registry() for each in formulas["formulas"])
    assert formula["example"]["result"] == 105834767360


def test_a_hub_is_an_argument_only_where_the_server_was_started_with_one() -> None:
    alone, allowed = talk([])[0], talk([], hub="modelscope")[0]
    assert "hub" not in alone[0].input_schema["properties"]
    assert not alone[0].annotations.open_world_hint
    for tool in allowed[:2]:
        assert tool.input_schema["properties"]["hub"]["enum"] == ["modelscope"]
        assert tool.annotations.open_world_hint
    assert [tool.name for tool in tools("modelscope")] == NAMES
