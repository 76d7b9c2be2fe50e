"""The workbook, recalculated by an engine that is not ours, says what the library says, for any choice of its drop-downs."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.cli.main import main
from gpusizer.cli.output import deliver_bytes
from gpusizer.engines import account_sheet
from gpusizer.engines.base.device_support import device_support
from gpusizer.facts.catalog import accelerator, model_entry, scenario, scenarios
from gpusizer.formulas.load import concurrent_requests
from gpusizer.i18n import text
from gpusizer.planning.request import Request
from gpusizer.rendering.workbook import catalogue_workbook, listed_devices
from gpusizer.rendering.workbook.build import build
from gpusizer.rendering.workbook.sheets.start import Beginning
from gpusizer.rendering.workbook.tables.gather import Source, gather
from workbook_reader import DASH, ENGINE, NAMES, Case, Sheet, cases, cells, differences, smallest, verdict, wrong_lines


@pytest.fixture(scope="module")
def content() -> bytes:
    return catalogue_workbook("en")


@pytest.fixture(scope="module")
def sheet(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return Sheet(content, tmp_path_factory.mktemp("workbook") / "all.xlsx")


def test_every_result_equals_the_library_for_random_choices(sheet: Sheet) -> None:
    wrong: list[str] = []
    for case in cases(64, seed=11):  # there are fewer kinds of models
        wrong += differences(sheet, case)
        if not wrong and sheet.names:
            wrong += [f"{error} {case}" for error in sheet.errors()]
        assert len(wrong) < 5, wrong
    assert not wrong


def test_lines_of_one_gpu_equal_the_library(sheet: Sheet) -> None:
    for case in cases(12, seed=5):
        sheet.set(**case.inputs())
        assert not wrong_lines(sheet, case, "vllm")


def test_a_broken_cell_is_caught_by_the_same_comparison(content: bytes, tmp_path: Path) -> None:
    broken = Sheet(content, tmp_path / "broken.xlsx")
    case = Case(
        "deepseek-v3",
        "checkpoint",
        "auto",
        "h200-sxm-141gb",
        8,
        1,
        whole=False,
        concurrency=10,
        users=1000,
        share=0.01,
        input_tokens=48,
        output_tokens=2000,
    )
    assert not differences(broken, case)
    parts = broken.sheets.index("Parts")
    for row in range(2, 2200):
        for column in range(2, 40):
            value = broken.model.get_cell_value(parts, row, column)
            if isinstance(value, float) and value > 10**9:
                broken.model.set_user_input(parts, row, column, str(value + 1))
    assert any(line.startswith("out_weights_bytes") for line in differences(broken, case))


def test_the_reason_is_the_library_s_own(sheet: Sheet) -> None:
    illegal = Case(
        "deepseek-v3",
        "checkpoint",
        "auto",
        "h200-sxm-141gb",
        1,
        1,
        whole=False,
        concurrency=10,
        users=1000,
        share=0.01,
        input_tokens=48,
        output_tokens=2000,
    )
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
    case = Case(
        model, precision, kv, "h200-sxm-141gb", 8, 1, whole=False, concurrency=concurrency, users=1, share=1, input_tokens=tokens - 1, output_tokens=1
    )
    sheet.set(**case.inputs())
    place = sheet.sheets.index("GPUs")
    seen = 0
    for number, device in enumerate(listed_devices()):
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
    sources = [value for title, _, _, value in cells(content) if title == "Sources" and isinstance(value, str)]
    assert len(sources) > 300
    assert not [value for value in sources if "from memory" in value or "unverified" in value]


def test_a_share_of_the_card_that_is_asked_for_is_used(sheet: Sheet) -> None:
    case = Case(
        "qwen3-32b", "checkpoint", "auto", "h100-sxm-80gb", 2, 1, whole=False, concurrency=8, users=1, share=1, input_tokens=3000, output_tokens=1000
    )
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
    asked = ["plan", str(config(tmp_path, f"{names[0]}*?~.json")), "--gpu", "h200", "--concurrency", "3"]
    assert main([*asked, "--format", "xlsx", "--output", str(output)]) == 0
    architecture = load_architecture(str(config(tmp_path, "plain.json")))
    sheet_engine = account_sheet("vllm")
    assert sheet_engine is not None
    facts = gather(sheet_engine, [Source(name, name, architecture, None) for name in names], listed_devices(), "en")
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


@pytest.mark.parametrize("name", ["a\x1bb\x01\nc\udcffd\ufffee\uffff\u202ef", "\u200b"], ids=ascii)
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
    asked = ["plan", "qwen3-8b", "--gpu", "h200", "--format", "xlsx"]
    assert main([*asked, "--engine", "llama.cpp", "--output", str(output)]) == 2
    assert "--engine" in capsys.readouterr().err
    assert output.read_bytes() == b"the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["plan.xlsx"]
    assert main(asked) == 2
    assert main([*asked, "--output", str(tmp_path)]) == 2
    assert main([*asked, "--output", str(output)]) == 0
    assert output.read_bytes()[:2] == b"PK"
