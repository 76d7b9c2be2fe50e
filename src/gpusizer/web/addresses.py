"""Every address of the server: one rule for all kinds of questions and all forms of answers.

A page ``/models`` has twins ``/models.json``, ``/models.csv``, ...; so has one thing of a list: ``/models/qwen3-8b`` and ``/models/qwen3-8b.json``.
The API answers the same below ``/api/v1``, as JSON where no ending says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpusizer.web.job import PAGE, PART

__all__ = ["API", "LISTS", "QUESTIONS", "WITHOUT_PAGE", "Address", "addresses"]

API = "/api/v1"

QUESTIONS = ("plan", "fit", "run-on", "deploy", "diagnose")
"""Kinds that take many inputs, in a query or as a JSON body."""

WITHOUT_PAGE = ("deploy",)
"""Kinds that are asked for from the page of another."""

LISTS = {"models": "model", "accelerators": "accelerator", "engines": "engine", "scenarios": "scenario", "formulas": "formula"}
"""Kinds that list what there is, and the kind of one thing of the list."""

_READ = ("GET", "HEAD")
_ASKED = (*_READ, "POST")


@dataclass(frozen=True, slots=True)
class Address:
    """One address.

    Parameters
    ----------
    path : str
        With ``{ending}`` for the form and ``{id}`` for what it names.
    kind : str
        What is asked.
    form : str or None
        The form of the answer; None where the end of the path says it.
    methods : tuple of str
        How it may be asked.
    shown : bool
        Whether a browser shows what would else become a file.
    """

    path: str
    kind: str
    form: str | None
    methods: tuple[str, ...] = _READ
    shown: bool = False


def addresses() -> Iterator[Address]:
    """All of them, the more exact first.

    >>> [each.path for each in addresses() if each.kind in ("fit", "model")]
    ['/fit', '/fit.{ending}', '/api/v1/fit', '/api/v1/fit.{ending}', '/models/{id:path}', '/api/v1/models/{id:path}']
    """
    yield Address("/", "plan", PAGE, _ASKED)
    yield Address("/answer", "plan", PART, _ASKED)
    yield Address("/report", "plan", "html", _ASKED, shown=True)
    yield Address("/docs", "docs", PAGE)
    for kind in (*QUESTIONS, *LISTS, "accuracy"):
        methods = _ASKED if kind in QUESTIONS else _READ
        for root, form in (("", PAGE), (API, "json")):
            if form != PAGE or kind not in WITHOUT_PAGE:
                yield Address(f"{root}/{kind}", kind, form, methods)
            yield Address(f"{root}/{kind}.{{ending}}", kind, None, methods)
    for kind, one in LISTS.items():
        for root, form in (("", PAGE), (API, "json")):
            yield Address(f"{root}/{kind}/{{id:path}}", one, form)
