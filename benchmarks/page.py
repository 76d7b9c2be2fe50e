"""The page in a real browser: what the first view takes, and how long an edit takes to show its answer.

``python benchmarks/page.py [ADDRESS] [RUNS]`` with a server that runs (``gpusizer serve``) and the system's Chromium.
"""

from __future__ import annotations

import statistics
import sys
import time

from playwright.sync_api import Browser, sync_playwright

BARS = {"requests": 3, "kB": 100, "first paint, s": 0.1, "edit, s": 0.5}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SIZES = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map((each) => each.transferSize)"


def first_view(browser: Browser, address: str) -> dict[str, float]:
    """Requests, bytes and first paint of a visitor who was never here."""
    page = browser.new_page()
    page.goto(address, wait_until="networkidle")
    page.wait_for_function(PAINT)
    sizes = [each for each in page.evaluate(SIZES) if each]
    found = {"requests": float(len(sizes)), "kB": sum(sizes) / 1000, "first paint, s": page.evaluate(PAINT) / 1000}
    page.close()
    return found


def edit(browser: Browser, address: str, users: int) -> float:
    """From the last key to the answer. [s]"""
    page = browser.new_page()
    page.goto(address)
    began = time.perf_counter()
    page.fill("#in-users", str(users))
    page.wait_for_function("users => document.querySelector('#answer h1').textContent.includes(users)", arg=f"{users:,}")
    took = time.perf_counter() - began
    page.close()
    return took


def main(address: str = "http://127.0.0.1:8000/?lang=en", runs: str = "9") -> None:
    """Print medians beside their bars."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        views = [first_view(browser, address) for _ in range(int(runs))]
        found = {name: statistics.median(each[name] for each in views) for name in views[0]}
        fresh = int(time.time()) % 10_000  # users that nobody has asked for yet
        found["edit, s"] = statistics.median(edit(browser, address, 1000 + fresh + each) for each in range(int(runs)))
        browser.close()
    for name, value in found.items():
        print(f"{name:<16}{value:>8.3f}  at most {BARS[name]:g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
