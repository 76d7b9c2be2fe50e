"""From an HTTP request to a job, and from a reply to an HTTP response."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import Scope

from gpusizer.errors import FlagError, GpusizerError, InputError
from gpusizer.i18n import LANGUAGES, error_sentence
from gpusizer.web.asked import pairs_of
from gpusizer.web.file_names import disposition
from gpusizer.web.headers import content_policy
from gpusizer.web.job import PAGE, PART, Job, Reply
from gpusizer.web.language import preferred_language
from gpusizer.web.problems import PROBLEM, problem_reply, status_of
from gpusizer.web.replies import MEDIA_TYPES
from gpusizer.web.templating import rendered
from gpusizer.web.work import Work

__all__ = ["LANGUAGE", "answered", "language_of", "refused", "response_of", "unchanged"]

LANGUAGE = "lang"
_RETRY_S = 5
_FORM, _JSON, _TEXT = "application/x-www-form-urlencoded", "application/json", "text/plain"


async def answered(request: Request, kind: str, form: str, path: str = "", *, shown: bool = False) -> Response:
    """The response to an address: from the asker's own copy, from what is kept, or computed.

    Parameters
    ----------
    request : Request
        What came over HTTP.
    kind, form, path : str
        Of the job.
    shown : bool
        Whether a browser shows what would else become a file.
    """
    try:
        job = await _job_of(request, kind, form, path)
        tag = None if request.method == "POST" else _tag(job)
        if tag is not None and (same := unchanged(request.headers, tag)) is not None:
            return same
        work: Work = request.app.state.work
        reply = await work.reply(job)
        if reply.media_type == PROBLEM and _wants_page(request):  # of a kind or a form that has no page of its own
            return _page(json.loads(reply.body)["detail"], reply.status, request, job.language)
    except GpusizerError as error:
        return refused(error, request.scope, part=form == PART)
    return response_of(reply, request.headers, tag, shown=shown)


def unchanged(asker: Headers, tag: str) -> Response | None:
    """The response to whoever has this copy already; None for everybody else."""
    return Response(status_code=304, headers=_cached(tag)) if _names(asker.get("if-none-match", ""), tag) else None


def response_of(reply: Reply, asker: Headers, tag: str | None = None, *, shown: bool = False) -> Response:
    """A reply as a response.

    Parameters
    ----------
    reply : Reply
        What was computed.
    asker : Headers
        Of the request: whether packed content is understood.
    tag : str or None
        By which the asker may keep a copy.
    shown : bool
        Whether a browser shows what would else become a file.
    """
    headers = _cached(tag) if tag is not None and reply.status == 200 else {"Vary": _VARY, "Cache-Control": "no-store"}
    body = reply.body
    if reply.is_packed and _takes_gzip(asker.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
    elif reply.is_packed:
        body = gzip.decompress(body)
    if reply.file_name is not None:
        headers["Content-Disposition"] = disposition(reply.file_name, shown=shown)
    if reply.style_hash is not None:
        headers["Content-Security-Policy"] = content_policy(reply.style_hash).decode()
    if reply.status == 503:
        headers["Retry-After"] = str(_RETRY_S)
    return Response(body, reply.status, headers, reply.media_type)


def refused(error: GpusizerError, scope: Scope, *, part: bool = False) -> Response:
    """The response that says why not: a page for a browser that wants one, a problem for programs.

    Parameters
    ----------
    error : GpusizerError
        What is wrong.
    scope : mapping
        Of the request.
    part : bool
        Whether a script asked, for a part of a page.
    """
    request = Request(scope)
    try:
        language = language_of(request)
    except FlagError:
        language = preferred_language(request.headers.get("accept-language", ""))
    if part or _wants_page(request):
        return _page(error_sentence(error.code, language, error.parameters), status_of(error), request, language, part=part)
    return response_of(problem_reply(error, language), request.headers)


def _page(words: str, status: int, request: Request, language: str, *, part: bool = False) -> Response:
    """A page that says what is wrong, or the part of one."""
    job = Job("plan", PART if part else PAGE, language, root_path=request.scope.get("root_path", ""))
    page = rendered("problem-part.html" if part else "problem.html", job, "/no-such-page", words=words)
    return response_of(Reply(status, MEDIA_TYPES[PAGE], page.encode(errors="replace")), request.headers)


async def _job_of(request: Request, kind: str, form: str, path: str) -> Job:
    """The job that an address, or what was sent with it, states."""
    query, body = request.url.query, await request.body() if request.method == "POST" else b""
    if body and _type_of(request) == _FORM:
        query, body = "&".join(filter(None, (query, body.decode(errors="replace")))), b""
    elif body and _type_of(request) == _TEXT and kind == "diagnose":
        body = json.dumps({"log": body.decode(errors="replace")}).encode()
    elif body and _type_of(request) != _JSON:
        raise InputError("unknown-type-of-body", expected=[_JSON], found=_type_of(request)[:60])
    pairs = [(name, value) for name, value in pairs_of(query) if name != LANGUAGE]
    day = date.today().isoformat() if form == "html" else ""  # a report is of its day
    return Job(kind, form, language_of(request), urlencode(pairs), path, request.scope.get("root_path", ""), body, day)


def _type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def language_of(request: Request) -> str:
    """The language to answer in.

    Raises
    ------
    FlagError
        One that we do not speak.
    """
    said = next((value for name, value in parse_qsl(request.url.query) if name == LANGUAGE), "")
    if not said:
        return preferred_language(request.headers.get("accept-language", ""))
    if said not in LANGUAGES:
        raise FlagError("bad-choice", option=LANGUAGE, expected=list(LANGUAGES), found=said[:40])
    return said


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "/api/" not in request.scope["path"]


_VARY = "Accept-Language, Accept-Encoding"


def _cached(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "no-cache", "Vary": _VARY}


def _names(header: str, tag: str) -> bool:
    """Whether an If-None-Match header names a tag, weak or not.

    >>> _names('"a", W/"b"', 'W/"b"'), _names('W/"bb"', 'W/"b"'), _names("*", 'W/"b"')
    (True, False, False)
    """
    return tag.removeprefix("W/") in (each.strip().removeprefix("W/") for each in header.split(","))


def _takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header takes gzip.

    >>> _takes_gzip("br, gzip;q=0.5"), _takes_gzip("gzip;q=0, *"), _takes_gzip("")
    (True, False, False)
    """
    found = {name.strip(): value.strip() for name, _, value in (each.partition(";q=") for each in header.lower().split(","))}
    return "gzip" in found and found["gzip"] not in ("0", "0.0", "0.00", "0.000")


def _tag(job: Job) -> str:
    """By question and version; weak, since packed and plain content share it."""
    said = "\n".join((_version(), job.kind, job.form, job.language, job.query, job.path, job.root_path, job.day))
    return f'W/"{hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]}"'


@cache
def _version() -> str:
    """The version, and what the installed files hold: facts may be mended between two versions."""
    found = hashlib.sha256(version("gpusizer").encode())
    root = Path(__file__).parent.parent
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".toml", ".json", ".jsonl", ".html", ".css", ".js"):
            found.update(path.read_bytes())
    return found.hexdigest()
