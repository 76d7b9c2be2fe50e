"""The workbook, recalculated by an engine that is not ours, says what the library says, for any choice of its drop-downs."""

from __future__ import annotations

import html
import io
import json
import random
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

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
from gpusizer.facts.catalog import accelerator, accelerators, model_entry, model_ids, scenario, scenarios
from gpusizer.formulas.load import concurrent_requests, replicas_needed
from gpusizer.i18n import text
from gpusizer.planning.request import Request
from gpusizer.planning.search import held_range
from gpusizer.rendering.workbook import catalogue_workbook
from gpusizer.rendering.workbook.build import build
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES
from gpusizer.rendering.workbook.sheets.start import Beginning
from gpusizer.rendering.workbook.tables.gather import KV_PRECISIONS, PRECISIONS, Source, gather
from workbook_reader import DASH, ENGINE, NAMES, Case, Sheet, Value, cells, differs, verdict


@pytest.fixture(scope="module")
def content() -> bytes:
    return catalogue_workbook("en")


@pytest.fixture(scope="module")
def sheet(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return Sheet(content, tmp_path_factory.mktemp("workbook") / "all.xlsx")


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


def expected(case: Case, engine: str = "vllm") -> dict[str, Value]:
    """Every result by the library."""
    architecture = with_precision(load_architecture(case.model), case.precision)
    context = case.input_tokens + case.output_tokens
    concurrency = case.concurrency or concurrent_requests(users=case.users, active_share=case.share)
    fit, _, possible = verdict(case, engine)
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


def differences(sheet: Sheet, case: Case, engine: str = "vllm") -> list[str]:
    """Results of the sheet that the library does not give."""
    sheet.set(**case.inputs())
    return [
        f"{name}: {sheet.get(name)!r}, the library {wanted!r}, {engine} {case}"
        for name, wanted in expected(case, engine).items()
        if differs(sheet.get(name), wanted)
    ]


def test_every_result_equals_the_library_for_random_choices(sheet: Sheet) -> None:
    wrong: list[str] = []
    for case in cases(96, seed=11):
        wrong += differences(sheet, case)
        if not wrong and sheet.names:
            wrong += [f"{error} {case}" for error in sheet.errors()]
        assert len(wrong) < 5, wrong
    assert not wrong


OTHERS = ("sglang", "tensorrt-llm")


def of_engine(engine: str, models: Iterable[str], path: Path) -> Sheet:
    """A workbook of some models with another engine's account."""
    account = account_sheet(engine)
    assert account is not None
    ids = list(dict.fromkeys(models))
    facts = gather(account, [Source(id, id, load_architecture(id), model_entry(id)) for id in ids], accelerators(), "en")
    return Sheet(build(facts, Beginning(Request(model=ids[0], concurrency=3), "h200-sxm-141gb", 8), date(2026, 11, 5)), path)


def ledger(sheet: Sheet) -> dict[str, float]:
    """Lines of one GPU's memory by their words, without those that are 0."""
    place, found = sheet.sheets.index(text("workbook", "sheet-memory", "en")), {}
    for row in range(5, 60):
        words, size = (sheet.model.get_cell_value(place, row, column) for column in (1, 2))
        if words == text("workbook", "memory-total", "en"):
            break
        name = text("item", "weights_head", "en") if words == text("workbook", "memory-own-head", "en") else words
        found[name] = found.get(name, 0) + size
    return {name: size for name, size in found.items() if size}


def wrong_lines(sheet: Sheet, case: Case, engine: str) -> list[str]:
    """Lines of the ledger that the library does not give; the sheet is set to the case."""
    fit, _, possible = verdict(case, engine)
    if not possible:
        return []
    wanted: dict[str, int] = {}
    for line in fit.ranks[fit.worst].items:
        words = text("item", line.id, "en")
        wanted[words] = wanted.get(words, 0) + line.bytes
    found = ledger(sheet)
    names = dict.fromkeys([*wanted, *found])
    return [f"{name}: {found.get(name, 0)}, {wanted.get(name, 0)}, {case}" for name in names if found.get(name, 0) != wanted.get(name, 0)]


@pytest.mark.parametrize("engine", OTHERS)
def test_results_and_lines_of_other_engines_equal_the_library(engine: str, tmp_path: Path) -> None:
    chosen = list(cases(36, seed=23))
    sheet, wrong, fitting = of_engine(engine, [case.model for case in chosen], tmp_path / "some.xlsx"), [], 0
    for case in chosen:
        wrong += differences(sheet, case, engine)
        wrong += wrong_lines(sheet, case, engine)
        wrong += [f"{error} {case}" for error in sheet.errors()]
        fitting += sheet.get("out_fits")
        assert len(wrong) < 5, wrong
    assert not wrong
    assert 10 < fitting < 30


def test_lines_of_one_gpu_equal_the_library(sheet: Sheet) -> None:
    for case in cases(12, seed=5):
        sheet.set(**case.inputs())
        assert not wrong_lines(sheet, case, "vllm")


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("model", ["deepseek-v3", "qwen3.5-35b-a3b"])
def test_layouts_tried_with_other_engines_equal_the_library(engine: str, model: str, tmp_path: Path) -> None:
    sheet = of_engine(engine, [model], tmp_path / "one.xlsx")
    case = Case(
        model, "checkpoint", "auto", "h200-sxm-141gb", 8, 1, whole=False, concurrency=40, users=1, share=1, input_tokens=8000, output_tokens=1
    )
    sheet.set(**case.inputs())
    seen = 0
    for number, device in list(enumerate(accelerators()))[::4]:
        wanted = smallest(case, device.id, engine)
        gpus, held = (sheet.model.get_cell_value(sheet.sheets.index("GPUs"), number + 5, column) for column in (5, 8))
        assert (gpus, held) == (wanted or (DASH, DASH)), device.id
        seen += wanted is not None
    assert seen > 3


def test_a_share_of_the_card_that_is_asked_for_is_used_by_other_engines(tmp_path: Path) -> None:
    for engine in OTHERS:
        sheet = of_engine(engine, ["qwen3-32b"], tmp_path / "one.xlsx")
        case = Case(
            "qwen3-32b", "int4", "auto", "h100-sxm-80gb", 2, 1, whole=False, concurrency=8, users=1, share=1, input_tokens=3000, output_tokens=1000
        )
        sheet.set(**case.inputs() | {"in_memory_fraction": 0.8})
        start = replace(verdict(case, engine)[1], memory_fraction=0.8)
        fit = get_engine(engine).fit(start, with_precision(load_architecture(case.model), case.precision), accelerator(case.gpu))
        _, low = held_range(fit)
        assert (sheet.get("out_kv_cache_tokens"), sheet.get("out_held_requests")) == (fit.kv_cache.tokens, low)


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


def smallest(case: Case, gpu: str, engine: str = "vllm") -> tuple[int, int] | None:
    """(GPUs, requests that one replica holds) of the best candidate on a device, by the library."""
    device = accelerator(gpu)
    found = []
    for tp, pp in CANDIDATES:
        if tp > (device.devices_per_node or 8):
            continue
        for whole in (False, True):
            fit, _, possible = verdict(replace(case, gpu=gpu, tp=tp, pp=pp, whole=whole), engine)
            if device_support(engine, with_precision(load_architecture(case.model), case.precision), device).refusal is not None:
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
    sources = [value for title, _, _, value in cells(content) if title == "Sources" and isinstance(value, str)]
    assert len(sources) > 300
    assert not [value for value in sources if "from memory" in value or "unverified" in value]


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
    assert main(["plan", "qwen3-8b", "--engine", "llama.cpp", "--format", "xlsx", "--output", str(output)]) == 2
    assert "--engine" in capsys.readouterr().err
    assert output.read_bytes() == b"the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["plan.xlsx"]
    assert main(["plan", "qwen3-8b", "--format", "xlsx"]) == 2
    assert main(["plan", "qwen3-8b", "--format", "xlsx", "--output", str(tmp_path)]) == 2
    assert main(["plan", "qwen3-8b", "--format", "xlsx", "--output", str(output)]) == 0
    assert output.read_bytes()[:2] == b"PK"
