"""vLLM's account has no branches: what it gives for one start after the other it gives for all of them at once, and for cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.account import Place, Reason, StageFigures, conclude
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.types import Deployment, Quantity
from gpusizer.engines.vllm.account import growth, host_images, step_lines
from gpusizer.engines.vllm.buffers import workspace
from gpusizer.engines.vllm.device_record import device_record
from gpusizer.engines.vllm.device_table import VllmDevices
from gpusizer.engines.vllm.engine import Vllm
from gpusizer.engines.vllm.record import layout_record, model_record, step_record, version_rules
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.formulas.core import greatest, kept, least, maximum, where
from gpusizer.formulas.figures import ALL, Axis
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.live import constant
from gpusizer.rendering.workbook.tracer import Trace, Traced

ENGINE = get_engine("vllm")
MODELS = ("llama-3.1-8b-instruct", "gemma-3-27b-it", "gpt-oss-120b", "deepseek-v3", "glm-5.1", "qwen3-vl-8b-instruct", "qwen3.6-35b-a3b")
GPUS = ("h200-sxm-141gb", "b200-sxm-180gb", "rtx4090-24gb", "mi300x-192gb", "gb10-128gb")
LAYOUTS: tuple[dict[str, int], ...] = ({"tp": 1}, {"tp": 8}, {"tp": 8, "ep": 8}, {"tp": 4, "dp": 2, "ep": 8}, {"tp": 2, "pp": 2})


def starts() -> list[Start]:
    found = []
    for model in MODELS:
        for gpu in GPUS:
            for layout in LAYOUTS:
                deployment = Deployment(model, gpu, max_model_len=8192, **layout)  # type: ignore[arg-type]
                found.append(ENGINE.start(deployment, load_architecture(model), accelerator(gpu)))
    return found


def columns(records: Sequence[Any]) -> Any:
    """One record of columns, of many records of numbers."""
    values = {each.name: [getattr(record, each.name) for record in records] for each in fields(records[0])}
    return type(records[0])(**{name: value[0] if isinstance(value[0], tuple) else np.array(value, dtype=float) for name, value in values.items()})


def test_the_account_of_all_starts_at_once_is_that_of_each() -> None:
    every = starts()
    rules = version_rules(every[0].version)
    model, step, device = (
        columns([make(each) for each in every]) for make in (lambda start: model_record(start.architecture), step_record, device_record)
    )
    layout = columns([layout_record(each.layout.tp, each.layout.dp, whole_experts=each.layout.ep > 1) for each in every])
    layers = np.array([len(ENGINE.stages(each)[0].layers) for each in every])
    last = np.array([float(each.layout.pp == 1) for each in every])
    buffers = workspace(model, step, layout)
    place = Place(first=1, last=last, layers=layers)
    peak, graphs = step_lines(model, step, layout, place, rules, buffers)
    grown = growth(device, rules, buffers, host_images(model, step, device, place))
    for number, start in enumerate(every):
        fit = ENGINE.fit(start.deployment, start.architecture, start.accelerator)
        if fit.quantities:
            lines = {line.id: line for line in fit.ranks[0].items}
            for line in (peak, graphs, grown):
                found = [float(np.broadcast_to(size, (len(every),))[number]) for size in (line.bytes, line.low_bytes, line.high_bytes)]
                one = lines[line.id]
                assert found == [one.bytes, one.low_bytes, one.high_bytes], (line.id, start.deployment)


def stage(available: float, blocks: int, used: int, later: int = 0) -> StageFigures:
    return StageFigures(Quantity(available, available, available), (blocks, blocks, blocks), 10, 5, used, later)


@pytest.mark.parametrize(
    ("stages", "refused", "reason"),
    [
        ([stage(100, 10, 800), stage(70, 7, 820)], False, Reason.NONE),
        ([stage(100, 10, 800)], True, Reason.REFUSED),
        ([stage(100, 10, 800), stage(0, 0, 1000)], False, Reason.NO_ROOM),
        ([stage(100, 10, 800), stage(40, 4, 800)], False, Reason.CONTEXT),
        ([stage(100, 10, 940), stage(70, 7, 800)], False, Reason.MEMORY),
        ([stage(100, 10, 940, later=50), stage(70, 7, 800)], False, Reason.NONE),
    ],
)
def test_the_verdict_looks_at_every_stage(stages: list[StageFigures], *, refused: bool, reason: Reason) -> None:
    assert conclude(stages, memory_bytes=1000, refused=refused).reason == reason


def test_devices_of_a_class_choose_the_same_cache() -> None:
    """A field of a class is constant over its devices: formats and blocks are looked up by class alone."""
    assert isinstance(ENGINE, Vllm)
    sample = load_architecture("llama-3.1-8b-instruct")
    table = VllmDevices(accelerators(), ENGINE, sample)
    numbers = {each.accelerator.id: each.class_number for each in table.figures}
    for model in MODELS:
        for kv in ("auto", "fp8"):
            found: dict[int, set[Any]] = {}
            for each in table.accelerators:
                start = ENGINE.start(Deployment(model, each.id, kv_precision=kv), load_architecture(model), each)
                found.setdefault(numbers[each.id], set()).add(
                    (start.deployment.kv_precision, start.deployment.block_size, start.deployment.max_num_seqs)
                )
            assert all(len(choices) == 1 for choices in found.values()), (model, found)


def numbers(trace: Trace, values: Sequence[Sequence[int]], devices: Axis = ALL, stages: Axis = ALL) -> Traced:
    return trace.given([[constant(value) for value in row] for row in values], devices, stages)


def test_a_figure_has_a_cell_at_each_point_of_its_axes_and_no_more() -> None:
    book = Book("en")
    trace = Trace(book.add("Calc", technical=True), book.add("Tried", technical=True))
    classes = Axis("classes", 2)
    trace.devices = devices = Axis("devices", 3, classes, (0, 1, 1))
    layouts = Axis("layouts", 2, ALL, (0, 0))
    stages = Axis("stages", 3, layouts, (0, 0, 1), stages=True)
    of_class, of_device = numbers(trace, [[3], [5]], classes), numbers(trace, [[10], [20], [30]], devices)
    of_stage = numbers(trace, [[1, 2, 4]], ALL, stages)
    doubled = kept("doubled", of_class * 2)
    size = kept("size", doubled + of_device * of_stage)
    smallest, largest = kept("least", least([size])), kept("greatest", greatest([maximum(size, 30)]))
    trace.write(smallest, largest, size)
    assert [list(row) for row in smallest.values] == [[16, 46], [30, 90], [40, 130]]
    assert [list(row) for row in largest.values] == [[30, 46], [50, 90], [70, 130]]
    assert trace.live(size, 2, 1).value == 70
    assert "Calc!$B$2*" not in trace.live(size, 2, 1).text
    assert trace.text(smallest, 1, 0).startswith("Tried!$")
    with pytest.raises(ValueError, match="cannot lie along"):
        of_class + numbers(trace, [[1], [2]], Axis("others", 2))


def test_a_formula_must_not_branch_on_a_figure() -> None:
    book = Book("en")
    trace = Trace(book.add("Calc", technical=True), book.add("Tried", technical=True))
    figure = numbers(trace, [[3]])
    with pytest.raises(TypeError, match="where"):
        assert figure > 2
    assert where(figure > 2, 1, 0).values[0][0] == 1
