"""What a worker process does: one job, one reply. Whatever goes wrong with what was asked becomes a problem; nothing else leaves this door."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import orjson

from gpusizer.errors import GpusizerError, InputError
from gpusizer.given_files import without_files
from gpusizer.rendering.failures import defect_of
from gpusizer.rendering.forms.json import opened, to_json
from gpusizer.web.file_names import file_name
from gpusizer.web.job import PAGE, PART, Job, Reply
from gpusizer.web.problems import problem_reply, status_of

__all__ = ["KINDS", "MEDIA_TYPES", "reply_to"]

KINDS: Mapping[str, str] = {
    "plan": "gpusizer.web.plan",
    "fit": "gpusizer.web.fit",
    "run-on": "gpusizer.web.run_on",
    "deploy": "gpusizer.web.deploy",
    "diagnose": "gpusizer.web.diagnose",
    "models": "gpusizer.web.models",
    "model": "gpusizer.web.models",
    "accelerators": "gpusizer.web.accelerators",
    "accelerator": "gpusizer.web.accelerators",
    "engines": "gpusizer.web.engines",
    "engine": "gpusizer.web.engines",
    "scenarios": "gpusizer.web.scenarios",
    "scenario": "gpusizer.web.scenarios",
    "formulas": "gpusizer.web.formulas",
    "formula": "gpusizer.web.formulas",
    "accuracy": "gpusizer.web.accuracy",
    "docs": "gpusizer.web.docs",
}
"""Kinds of questions, and the module that answers each with ``answer(job) -> Answer``, ``page(job) -> str``, ``mail(job) -> str``,
``file(job) -> str`` and ``workbook(job) -> bytes``, as far as it has them; ``page`` takes an error as well, and shows it beside what was
filled in."""

MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "mail": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "yaml": "application/yaml",
    "sh": "text/x-shellscript; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    PAGE: "text/html; charset=utf-8",
    PART: "text/html; charset=utf-8",
}
"""Media type of each form."""

_OWN_STYLE = re.compile(rb"<style>(.*?)</style>", re.S)


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
    try:
        if job.kind not in KINDS:
            raise InputError("no-such-page")
        with without_files():
            return _replied(job, import_module(KINDS[job.kind]))
    except GpusizerError as error:
        return _refused(job, error)
    except MemoryError:
        return _refused(job, InputError("took-too-much"))
    except Exception as error:
        return problem_reply(defect_of(error), job.language)


def _replied(job: Job, module: ModuleType) -> Reply:
    media_type, name = MEDIA_TYPES[job.form], file_name(job)
    if job.form in (PAGE, PART):
        return Reply(200, media_type, _made(module, "page")(job).encode(errors="replace"))
    if job.form == "xlsx":
        return Reply(200, media_type, _made(module, "workbook")(job), name)
    if job.form == "mail":
        return Reply(200, media_type, _made(module, "mail")(job).encode(errors="replace"))
    if job.form in ("yaml", "sh"):
        return Reply(200, media_type, _made(module, "file")(job).encode(errors="replace"), name)
    from gpusizer.rendering.render import form_names, render_file

    if job.form not in form_names():
        raise InputError("no-such-page")
    answer = _made(module, "answer")(job)
    if job.form == "json":
        return Reply(200, media_type, _compact(answer.data), name)
    body = render_file(answer, job.form).encode(errors="replace")
    return Reply(200, media_type, body, name, _style_hash(body) if job.form == "html" else None)


def _compact(data: Mapping[str, Any]) -> bytes:
    """JSON for programs, without a line more than it takes."""
    try:
        return orjson.dumps(data, default=opened)
    except TypeError:  # a number beyond 64 bits, a key that is no text
        return to_json(data).encode(errors="replace")


def _style_hash(page: bytes) -> str | None:
    """What allows the one style of a report that carries its own, and no other."""
    found = _OWN_STYLE.search(page)
    return None if found is None else "sha256-" + base64.b64encode(hashlib.sha256(found[1]).digest()).decode()


def _made(module: ModuleType, name: str) -> Callable[..., Any]:
    made: Callable[..., Any] | None = getattr(module, name, None)
    if made is None:
        raise InputError("no-such-page")
    return made


def _refused(job: Job, error: GpusizerError) -> Reply:
    """On a page of ours the error stands beside what was filled in."""
    page = getattr(import_module(KINDS[job.kind]), "page", None) if job.kind in KINDS else None
    if job.form not in (PAGE, PART) or page is None:
        return problem_reply(error, job.language, path=job.path)
    status = 200 if job.form == PART else status_of(error, path=job.path)  # to its script a part that says what is wrong is an answer like another
    return Reply(status, MEDIA_TYPES[PAGE], page(job, error).encode(errors="replace"))
