"""The further pages in a real browser: nothing for axe, nothing wider than a phone, nothing in English on the Chinese pages, no other host."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from visits import Visits, english_sentences, violations

PAGES = {
    "fit": "/fit",
    "fit-no": "/fit?model=qwen3-14b&gpu=rtx4090-24gb&max-model-len=32k",
    "fit-empty": "/fit?model=qwen3-14b",
    "run-on": "/run-on",
    "run-on-answer": "/run-on?machine=rtx-4090&machine=l40s:4&use=code,vision",
    "run-on-none": "/run-on?machine=rtx3060-12gb&models=kimi-k2-instruct&host_memory=16GB",
    "diagnose": "/diagnose",
    "models": "/models?filter=deepseek",
    "model": "/models/deepseek-v3",
    "accelerators": "/accelerators?filter=h200",
    "accelerator": "/accelerators/b300-sxm-288gb",
    "engines": "/engines",
    "engine": "/engines/vllm",
    "scenarios": "/scenarios",
    "scenario": "/scenarios/rag-knowledge-base",
    "formulas": "/formulas?filter=kv_cache",
    "formula": "/formulas/memory.kv_cache.tokens",
    "accuracy": "/accuracy",
    "docs": "/docs",
}
NARROW = {"width": 375, "height": 700}
LOOKS = [("en", "light", 1280, 375), ("zh", "dark", 375, 1280)]  # each page once a language; then as wide as the other one saw it


def opened(visits: Visits, address: str, language: str, **options: object) -> Page:
    """A page with everything unfolded."""
    page = visits.open(f"{address}{'&' if '?' in address else '?'}lang={language}", **options)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return page


@pytest.mark.parametrize(("language", "scheme", "width", "other"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_nothing_scrolls_aside_and_chinese_is_chinese(
    visits: Visits, name: str, language: str, scheme: str, width: int, other: int
) -> None:
    page = opened(visits, PAGES[name], language, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page, contrast=True) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": other, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= other
    assert page.locator("h1").count() == 1
    assert page.locator("nav.pages [aria-current]").count() == (0 if name[:6] in ("engine", "scenar") else 1)
    assert language != "zh" or english_sentences(page) == set()


@pytest.mark.parametrize(
    "address",
    ["/nowhere", "/models/nobody-knows-this", "/fit?command=vllm+serve+nobody&gpu=h200", "/run-on?machine=here", "/accelerators?memory=much"],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_where_something_is_wrong(visits: Visits, address: str, language: str) -> None:
    page = opened(visits, address, language, viewport=NARROW)
    assert violations(page, contrast=language == "en") == []
    assert page.is_visible("[role=alert]")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    visits.complaints = [each for each in visits.complaints if "status of 4" not in each]  # the browser's own remark on 404 and 422


def test_a_remedy_is_one_click_away(visits: Visits) -> None:
    page = visits.open("/fit?lang=en&command=vllm+serve+Qwen%2FQwen3-14B&gpu=rtx4090-24gb")
    assert page.get_attribute("[data-verdict]", "data-verdict") == "no"
    page.click(".remedies a >> nth=0")
    page.wait_for_selector("[data-verdict=yes]")
    assert page.input_value("#in-command") == "vllm serve Qwen/Qwen3-14B"


def test_a_form_asks_for_what_was_filled_in_and_its_address_stays_short(visits: Visits) -> None:
    page = visits.open("/fit?lang=en&model=qwen3-14b")
    assert page.get_attribute("[data-verdict]", "data-verdict") == "none"
    page.fill("#in-gpu", "h100")
    page.fill("[name='max-model-len']", "8k")
    page.click("button[type=submit].main")
    page.wait_for_selector("[data-verdict=yes]")
    assert page.url.endswith("/fit?lang=en&engine=vllm&model=qwen3-14b&gpu=h100&max-model-len=8k")
    page.click("nav.engines >> text=SGLang")
    page.wait_for_selector("[name='context-length']")
    assert page.input_value("[name='context-length']") == "8k"


def test_a_command_becomes_a_form_and_a_form_a_command(visits: Visits) -> None:
    page = visits.open("/fit?lang=en")
    sentence = page.inner_text("h1")
    page.click("text=Fill in a form")
    page.wait_for_selector("[name='tensor-parallel-size']")
    assert page.inner_text("h1") == sentence
    assert page.input_value("[name='tensor-parallel-size']") == "8"
    page.click("text=Paste a launch command")
    page.wait_for_selector("#in-command")
    assert page.inner_text("h1") == sentence


LOG = """vLLM API server version 0.11.0
Model loading took 61.0400 GiB and 20.8 seconds
Available KV cache memory: -0.72 GiB
ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.
"""


@pytest.mark.parametrize(("language", "scheme", "width", "other"), LOOKS)
def test_a_log_is_pasted_and_answered(visits: Visits, language: str, scheme: str, width: int, other: int) -> None:
    page = visits.open(f"/diagnose?lang={language}", color_scheme=scheme, viewport={"width": width, "height": 900})
    page.fill("#in-log", LOG)
    page.fill("#in-model", "Qwen/Qwen2.5-32B-Instruct")
    page.fill("#in-gpu", "a100-sxm-80gb")
    page.click("button[type=submit].main")
    page.wait_for_selector("[data-verdict=no]")
    assert page.locator("main table").count() == 2
    assert page.input_value("#in-log").strip() == LOG.strip()
    assert violations(page) == []
    assert language != "zh" or english_sentences(page) <= {"available memory for the cache blocks", "when initializing the engine"}
    for each in (width, other):
        page.set_viewport_size({"width": each, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= each


def test_a_line_of_the_ledger_opens_its_formula(visits: Visits) -> None:
    page = visits.open("/fit?lang=en")
    page.click("table.ledger >> text=KV cache pool")
    assert [each.split(" · ")[0] for each in page.locator("details[open] > summary").all_inner_texts()] == ["KV cache pool"]


def test_the_pages_work_without_a_script(visits: Visits) -> None:
    page = visits.open("/models?lang=en", java_script_enabled=False)
    page.fill("#filter", "kimi")
    page.press("#filter", "Enter")
    page.wait_for_url("**filter=kimi**")
    page.click("thead a >> nth=1")
    page.wait_for_url("**sort=total**")
    assert page.locator("tbody tr").count() > 3


def test_what_runs_is_asked_with_keys_alone_and_leads_to_its_start(visits: Visits) -> None:
    page = visits.open("/run-on?lang=en", java_script_enabled=False)
    assert page.get_attribute("[data-verdict]", "data-verdict") == "none"
    assert page.locator("main table").count() == 0
    page.focus("#in-machine-1")
    page.keyboard.type("RTX 4090")
    page.keyboard.press("Tab")
    page.keyboard.type("2")
    page.check("[name=use][value=code]")
    page.focus("#in-machine-1")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-verdict=yes]")
    assert "2 x RTX 4090" in page.inner_text("h1")
    assert page.locator("main table").count() == 1
    page.click("summary >> text=Launch commands")
    command = page.inner_text("#command-1-1")
    page.click("main table tbody th a >> nth=0")
    page.wait_for_selector("#launch-command")
    assert page.get_attribute("[data-verdict]", "data-verdict") == "yes"
    assert page.inner_text("#launch-command") == command


def test_the_form_of_what_runs_keeps_its_address_short_and_what_was_typed(visits: Visits) -> None:
    page = visits.open("/run-on?lang=en")
    page.fill("#in-machine-1", "l40s")
    page.fill("#in-count-1", "4")
    page.fill("[name=users]", "50")
    page.check("[name=use][value=embedding]")
    page.click("button[type=submit].main")
    page.wait_for_selector("[data-verdict=yes]")
    assert page.url.endswith("/run-on?lang=en&machine=l40s&count=4&users=50&use=embedding")
    page.click("#question > summary")
    assert [page.input_value(f"#in-{name}") for name in ("machine-1", "count-1", "users", "machine-2")] == ["l40s", "4", "50", ""]
    assert page.is_checked("[name=use][value=embedding]")
    page.click("a[data-language=zh]")
    page.wait_for_selector("html[lang=zh-CN]")
    assert page.get_attribute("[data-verdict]", "data-verdict") == "yes"
