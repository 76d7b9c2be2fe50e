"""Fixtures for all tests: the shared facts beside the checkout, skipped with a reason where they are absent."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from server_process import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from visits import Visits

# How fast a machine draws an example is no property of the product.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# What runs tests side by side tells its workers a screen that nobody watches; ours says its width where it matters.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
FAMILIES = ROOT / "tests" / "families.jsonl"
ENCODERS = ROOT / "tests" / "encoders.jsonl"
SHARED = ROOT.parent / "shared" / "data"
SHARED_ABSENT = "the measured facts in ../shared/data are not here: this check compares with them"


def shared_lines(name: str) -> list[dict[str, Any]]:
    """The records of one JSON-lines file of ../shared/data; an empty list where it is absent (so that parametrised tests can be collected)."""
    path = SHARED / name
    return lines_of(path) if path.exists() else []


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The records of one JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``shared`` where the facts are absent, and say so."""
    if SHARED.is_dir():
        return
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(pytest.mark.skip(reason=SHARED_ABSENT))


def pytest_collection_finish() -> None:
    """What is there when the first test starts, ten thousand tests among it, stays: whoever looks for garbage passes it by, and looks less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared facts."""
    if not SHARED.is_dir():
        pytest.skip(SHARED_ABSENT)
    return SHARED


@pytest.fixture(scope="session")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server, one for all tests of a run: a process of its own, on a free port, started in a folder that tempts it."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(scope="session")
def server(server_process: ServerProcess) -> str:
    """Where it answers: ``http://127.0.0.1:PORT``."""
    return server_process.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; for a module alone, as its loop of events keeps others from starting."""
    from visits import CHROMIUM, chromium

    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with chromium() as started:
        yield started


@pytest.fixture
def visits(browser: Browser, server: str) -> Iterator[Visits]:
    """Pages of one test; at its end none has complained, and nobody else was asked."""
    from visits import Visits

    found = Visits(browser, server)
    yield found
    found.end()
