"""Workbooks of SGLang and TensorRT-LLM, recalculated by an engine that is not ours, say what the library says, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import account_sheet, get_engine
from gpusizer.facts.catalog import accelerator, model_entry
from gpusizer.planning.request import Request
from gpusizer.planning.starts import held_range
from gpusizer.rendering.workbook import listed_devices
from gpusizer.rendering.workbook.build import build
from gpusizer.rendering.workbook.sheets.start import Beginning
from gpusizer.rendering.workbook.tables.gather import Source, gather
from workbook_reader import DASH, Case, Sheet, cases, differences, smallest, verdict, wrong_lines

OTHERS = ("sglang", "tensorrt-llm")


def of_engine(engine: str, models: Iterable[str], path: Path) -> Sheet:
    """A workbook of some models with another engine's account."""
    account = account_sheet(engine)
    assert account is not None
    ids = list(dict.fromkeys(models))
    facts = gather(account, [Source(id, id, load_architecture(id), model_entry(id)) for id in ids], listed_devices(), "en")
    return Sheet(build(facts, Beginning(Request(model=ids[0], concurrency=3), "h200-sxm-141gb", 8), date(2026, 11, 5)), path)


@pytest.mark.parametrize("engine", OTHERS)
def test_results_and_lines_of_other_engines_equal_the_library(engine: str, tmp_path: Path) -> None:
    chosen = list(cases(24, seed=23))
    sheet, wrong, fitting = of_engine(engine, [case.model for case in chosen], tmp_path / "some.xlsx"), [], 0
    for case in chosen:
        wrong += differences(sheet, case, engine)
        wrong += wrong_lines(sheet, case, engine)
        wrong += [f"{error} {case}" for error in sheet.errors()]
        fitting += sheet.get("out_fits")
        assert len(wrong) < 5, wrong
    assert not wrong
    assert 3 < fitting < 20


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("model", ["deepseek-v3", "qwen3.5-35b-a3b"])
def test_layouts_tried_with_other_engines_equal_the_library(engine: str, model: str, tmp_path: Path) -> None:
    sheet = of_engine(engine, [model], tmp_path / "one.xlsx")
    case = Case(
        model, "checkpoint", "auto", "h200-sxm-141gb", 8, 1, whole=False, concurrency=40, users=1, share=1, input_tokens=8000, output_tokens=1
    )
    sheet.set(**case.inputs())
    seen = 0
    for number, device in list(enumerate(listed_devices()))[::4]:
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
