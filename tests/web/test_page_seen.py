"""How the page looks to those who read Chinese, see little, use a phone, or prefer the dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from visits import Visits, english_sentences, violations

STATES = {
    "answer": "",
    "targets": "model=deepseek-v3&users=1000&ttft_s=2s&tpot_s=50ms&market=cn-domestic",
    "own": "model=qwen3-32b&users=300&gpus=48GB,864GB/s,362TFLOPS&max_gpus=4&engine=vllm,sglang",
    "none": "model=deepseek-v3&users=1000&gpus=rtx4090-24gb&max_gpus=4",
}
NARROW = {"width": 375, "height": 700}


def opened(visits: Visits, query: str, language: str, **options: object) -> Page:
    """A page with everything unfolded."""
    page = visits.open(f"/?{query}{'&' if query else ''}lang={language}", **options)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return page


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [("en", "light", 1280), ("en", "dark", 1280), ("en", "light", 375), ("en", "dark", 375), ("zh", "dark", 1280), ("zh", "light", 375)],
)
def test_axe_finds_nothing(visits: Visits, language: str, scheme: str, width: int) -> None:
    page = opened(visits, STATES["answer"], language, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page, contrast=language == "en") == []  # colours follow the scheme and the width


@pytest.mark.parametrize("state", ["targets", "none"])
def test_axe_finds_nothing_in_other_states(visits: Visits, state: str) -> None:
    assert violations(opened(visits, STATES[state], "en")) == []


def test_axe_finds_nothing_where_something_is_wrong(visits: Visits) -> None:
    page = visits.open("/?lang=en")
    page.fill("#in-users", "x")
    page.wait_for_selector("#answer [role=alert]")
    assert violations(page) == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("state", STATES)
def test_a_phone_scrolls_down_and_not_aside_and_chinese_is_chinese(visits: Visits, state: str, language: str) -> None:
    page = opened(visits, STATES[state], language, viewport=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert language != "zh" or english_sentences(page) == set()


def test_on_a_phone_the_answer_is_on_the_first_screen(visits: Visits) -> None:
    page = visits.open("/?lang=en", viewport=NARROW)
    box = page.locator("#answer h1").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < NARROW["height"]
    page.click("#inputs > summary")
    assert page.is_visible("#in-users")
    assert page.is_visible(".now")


def test_the_page_prints_its_answer_without_its_inputs(visits: Visits) -> None:
    page = visits.open("/?lang=en")
    page.emulate_media(media="print")
    assert page.is_visible("#answer h1")
    assert page.is_visible("table.options")
    assert not page.is_visible("#ask")
