"""A real browser, and pages that it opens: whatever a test does, no page may complain or ask another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 60_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without what it does by itself over a network."""
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield started
        started.close()


ALIKE = [["tbody tr:nth-child(n+13)"], ["section.operation:nth-of-type(n+7)"]]  # rows and addresses further down are made like those above


def violations(page: Page, *, contrast: bool = True) -> list[str]:
    """What axe finds; the contrast of each text with its ground, which takes longer than all its other rules together, only where it is asked for."""
    options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": contrast}}}
    found = Axe().run(page, context={"exclude": ALIKE}, options=options).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found]


_VISIBLE = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!element.closest("[lang=en], script, code, pre, textarea, datalist, .hidden")) found.push(walker.currentNode.data);
  }
  return [...found, ...[...document.querySelectorAll("[placeholder]")].map((each) => each.placeholder)];
}"""


def english_sentences(page: Page) -> set[str]:
    """Names, units, flags and commands are the same in every language; three English words in a row are a sentence."""
    texts = page.evaluate(_VISIBLE)
    return {match for each in texts for match in re.findall(r"\b[a-z]{2,}(?:,? [a-z]{2,}){2,}", re.sub("`.*?`", "", each))}


class Visits:
    """Opens pages of one server, each in a context of its own, and watches them.

    Parameters
    ----------
    browser : Browser
        The browser.
    server : str
        Where the server answers.
    """

    def __init__(self, browser: Browser, server: str) -> None:
        self._browser = browser
        self.server = server
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, address: str = "/?lang=en", **options: Any) -> Page:
        """A page in a context of its own; ``options`` are those of a context."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address if address.startswith("http") else self.server + address)
        return page

    def strangers(self) -> list[str]:
        """Requests to anybody else."""
        own = urlsplit(self.server).netloc
        return [each for each in self.requests if urlsplit(each).netloc != own and urlsplit(each).scheme not in ("data", "blob")]

    def end(self) -> None:
        """Close every page; none may have complained or asked anybody else."""
        for context in self.contexts:
            context.close()
        assert self.complaints == []
        assert self.strangers() == []
