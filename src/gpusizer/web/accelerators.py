"""Accelerators over HTTP."""

from __future__ import annotations

from gpusizer.answers import accelerator_answer, accelerators_answer
from gpusizer.facts.filters import memory_bound
from gpusizer.rendering.document import Document
from gpusizer.web.accelerators_page import page
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """Those that pass every filter, or one."""
    if job.kind == "accelerators":
        given = filters_of(job, "filter", "vendor", "memory")
        memory = memory_bound(given["memory"]) if "memory" in given else None
        return accelerators_answer(job.language, given.get("vendor"), memory, given.get("filter"))
    filters_of(job)
    return accelerator_answer(job.path, job.language)
