"""Starts that other people measured and published, written down in our own words, and what ``validate`` answers to cases."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from conftest import DATA, SHARED
from gpusizer.architecture.types import Notice
from gpusizer.i18n import has
from gpusizer.rendering.render import render
from gpusizer.rendering.validate import validation_document
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.validate import Validation, validate

OWN = DATA / "cases.jsonl"


@cache
def validated(name: str) -> Validation:
    """Predictions of all shared cases of a file, made once for all tests."""
    return validate(read_cases(str(SHARED / name)))


def own_cases() -> list[dict[str, Any]]:
    return read_cases(str(OWN))


def as_json(rows: list[dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(render(validation_document(validate(rows), "en"), "json"))
    return data


def worded(notice: Notice) -> bool:
    """Whether both languages have a sentence for it."""
    return all(any(has(group, notice.code, language) for group in ("reason", "error", "warning")) for language in ("en", "zh"))
