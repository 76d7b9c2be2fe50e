"""Models of the catalogue over HTTP."""

from __future__ import annotations

from gpusizer.answers import model_answer, models_answer
from gpusizer.rendering.document import Document
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of
from gpusizer.web.models_page import page

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """All that have every word, or one."""
    if job.kind == "models":
        return models_answer(job.language, filters_of(job, "filter").get("filter"))
    filters_of(job)
    return model_answer(job.path, job.language)
