"""``validate``: what is absurd or breaks in one case leaves the other cases alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gpusizer.architecture.types import Notice
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.units import GiB
from gpusizer.validation.measured import measured_memory, measured_performance
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.validate import validate
from own_cases import as_json, own_cases, worded

ABSURD = (1e308, -1e308, 1e19, 10**400, -(10**400), float("nan"), float("inf"))


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: f"{value:g}" if isinstance(value, float) else str(value.bit_length()))
@pytest.mark.parametrize("kind", ["memory", "performance"])
def test_absurd_numbers_spoil_their_own_case_only(kind: str, value: float) -> None:
    """In a field that was known before, the case is refused; in what was measured, the number is left out, and the prediction stays."""
    good = next(row for row in own_cases() if ("isl" in row) == (kind == "performance"))
    (expected,) = as_json([good])["cases"]
    known = {key for key, entry in good.items() if isinstance(entry, int | float) and not isinstance(entry, bool)}
    assert known
    for key in known:
        bad, still = validate([{**good, key: value}, good]).cases
        assert bad.reason is not None
        assert bad.reason.code == "bad-case-number"
        assert worded(bad.reason)
        assert still.covered
    for key in good["measured"]:
        row = {**good, "measured": {**good["measured"], key: value}}
        (found,) = as_json([row])["cases"]
        assert {name: each["predicted"] for name, each in found["quantities"].items()} == {
            name: each["predicted"] for name, each in expected["quantities"].items()
        }
        for form in ("csv", "text", "markdown"):
            render(validation_document(validate([row]), "zh"), form)


def test_only_differences_of_free_memory_are_measured_below_nothing() -> None:
    measured = {"weights_gib_per_gpu": -1.5, "kv_tokens": -5, "kv_available_gib_per_gpu": -2.0, "cuda_graph_gib": -0.75, "ttft_ms_mean": -3}
    assert measured_memory({"measured": measured}) == {"kv_cache_pool_bytes": -2 * GiB, "cuda_graph_bytes": -0.75 * GiB}
    assert measured_performance({"measured": measured}) == {}


def test_a_prediction_that_breaks_spoils_its_own_case_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpusizer.validation import validate as module

    def breaks(row: Mapping[str, Any]) -> Case | Notice:
        if row["id"] == "broken":
            raise OverflowError("integer too large")
        return deployment_of(row)

    monkeypatch.setattr(module, "deployment_of", breaks)
    good = own_cases()[0]
    first, second = validate([{**good, "id": "broken"}, good]).cases
    assert first.reason is not None
    assert (first.id, first.reason.code) == ("broken", "case-defect")
    assert "OverflowError" in first.reason.parameters["detail"]
    assert worded(first.reason)
    assert first.measured == second.measured
    assert second.covered


def test_no_own_case_breaks() -> None:
    assert [case.reason for case in validate(own_cases()).cases if case.reason is not None and case.reason.code == "case-defect"] == []
