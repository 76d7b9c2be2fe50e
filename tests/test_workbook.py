"""The workbook, recalculated by an engine that is not ours, says what the library says, for any choice of its drop-downs."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import device_support
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry, model_ids, scenario, scenarios
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import concurrent_requests, replicas_needed
from gpusizer.i18n import text
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.search import held_range
from gpusizer.rendering.workbook import catalogue_workbook, plan_workbook
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES
from gpusizer.rendering.workbook.tables.gather import KV_PRECISIONS, PRECISIONS

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


def cases(count: int, seed: int) -> Iterator[Case]:
    """Random choices in which every model and every device appears."""
    chance = random.Random(seed)
    models, gpus = list(model_ids()), [each.id for each in accelerators()]
    chance.shuffle(models)
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
    for case in cases(512, seed=11):
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
        if number % 3:
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
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert set(book.defined_names) >= NAMES
    assert all(sheet.protection.sheet and not sheet.protection.password for sheet in book if sheet.sheet_state == "visible")
    validated = {str(each.sqref) for each in book["Start"].data_validations.dataValidation}
    assert len(validated) >= 16


def stored_values(content: bytes) -> dict[tuple[str, str], Value]:
    """What the file itself says that its formulas give."""
    formulas = openpyxl.load_workbook(io.BytesIO(content))
    values = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    found = {}
    for sheet in formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    found[sheet.title, cell.coordinate] = values[sheet.title][cell.coordinate].value
    return found


def wrong_values(stored: dict[tuple[str, str], Value], found: dict[tuple[str, str], Value]) -> list[tuple[str, str, Value, Value]]:
    """Formulas whose stored value is not what a recalculation gives; on technical sheets a width of a band may round by one byte."""
    wrong = []
    for (name, cell), value in stored.items():
        other = found[name, cell]
        close = name == "Calc" and isinstance(value, int | float) and isinstance(other, int | float) and abs(other - value) <= 1
        if (value or 0) != (other or 0) and differs(other, value) and not close:
            wrong.append((name, cell, value, other))
    return wrong


def test_stored_values_are_those_of_a_recalculation(tmp_path: Path) -> None:
    for request in (Request("deepseek-v3", users=1000), Request("gemma-3-27b-it", concurrency=40, context_tokens=9000, precision="fp8")):
        content = plan_workbook(make_plan(request), "zh")
        sheet = Sheet(content, tmp_path / "plan.xlsx")
        sheet.model.evaluate()
        stored, found = stored_values(content), {}
        for name, cell in stored:
            letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
            found[name, cell] = sheet.model.get_cell_value(*sheet._place(f"'{name}'!${letters}${row}"))
        assert not wrong_values(stored, found)[:5]


def test_a_plan_opens_with_its_own_answer(tmp_path: Path) -> None:
    for words, options in (("deepseek-v3", {"users": 1000}), ("qwen3-235b-a22b-fp8", {"concurrency": 20, "gpus": ("h20-sxm-96gb",)})):
        plan = make_plan(Request(words, **options))
        best = plan.best
        assert best is not None
        sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
        assert sheet.get("in_gpu") == best.accelerator.id
        assert sheet.get("out_gpus") == best.gpus
        assert sheet.get("out_kv_cache_tokens") == best.fit.kv_cache.tokens
        assert best.accelerator.name in sheet.get("out_sentence")


def test_an_engine_s_version_is_fixed_when_the_workbook_is_written(tmp_path: Path) -> None:
    plan = make_plan(Request("qwen3-30b-a3b", concurrency=20, engine_version="0.28.1"))
    assert plan.best is not None
    sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
    assert sheet.get("out_kv_cache_tokens") == plan.best.fit.kv_cache.tokens
    for engine, version in (("vllm", "0.19"), ("transformers", None)):
        with pytest.raises(FlagError):
            plan_workbook(make_plan(Request("qwen3-30b-a3b", concurrency=20, engine=engine, engine_version=version)), "en")


def test_times_and_rates_are_shown_only_for_the_plan_s_own_load(tmp_path: Path) -> None:
    plan = make_plan(Request("deepseek-v3", users=1000))
    best = plan.best
    assert best is not None
    assert best.performance is not None
    sheet = Sheet(plan_workbook(plan, "en"), tmp_path / "plan.xlsx")
    sheet.model.evaluate()
    assert sheet.get("out_ttft_s") == pytest.approx(best.performance.ttft_s.value)
    assert sheet.get("out_output_tokens_per_s") == pytest.approx(best.performance.output_tokens_per_s.value)
    for change in ({"in_users": 2000}, {"in_output_tokens": 10}, {"in_precision": "int4"}, {"in_tp": 16}, {"in_gpu": "t4-16gb"}):
        sheet.set(**change)
        assert sheet.get("out_ttft_s") == DASH
        assert not sheet.errors()
        sheet.set(in_users=1000, in_output_tokens=2000, in_precision="checkpoint", in_tp=best.layout.tp, in_gpu=best.accelerator.id)
        assert sheet.get("out_tpot_s") == pytest.approx(best.performance.tpot_s.value)


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


@pytest.mark.parametrize("name", ["=cmd|' C'!A0.json", "+SUM(1,2).json", "-2+3.json", "@A1*?.json"])
def test_a_stranger_s_name_stays_text(tmp_path: Path, name: str) -> None:
    output = tmp_path / "plan.xlsx"
    assert main(["plan", str(config(tmp_path, name)), "--concurrency", "3", "--format", "xlsx", "--output", str(output)]) == 0
    book = openpyxl.load_workbook(output)
    for title in ("Start", "Models", "Data"):
        for row in book[title].iter_rows(max_row=40, max_col=8):
            for cell in row:
                if cell.data_type == "f":
                    assert not re.match(r"=(cmd|1\+1$|SUM\(1,2\))", str(cell.value))
    sheet = Sheet(output.read_bytes(), tmp_path / "copy.xlsx")
    sheet.model.evaluate()
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
    requests = (
        Request("qwen3.5-35b-a3b", concurrency=64, context_tokens=20000, kv_precision="fp8"),
        Request("gpt-oss-120b", concurrency=5, context_tokens=3000, gpus=("rtx4090-24gb",)),
    )
    for number, request in enumerate(requests):
        content = plan_workbook(make_plan(request), "en")
        source, target = tmp_path / f"plan{number}.xlsx", tmp_path / "out"
        source.write_bytes(content)
        command = [OFFICE or "", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx", "--outdir", str(target)]
        subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=180)
        again = openpyxl.load_workbook(target / source.name, data_only=True)
        stored = stored_values(content)
        assert not wrong_values(stored, {(name, cell): again[name][cell].value for name, cell in stored})[:5]
