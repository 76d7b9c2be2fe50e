"""Formulas over HTTP."""

from __future__ import annotations

from gpusizer.answers import formula_answer
from gpusizer.rendering.document import Document
from gpusizer.web.formulas_page import page
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """The list of all, or one with a worked example."""
    filters_of(job)
    return formula_answer(job.path or None, job.language)
