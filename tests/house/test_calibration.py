"""Scripts that fit constants: each runs, computes what the product computes, and writes its file whole."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.performance.constants import FILE, about_constants, constant_tables, fit_record, measured_pairs, speed_constants
from gpusizer.validation.speed_cases import PerformanceCase, performance_case, speed_of

SCRIPTS = Path(__file__).parents[2] / "scripts" / "calibrate"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script as a module, by its name."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def ran(name: str, rows: Sequence[dict[str, Any]], folder: Path, *options: str) -> str:
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.shared
@pytest.mark.parametrize(("name", "engine"), [("memory", "vllm"), ("sglang", "sglang"), ("llama_cpp", "llama.cpp"), ("margins", "vllm")])
def test_memory_scripts_run_on_three_rows(name: str, engine: str, tmp_path: Path) -> None:
    rows = [row for row in shared_lines("starts.jsonl") if row["engine"] == engine][:3]
    assert len(rows) == 3
    assert ran(name, rows, tmp_path)


def test_margins_are_the_least_that_hold_all_owners_but_one_in_ten(script: Any) -> None:
    """Ten owners: eight inside, one measured 0.5 widths above its band in two starts, one far below; the far one is the one that may stay outside."""
    found = script("margins")
    told = [("inside", -0.1, -0.2)] * 8 + [("above", -1.0, 0.5), ("above", -1.0, 0.4), ("far", 9.0, -10.0)]
    scores = [found.Score("x", "q", f"{name}-{number if name == 'inside' else ''}", (), low, high) for number, (name, low, high) in enumerate(told)]
    assert found.margins(scores) == (0.0, 0.5)
    assert found.margins(scores[:-1]) == (0.0, 0.4)  # of nine owners half a voice may
    assert found.margins(scores[:8] + scores[-1:]) == (9.0, 0.0)
    assert found.margins(scores[:8]) == (0.0, 0.0)  # nothing is narrowed


@pytest.mark.shared
def test_speed_scripts_run_on_three_rows(tmp_path: Path) -> None:
    rows = [row for row in shared_lines("serving-speeds.jsonl") if row["confidence"] == "high"][:3]
    before = FILE.read_bytes()
    words = ran("speed", rows, tmp_path, "--folds", "2", "--steps", "1")
    assert "owner left out: tpot_s" in words
    assert "high, aggregated: n    3" in ran("speed_report", rows, tmp_path)
    assert FILE.read_bytes() == before  # only --write writes


@pytest.mark.shared
def test_the_fit_computes_what_is_predicted(script: Any) -> None:
    """Many runs as columns, of other models and loads, against the prediction of each alone."""
    speed: ModuleType = script("speed")
    runs = [run for row in shared_lines("serving-speeds.jsonl")[::37] if (run := speed.run_of(row)) is not None]
    assert {run.mode for run in runs} == {"closed", "burst", "open", "split"}
    together = speed.Data(runs).predict(speed_constants().values)
    for run, figures in zip(runs, together.tolist(), strict=True):
        case = performance_case(run.row)
        assert isinstance(case, PerformanceCase)
        alone = speed_of(case)
        expected = [alone.ttft_s.value, alone.tpot_s.value, alone.output_tokens_per_s.value]
        assert figures == pytest.approx(expected, rel=1e-6), run.row["id"]


def test_the_file_of_constants_is_what_the_script_writes(script: Any) -> None:
    """Read and written again it is the same to the byte; with another value only its row differs."""
    module: ModuleType = script("constants_file")
    text = FILE.read_text(encoding="utf-8")
    assert module.written(about_constants(), fit_record(), measured_pairs(), constant_tables()) == text
    known = next(each for table in constant_tables() for each in table.constants if each.name == "kernel_s.plain")
    other = module.updated(constant_tables(), {known.name: known._replace(value=9.9e-6)})
    changed = module.written(about_constants(), fit_record(), measured_pairs(), other)
    differing = [after for before, after in zip(text.splitlines(), changed.splitlines(), strict=True) if before.split() != after.split()]
    assert len(differing) == 1
    assert differing[0].split()[:2] == ["kernel_s.plain", "9.9e-06"]
