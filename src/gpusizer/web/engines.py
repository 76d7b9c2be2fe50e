"""Engines over HTTP."""

from __future__ import annotations

from gpusizer.answers import engine_answer, engines_answer
from gpusizer.rendering.document import Document
from gpusizer.web.engines_page import page
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """All of them, or one."""
    filters_of(job)
    return engines_answer(job.language) if job.kind == "engines" else engine_answer(job.path, job.language)
