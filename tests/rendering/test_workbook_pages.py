"""A plan's workbook: what its pages show and print is what the library says, also after somebody changed an input."""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import openpyxl
import pytest

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry, model_ids, scenarios
from gpusizer.i18n import text
from gpusizer.performance.predict import Load, predict
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Plan
from gpusizer.rendering.launch import layout_words
from gpusizer.rendering.need import need_lines
from gpusizer.rendering.report.comparison import comparison
from gpusizer.rendering.report.risks import risk_lines
from gpusizer.rendering.report.view import Footnotes
from gpusizer.rendering.workbook import listed_devices, plan_workbook
from gpusizer.units import GiB
from workbook_reader import DASH, Case, Sheet, cells, results, shown, stored_values, verdict, wrong_values

SOME = ("h200-sxm-141gb", "h100-sxm-80gb", "l40s-48gb")
"""Options enough for a page: a search through all devices is not what these tests are about."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(Request("deepseek-v3", users=1000, scenario="knowledge-base"))


@pytest.fixture(scope="module")
def plan_zh(plan: Plan) -> bytes:
    return plan_workbook(plan, "zh", date(2026, 11, 5))


@pytest.fixture(scope="module")
def plan_en(plan: Plan) -> bytes:
    return plan_workbook(plan, "en", date(2026, 11, 5))


@pytest.fixture(scope="module")
def opened(plan_en: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return Sheet(plan_en, tmp_path_factory.mktemp("bid") / "plan.xlsx")


@pytest.fixture
def bid(opened: Sheet) -> Sheet:
    """The plan's workbook as it was opened, for each test its own."""
    return opened.copy()


def test_stored_values_are_those_of_a_recalculation(plan_zh: bytes, tmp_path: Path) -> None:
    other = plan_workbook(make_plan(Request("gemma-3-27b-it", concurrency=40, context_tokens=9000, precision="fp8", gpus=("l40s",))), "zh")
    for content in (plan_zh, other):
        sheet = Sheet(content, tmp_path / "plan.xlsx")
        sheet.model.evaluate()
        stored, found = stored_values(content), {}
        for name, cell in stored:
            letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
            found[name, cell] = sheet.model.get_cell_value(*sheet.place(f"'{name}'!${letters}${row}"))
        assert not wrong_values(stored, found)[:5]


def test_a_plan_opens_with_its_own_answer(plan_en: bytes, plan: Plan) -> None:
    other = make_plan(Request("qwen3-235b-a22b-fp8", concurrency=20, gpus=("h20-sxm-96gb",)))
    for content, made in ((plan_en, plan), (plan_workbook(other, "en"), other)):
        best, said = made.best, results(content)
        assert best is not None
        assert said["in_gpu"] == best.accelerator.id
        assert said["out_gpus"] == best.gpus
        assert said["out_kv_cache_tokens"] == best.fit.kv_cache.tokens
        assert best.accelerator.name in said["out_sentence"]


def test_a_plan_that_turned_settings_opens_with_them(tmp_path: Path) -> None:
    made = make_plan(Request("qwen3-32b", concurrency=32, input_tokens=8192, output_tokens=1024, gpus=("h100-sxm-80gb",)))
    best, content = made.best, plan_workbook(made, "en")
    assert best is not None
    assert best.knobs
    sheet = Sheet(content, tmp_path / "plan.xlsx")
    sheet.model.evaluate()
    assert (sheet.get("out_gpus"), sheet.get("out_kv_cache_tokens")) == (2, best.fit.kv_cache.tokens)
    assert not sheet.errors()
    assert any("--max-num-seqs 32" in str(cell) for row in shown(sheet) for cell in row)


@pytest.mark.parametrize(("engine", "release"), [("sglang", None), ("sglang", "0.5.21"), ("tensorrt-llm", None), ("vllm,sglang", None)])
def test_a_plan_for_another_engine_opens_with_its_own_answer(engine: str, release: str | None, tmp_path: Path) -> None:
    asked = Request("deepseek-v4-flash", concurrency=24, context_tokens=12000, tuning="off", gpus=SOME)
    made = make_plan(replace(asked, engine=engine, engine_version=release))
    best = next(option for option in made.options if option.layout.dp == 1)  # cells know no ranks with requests of their own
    content = plan_workbook(made, "en")
    assert best.performance is not None
    sheet, stored, found = Sheet(content, tmp_path / "plan.xlsx"), stored_values(content), {}
    sheet.model.evaluate()
    assert (sheet.get("out_gpus"), sheet.get("out_kv_cache_tokens")) == (best.gpus, best.fit.kv_cache.tokens)
    assert sheet.get("out_ttft_s") == pytest.approx(best.performance.ttft_s.value, rel=1e-9)
    assert sheet.get("out_weights_bytes") == per_gpu(best.fit.ranks[best.fit.worst].items)["weights_bytes"]
    assert not sheet.errors()
    for name, cell in stored:
        letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
        found[name, cell] = sheet.model.get_cell_value(*sheet.place(f"'{name}'!${letters}${row}"))
    assert not wrong_values(stored, found)[:5]


def test_an_engine_s_version_is_fixed_when_the_workbook_is_written() -> None:
    plan = make_plan(Request("qwen3-30b-a3b", concurrency=20, gpus=SOME, engine_version="0.28.1"))
    assert plan.best is not None
    assert results(plan_workbook(plan, "en"))["out_kv_cache_tokens"] == plan.best.fit.kv_cache.tokens
    for engine, release in (("vllm", "0.19"), ("sglang", "0.5.9"), ("tensorrt-llm", "0.21"), ("transformers", None)):
        with pytest.raises(FlagError):
            plan_workbook(make_plan(Request("qwen3-30b-a3b", concurrency=20, gpus=SOME, engine=engine, engine_version=release)), "en")


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


def test_below_the_answer_stands_what_a_report_says(bid: Sheet, plan: Plan) -> None:
    """Need, each cell of the options side by side, a larger need and every risk; that these words compute nothing is said once an input changes."""
    bid.model.evaluate()
    page = shown(bid, rows=140)
    said = {cell for row in page for cell in row if cell}
    compared = comparison(plan, Footnotes(), "en")
    for row in (compared.titles, *(found for _, found in compared.rows)):
        assert {"\n".join(line.words for line in cell) for cell in row if cell} <= said
    assert {*need_lines(plan, "en"), *risk_lines(plan, "en")} <= said
    larger = [each.option for each in plan.sensitivity if each.option is not None]
    assert {f"{option.gpus:,} / {layout_words(option.layout, option.replicas)}" for option in larger} <= said
    changed = text("workbook", "handed-changed", "en")
    assert changed not in said
    bid.set(in_users=30000)
    assert changed in {cell for row in shown(bid, rows=140) for cell in row}


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
    gpus = [each.id for each in listed_devices()]
    seen, regimes = 0, set()
    for model in ("gpt-oss-120b", "deepseek-v4-flash"):
        made = make_plan(Request(model, concurrency=32, scenario="knowledge-base", gpus=("h200",)))
        assert made.best is not None
        architecture, sheet = made.best.architecture, Sheet(plan_workbook(made, "en"), tmp_path / "plan.xlsx")
        for number in range(24):
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


def test_no_sheet_shows_long_numbers_truth_values_or_sources_that_nobody_can_look_up(plan: Plan, plan_zh: bytes, tmp_path: Path) -> None:
    sheet = Sheet(plan_zh, tmp_path / "plan.xlsx")
    sheet.model.evaluate()
    seen = set()
    for place in sheet.visible:
        for row in shown(sheet, place, 200):
            for words in row:
                assert not re.fullmatch(r"TRUE|FALSE|-?\d{10,}(\.\d+)?|-?\d{1,3}(,\d{3}){3,}(\.\d+)?", words), words
                seen.add(words)
    assert {"是", "可行", "671.0 B", "79.6 GiB"} <= seen
    sources = [value for title, _, _, value in cells(plan_zh) if title == "来源" and isinstance(value, str)]
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
    assert book["Start"].page_setup.fitToHeight == 2  # the live answer, and what a report says
    assert book["GPUs"].page_setup.fitToHeight == 0
    assert book["Start"].page_setup.orientation == "portrait"
    assert {"in_title", "in_customer", "in_date"} <= set(book.defined_names)


OFFICE = shutil.which("soffice") or shutil.which("libreoffice")


ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item></oor:items>"""


@pytest.mark.office
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed: its recalculation is not compared")
def test_libreoffice_gives_the_same_when_forced_to_recalculate(tmp_path: Path) -> None:
    """Workbooks of three engines in one go, as it takes longer to start than to compute."""
    profile = tmp_path / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(ALWAYS, encoding="utf-8")
    asked, target = Request("qwen3.5-35b-a3b", concurrency=64, context_tokens=20000, kv_precision="fp8", gpus=SOME), tmp_path / "out"
    sources = [tmp_path / f"{engine}.xlsx" for engine in ("vllm", "sglang", "tensorrt-llm")]
    for source in sources:
        source.write_bytes(plan_workbook(make_plan(replace(asked, engine=source.stem)), "en"))
    command = [OFFICE or "", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx", "--outdir", str(target)]
    subprocess.run([*command, *map(str, sources)], check=True, capture_output=True, timeout=180)
    for source in sources:
        stored = stored_values(source.read_bytes())
        assert len(stored) > 3000
        again = {(name, place): value for name, place, _, value in cells((target / source.name).read_bytes())}
        assert not wrong_values(stored, again)[:5], source.stem
