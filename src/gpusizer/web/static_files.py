"""What stays the same: files of the pages, read once and named in a closed table, and the description of the API; packed, with a tag by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from fastapi import Request, Response

from gpusizer.errors import InputError
from gpusizer.rendering import charts
from gpusizer.web.asking import language_of, refused, response_of, unchanged
from gpusizer.web.documented import api_schema
from gpusizer.web.job import Reply
from gpusizer.web.replies import MEDIA_TYPES
from gpusizer.web.worker import packed

__all__ = ["description", "static_file"]

_STYLES = "gpusizer.css"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def static_file(request: Request) -> Response:
    """The file that an address names."""
    found = _files().get(request.path_params["name"])
    return refused(InputError("no-such-page"), request.scope) if found is None else _given(found, request)


def description(request: Request) -> Response:
    """The OpenAPI document in the language that is asked for."""
    try:
        return _given(_description(language_of(request), request.scope.get("root_path", "")), request)
    except InputError as error:
        return refused(error, request.scope)


def _given(reply: Reply, request: Request) -> Response:
    """A reply that stays the same, unless the asker has it already."""
    tag = f'W/"{hashlib.sha256(reply.body).hexdigest()[:32]}"'
    return unchanged(request.headers, tag) or response_of(reply, request.headers, tag)


@lru_cache(maxsize=8)
def _description(language: str, root_path: str) -> Reply:
    return packed(Reply(200, MEDIA_TYPES["json"], json.dumps(api_schema(language, root_path), ensure_ascii=False).encode()))


@cache
def _files() -> Mapping[str, Reply]:
    folder = Path(__file__).parent / "static"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _TYPES}
    found[_STYLES] += charts.stylesheet().encode()  # a page asks for one stylesheet
    return {name: packed(Reply(200, _TYPES[Path(name).suffix], content)) for name, content in found.items()}
