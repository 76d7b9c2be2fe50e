"""Accounts have no branches: what they say of columns and of a sheet's figures is what they say of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.account import StageFigures, conclude, stage_blocks
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.prefill import prefill_model
from gpusizer.engines.base.types import Deployment, Item, Quantity, Section
from gpusizer.engines.sglang import account as sglang
from gpusizer.engines.sglang import record as sglang_record
from gpusizer.engines.sglang.engine import ENGINE as SGLANG
from gpusizer.engines.sglang.pools import stage_pools
from gpusizer.engines.tensorrt_llm import account as tensorrt_llm
from gpusizer.engines.tensorrt_llm import record as tensorrt_llm_record
from gpusizer.engines.tensorrt_llm.engine import ENGINE as TENSORRT_LLM
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.core import Symbol
from gpusizer.formulas.memory.constants import constant_bytes

H100, H100_PCIE, MI300X, GB10 = "h100-sxm-80gb", "h100-pcie-80gb", "mi300x-192gb", "gb10-128gb"
GIVEN_BYTES = 11 * 10**9  # stored tensors, which no account computes

STARTS: list[tuple[str, str, dict[str, Any]]] = [
    ("llama-3.1-8b", H100, {}),
    ("llama-3.1-70b", MI300X, {"tp": 4, "max_num_seqs": 64, "speculative_tokens": 2}),
    ("deepseek-v3", "h200-sxm-141gb", {"tp": 8, "ep": 8}),
    ("deepseek-v4-flash", "h200-sxm-141gb", {"dp": 8, "max_model_len": 65536}),
    ("qwen3.5-9b", "rtx4090-24gb", {"tp": 2, "pp": 2}),
    ("gpt-oss-120b", GB10, {}),
    ("gpt-oss-20b", H100_PCIE, {"tp": 2, "enforce_eager": True}),
    ("qwen3-30b-a3b", "a100-sxm-80gb", {"tp": 2, "precision": "int4", "memory_fraction": 0.7}),
]
FURTHER: dict[str, list[dict[str, Any]]] = {
    "sglang": [
        {},
        {"engine_version": "0.5.9", "flags": {"disable_radix_cache": True, "enable_symm_mem": True}},
        {"engine_version": "0.5.2", "flags": {"max_total_tokens": 100_000}},
        {"flags": {"max_mamba_cache_size": 300, "swa_full_tokens_ratio": 0.5, "mamba_full_memory_ratio": 2}, "max_num_seqs": 48},
    ],
    "tensorrt-llm": [
        {},
        {"kv_precision": "fp8", "block_size": 64, "memory_fraction": 0.85},
        {"engine_version": "0.21", "max_num_seqs": 16},
        {"engine_version": "1.0", "flags": {"max_tokens": 100_000}},
    ],
}


@dataclass(frozen=True)
class Read:
    """What an account reads of one stage of a start."""

    records: Any
    model: Any
    cache: Any
    layers: Any
    further_bytes: Any


def given(size: Any) -> Item:
    return computed("weights_dense", constant_bytes, section=Section.WEIGHTS, band=Spread(0.02, 0.03), fitted_bytes=size)


def verdict(
    lines: Sequence[Item], available: Quantity, blocks: tuple[Any, Any, Any], block_bytes: Any, later: Any, memory_bytes: Any
) -> dict[str, Any]:
    used = sum(line.bytes for line in lines)
    found = conclude([StageFigures(available, blocks, block_bytes, 1, used, later)], memory_bytes=memory_bytes, refused=memory_bytes < 1)
    figures = {"available": available, "blocks": Quantity(*blocks), "block": block_bytes, "short": found.shortfall_bytes, "reason": found.reason}
    return figures | {f"{line.id} {place}": line for place, line in enumerate(lines)}


def read_sglang(start: Start, stage: Stage) -> Read:
    recipes = sglang_record.recipe_bytes(start, stage, SGLANG.cut(start))
    pools = stage_pools(start, stage)
    return Read(sglang_record.records_of(start), prefill_model(start.architecture), pools, len(stage.layers), recipes)


def sglang_account(read: Read, stored_bytes: Any) -> dict[str, Any]:
    records, pools = read.records, read.cache
    weights = [given(stored_bytes), sglang.loaded(records.layout, recipe_bytes=read.further_bytes)]
    beside = [*records.device.before_weights, *records.device.beside]
    step = sglang.step_lines(read.model, records.step, records.layout, read.layers)
    budget = sglang.within_share(records.device, records.share, weights)
    found = sglang.cached(records.step, records.requests, pools, budget)
    lines = [*weights, *beside, *step, found.states, *([found.by_request] if found.by_request else []), found.beyond, found.table]
    figures = {"budget": budget, "share": sglang.share_bytes(records.device, records.share), "slots": found.slots}
    figures["pages"] = sglang.request_pages(pools, records.step.page_tokens, records.step.context_tokens)
    later = sglang.needed_later(lines)
    return figures | verdict(lines, found.available, found.blocks, found.block_bytes, later, records.device.memory_bytes)


def read_tensorrt_llm(start: Start, stage: Stage) -> Read:
    records = tensorrt_llm_record.records_of(start)
    return Read(records, records.model, tensorrt_llm_record.cache_record(start, stage), len(stage.layers), 0)


def tensorrt_llm_account(read: Read, stored_bytes: Any) -> dict[str, Any]:
    records, cache = read.records, read.cache
    device, page = records.device, records.step.page_tokens
    lines = [given(stored_bytes), *device.outside, *device.system]
    lines += tensorrt_llm.step_lines(read.model, records.step, records.cut, read.layers)
    lines.append(tensorrt_llm.pages(device, read.model, lines))
    left, block = tensorrt_llm.left_for_cache(device, records.step, cache, lines), tensorrt_llm.block_bytes(cache, page)
    figures = {"needed": tensorrt_llm.request_blocks(cache, page, records.step.context_tokens)}
    return figures | verdict(lines, left, stage_blocks(left, block), block, 0, device.memory_bytes)


ACCOUNTS: dict[str, tuple[Callable[[Start, Stage], Read], Callable[[Read, Any], dict[str, Any]]]] = {
    "sglang": (read_sglang, sglang_account),
    "tensorrt-llm": (read_tensorrt_llm, tensorrt_llm_account),
}


def start_of(name: str, words: dict[str, Any]) -> Start:
    asked = Deployment(engine=name, **words)
    return get_engine(name).start(asked, with_precision(load_architecture(asked.model), asked.precision), accelerator(asked.gpu))


def starts(name: str) -> list[Start]:
    """Models, devices and layouts by what the engine is told beside."""
    found = []
    for model, gpu, words in STARTS:
        for further in FURTHER[name]:
            found.append(start_of(name, {"model": model, "gpu": gpu} | words | further))
    return found


def reads(name: str) -> list[Read]:
    read, _ = ACCOUNTS[name]
    return [read(start, stage) for start in starts(name) for stage in get_engine(name).stages(start)]


def numbers(value: Any, path: str = "") -> dict[str, Any]:
    """The figures in an answer by their places; words are left out."""
    if isinstance(value, Mapping):
        return {name: each for key, part in value.items() for name, each in numbers(part, f"{path}.{key}").items()}
    if is_dataclass(value) and not isinstance(value, Symbol):
        return numbers({field.name: getattr(value, field.name) for field in fields(value)}, path)
    if isinstance(value, tuple | list):
        return numbers(dict(enumerate(value)), path)
    return {} if value is None or isinstance(value, str) else {path: value}


def shape(read: Read) -> tuple[str, ...]:
    """Which figures a reading has; only alike readings go side by side into columns."""
    return tuple(numbers(read))


def rebuilt(value: Any, change: Callable[[str, Any], Any], path: str = "") -> Any:
    """The same reading with each of its figures changed."""
    if isinstance(value, Mapping):
        return {key: rebuilt(part, change, f"{path}.{key}") for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: rebuilt(getattr(value, field.name), change, f"{path}.{field.name}") for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(rebuilt(part, change, f"{path}.{place}") for place, part in enumerate(value))
    return value if value is None or isinstance(value, str) else change(path, value)


def columns_of(group: Sequence[Read]) -> Read:
    """Alike readings side by side."""
    known = [numbers(each) for each in group]
    found: Read = rebuilt(group[0], lambda path, _: np.array([each[path] for each in known]))
    return found


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_columns_of_starts_are_what_each_start_is(name: str) -> None:
    _, account = ACCOUNTS[name]
    alike: dict[tuple[str, ...], list[Read]] = {}
    for each in reads(name):
        alike.setdefault(shape(each), []).append(each)
    assert max(map(len, alike.values())) > 4
    for group in alike.values():
        found = numbers(account(columns_of(group), np.full(len(group), float(GIVEN_BYTES))))
        for place, each in enumerate(group):
            for path, value in numbers(account(each, GIVEN_BYTES)).items():
                assert np.broadcast_to(found[path], len(group))[place] == pytest.approx(value, rel=1e-12, abs=1e-6), (path, place)


SHEET: dict[str, Callable[..., Any]] = {
    "IF": lambda condition, yes, no: yes if condition else no,
    "MAX": max,
    "MIN": min,
    "ROUND": lambda value, _: math.floor(value + 0.5),
    "ROUNDUP": lambda value, _: math.ceil(value) if value >= 0 else math.floor(value),
    "ROUNDDOWN": lambda value, _: math.trunc(value),
    "SQRT": math.sqrt,
    "SUMSQ": lambda *values: sum(value**2 for value in values),
}


def sheet_value(text: str, cells: Mapping[str, float]) -> Any:
    """What a sheet makes of a formula."""
    return eval(text.replace("^", "**"), {"__builtins__": {}}, {**SHEET, **cells})


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_a_sheet_computes_what_the_account_computes(name: str) -> None:
    """Every line of a recorded account is a formula over the record's cells, and gives the number."""
    _, account = ACCOUNTS[name]
    compared = 0
    for read in reads(name)[::3]:
        cells: dict[str, float] = {"stored": GIVEN_BYTES}

        def cell(path: str, value: Any, cells: dict[str, float] = cells) -> Symbol:
            id = re.sub(r"\W", "_", path)
            cells[id] = value
            return Symbol(id)

        recorded = account(rebuilt(read, cell), Symbol("stored"))
        wanted = numbers(account(read, GIVEN_BYTES))
        for path, value in numbers(recorded).items():
            if isinstance(value, Symbol):
                assert sheet_value(value.text, cells) == pytest.approx(wanted[path], rel=1e-9, abs=1e-3), path
                compared += 1
        for line in recorded.values():
            assert not isinstance(line, Item) or isinstance(line.bytes, Symbol), line
    assert compared > 500


RECORDS: dict[str, Callable[[Start], list[Any]]] = {
    "sglang": lambda start: [
        *(getattr(sglang_record.records_of(start), field.name) for field in fields(sglang_record.Records)),
        prefill_model(start.architecture),
        stage_pools(start, SGLANG.stages(start)[0]),
    ],
    "tensorrt-llm": lambda start: [
        *(getattr(tensorrt_llm_record.records_of(start), field.name) for field in fields(tensorrt_llm_record.Records)),
        tensorrt_llm_record.cache_record(start, TENSORRT_LLM.stages(start)[0]),
    ],
}


@pytest.mark.parametrize("name", list(RECORDS))
@pytest.mark.parametrize(
    ("axis", "changed"),
    [
        ("model", {"model": "qwen3-30b-a3b"}),
        ("device", {"gpu": H100_PCIE}),
        ("layout", {"tp": 4}),
    ],
)
@pytest.mark.parametrize("model", ["deepseek-v3", "llama-3.1-70b"])
def test_records_differ_along_their_axes_alone(name: str, axis: str, changed: dict[str, Any], model: str) -> None:
    """A figure off its axes would stand in too few cells, and nobody would see it."""
    given: dict[str, Any] = {"model": model, "gpu": H100, "tp": 2}
    first, second = (RECORDS[name](start_of(name, given | more)) for more in ({}, changed))
    for one, other in zip(first, second, strict=True):
        if axis not in one.axes:
            assert one == other, type(one).__name__
    assert first != second
