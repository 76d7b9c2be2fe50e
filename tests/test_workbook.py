"""The workbook, recalculated by an engine that is not ours, says what the library says, for any choice of its drop-downs."""

from __future__ import annotations

import html
import io
import json
import random
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ironcalc
import openpyxl
import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.article.answer import article_of
from gpusizer.article.model_figures import cache_figures
from gpusizer.cli.main import main
from gpusizer.cli.output import deliver_bytes
from gpusizer.engines import account_sheet, get_engine
from gpusizer.engines.base.device_support import device_support
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry, model_ids, scenario, scenarios
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import concurrent_requests, replicas_needed
from gpusizer.i18n import text
from gpusizer.performance.predict import Load, predict
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.search import held_range
from gpusizer.planning.types import Plan
from gpusizer.rendering.workbook import catalogue_workbook, plan_workbook
from gpusizer.rendering.workbook.build import build
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES
from gpusizer.rendering.workbook.sheets.start import Beginning
from gpusizer.rendering.workbook.tables.gather import KV_PRECISIONS, PRECISIONS, Source, gather
from gpusizer.units import GiB

DASH = "–"
NAMES = {
    "in_model", "in_precision", "in_kv_precision", "in_users", "in_active_share", "in_concurrency", "in_input_tokens", "in_output_tokens", "in_gpu",
    "in_tp", "in_pp", "out_sentence", "out_concurrency", "out_total_params", "out_weights_bytes", "out_kv_cache_bytes_per_token",
    "out_kv_cache_tokens", "out_max_concurrency", "out_fits", "out_gpus", "out_article_total_bytes", "out_article_bytes_per_user",
}  # fmt: skip
ENGINE = get_engine("vllm")
Value = Any


class Sheet:
    """A workbook in ironcalc: inputs are set and results read by their defined names."""

    def __init__(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        self.model = ironcalc.load_from_xlsx(str(path), "en", "UTC", "en")
        self.sheets = [each["name"] for each in self.model.get_worksheets_properties()]
        self.visible = [place for place, each in enumerate(self.model.get_worksheets_properties()) if each["state"] == "visible"]
        self.names = {each["name"]: self._place(each["formula"]) for each in self.model.get_defined_name_list() if each["name"][:3] in ("in_", "out")}

    def _place(self, reference: str) -> tuple[int, int, int]:
        sheet, _, cell = reference.lstrip("=").rpartition("!")
        _, letters, row = cell.split("$")
        column = 0
        for letter in letters:
            column = 26 * column + ord(letter) - 64
        return self.sheets.index(sheet.strip("'").replace("''", "'")), int(row), column

    def set(self, **inputs: Value) -> None:
        """Change inputs and recalculate."""
        for name, value in inputs.items():
            self.model.set_user_input(*self.names[name], "" if value is None else str(value))
        self.model.evaluate()

    def get(self, name: str) -> Value:
        """A result."""
        return self.model.get_cell_value(*self.names[name])

    def errors(self) -> list[tuple[int, int, int, str]]:
        """Cells of visible sheets that show an error."""
        found = []
        for place in self.visible:
            for row in range(1, 140 if place else 60):
                for column in range(1, 13):
                    value = self.model.get_cell_value(place, row, column)
                    if isinstance(value, str) and re.fullmatch(r"#(N/A|NAME\?|REF!|DIV/0!|VALUE!|NUM!|NULL!|ERROR!|CIRC!)", value):
                        found.append((place, row, column, value))
        return found


@pytest.fixture(scope="module")
def content() -> bytes:
    return catalogue_workbook("en")


@pytest.fixture(scope="module")
def sheet(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return Sheet(content, tmp_path_factory.mktemp("workbook") / "all.xlsx")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(Request("deepseek-v3", users=1000))


@pytest.fixture(scope="module")
def plan_zh(plan: Plan) -> bytes:
    return plan_workbook(plan, "zh", date(2026, 11, 5))


@pytest.fixture(scope="module")
def plan_en(plan: Plan) -> bytes:
    return plan_workbook(plan, "en", date(2026, 11, 5))


@pytest.fixture
def bid(plan_en: bytes, tmp_path: Path) -> Sheet:
    return Sheet(plan_en, tmp_path / "plan.xlsx")


@dataclass(frozen=True)
class Case:
    """One choice of every drop-down."""

    model: str
    precision: str
    kv: str
    gpu: str
    tp: int
    pp: int
    whole: bool
    concurrency: int | None
    users: int
    share: float
    input_tokens: int
    output_tokens: int

    def inputs(self) -> dict[str, Value]:
        """As the sheet takes it."""
        return {
            "in_model": self.model,
            "in_precision": self.precision,
            "in_kv_precision": self.kv,
            "in_gpu": self.gpu,
            "in_tp": self.tp,
            "in_pp": self.pp,
            "in_whole_experts": "yes" if self.whole else "no",
            "in_concurrency": self.concurrency,
            "in_users": self.users,
            "in_active_share": self.share,
            "in_input_tokens": self.input_tokens,
            "in_output_tokens": self.output_tokens,
            "in_memory_fraction": None,
            "in_replicas": None,
        }


def kinds_first() -> list[str]:
    """Models of the catalogue, first one of each kind of blocks, formats and sharing, then the others by chance."""
    chance, seen = random.Random(7), set()
    first: list[str] = []
    others: list[str] = []
    models = list(model_ids())
    chance.shuffle(models)
    for id in models:
        architecture = load_architecture(id)
        blocks = {type(block).__name__ for layer in architecture.layers for block in (*layer.mixers, *layer.feed_forwards)}
        kind = (*sorted(blocks), architecture.dtype, architecture.quantization.method, bool(architecture.head), bool(architecture.mtp))
        (others if kind in seen else first).append(id)
        seen.add(kind)
    return first + others


def cases(count: int, seed: int) -> Iterator[Case]:
    """Random choices in which every kind of model and nearly every device appears."""
    chance = random.Random(seed)
    models, gpus = kinds_first(), [each.id for each in accelerators()]
    chance.shuffle(gpus)
    for number in range(count):
        yield Case(
            models[number % len(models)],
            chance.choice(PRECISIONS),
            chance.choice(KV_PRECISIONS),
            gpus[number % len(gpus)],
            chance.choice((1, 2, 4, 8, 8, 8, 16)),
            chance.choice((1, 1, 1, 1, 2, 3, 4, 8, 13, 16)),
            chance.random() < 0.3,
            chance.choice((None, 1, 7, 64, 1000)),
            chance.choice((1, 50, 1000, 250000)),
            chance.choice((0.01, 0.02, 0.07, 1)),
            chance.choice((0, 1, 16, 700, 2048, 12035, 120000)),
            chance.choice((1, 28, 2000, 8192)),
        )


def verdict(case: Case) -> tuple[Fit, Deployment, bool]:
    """The library's verdict, on the engine's share of the card or on the largest that is free; and whether model and layout are possible at all."""
    architecture, device = with_precision(load_architecture(case.model), case.precision), accelerator(case.gpu)
    context = case.input_tokens + case.output_tokens
    ep = case.tp if case.whole else 1
    start = Deployment(case.model, case.gpu, case.tp, case.pp, ep=ep, precision=case.precision, kv_precision=case.kv, max_model_len=context)
    fit = ENGINE.fit(start, architecture, device)
    if fit.reason is not None and fit.reason.code == "budget-above-free":
        start = replace(start, memory_fraction=max(floor_div(100 * fit.reason.parameters["free_bytes"], device.memory_bytes) / 100, 0))
        fit = ENGINE.fit(start, architecture, device)
    possible = device_support("vllm", architecture, device).refusal is None and bool(fit.quantities)
    return fit, start, possible


def expected(case: Case) -> dict[str, Value]:
    """Every result by the library."""
    architecture = with_precision(load_architecture(case.model), case.precision)
    context = case.input_tokens + case.output_tokens
    concurrency = case.concurrency or concurrent_requests(users=case.users, active_share=case.share)
    fit, _, possible = verdict(case)
    _, low = held_range(fit) if possible else (0, 0)
    article = article_of(architecture, model_entry(case.model), case.precision, concurrency, context)
    assert article is not None
    found: dict[str, Value] = {
        "out_concurrency": concurrency,
        "out_total_params": load_architecture(case.model).parameters.total,
        "out_kv_cache_bytes_per_token": cache_figures(architecture, case.kv)[0],
        "out_article_total_bytes": article.total_bytes,
        "out_article_bytes_per_user": article.bytes_per_user,
        "out_fits": possible and fit.fits,
        "out_gpus": DASH,
        "out_replicas": DASH,
    }
    if not possible:
        return found | dict.fromkeys(("out_weights_bytes", "out_kv_cache_tokens", "out_max_concurrency", "out_held_requests"), DASH)
    if fit.fits and low >= 1:
        replicas = replicas_needed(concurrency=concurrency, held=low)
        found |= {"out_gpus": case.tp * case.pp * replicas, "out_replicas": replicas}
    return found | {
        "out_weights_bytes": per_gpu(fit.ranks[fit.worst].items)["weights_bytes"],
        "out_kv_cache_tokens": fit.kv_cache.tokens,
        "out_max_concurrency": fit.max_concurrency,
        "out_held_requests": low,
    }


def differs(found: Value, wanted: Value) -> bool:
    """Bytes and counts are equal, other numbers to nine digits."""
    if isinstance(wanted, str | bool) or isinstance(found, str | bool):
        return found is not wanted and found != wanted
    if isinstance(wanted, int):
        return bool(found != wanted)
    return bool(abs(found - wanted) > 1e-9 * abs(wanted))


def differences(sheet: Sheet, case: Case) -> list[str]:
    """Results of the sheet that the library does not give."""
    sheet.set(**case.inputs())
    return [
        f"{name}: {sheet.get(name)!r}, the library {wanted!r}, {case}" for name, wanted in expected(case).items() if differs(sheet.get(name), wanted)
    ]


def test_every_result_equals_the_library_for_random_choices(sheet: Sheet) -> None:
    wrong: list[str] = []
    for case in cases(96, seed=11):
        wrong += differences(sheet, case)
        if not wrong and sheet.names:
            wrong += [f"{error} {case}" for error in sheet.errors()]
        assert len(wrong) < 5, wrong
    assert not wrong


def test_a_broken_cell_is_caught_by_the_same_comparison(content: bytes, tmp_path: Path) -> None:
    broken = Sheet(content, tmp_path / "broken.xlsx")
    case = Case("deepseek-v3", "checkpoint", "auto", "h200-sxm-141gb", 8, 1, False, 10, 1000, 0.01, 48, 2000)
    assert not differences(broken, case)
    parts = broken.sheets.index("Parts")
    for row in range(2, 2200):
        for column in range(2, 40):
            value = broken.model.get_cell_value(parts, row, column)
            if isinstance(value, float) and value > 10**9:
                broken.model.set_user_input(parts, row, column, str(value + 1))
    assert any(line.startswith("out_weights_bytes") for line in differences(broken, case))


def test_the_reason_is_the_library_s_own(sheet: Sheet) -> None:
    illegal = Case("deepseek-v3", "checkpoint", "auto", "h200-sxm-141gb", 1, 1, False, 10, 1000, 0.01, 48, 2000)
    for case in (
        illegal,
        replace(illegal, model="qwen3-235b-a22b-fp8", tp=8),
        replace(illegal, model="qwen3-32b", whole=True, tp=8),
        replace(illegal, model="qwen3-0.6b", tp=16, pp=16),
        replace(illegal, model="llama-3.2-1b", pp=16, tp=1, gpu="h100-sxm-80gb", precision="bf16"),
    ):
        sheet.set(**case.inputs())
        fit, _, _ = verdict(case)
        if fit.reason is None:
            assert sheet.get("out_fits") is True
        elif fit.reason.code not in ("context-too-long",):
            assert text("reason", fit.reason.code, "en", **fit.reason.parameters) in sheet.get("out_sentence")
    old = replace(illegal, model="qwen3-32b-fp8", gpu="v100-sxm-16gb")
    sheet.set(**old.inputs())
    refusal = device_support("vllm", load_architecture(old.model), accelerator(old.gpu)).refusal
    assert refusal is not None
    assert text("reason", refusal.code, "en", **refusal.parameters) in sheet.get("out_sentence")
    sheet.set(in_model="no such model")
    assert "yellow cell" in sheet.get("out_sentence")
    assert sheet.get("out_fits") is False
    assert sheet.get("out_gpus") == DASH
    assert not sheet.errors()


def smallest(case: Case, gpu: str) -> tuple[int, int] | None:
    """(GPUs, requests that one replica holds) of the best candidate on a device, by the library."""
    device = accelerator(gpu)
    found = []
    for tp, pp in CANDIDATES:
        if tp > (device.devices_per_node or 8):
            continue
        for whole in (False, True):
            fit, _, possible = verdict(replace(case, gpu=gpu, tp=tp, pp=pp, whole=whole))
            if device_support("vllm", with_precision(load_architecture(case.model), case.precision), device).refusal is not None:
                return None
            if not possible:
                continue
            _, low = held_range(fit)
            if fit.fits and low >= 1:
                replicas = replicas_needed(concurrency=case.concurrency or 1, held=low)
                found.append((tp * pp * replicas, replicas, low))
            break
    return (min(found)[0], min(found)[2]) if found else None


@pytest.mark.parametrize(
    ("model", "precision", "kv", "concurrency", "tokens"),
    [
        ("deepseek-v3", "checkpoint", "auto", 10, 2048),
        ("qwen3-235b-a22b-fp8", "checkpoint", "fp8", 300, 9000),
        ("gpt-oss-120b", "checkpoint", "auto", 64, 33000),
        ("qwen3-32b", "int4", "auto", 1, 4096),
        ("deepseek-v4-flash", "checkpoint", "auto", 100, 100000),
    ],
)
def test_the_sheet_of_accelerators_equals_the_library(sheet: Sheet, model: str, precision: str, kv: str, concurrency: int, tokens: int) -> None:
    case = Case(model, precision, kv, "h200-sxm-141gb", 8, 1, False, concurrency, 1, 1, tokens - 1, 1)
    sheet.set(**case.inputs())
    place = sheet.sheets.index("GPUs")
    seen = 0
    for number, device in enumerate(accelerators()):
        if number % 5 != tokens % 5:
            continue
        row = number + 5
        assert sheet.model.get_cell_value(place, row, 2) == device.id
        wanted = smallest(case, device.id)
        gpus, held = (sheet.model.get_cell_value(place, row, column) for column in (5, 8))
        assert (gpus, held) == (wanted or (DASH, DASH)), device.id
        seen += wanted is not None
    assert seen > 3


def test_the_article_s_example_and_int8_with_fifty_users(sheet: Sheet) -> None:
    sheet.set(in_model="deepseek-v3", in_precision="fp16", in_concurrency=10, in_input_tokens=48, in_output_tokens=2000)
    assert sheet.get("out_article_total_bytes") == 105_834_767_360
    assert sheet.get("out_article_bytes_per_user") == 3_183_476_736
    sheet.set(in_precision="int8", in_concurrency=50)
    assert sheet.get("out_article_total_bytes") == 37_000_000_000 + 50 * 3_183_476_736 // 2
    assert sheet.get("out_total_params") == 671_026_404_352


def test_an_empty_input_takes_the_scenario_s_figure(sheet: Sheet) -> None:
    empty = dict.fromkeys(("in_users", "in_active_share", "in_concurrency", "in_input_tokens", "in_output_tokens"))
    for use in scenarios():
        sheet.set(in_model="qwen3-8b", in_precision="checkpoint", in_scenario=use.id, **empty)
        typical = scenario(use.id)
        assert sheet.get("out_concurrency") == concurrent_requests(users=typical.users, active_share=typical.active_share)
        assert not sheet.errors()


def test_the_file(content: bytes) -> None:
    assert len(content) < 2_000_000
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = archive.namelist()
    assert not [name for name in names if "vba" in name.lower() or "externalLink" in name]
    for name in names:
        if name.startswith("xl/worksheets/sheet"):
            formulas = re.findall(r"<f>(.*?)</f>", archive.read(name).decode())
            assert not [each for each in formulas if re.search(r"XLOOKUP|\bLET\(|LAMBDA|INDIRECT|OFFSET\(|NOW\(|TODAY\(|RAND|_xlfn|\[", each)]
    book = archive.read("xl/workbook.xml").decode()
    assert set(re.findall(r'<definedName name="(\w+)"', book)) >= NAMES
    sheets = [archive.read(name).decode() for name in names if name.startswith("xl/worksheets/sheet")]
    hidden = book.count('state="hidden"')
    assert sum('<sheetProtection sheet="1"' in each for each in sheets) == len(sheets) > hidden > 5
    assert not [each for each in sheets if "password" in each]
    assert archive.read("xl/worksheets/sheet1.xml").decode().count("<dataValidation ") >= 16


CELL = re.compile(r"<c ([^>]*?)(?:/>|>(.*?)</c>)", re.DOTALL)


def cells(content: bytes) -> Iterator[tuple[str, str, bool, Value]]:
    """(sheet, cell, whether it is a formula, stored value) of every cell that has one; another reader would take ten times as long."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    book, links = archive.read("xl/workbook.xml").decode(), archive.read("xl/_rels/workbook.xml.rels").decode()
    targets = {re.search(r'Id="(.*?)"', each)[1]: re.search(r'Target="(.*?)"', each)[1] for each in re.findall(r"<Relationship .*?/>", links)}  # type: ignore[index]
    strings: list[str] = []
    if "xl/sharedStrings.xml" in archive.namelist():
        for each in ElementTree.fromstring(archive.read("xl/sharedStrings.xml")):
            strings.append("".join(each.itertext()))
    for name, link in re.findall(r'<sheet name="(.*?)".*?r:id="(.*?)"', book):
        for attributes, inner in CELL.findall(archive.read("xl/" + targets[link].removeprefix("/xl/")).decode()):
            place, kind = re.search(r'r="(\w+)"', attributes)[1], re.search(r't="(\w+)"', attributes)  # type: ignore[index]
            value = re.search(r"<v[^>]*>(.*?)</v>", inner, re.DOTALL)
            if value is not None:
                yield html.unescape(name), place, "<f" in inner, _value(html.unescape(value[1]), kind[1] if kind else "n", strings)


def _value(words: str, kind: str, strings: list[str]) -> Value:
    match kind:
        case "s":
            return strings[int(words)]
        case "b":
            return words == "1"
        case "n":
            return float(words) if words else ""
    return words


def stored_values(content: bytes) -> dict[tuple[str, str], Value]:
    """What the file itself says that its formulas give."""
    return {(sheet, place): value for sheet, place, computed, value in cells(content) if computed}


def wrong_values(stored: dict[tuple[str, str], Value], found: dict[tuple[str, str], Value]) -> list[tuple[str, str, Value, Value]]:
    """Formulas whose stored value is not what a recalculation gives.

    On a technical sheet a width of a band may round by one byte. Between the rounds of a fixed point stand differences of nearly equal numbers: what
    comes of them is compared on the sheets that show it.
    """
    wrong = []
    for (name, cell), value in stored.items():
        if name == "Pace":
            continue
        other = found.get((name, cell), "")
        close = name == "Calc" and isinstance(value, int | float) and isinstance(other, int | float) and abs(other - value) <= 1
        if (value or 0) != (other or 0) and differs(other, value) and not close:
            wrong.append((name, cell, value, other))
    return wrong


def test_stored_values_are_those_of_a_recalculation(plan_zh: bytes, tmp_path: Path) -> None:
    other = plan_workbook(make_plan(Request("gemma-3-27b-it", concurrency=40, context_tokens=9000, precision="fp8", gpus=("l40s",))), "zh")
    for content in (plan_zh, other):
        sheet = Sheet(content, tmp_path / "plan.xlsx")
        sheet.model.evaluate()
        stored, found = stored_values(content), {}
        for name, cell in stored:
            letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
            found[name, cell] = sheet.model.get_cell_value(*sheet._place(f"'{name}'!${letters}${row}"))
        assert not wrong_values(stored, found)[:5]


def test_a_plan_opens_with_its_own_answer(bid: Sheet, plan: Plan, tmp_path: Path) -> None:
    other = make_plan(Request("qwen3-235b-a22b-fp8", concurrency=20, gpus=("h20-sxm-96gb",)))
    for sheet, made in ((bid, plan), (Sheet(plan_workbook(other, "en"), tmp_path / "other.xlsx"), other)):
        best = made.best
        assert best is not None
        assert sheet.get("in_gpu") == best.accelerator.id
        assert sheet.get("out_gpus") == best.gpus
        assert sheet.get("out_kv_cache_tokens") == best.fit.kv_cache.tokens
        assert best.accelerator.name in sheet.get("out_sentence")


def test_an_engine_s_version_is_fixed_when_the_workbook_is_written(tmp_path: Path) -> None:
    plan = make_plan(Request("qwen3-30b-a3b", concurrency=20, engine_version="0.28.1"))
    assert plan.best is not None
    sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
    assert sheet.get("out_kv_cache_tokens") == plan.best.fit.kv_cache.tokens
    for engine, release in (("vllm", "0.19"), ("transformers", None)):
        with pytest.raises(FlagError):
            plan_workbook(make_plan(Request("qwen3-30b-a3b", concurrency=20, engine=engine, engine_version=release)), "en")


def shown(sheet: Sheet, place: int = 0, rows: int = 70, columns: int = 14) -> list[list[str]]:
    """A sheet as people see it."""
    return [[sheet.model.get_formatted_cell_value(place, row, column) for column in range(1, columns)] for row in range(1, rows)]


def test_the_first_page_shows_what_the_library_says(bid: Sheet, plan: Plan) -> None:
    bid.model.evaluate()
    best = plan.best
    assert best is not None
    assert best.performance is not None
    assert best.cost is not None
    assert best.purchase is not None
    page = shown(bid)
    beside = {row[5]: row[6] for row in page if row[5]} | {row[1]: row[2] for row in page if row[1]}
    sums, speed = per_gpu(best.fit.ranks[best.fit.worst].items), best.performance
    assert beside["Verdict"] == "fits"
    assert beside["GPUs needed"] == f"{best.gpus}"
    assert beside["Does the layout start?"] == "yes"
    assert beside["Time to first token (TTFT)"] == f"{speed.ttft_s.value:.2f} s"
    assert beside["Time per output token (TPOT)"] == f"{1000 * speed.tpot_s.value:.1f} ms"
    assert beside["Speed of all together"] == f"{speed.output_tokens_per_s.value:,.0f} tok/s"
    assert beside["Speed that one user sees"] == f"{1 / speed.tpot_s.value:.1f} tok/s"
    assert beside["Cost per hour"] == f"{best.cost.amount:,.2f}"
    assert beside["Purchase of the GPUs"] == f"{best.purchase.amount:,.0f}"
    assert beside["Rent of a million output tokens"] == f"{best.cost_per_million_tokens:,.2f}"
    assert beside["Power of the GPUs"] == f"{best.gpus * (best.accelerator.tdp_w or 0) / 1000:,.1f} kW"
    assert beside["Energy of a million output tokens"] == f"{best.energy_per_million_tokens_kwh:,.2f} kWh"
    assert beside["Weights on one GPU"] == f"{sums['weights_bytes'] / GiB:,.1f} GiB"
    assert beside["Parameters"] == "671.0 B"
    for part, words in (("weights_bytes", "weights"), ("kv_cache_pool_bytes", "KV cache"), ("free_bytes", "free")):
        assert beside[words] == f"{sums[part] / GiB:,.1f}"
    top = next(number for number, row in enumerate(page) if row[1].startswith("Runners-up"))
    for option, row in zip(plan.options[1:6], page[top + 2 :], strict=False):
        assert option.performance is not None
        assert [row[1], row[3]] == [option.accelerator.name, str(option.gpus)]
        assert row[6] == f"{option.performance.output_tokens_per_s.value:,.0f} tok/s"
    assert [bid.get(name) for name in ("in_title", "in_customer")] == ["GPU sizing: DeepSeek-V3", None]
    assert page[1][6] == "2026-11-05"
    assert {word for row in page for word in (row[1][:4], row[5][:4])} >= {"TTFT", "TPOT", "TP: ", "PP: ", "EP: "}


def test_other_inputs_have_other_runners_up(bid: Sheet) -> None:
    bid.set(in_users=30000)
    page, devices = shown(bid), shown(bid, bid.sheets.index("GPUs"), 120)[4:]
    top = next(number for number, row in enumerate(page) if row[1].startswith("Runners-up"))
    announced = [row[0] for row in devices if "(announced)" in row[0]]
    assert len(announced) == sum(each.status == "announced" for each in accelerators()) > 0
    able = [row for row in devices if row[4].replace(",", "").isdecimal() and row[1] != bid.get("in_gpu") and row[0] not in announced]
    able.sort(key=lambda row: int(row[4].replace(",", "")))
    assert [(row[1], row[3]) for row in page[top + 2 : top + 7]] == [(row[0], row[4]) for row in able[:5]]
    assert bid.get("out_ttft_s") != DASH


def test_times_and_rates_are_the_library_s_for_any_load_layout_and_device(tmp_path: Path) -> None:
    chance, names = random.Random(3), ("ttft_s", "tpot_s", "output_tokens_per_s")
    gpus = [each.id for each in accelerators()]
    seen, regimes = 0, set()
    for model in ("gpt-oss-120b", "deepseek-v4-flash"):
        made = make_plan(Request(model, concurrency=32, gpus=("h200",)))
        assert made.best is not None
        architecture, sheet = made.best.architecture, Sheet(plan_workbook(made, "en"), tmp_path / "plan.xlsx")
        for number in range(18):
            tokens = chance.choice(((100, 200), (4000, 1), (20000, 700), (1, 2000)))
            case = Case(
                model, "checkpoint", "auto", chance.choice(gpus) if number else "h200-sxm-141gb", chance.choice((1, 2, 4, 8, 16)),
                chance.choice((1, 1, 2, 4, 8)), chance.random() < 0.4, chance.choice((1, 7, 64, 1000, 20000)), 1, 1, *tokens,
            )  # fmt: skip
            fixed = chance.choice((None, None, 1, 3))
            sheet.set(**case.inputs() | {"in_replicas": fixed})
            fit, start, possible = verdict(case)
            found, device = [sheet.get(f"out_{name}") for name in names], accelerator(case.gpu)
            if not (possible and fit.fits and device.bandwidth_bytes_per_s):
                assert found == [DASH] * 3, case
                continue
            replicas = fixed or sheet.get("out_replicas")
            load = Load(input_tokens=case.input_tokens, output_tokens=case.output_tokens, concurrency=case.concurrency)
            wanted = predict(architecture, device, start, load, replicas=1 if replicas == DASH else int(replicas), fit=fit)
            assert found == pytest.approx([getattr(wanted, name).value for name in names], rel=1e-9), case
            band = sheet.model.get_formatted_cell_value(sheet.sheets.index("Speed"), 6, 3)
            assert band == f"{wanted.output_tokens_per_s.low:,.0f} – {wanted.output_tokens_per_s.high:,.0f}", case
            seen += 1
            regimes.add(wanted.regime)
    assert seen > 15
    assert regimes == {"steady", "cache-limited"}


def test_another_precision_has_no_times_and_the_plan_s_options_only_its_own_load(bid: Sheet, plan: Plan) -> None:
    best, speeds = plan.best, bid.sheets.index("Speed")
    assert best is not None
    for change in ({"in_users": 2000}, {"in_output_tokens": 10}, {"in_precision": "int4"}):
        bid.set(**change)
        assert (bid.get("out_tpot_s") == DASH) == ("in_precision" in change)
        assert bid.model.get_cell_value(speeds, 9, 5) == DASH
        assert not bid.errors()
        bid.set(in_users=1000, in_output_tokens=2000, in_precision="checkpoint")
        assert bid.model.get_cell_value(speeds, 9, 1) == best.accelerator.name
        assert bid.model.get_cell_value(speeds, 9, 5) == pytest.approx(best.performance.ttft_s.value if best.performance else None)


def test_no_sheet_shows_long_numbers_truth_values_or_sources_that_nobody_can_look_up(
    plan: Plan, plan_zh: bytes, content: bytes, tmp_path: Path
) -> None:
    sheet = Sheet(plan_zh, tmp_path / "plan.xlsx")
    sheet.model.evaluate()
    seen = set()
    for place in sheet.visible:
        for row in shown(sheet, place, 200):
            for words in row:
                assert not re.fullmatch(r"TRUE|FALSE|-?\d{10,}(\.\d+)?|-?\d{1,3}(,\d{3}){3,}(\.\d+)?", words), words
                seen.add(words)
    assert {"是", "可行", "671.0 B", "79.6 GiB"} <= seen
    for name, file in (("来源", plan_zh), ("Sources", content)):
        sources = [value for title, _, _, value in cells(file) if title == name and isinstance(value, str)]
        assert len(sources) > 50
        assert not [value for value in sources if "from memory" in value or "unverified" in value]
    own = {value for title, _, _, value in cells(plan_zh) if title == "来源"}
    assert model_entry("deepseek-v3").config_source in own
    assert not own & {model_entry(id).config_source for id in model_ids() if id != "deepseek-v3"} - {model_entry("deepseek-v3").config_source}
    assert plan.need.scenario in own
    assert not own & {each.id for each in scenarios() if each.id != plan.need.scenario}


def test_every_sheet_is_set_up_for_paper_and_the_file_says_what_it_is(plan_en: bytes) -> None:
    book = openpyxl.load_workbook(io.BytesIO(plan_en))
    seen = book.properties
    assert (seen.title, seen.creator) == ("GPU sizing: DeepSeek-V3", "gpusizer")
    assert "DeepSeek-V3" in (seen.subject or "")
    assert version("gpusizer") in (seen.description or "")
    assert "2026-11-05" in (seen.description or "")
    assert "vLLM" in (seen.keywords or "")
    visible = [sheet for sheet in book if sheet.sheet_state == "visible"]
    assert len(visible) == 9
    for sheet in visible:
        assert sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.title
        assert sheet.page_setup.fitToWidth in (None, 1)  # one page is what is meant where nothing is said
        assert sheet.page_setup.paperSize == 9
        assert sheet.print_area
        assert (sheet.oddFooter.left.text, sheet.oddFooter.right.text) == ("GPU sizing: DeepSeek-V3", "&P / &N")
        assert sheet.title in {"Start", "The article's method"} or sheet.print_title_rows
    assert book["Start"].page_setup.fitToHeight in (None, 1)
    assert book["GPUs"].page_setup.fitToHeight == 0
    assert book["Start"].page_setup.orientation == "portrait"
    assert {"in_title", "in_customer", "in_date"} <= set(book.defined_names)


def test_a_share_of_the_card_that_is_asked_for_is_used(sheet: Sheet) -> None:
    case = Case("qwen3-32b", "checkpoint", "auto", "h100-sxm-80gb", 2, 1, False, 8, 1, 1, 3000, 1000)
    sheet.set(**case.inputs() | {"in_memory_fraction": 0.8})
    start = replace(verdict(case)[1], memory_fraction=0.8)
    fit = ENGINE.fit(start, load_architecture(case.model), accelerator(case.gpu))
    assert sheet.get("out_kv_cache_tokens") == fit.kv_cache.tokens
    sheet.set(in_memory_fraction=0.99)
    assert sheet.get("out_fits") is False
    assert "free at the start" in sheet.get("out_sentence")
    sheet.set(in_memory_fraction=None, in_replicas=1, in_concurrency=100000)
    assert "too few" in sheet.get("out_sentence")
    sheet.set(in_replicas=None)


def config(tmp_path: Path, name: str) -> Path:
    """A small model of a stranger, under a name of his choice."""
    path = tmp_path / name
    entry = dict(model_entry("qwen3-0.6b").config)
    path.write_text(json.dumps(entry | {"_name_or_path": "=1+1", "model_type": "qwen3"}), encoding="utf-8")
    return path


def test_a_stranger_s_name_stays_text(tmp_path: Path) -> None:
    output, names = tmp_path / "plan.xlsx", ("=cmd|' C'!A0", "+SUM(1,2)", "-2+3", "@A1")
    assert main(["plan", str(config(tmp_path, f"{names[0]}*?~.json")), "--concurrency", "3", "--format", "xlsx", "--output", str(output)]) == 0
    architecture = load_architecture(str(config(tmp_path, "plain.json")))
    sheet_engine = account_sheet("vllm")
    assert sheet_engine is not None
    facts = gather(sheet_engine, [Source(name, name, architecture, None) for name in names], accelerators(), "en")
    several = build(facts, Beginning(Request(model=names[0], concurrency=3), "h200-sxm-141gb", 1), date(2026, 11, 5))
    for content in (output.read_bytes(), several):
        archive = zipfile.ZipFile(io.BytesIO(content))
        for part in archive.namelist():
            if part.startswith("xl/worksheets/sheet"):
                formulas = re.findall(r"<f>(.*?)</f>", archive.read(part).decode())
                assert not [each for each in formulas if re.match(r"(cmd|1\+1$|SUM\(1,2\)|-2\+3|\+|@)", html.unescape(each))]
    sheet = Sheet(several, tmp_path / "copy.xlsx")
    for name in names:
        sheet.set(in_model="'" + name)
        assert name in sheet.get("out_sentence")
        assert sheet.get("out_gpus") != DASH
        assert not sheet.errors()


@pytest.mark.parametrize("name", ["a\x1bb", "a\x01\nb", "a\udcffb", "a\ufffeb\uffff", "\u200b", "\u202ea"], ids=ascii)
def test_every_part_of_a_workbook_is_xml_under_a_hostile_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(model_entry("qwen3-0.6b").config) | {"_name_or_path": name}), encoding="utf-8")
    output = tmp_path / "plan.xlsx"
    assert main(["plan", str(folder), "--gpu", "h200", "--concurrency", "1", "--format", "xlsx", "--output", str(output)]) == 0
    with zipfile.ZipFile(output) as book:
        parts = [part for part in book.namelist() if part.endswith((".xml", ".rels", ".vml"))]
        assert sum(part.startswith("xl/worksheets/sheet") for part in parts) > 5
        for part in parts:
            ElementTree.fromstring(book.read(part))


def test_a_failure_keeps_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "plan.xlsx"
    output.write_bytes(b"the old one")

    def fails() -> bytes:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        deliver_bytes(fails, str(output))
    assert main(["plan", "qwen3-8b", "--engine", "sglang", "--format", "xlsx", "--output", str(output)]) == 2
    assert "--engine" in capsys.readouterr().err
    assert output.read_bytes() == b"the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["plan.xlsx"]
    assert main(["plan", "qwen3-8b", "--format", "xlsx"]) == 2
    assert main(["plan", "qwen3-8b", "--format", "xlsx", "--output", str(tmp_path)]) == 2
    assert main(["plan", "qwen3-8b", "--format", "xlsx", "--output", str(output)]) == 0
    assert output.read_bytes()[:2] == b"PK"


OFFICE = shutil.which("soffice") or shutil.which("libreoffice")
ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item></oor:items>"""


@pytest.mark.office
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed: its recalculation is not compared")
def test_libreoffice_gives_the_same_when_forced_to_recalculate(tmp_path: Path) -> None:
    profile = tmp_path / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(ALWAYS, encoding="utf-8")
    content = plan_workbook(make_plan(Request("qwen3.5-35b-a3b", concurrency=64, context_tokens=20000, kv_precision="fp8")), "en")
    source, target = tmp_path / "plan.xlsx", tmp_path / "out"
    source.write_bytes(content)
    command = [OFFICE or "", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx", "--outdir", str(target)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=180)
    stored = stored_values(content)
    assert len(stored) > 3000
    again = {(name, place): value for name, place, _, value in cells((target / source.name).read_bytes())}
    assert not wrong_values(stored, again)[:5]
