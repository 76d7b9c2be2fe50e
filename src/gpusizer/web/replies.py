"""What a worker process does: one job, one reply. Whatever goes wrong with what was asked becomes a problem; nothing else leaves this door."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from gpusizer.errors import DefectError, GpusizerError, InputError
from gpusizer.web.job import PAGE, PART, Job, Reply
from gpusizer.web.problems import problem_reply, status_of

__all__ = ["KINDS", "MEDIA_TYPES", "reply_to"]

KINDS: Mapping[str, str] = {
    "plan": "gpusizer.web.plan",
}
"""Kinds of questions, and the module that answers each with ``answer(job) -> Answer``, ``page(job) -> str`` and ``workbook(job) -> bytes``,
as far as it has them; ``page`` takes an error as well, and shows it beside what was filled in."""

MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "mail": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    PAGE: "text/html; charset=utf-8",
    PART: "text/html; charset=utf-8",
}
"""Media type of each form."""

_ENDINGS = {"csv": "csv", "markdown": "md", "xlsx": "xlsx", "html": "html"}


def reply_to(job: Job) -> Reply:
    """The reply to one job; never an exception.

    Parameters
    ----------
    job : Job
        The question.

    Returns
    -------
    Reply
        The answer, or a problem: on a page as a page.
    """
    os.chdir("/")  # a name that a stranger types is never a folder of whoever started the server
    try:
        module = import_module(KINDS[job.kind])
        return _replied(job, module)
    except GpusizerError as error:
        return _refused(job, error)
    except Exception as error:
        return _refused(job, DefectError("defect", detail=type(error).__name__))


def _replied(job: Job, module: ModuleType) -> Reply:
    media_type = MEDIA_TYPES[job.form]
    if job.form in (PAGE, PART):
        return Reply(200, media_type, _made(module, "page")(job).encode())
    name = f"gpusizer-{job.kind}.{_ENDINGS[job.form]}" if job.form in _ENDINGS else None
    if job.form == "xlsx":
        return Reply(200, media_type, _made(module, "workbook")(job), name)
    from gpusizer.rendering.render import form_names, render_file

    if job.form not in form_names():
        raise InputError("no-such-page", found=job.form)
    return Reply(200, media_type, render_file(_made(module, "answer")(job), job.form).encode(errors="replace"), name)


def _made(module: ModuleType, name: str) -> Callable[..., Any]:
    made: Callable[..., Any] | None = getattr(module, name, None)
    if made is None:
        raise InputError("no-such-page", found=name)
    return made


def _refused(job: Job, error: GpusizerError) -> Reply:
    if job.form not in (PAGE, PART):
        return problem_reply(error, job.language)
    page = import_module(KINDS[job.kind]).page
    return Reply(status_of(error), MEDIA_TYPES[PAGE], page(job, error).encode())
