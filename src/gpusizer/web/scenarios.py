"""Scenarios over HTTP."""

from __future__ import annotations

from gpusizer.answers import scenario_answer, scenarios_answer
from gpusizer.rendering.document import Document
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of
from gpusizer.web.scenarios_page import page

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """All of them, or one."""
    filters_of(job)
    return scenarios_answer(job.language) if job.kind == "scenarios" else scenario_answer(job.path, job.language)
