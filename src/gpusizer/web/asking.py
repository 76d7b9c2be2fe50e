"""From an HTTP request to a job, and from a reply to an HTTP response."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response

from gpusizer.errors import FlagError, GpusizerError
from gpusizer.i18n import LANGUAGES
from gpusizer.web.job import Job, Reply
from gpusizer.web.language import preferred_language
from gpusizer.web.problems import problem_reply
from gpusizer.web.work import Work

__all__ = ["answered", "job_of", "language_of", "response_of"]

LANGUAGE = "lang"


def language_of(request: Request) -> str:
    """The language to answer in.

    Raises
    ------
    FlagError
        One that we do not speak.
    """
    said = request.query_params.get(LANGUAGE)
    if said is None or said == "":
        return preferred_language(request.headers.get("accept-language", ""))
    if said not in LANGUAGES:
        raise FlagError("bad-choice", option=LANGUAGE, expected=list(LANGUAGES), found=said[:40])
    return said


def job_of(request: Request, kind: str, form: str, path: str = "") -> Job:
    """The job that an address states."""
    pairs = [(name, value) for name, value in parse_qsl(request.url.query) if name != LANGUAGE]
    return Job(kind, form, language_of(request), urlencode(pairs), path, request.scope.get("root_path", ""))


async def answered(request: Request, kind: str, form: str, path: str = "") -> Response:
    """The response to an address: from the asker's own copy, from what is kept, or computed."""
    try:
        job = job_of(request, kind, form, path)
    except GpusizerError as error:
        return response_of(problem_reply(error, "en"))
    tag = _tag(job)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    work: Work = request.app.state.work
    try:
        reply = await work.reply(job)
    except GpusizerError as error:
        return response_of(problem_reply(error, job.language))
    return response_of(reply, tag)


def response_of(reply: Reply, tag: str | None = None) -> Response:
    """A reply as a response."""
    headers = {"Vary": "Accept-Language"}
    if tag is not None and reply.status == 200:
        headers |= {"ETag": tag, "Cache-Control": "no-cache"}
    if reply.file_name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{reply.file_name}"'
    return Response(reply.body, reply.status, headers, reply.media_type)


def _tag(job: Job) -> str:
    said = "\n".join((_version(), job.kind, job.form, job.language, job.query, job.path, job.root_path))
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'


@cache
def _version() -> str:
    """The version, and what the installed files hold: facts may be mended between two versions."""
    found = hashlib.sha256(version("gpusizer").encode())
    root = Path(__file__).parent.parent
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".toml", ".jsonl", ".html", ".css", ".js"):
            found.update(path.read_bytes())
    return found.hexdigest()
