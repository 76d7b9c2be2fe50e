"""The page of a plan in a real browser: it answers before anybody asks, changes while one types, and every state is an address."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from gpusizer.i18n import table
from visits import Visits

QWEN = "model=qwen3-32b&users=2000&gpus=l20-48gb"


def sentence(page: Page) -> str:
    return page.inner_text("#answer h1")


def gpus(page: Page) -> int:
    """GPUs of the first row of the table."""
    return int(re.match(r"([\d,]+)", page.inner_text("tr.best th")).group(1).replace(",", ""))  # type: ignore[union-attr]


def test_the_first_visit_shows_an_answer_with_three_requests(visits: Visits) -> None:
    page = visits.open()
    expect(page.locator("#answer h1")).to_contain_text("DeepSeek-V3")
    assert page.locator("tr.option").count() > 3
    assert page.locator(".card").count() >= 1
    assert page.locator("#answer svg").count() == 4
    assert len(visits.requests) == 3


def test_editing_users_changes_the_gpus_without_a_reload_and_the_address_shows_the_same_elsewhere(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    before = gpus(page)
    page.evaluate("window.marker = 1")
    page.fill("#in-users", "40000")
    expect(page.locator("#answer h1")).to_contain_text("40,000 users")
    assert gpus(page) > before
    assert page.evaluate("window.marker") == 1
    page.wait_for_url("**users=40000**")
    again = visits.open(page.url)
    assert sentence(again) == sentence(page)
    assert again.input_value("#in-users") == "40000"
    assert again.inner_text("table.options") == page.inner_text("table.options")


def test_back_and_forward_restore_inputs_and_answer(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    first = sentence(page)
    page.fill("#in-users", "9000")
    expect(page.locator("#answer h1")).to_contain_text("9,000 users")
    second = sentence(page)
    page.go_back()
    expect(page.locator("#answer h1")).to_have_text(first)
    expect(page.locator("#in-users")).to_have_value("2000")
    page.go_forward()
    expect(page.locator("#answer h1")).to_have_text(second)
    expect(page.locator("#in-users")).to_have_value("9000")


def test_keys_of_one_burst_are_one_step_back(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    steps = page.evaluate("history.length")
    page.press("#in-users", "End")
    page.locator("#in-users").press_sequentially("00", delay=20)
    expect(page.locator("#answer h1")).to_contain_text("200,000 users")
    page.wait_for_url("**users=200000**")
    assert page.evaluate("history.length") == steps + 1


def test_the_switch_of_the_language_keeps_what_was_typed(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    page.fill("#in-users", "3000")
    expect(page.locator("#answer h1")).to_contain_text("3,000 users")
    page.click(".languages a")
    expect(page.locator("#answer h1")).to_contain_text("3,000 名用户")
    assert page.input_value("#in-users") == "3000"
    assert page.input_value("#in-model") == "qwen3-32b"
    assert page.get_attribute("html", "lang") == "zh-CN"


def test_what_was_opened_stays_open_when_the_answer_changes(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    page.click("#why-memory > summary")
    page.fill("#in-users", "3000")
    expect(page.locator("#answer h1")).to_contain_text("3,000 users")
    assert page.get_attribute("#why-memory", "open") is not None


def test_a_link_of_the_table_sorts_with_and_without_a_script(visits: Visits) -> None:
    for script in (True, False):
        page = visits.open("/?model=qwen3-32b&users=2000&lang=en", java_script_enabled=script)
        page.focus("table.options thead a:has-text('TPOT')")
        page.keyboard.press("Enter")
        page.wait_for_url("**sort=speed**")
        expect(page.locator("#in-sort")).to_have_value("speed")
        expect(page.locator("th[aria-sort]")).to_contain_text("TPOT")
        times = [float(each.split()[0]) for each in page.locator("tr.option > td:nth-child(6)").all_inner_texts()]
        assert times == sorted(times)
        if script:
            assert "TPOT" in page.evaluate("document.activeElement.textContent")


def test_without_a_script_the_form_asks(visits: Visits) -> None:
    page = visits.open("/?lang=en", java_script_enabled=False)
    page.fill("#in-users", "7000")
    page.click("form button.main")
    assert "7,000 users" in sentence(page)
    assert page.input_value("#in-users") == "7000"
    assert not page.is_visible("[data-copy]")


def test_the_keyboard_alone_is_enough(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "in-users":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("6000")
    page.keyboard.press("Enter")
    expect(page.locator("#answer h1")).to_contain_text("6,000 users")


def test_a_mistake_is_said_beside_its_field_and_mended_by_a_click(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=zh")
    page.fill("#in-users", "viele")
    expect(page.locator("#wrong-users")).to_contain_text("viele")
    assert page.get_attribute("#in-users", "aria-invalid") == "true"
    assert page.inner_text("#answer [role=alert]").startswith("用户数")
    assert page.input_value("#in-users") == "viele"
    page.fill("#in-users", "100")
    expect(page.locator("#answer h1")).to_contain_text("100 名用户")
    assert not page.is_visible("#wrong-users")
    page.fill("#in-model", "qwen3-32bb")
    page.press("#in-model", "Tab")
    page.click("#answer a.state:has-text('qwen3-32b')")
    expect(page.locator("#answer h1")).to_contain_text("Qwen3-32B")
    assert page.input_value("#in-users") == "100"


def test_a_hostile_name_is_shown_as_it_is(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    hostile = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
    page.fill("#in-model", hostile)
    page.press("#in-model", "Tab")
    expect(page.locator("#answer [role=alert]")).to_contain_text(hostile)
    assert page.locator("#answer img, #answer script").count() == 0


def test_a_pasted_configuration_is_sized_and_stays(visits: Visits, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(QWEN3_8B, indent=2))
    page = visits.open("/?lang=en")
    page.click("#paste > summary")
    page.set_input_files("#upload", file)
    expect(page.locator("#answer h1")).to_contain_text("config.json")
    page.wait_for_url("**config=**")
    assert "config=" in (page.get_attribute("a:text-is('CSV')", "href") or "")
    long = {**QWEN3_8B, "words": "x" * 20_000}
    page.fill("#in-config", json.dumps(long))
    expect(page.locator("#answer")).to_contain_text(table("web", "en")["no-address"])
    with page.expect_download() as waiting:
        page.click("#answer button:text-is('CSV')")
    assert len(list(csv.reader(io.StringIO(waiting.value.path().read_text())))) > 2
    page.click(".languages a")
    expect(page.locator("#answer h1")).to_contain_text("名用户")
    assert json.loads(page.input_value("#in-config")) == long


QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_download_opens_and_says_the_same(visits: Visits, language: str) -> None:
    page = visits.open(f"/?{QWEN}&lang={language}")
    links = {each.get_attribute("href"): each.inner_text() for each in page.locator(".forms a").all()}
    answer = json.loads(page.request.get(visits.server + next(each for each in links if each and ".json" in each)).text())
    assert answer["options"][0]["gpus"] == gpus(page)
    for href in links:
        assert href
        response = page.request.get(visits.server + href)
        assert response.ok, href
        if ".xlsx" in href:
            book = openpyxl.load_workbook(io.BytesIO(response.body()))
            assert book.sheetnames
        elif ".csv" in href:
            rows = list(csv.DictReader(io.StringIO(response.text())))
            assert int(rows[0]["gpus"]) == gpus(page)
        elif ".json" not in href:
            assert str(gpus(page)) in response.text()


def test_what_the_page_says_is_what_the_api_says(visits: Visits) -> None:
    page = visits.open("/?model=deepseek-v3&users=1000&lang=en")
    answer = json.loads(page.request.get(f"{visits.server}/api/v1/plan?model=deepseek-v3&users=1000").text())
    assert sentence(page) == answer["sentence"]["en"]
    assert page.inner_text("#launch").strip() == answer["options"][0]["command"]
    for row, option in zip(page.locator("tr.option").all(), answer["options"], strict=False):
        words = row.inner_text()
        assert words.split()[0] == str(option["rank"])
        assert f"{option['gpus']} x {option['gpu_name']}" in words
        assert f"{option['max_concurrency_low']:,}" in words
        if option["ttft_s"] is not None:
            assert f"{option['ttft_s']:.2f}" in words
            assert f"{1000 * option['tpot_s']:.1f}" in words
            assert f"{option['output_tokens_per_s']:,.0f}" in words
    bar = page.locator("#answer svg").first
    assert f"{sum(option_bytes(answer)) / 1e9:.1f}" in bar.inner_html()


def option_bytes(answer: dict[str, object]) -> list[int]:
    """Items of the memory of the first option's fullest GPU."""
    option = answer["options"][0]  # type: ignore[index]
    return [each["bytes"] for each in option["items"]]


def test_each_formula_gives_the_figure_beside_it(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en")
    answer = json.loads(page.request.get(f"{visits.server}/api/v1/plan?{QWEN}").text())
    items = [each for each in answer["options"][0]["items"] if each["bytes"]]
    shown = page.locator("#why-memory .why").all()
    assert len(shown) == len(items)
    for why, item in zip(shown, items, strict=True):
        words = why.text_content() or ""
        assert item["formula"] in words
        assert f"{item['bytes'] / 2**30:,.2f} GiB" in words
        assert all(source in words for source in item["sources"])
    speeds = page.locator("#why-speed .why").all()
    assert len(speeds) == len(answer["options"][0]["speed"]["items"])


def test_a_command_is_copied(visits: Visits) -> None:
    page = visits.open(f"/?{QWEN}&lang=en", permissions=["clipboard-read", "clipboard-write"])
    page.click("[data-copy=launch]")
    assert page.evaluate("navigator.clipboard.readText()") == page.inner_text("#launch").strip()


def test_what_nothing_will_do_says_what_would_and_leads_there(visits: Visits) -> None:
    page = visits.open("/?model=deepseek-v3&users=1000&gpus=rtx4090-24gb&max_gpus=4&lang=en")
    assert page.locator("tr.option").count() == 0
    page.click("#answer a.state.button")
    expect(page.locator("tr.option")).to_have_count(1)
    assert page.input_value("#in-max_gpus") == ""
