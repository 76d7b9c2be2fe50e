"""What CONTRIBUTING promises of a new line of a ledger: totals, sections, ``explain``, JSON and the workbook know it without a change elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import toy_line
from gpusizer.architecture.load import load_architecture
from gpusizer.cli.main import main
from gpusizer.engines import get_engine, register, unregister
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.core import REGISTRY
from gpusizer.i18n import table
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.rendering.workbook import plan_workbook
from gpusizer.units import GB, MiB
from workbook_reader import Sheet, shown

FORMULA = REGISTRY.pop("toy.watchers")  # known in these tests only
START = Deployment("qwen3-30b-a3b", "h100-sxm-80gb", tp=2)
TOTAL = 81559 * MiB  # of that device, as nvidia-smi prints it
WATCHERS = 2 * 100 * MiB


@pytest.fixture(autouse=True)
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine with one more line, and the words of both languages."""
    monkeypatch.setitem(REGISTRY, FORMULA.id, FORMULA)
    for language, words in (("en", "watchers beside the engine"), ("zh", "引擎旁的监视进程")):
        monkeypatch.setitem(table("item", language), "toy_watchers", words)
    register(toy_line.DECLARED)
    yield
    unregister(toy_line.DECLARED.id)


def fit(engine: str) -> Fit:
    return get_engine(engine).fit(replace(START, engine=engine), load_architecture(START.model), accelerator(START.gpu))


def test_totals_hold_and_its_section_counts_it() -> None:
    plain, watched = (fit(engine).ranks[0].items for engine in ("vllm", "watched-vllm"))
    assert sum(item.bytes for item in watched) == sum(item.bytes for item in plain) == TOTAL
    without, with_it = per_gpu(plain), per_gpu(watched)
    assert sum(with_it.values()) == TOTAL
    differing = {name: with_it[name] - without[name] for name in with_it if with_it[name] != without[name]}
    assert sorted(differing.values()) == [-WATCHERS, WATCHERS]  # what it takes is no longer free, and nothing else moves
    assert differing["free_bytes"] == -WATCHERS


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("language", "words"), [("en", "watchers beside the engine"), ("zh", "引擎旁的监视进程")])
def test_fit_shows_it_in_words_and_json_carries_formula_and_inputs(capsys: pytest.CaptureFixture[str], language: str, words: str) -> None:
    start = ("fit", START.model, "--gpu", START.gpu, "--tp", "2", "--engine", "watched-vllm", "--language", language)
    assert words in answer(capsys, *start)
    found: dict[str, Any] = json.loads(answer(capsys, *start, "--format", "json"))
    lines = [item for item in found["items"] if item["id"] == "toy_watchers"]
    assert [(item["formula"], item["inputs"], item["bytes"]) for item in lines] == [
        ("toy.watchers", {"ranks": 2, "rank_bytes": 100 * MiB}, WATCHERS),
    ]
    assert sum(item["bytes"] for item in found["items"]) == found["per_gpu"]["device_total_bytes"] == TOTAL


def test_it_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    words = answer(capsys, "explain", "toy.watchers")
    assert "ranks*rank_bytes" in words
    assert "= 10 bytes" in words


def test_the_workbook_records_it_and_agrees_with_the_library(tmp_path: Path) -> None:
    plan = make_plan(Request(START.model, concurrency=20, engine="watched-vllm", gpus=("h100",)))
    assert plan.best is not None
    sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
    for tp in (1, 2, 4):
        sheet.set(in_tp=tp)
        rows = {row[0]: row for row in shown(sheet, sheet.sheets.index("Memory item by item"), columns=4)}
        found = get_engine("watched-vllm").fit(replace(plan.best.launch, tp=tp), plan.best.architecture, plan.best.accelerator)
        free = next(item.bytes for item in found.ranks[0].items if item.id == "free")
        assert rows["watchers beside the engine"][1] == f"{tp * 100 * MiB / GB:.3f} GB"
        assert rows["free"][1] == f"{free / GB:.3f} GB"
