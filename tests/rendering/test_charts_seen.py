"""Charts in a real browser: no text is cut, no two texts overlap, wide and on a phone, and a page that forbids inline styles shows them whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from charted import REQUESTS, charts_of, hostile, plan_of
from gpusizer.rendering.charts import stylesheet

if TYPE_CHECKING:
    from playwright.sync_api import Page

POLICY = "default-src 'none'; style-src 'self'"

# Texts that reach out of their picture, and pairs that share more than a hair's breadth.
FAULTS = """() => {
  const faults = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
    for (const [words, box] of texts)
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push('cut: ' + words);
    texts.forEach(([words, box], at) => texts.slice(at + 1).forEach(([others, other]) => {
      const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
      const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
      if (wide > 1 && high > box.height / 4) faults.push('overlap: ' + words + ' | ' + others);
    }));
  }
  return faults;
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def shown(page: Page, body: str, width: int, policy: str = "") -> None:
    page.set_viewport_size({"width": width, "height": 800})
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if policy else f"<style>{stylesheet()} body {{ margin: 0 }}</style>"
    page.set_content(f'<!doctype html><meta charset="utf-8">{head}<body>{body}</body>')


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", REQUESTS)
def test_no_text_is_cut_and_none_covers_another(page: Page, name: str, language: str) -> None:
    body = "".join(svg for _, svg in charts_of(plan_of(name), language))
    for width in (343, 640):
        shown(page, body, width)
        assert page.evaluate("document.querySelectorAll('svg text').length") > 20
        assert page.evaluate(FAULTS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_name_that_is_longer_than_the_picture_is_not_cut(page: Page, language: str) -> None:
    shown(page, "".join(svg for _, svg in charts_of(hostile(plan_of("middle")), language)), 343)
    assert page.evaluate(FAULTS) == []


def test_text_on_a_phone_is_large_enough_to_read(page: Page) -> None:
    shown(page, next(svg for _, svg in charts_of(plan_of("large"), "en")), 343)
    heights = page.evaluate("[...document.querySelectorAll('svg text')].map(each => each.getBoundingClientRect().height)")
    assert min(heights) >= 9


def test_a_page_without_inline_styles_shows_them_whole(page: Page) -> None:
    """Colours come from attributes, so that nothing is refused."""
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    shown(page, "".join(svg for _, svg in charts_of(plan_of("large"), "en")), 640, POLICY)
    fill = page.evaluate("getComputedStyle(document.querySelector('.gz-weights')).fill")
    assert fill == "rgb(31, 95, 168)"
    assert refused == []
