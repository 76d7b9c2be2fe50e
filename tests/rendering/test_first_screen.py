"""The first 24 lines at 80 columns are the decision: what to buy, how it is started, how fast, for how much, how sure, and what else there is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from command_line import process, run
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.rendering.document import Column, Command, Document, Heading, Lines, Paragraph, Points, Table
from gpusizer.rendering.forms import text as terminal
from gpusizer.rendering.plan_document import PlanDocument

LINES, COLUMNS = 24, 80
LANGUAGES = ("en", "zh")

NEEDS = {
    "a mixture of experts, every GPU": Request("deepseek-v3", users=1000),
    "a small model, one GPU": Request("qwen3-8b", concurrency=4, context_tokens=8192),
    "several servers": Request("deepseek-v3", concurrency=400, input_tokens=8192, output_tokens=1024, gpus=("h100",)),
    "two engines, one device": Request("qwen3-32b", concurrency=32, input_tokens=8192, output_tokens=1024, engine="vllm,sglang", gpus=("h100",)),
    "a rate": Request("qwen3-32b", request_rate=2, input_tokens=1000, output_tokens=200, gpus=("h100", "h200", "l40s", "a100-sxm-80gb")),
    "a longer name": Request("qwen3-235b-a22b-instruct-2507", concurrency=16, input_tokens=4096, output_tokens=1024),
}


@pytest.fixture(scope="module", params=NEEDS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return make_plan(NEEDS[request.param])


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Plan, str], list[str]]:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    return lambda plan, language: terminal.write(PlanDocument(plan, language)).splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_screen_is_the_decision(plan: Plan, screen: Callable[[Plan, str], list[str]], language: str) -> None:
    lines = screen(plan, language)[:LINES]
    words, best = " ".join(" ".join(lines).split()), plan.best
    squeezed = words.replace(" ", "")
    assert best is not None
    assert best.performance is not None
    # what to buy, and how it is started
    assert f"{best.gpus}{'x' if language == 'en' else '张'}{best.accelerator.name.replace(' ', '')}" in squeezed
    assert f"TP{best.layout.tp}" in words
    assert "vllm serve" in words or "sglang" in words
    # how fast, for how much, how sure
    speed = best.performance
    assert f"TTFT {speed.ttft_s.value:.2g}" in words
    assert f"TPOT {1000 * speed.tpot_s.value:.3g}" in words
    assert f"{1000 * speed.tpot_s.low:.3g} - {1000 * speed.tpot_s.high:.3g}" in words
    assert re.search(rf"{speed.owners} (independent owners|个独立来源)", words)
    if best.cost is not None:
        assert f"{best.cost.amount:,.2f}" in words
    assert {"en": "evidence: ", "zh": "依据："}[language] in words
    # what else
    rows = [line for line in lines if re.match(r"\d+ +\d+  ", line)]
    assert len(rows) >= min(len(plan.options), 4)
    assert sum({"en": "fits", "zh": "可行"}[language] in row for row in rows) == sum(option.verdict == "fits" for option in plan.options[: len(rows)])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_wider_than_the_screen(plan: Plan, screen: Callable[[Plan, str], list[str]], language: str) -> None:
    assert [line for line in screen(plan, language) if terminal.cell_len(line) > COLUMNS] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_one_compares_stays_at_eighty_columns(plan: Plan, screen: Callable[[Plan, str], list[str]], language: str) -> None:
    lines = screen(plan, language)
    rule = next(place for place, line in enumerate(lines) if line.startswith("───"))
    start = max(place for place in range(rule) if not lines[place])
    headings = " ".join(" ".join(lines[start:rule]).split())
    wanted = {
        "en": ("#", "GPUs", "GPU", "layout", "conc.", "TTFT", "TPOT", "USD/h", "verdict"),
        "zh": ("#", "卡数", "GPU", "并行策略", "最大并发", "TTFT", "TPOT", "结论"),
    }
    assert [word for word in wanted[language] if word not in headings] == []


def test_where_nothing_is_viable_the_reason_and_the_nearest_come_at_once(screen: Callable[[Plan, str], list[str]]) -> None:
    plan = make_plan(Request("deepseek-v3", concurrency=10, gpus=("rtx4090",), max_gpus=1))
    for language, nearest, missing in (("en", "nearest", "does not fit"), ("zh", "最接近", "不可行")):
        words = " ".join(screen(plan, language)[:LINES])
        assert all(each in words for each in (nearest, missing, "--max-gpus", "GiB"))


def test_one_gpu_byte_by_byte_and_what_is_not_viable_are_details(capsys: pytest.CaptureFixture[str]) -> None:
    need = ("plan", "qwen3-8b", "--concurrency", "4", "--gpu", "h100", "--gpu", "p100")
    short, long = run(capsys, *need)[1], run(capsys, *need, "--detail")[1]
    for words in ("attention weights", "non-torch memory", "\nnot viable", "[W"):
        assert words in long
        assert words not in short
    assert "--detail" in short


def test_the_article_is_a_line_until_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    need = ("plan", "deepseek-v3", "--concurrency", "10", "--context-tokens", "2k", "--gpu", "h200")
    short, long = run(capsys, *need)[1], run(capsys, *need, "--method", "article")[1]
    assert [line for line in short.splitlines() if "--method article" in line] != []
    assert "105,834,767,360" not in short
    assert "105,834,767,360" in long
    assert "--method article" not in long
    assert "三个公式" in run(capsys, *need, "--method", "article", "--language", "zh")[1], "where it is from"


def test_a_need_is_always_said(screen: Callable[[Plan, str], list[str]]) -> None:
    for request, words in (
        (Request("qwen3-8b", users=200, active_share=0.02, gpus=("h100",)), "200 users x 2% = 4 concurrent"),
        (Request("qwen3-8b", concurrency=3, input_tokens=700, output_tokens=50, gpus=("h100",)), "3 concurrent, 700 tokens in and 50 out"),
        (Request("qwen3-8b", request_rate=0.5, input_tokens=700, output_tokens=50, gpus=("h100",)), "Need: 0.5"),
    ):
        assert words in " ".join(screen(make_plan(request), "en")[:LINES])


# ---- the form -------------------------------------------------------------------------------------------------------

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"


def test_sentences_fold_between_words_and_further_lines_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document({}, [Heading(LONG), Paragraph(LONG), Points([LONG]), Lines([LONG, "a"])])
    monkeypatch.setenv("COLUMNS", "40")
    blocks = terminal.write(document).removesuffix("\n").split("\n\n")
    assert all(max(map(len, block.splitlines())) <= 40 for block in blocks)
    assert [" ".join(block.split()) for block in blocks] == [LONG, LONG, f"- {LONG}", f"{LONG} a"]
    assert [line[:2] for line in blocks[2].splitlines()] == ["- ", *["  "] * (len(blocks[2].splitlines()) - 1)]
    monkeypatch.delenv("COLUMNS")
    assert terminal.write(document).splitlines()[0] == LONG, "whole where nobody watches"


def test_a_long_sentence_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert " ".join(terminal.write(Document({}, [Paragraph(LONG * 20)])).split()) == LONG * 20


def test_a_command_is_broken_where_a_shell_joins_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ["vllm", "serve", "'a model'", *(f"--option-{number} {number}" for number in range(12))]
    document = Document({}, [Command(parts)])
    monkeypatch.setenv("COLUMNS", "50")
    lines = terminal.write(document).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 50
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert "".join(line.removesuffix("\\").strip() + " " for line in lines).strip() == " ".join(parts)
    monkeypatch.delenv("COLUMNS")
    assert terminal.write(document) == f"  {' '.join(parts)}\n"


def test_the_narrow_form_stands_in_only_where_the_wide_one_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Table((Column("n", right=True), Column("why", spare=13)), [["1", "a reason of some length"]])
    table = Table((Column("a long heading", right=True), Column("why")), [["1", "a reason of some length"]], narrow)
    for width, heading, reason in (("60", "a long heading", True), ("30", "n", True), ("20", "n", False)):
        monkeypatch.setenv("COLUMNS", width)
        words = terminal.write(Document({}, [table]))
        assert words.split("─")[0].strip().startswith(heading)
        assert ("length" in words) == reason, width


def test_a_file_holds_no_screen(tmp_path: object) -> None:
    """Neither its width nor bold letters."""
    answer = process("plan", "qwen3-8b", "--concurrency", "4", "--gpu", "h100", "--output", f"{tmp_path}/plan.txt", COLUMNS="60")
    assert answer.returncode == 0
    with open(f"{tmp_path}/plan.txt", encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    assert max(map(len, lines)) > 100
    assert not any("\x1b" in line for line in lines)
