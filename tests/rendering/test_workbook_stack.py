"""A workbook with models beside and a reserve says of every device what the plan says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpusizer.errors import FlagError
from gpusizer.i18n import text
from gpusizer.planning.companions import OWN, SHARED
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import FITS, Option, Plan
from gpusizer.rendering.workbook import plan_workbook
from gpusizer.rendering.workbook.request import workbook_request
from workbook_reader import Sheet, cells, results

DEPARTMENT = Request("qwen3-8b", users=100, tuning="off", with_models=("bge-m3", "bge-reranker-v2-m3", "whisper-large-v3"), spare=1)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(workbook_request(DEPARTMENT))


@pytest.fixture(scope="module")
def content(plan: Plan) -> bytes:
    return plan_workbook(plan, "en")


@pytest.fixture(scope="module")
def sheet(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return Sheet(content, tmp_path_factory.mktemp("stack") / "plan.xlsx")


def _in_cells(option: Option) -> bool:
    """Whether cells say it: held on the safe side, one cut without stages, a device to choose, the weights as published."""
    layout, device = option.layout, option.accelerator
    return option.verdict == FITS and layout.tp == layout.gpus and layout.ep == 1 and device.usual and option.launch.precision == "checkpoint"


def test_every_option_is_the_same_in_the_workbook(plan: Plan, sheet: Sheet) -> None:
    seen: set[str] = set()
    for option in filter(_in_cells, plan.options):
        layout = option.layout
        sheet.set(in_gpu=option.accelerator.id, in_tp=layout.tp, in_pp=1, in_memory_fraction="")
        name = option.accelerator.id
        assert sheet.get("out_kv_cache_tokens") == option.fit.kv_cache.tokens, name
        assert sheet.get("out_held_requests") == option.held_requests_low / option.replicas, name
        assert sheet.get("out_replicas") == option.replicas, name
        assert sheet.get("out_gpus") == option.gpus, name
        assert f"{option.replicas}+1 x TP{layout.tp}" in sheet.get("out_sentence"), name
        seen.add(option.companions[0].placed)
    assert seen == {SHARED, OWN}
    assert not sheet.errors()


def test_a_workbook_of_a_reserve_alone_counts_it() -> None:
    for engine in ("vllm", "sglang"):
        plan = make_plan(workbook_request(Request("qwen3-32b", users=1500, engine=engine, spare=2, gpus=("h100-sxm-80gb",))))
        option = plan.options[0]
        said = results(plan_workbook(plan, "zh"))
        assert said["out_gpus"] == option.gpus == option.layout.gpus * (option.replicas + 2)
        assert said["out_replicas"] == option.replicas


def test_the_report_on_the_first_sheet_names_what_stands_beside(content: bytes) -> None:
    words = {str(value) for title, _, _, value in cells(content) if title == text("workbook", "sheet-start", "en")}
    assert any("whisper-large-v3" in each for each in words)
    reserve = text("stack", "spare", "en", replicas=1, spare=1, gpus=1)
    assert reserve in words


def test_what_no_cell_counts_is_refused() -> None:
    request = workbook_request(replace(DEPARTMENT, engine="sglang", gpus=("l40s-48gb",)))
    with pytest.raises(FlagError) as found:
        plan_workbook(make_plan(request), "en")
    assert (found.value.code, found.value.parameters["found"]) == ("workbook-without", "--with")
