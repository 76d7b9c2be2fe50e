"""The report says what the plan says: the same numbers, in one file, in both languages, whatever strangers call things."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from command_line import ANSWERED, DOES_NOT_FIT, refused, run
from gpusizer.facts.catalog import accelerators
from gpusizer.facts.servers import read_servers
from gpusizer.i18n import table, text
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.rendering.mail import mail_words
from gpusizer.rendering.plan_document import PlanDocument
from gpusizer.rendering.report.comparison import compared_options
from gpusizer.rendering.report.cover import Cover
from gpusizer.units import GB
from report_reader import Page
from tiny_config import config_file

EVIL = "</title><script>alert(1)</script>"

NEEDS = {
    "a mixture of experts": Request("deepseek-v3", users=1000),
    "a small model": Request("qwen3-8b", concurrency=4, context_tokens=8192),
    "several servers": Request("deepseek-v3", concurrency=400, input_tokens=8192, output_tokens=1024, gpus=("h100",)),
    "drafts and a target": Request("deepseek-v3", concurrency=64, tpot_s=0.02, speculative="mtp:1"),
    "bought in China": Request("qwen3-32b", concurrency=32, market="cn"),
    "a rate": Request("qwen3-32b", request_rate=2, input_tokens=1000, output_tokens=200, gpus=("h100", "l40s")),
    "nothing will do": Request("deepseek-v3", concurrency=400, gpus=("l40s",), max_gpus=8),
}


@cache
def plan_of(need: str) -> Plan:
    return make_plan(NEEDS[need])


def page_of(plan: Plan, language: str = "en", cover: Cover | None = None) -> Page:
    return Page(PlanDocument(plan, language, cover=cover or Cover()).html)


def numbers(words: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\.?\d*", words)]


@pytest.mark.parametrize("need", NEEDS)
def test_its_numbers_are_those_of_the_plan_s_json(need: str) -> None:
    plan = plan_of(need)
    page, answer = page_of(plan), json.loads(gpusizer.PlanAnswer(plan).to_json())
    assert answer["sentence"]["en"] in page.words()
    chosen = [next(each for each in answer["options"] if each["rank"] == pick.option.rank) for pick in compared_options(plan)]
    for place, option in enumerate(chosen):
        _same(page, place, option)
    for row in answer["sensitivity"]:
        if row["gpus"] is not None:
            assert [f"{row['concurrency']:,}", f"{row['context_tokens']:,}", f"{row['gpus']:,}"] in [
                [cell.strip() for cell in found[1:4]] for found in page.rows
            ]


def _same(page: Page, place: int, option: dict[str, Any]) -> None:
    """Every figure of a column, to the digits that are printed."""
    cells = {code.removeprefix("row-"): page.row(name)[place] for code, name in table("report", "en").items() if _is_row(page, code, name)}
    assert numbers(cells["held"]) == [option["max_concurrency"], option["max_concurrency_low"]]
    for name, times, digits, field in (("ttft", 1, 2, "ttft_s"), ("tpot", 1000, 1, "tpot_s"), ("rate", 1, 0, "output_tokens_per_s")):
        band = option["speed"][field]
        assert numbers(cells[name]) == [pytest.approx(times * band[end], abs=0.51 * 10**-digits) for end in ("value", "low", "high")]
    for name, cost in (("rent", option["cost"]), ("purchase", option["purchase"])):
        if cost is None:
            assert cells[name] == text("report", "not-known", "en")
        else:
            assert numbers(cells[name])[0] == pytest.approx(cost["amount"], rel=1e-3, abs=0.5 if cost["amount"] > 999 else 0.01)
            assert cost["currency"] in cells[name]
    if option["energy_per_million_tokens_kwh"] is not None:
        assert numbers(cells["energy"]) == [pytest.approx(option["energy_per_million_tokens_kwh"], abs=0.006)]
    assert option["engine_version"] in cells["engine"]
    assert numbers(cells["servers"])[:1] in ([option["nodes"]], [1.0]) or cells["servers"].startswith("one server")


def _is_row(page: Page, code: str, name: str) -> bool:
    return code.startswith("row-") and any(row and row[0].strip() == name for row in page.rows)


def test_the_disk_is_as_large_as_the_published_files() -> None:
    """Hugging Face lists 688.6 GB of safetensors for deepseek-ai/DeepSeek-V3."""
    disk = page_of(plan_of("a mixture of experts")).row("disk for the checkpoint")
    assert [numbers(cell)[0] for cell in disk] == [pytest.approx(688.6, abs=1)] * len(disk)


def test_power_is_that_of_the_data_sheets() -> None:
    """Eight GPUs of 700 W; a DGX H200 takes 10.2 kW at most, has 8 U and eight ports of 400 Gb/s, by NVIDIA's user guide."""
    plan = make_plan(Request("deepseek-v3", concurrency=1500, input_tokens=8192, output_tokens=1024, gpus=("h200-sxm-141gb",)))
    best = plan.options[0]
    assert best.nodes == 2
    page = page_of(plan)
    assert numbers(page.row("power")[0]) == [best.gpus * 0.7, 2 * 10.2]
    assert page.row("height in the rack")[0] == "16 U"
    assert page.row("network ports, compute fabric")[0] == "8 x 400 Gb/s a server, 16 in all"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("need", NEEDS)
def test_it_is_one_file_without_script_that_refers_to_nothing(need: str, language: str) -> None:
    plan = plan_of(need)
    html = PlanDocument(plan, language).html
    page = Page(html)
    assert page.alive == []
    assert not re.search(r"@import|url\(|expression\(", html)
    ids = {named["id"] for _, named in page.tags if "id" in named}
    for link in page.links:
        assert link.startswith(("https://", "http://")) or link.removeprefix("#") in ids, link
    assert all(named.get("rel") == "noreferrer" for tag, named in page.tags if tag == "a" and named["href"].startswith("http"))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("need", NEEDS)
def test_every_code_has_become_words(need: str, language: str) -> None:
    """A code without a text shows itself; a lacking parameter shows as a question mark."""
    plan = plan_of(need)
    said = list(page_of(plan, language).words("sources"))
    codes = {code for group in ("report", "ui", "need", "warning", "reason") for code in table(group, language) if "-" in code}
    assert not [words for words in said if words in codes or re.match(r"[a-z]+(-[a-z]+)+: ", words) or "{" in words or "?" in words]
    assert not [words for words in said if words in ("None", "nan", "True", "False")]


@pytest.mark.parametrize("need", NEEDS)
def test_a_chinese_report_has_no_english_sentence(need: str) -> None:
    """Names, units and abbreviations stay; four English words in a row are a sentence."""
    for words in page_of(plan_of(need), "zh").words("sources", "launch", "again"):
        found = re.findall(r"(?:\b[a-z]{2,}\b[ ,]+){3,}\b[a-z]{2,}\b", words)
        assert not found, (words, found)


def test_strangers_words_stay_words(tmp_path: Path) -> None:
    folder = tmp_path / "x" / EVIL
    folder.mkdir(parents=True)
    plan = make_plan(Request(str(config_file(folder).parent), concurrency=2, context_tokens=256))
    for language in ("en", "zh"):
        page = page_of(plan, language, Cover(EVIL, EVIL, "2026-11-27"))
        assert page.title == EVIL
        assert page.alive == []
        assert any(EVIL in words for words in page.words("again", "launch"))


def test_a_stranger_s_price_file_leads_nowhere(tmp_path: Path) -> None:
    """The name of a file of prices is a source; it becomes no tag, and no link but one of the web."""
    prices = tmp_path / "javascript:alert(1) <b> https:'onclick=x .toml"
    prices.write_text("[h200]\nhour = 3\ndevice = 30000\n", encoding="utf-8")
    page = page_of(make_plan(Request("deepseek-v3", users=1000, gpus=("h200-sxm-141gb",), prices=str(prices))))
    assert page.alive == []
    assert not [link for link in page.links if not link.startswith(("#", "https://", "http://"))]
    assert any(prices.name in " ".join(words.split()) for words in page.words())


def test_the_same_day_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = [tmp_path / name for name in ("one.html", "two.html")]
    for target in targets:
        code, _, _ = run(capsys, "plan", "qwen3-8b", "--concurrency", "4", "--date", "2026-11-27", "--customer", "Müller", "--output", str(target))
        assert code == ANSWERED
    one, two = (target.read_bytes() for target in targets)
    assert one == two
    assert "2026-11-27" in one.decode()
    assert "Müller" in one.decode()


def test_another_currency_is_the_only_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", "deepseek-v3", "--users", "1000", "--currency", "EUR", "--format", "html", "--language", "en")
    page = Page(out)
    for row in ("purchase", "rent per hour", "rent per M output tokens"):
        assert all("EUR" in cell or cell == "not known" for cell in page.row(row)), row
    assert not [words for words in page.words("sources", "risks") if "USD" in words]
    assert [words for words in page.sections["risks"] if "USD" in words and "0.8684" in words]  # the rate, with its date and source


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--date", "yesterday"), "--date"),
        (("--title", "x" * 201), "200"),
        (("--top", "3"), "--top"),
        (("--fields", "gpu"), "--fields"),
    ],
)
def test_what_a_report_cannot_take_is_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(capsys, "plan", "qwen3-8b", "--concurrency", "4", "--format", "html", *arguments)


@pytest.mark.parametrize("option", ["--title", "--customer", "--date"])
def test_only_a_report_has_a_cover(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert option in refused(capsys, "plan", "qwen3-8b", "--concurrency", "4", "--format", "json", option, "2026-11-27")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("need", NEEDS)
def test_a_mail_is_eight_plain_lines(need: str, language: str) -> None:
    plan = plan_of(need)
    lines = mail_words(plan, language).splitlines()
    assert len(lines) == 8
    assert all(line.strip() == line and line for line in lines)
    assert gpusizer.PlanAnswer(plan).sentence(language) == lines[1]
    assert not re.search(r"\*\*|^#|^[-*] |`|\{|None", "\n".join([*lines[:6], lines[7]]), re.MULTILINE)
    if plan.best is not None:
        assert gpusizer.PlanAnswer(plan).to_dict()["options"][0]["command"] in lines[6]
        assert f"{plan.best.held_requests:,}" in lines[5]


def test_a_mail_says_how_to_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line is a command that gives the same mail."""
    arguments = ("qwen3-32b", "--users", "200", "--active-share", "7.5%", "--tpot", "30ms", "--gpu", "h100", "--gpu", "l40s")
    code, first, _ = run(capsys, "plan", *arguments, "--format", "mail", "--language", "en")
    again = first.splitlines()[-1].partition(": gpusizer ")[2].split()
    assert run(capsys, *again, "--format", "mail") == (code, first, "")


def test_only_a_plan_is_a_mail(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--format" in refused(capsys, "fit", "qwen3-8b", "--gpu", "h100", "--format", "mail")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "command",
    [
        ("fit", "deepseek-v3", "--gpu", "h200", "--tp", "8"),
        ("fit", "deepseek-v3", "--gpu", "h100", "--tp", "8"),
        ("models", "list", "--filter", "qwen3"),
        ("models", "show", "qwen3-8b"),
        ("accelerators", "show", "h200"),
        ("engines", "list"),
        ("scenarios", "list"),
        ("explain", "article.total"),
        ("simulate", "qwen3-8b", "--gpu", "h100", "--burst", "4", "--input-tokens", "100", "--output-tokens", "10"),
    ],
)
def test_every_command_has_a_page(capsys: pytest.CaptureFixture[str], command: tuple[str, ...], language: str) -> None:
    code, out, _ = run(capsys, *command, "--format", "html", "--language", language)
    assert code in (ANSWERED, DOES_NOT_FIT)
    page = Page(out)
    assert page.alive == []
    assert [named["lang"] for tag, named in page.tags if tag == "html"] == [{"en": "en", "zh": "zh-CN"}[language]]
    assert page.title
    _, words, _ = run(capsys, *command, "--format", "csv", "--language", language)
    assert page.rows or not words.strip()


def test_a_page_is_saved_from_python(tmp_path: Path) -> None:
    plan = gpusizer.plan(replace(NEEDS["a small model"], gpus=("h100",)))
    plan.save(tmp_path / "plan.html", "zh")
    page = Page((tmp_path / "plan.html").read_text(encoding="utf-8"))
    assert plan.sentence("zh") in page.words()


def test_servers_are_those_of_the_catalogue() -> None:
    """A server has a known accelerator and a source with an address; its power is no less than that of its accelerators, and no rack is one unit."""
    known = {each.id: each for each in accelerators()}
    for id, servers in read_servers().items():
        device = known[id]
        assert servers[0].gpus in (device.devices_per_node, device.domain_devices)
        for server in servers:
            assert server.sources
            assert all("http" in source for source in server.sources)
            assert server.rack_units is None or 0.05 * server.gpus <= server.rack_units <= 50
            assert server.port_bits_per_s is None or server.port_bits_per_s / GB in (100, 200, 400, 800)
            if server.maximum_w is not None and device.tdp_w is not None:
                assert device.tdp_w * server.gpus < server.maximum_w < 3 * device.tdp_w * server.gpus, server.name
