"""What programs get of a plan: flat rows with fields named alike in every language, and JSON that can be made small."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from command_line import refused, run
from gpusizer.rendering.plan_rows import ROW_FIELDS

PLAN = ("plan", "qwen3-32b", "--concurrency", "8", "--input-tokens", "4k", "--output-tokens", "1k")
DEVICES = ("--gpu", "h100", "--gpu", "h20", "--gpu", "ascend910b3-64gb", "--gpu", "p100")
WORDS = {
    "verdict",
    "model",
    "gpu",
    "gpu_name",
    "vendor",
    "engine",
    "engine_version",
    "precision",
    "flags",
    "evidence",
    "pareto",
    "reason",
    "sentence",
    "command",
}
TEXT = {name for name in ROW_FIELDS if name in WORDS or name.endswith(("_currency", "_kind", "_date"))}


def records(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    code, out, err = run(capsys, *PLAN, *arguments, "--format", "csv")
    assert (code, err) == (0, "")
    return list(csv.DictReader(io.StringIO(out)))


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, err = run(capsys, *PLAN, *arguments, "--format", "json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_fields_are_the_same_in_both_languages_and_only_sentences_differ(capsys: pytest.CaptureFixture[str]) -> None:
    english, chinese = records(capsys, *DEVICES), records(capsys, *DEVICES, "--language", "zh")
    assert tuple(english[0]) == tuple(chinese[0]) == ROW_FIELDS
    told = {name for one, other in zip(english, chinese, strict=True) for name in ROW_FIELDS if one[name] != other[name]}
    assert told <= {"sentence", "flags"}
    assert "sentence" in told


def test_numbers_are_numbers_and_agree_with_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows, options = records(capsys, *DEVICES), document(capsys, *DEVICES)["options"]
    for row in rows:
        for name in set(ROW_FIELDS) - TEXT:
            float(row[name] or 0)
    chosen = [row for row in rows if row["rank"]]
    assert [row["gpu"] for row in chosen] == [option["gpu"] for option in options]
    for row, option in zip(chosen, options, strict=True):
        assert float(row["ttft_s"]) == option["ttft_s"]
        assert float(row["tpot_s_high"]) == option["speed"]["tpot_s"]["high"]
        assert (int(row["tp"]), int(row["gpus"])) == (option["layout"]["tp"], option["gpus"])
        assert int(row["weights_bytes"]) == option["per_gpu"]["weights_bytes"]
        for kind, cost in (("rent", option["cost"]), ("purchase", option["purchase"])):
            low, high = (None, None) if cost is None else (cost["amount"], cost["high"])
            assert [float(cell) if cell else None for cell in (row[f"{kind}_low"], row[f"{kind}_high"])] == [low, high]
            assert row[f"{kind}_currency"] == ("" if cost is None else cost["currency"])
        assert row["verdict"] == option["verdict"]
        assert row["command"] == option["command"]


def test_what_was_rejected_has_its_row_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    rows, rejected = records(capsys, *DEVICES), document(capsys, *DEVICES)["rejected"]
    refused_rows = [row for row in rows if row["verdict"] == "no"]
    assert [(row["gpu"], row["reason"], row["sentence"]) for row in refused_rows] == [
        (one["gpu"], one["code"], one["sentence"]["en"]) for one in rejected
    ]
    assert any(row["gpu"] == "p100-sxm-16gb" for row in refused_rows)
    assert all(row["rank"] == row["ttft_s"] == "" for row in refused_rows)


@pytest.mark.parametrize("top", [1, 3])
def test_top_cuts_options(capsys: pytest.CaptureFixture[str], top: int) -> None:
    whole = records(capsys)
    assert records(capsys, "--top", str(top)) == whole[:top]
    data = document(capsys, "--top", str(top))
    assert [option["rank"] for option in data["options"]] == list(range(1, top + 1))
    assert data["left_out"]["options"] == sum(bool(row["rank"]) for row in whole) - top
    code, out, _ = run(capsys, *PLAN, "--top", str(top))
    assert code == 0
    assert f"{int(data['left_out']['options'])} more" in out


def test_fields_are_picked_in_the_order_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records(capsys, *DEVICES, "--fields", "tp,gpu,rent_low")
    assert list(rows[0]) == ["tp", "gpu", "rent_low"]
    whole, small = document(capsys), document(capsys, "--top", "3", "--fields", "gpu,layout,tp,ttft_s,command")
    assert set(whole) <= set(small), "the fields of the contract stay"
    assert [list(option) for option in small["options"]] == [["gpu", "layout", "tp", "ttft_s", "command"]] * 3
    assert all(option["tp"] == option["layout"]["tp"] for option in small["options"])
    assert len(json.dumps(small)) < len(json.dumps(whole)) / 10


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_field_that_does_not_exist_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert "ttft_s" in refused(capsys, *PLAN, "--gpu", "h100", "--fields", "gpu,tttf_s", "--format", form)


@pytest.mark.parametrize("arguments", [("--fields", "gpu"), ("--fields", "gpu", "--format", "markdown"), ("--top", "0"), ("--top", "x")])
def test_what_a_form_does_not_have_is_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    refused(capsys, *PLAN, "--gpu", "h100", *arguments)


def test_a_workbook_is_not_cut(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    refused(capsys, *PLAN, "--gpu", "h100", "--top", "1", "--output", f"{tmp_path}/plan.xlsx")


def test_lists_and_verdicts_have_stable_fields_too(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, numbers in (
        (("accelerators", "list"), ("memory_bytes", "bandwidth_bytes_per_s", "price_low")),
        (("models", "list"), ("total_params", "activated_params", "checkpoint_bytes")),
        (("fit", "qwen3-8b", "--gpu", "h100"), ("bytes", "low_bytes", "high_bytes")),
    ):
        tables = [run(capsys, *arguments, "--format", "csv", "--language", language)[1] for language in ("en", "zh")]
        first, second = (list(csv.DictReader(io.StringIO(table))) for table in tables)
        assert first[0].keys() == second[0].keys()
        assert [float(row[name] or 0) for row in first for name in numbers] == [float(row[name] or 0) for row in second for name in numbers]
