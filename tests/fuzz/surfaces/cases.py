"""Files of measured cases, as ``validate`` and ``--calibrate`` read them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence

from hypothesis import strategies as st

from conftest import DATA
from fuzz.given import chosen, file, once_in
from fuzz.guard import NETS, FailedError
from fuzz.laws import hold_for_band, read_back
from fuzz.mutate import changed_bytes, changed_json, json_bytes, mixed
from fuzz.surface import Surface
from gpusizer.i18n import LANGUAGES, has
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.validate import CaseResult, validate

_MOST = 4  # cases of an input that are predicted


def _seeds() -> list[bytes]:
    return [line.encode() for line in (DATA / "cases.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    keys = sorted({key for line in _seeds() for key in (json.loads(line), *json.loads(line).get("measured", {})) if isinstance(key, str)})
    return mixed((1, changed_bytes(known)), (9, changed_json(known, keys).map(json_bytes)))


def _answer(content: bytes) -> Hashable:
    rows = read_cases(file("cases.jsonl", content))[:_MOST]
    found = validate(rows)
    for case in found.cases:
        _holds(case)
    language = chosen(LANGUAGES, content)
    read_back(render(validation_document(found, language), "json"))
    if once_in(4, content):
        render(validation_document(found, language), chosen(("text", "csv", "markdown"), content))
    return frozenset(case.reason.code if case.reason else tuple(case.quantities) for case in found.cases)


def _holds(case: CaseResult) -> None:
    if case.reason is not None:
        code = case.reason.code
        if code in NETS:
            raise FailedError(f"net: {code}", case.reason.parameters["detail"])
        assert all(any(has(group, code, language) for group in ("reason", "error", "warning")) for language in LANGUAGES), code
    fits = bool(case.quantities["fits"].predicted) if "fits" in case.quantities else False
    for name, each in case.quantities.items():
        hold_for_band(name, each.low, each.predicted, each.high, fits=fits)


SURFACE = Surface("cases", _seeds, _changed, _answer, weight=4)
