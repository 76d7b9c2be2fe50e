"""Pages of the formulas: all of them, and one with symbols, source and a worked example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from gpusizer.errors import GpusizerError
from gpusizer.facts.filters import has_words
from gpusizer.i18n import has, text
from gpusizer.rendering.document import Fixed, Table
from gpusizer.rendering.formulas import describe, formula_document, registry
from gpusizer.web.job import Job
from gpusizer.web.not_here import not_here
from gpusizer.web.sources import linked
from gpusizer.web.templating import rendered

__all__ = ["page"]

PATH = "/formulas"


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of all, or of one."""
    return _formulas_page(job, error) if job.kind == "formulas" else _formula_page(job, error)


def _formulas_page(job: Job, error: GpusizerError | None) -> str:
    """All formulas that have the words that are looked for, by their subject."""
    words = dict(parse_qsl(job.query)).get("filter", "")
    described = [describe(formula, job.language) for formula in registry().values()]
    kept = [each for each in described if has_words(words, (each["id"], each["name"], each["expression"], *each["symbols"]))]
    return rendered("formulas.html", job, PATH, groups=_groups(kept, job.language), words=words, count=len(kept), all=len(described), error=error)


def _groups(kept: Sequence[dict[str, Any]], language: str) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """By the first part of their ids, with its words."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in kept:
        found.setdefault(each["id"].partition(".")[0], []).append(each)
    return [(name, text("site", f"subject-{name}", language) if has("site", f"subject-{name}") else name, rows) for name, rows in found.items()]


def _formula_page(job: Job, error: GpusizerError | None) -> str:
    """One formula."""
    if error is not None:
        return not_here(job, PATH, text("web", "nav-formulas", job.language), error)
    document = formula_document(job.path, job.language)
    example = [each.words for each in document.blocks if isinstance(each, Fixed)][-1]
    symbols = next(each for each in document.blocks if isinstance(each, Table))
    return rendered(
        "formula.html", job, f"{PATH}/{job.path}", data=document.data, symbols=symbols, example=example, reference=linked(document.data["reference"])
    )
