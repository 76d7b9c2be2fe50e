"""Errors of measured speeds told apart: by kind of load, by source, with one voice for each owner; what is not judged counts nowhere."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.accuracy import Compared
from gpusizer.validation.owners import owner_of
from gpusizer.validation.validate import CaseResult, Validation, validate
from own_cases import as_json, own_cases

RUN: dict[str, Any] = next(row for row in own_cases() if "isl" in row)


def runs(count: int, *, measured: float, **fields: Any) -> list[dict[str, Any]]:
    return [{**RUN, "id": f"{fields}-{number}", "measured": {"tpot_ms_mean": measured}, **fields} for number in range(count)]


def test_one_voice_for_each_owner_against_medians_by_hand() -> None:
    """Three owners with median errors of 10, 30 and 50 percent: 30, although the first has most rows."""
    told = [("a", 1.1)] * 9 + [("b", 1.3)] * 2 + [("c", 1.5)]
    cases = [CaseResult("x", "vllm", {"tpot_s": Compared(value, 0.0, 2.0, 1.0)}, owner=owner, regime="closed") for owner, value in told]
    found = Validation(tuple(cases))
    accuracy = found.summary()["tpot_s"]
    assert accuracy.over_owners is not None
    assert accuracy.over_owners.owners == 3
    assert accuracy.over_owners.median_abs_error == pytest.approx(0.3)
    assert accuracy.median_abs_error == pytest.approx(0.1)
    assert found.owners() == ("a", "b", "c")


def test_what_is_not_judged_is_predicted_and_counts_nowhere() -> None:
    rows = runs(3, measured=20.0, source="one/a") + runs(2, measured=1e6, source="one/a", confidence="low")
    found = validate(rows)
    assert found.not_judged == 2
    assert found.coverage() == {"cases": 5, "covered": 5}
    assert found.summary()["tpot_s"].n == 3
    assert all(case.quantities for case in found.cases)
    assert as_json(rows)["summary"]["tpot_s"]["not_judged"] == 2
    assert "2 of them" in render(validation_document(found, "en"), "text")


def test_sources_and_loads_are_told_apart() -> None:
    """Large bursts stand apart; a source of fewer than twenty cases has no line of its own."""
    load = {"request_rate": None, "batch_size": None, "concurrency": None}
    rows = runs(20, measured=20.0, source="one@b", **load | {"concurrency": 4})
    rows += runs(3, measured=20.0, source="two@c", **load | {"request_rate": "inf (burst of 1000 prompts)"})
    rows += runs(2, measured=20.0, source="two@c", **load | {"request_rate": "inf (burst of 100 prompts)"})
    told = as_json(rows)["summary"]["tpot_s"]
    assert {name: entry["n"] for name, entry in told["by_regime"].items()} == {"closed": 20, "burst": 3, "small-burst": 2}
    assert {name: entry["n"] for name, entry in told["by_source"].items()} == {"one": 20}
    assert told["over_owners"]["owners"] == 2
    for entry in (*told["by_regime"].values(), *told["by_source"].values()):
        assert {"n", "median_abs_error", "p90_abs_error", "bias", "inside_band"} <= set(entry)


def test_starts_are_told_apart_by_their_kind_and_have_no_load() -> None:
    summary = as_json([row for row in own_cases() if "isl" not in row])["summary"]
    for name, entry in summary.items():
        assert name in ("by_engine", "coverage") or not {"by_regime", "not_judged"} & set(entry)
    weights = summary["weights_bytes"]
    assert sum(entry["n"] for entry in weights["by_kind"].values()) == weights["n"] > 1
    assert weights["over_owners"]["owners"] >= 1


@pytest.mark.parametrize("source", [None, 7, "", "/", "@", "https://", ["a"], "x" * 10_000])
def test_any_source_has_an_owner(source: Any) -> None:
    assert 0 < len(owner_of(source)) <= 200


@pytest.mark.shared
def test_the_source_and_the_confidence_of_a_row_move_no_prediction() -> None:
    rows = [row for file in ("serving-speeds.jsonl", "local-speeds.jsonl") for row in shared_lines(file)[::40]]
    other = [{**row, "source": "somebody/else", "confidence": "low", "device_family": "none"} for row in rows]
    ours, theirs = validate(rows), validate(other)
    assert [(case.quantities, case.reason, case.regime) for case in ours.cases] == [
        (case.quantities, case.reason, case.regime) for case in theirs.cases
    ]
    assert theirs.not_judged == len(rows) > 50
    errors = [abs(found.error) for case in ours.cases if case.judged and (found := case.quantities.get("tpot_s")) and found.error is not None]
    assert ours.summary()["tpot_s"].median_abs_error == pytest.approx(median(errors))
