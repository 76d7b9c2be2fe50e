"""Tables of calibration: nothing stands in them that no prediction uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from types import ModuleType
from typing import Any

import pytest

from conftest import ROOT
from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.band import Band, Basis
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerator

FOLDERS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "tensorrt_llm"}
STARTS = tuple(
    product(
        ("qwen3-30b-a3b", "deepseek-v3", "qwen3-8b"),
        (
            *("h100-sxm-80gb", "rtx4090-24gb", "rtx-pro-6000-blackwell-96gb", "gb300-288gb"),  # kinds of links, of memory and of makers
            *("mi300x-192gb", "r9700-32gb", "gb10-128gb", "ascend910b3-64gb"),
        ),
        (None, "0.5.2", "0.16.0"),
        ({"tp": 1}, {"tp": 2}, {"pp": 2}, {"tp": 4, "ep": 4}),
    )
)


def constants_of(folder: str) -> ModuleType:
    return import_module(f"gpusizer.engines.{folder}.constants")


def names_behind(value: Any) -> Iterator[str]:
    """Names of the measurements behind a constant, or behind all constants of a table."""
    match value:
        case Basis():
            yield value.name
        case Band(basis=Basis() as basis):
            yield basis.name
        case dict():
            for each in value.values():
                yield from names_behind(each)
        case tuple():
            for each in value:
                yield from names_behind(each)


def sources_of(engine: str) -> Iterator[str]:
    """What the lines of the ledger name as behind them, over many starts."""
    for model, gpu, version, layout in STARTS:
        deployment = Deployment(model, gpu, engine=engine, engine_version=version, **layout)  # type: ignore[arg-type]
        try:
            fit = get_engine(engine).fit(deployment, load_architecture(model), accelerator(gpu))
        except GpusizerError:
            continue  # not every engine cuts every model so
        for rank in fit.ranks:
            for line in rank.items:
                yield from line.sources


@pytest.mark.parametrize("engine", FOLDERS)
def test_every_measured_constant_of_an_engine_is_in_the_ledger_of_some_start(engine: str) -> None:
    named = {name for value in vars(constants_of(FOLDERS[engine])).values() for name in names_behind(value) if not name.startswith("base.")}
    assert len(named) >= 5
    used = {source.partition(":")[0] for source in sources_of(engine)}
    assert sorted(named - used) == []


def words_in(source: str) -> set[str]:
    """Names, attributes and texts that a module speaks."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word) | ast.Constant(value=str(word)):
                words.add(word)
    return words


@pytest.mark.parametrize("folder", [*FOLDERS.values(), "base"])
def test_every_constant_and_every_key_of_a_table_is_spoken_of_elsewhere(folder: str) -> None:
    """What carries no measurement of its own has at least a reader: its name, or its key, stands in another module of the engines."""
    room = ROOT / "src" / "gpusizer" / "engines"
    own = room / folder / "constants.py"
    elsewhere = set().union(*(words_in(path.read_text(encoding="utf-8")) for path in room.rglob("*.py") if path != own))
    constants = {name: value for name, value in vars(constants_of(folder)).items() if name.isupper()}
    assert constants
    assert sorted(set(constants) - elsewhere) == []
    tables = (value for value in constants.values() if isinstance(value, dict) and not list(names_behind(value)))  # the others: above
    assert sorted({key for table in tables for key in table} - elsewhere) == []
